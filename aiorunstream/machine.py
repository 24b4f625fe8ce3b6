"""A run, from its beginning to its end: what an engine says goes in, the protocol's events come out.

    machine = RunMachine(store, store.create_run(thread_id, params))
    events = [*machine.start(), *machine.work()]
    for item in engine.reply(machine.turn()):
        events += machine.take(item)
    events += machine.finish()    # completed; or requires_action, then `submit`, `work` and the engine again

Rules of this file: a run that is being cancelled, or is over, hears nothing more; nothing of a run stays open when it is
over. The pieces of an answer are joined, and kept, once their message or step ends. A deleted thread's run ends as any
other, only out of sight.
"""

from .calls import CallsDraft
from .drafts import MessageDraft
from .engine import Turn
from .intake import StoreError, invalid
from .items import (
    AskApproval,
    BreakOff,
    CallTool,
    Cancel,
    Cite,
    CiteURL,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    Pause,
    PrintLogs,
    Refuse,
    RunCode,
    Say,
    SearchFiles,
    SendError,
    ShowImage,
    UseTool,
    check_text,
)
from .models import (
    ErrorObject,
    IncompleteDetails,
    LastError,
    MessageCreation,
    MessageCreationStepDetails,
    MessageDeltaEvent,
    RequiredActionMCPToolCall,
    Run,
    RunStepDeltaEvent,
    ToolCallsStepDetails,
    TruncationStrategy,
    Usage,
)
from .outputs import SubmitParams, not_waiting, read_approvals, read_outputs, too_late
from .run_objects import Events, RunObjects, event_of
from .spent import add_usage
from .store import Store

_ASKS: dict[type[object], bool] = {CallTool: False, AskApproval: True}  # for leave, or for an output


