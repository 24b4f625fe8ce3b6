"""The body of one response: read with clocks, aborted in one tick, or released to drain.

Facts of aiohttp 3.14 that shape this file (each has a test):

- it throws away bytes it has received when the connection breaks while nobody reads: `_salvage` takes them first;
- after a malformed chunk it closes the connection and never wakes the reader: the connection's `closed` future does;
- its own abort raises one module-wide exception whose traceback grows for ever: a fresh one is put in first;
- closing alone can leave the socket open (a silent TLS peer): the transport is aborted first.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping

import aiohttp
from multidict import CIMultiDict

from ..errors import Clock, StreamClosedError, StreamError, StreamTimeoutError
from ..options import Timeouts
from ._translate import BROKEN, body_broke, malformed_body

DRAIN_SECONDS = 0.25
_NEVER = float("inf")


class _AbortedError(Exception):
    """Wakes a waiting read; what the reader is told is in `_failure`."""


class ResponseBody:
    """The bytes of one answer.

    Args:
        response: aiohttp's, with its status and headers read.
        timeouts: idle, first_event, progress and total are this object's to keep.
        waited: seconds already spent waiting for the headers; they count for `first_event`.
        opened_at: when the request began, on the loop's clock; `total` counts from there.
        done: called once, when the connection is pooled or closed.

    Attributes:
        status, headers: of the answer.
        clean_close: True when the body ended as HTTP says, False when it was cut, None while neither is known.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        timeouts: Timeouts,
        waited: float,
        opened_at: float,
        done: Callable[["ResponseBody"], None],
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = CIMultiDict(response.headers)  # aiohttp's own does not pickle
        self.clean_close: bool | None = None
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._content = response.content
        self._connection = response.connection  # None once aiohttp has seen the end of the body
        self._done: Callable[[ResponseBody], None] | None = done
        self._failure: StreamError | None = None
        self._tail = b""
        self._draining = False
        self._idle = _NEVER if timeouts.idle is None else timeouts.idle
        self._total_at = _NEVER if timeouts.total is None else opened_at + timeouts.total
        self._timeouts = timeouts
        # The clock of the next event: `first_event`, then `progress`.
        self._event_clock: Clock = "first_event"
        self._event_seconds = _NEVER if timeouts.first_event is None else timeouts.first_event
        self._waited = waited  # seconds spent in reads since the last event
        self._reading_since = 0.0  # 0 while nobody reads: the reader's own pauses do not count
        self._timer: asyncio.Handle | None = None
        self._confirming: asyncio.Handle | None = None
        self._timer_at = _NEVER
        protocol = None if self._connection is None else self._connection.protocol
        self._lost = None if protocol is None else protocol.closed
        if self._lost is not None:
            self._lost.add_done_callback(self._on_lost)
        if self._total_at < _NEVER:
            self._arm(self._total_at)

    # -- reading ----------------------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Returns the next bytes, `b""` at the end of the body. A cancelled read loses nothing.

        Raises:
            StreamInterruptedError: the connection broke; every byte that had arrived was returned before.
            StreamTimeoutError: a clock ran out.
            StreamProtocolError: the body broke the rules of HTTP.
            StreamClosedError: the body was aborted.
        """
        if self._tail:
            tail, self._tail = self._tail, b""
            return tail
        if self._failure is not None:
            raise copy.copy(self._failure)  # fresh, so that its traceback does not grow
        now = self._loop.time()
        self._reading_since = now
        due = now + min(self._idle, self._event_seconds - self._waited)
        if due < self._timer_at and self._confirming is None:
            self._arm(due)
        broken: BaseException | None = None
        data = b""
        try:
            data = await self._content.readany()
        except (*BROKEN, _AbortedError) as error:
            # Without its traceback: aiohttp keeps the error, which would keep these frames and their stream.
            broken = error.with_traceback(None)
        finally:
            self._waited += self._loop.time() - self._reading_since
            self._reading_since = 0.0
        if broken is not None:
            self._fail(body_broke(broken))
            broken = None
            return await self.read()  # the tail, or the failure
        if not data:
            self._finish(clean=True)
        return data

    def progressed(self) -> None:
        """Says that an event was decoded since the last read: the clock of the next one starts anew."""
        self._waited = 0.0
        self._event_clock = "progress"
        self._event_seconds = _NEVER if self._timeouts.progress is None else self._timeouts.progress

    # -- ending -----------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Closes the connection now. Synchronous, idempotent, from any task; a waiting read raises `StreamClosedError`."""
        self._fail(StreamClosedError("the stream was closed"))

    def abandon(self) -> None:
        """As `abort`, from any thread: for an object that is being collected."""
        if self._done is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.abort)

    def release(self) -> None:
        """Says that nothing more is wanted: what still comes is drained, so that the connection can be used again.

        Returns at once. It drains for at most 0.25 s and one read buffer (32 KiB, where aiohttp pauses the socket), with
        one timer and no task; then the connection is closed instead.
        """
        if self._done is None:
            return
        self._disarm()
        if self._content.exception() is not None:
            self._finish(clean=False)
        elif self._content.is_eof():
            self._finish(clean=True)
        else:
            self._draining = True
            self._timer = self._loop.call_later(DRAIN_SECONDS, self._cut)
            self._content.on_eof(self._drained)

    def _cut(self) -> None:
        # As in `_tick`, so that an end that lay in the socket while the loop was blocked is seen.
        self._timer = self._loop.call_soon(self._cut_soon)

    def _cut_soon(self) -> None:
        self._timer = self._loop.call_soon(self._finish_cut)

    def _finish_cut(self) -> None:
        self._finish(clean=False)

    def _drained(self) -> None:
        self._finish(clean=True)

    def _fail(self, failure: StreamError) -> None:
        """Keeps what was received, remembers why, closes the connection and wakes the reader."""
        if self._done is None:
            return
        self._tail += self._salvage()
        self._failure = failure
        self._finish(clean=False)

    def _salvage(self) -> bytes:
        if self._reading_since:
            return b""  # a read that waits has nothing in the buffer
        error = self._content.exception()
        if error is not None:
            self._content.set_exception(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        try:
            return self._content.read_nowait(-1)
        except BROKEN:
            return b""
        finally:
            if error is not None:
                self._content.set_exception(error)

    def _finish(self, *, clean: bool) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        clean = clean or (self._content.is_eof() and self._content.exception() is None)
        self.clean_close = clean
        self._disarm()
        if self._lost is not None:
            # The future lives as long as the pooled connection: one callback, that does not hold this body, looks at it.
            self._lost.remove_done_callback(self._on_lost)
            self._lost.remove_done_callback(_look_at)
            self._lost.add_done_callback(_look_at)
        if not clean:
            self._close_connection()
        done(self)

    def _close_connection(self) -> None:
        if self._content.exception() is None:
            self._content.set_exception(_AbortedError())
        connection = self._connection
        if connection is not None and connection.transport is not None and not self._loop.is_closed():
            connection.transport.abort()
        self._response.close()

    def _on_lost(self, lost: "asyncio.Future[None]") -> None:
        _look_at(lost)
        if self._content.is_eof() or self._done is None:
            return
        if self._reading_since and self._content.exception() is None:
            self._fail(malformed_body("connection closed"))  # aiohttp would let the reader wait for ever
        elif self._draining:
            self._finish(clean=False)

    # -- clocks -----------------------------------------------------------------------------------------------------

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._tick)

    def _disarm(self) -> None:
        for handle in (self._timer, self._confirming):
            if handle is not None:
                handle.cancel()
        self._timer = self._confirming = None
        self._timer_at = _NEVER

    def _next_due(self) -> tuple[float, Clock]:
        due: tuple[float, Clock] = (self._total_at, "total")
        if self._reading_since:
            idle: tuple[float, Clock] = (self._reading_since + self._idle, "idle")
            event = (self._reading_since + self._event_seconds - self._waited, self._event_clock)
            due = min(due, idle, event)
        return due

    def _tick(self) -> None:
        self._timer, self._timer_at = None, _NEVER
        at, _ = self._next_due()
        if at <= self._loop.time():
            # Two turns of the loop let data win that lay in the socket while the loop was blocked: where a reader of
            # uvloop's blocked it, the first comes before it looks at sockets again. A read that begins meanwhile
            # leaves this alone: bytes that are no event must not put off the clock of the next event.
            self._confirming = self._loop.call_soon(self._confirm_soon)
        elif at < _NEVER:
            self._arm(at)

    def _confirm_soon(self) -> None:
        self._confirming = self._loop.call_soon(self._confirm)

    def _confirm(self) -> None:
        self._confirming = None
        at, clock = self._next_due()
        if at > self._loop.time():
            if at < _NEVER:
                self._arm(at)
            return
        seconds: float = getattr(self._timeouts, clock)
        what = {"idle": "no bytes came", "total": "the stream took longer than"}.get(clock, "no event came")
        within = f"{what} {seconds:g} s" if clock == "total" else f"{what} for {seconds:g} s"
        self._fail(StreamTimeoutError(f"{within} (Timeouts.{clock})", clock=clock, seconds=seconds))


def _look_at(lost: "asyncio.Future[None]") -> None:
    """Reads why a connection was lost, so that asyncio does not report it as never retrieved."""
    if not lost.cancelled():
        lost.exception()
