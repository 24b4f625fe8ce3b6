"""What one event loop holds: the aiohttp session, everything open or draining in it, and how a request is sent through it."""

import asyncio
import contextlib
import ssl as ssl_module
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakSet

import aiohttp
from yarl import URL

from ..errors import AiorunstreamError, APITimeoutError, ClientClosedError
from ..options import Limits
from ._body import ResponseBody
from ._request import Opening, Request, RequestBody
from ._translate import BROKEN, NEVER_SENT, no_answer, not_begun, not_sent, reason_of, refused, too_late

READ_BUFFER = 16 * 1024
"""Pauses the socket at twice this many unread bytes, so 5,000 stalled readers hold 325 MB and not 2.8 GB."""
MAX_OPENING = 128
"""Requests being sent at once per loop: without it, opening 10,000 streams froze the loop for 3.5 s."""
_LAST_TURNS = 1.0
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CLOSED = "the client was closed while the request was under way"

T = TypeVar("T")


class LoopSession:
    """What one event loop holds: the session, the free slots, and every request and body that is open or drains."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        limits: Limits,
        ssl: ssl_module.SSLContext | bool,
        proxy: str | None,
        owned: bool,
    ) -> None:
        self._http = http
        self._limits = limits
        self._ssl = ssl
        self._proxy = proxy
        self._owned = owned
        self._places = asyncio.Semaphore(MAX_OPENING)
        self._slots = asyncio.Semaphore(limits.max_streams)
        self._bodies: set[ResponseBody] = set()
        self._openings: set[Opening] = set()
        self._kept: set[asyncio.Task[Any]] = set()
        self._withdrawn: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._closed = False

    @property
    def is_finishing(self) -> bool:
        """Whether whoever asks is one of the kept tasks, which may still send while the session is being closed."""
        return not self._closed and asyncio.current_task() in self._kept

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something in a task that is held here until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._kept.add(task)
        task.add_done_callback(self._dismiss)
        return task

    def _dismiss(self, task: "asyncio.Task[Any]") -> None:
        self._kept.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may have gone; asyncio would report it as never retrieved

    def withdraw(self, task: "asyncio.Task[Any]") -> bool:
        """Lets no further request of that task leave; says whether one that creates may have, and is not answered."""
        self._withdrawn.add(task)
        openings = [opening for opening in self._openings if opening.task is task]
        for opening in openings:
            opening.withdrawn = True
        return any(opening.begun and opening.creates for opening in openings)

    async def send(self, request: Request) -> ResponseBody:
        if asyncio.current_task() in self._withdrawn:
            raise asyncio.CancelledError  # whoever wanted it has gone
        opened_at = asyncio.get_running_loop().time() if request.began is None else request.began
        if request.streams:
            what = f"no stream slot came free: all {self._limits.max_streams} (Limits.max_streams) are taken"
            await self._take(self._slots, request, what)
        try:
            response, written_at = await self._request(request, opened_at)
        except BaseException:
            if request.streams:
                self._slots.release()
            raise
        body = ResponseBody(
            response,
            timeouts=request.timeouts,
            waited=max(0.0, asyncio.get_running_loop().time() - written_at),
            opened_at=opened_at,
            done=self._stream_done if request.streams else self._bodies.discard,
        )
        self._bodies.add(body)
        if self._closed:  # closed in the very turn in which the answer came
            body.abort()
            raise ClientClosedError(_CLOSED)
        return body

    async def aclose(self, patience: float) -> None:
        """Ends every request and stream in this loop, and the session; first what is kept, if that ends in time."""
        try:
            if self._kept:
                await asyncio.wait(set(self._kept), timeout=patience)
        finally:
            self._end_all()
            for opening in list(self._openings):
                opening.give_up()
            for task in self._kept:
                task.cancel()
            if self._owned:
                await self._http.close()
            if self._kept:  # they have been cancelled: a turn or two of the loop ends them
                await asyncio.wait(set(self._kept), timeout=_LAST_TURNS)

    def forget(self) -> None:
        """Lets go of a session whose loop is closed, or stopped: nothing can be awaited there any more."""
        self._end_all()
        if self._owned:
            # Closing waits for nothing but TLS, which such a loop will not carry on: one step of it is all of it.
            closing = self._http.close()
            with contextlib.suppress(StopIteration, RuntimeError):
                closing.send(None)
            closing.close()

    def _end_all(self) -> None:
        self._closed = True
        for body in list(self._bodies):
            body.abort()

    def _stream_done(self, body: ResponseBody) -> None:
        self._bodies.discard(body)
        self._slots.release()

    async def _take(self, places: asyncio.Semaphore, request: Request, what: str) -> None:
        """Takes a place, or raises: the wait for one is part of connecting."""
        seconds = request.timeouts.connect
        taken = False
        try:
            async with asyncio.timeout(seconds):
                await places.acquire()
                taken = True
        except TimeoutError:
            pass
        if taken and self._closed:
            places.release()
            raise ClientClosedError(_CLOSED)
        if not taken:
            raise APITimeoutError(f"{what} after {seconds:g} s", host=request.host, reason="no free slot")

    async def _request(self, request: Request, opened_at: float) -> tuple[aiohttp.ClientResponse, float]:
        """Returns the response, and when the request had been written; or raises one of this package's errors."""
        failure: AiorunstreamError
        if request.body is not None:  # nothing tells when a request without one is written, so it takes no place
            await self._take(self._places, request, f"{MAX_OPENING} requests were still being sent")
        free = self._places.release if request.body is not None else _nothing
        opening = Opening(request.timeouts, opened_at, creates=request.creates, free=free)
        self._openings.add(opening)
        try:
            async with opening.deadline:
                response = await self._send(request, opening)
                opening.answered()
            return response, opening.written_at
        except (*NEVER_SENT, aiohttp.InvalidURL, UnicodeError) as error:  # the last: a host name no resolver takes
            failure = not_sent(request.host, error)
        except TimeoutError:
            failure = self._too_late(request, opening)
        except (
            ValueError
        ) as error:  # of aiohttp, which looks at what it was given; or of a hook of the caller's session
            may_be_done = request.creates and opening.begun
            failure = self._no_answer(request, opening, error) if may_be_done else refused(error)
        except BROKEN as error:
            failure = self._no_answer(request, opening, error)
        finally:
            opening.answered()
            self._openings.discard(opening)
        raise failure  # not in an `except`: see _translate

    async def _send(self, request: Request, opening: Opening) -> aiohttp.ClientResponse:
        timeouts = request.timeouts
        if request.body is None:
            body = None
            opening.due(connecting=timeouts.connect or 0.0)
        else:
            body = RequestBody(request.body, due=opening.due, written=opening.written)
        return await self._http.request(
            request.method,
            URL(request.url, encoded=True),
            data=body,
            headers=request.headers,
            skip_auto_headers=_AUTO_HEADERS,  # what the caller left out stays out
            allow_redirects=False,  # a redirect would carry the key, or the whole body, to somebody else
            raise_for_status=False,
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect, sock_read=None, sock_connect=None),
            ssl=self._ssl,
            proxy=self._proxy,
        )

    def _too_late(self, request: Request, opening: Opening) -> AiorunstreamError:
        if self._closed:
            return ClientClosedError(_CLOSED)
        if not opening.begun:
            return not_begun(request.host, request.timeouts.total)
        seconds: float | None = getattr(request.timeouts, opening.clock)
        return too_late(request.host, request.operation, opening.clock, seconds, creates=request.creates)

    def _no_answer(self, request: Request, opening: Opening, error: BaseException) -> AiorunstreamError:
        if self._closed or self._http.closed:
            return ClientClosedError(_CLOSED)
        if isinstance(error, RuntimeError) and not opening.begun:  # a session of another loop, for one
            return not_sent(request.host, error)
        return no_answer(request.host, request.operation, reason_of(error), creates=request.creates)


def _nothing() -> None:
    """What there is to give back where no place was taken."""
