"""What the seventy fault scenarios share: servers that go wrong in a line, and the check that nothing is left behind.

Each scenario is one test, `test_NN_name`, in the `test_scenarios_*.py` files; test_scenarios_all.py holds the list to be
whole. A scenario says what the server or the network does, and what the client must: which error, with which run, how
soon, how often it may have asked, and what becomes of the connection.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

import aiohttp
import pytest
from raw_server import Peer, RawServer, Script, client_of, start
from scenario_children import Child
from timing import in_time

from aiorunstream import APIError, AsyncClient, Limits, RetryPolicy, StreamError, Timeouts
from aiorunstream.transport._loop_session import MAX_OPENING

E = TypeVar("E", bound=APIError)
Connection = Literal["closed", "pooled", "any"]
End = Literal["fin", "rst", "open"]

SHORT = Timeouts(connect=5, first_event=0.5, idle=0.5)
SLOW = Timeouts(connect=5, first_event=5, idle=5)
"""For where no clock should be what ends the wait."""
RETRIES = RetryPolicy(attempts=3, base_delay=0.01, max_delay=0.02)
"""On in every scenario, so that one POST is one because it must not be sent again."""

# -- servers -----------------------------------------------------------------------------------------------------------


def says(*pieces: bytes | float, end: End = "fin") -> Script:
    """A script that reads a request, sends the pieces, a number being a pause in seconds, and ends the connection so."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await (peer.send(piece) if isinstance(piece, bytes) else asyncio.sleep(piece))
        if end == "rst":
            peer.rst()
        elif end == "open":
            await peer.closed()

    return script


def repeats(piece: bytes, seconds: float, *before: bytes) -> Script:
    """A script that reads a request, sends what comes before, and then the piece for ever, at that pace."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*before)
        while not await peer.closed_within(seconds):
            await peer.send(piece)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first script for the first connection, and so on."""
    left = list(scripts)

    async def script(peer: Peer) -> None:
        await left.pop(0)(peer)

    return script


def by_thread(scripts: dict[str, Script]) -> Script:
    """A script for each thread that is asked about, for tries that run at the same time."""

    async def script(peer: Peer) -> None:
        path = (await peer.request_head()).split(b" ", 2)[1].decode()
        await scripts[path.split("/")[3]](peer)

    return script


# -- what is left ------------------------------------------------------------------------------------------------------


class Left(NamedTuple):
    """The tasks of this loop and the descriptors of this process, to be compared with later."""

    tasks: frozenset[object]
    descriptors: frozenset[tuple[str, str]]

    @classmethod
    def now(cls) -> Self:
        """What there is."""
        return cls(frozenset(asyncio.all_tasks()), frozenset(_descriptors()))

    async def nothing_more(self) -> None:
        """Fails unless, within a few turns of the loop, nothing is there that was not there before."""
        more = self._more()
        for _ in range(60):
            if not more:
                return
            await asyncio.sleep(0.005)
            more = self._more()
        raise AssertionError(f"left behind: {more}")

    def _more(self) -> list[str]:
        now = Left.now()
        return sorted(map(str, (now.tasks - self.tasks) | (now.descriptors - self.descriptors)))


def _descriptors() -> Iterator[tuple[str, str]]:
    folder = Path("/proc/self/fd")
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            target = str(path.readlink())
        except OSError:
            continue  # the one that the list itself was read through
        if target != os.devnull:  # uvloop opens that with its first connection, and keeps it
            yield path.name, target


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None, None]:
    """Fails where the block leaves a task or a descriptor behind."""
    before = Left.now()
    yield
    await before.nothing_more()


class Held(NamedTuple):
    """What the transport of a client holds in this loop."""

    bodies: int = 0
    openings: int = 0
    slots: int = 0
    places: int = 0
    acquired: int = 0
    pooled: int = 0