class RunMachine:
    """One run of a store. Its methods return the events of what they did; none, where the run is past it."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self._objects = RunObjects(store, run)
        self._message: MessageDraft | None = None
        self._calls: CallsDraft | None = None

    @property
    def run(self) -> Run:
        """The run as it is now."""
        return self._objects.run

    @property
    def spent(self) -> Usage | None:
        """What the run has spent so far; it says so itself only once it is over."""
        return self._objects.spent

    def turn(self) -> Turn:
        """What the engine is to answer now."""
        objects = self._objects
        run, messages = objects.run, objects.record.messages.all()
        strategy = run.truncation_strategy or TruncationStrategy()
        if strategy.type == "last_messages" and strategy.last_messages is not None:
            messages = messages[-strategy.last_messages :]
        return Turn(objects.assistant, run, messages, objects.steps.all())

    # -- the way of a run --------------------------------------------------------------------------------------------

    def start(self, *, thread_is_new: bool = False) -> Events:
        """The run's first events; `thread.created` before them where the thread was made for it."""
        first = (event_of("thread.created", self._objects.record.thread),) if thread_is_new else ()
        return (*first, event_of("thread.run.created", self.run), event_of("thread.run.queued", self.run))

    def work(self) -> Events:
        """The run is taken up: from now on it hears what the engine says."""
        if self.run.status != "queued":
            return ()
        return (self._objects.change("in_progress", started_at=self._store.now()),)

    def take(self, item: Item) -> Events:
        """Hears one item of the engine.

        Raises:
            ValueError: the engine goes on with a call it has not made, gives two calls one id, or says what is no item, or
                text that cannot be sent.
        """
        if self.run.status != "in_progress":
            return ()
        match item:
            case str() | Say() | Refuse() | ShowImage() | Cite() | CiteURL() | LinkFile():
                return self._write(item)
            case CallTool() | RunCode() | SearchFiles() | UseTool() | AskApproval():
                return self._call(item)
            case MoreArguments() | MoreCode() | PrintLogs() | DrawImage():
                return self._go_on(item)
            case EndStep():
                return (*self._end_message("completed"), *self._end_own_tools())
            case Usage():
                return self._spend(item)
            case Fail():
                return self._fail(item)
            case BreakOff():
                return self._break_off(item)
            case Expire():
                return self.expire()
            case Cancel():
                return (*self.cancel(), *self.settle())
            case SendError():
                return (event_of("error", ErrorObject(item.message, item.type, item.code, item.param)),)
            case Pause():  # whoever drives the run waits
                return ()
        raise ValueError(f"an engine cannot say a {type(item).__name__}")

    def finish(self) -> Events:
        """The engine has said all: the run is completed, or waits for the outputs of its tool calls."""
        if self.run.status != "in_progress":
            return ()
        events = (*self._end_message("completed"), *self._end_own_tools())
        if (calls := self._calls) is None:
            return (*events, self._objects.change("completed"))
        self._objects.change_step(calls.step_id, step_details=calls.details())
        return (*events, self._objects.change("requires_action", required_action=calls.required_action()))

    def submit(self, params: SubmitParams) -> Events:
        """Takes the outputs of all calls the run waits for, or what was decided of them; it is queued again.

        Raises:
            StoreError: it waits for none, or these are not exactly those it waits for.
        """
        run, calls = self.run, self._calls
        if run.status != "requires_action" or calls is None:
            raise not_waiting(run)
        if run.expires_at is not None and self._store.now() > run.expires_at:
            raise too_late(run)
        outputs: dict[str, str] = {}
        if calls.asks:
            calls.decide(read_approvals(calls.waiting, params))
        else:
            outputs = read_outputs(calls.waiting, params)
        self._calls = None
        done = self._objects.end_step(
            calls.step_id, "completed", usage=calls.usage, step_details=calls.details(outputs)
        )
        return (done, self._objects.change("queued", required_action=None))

    def cancel(self) -> Events:
        """The run is to be cancelled: it hears nothing more, and waits for `settle`.

        Raises:
            StoreError: it is over, or being cancelled already.
        """
        run = self.run
        if run.is_terminal or run.status == "cancelling":
            raise not_cancellable(run)
        return (self._objects.change("cancelling", required_action=None),)

    def settle(self) -> Events:
        """A run that is being cancelled is cancelled."""
        if self.run.status != "cancelling":
            return ()
        return (*self._end_all("cancelled", "run_cancelled"), self._objects.change("cancelled"))

    def expire(self) -> Events:
        """The run's time is over."""
        if self.run.is_terminal:
            return ()
        return (*self._end_all("expired", "run_expired"), self._objects.change("expired", required_action=None))

    # -- what the engine says ----------------------------------------------------------------------------------------

    def _write(self, item: str | Say | Refuse | ShowImage | Cite | CiteURL | LinkFile) -> Events:
        if isinstance(item, str):
            check_text("text", item)
        events: Events = ()
        if (draft := self._message) is None:
            draft, events = self._open_message()
        match item:
            case str():
                delta = draft.say(item) if item else None
            case Say():
                delta = draft.say(item.text) if item.text else None
            case Refuse():
                delta = draft.refuse(item.text) if item.text else None
            case ShowImage():
                delta = draft.show(item.file_id, item.detail)
            case Cite():
                delta = draft.cite(item.text, item.file_id, item.quote)
            case CiteURL():
                delta = draft.cite_url(item.text, item.url, item.title)
            case _:  # LinkFile
                delta = draft.link(item.text, item.file_id)
        return (*events, *told_by(delta))

    def _open_message(self, id: str | None = None) -> tuple[MessageDraft, Events]:
        message = self._objects.new_message(id)
        ended = self._end_own_tools()
        details = MessageCreationStepDetails(MessageCreation(message.id))
        step, events = self._objects.open_step("message_creation", details)
        self._message = MessageDraft(step.id, message)
        return self._message, (*ended, *events, *self._objects.open_message(message))

    def _call(self, item: CallTool | RunCode | SearchFiles | UseTool | AskApproval) -> Events:
        known = item.call.get("id") if isinstance(item, UseTool) else item.id
        id = known if isinstance(known, str) and known else self._store.new_id("call")
        if self._calls is not None:
            self._calls.check(id, asks=_ASKS.get(type(item)))
        events = self._end_message("completed")
        if (calls := self._calls) is None:
            step, opened = self._objects.open_step("tool_calls", ToolCallsStepDetails())
            calls = self._calls = CallsDraft(step.id)
            events = (*events, *opened)
        match item:
            case CallTool():
                begun, rest = calls.call(id, item.name), calls.argue(item.arguments) if item.arguments else None
            case RunCode():
                begun, rest = calls.run(id), calls.code(item.code) if item.code else None
            case SearchFiles():
                begun, rest = calls.search(id, item.results), None
            case UseTool():
                begun, rest = calls.use({**item.call, "id": id}), None
            case _:  # AskApproval
                asked = RequiredActionMCPToolCall(id, item.name, item.arguments, item.server_label)
                begun, rest = calls.ask(asked, item.output), None
        return (*events, *told_by(begun, rest))

    def _go_on(self, item: MoreArguments | MoreCode | PrintLogs | DrawImage) -> Events:
        if (calls := self._calls) is None or self._message is not None:
            raise ValueError(f"{type(item).__name__} without the call it belongs to just before")
        match item:
            case DrawImage():
                return told_by(calls.draw(item.file_id))
            case MoreArguments():
                delta = calls.argue(item.text)
            case MoreCode():
                delta = calls.code(item.text)
            case _:  # PrintLogs
                delta = calls.log(item.text)
        return told_by(delta) if item.text else ()

    def _spend(self, usage: Usage) -> Events:
        self._objects.spent = add_usage(self._objects.spent, usage)
        if (spender := self._message or self._calls) is not None:
            spender.spend(usage)
        return ()

    def _fail(self, failure: Fail) -> Events:
        # Steps do not know the code "invalid_prompt".
        step_code = "server_error" if failure.code == "invalid_prompt" else failure.code
        ended = self._end_all("failed", "run_failed", LastError(step_code, failure.message))
        return (*ended, self._objects.change("failed", last_error=LastError(failure.code, failure.message)))

    def _break_off(self, item: BreakOff) -> Events:
        # Messages know the reason "content_filter", and runs do not; the other way round with the two limits.
        filtered = item.reason == "content_filter"
        details = IncompleteDetails(None if filtered else item.reason)
        ended = self._end_all("incomplete", "content_filter" if filtered else "max_tokens")
        return (*ended, self._objects.change("incomplete", incomplete_details=details))

    # -- ends --------------------------------------------------------------------------------------------------------

    def _end_all(self, status: str, reason: str, error: LastError | None = None) -> Events:
        """Ends what is open of a run that ends badly: the message with its step, the tool calls.

        Steps are never "incomplete": the one of a message that broke off is done, and so are the server's own tools;
        calls of functions that broke off are not made.
        """
        events = self._end_message("completed" if status == "incomplete" else status, reason, error)
        if (calls := self._calls) is None:
            return events
        self._calls = None
        step_status = status if status != "incomplete" else "cancelled" if calls.waiting else "completed"
        step = self._objects.end_step(
            calls.step_id, step_status, usage=calls.usage, step_details=calls.details(), last_error=error
        )
        return (*events, step)

    def _end_own_tools(self) -> Events:
        """Ends the step of tool calls that is open, if none of them waits for an output from outside."""
        if (calls := self._calls) is None or calls.waiting:
            return ()
        self._calls = None
        return (self._objects.end_step(calls.step_id, "completed", usage=calls.usage, step_details=calls.details()),)

    def _end_message(self, step_status: str, reason: str | None = None, error: LastError | None = None) -> Events:
        """Ends the message that is open, if one is, and its step; with a reason it ends incomplete."""
        if (draft := self._message) is None:
            return ()
        self._message = None
        message = self._objects.end_message(draft.message, draft.content(), reason)
        step = self._objects.end_step(draft.step_id, step_status, usage=draft.usage, last_error=error)
        return (message, step)


def not_cancellable(run: Run) -> StoreError:
    """The error for cancelling a run that is over, or being cancelled."""
    return invalid(f"Cannot cancel run with status '{run.status}'.")


def told_by(*found: MessageDeltaEvent | RunStepDeltaEvent | None) -> Events:
    """The events that tell of what was said; nothing said, nothing told."""
    return tuple(
        event_of("thread.message.delta" if isinstance(delta, MessageDeltaEvent) else "thread.run.step.delta", delta)
        for delta in found
        if delta is not None
    )
