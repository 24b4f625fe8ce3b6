"""A run stream in the hands of its reader: iterate it, and leave it in any way you like.

`RunStream` reads bytes from a `ByteStream`, gives them to an `EventSource` and hands out events. It ends in one of three
ways and stays there: the run came to a stop (iteration stops), something went wrong (the error is raised again), or it
was closed early (`StreamClosedError`). Leaving closes the connection synchronously, so no cancel can get in between.
It is no generator, and no cancel scope or task group outlives a return of `__anext__`.
"""

import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from types import TracebackType
from typing import Any, Generic, NoReturn, Protocol, Self, TypeVar

from .errors import StreamBusyError, StreamClosedError, StreamError
from .events import RunEvent
from .models import Run
from .protocol import Frame

T = TypeVar("T")


class ByteStream(Protocol):
    """The body of an answer, as the transport gives it."""

    status: int
    headers: Mapping[str, str]
    clean_close: bool | None

    async def read(self) -> bytes:
        """Returns the next bytes, `b""` at the end; raises a `StreamError`, again and again once it has."""
        ...

    def progressed(self) -> None:
        """Is told that an event was decoded since the last read."""
        ...

    def abort(self) -> None:
        """Closes at once, synchronously, and wakes a waiting read."""
        ...

    def abandon(self) -> None:
        """As `abort`, from any thread."""
        ...

    def release(self) -> None:
        """Returns at once, drains in the background and pools the connection."""
        ...


class EventSource(Protocol):
    """Bytes to events: `RunProtocol`, or another with the same two methods."""

    run: Run | None
    run_id: str | None
    thread_id: str | None
    outcome: str | None
    last_event: str | None
    events_seen: int

    def receive_data(self, data: bytes) -> None:
        """Takes bytes; `b""` is the end."""
        ...

    def next_event(self) -> RunEvent | None:
        """Returns an event, or None; raises a `StreamError`."""
        ...

    def next_frame(self) -> Frame | None:
        """As `next_event`, as a name and bytes."""
        ...


