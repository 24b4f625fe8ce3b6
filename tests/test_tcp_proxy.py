"""The proxy of the tests breaks where it says: for each place, exactly so many bytes come through, and then the fault."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from raw_server import Peer, RawServer, Script
from server_client import until
from tcp_proxy import PASS, Fault, Plan, Planned, TcpProxy

SENT = bytes(range(256)) + b"the end"
PLACES = range(len(SENT) + 1)
QUIET = 0.2
"""Seconds without a byte after which a connection that is to be silent is taken to be."""
PATIENCE = 5.0
LARGE = 3_000_000
FDS = Path("/proc/self/fd")


async def send_it_all(peer: Peer) -> None:
    """Answers the first byte with all there is, and stays."""
    await begun(peer)
    await peer.send(SENT)
    await peer.closed()


async def begun(peer: Peer, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(peer._received) < count:
            await asyncio.sleep(0.001)


@asynccontextmanager
async def proxied(
    script: Script, *, to_client: Planned = PASS, to_server: Planned = PASS
) -> AsyncGenerator[tuple[RawServer, TcpProxy]]:
    async with RawServer(script) as server, TcpProxy(server.port, to_client=to_client, to_server=to_server) as proxy:
        yield server, proxy


async def received(
    port: int, data: bytes = b"?", *, quiet: float = PATIENCE, after: asyncio.Task[None] | None = None
) -> tuple[bytes, str]:
    """What comes after `data` was sent, and how it ends: "fin", "rst", or "open" where nothing more came.

    Begins to read once the task `after` is done.
    """
    loop, got = asyncio.get_running_loop(), b""
    with socket.socket() as plain:
        plain.setblocking(False)
        await loop.sock_connect(plain, ("127.0.0.1", port))
        await loop.sock_sendall(plain, data)
        if after is not None:
            await asyncio.shield(after)
        while True:
            try:
                more = await asyncio.wait_for(loop.sock_recv(plain, 65536), quiet)
            except TimeoutError:
                return got, "open"
            except ConnectionResetError:
                return got, "rst"
            if not more:
                return got, "fin"
            got += more


async def in_batches(jobs: list[Coroutine[Any, Any, tuple[bytes, str]]]) -> list[tuple[bytes, str]]:
    turns = asyncio.Semaphore(50)

    async def one(job: Coroutine[Any, Any, tuple[bytes, str]]) -> tuple[bytes, str]:
        async with turns:
            return await job

    return await asyncio.gather(*map(one, jobs))


# -- to the client ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "end"), [("cut", "fin"), ("reset", "rst"), ("half_close", "fin")])
async def test_exactly_so_many_bytes_come_and_then_the_end(fault: Fault, end: str) -> None:
    async with proxied(send_it_all, to_client=lambda number: Plan(fault, number)) as (server, proxy):
        found = await in_batches([received(proxy.port) for _ in PLACES])
        assert sorted(len(data) for data, _ in found) == list(PLACES)
        assert all(data == SENT[: len(data)] for data, _ in found)
        assert {how for _, how in found} == {end}
        assert [connection.to_client.passed for connection in proxy.connections] == list(PLACES)
        assert len(server.peers) == len(PLACES)


async def test_exactly_so_many_bytes_come_and_then_nothing_more() -> None:
    places = list(PLACES)[::4]
    async with proxied(send_it_all, to_client=lambda number: Plan("stall", places[number])) as (_, proxy):
        # Only once all of them have stalled does a silence tell anything.
        stalled = asyncio.create_task(until(lambda: sum(way.is_set() for way in ends(proxy)) == len(places), PATIENCE))
        jobs = [received(proxy.port, quiet=QUIET, after=stalled) for _ in places]
        found = await asyncio.gather(*jobs)
        assert sorted(len(data) for data, _ in found) == places
        assert all(data == SENT[: len(data)] for data, _ in found)
        assert {how for _, how in found} == {"open"}


def ends(proxy: TcpProxy) -> list[asyncio.Event]:
    return [connection.to_client.ended for connection in proxy.connections]


async def test_a_plan_beyond_the_end_breaks_nothing() -> None:
    async def script(peer: Peer) -> None:
        await begun(peer)
        await peer.send(SENT)

    async with proxied(script, to_client=Plan("reset", len(SENT) + 1)) as (_, proxy):
        assert await received(proxy.port) == (SENT, "fin")


async def test_without_a_plan_everything_passes() -> None:
    async def script(peer: Peer) -> None:
        await begun(peer, LARGE)
        await peer.send(bytes(peer._received))

    sent = os.urandom(LARGE)
    async with proxied(script) as (_, proxy):
        assert await received(proxy.port, sent) == (sent, "fin")
        (connection,) = proxy.connections
        assert (connection.to_server.passed, connection.to_client.passed) == (LARGE, LARGE)


async def test_a_reset_overtakes_nothing_of_a_large_answer() -> None:
    async def script(peer: Peer) -> None:
        await begun(peer)
        await peer.send(b"x" * LARGE)
        await peer.closed()

    async with proxied(script, to_client=Plan("reset", LARGE - 7)) as (_, proxy):
        data, end = await received(proxy.port)
        assert (len(data), end) == (LARGE - 7, "rst")


@pytest.mark.parametrize("size", [1, 5, 100])
async def test_a_drip_comes_in_pieces_of_its_size(size: int) -> None:
    sent = SENT[:20] if size == 1 else SENT
    pieces: list[bytes] = []

    async def script(peer: Peer) -> None:
        await begun(peer)
        await peer.send(sent)
        await peer.closed()

    async with proxied(script, to_client=Plan("cut", len(sent), piece=size, pause=0.01)) as (_, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"?")
        while piece := await reader.read(65536):
            pieces.append(piece)
        writer.close()
        assert b"".join(pieces) == sent
        assert all(len(piece) % size == 0 for piece in pieces[:-1])
        assert len(pieces) > 1  # a busy machine may join some


# -- to the server ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "reset", "stall", "half_close"])
async def test_exactly_so_many_bytes_reach_the_server(fault: Fault) -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async with proxied(script, to_server=Plan(fault, 100)) as (server, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(SENT)
        peer = await server.seen(1)
        await begun(peer, 100)
        assert await peer.closed_within(QUIET if fault == "stall" else PATIENCE) == (fault != "stall")
        assert bytes(peer._received) == SENT[:100]
        if fault == "cut":
            assert await reader.read() == b""
        writer.close()


async def test_a_closed_half_leaves_the_other_half_open() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()
        await peer.send(SENT)

    async with proxied(script, to_server=Plan("half_close", 3)) as (server, proxy):
        assert await received(proxy.port, b"12345") == (SENT, "fin")
        assert bytes(server.peers[0]._received) == b"123"


async def test_an_end_and_a_reset_of_either_side_reach_the_other() -> None:
    resets = [False]

    async def script(peer: Peer) -> None:
        await begun(peer)
        peer.rst() if resets[0] else peer.fin()

    async with proxied(script) as (server, proxy):
        assert await received(proxy.port) == (b"", "fin")
        resets[0] = True
        assert await received(proxy.port) == (b"", "rst")
        assert all([await peer.closed_within(1) for peer in server.peers])


async def test_a_client_that_leaves_is_seen_by_the_server() -> None:
    async with proxied(send_it_all) as (server, proxy):
        await received(proxy.port, quiet=QUIET)
        assert await server.peers[0].closed_within(1)


async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    async with RawServer(send_it_all) as server:
        port = server.port
    async with TcpProxy(port) as proxy:
        data, end = await received(proxy.port)
        assert data == b""
        assert end in ("fin", "rst")


async def test_nothing_is_left_of_many_broken_connections() -> None:
    async with proxied(send_it_all):
        pass  # uvloop opens a descriptor for good when it first listens
    before = len(list(FDS.iterdir())), len(asyncio.all_tasks())
    faults: list[Fault] = ["cut", "reset", "stall", "half_close", "none"]
    async with proxied(send_it_all, to_client=lambda number: Plan(faults[number % 5], number)) as (_, proxy):
        await in_batches([received(proxy.port, quiet=QUIET) for _ in range(100)])
    await until(lambda: (len(list(FDS.iterdir())), len(asyncio.all_tasks())) == before)
