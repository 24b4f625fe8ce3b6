"""Runs of the bridge under way: begun, gone on with, looked at, cancelled. Each is driven by whoever reads its stream."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import msgspec

from ...errors import APIError, BadRequestError, NotFoundError, ThreadBusyError
from ...intake import StoreError, given, invalid, read_messages
from ...models import JSONObject, Run
from ...operations import SEARCH_CONTENT
from ...options import RequestOptions
from ...outputs import SubmitParams, not_waiting
from ...params import RunCreateParams
from ...protocol import OnErrorEvent
from ...store import Store
from .._base import Opened
from ._assistants import Assistants, known_tools, shown_tools
from ._input import message_item
from ._keeping import BridgedThread
from ._machine import BridgedMachine
from ._modes import InputItem
from ._request import run_body
from ._run import BridgedRun
from ._server import Server
from ._streams import Streams
from ._threads import Threads

_NOTHING_TO_ANSWER = (
    "The conversation ends with an answer, and nothing was added to it here: messages wait, for the next run, in the "
    'process that they were added in. Give all processes one store, or use ResponsesBackend(add_messages="at_once").'
)
_LOST = "The connection to the server broke, and with it what was left of the answer."


class Runs:
    """The runs of one backend.

    Args:
        store, assistants, threads: of the backend.
        server: is asked for responses.
        background: whether those go on when nobody listens.
    """

    def __init__(
        self, store: Store, assistants: Assistants, threads: Threads, server: Server, *, background: bool
    ) -> None:
        self._store = store
        self._assistants = assistants
        self._threads = threads
        self._server = server
        self._background = background
        self._streams = Streams(server, background=background)

    # -- beginning -----------------------------------------------------------------------------------------------------

    async def begin(
        self,
        thread: BridgedThread,
        params: RunCreateParams,
        options: RequestOptions,
        *,
        include: Sequence[str],
        resources: JSONObject | None = None,
        thread_is_new: bool = False,
        on_error_event: OnErrorEvent,
    ) -> Opened:
        """Begins a run, and opens the stream of its first response.

        Raises:
            StoreError: it cannot be begun, such as where another is active.
            UnsupportedParameterError: a parameter that a response cannot be asked for.
            APIError: the server did not begin a response; then there is no run.
        """
        await self.look_at_active(thread, options)
        messages = read_messages(given(params.additional_messages, ()), "additional_messages")
        places = [f"additional_messages[{place}]." for place in range(len(messages))]
        items = [InputItem(message_item(one, where)) for one, where in zip(messages, places, strict=True)]
        if not items and not self._threads.has_something_to_answer(thread):
            raise invalid(_NOTHING_TO_ANSWER)
        before = {message.id for message in thread.record.messages.all()}
        bridged = self._make(thread, params, options, include, resources)
        added = [message.id for message in thread.record.messages.all() if message.id not in before]
        items = [InputItem(kept.item, id) for kept, id in zip(items, added, strict=True)]
        thread.memory.pending += items
        try:
            opened = await self._open_first(thread, bridged, options, on_error_event)
        except BaseException:
            self._take_back(thread, bridged, items, before)
            raise
        if bridged.run.is_terminal:
            opened.body.abort()
            raise invalid(f"Run {bridged.run.id} was cancelled before the server had begun it.")
        bridged.begin(thread_is_new=thread_is_new)
        return await self._streams.learn(opened)

    async def _open_first(
        self, thread: BridgedThread, bridged: BridgedRun, options: RequestOptions, on_error_event: OnErrorEvent
    ) -> Opened:
        try:
            return await self._open(thread, bridged, options, on_error_event)
        except BadRequestError as error:
            if isinstance(error, ThreadBusyError) or not await self._threads.mend(thread, options):
                raise
        return await self._open(thread, bridged, options, on_error_event)

    async def _open(
        self, thread: BridgedThread, bridged: BridgedRun, options: RequestOptions, on_error_event: OnErrorEvent
    ) -> Opened:
        threads = self._threads
        save = partial(threads.save_for_reader, thread) if threads.are_kept_elsewhere else None
        done = partial(threads.save_later, thread)
        return await self._streams.open(bridged, options, on_error_event, save=save, done=done)

    def _make(
        self,
        thread: BridgedThread,
        params: RunCreateParams,
        options: RequestOptions,
        include: Sequence[str],
        resources: JSONObject | None,
    ) -> BridgedRun:
        definition = self._assistants.definition(params.assistant_id)
        assistant = self._store.retrieve_assistant(params.assistant_id)
        tools = given(params.tools, None)
        known = params if tools is None else msgspec.structs.replace(params, tools=known_tools(tools))
        # All of it is looked at before there is a run.
        looked_at = self._store.create_run(thread.id, msgspec.structs.replace(known, additional_messages=None))
        thread.record.runs.remove(looked_at.id)
        reached = [assistant.tool_resources, thread.record.thread.tool_resources, resources]
        body = run_body(
            looked_at,
            params,
            definition,
            resources=[msgspec.to_builtins(one) for one in reached],
            include=include,
            replays=self._threads.mode == "replay",
        )
        body |= options.extra_body or {}  # an answer of its calls must say it again
        if self._background:
            body["background"] = True
        run = self._store.create_run(thread.id, known)
        changes: dict[str, object] = {} if tools is None else {"tools": shown_tools(tools)}
        run = thread.record.runs.put(msgspec.structs.replace(run, expires_at=None, **changes))
        machine = BridgedMachine(self._store, run)
        bridged = BridgedRun(machine, thread.memory, self._threads.mode, body, with_contents=SEARCH_CONTENT in include)
        thread.runs[run.id] = bridged
        return bridged

    def _take_back(
        self, thread: BridgedThread, bridged: BridgedRun, items: Sequence[InputItem], before: set[str]
    ) -> None:
        """There is no run after all."""
        thread.runs.pop(bridged.run.id, None)
        thread.record.runs.remove(bridged.run.id)
        for message in thread.record.messages.all():
            if message.id not in before:
                thread.record.messages.remove(message.id)
        self._take_back_items(thread, items)

    def _take_back_items(self, thread: BridgedThread, items: Sequence[InputItem]) -> None:
        taken = {id(item) for item in items}
        thread.memory.pending = [kept for kept in thread.memory.pending if id(kept) not in taken]

    # -- going on ------------------------------------------------------------------------------------------------------

    async def submit(
        self,
        thread: BridgedThread,
        run_id: str,
        params: SubmitParams,
        options: RequestOptions,
        *,
        on_error_event: OnErrorEvent,
    ) -> Opened:
        """Answers what a run waits for, and opens the stream of its next response.

        Raises:
            StoreError: it waits for nothing, or not for this.
            APIError: the server did not begin a response; the run waits as before.
        """
        run = self._store.retrieve_run(thread.id, run_id)
        if (bridged := thread.runs.get(run_id)) is None:
            raise not_waiting(run)
        items = bridged.answers(params)
        if bridged.is_answered:
            raise invalid(f"Run {run_id} is being answered by another request.")
        thread.memory.pending += items
        if bridged.may_spend_no_more:
            return self._spent(bridged, params, on_error_event)
        bridged.is_answered = True
        try:
            opened = await self._open(thread, bridged, options, on_error_event)
        except BaseException:
            self._take_back_items(thread, items)
            raise
        finally:
            bridged.is_answered = False
        try:
            bridged.go_on(params)
        except StoreError:  # it was cancelled meanwhile, and its calls were answered so
            self._take_back_items(thread, items)
            opened.body.abort()
            raise
        return await self._streams.learn(opened)

    def _spent(self, bridged: BridgedRun, params: SubmitParams, on_error_event: OnErrorEvent) -> Opened:
        bridged.go_on(params)
        return self._streams.told(bridged, bridged.break_off(), on_error_event)

    def drop(self, thread_id: str, options: RequestOptions) -> None:
        """Forgets a thread that was made for a run which could not be begun."""
        self._streams.keep(self._drop(thread_id, options.for_another_request()))

    async def _drop(self, thread_id: str, options: RequestOptions) -> None:
        with suppress(APIError, StoreError):
            await self._threads.delete(thread_id, options)

    def pump(self, opened: Opened) -> None:
        """Reads a stream for nobody, so that its run goes on."""
        self._streams.pump(opened)

    # -- looking -------------------------------------------------------------------------------------------------------

    async def look_at_active(self, thread: BridgedThread, options: RequestOptions) -> None:
        """Looks how the thread's active run is, if it has one that nobody reads."""
        if (active := thread.record.active_run) is not None:
            await self.look(thread, active.id, options)

    async def look(self, thread: BridgedThread, run_id: str, options: RequestOptions) -> Run:
        """A run as it is; the server is asked where nobody reads its stream. Raises `StoreError` and `APIError`."""
        run = self._store.retrieve_run(thread.id, run_id)
        bridged = thread.runs.get(run_id)
        if run.is_terminal or run.status == "requires_action" or bridged is None or bridged.is_attached:
            return run
        if not bridged.is_sent:
            return run  # its request is under way
        response: JSONObject | None = None
        looked_for = bridged.response_id
        if looked_for is not None and self._threads.mode != "replay":
            with suppress(NotFoundError):
                response = await self._server.retrieve_response(looked_for, options.for_another_request())
        if bridged.run.is_terminal or bridged.response_id != looked_for or bridged.is_attached:
            return bridged.run  # somebody else was faster, and it may have gone on
        if response is None:
            bridged.lose(_LOST)
        elif response.get("status") not in ("queued", "in_progress"):
            bridged.hear_whole(response)
        return bridged.run

    async def cancel(self, thread: BridgedThread, run_id: str, options: RequestOptions) -> Run:
        """Cancels a run: by closing its connection, or where it is in the background, by asking the server to.

        Raises:
            StoreError: it is over already.
            APIError: the server did not cancel it.
        """
        await self.look(thread, run_id, options)
        run = self._store.retrieve_run(thread.id, run_id)
        bridged, body = thread.runs.get(run_id), self._streams.body_of(run_id)
        if bridged is None or run.is_terminal:
            raise invalid(f"Cannot cancel run with status '{run.status}'.")
        if self._background and run.status != "requires_action" and bridged.response_id is not None:
            await self._server.cancel_response(bridged.response_id, options.for_another_request())
        if bridged.run.is_terminal:
            return bridged.run
        if body is not None and bridged.is_attached:
            body.stop()
        else:
            bridged.cancel()
        return bridged.run
