"""The body of a response's stream: one answer, or several that go on from each other; and what becomes of its run."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Mapping

from ..._log import log
from ...errors import APIError, StreamClosedError, StreamError, StreamInterruptedError, StreamTimeoutError
from ...retry import poll_delay
from ...transport import ResponseBody
from ._protocol import ResponsesProtocol
from ._run import BridgedRun

_MOST_RESUMES = 5
"""How often in a row a stream is opened again that brings nothing new."""

Reopen = Callable[[str, int], Awaitable[ResponseBody]]
"""Opens the stream of the response with that id again, after the event of that number."""
Save = Callable[[], Awaitable[None]]
"""Keeps a thread. Raises nothing."""


class BridgedBody:
    """The bytes of a response's stream, for a `RunStream`.

    A reader that leaves closes the connection, which ends the generation, so that the run is cancelled. One that is in
    the background goes on without it, and where its connection breaks, another takes its place.

    Args:
        body: the answer to the request.
        protocol: what its bytes go to.
        bridged: the run.
        reopen: resumes the stream; None where it cannot be.
        save: keeps the thread before anybody is told that the run has stopped; None where that is not wanted.
        done: is told once, when nothing more is read.
    """

    def __init__(
        self,
        body: ResponseBody,
        protocol: ResponsesProtocol,
        bridged: BridgedRun,
        *,
        reopen: Reopen | None,
        save: Save | None = None,
        done: Callable[[], None],
    ) -> None:
        self._body = body
        self._protocol = protocol
        self._bridged = bridged
        self._reopen = reopen
        self._save = save
        self._done: Callable[[], None] | None = done
        self._loop = asyncio.get_running_loop()
        self._broke = False
        self._failure: StreamError | None = None  # what ended the reading
        self._stopped = False
        self._resumes = 0
        self._number: int | None = None
        self._opening: tuple[asyncio.Task[ResponseBody], StreamError] | None = None  # and why
        bridged.is_attached = True

    @property
    def status(self) -> int:
        """The HTTP status of the last answer."""
        return self._body.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer."""
        return self._body.headers

    @property
    def clean_close(self) -> bool | None:
        """Whether the last answer's body ended as HTTP says."""
        return self._body.clean_close

    def progressed(self) -> None:
        """An event was decoded."""
        self._body.progressed()

    async def read(self) -> bytes:
        """Returns the next bytes; `b""` at the end. Raises a `StreamError`."""
        while True:
            if self._is_stopped():
                return b""
            if self._failure is not None:
                raise copy.copy(self._failure)  # fresh, so that its traceback does not grow
            if self._protocol.is_held and self._save is not None:
                await self._save()
                self._protocol.let_go()
                return b""
            if self._done is None:
                raise StreamClosedError("the stream was closed")
            if self._opening is not None:
                await self._resume(*self._opening)
                continue
            failure: StreamError = StreamInterruptedError("the stream ended before its response came to a stop")
            ended = False
            try:
                data = await self._body.read()
                if data:
                    return data
                ended = True
            except StreamClosedError:
                if self._is_stopped():
                    return b""
                raise
            except (StreamInterruptedError, StreamTimeoutError) as error:
                failure = error
            except StreamError as error:
                self._break(error)
                raise
            if self._can_resume(failure):
                self._opening = self._loop.create_task(self._open_again()), failure
                continue
            self._break(None if ended else failure)
            if ended:
                return b""
            raise failure

    async def learn(self) -> None:
        """Reads until the response's id is known, or the stream has failed; what fails, the reader is told."""
        while self._bridged.response_id is None and self._protocol.is_open:
            try:
                self._protocol.receive_data(await self._body.read())
            except StreamError:
                return
            self._protocol.prepare()

    # -- leaving -------------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Closes the connection now. Unless it goes on in the background, the run is cancelled."""
        self._abort()
        self._leave()

    def abandon(self) -> None:
        """As `abort`, from any thread."""
        self._body.abandon()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave)

    def release(self) -> None:
        """The run has stopped: what still comes is drained."""
        self._body.release()
        self._finish()

    def stop(self) -> None:
        """The run was cancelled by somebody else: the reader is woken, and told so by events."""
        self._protocol.tell(self._bridged.cancel())
        self._protocol.let_go()  # whoever has cancelled it saves it
        self._stopped = True
        if asyncio.get_running_loop() is self._loop:
            self._abort()
        else:
            self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        self._body.abort()
        opening = None if self._opening is None else self._opening[0]
        if opening is not None and not opening.cancel() and not opening.cancelled() and opening.exception() is None:
            opening.result().abort()

    def _leave(self) -> None:
        if self._done is None:
            return
        if self._reopen is None and not self._broke and self._bridged.run.status in ("queued", "in_progress"):
            self._bridged.cancel()
        self._finish()

    def _break(self, failure: StreamError | None) -> None:
        """The stream ended, and the response had not: what became of it, only the server can tell."""
        self._broke, self._failure = True, failure
        self._bridged.is_attached = False

    def _finish(self) -> None:
        done, self._done = self._done, None
        self._bridged.is_attached = False
        if done is not None:
            done()

    # -- resuming ------------------------------------------------------------------------------------------------------

    def _is_stopped(self) -> bool:
        """Whether the run was cancelled, in this read perhaps."""
        return self._stopped

    def _can_resume(self, failure: StreamError) -> bool:
        if self._reopen is None or self._bridged.is_settled or self._done is None:
            return False
        if isinstance(failure, StreamTimeoutError) and failure.clock == "total":
            return False
        if self._bridged.response_id is None or self._protocol.last_number is None:
            return False
        self._resumes = 0 if self._number != self._protocol.last_number else self._resumes + 1
        self._number = self._protocol.last_number
        return self._resumes < _MOST_RESUMES

    async def _resume(self, opening: asyncio.Task[ResponseBody], failure: StreamError) -> None:
        """Goes on with the stream that is being opened. A cancel loses nothing: the next read waits for the same.

        Raises:
            StreamError: the server cannot, or not now.
        """
        await asyncio.wait({opening})
        self._opening = None
        if opening.cancelled():
            return  # by somebody who has left, or stopped the run
        problem = opening.exception()
        if problem is None:
            self._body.abort()
            self._body = opening.result()
            self._protocol.restart()
            return
        if not isinstance(problem, APIError):
            raise problem
        failure.add_note(f"not resumed: {problem}")
        self._break(failure)
        log(logging.WARNING, "could not resume a response's stream", error=type(problem).__name__)
        raise failure

    async def _open_again(self) -> ResponseBody:
        reopen, id, number = self._reopen, self._bridged.response_id, self._protocol.last_number
        assert reopen is not None
        assert id is not None
        assert number is not None
        if self._resumes:
            await asyncio.sleep(poll_delay(self._resumes, {}))
        log(logging.INFO, "resuming a response's stream", run_id=self._bridged.run.id, after=number)
        return await reopen(id, number)
