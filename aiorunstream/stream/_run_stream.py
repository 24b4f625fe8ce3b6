"""A run stream in the hands of its reader: iterate it, and leave it in any way you like.

`RunStream` reads bytes from a `ByteStream`, gives them to an `EventSource` and hands out events. It ends in one of three
ways and stays there: the run came to a stop (iteration stops), something went wrong (the error is raised again), or it
was closed early (`StreamClosedError`). Leaving closes the connection synchronously, so no cancel can get in between.
It is no generator, and no cancel scope or task group outlives a return of `__anext__`.
"""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from .._log import log
from ..errors import ClientClosedError, StreamBusyError, StreamClosedError, StreamError
from ..eventlist import EventList
from ..events import AssistantStreamEvent, RunEvent
from ..protocol import Frame
from ._actions import RunActions, Submit
from ._given import ByteStream, EventSource, NotRecoveredError, RunControl
from ._leaving import LEAVE_SECONDS, cancel_left_run, learn_run_id

if TYPE_CHECKING:
    from ..snapshot import RunSnapshot
    from ._recovery import Recovery

T = TypeVar("T")


class RunStream(RunActions["RunStream"], AsyncIterator[RunEvent]):
    """The events of one run, from its answer's first byte to the run's stop.

    Get one from `client.threads.runs.create_stream(...)`, best with `async with`, then `async for`. Iterating yields
    `RunEvent`s and keeps none. A cancelled `__anext__` loses nothing: iteration can go on.

    Args:
        body, protocol: the bytes, and what makes events of them.
        thread_id, run_id: as far as the request named them.
        control: asks the server about the run; without it nothing is cancelled or recovered.
        cancel_on_exit: whether a run that is left before its stop is cancelled.
        submit: opens the stream in which a run goes on once it has its tool outputs.
        recovery: goes on with a broken stream; without it the break is raised. What was delivered is then kept in memory.

    Iteration raises:
        RunStreamError: the server sent an error event.
        StreamTruncatedError: the body ended, or said `[DONE]`, before the run came to a stop.
        StreamInterruptedError: the connection broke; every event that had arrived was handed out before.
        StreamTimeoutError: a clock of `Timeouts` ran out.
        StreamProtocolError: the bytes are not a run stream, or an event is above a limit.
        StreamClosedError: the stream was closed before its end.
        StreamBusyError: somebody else is reading.
    """

    def __init__(
        self,
        body: ByteStream,
        protocol: EventSource,
        *,
        thread_id: str | None = None,
        run_id: str | None = None,
        control: RunControl | None = None,
        cancel_on_exit: bool = False,
        recovery: "Recovery | None" = None,
        submit: "Submit[RunStream] | None" = None,
    ) -> None:
        super().__init__(body, protocol, thread_id, run_id)
        self._control = control
        self._cancel_on_exit = cancel_on_exit
        self._submit = submit
        self._recovery = recovery
        self._step = protocol.next_event if recovery is None else recovery.remembering(protocol.next_event)
        self._next_event = self._step  # what iterating calls: refuses where frames are read
        self._reading = False
        self._reader_left: asyncio.Event | None = None
        self._over = False  # the stream has come to its end, good or bad, or was closed
        self._body_failed = False
        self._run_goes_on = True  # as far as is known
        self._not_recovered: str | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._progress_told = 0
        self._read_as: str | None = None

    # -- reading ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        self._read_only_as("events")
        return self

    async def __anext__(self) -> RunEvent:
        event = self.next_nowait()
        return event if event is not None else await self._pull("events", self._step_event)

    def next_nowait(self) -> RunEvent | None:
        """Returns the next event if it is here already, so that several can be shown in one go.

        None says that something is to be waited for, if only the end: iterate to know which.

        Raises what iterating raises, but only for an error that has come already.
        """
        try:
            event = self._next_event()
        except StreamError as error:
            if self._recovery is None:
                self._fail(error)
                raise
            return None  # it is raised again in `_pull`, where it can be recovered from
        if event is not None and self._protocol.outcome is not None:
            self._finish()
        return event

    def frames(self) -> "FrameIterator":
        """Iterates the events as names and JSON bytes, for passing on or recording: the wire's own bytes where possible.

        Either the events of a stream can be read or its frames.

        Raises:
            StreamBusyError: its events are being read.
        """
        self._read_only_as("frames")
        return FrameIterator(self)

    def frame_of(self, event: RunEvent) -> Frame:
        """The frame of the event that was handed out last, as `frames` gives it."""
        return self._protocol.frame_of(event)

    def _read_only_as(self, kind: str) -> None:
        if self._read_as not in (None, kind):
            raise StreamBusyError(f"this stream is being read as {self._read_as}, so it cannot be read as {kind}")
        if self._read_as is None:
            self._read_as = kind
            if kind == "frames":
                self._next_event = _refuse_events

    async def _pull(self, kind: str, step: Callable[[], T | None]) -> T:
        """Steps, reads on for as long as `step` has nothing, and recovers where that can be done."""
        self._read_only_as(kind)
        if self._reading:
            raise StreamBusyError("somebody else is reading this stream")
        self._reading = True
        try:
            item = await (self._read_on(step) if self._recovery is None else self._read_or_recover(step))
        except StreamError as error:
            self._fail(error)
            raise
        finally:
            self._reading = False
            if self._reader_left is not None:
                self._reader_left.set()
        if item is None:
            raise StopAsyncIteration
        if self._protocol.events_seen == 1:
            log(logging.DEBUG, "first event", event=self.last_event, thread_id=self.thread_id, run_id=self.run_id)
        if self._has_stopped():
            self._finish()
        return item

    async def _read_on(self, step: Callable[[], T | None]) -> T | None:
        while (item := step()) is None and not self._has_stopped():
            if self._protocol.events_seen != self._progress_told:
                self._progress_told = self._protocol.events_seen
                self._body.progressed()
            try:
                data = await self._body.read()
            except StreamError:
                self._body_failed = True
                raise
            self._protocol.receive_data(data)
        return item

    async def _anext_frame(self) -> Frame:
        return await self._pull("frames", self._step_frame)

    # Looked up anew at each step: closing and recovering replace it.
    def _step_event(self) -> RunEvent | None:
        return self._step()

    def _step_frame(self) -> Frame | None:
        event = self._step()
        return None if event is None else self.frame_of(event)

    def _has_stopped(self) -> bool:
        return self._protocol.outcome is not None

    # -- recovering -------------------------------------------------------------------------------------------------

    @property
    def delivered(self) -> "RunSnapshot | None":
        """What this stream, and those before it of the same run, have delivered; None unless it recovers."""
        return None if self._recovery is None else self._recovery.snapshot

    async def _read_or_recover(self, step: Callable[[], T | None]) -> T | None:
        recovery = self._recovery
        assert recovery is not None
        try:
            return await self._read_on(step)
        except StreamError as error:
            if self._over or not recovery.applies_to(error, body_failed=self._body_failed):
                raise
            kind = type(error).__name__  # the error itself would hold this frame, and this frame it
        await self._recover(recovery, kind)
        return await self._read_on(step)  # what was missed; or the same error again

    async def _recover(self, recovery: "Recovery", kind: str) -> None:
        """Puts the events that were missed in the place of the bytes that will not come, if they can be had."""
        facts = {"thread_id": self.thread_id, "run_id": self.run_id, "error": kind}
        log(logging.INFO, "recovering a broken stream", events_seen=self.events_seen, **facts)
        self._body.abort()
        try:
            events = await recovery.missing_events(self.thread_id, self.run_id)
        except NotRecoveredError as problem:
            self._recovery = None
            self._not_recovered = f"not recovered: {problem}"
            log(logging.WARNING, "could not recover a broken stream", **facts)
        else:
            if self._over:  # closed in the very turn in which the last answer came
                raise StreamClosedError("the stream was closed")
            log(logging.INFO, "recovered a broken stream", events_missed=len(events), **facts)
            self._go_on_with(events)

    def _go_on_with(self, events: tuple[AssistantStreamEvent, ...]) -> None:
        known = self._protocol
        self._run_goes_on = False
        self._protocol = EventList(
            events,
            run=known.run,
            run_id=known.run_id,
            thread_id=known.thread_id,
            last_event=known.last_event,
            events_seen=known.events_seen,
        )
        assert self._recovery is not None
        self._step = self._recovery.remembering(self._protocol.next_event)
        if self._read_as != "frames":
            self._next_event = self._step

    # -- ending -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection within one turn of the loop. Idempotent, from any task; a waiting reader is woken.

        The run goes on at the server, unless `cancel_on_exit` was asked for and it has not stopped: then it is cancelled,
        and this takes at most 2 s. Where no event has come yet, the first is waited for, up to 0.5 s, to learn which run
        it is. What is not done by then, or when this is cancelled, goes on in the background; `AsyncClient.aclose` waits
        for it. A stream that is dropped without being closed cancels nothing.

        After the run has come to a stop there is nothing to close, and this does nothing.
        """
        if self._leaving is None:
            self._leaving = self._begin_cancel()
        self._close()
        if self._leaving is not None:
            await asyncio.wait({self._leaving}, timeout=LEAVE_SECONDS)

    close = aclose

    def set_cancel_on_exit(self, *, wanted: bool) -> None:
        """Changes whether leaving early cancels the run. It counts from the next `aclose` on."""
        self._cancel_on_exit = wanted

    def _begin_cancel(self) -> "asyncio.Task[None] | None":
        """The cancelling of the run, under way; None where it is not to be cancelled, or cannot be."""
        run, control = self.run, self._control
        if not self.cancels_on_exit or control is None or not self._run_goes_on:
            return None
        if self._has_stopped():
            if not self.will_be_answered:
                return None
        elif run is not None and (run.is_terminal or run.status in ("requires_action", "cancelling")):
            return None  # any other goes on, for all that is known
        if self.run_id is None and self._over:
            return None  # it never came, and there is nothing left to read
        if self._reading:
            self._reader_left = asyncio.Event()
        try:
            return control.keep(self._cancel_left(control))
        except ClientClosedError:
            return None

    async def _cancel_left(self, control: RunControl) -> None:
        if self.run_id is None:
            await learn_run_id(self._body, self._protocol, self._reader_left)
        if not self._has_stopped() or self.will_be_answered:
            await cancel_left_run(control, self.thread_id, self.run_id)

    def _close(self) -> None:
        if self._over:
            return
        self._over = True
        self._step = self._next_event = _raise_closed
        if self._recovery is not None:
            self._recovery.give_up()
        if self._leaving is None or self.run_id is not None:
            self._body.abort()  # else the body is read on for the run's id, and then aborted
        self._log_end("closed")

    def _finish(self) -> None:
        """The run has stopped: what still comes is drained, for nobody to wait for."""
        if not self._over:
            self._over = True
            self._body.release()
            if self._recovery is not None:
                self._recovery.stopped(self.run_id, self.outcome)
            self._log_end(self.outcome)

    def _fail(self, error: StreamError) -> None:
        """Closes the connection after an error, and tells the error what the stream knew."""
        if not self._over:
            self._over = True
            self._body.abort()
            self._log_end(type(error).__name__)
        self._tell(error)
        if self._not_recovered is not None:
            error.add_note(self._not_recovered)

    def _log_end(self, how: str | None) -> None:
        facts = {"thread_id": self.thread_id, "run_id": self.run_id, "request_id": self.request_id}
        log(logging.DEBUG, "stream ended", how=how, events_seen=self.events_seen, last_event=self.last_event, **facts)

    def __del__(self) -> None:
        if not getattr(self, "_over", True) and self._body.clean_close is None:  # else its client has ended it
            # Whoever forgot it should not also pay with a socket; the loop closes it, since this may be any thread.
            self._body.abandon()
            warnings.warn(f"a run stream was dropped while open: {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<RunStream run_id={self.run_id!r} events_seen={self.events_seen} outcome={self.outcome!r}>"


# Functions, and no methods: a stream that held its own method would be a cycle, and live until it is collected.
def _refuse_events() -> NoReturn:
    raise StreamBusyError("this stream is being read as frames, so it cannot be read as events")


def _raise_closed() -> NoReturn:
    raise StreamClosedError("the stream was closed")


class FrameIterator(AsyncIterator[Frame]):
    """The frames of a stream; ends and fails as the stream's events do."""

    def __init__(self, stream: RunStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        return await self._stream._anext_frame()  # noqa: SLF001  # one class in two, for two kinds of item
