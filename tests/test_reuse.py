"""How many connections a hundred streams take, one after another, where each answer's last chunk is 50 ms late.

(Where it is on time they take one: test_transport_lifetimes.py.) A connection is free again once its last chunk has come; a
stream that begins before that needs another. So with no pause there are as many as streams fit into those 50 ms, and one more.
"""

import asyncio

from raw_server import LAST_CHUNK, RUN_STREAM, STREAM_HEAD, Peer, RawServer, chunk, client_of, read_whole
from server_client import until

from aiorunstream import Timeouts

STREAMS = 100
LATE = 0.05
BETWEEN_EVENTS = 0.003
"""Seconds; of the five events, so that a stream takes at least 15 ms, and four of them fit into those 50."""


async def ends_late(peer: Peer) -> None:
    while await peer.request() is not None:
        await peer.send(STREAM_HEAD)
        for one in RUN_STREAM:
            await asyncio.sleep(BETWEEN_EVENTS)
            await peer.send(chunk(one))
        await asyncio.sleep(LATE)
        await peer.send(LAST_CHUNK)


async def read_all(server: RawServer, pause: float) -> None:
    """Reads them all, and waits until the last connection is free again."""
    async with client_of(server, timeouts=Timeouts()) as client:
        for _ in range(STREAMS):
            assert (await read_whole(client)).outcome == "completed"
            for _ in range(10):  # a process that was not let run sees what came meanwhile before its pause is over
                await asyncio.sleep(pause / 10)
        stream = await read_whole(client)
        await until(lambda: stream.clean_close is not None)
        assert stream.clean_close is True
        assert server.posts == STREAMS + 1


async def test_streams_with_a_pause_between_them_share_one_connection_although_the_last_chunk_is_late() -> None:
    async with RawServer(ends_late) as server:
        await read_all(server, pause=0.1)
        assert len(server.peers) == 1


async def test_streams_back_to_back_share_six_connections_although_the_last_chunk_is_late() -> None:
    async with RawServer(ends_late) as server:
        await read_all(server, pause=0)
        print(f"{len(server.peers)} connections")
        assert 1 < len(server.peers) <= 6
