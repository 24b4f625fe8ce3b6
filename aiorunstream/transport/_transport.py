"""Requests sent, through one aiohttp session for each event loop."""

import asyncio
import ssl as ssl_module
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import aiohttp

from ..errors import ClientClosedError, ConfigurationError
from ..options import Limits
from ._body import ResponseBody
from ._connector import CleanConnector
from ._loop_session import LoopSession
from ._request import Request

T = TypeVar("T")


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
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSession] = WeakKeyDictionary()
        self._lock = threading.Lock()  # loops of several threads may begin at the same moment
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

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something in a task of this object's, so that it does not end with whoever asked for it.

        `aclose` waits for it, and then cancels it.

        Raises:
            ClientClosedError: the client is closed; the work has not begun.
        """
        try:
            session = self._session()
        except BaseException:
            work.close()
            raise
        return session.keep(work)

    def withdraw(self, task: "asyncio.Task[Any]") -> bool:
        """Lets no further request of that task leave, nor one that is about to.

        Returns whether a request of it that creates something may have left, and is not answered yet.
        """
        session = self._sessions.get(asyncio.get_running_loop())
        return session is not None and session.withdraw(task)

    async def aclose(self, *, patience: float = 2.0) -> None:
        """Waits for what is kept, aborts every open stream and drain, and closes what this object opened. Idempotent.

        Args:
            patience: seconds for what is kept to end by itself.
        """
        self._closed = True
        here = asyncio.get_running_loop()
        with self._lock:
            mine = self._sessions.get(here)
            others = [(loop, session) for loop, session in self._sessions.items() if loop is not here]
            for loop, _ in others:
                del self._sessions[loop]
        for loop, session in others:
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(session.aclose(patience), loop)
            else:
                session.forget()
        if mine is not None:
            await mine.aclose(patience)
            self._sessions.pop(here, None)

    def _session(self) -> LoopSession:
        with self._lock:
            return self._session_of(asyncio.get_running_loop())

    def _session_of(self, loop: asyncio.AbstractEventLoop) -> LoopSession:
        session = self._sessions.get(loop)
        if self._closed and (session is None or not session.is_finishing):
            raise ClientClosedError("the client is closed")
        if session is None:
            if self._theirs is not None and self._sessions:
                raise ConfigurationError("a client with a session of yours works only in that session's event loop")
            self._forget_closed_loops()
            session = self._sessions[loop] = LoopSession(
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