class RunStream(AsyncIterator[RunEvent]):
    """The events of one run, from its answer's first byte to the run's stop.

    Get one from `client.threads.runs.create_stream(...)`, best with `async with`, then `async for`. Iterating yields
    `RunEvent`s and keeps none. A cancelled `__anext__` loses nothing: iteration can go on.

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
        self, body: ByteStream, protocol: EventSource, *, thread_id: str | None = None, run_id: str | None = None
    ) -> None:
        self._body = body
        self._protocol = protocol
        self._thread_id = thread_id
        self._run_id = run_id
        self._next_event = protocol.next_event
        self._next_frame = protocol.next_frame
        self._reading = False
        self._over = False  # the body was released, aborted or has failed: there is nothing left to close
        self._progress_told = 0
        self._read_as: str | None = None

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def thread_id(self) -> str | None:
        """The thread, from the request or the first event that names it."""
        return self._protocol.thread_id or self._thread_id

    @property
    def run_id(self) -> str | None:
        """The run: known from the first `thread.run.*` event on."""
        return self._protocol.run_id or self._run_id

    @property
    def run(self) -> Run | None:
        """The run as its last event showed it."""
        return self._protocol.run

    @property
    def outcome(self) -> str | None:
        """The status the run stopped with; None while the stream goes on, and where it ended in an error."""
        return self._protocol.outcome

    @property
    def last_event(self) -> str | None:
        """The wire name of the last event handed out."""
        return self._protocol.last_event

    @property
    def events_seen(self) -> int:
        """How many events were handed out."""
        return self._protocol.events_seen

    @property
    def status_code(self) -> int:
        """The HTTP status of the answer."""
        return self._body.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer; names in any case."""
        return self._body.headers

    @property
    def request_id(self) -> str | None:
        """The answer's `x-request-id`, if the server gave one."""
        return self._body.headers.get("x-request-id")

    @property
    def clean_close(self) -> bool | None:
        """True when the body ended as HTTP says it should, False when it was cut, None while neither is known.

        After a good end it becomes known when the drain is over, within 0.25 s.
        """
        return self._body.clean_close

    # -- reading ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        self._read_only_as("events")
        return self

    async def __anext__(self) -> RunEvent:
        try:
            event = self._next_event()
        except StreamError as error:
            self._fail(error)
            raise
        if event is None:
            return await self._pull("events", self._step_event)
        if self._protocol.outcome is not None:
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

    def _read_only_as(self, kind: str) -> None:
        if self._read_as not in (None, kind):
            raise StreamBusyError(f"this stream is being read as {self._read_as}, so it cannot be read as {kind}")
        if self._read_as is None:
            self._read_as = kind
            if kind == "frames":
                self._next_event = _refuse_events

    async def _pull(self, kind: str, step: Callable[[], T | None]) -> T:
        """Steps, and reads on for as long as `step` has nothing."""
        self._read_only_as(kind)
        if self._reading:
            raise StreamBusyError("somebody else is reading this stream")
        self._reading = True
        try:
            while (item := step()) is None and not self._has_stopped():
                if self._protocol.events_seen != self._progress_told:
                    self._progress_told = self._protocol.events_seen
                    self._body.progressed()
                self._protocol.receive_data(await self._body.read())
        except StreamError as error:
            self._fail(error)
            raise
        finally:
            self._reading = False
        if item is None:
            raise StopAsyncIteration
        if self._has_stopped():
            self._finish()
        return item

    async def _anext_frame(self) -> Frame:
        return await self._pull("frames", self._step_frame)

    # Looked up anew at each step: closing replaces both.
    def _step_event(self) -> RunEvent | None:
        return self._next_event()

    def _step_frame(self) -> Frame | None:
        return self._next_frame()

    def _has_stopped(self) -> bool:
        return self._protocol.outcome is not None

    # -- ending -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection within one turn of the loop. Idempotent, from any task; a waiting reader is woken.

        The run goes on at the server. After the run has come to a stop there is nothing to close, and this does nothing.
        """
        self._close()

    close = aclose

    def _close(self) -> None:
        if self._over:
            return
        self._over = True
        self._next_event = self._next_frame = _raise_closed
        self._body.abort()

    def _finish(self) -> None:
        """The run has stopped: what still comes is drained, for nobody to wait for."""
        if not self._over:
            self._over = True
            self._body.release()

    def _fail(self, error: StreamError) -> None:
        """Closes the connection after an error, and tells the error what the stream knew."""
        if not self._over:
            self._over = True
            self._body.abort()
        run = self._protocol.run
        error.thread_id = self.thread_id
        error.run_id = self.run_id
        error.run_status = None if run is None else run.status
        error.request_id = self.request_id
        error.status_code = self.status_code
        error.headers = self.headers
        error.last_event = self.last_event
        error.events_seen = self.events_seen
        error.outcome = self.outcome
        error.clean_close = self.clean_close

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


class _Closable(Protocol):
    async def aclose(self) -> None: ...


S_co = TypeVar("S_co", bound=_Closable, covariant=True)


class StreamCall(Coroutine[Any, Any, S_co], Generic[S_co]):
    """A request that has not been sent: await it, or enter it with `async with`, and it is.

    It is a coroutine, so `asyncio.create_task(call)`, `gather` and `wait_for` take it too. It can be used once; one that
    is dropped gets Python's own "never awaited" warning.
    """

    __slots__ = ("_coroutine", "_stream")

    def __init__(self, coroutine: Coroutine[Any, Any, S_co]) -> None:
        self._coroutine = coroutine
        self._stream: S_co | None = None

    def send(self, value: Any, /) -> Any:  # noqa: D102  # the coroutine protocol's
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:  # noqa: D102
        return self._coroutine.throw(*args)

    def close(self) -> None:  # noqa: D102
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, S_co]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> S_co:
        self._stream = stream = await self._coroutine
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if self._stream is not None:
            await self._stream.aclose()
