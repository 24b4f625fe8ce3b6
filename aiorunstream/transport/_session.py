"""The aiohttp session of each event loop, what it holds open, and how a request is sent through it."""

import asyncio
import contextlib
import ssl as ssl_module
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from ..errors import AiorunstreamError, APITimeoutError, ClientClosedError, ConfigurationError
from ..options import Limits
from ._body import ResponseBody
from ._connector import CleanConnector
from ._request import Opening, Request, RequestBody
from ._translate import BROKEN, NEVER_SENT, no_answer, not_begun, not_sent, reason_of, too_late

READ_BUFFER = 16 * 1024
"""Pauses the socket at twice this many unread bytes, so 5,000 stalled readers hold 325 MB and not 2.8 GB."""
MAX_OPENING = 128
"""Requests being sent at once per loop: without it, opening 10,000 streams froze the loop for 3.5 s."""
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CLOSED = "the client was closed while the request was under way"


class Transport:
    """Sends requests, through one aiohttp session per event loop.

    Args:
        limits: streams at once, and how long idle connections are kept.
        ssl, proxy, trust_env: handed to aiohttp as they are.
        session: the caller's own session, used instead, in its loop only, and left open at the end.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        ssl: ssl_module.SSLContext | bool = True,
        proxy: str | None = None,
        trust_env: bool = False,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._limits = limits
        self._ssl = ssl
        self._proxy = proxy
        self._trust_env = trust_env
        self._theirs = session
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopSession] = WeakKeyDictionary()
        self._closed = False

    async def send(self, request: Request) -> ResponseBody:
        """Sends a request and returns its answer once the headers are there, whatever the status.

        Raises:
            APIConnectionError: it surely never reached the server, or may be repeated freely.
            APITimeoutError: connecting took too long, or no stream slot came free.
            RunOutcomeUnknownError: a creating request may have been carried out.
            ClientClosedError: the client is closed.
        """
        return await self._session().send(request)

    async def aclose(self) -> None:
        """Aborts every open stream and drain, and closes what this object opened. Idempotent."""
        self._closed = True
        here = asyncio.get_running_loop()
        sessions = list(self._sessions.items())
        self._sessions.clear()
        for loop, session in sessions:
            if loop is not here and loop.is_running():
                asyncio.run_coroutine_threadsafe(session.aclose(), loop)
            elif loop is not here:
                session.forget()
        for loop, session in sessions:
            if loop is here:
                await session.aclose()

    def _session(self) -> "_LoopSession":
        if self._closed:
            raise ClientClosedError("the client is closed")
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            if self._theirs is not None and self._sessions:
                raise ConfigurationError("a client with a session of yours works only in that session's event loop")
            self._forget_closed_loops()
            session = self._sessions[loop] = _LoopSession(
                self._http_session(),
                limits=self._limits,
                ssl=self._ssl,
                proxy=self._proxy,
                owned=self._theirs is None,
            )
        return session

    def _forget_closed_loops(self) -> None:
        # The mapping is weak, but what a session holds leads back to its loop.
        for loop in [loop for loop in self._sessions if loop.is_closed()]:
            self._sessions.pop(loop).forget()

    def _http_session(self) -> aiohttp.ClientSession:
        if self._theirs is not None:
            return self._theirs
        return aiohttp.ClientSession(
            connector=CleanConnector(limit=0, keepalive_timeout=self._limits.keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )


class _LoopSession:
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
        self._closed = False

    async def send(self, request: Request) -> ResponseBody:
        opened_at = asyncio.get_running_loop().time()
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

    async def aclose(self) -> None:
        """Ends every request and stream in this loop, and the session."""
        self._end_all()
        for opening in list(self._openings):
            opening.give_up()
        if self._owned:
            await self._http.close()

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
        opening = Opening(
            request.timeouts, opened_at, free=self._places.release if request.body is not None else _nothing
        )
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
