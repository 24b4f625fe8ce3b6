"""The aiohttp session of each event loop, what it holds open, and how a request is sent through it."""

import asyncio
import contextlib
import ssl as ssl_module
from collections.abc import Callable, Mapping
from typing import Literal
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from ..errors import AiorunstreamError, APITimeoutError, ClientClosedError, ConfigurationError
from ..options import Limits, Timeouts
from ._body import ResponseBody
from ._translate import BROKEN, NEVER_SENT, no_answer, not_sent, reason_of, too_late

READ_BUFFER = 16 * 1024
"""Pauses the socket at twice this many unread bytes, so 5,000 stalled readers hold 325 MB and not 2.8 GB."""
MAX_OPENING = 128
"""Connects in flight per loop: without it, opening 10,000 streams at once froze the loop for 3.5 s."""
_WRITE_PIECE = 64 * 1024
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, byte for byte.

    Attributes:
        operation: its name, for errors.
        url: absolute, quoted already.
        creates: whether it must not be sent twice.
        streams: whether its answer is held open: it then takes one of `Limits.max_streams`.
    """

    operation: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeouts: Timeouts
    creates: bool
    streams: bool

    def __repr__(self) -> str:
        """Names the operation; headers hold keys, and bodies what people wrote."""
        return f"<Request {self.operation}>"

    @property
    def host(self) -> str:
        """`host:port`, for messages."""
        return URL(self.url, encoded=True).host_port_subcomponent or ""


class _Body(payload.Payload):
    """A request body that tells how it gets on: `due` before each piece, and `written` when the socket has the last."""

    def __init__(self, body: bytes, *, due: Callable[[], None], written: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._body = body
        self._size = len(body)
        self._due = due
        self._written = written

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        for start in range(0, len(self._body), _WRITE_PIECE):
            self._due()
            await writer.write(self._body[start : start + _WRITE_PIECE])
        self._written()

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        del content_length  # it is the body's own
        await self.write(writer)


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
            if loop is here:
                await session.aclose()
            elif loop.is_closed():
                session.forget()
            else:
                asyncio.run_coroutine_threadsafe(session.aclose(), loop)

    def _session(self) -> "_LoopSession":
        if self._closed:
            raise ClientClosedError("the client is closed")
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            if self._theirs is not None and self._sessions:
                raise ConfigurationError("a client with a session of yours works only in that session's event loop")
            session = self._sessions[loop] = _LoopSession(
                self._http_session(),
                limits=self._limits,
                ssl=self._ssl,
                proxy=self._proxy,
                owned=self._theirs is None,
            )
        return session

    def _http_session(self) -> aiohttp.ClientSession:
        if self._theirs is not None:
            return self._theirs
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=self._limits.keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )


class _Opening:
    """One of the places for requests on their way out: free again, and the answer's clock begun, once it is written."""

    deadline: asyncio.Timeout

    def __init__(self, places: asyncio.Semaphore, timeouts: Timeouts, opened_at: float) -> None:
        self._places = places
        self._timeouts = timeouts
        self._opened_at = opened_at
        self._held = True
        self._answered = False  # an answer may come while the request is still being written
        self.written_at = opened_at
        self.clock: Literal["first_event", "total"] = "first_event"

    def written(self) -> None:
        """The request is out: the answer is due from now on."""
        self.free()
        self.due()

    def due(self, *, connecting: float = 0.0) -> None:
        """The answer, or the next piece of the request to be taken, is due from now on; or from `connecting` seconds on."""
        if self._answered:
            return
        self.written_at = asyncio.get_running_loop().time() + connecting
        first_event, total = self._timeouts.first_event, self._timeouts.total
        due = None if first_event is None else self.written_at + first_event
        if total is not None and (due is None or self._opened_at + total < due):
            due = self._opened_at + total
            self.clock = "total"
        self.deadline.reschedule(due)

    def give_up(self) -> None:
        """Ends the wait now."""
        if not self._answered:
            self.deadline.reschedule(0.0)

    def answered(self) -> None:
        """The wait is over, with an answer or without."""
        self._answered = True
        self.free()

    def free(self) -> None:
        if self._held:
            self._held = False
            self._places.release()


class _LoopSession:
    """What one event loop holds: the session, the free slots, and every body that is open or drains."""

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
        self._opening = asyncio.Semaphore(MAX_OPENING)
        self._slots = asyncio.Semaphore(limits.max_streams)
        self._bodies: set[ResponseBody] = set()
        self._openings: set[_Opening] = set()
        self._closed = False

    async def send(self, request: Request) -> ResponseBody:
        if request.streams:
            await self._take_slot(request)
        opened_at = asyncio.get_running_loop().time()
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
        return body

    def abort_all(self) -> None:
        for body in list(self._bodies):
            body.abort()

    async def aclose(self) -> None:
        """Ends every request and stream in this loop, and the session."""
        self._closed = True
        for opening in list(self._openings):
            opening.give_up()
        self.abort_all()
        if self._owned:
            await self._http.close()

    def forget(self) -> None:
        """Lets go of a session whose loop is closed: nothing can be awaited there any more."""
        self.abort_all()
        if self._owned:
            # Closing waits for nothing but TLS, which a closed loop will not carry on: one step of it is all of it.
            closing = self._http.close()
            with contextlib.suppress(StopIteration, RuntimeError):
                closing.send(None)
            closing.close()

    def _stream_done(self, body: ResponseBody) -> None:
        self._bodies.discard(body)
        self._slots.release()

    async def _take_slot(self, request: Request) -> None:
        seconds = request.timeouts.connect
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
            return
        except TimeoutError:
            pass
        raise APITimeoutError(
            f"no stream slot came free within {seconds:g} s: all {self._limits.max_streams} (Limits.max_streams) are taken",
            host=request.host,
            reason="no free slot",
        )

    async def _request(self, request: Request, opened_at: float) -> tuple[aiohttp.ClientResponse, float]:
        """Returns the response, and when the request had been written; or raises one of this package's errors."""
        failure: AiorunstreamError
        await self._opening.acquire()
        opening = _Opening(self._opening, request.timeouts, opened_at)
        self._openings.add(opening)
        try:
            async with asyncio.timeout(None) as opening.deadline:
                response = await self._send(request, opening)
                opening.answered()
            return response, opening.written_at
        except (*NEVER_SENT, aiohttp.InvalidURL, UnicodeError) as error:  # the last: a host name no resolver takes
            failure = not_sent(request.host, error)
        except TimeoutError:
            if self._closed:
                raise ClientClosedError("the client was closed while the request was under way") from None
            seconds: float | None = getattr(request.timeouts, opening.clock)
            failure = too_late(request.host, request.operation, opening.clock, seconds, creates=request.creates)
        except BROKEN as error:
            failure = self._no_answer(request, error)
        finally:
            opening.answered()
            self._openings.discard(opening)
        raise failure  # not in an `except`: see _translate

    async def _send(self, request: Request, opening: _Opening) -> aiohttp.ClientResponse:
        timeouts = request.timeouts
        body = None if request.body is None else _Body(request.body, due=opening.due, written=opening.written)
        if body is None:  # nothing tells when a request without one is written
            opening.due(connecting=timeouts.connect or 0.0)
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

    def _no_answer(self, request: Request, error: BaseException) -> AiorunstreamError:
        if self._http.closed:
            return ClientClosedError("the client was closed while the request was under way")
        return no_answer(request.host, request.operation, reason_of(error), creates=request.creates)
