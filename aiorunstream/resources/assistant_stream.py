"""A run in the hands of somebody who wants its text, its final objects, and their functions called."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Never, Self

from ..errors import ConfigurationError, StreamBusyError, StreamError, ToolError
from ..events import RunEvent, ThreadMessageDelta
from ..handler import AssistantEventHandler, Call, Callbacks, Told
from ..models import Message, Run, RunStep, Usage
from ..snapshot import RunSnapshot
from ..stream import RunStream, StreamCall
from ..tools import ToolSet
from ._tool_round import Approve, OnToolError, ToolRound

_BEFORE_EXPIRY = 1.0
"""Seconds before a run's `expires_at` by which its tools must be done: times on the wire are whole seconds."""


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
        approve: asked before each call, may be async; False tells the model that the user refused.

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
        _check(on_tool_error in ("report", "raise"), 'on_tool_error must be "report" or "raise"')
        _check(tool_timeout is None or tool_timeout > 0, "tool_timeout must be above 0 seconds, or None")
        _check(max_concurrent_tools >= 1, "max_concurrent_tools must be at least 1")
        _check(max_rounds >= 0, "max_rounds must be at least 0")
        self._call = call
        self._handler = event_handler
        self._max_rounds = max_rounds
        self._tools = (
            None
            if tools is None
            else ToolRound(
                tools, on_error=on_tool_error, timeout=tool_timeout, at_once=max_concurrent_tools, approve=approve
            )
        )
        self._stream: RunStream | None = None
        self._snapshot = RunSnapshot()
        self._adds = True  # else the stream does it, in order to recover
        self._callbacks: Callbacks | None = None
        self._held: RunEvent | None = None  # an event whose callbacks are not through
        self._calls: Iterator[Call] = iter(())
        self._next: asyncio.Task[RunStream] | None = None
        self._failure: Exception | None = None
        self._ended = False
        self._segment = 0
        self._seen_before = 0
        self._entered_at = 0.0  # these are on the loop's clock
        self._run_began_at: float | None = None
        self._first_text_at: float | None = None
        self._ended_at: float | None = None

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
        if self._stream is None or (self._answers(self._stream) and self._failure is None):
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
        return None if self._first_text_at is None else self._first_text_at - self._entered_at

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens by the seconds from the first text to the end; None before the end, or where nobody counted."""
        if self._ended_at is None or self._first_text_at is None or self.usage is None:
            return None
        seconds = self._ended_at - self._first_text_at
        return self.usage.completion_tokens / seconds if seconds > 0 else None

    # -- reading ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        if self._held is not None:
            return await self._hand_out()
        event = await self._next_raw_event()
        if self._adds:
            self._snapshot.add(event)
        if self._first_text_at is None and isinstance(event, ThreadMessageDelta) and event.data.text:
            self._first_text_at = asyncio.get_running_loop().time()
        if self._callbacks is None:
            return event
        self._held, self._calls = event, self._callbacks.of(event)
        return await self._hand_out()

    def text_deltas(self) -> "TextDeltas":
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

    async def _next_raw_event(self) -> RunEvent:
        if self._failure is not None:
            raise self._failure
        while True:
            try:
                return await self.run_stream.__anext__()
            except StopAsyncIteration:
                if self._answers(self.run_stream):
                    await self._go_on(self.run_stream)
                    continue
                await self._end()
                raise
            except StreamError as error:
                await self._tell_failure(error)
                raise

    async def _hand_out(self) -> RunEvent:
        """Makes the callbacks that are left of the event, and returns it. One that raised, or was cancelled, was made."""
        for call in self._calls:
            await _made(call())
        event, self._held = self._held, None
        assert event is not None
        return event

    # -- tools ------------------------------------------------------------------------------------------------------

    def _answers(self, stream: RunStream) -> bool:
        """Whether the run waits for outputs that are made here."""
        return self._tools is not None and stream.outcome == "requires_action"

    async def _go_on(self, stream: RunStream) -> None:
        """Makes the calls the run waits for, and opens the stream in which it goes on."""
        assert self._tools is not None
        run = stream.run
        assert run is not None, "it said what it waits for"
        if self._next is None:
            if self._segment > self._max_rounds:
                await self._fail(stream, ToolError(f"the run asked for its tools more than {self._max_rounds} times"))
            try:
                outputs = await self._tools.outputs(run.tool_calls, deadline=self._deadline(run))
            except Exception as error:
                await self._fail(stream, error)
            self._next = asyncio.get_running_loop().create_task(stream.submit_tool_outputs(outputs))
        try:
            opened = await asyncio.shield(self._next)  # a cancel must not send them again
        except Exception as error:
            self._failure = error
            await self._tell_failure(error)
            raise
        self._next = None
        self._seen_before += stream.events_seen
        self._adopt(opened)

    async def _fail(self, stream: RunStream, error: Exception) -> Never:
        """The run is given up: nobody will answer it."""
        self._failure = error
        await stream.cancel_unanswered_run()
        await self._tell_failure(error)
        raise error

    def _deadline(self, run: Run) -> float:
        """When the run expires, on the loop's clock."""
        loop = asyncio.get_running_loop()
        if run.expires_at is None:
            return float("inf")
        if self._run_began_at is not None and run.created_at is not None:
            # Both times are the server's, so its clock need not agree with ours.
            return self._run_began_at + (run.expires_at - run.created_at) - _BEFORE_EXPIRY
        return loop.time() + (run.expires_at - time.time()) - _BEFORE_EXPIRY

    # -- beginning and ending ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._entered_at = asyncio.get_running_loop().time()
        stream = await self._call
        if stream.run_id is None:
            self._run_began_at = asyncio.get_running_loop().time()
        self._adopt(stream)
        return self

    def _adopt(self, stream: RunStream) -> None:
        self._stream = stream
        self._segment += 1
        if stream.delivered is not None:
            self._snapshot, self._adds = stream.delivered, False
        if self._handler is not None and (self._callbacks is None or not self._adds):
            self._callbacks = Callbacks(self._handler, self._snapshot)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection, and ends tool calls that are being made. Idempotent, from any task.

        With `cancel_on_exit` a run that has not ended is cancelled, also one that waits for its tools: nobody will answer
        it. That takes at most 2 s; see `RunStream.aclose`.
        """
        submitting, self._next = self._next, None
        if submitting is not None:
            submitting.cancel()
            await asyncio.wait({submitting})
            if not submitting.cancelled() and submitting.exception() is None:
                await submitting.result().aclose()
        stream = self._stream
        if stream is not None:
            if self._answers(stream) and self._failure is None and stream.cancels_on_exit:
                await stream.cancel_unanswered_run()
            await stream.aclose()
            await self._end()

    close = aclose

    async def cancel_run(self) -> Run:
        """Asks the server to stop the run; see `RunStream.cancel_run`."""
        return await self.run_stream.cancel_run()

    async def _tell_failure(self, error: Exception) -> None:
        if self._handler is not None and not self._ended:
            await _made(self._handler.on_exception(error))
        await self._end()

    async def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._ended_at = asyncio.get_running_loop().time()
        if self._handler is not None:
            await _made(self._handler.on_end())

    def __repr__(self) -> str:
        return f"<AssistantStream run_id={self.run_id!r} segment={self.segment} outcome={self.outcome!r}>"


class TextDeltas(AsyncIterator[str]):
    """The pieces of text of a stream; ends and fails as its events do."""

    def __init__(self, stream: AssistantStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            event = await anext(self._stream)
            if isinstance(event, ThreadMessageDelta) and (text := event.data.text):
                return text


async def _made(told: Told) -> None:
    """Waits for what a handler's method returned, if that is to be awaited."""
    if told is not None:
        await told


def _check(holds: object, problem: str) -> None:
    if not holds:
        raise ConfigurationError(problem)
