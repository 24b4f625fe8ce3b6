"""One run on its way to one browser: opened, passed on, and left as the browser leaves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from starlette.types import Receive, Send

from .._log import log
from ..errors import AiorunstreamError, ClientClosedError, InvalidArgumentError, RunStreamError, StreamProtocolError
from ..events import ErrorEvent
from ..helper import AssistantStream
from ..protocol import Frame
from ..sse import encode
from ..stream import LEARN_SECONDS, RunStream, StreamCall
from ._browser import Browser
from ._problems import INTERNAL, Problem, problem_of, problem_of_stop
from ._writing import DONE, PING, Writer

Head = tuple[int, list[tuple[bytes, bytes]]]
_leaving: set[asyncio.Task[None]] = set()
"""Calls that nobody waits for any more, each for a few seconds at most: a loop keeps no task alive by itself."""


class Relaying:
    """Passes one run on to one browser.

    Args:
        call: is opened, and closed.
        writer: makes bytes of events.
        text_only: whether only its text goes out.
        ping: seconds; None for no pings.
        cancels: whether the run is cancelled when the browser leaves.
        receive, send: of the ASGI server.
    """

    def __init__(
        self,
        call: StreamCall[RunStream] | AssistantStream,
        *,
        writer: Writer,
        text_only: bool,
        ping: float | None,
        cancels: bool,
        receive: Receive,
        send: Send,
    ) -> None:
        self._writer = writer
        self._text_only = text_only
        self._ping = ping
        self._cancels = cancels
        # Without its reader nobody would call the run's tools.
        self._reads_on = not cancels and isinstance(call, AssistantStream)
        self._there = anyio.CancelScope()
        self._browser = Browser(receive, send, self._on_left)
        self._opening = asyncio.get_running_loop().create_task(_opened(call))
        self._has_ended = False  # the run was read to its end, good or bad: the call's own settings count from then on

    async def run(self, head: Head, refuse: Callable[[AiorunstreamError], Awaitable[None]]) -> None:
        """Does all of it. Raises what is no error of this package, once the browser was told that something is wrong.

        Args:
            head: status and headers of the answer, where the run can be opened.
            refuse: answers where it cannot.
        """
        try:
            with self._there:
                self._browser.watch()
                await asyncio.wait({self._opening})
                await self._answer(head, refuse)
            if self._reads_on and self._browser.has_left and not self._has_ended:
                await self._read_on()
            if self._browser.failure is not None:
                raise self._browser.failure
        finally:
            self._browser.stop_watching()
            await self._leave()
            await self._browser.stopped()

    def _on_left(self) -> None:
        if self._browser.failure is not None or self._cancels or self._browser.is_writing:
            self._there.cancel()
        elif self._opening.done() and not self._reads_on:
            self._there.cancel()  # else the request is still to get through: the run is wanted

    # -- the answer -------------------------------------------------------------------------------------------------

    async def _answer(self, head: Head, refuse: Callable[[AiorunstreamError], Awaitable[None]]) -> None:
        error = _failure_of(self._opening)
        if error is None:
            await self._pass_on(self._opening.result(), head)
        elif not isinstance(error, AiorunstreamError):
            raise error
        else:
            log(logging.WARNING, "relay refused", error=type(error).__name__)
            if not self._browser.has_left:
                self._browser.stop_watching()
                await self._browser.stopped()
                await refuse(error)

    async def _pass_on(self, stream: RunStream | AssistantStream, head: Head) -> None:
        browser, failure = self._browser, None
        if browser.has_left and not self._reads_on:
            self._there.cancel()
            await anyio.lowlevel.checkpoint()
        await browser.start(*head)
        if self._ping is not None:
            await browser.write(PING)  # some servers and proxies hold the head back until there is a body
            browser.ping_every(self._ping)
        try:
            problem = await self._write(stream)
        except AiorunstreamError as error:
            problem = problem_of(error)
            facts = {"thread_id": stream.thread_id, "run_id": stream.run_id}
            log(logging.WARNING, "relay broken off", error=type(error).__name__, code=problem.code, **facts)
        except Exception as error:  # of a handler, say: whose it is must hear of it, and the browser not wait
            problem, failure = INTERNAL, error
        self._has_ended = browser.failure is None
        await browser.end(DONE if problem is None else encode(problem.data(), event="error") + DONE)
        if failure is not None:
            raise failure

    async def _write(self, stream: RunStream | AssistantStream) -> Problem | None:
        """Passes on every event that is to go out; returns what the run's stop was, if the browser did not see it."""
        await (self._write_text(stream) if self._text_only else self._write_frames(stream))
        return None if self._writer.last_went_out else problem_of_stop(stream.outcome)

    async def _write_frames(self, stream: RunStream | AssistantStream) -> None:
        writer, browser = self._writer, self._browser
        async for frame in stream.frames() if isinstance(stream, RunStream) else _Frames(stream):
            if frame.event == "error":
                raise _server_error()  # its words are the server's own
            if writer.run_id is None:
                writer.run_id = stream.run_id
            try:
                data = writer.frame(frame)
            except InvalidArgumentError:
                raise StreamProtocolError("an event has a name that could forge another") from None
            if data is not None:
                await browser.write(data)

    async def _write_text(self, stream: RunStream | AssistantStream) -> None:
        async for event in stream:
            if isinstance(event, ErrorEvent):
                raise _server_error()
            if self._writer.run_id is None:
                self._writer.run_id = stream.run_id
            data = self._writer.text(event)
            if data is not None:
                await self._browser.write(data)

    async def _read_on(self) -> None:
        """Reads what is left of a run whose tools are called here, for nobody to see."""
        stream = self._opening.result()
        assert isinstance(stream, AssistantStream)
        try:
            await stream.until_done()
        except AiorunstreamError as error:
            log(logging.WARNING, "relay broken off", error=type(error).__name__, run_id=stream.run_id)
        self._has_ended = True

    # -- leaving ----------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        if self._opening.done():
            await self._leave_stream()  # here and now: the client may be closed next
            return
        leaving = asyncio.get_running_loop().create_task(self._leave_opening())
        _leaving.add(leaving)
        leaving.add_done_callback(_leaving.discard)
        await asyncio.wait({leaving})

    async def _leave_opening(self) -> None:
        """Waits for the answer to a request that may have started a run, so that the run can be cancelled."""
        await asyncio.wait({self._opening}, timeout=LEARN_SECONDS)
        if not self._opening.done():
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self._leave_stream()

    async def _leave_stream(self) -> None:
        if _failure_of(self._opening) is not None:
            return
        stream = self._opening.result()
        read = stream.run_stream if isinstance(stream, AssistantStream) else stream
        if not self._has_ended:
            read.set_cancel_on_exit(wanted=self._cancels)  # how the call was made does not count here
        await stream.aclose()
        if (
            isinstance(stream, AssistantStream)
            and stream.run_stream is not read
            and not self._has_ended
            and self._cancels
        ):
            await stream.run_stream.cancel_unanswered_run()  # it had gone on in another stream just then


class _Frames(AsyncIterator[Frame]):
    """The frames of a helper stream, of all segments."""

    def __init__(self, stream: AssistantStream) -> None:
        self._stream = stream

    async def __anext__(self) -> Frame:
        event = await anext(self._stream)
        return self._stream.run_stream.frame_of(event)


def _server_error() -> RunStreamError:
    return RunStreamError("the server sent an error event")


async def _opened(call: StreamCall[RunStream] | AssistantStream) -> RunStream | AssistantStream:
    return await call.__aenter__()


def _failure_of(opening: "asyncio.Task[RunStream | AssistantStream]") -> BaseException | None:
    """What kept the stream from being opened; None where it was."""
    if opening.cancelled():
        return ClientClosedError("the request was given up")
    return opening.exception()
