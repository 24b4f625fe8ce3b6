"""A response, from its beginning to its end: what an engine says goes in, the events of `/v1/responses` come out.

    machine = ResponseMachine({"id": "resp_1", "model": "any"}, now=now, new_id=new_id)
    events = [*machine.start(), *machine.work()]
    for item in engine.reply(turn):
        events += machine.take(item)
    events += machine.finish()

What `machine` is to a run, this is to a response. Rules of this file: events are numbered from 0 without a gap; one
item of the output is open at a time, and none once the response is over; a response that is over hears nothing more.
What the protocol has no word for is told with the nearest it has: an image in a message is a citation of a file of the
container, a response whose time is over has failed, one that is cancelled ends its stream without a last event.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Literal

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
from .models import JSONObject, Usage
from .responses_items import CodeItem, FunctionCallItem, MessageItem, OutputItem, SearchItem, Told, event
from .responses_native import NativeItem
from .responses_operations import CODE_OUTPUTS, SEARCH_RESULTS
from .spent import add_usage

ResponseStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled", "incomplete"]

_PREFIXES: Mapping[type[object], str] = {CallTool: "call", RunCode: "ci", SearchFiles: "fs", AskApproval: "mcpr"}


class ResponseMachine:
    """One response. Its methods return the events of what they did; none, where the response is past it.

    Args:
        response: what is known of it from the beginning, as JSON: its id and what was asked for.
        now: returns the time in whole Unix seconds.
        new_id: makes an id that begins with the given prefix, such as "msg", and was never made before.
        background: whether it waits in a queue first, and goes on when nobody listens.
        include: what the request asked to include.
        untold: the types of events that are left out, with no gap in the numbers.

    Attributes:
        status: as the protocol has it.
    """

    def __init__(
        self,
        response: JSONObject,
        *,
        now: Callable[[], int],
        new_id: Callable[[str], str],
        background: bool = False,
        include: Collection[str] = (),
        untold: Collection[str] = (),
    ) -> None:
        self._response = response
        self._now = now
        self._new_id = new_id
        self._include = include
        self._untold = untold
        self._background = background
        self._container_id = new_id("cntr")
        self._ends: JSONObject = {"completed_at": None, "error": None, "incomplete_details": None}
        self._output: list[JSONObject] = []
        self._item: OutputItem | None = None
        self._ids: set[str] = set()
        self._usage: Usage | None = None
        self._number = 0
        self.status: ResponseStatus = "queued" if background else "in_progress"

    @property
    def is_over(self) -> bool:
        """Whether it never changes again."""
        return self.status not in ("queued", "in_progress")

    @property
    def output(self) -> tuple[JSONObject, ...]:
        """The items that are whole, or broke off."""
        return tuple(self._output)

    @property
    def tokens_spent(self) -> int:
        """All tokens so far."""
        return self._usage.total_tokens if self._usage is not None else 0

    def response(self) -> JSONObject:
        """The response as it is now."""
        usage = _usage(self._usage) if self.is_over and self._usage is not None else None
        return {**self._response, "status": self.status, **self._ends, "output": list(self._output), "usage": usage}

    # -- the way of a response -----------------------------------------------------------------------------------------

    def start(self) -> Told:
        """The first events: it is created, and in the background queued."""
        names = ("response.created", "response.queued") if self._background else ("response.created",)
        return self._numbered([self._whole(name) for name in names])

    def work(self) -> Told:
        """It is taken up: from now on it hears what the engine says."""
        if self.is_over:
            return []
        self.status = "in_progress"
        return self._numbered([self._whole("response.in_progress")])

    def take(self, item: Item) -> Told:
        """Hears one item of the engine.

        Raises:
            ValueError: the engine goes on with a call it has not made, gives two calls one id, says what is no item, or
                text that JSON cannot hold.
        """
        if self.status != "in_progress":
            return []
        if isinstance(item, str):
            check_text("text", item)
        return self._numbered(self._hear(item))

    def finish(self) -> Told:
        """The engine has said all: the response is completed, whether or not it has called functions."""
        if self.status != "in_progress":
            return []
        return self._numbered([*self._end_item("completed"), *self._end("completed", completed_at=self._now())])

    def cancel(self) -> None:
        """It is cancelled. No event tells of it."""
        if not self.is_over:
            self._end_item("incomplete")
            self.status = "cancelled"

    # -- what the engine says ------------------------------------------------------------------------------------------

    def _hear(self, item: Item) -> Told:
        match item:
            case str() | Say() | Refuse() | ShowImage() | Cite() | CiteURL() | LinkFile():
                return self._write(item)
            case CallTool() | RunCode() | SearchFiles() | UseTool() | AskApproval():
                return self._call(item)
            case MoreArguments() | MoreCode() | PrintLogs() | DrawImage():
                return self._go_on(item)
            case EndStep():
                is_function = isinstance(self._item, FunctionCallItem)
                return [] if is_function else self._end_item("completed")
            case Usage():
                self._usage = add_usage(self._usage, item)
                return []
            case Fail():
                return self._fail(item.code, item.message)
            case Expire():
                return self._fail("server_error", "The response took longer than it may.")
            case BreakOff():
                # The prompt's limit is one that responses have no word for.
                reason = "content_filter" if item.reason == "content_filter" else "max_output_tokens"
                ended = self._end_item("incomplete")
                return [*ended, *self._end("incomplete", incomplete_details={"reason": reason})]
            case Cancel():
                self.cancel()
                return []
            case SendError():
                return [event("error", code=item.code or item.type, message=item.message, param=item.param)]
            case Pause():  # whoever drives the response waits
                return []
        raise ValueError(f"an engine cannot say a {type(item).__name__}")

    def _write(self, item: str | Say | Refuse | ShowImage | Cite | CiteURL | LinkFile) -> Told:
        message, told = self._item, []
        if not isinstance(message, MessageItem):
            message = MessageItem(self._new_id("msg"), self._place, self._container_id)
            told = self._begin(message)
        match item:
            case str():
                return [*told, *message.say(item)]
            case Say():
                return [*told, *message.say(item.text)]
            case Refuse():
                return [*told, *message.refuse(item.text)]
            case ShowImage():
                return [*told, *message.link("", item.file_id)]
            case Cite():
                return [*told, *message.cite(item.text, item.file_id)]
            case CiteURL():
                return [*told, *message.cite_url(item.text, item.url, item.title)]
            case _:  # LinkFile
                return [*told, *message.link(item.text, item.file_id)]

    def _call(self, item: CallTool | RunCode | SearchFiles | UseTool | AskApproval) -> Told:
        known = item.call.get("id") if isinstance(item, UseTool) else item.id
        id = known if isinstance(known, str) and known else self._new_id(_PREFIXES.get(type(item), "it"))
        if id in self._ids:  # no output could say which call it is for
            raise ValueError(f"two tool calls have the id {id!r}")
        self._ids.add(id)
        ended = self._end_item("completed")
        match item:
            case CallTool():
                call = FunctionCallItem(self._new_id("fc"), self._place, id, item.name)
                told = [*self._begin(call), *call.argue(item.arguments)]
            case RunCode():
                with_outputs = CODE_OUTPUTS in self._include
                code = CodeItem(id, self._place, self._container_id, with_outputs=with_outputs)
                told = [*self._begin(code), *code.code(item.code)]
            case SearchFiles():
                with_results = SEARCH_RESULTS in self._include
                told = self._begin(SearchItem(id, self._place, item.results, with_results=with_results))
            case UseTool():
                told = self._tell_whole({**item.call, "id": id})
            case _:  # AskApproval
                asked: JSONObject = {"name": item.name, "arguments": item.arguments, "server_label": item.server_label}
                told = self._tell_whole({"type": "mcp_approval_request", "id": id, **asked})
        return [*ended, *told]

    def _tell_whole(self, item: JSONObject) -> Told:
        return [*self._begin(NativeItem(self._place, item)), *self._end_item("completed")]

    def _go_on(self, item: MoreArguments | MoreCode | PrintLogs | DrawImage) -> Told:
        call = self._item
        if isinstance(item, MoreArguments):
            if isinstance(call, FunctionCallItem):
                return call.argue(item.text)
        elif isinstance(call, CodeItem):
            match item:
                case MoreCode():
                    return call.code(item.text)
                case PrintLogs():
                    return call.log(item.text)
                case _:  # DrawImage
                    return call.draw(item.file_id)
        raise ValueError(f"{type(item).__name__} without the call it belongs to just before")

    def _fail(self, code: str, message: str) -> Told:
        return [*self._end_item("incomplete"), *self._end("failed", error={"code": code, "message": message})]

    # -- items and ends ------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> int:
        """Where the next item goes, behind the one that is open."""
        return len(self._output) + (self._item is not None)

    def _begin(self, item: OutputItem) -> Told:
        ended = self._end_item("completed")
        self._item = item
        return [*ended, *item.begin()]

    def _end_item(self, status: Literal["completed", "incomplete"]) -> Told:
        if (item := self._item) is None:
            return []
        self._item = None
        told = item.end(status)
        self._output.append(item.whole(status))
        return told

    def _end(self, status: Literal["completed", "failed", "incomplete"], **ends: object) -> Told:
        self.status = status
        self._ends.update(ends)
        return [self._whole(f"response.{status}")]

    def _whole(self, type: str) -> JSONObject:
        return event(type, response=self.response())

    def _numbered(self, told: Told) -> Told:
        heard = [one for one in told if one["type"] not in self._untold]
        for one in heard:
            one["sequence_number"] = self._number
            self._number += 1
        return heard


def _usage(spent: Usage) -> JSONObject:
    return {
        "input_tokens": spent.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": spent.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": spent.total_tokens,
    }
