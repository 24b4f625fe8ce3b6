"""How clients, sessions and event loops end: with everything under way, twice, cancelled, and in threads of their own.

What is closed must be quiet too, so some of it happens in a process of its own, in development mode and with every warning
an error: nothing may be said there at all. (Simple cases: test_transport_closing.py.)
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lifetime_children import CHILDREN
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    CREATED,
    LAST_CHUNK,
    NO_RETRY,
    QUICK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    answering,
    chunk,
    client_of,
    in_thread,
    read_whole,
    silent_after,
    start,
    stream_answer,
)

from aiorunstream import (
    APIConnectionError,
    AsyncClient,
    ClientClosedError,
    ConfigurationError,
    RunOutcomeUnknownError,
    StreamClosedError,
)

# -- closing, with everything under way --------------------------------------------------------------------------------


async def child(call: str, backend: tuple[str, dict[str, bool]], *flags: str) -> tuple[int | None, str, str]:
    """Runs a function of lifetime_children.py; returns its code, its output and what else was said."""
    program = f"import lifetime_children as c; c.{call}use_uvloop={backend[1]['use_uvloop']})"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-X", "dev", *flags, "-c", program),
        cwd=Path(__file__).parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("name", CHILDREN)
async def test_closing_with_everything_under_way_is_complete_and_quiet(
    name: str, anyio_backend: tuple[str, dict[str, bool]]
) -> None:
    assert await child(f"run({name!r}, ", anyio_backend, "-W", "error") == (0, "closed\n", "")


async def test_a_loop_ends_at_once_with_everything_under_way_in_it(anyio_backend: tuple[str, dict[str, bool]]) -> None:
    code, out, said = await child("end_with_the_loop(", anyio_backend)
    assert (code, out) == (0, "ended\n"), said
    for complaint in ("never retrieved", "was destroyed", "never awaited", "Traceback"):
        assert complaint not in said  # that sockets were left open is said, and true


async def test_a_client_that_is_closed_at_once_has_opened_nothing() -> None:
    async with RawServer(answering(stream_answer())) as server:
        client = client_of(server)
        await asyncio.gather(client.aclose(), client.aclose())
        with pytest.raises(ClientClosedError):
            await start(client)
        assert server.peers == []


async def test_a_stream_and_its_client_closed_in_one_turn_are_both_closed() -> None:
    async with RawServer(silent_after(CREATED)) as server, client_of(server) as client:
        stream = await start(client)
        await anext(stream)
        async with asyncio.timeout(1):
            await asyncio.gather(stream.aclose(), client.aclose(), stream.aclose())
        assert await server.peers[0].closed_within(0.2)
        with pytest.raises(StreamClosedError):
            await anext(stream)


# -- loops that end ----------------------------------------------------------------------------------------------------


def new_loop(backend: str) -> asyncio.AbstractEventLoop:
    if backend == "uvloop":
        return pytest.importorskip("uvloop").new_event_loop()  # type: ignore[no-any-return]
    return asyncio.SelectorEventLoop()


def run(work: Coroutine[Any, Any, Any], backend: str) -> Any:
    with asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        return runner.run(work)


LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def until_closed(server: RawServer) -> None:
    """Waits until a server in another thread has seen the end of every connection."""
    ends = time.monotonic() + 2
    while any(peer.closed_at is None for peer in server.peers) and time.monotonic() < ends:
        time.sleep(0.01)
    assert all(peer.closed_at is not None for peer in server.peers)
    time.sleep(0.02)  # its own end of each is closed in the next turns of its loop


async def read_and_drain(client: AsyncClient) -> str | None:
    """Reads a run, and waits until its connection is free or closed; returns its outcome."""
    stream = await read_whole(client)
    while stream.clean_close is None:  # bounded: the drain is
        await asyncio.sleep(0.001)
    return stream.outcome


async def whole_until_closed(peer: Peer) -> None:
    """Streams a whole run, and leaves no connection behind for a loop to end with."""
    await peer.request()
    await peer.send(CLOSE_DELIMITED_HEAD + b"".join(RUN_STREAM))


@LOOPS
def test_one_client_serves_two_loops_in_turn_and_then_three_threads_at_once(loop: str) -> None:
    outcomes: list[str | None] = []
    together = threading.Barrier(3)

    async def read(client: AsyncClient, streams: int) -> None:
        for _ in range(streams):
            outcomes.append(await read_and_drain(client))  # no connection is to be left in this loop
        await asyncio.sleep(0.01)

    def work(client: AsyncClient) -> None:
        together.wait(5)
        run(read(client, 20), loop)

    with in_thread(whole_until_closed) as server:
        client = AsyncClient(base_url=server.base_url, timeouts=QUICK, retry=NO_RETRY)
        for _ in range(2):
            run(read(client, 3), loop)
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        run(client.aclose(), loop)
        assert outcomes == ["completed"] * 66
        assert server.posts == 66
        until_closed(server)


@LOOPS
def test_closing_ends_the_readers_in_three_other_loops(loop: str) -> None:
    found: list[type[BaseException]] = []
    reading = threading.Barrier(4)

    async def read(client: AsyncClient) -> None:
        stream = await start(client)
        await anext(stream)
        asyncio.get_running_loop().call_later(0.01, reading.wait, 5)
        try:
            await anext(stream)
        except StreamClosedError as error:
            found.append(type(error))
        await asyncio.sleep(0.2)  # the session of this loop is closed here, behind its streams

    with in_thread(silent_after(CREATED)) as server:
        client = AsyncClient(base_url=server.base_url, retry=NO_RETRY)
        threads = [threading.Thread(target=lambda: run(read(client), loop)) for _ in range(3)]
        for thread in threads:
            thread.start()
        reading.wait(5)
        run(client.aclose(), loop)
        for thread in threads:
            thread.join(5)
        assert found == [StreamClosedError] * 3
        until_closed(server)


class NosyLoop(asyncio.SelectorEventLoop):
    """Lets something else happen when it is asked whether it is closed, as another thread might."""

    meanwhile: "threading.Thread | None" = None

    def is_closed(self) -> bool:
        thread, self.meanwhile = self.meanwhile, None
        if thread is not None:
            thread.start()
            thread.join(0.5)
        return super().is_closed()


def test_two_threads_may_begin_at_the_same_moment() -> None:
    async def use(client: AsyncClient) -> None:
        client._transport._session()

    client = AsyncClient(base_url="http://127.0.0.1:9/v1")
    first = NosyLoop()
    other = threading.Thread(target=lambda: asyncio.run(use(client)))
    try:
        first.run_until_complete(use(client))
        first.meanwhile = other
        asyncio.run(use(client))
    finally:
        other.join(5)
        first.run_until_complete(client.aclose())
        first.close()


# -- a session of the caller -------------------------------------------------------------------------------------------


def test_a_session_of_the_caller_is_used_in_its_loop_only_and_left_open() -> None:
    async def begin(base_url: str) -> tuple[AsyncClient, aiohttp.ClientSession]:
        session = aiohttp.ClientSession()
        client = AsyncClient(base_url=base_url, session=session, timeouts=QUICK, retry=NO_RETRY)
        assert (await read_whole(client)).outcome == "completed"
        return client, session

    async def end(client: AsyncClient, session: aiohttp.ClientSession) -> None:
        assert (await read_whole(client)).outcome == "completed"
        await client.aclose()
        assert not session.closed
        await session.close()

    with in_thread(whole_until_closed) as server, asyncio.Runner() as its_loop:
        client, session = its_loop.run(begin(server.base_url))
        with pytest.raises(ConfigurationError, match="only in that session's event loop"):
            asyncio.run(read_whole(client))
        its_loop.run(end(client, session))
        assert server.posts == 2
        until_closed(server)


def test_a_session_of_the_caller_that_is_used_first_in_another_loop_sends_nothing() -> None:
    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    with in_thread(whole_until_closed) as server:
        with asyncio.Runner() as its_loop:
            session = its_loop.run(make())
            client = AsyncClient(base_url=server.base_url, session=session, timeouts=QUICK, retry=NO_RETRY)
            with pytest.raises((ConfigurationError, APIConnectionError)):
                asyncio.run(read_whole(client))
            assert server.posts == 0
            its_loop.run(session.close())
            asyncio.run(client.aclose())
        until_closed(server)


async def test_a_session_that_its_caller_has_closed_ends_the_client_too() -> None:
    async with RawServer(answering(stream_answer())) as server:
        session = aiohttp.ClientSession()
        async with AsyncClient(base_url=server.base_url, session=session, retry=NO_RETRY) as client:
            await read_whole(client)
            await session.close()
            with pytest.raises(ClientClosedError):
                await start(client)


# -- what aiohttp leaves to be looked at -------------------------------------------------------------------------------


async def test_a_reset_under_the_second_request_of_a_connection_is_told_once_and_not_by_asyncio_too() -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: said.append(what))

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        await asyncio.sleep(0.05)  # an answer in one packet is over before anybody asks for the future
        await peer.send(*map(chunk, RUN_STREAM), LAST_CHUNK)
        await peer.request()
        peer.rst()

    with in_thread(script) as server:
        async with client_of(server) as client:
            await read_and_drain(client)
            with pytest.raises(RunOutcomeUnknownError):
                await start(client)
            await asyncio.sleep(0.05)
        gc.collect()
        await asyncio.to_thread(until_closed, server)
    assert said == []
