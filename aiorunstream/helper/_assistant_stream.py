"""A run in the hands of somebody who wants its text, its final objects, and their functions called."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from ..errors import ConfigurationError, StreamBusyError, StreamClosedError, StreamError
from ..events import RunEvent, ThreadMessageDelta
from ..handler import AssistantEventHandler, Call, Callbacks
from ..models import Message, Run, RunStep, Usage
from ..snapshot import RunSnapshot
from ..stream import RunStream, StreamCall
from ..tools import ToolSet
from ._answering import Answering, problem_of
from ._callbacks import made
from ._text_deltas import TextDeltas
from ._timing import Timing
from ._tool_round import Approve, OnToolError


class AssistantStream(AsyncIterator[RunEvent]):
    """The events of a run with what they come to: text so far, messages, steps; and the run's tools called for it.

    Wraps any call of a raw stream that was not entered yet; `runs.stream(...)` and `threads.stream(...)` are shorter:

        async with client.threads.runs.stream(thread.id, assistant_id="asst_1", tools=ToolSet([get_weather])) as stream:
            async for text in stream.text_deltas(): print(text, end="")
        run = await stream.get_final_run()

    With `tools`, a run that waits for tool outputs is answered and goes on: the caller sees one uninterrupted sequence of
    events, and `segment` counts its parts. Everything a raw stream promises holds here too.

    Args:
        call: a raw stream's, such as `runs.create_stream(...)`.
        tools: functions to call where the run asks for them; without them iteration ends at "requires_action".
        event_handler: is told what happens before the event is handed out.
        on_tool_error: "report" tells the model what went wrong with a call; "raise" raises `ToolError` and cancels the run.
        tool_timeout: seconds for a call whose tool sets no time of its own; None for no limit but the run's `expires_at`.
        max_concurrent_tools: how many calls are made at the same time. Functions that are not async run in threads.
        max_rounds: how often tools are called before `ToolError` is raised and the run cancelled.
        approve: asked before each call, may be async; False tells the model that the user refused. Where a run at Azure
            waits for leave to call a tool of an MCP server, that is asked too, as a function named `server_label.name`;
            without `approve` iteration ends there.

    Raises:
        ConfigurationError: a setting cannot be meant.
        Any exception of a raw stream, on entering and on iterating; `ToolError`; and whatever the handler or `approve` raises.

    A cancelled step loses nothing: tool calls that were done are not made again, one that was interrupted is.
    """

    def __init__(
        self,
        call: StreamCall[RunStream],
        *,
        tools: ToolSet | None = None,
        event_handler: AssistantEventHandler | None = None,
        on_tool_error: OnToolError = "report",
        tool_timeout: float | None = 60.0,
        max_concurrent_tools: int = 8,
        max_rounds: int = 16,
        approve: Approve | None = None,
    ) -> None:
        problem = problem_of(
            tools=tools,
            event_handler=event_handler,
            on_tool_error=on_tool_error,
            tool_timeout=tool_timeout,
            max_concurrent_tools=max_concurrent_tools,
            max_rounds=max_rounds,
            approve=approve,
        )
        if problem is not None:
            call.close()  # else Python warns of a request that was never sent
            raise ConfigurationError(problem[1])
        self._call = call
        self._handler = event_handler
        self._answering = Answering(
            tools,
            on_error=on_tool_error,
            timeout=tool_timeout,
            at_once=max_concurrent_tools,
            max_rounds=max_rounds,
            approve=approve,
        )
        self._timing = Timing()
        self._stream: RunStream | None = None
        self._snapshot = RunSnapshot()
        self._adds = True  # else the stream does it, in order to recover
        self._callbacks: Callbacks | None = None
        self._held: RunEvent | None = None  # an event whose callbacks are not through
        self._calls: Iterator[Call] = iter(())
        self._next: asyncio.Task[RunStream] | None = None
        self._busy = False  # between two events: callbacks and tool calls are being made
        self._failure: Exception | None = None  # of a round of tool calls
        self._failure_told = self._ended = self._closed = self._run_given_up = self._entered = False
        self._segment = 0
        self._seen_before = 0

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def run_stream(self) -> RunStream:
        """The raw stream that is being read now. Raises `StreamBusyError` before the call was entered."""
        if self._stream is None:
            raise StreamBusyError("this stream is not open: enter it with `async with`")
        return self._stream

    @property
    def snapshot(self) -> RunSnapshot:
        """What the events have come to so far. It goes on changing; the objects it gives out do not."""
        return self._snapshot

    @property
    def text(self) -> str:
        """The text so far, of all messages of the assistant in this run."""
        return self._snapshot.text

    @property
    def segment(self) -> int:
        """Which part of the run is being read: 1, and one more each time its tools were called. 0 before it is open."""
        return self._segment

    @property
    def thread_id(self) -> str | None:
        """The thread, from the request or the first event that names it."""
        return None if self._stream is None else self._stream.thread_id

    @property
    def run_id(self) -> str | None:
        """The run: known from the first `thread.run.*` event on."""
        return None if self._stream is None else self._stream.run_id

    @property
    def run(self) -> Run | None:
        """The run as its last event showed it."""
        return self._snapshot.run

    @property
    def outcome(self) -> str | None:
        """The status the run stopped with; None while it goes on, and while its tools are called."""
        if self._stream is None or (self._answering.is_for(self._stream) and self._failure is None):
            return None
        return self._stream.outcome

    @property
    def events_seen(self) -> int:
        """How many events came, of all segments."""
        return self._seen_before + (0 if self._stream is None else self._stream.events_seen)

    @property
    def usage(self) -> Usage | None:
        """The tokens the run has spent, once the server has said so."""
        return None if self.run is None else self.run.usage

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the request to the first text; None before it."""
        return self._timing.time_to_first_token

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens by the seconds from the request to the end, less those in which tools were called.

        None before the end, or where nobody counted.
        """
        return self._timing.tokens_per_second(self.usage)

    # -- reading ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        if self._busy:
            raise StreamBusyError("somebody else is reading this stream")
        if self._held is not None:
            return await self._hand_out()
        try:
            stream = self._stream or self.run_stream  # the field first: a tenth of what this adds
            event = stream.next_nowait() or await stream.__anext__()
        except (StopAsyncIteration, StreamError) as end:
            event = await self._go_past(end)
        if self._adds:
            self._snapshot.add(event)
        if self._timing.first_text_at is None and type(event) is ThreadMessageDelta and event.data.text:
            self._timing.say()
        if self._callbacks is None:
            return event
        self._held, self._calls = event, self._callbacks.of(event)
        return await self._hand_out()

    def text_deltas(self) -> TextDeltas:
        """Iterates the text, piece by piece as it comes. What else happens is to be seen in `snapshot` and by handlers."""
        return TextDeltas(self)

    async def until_done(self) -> None:
        """Reads to the end. Raises as iterating does."""
        async for _ in self:
            pass

    async def get_final_run(self) -> Run:
        """Reads to the end, and returns the run as it stopped. Raises as iterating does."""
        await self.until_done()
        assert self.run is not None, "a stream ends with an event of its run"
        return self.run

    async def get_final_messages(self) -> tuple[Message, ...]:
        """Reads to the end, and returns the messages of the run, in the order they began. Raises as iterating does."""
        await self.until_done()
        return self._snapshot.messages

    async def get_final_run_steps(self) -> tuple[RunStep, ...]:
        """Reads to the end, and returns the steps of the run, in the order they began. Raises as iterating does."""
        await self.until_done()
        return self._snapshot.run_steps

    async def _hand_out(self) -> RunEvent:
        """Makes the callbacks that are left of the event, and returns it. One that raised, or was cancelled, was made."""
        if self._closed:
            raise self._closed_error()
        self._busy = True
        try:
            for call in self._calls:
                await made(call)
                if self._ended:  # it was closed meanwhile, and the handler told so
                    break
        finally:
            self._busy = False
        event, self._held = self._held, None
        assert event is not None
        return event

    async def _go_past(self, end: Exception) -> RunEvent:
        """The first event behind the end of a segment, once its calls are answered; raises what ends the stream."""
        self._busy = True
        try:
            while isinstance(end, StopAsyncIteration) and self._answering.is_for(self.run_stream):
                try:
                    await self._go_on(self.run_stream)
                except Exception as error:
                    self._failure = end = error
                    break
                try:
                    return await self.run_stream.__anext__()
                except (StopAsyncIteration, StreamError) as next_end:
                    end = next_end
            await self._end(end)
            raise end
        finally:
            self._busy = False

    # -- tools ------------------------------------------------------------------------------------------------------

    async def _go_on(self, stream: RunStream) -> None:
        """Makes the calls the run waits for, and opens the stream in which it goes on."""
        if self._failure is not None:
            raise self._failure
        stream.will_be_answered = self._next is None
        if self._next is None:
            try:
                submit = await self._answer(stream)
            except Exception as error:
                self._failure = error  # now: what comes next may be cancelled
                if not self._closed:
                    await self._give_up_run(stream)
                raise
            stream.will_be_answered = False
            self._next = asyncio.get_running_loop().create_task(submit)
        submitting = self._next
        await asyncio.wait({submitting})  # a cancel must not send them again
        if self._closed:
            raise self._closed_error()
        self._next = None
        self._adopt(submitting.result())

    async def _answer(self, stream: RunStream) -> StreamCall[RunStream]:
        """Does what the run waits for; returns the call that tells it."""
        run = stream.run
        assert run is not None, "it said what it waits for"
        if self._closed:
            raise self._closed_error()
        deadline = self._timing.expiry(run, stream.headers)
        return await self._timing.of_tools(self._answering.answer(stream, run, round=self._segment, deadline=deadline))

    async def _give_up_run(self, stream: RunStream) -> None:
        """Has the run cancelled, once: nobody will answer it."""
        if not self._run_given_up:
            self._run_given_up = True
            stream.will_be_answered = False
            await stream.cancel_unanswered_run()

    # -- beginning and ending ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._closed and not self._entered:
            raise self._closed_error()
        self._entered = True
        self._timing.enter()
        stream = await self._call
        self._adopt(stream)
        if stream.run_id is None:
            self._timing.begin_run()
        return self

    if not TYPE_CHECKING:  # type checkers have a better place for this error

        def __await__(self) -> NoReturn:
            self._call.close()  # else Python warns of a request that was never sent, too
            raise StreamBusyError("this stream is not to be awaited: enter it with `async with`")

    def _adopt(self, stream: RunStream) -> None:
        self._seen_before = self.events_seen
        self._stream = stream
        self._timing.open()
        self._segment += 1
        delivered, snapshot = stream.delivered, self._snapshot
        if self._segment == 1:
            self._adds, self._snapshot = delivered is None, delivered or snapshot
            if self._handler is not None:
                self._callbacks = Callbacks(self._handler, self._snapshot)
        elif delivered is not snapshot:
            self._adds = True
            if delivered is not None and snapshot.run is not None:  # it is to recover, and was not there before
                for event in delivered.missing_events(snapshot.run, snapshot.messages, snapshot.run_steps):
                    delivered.add(event)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection, and ends tool calls that are being made. Idempotent, from any task.

        One that was not entered yet sends nothing, and cannot be entered any more.

        With `cancel_on_exit` a run that has not ended is cancelled, also one that waits for its tools: nobody will answer
        it. That takes at most 2 s; see `RunStream.aclose`.
        """
        self._closed = True
        self._answering.give_up(self._closed_error())
        if not self._entered:
            self._call.close()  # else Python warns of a request that was never sent
        if self._stream is None:
            return
        submitting, self._next = self._next, None
        if submitting is not None and submitting.done() and not (submitting.cancelled() or submitting.exception()):
            self._adopt(submitting.result())  # it was opened while nobody waited for it
        elif submitting is not None:
            submitting.cancel()
        try:
            if self._answering.is_for(self._stream) and self._stream.cancels_on_exit:
                await self._give_up_run(self._stream)  # its request is on the way before anything is waited for
            if submitting is not None:
                await asyncio.wait({submitting})
            await self._stream.aclose()
        finally:
            await self._end()

    close = aclose

    async def cancel_run(self) -> Run:
        """Asks the server to stop the run; see `RunStream.cancel_run`.

        While tools are being called there is no stream that could end with the run: its reader gets the server's refusal
        of their outputs, a `BadRequestError`.
        """
        if self._stream is None:
            raise StreamError("the run cannot be cancelled: the stream was not entered yet")
        return await self.run_stream.cancel_run()

    async def _end(self, error: Exception | None = None) -> None:
        """Tells the handler, once each, what the stream failed with, and that it is over."""
        if self._ended:
            return
        handler, told = self._handler, self._failure_told
        if error is not None and not told and not isinstance(error, (StopAsyncIteration, StreamClosedError)):
            self._failure_told = True
            if handler is not None:
                await made(partial(handler.on_exception, error))
        self._ended = True
        self._timing.end()
        if handler is not None:
            await made(handler.on_end)

    def _closed_error(self) -> StreamClosedError:
        error = StreamClosedError("the stream was closed")
        error.thread_id, error.run_id, error.events_seen = self.thread_id, self.run_id, self.events_seen
        return error

    def __repr__(self) -> str:
        return f"<AssistantStream run_id={self.run_id!r} segment={self.segment} outcome={self.outcome!r}>"
