"""A server for tests, in a thread of its own: it suits plain functions, `asyncio.run` and every plugin for async tests.

    def test_weather(assistants_server):  # the fixture of this package's pytest plugin
        assistants_server.script(["It is raining."])
        assert asyncio.run(ask(assistants_server.base_url)) == "It is raining."

Elsewhere, or with other settings: `with ThreadedServer(delay=0.1) as server: ...`.
"""

import asyncio
import threading
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from msgspec import UNSET, UnsetType

from .engine import DefaultEngine, Engine, Turn
from .items import Item
from .models import Assistant, AssistantTool
from .params import AssistantCreateParams, JSONMapping
from .scripted import Reply, ScriptedEngine
from .server import AssistantsServer, Fault
from .server._dialects import DialectName
from .server.responses import ResponsesServerName, ResponsesSettings
from .store import EXPIRES_AFTER

__all__ = ["Fault", "ScriptedEngine", "ThreadedServer"]

T = TypeVar("T")

_PATIENCE = 10.0
"""Seconds for the thread to do what it is asked, before a test is told instead of hanging."""


class ThreadedServer:
    """An `AssistantsServer` in a thread with an event loop of its own. All of it may be used from any thread.

    Args:
        engine: what answers; see `script` for the shortest way to say what.
        delay, api_keys, expires_after, port, dialect, responses: as of `AssistantsServer`.

    Attributes:
        engine: what answers from the next turn on; may be set at any time.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        delay: float = 0.0,
        api_keys: str | Collection[str] | None = None,
        expires_after: float = EXPIRES_AFTER,
        port: int = 0,
        dialect: DialectName = "openai",
        responses: ResponsesSettings | ResponsesServerName = "openai",
    ) -> None:
        self.engine: Engine = engine or DefaultEngine()
        self._server = AssistantsServer(
            port=port,
            delay=delay,
            api_keys=api_keys,
            engine=_Current(self),
            expires_after=expires_after,
            dialect=dialect,
            responses=responses,
        )
        self._lock = threading.Lock()  # held while it is started or stopped
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ended: Future[None] = Future()

    # -- what tests look at ------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What clients take as their base URL; ends in `/v1`, unless the dialect has it elsewhere."""
        return self._server.base_url

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """The last 10,000 requests so far, as (method, path), oldest first."""
        return self.call(lambda server: tuple(server.requests))

    @property
    def open_streams(self) -> int:
        """How many streams have a client at their other end."""
        return self._server.open_streams

    # -- what tests set up -------------------------------------------------------------------------------------------

    def script(self, replies: Iterable[Reply], *, then: Engine | None = None, repeat: bool = False) -> ScriptedEngine:
        """Sets what is answered from the next turn on, and returns the engine that answers it.

        Parameters and errors as `ScriptedEngine`; its `turns` hold what was asked.
        """
        self.engine = engine = ScriptedEngine(replies, then=then, repeat=repeat)
        return engine

    def create_assistant(
        self,
        *,
        model: str = "any",
        instructions: str | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | UnsetType = UNSET,
    ) -> Assistant:
        """Makes an assistant without a request, so that the code under test has an id to work with.

        Raises:
            InvalidArgumentError, StoreError: a parameter cannot be meant.
        """
        params = AssistantCreateParams(model=model, instructions=instructions, tools=tools)
        return self.call(lambda server: server.store.create_assistant(params))

    def inject(self, fault: Fault) -> None:
        """Has the server do something wrong, in the next request that fits; as `AssistantsServer.inject`.

        Raises:
            ConfigurationError: this is no `Fault`.
        """
        self.call(lambda server: server.inject(fault))

    def clear_faults(self) -> None:
        """Forgets the faults that have not happened. Those that are happening go on."""
        self.call(AssistantsServer.clear_faults)

    def call(self, function: Callable[[AssistantsServer], T]) -> T:
        """Calls a function with the server, in its thread, and returns or raises what it does.

        Raises:
            RuntimeError: this is the server's own thread, such as in an engine.
            TimeoutError: the thread has not got to it in ten seconds; an engine may be blocking it.
        """
        self._refuse_own_thread()
        with self._lock:
            loop = self._loop
            if loop is None:
                return function(self._server)  # no thread runs: nobody else uses the server
            done: Future[T] = Future()
            loop.call_soon_threadsafe(_settle, done, function, self._server)
        return done.result(_PATIENCE)

    # -- lifetime ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to listen; returns once it does.

        Raises:
            OSError: the port is taken.
            RuntimeError: it has been started before. One server is started once.
        """
        with self._lock:
            if self._thread is not None:
                raise RuntimeError("the server has been started before")
            started: Future[None] = Future()
            # A daemon, so that an engine that blocks for ever cannot keep the tests from ending.
            self._thread = threading.Thread(
                target=self._run, args=(started,), name="aiorunstream-assistants-server", daemon=True
            )
            self._thread.start()
            started.result()

    def stop(self) -> None:
        """Ends everything: streams are cut off, runs are dropped, the thread is gone. Again is fine.

        Raises:
            RuntimeError: this is the server's own thread.
            TimeoutError: the thread has not ended in ten seconds; an engine may be blocking it.
            BaseException: whatever ended the thread before, such as a `SystemExit` of an engine.
        """
        self._refuse_own_thread()
        with self._lock:
            if self._thread is None:
                return
            loop, self._loop = self._loop, None
            if loop is not None and self._stopping is not None:
                with suppress(RuntimeError):  # it has just ended by itself
                    loop.call_soon_threadsafe(self._stopping.set)
            self._ended.result(_PATIENCE)
            self._thread.join(_PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<ThreadedServer {self.base_url}>"

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self, started: Future[None]) -> None:
        try:
            # A loop of a known kind, whatever policy the tests have set.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve(started))
        except BaseException as error:  # whoever waits for the thread is told
            if not started.done():
                self._ended.set_result(None)
                started.set_exception(error)
            else:
                self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self, started: Future[None]) -> None:
        stopping = asyncio.Event()
        try:
            async with self._server:
                self._loop, self._stopping = asyncio.get_running_loop(), stopping
                started.set_result(None)
                await stopping.wait()
        finally:
            self._loop = None

    def _refuse_own_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("the server's own thread cannot wait for itself")


class _Current:
    """The engine a threaded server has at the moment."""

    def __init__(self, owner: ThreadedServer) -> None:
        self._owner = owner

    def reply(self, turn: Turn, /) -> Iterable[Item] | AsyncIterable[Item]:
        return self._owner.engine.reply(turn)


def _settle(done: Future[T], function: Callable[[AssistantsServer], T], server: AssistantsServer) -> None:
    try:
        done.set_result(function(server))
    except BaseException as error:  # it is raised where the call was made
        done.set_exception(error)