def held(client: AsyncClient) -> Held:
    """Counts it."""
    session: Any = client._transport._sessions.get(asyncio.get_running_loop())
    if session is None:
        return Held()
    connector: Any = session._http.connector
    return Held(
        bodies=len(session._bodies),
        openings=len(session._openings),
        slots=session._limits.max_streams - session._slots._value,
        places=MAX_OPENING - session._places._value,
        acquired=len(connector._acquired),
        pooled=sum(protocol.is_connected() for idle in connector._conns.values() for protocol, _ in idle),
    )


# -- scenes ------------------------------------------------------------------------------------------------------------


class Scene(NamedTuple):
    """A server that goes wrong, and its client."""

    server: RawServer
    client: AsyncClient


@asynccontextmanager
async def scene(
    script: Script,
    *,
    connection: Connection = "closed",
    posts: int | None = 1,
    timeouts: Timeouts = SHORT,
    retry: RetryPolicy = RETRIES,
    limits: Limits | None = None,
) -> AsyncGenerator[Scene, None]:
    """A scenario's server and client, and the check after it.

    It fails where, after the block, the server has not seen that many POSTs; where a connection is not what it should
    be, as both ends see it; where the transport still holds anything; or where a task or descriptor is left, also
    before the client is closed.
    """
    before = Left.now()
    async with AsyncExitStack() as last:
        async with RawServer(script) as server:
            client = client_of(server, timeouts=timeouts, retry=retry, limits=limits)
            last.push_async_callback(client.aclose)
            yield Scene(server, client)
            assert posts is None or server.posts == posts
            await _check_connections(Scene(server, client), connection)
        await before.nothing_more()
    await before.nothing_more()


async def _check_connections(at: Scene, connection: Connection) -> None:
    for _ in range(100):  # a drain takes a quarter of a second at most
        found = held(at.client)
        if found == Held(pooled={"pooled": 1, "closed": 0, "any": found.pooled}[connection]):
            break
        await asyncio.sleep(0.005)
    else:
        raise AssertionError(f"{connection} is expected, and the client has {held(at.client)}")
    if connection == "pooled":
        assert [peer.closed_at is None for peer in at.server.peers] == [True], "not one connection, kept open"
    for peer in at.server.peers if connection == "closed" else ():
        assert await peer.closed_within(0.2), "the server still has a connection"


async def fails(
    at: Scene,
    kind: type[E],
    *,
    within: float = 0.1,
    run: str | None = None,
    events: int | None = None,
    away: float = 0.0,
) -> E:
    """Opens the run and reads it. It must fail in time with this very class, and with its facts; returns the error.

    Args:
        run: the run id that the error must know.
        events: how many events must have been handed out before.
        away: seconds between opening and reading, in which the reader sees nothing.
    """
    stream, seen = None, 0
    with in_time(within), pytest.raises(kind) as caught:
        async with start(at.client) as stream:
            await asyncio.sleep(away)
            async for _ in stream:
                seen += 1
    error = caught.value
    assert type(error) is kind
    assert (error.__cause__, error.__context__) == (None, None)
    if isinstance(error, StreamError):
        facts = (error.thread_id, error.run_id, error.status_code)
        assert facts == ("thread_raw", run, 200), facts
        assert (error.events_seen, error.outcome) == (seen, None), (error.events_seen, error.outcome, seen)
    if events is not None:
        assert seen == events
    if stream is not None:
        with pytest.raises(kind):  # once more the same
            await anext(stream)
    return error


def counting_session() -> tuple[aiohttp.ClientSession, list[None]]:
    """A session for a client, and a list that grows with every attempt to connect."""
    attempts: list[None] = []

    async def count(*_: object) -> None:
        attempts.append(None)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(count)
    return aiohttp.ClientSession(trace_configs=[trace]), attempts


async def child(function: Child, backend: tuple[str, dict[str, bool]], *flags: str) -> tuple[int | None, str, str]:
    """Runs a function of scenario_children.py in a process of its own; returns its code, output and complaints."""
    program = f"import scenario_children as c; c.run(c.{function.__name__}, use_uvloop={backend[1]['use_uvloop']})"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *flags, "-c", program),
        cwd=Path(__file__).parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
