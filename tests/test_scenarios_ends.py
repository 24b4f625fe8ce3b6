"""Fault scenarios 37 to 44: a stream that only seems to live, and one that ends otherwise than it should."""

import asyncio
import time

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    DONE,
    LAST_CHUNK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    Script,
    answering,
    chunk,
    events_of,
    read_whole,
    start,
    stream_answer,
)
from scenarios import fails, in_turn, repeats, says, scene
from timing import in_time

from aiorunstream import StreamInterruptedError, StreamTimeoutError, StreamTruncatedError, Timeouts

BEGUN = STREAM_HEAD + chunk(CREATED)
WHOLE = STREAM_HEAD + b"".join(map(chunk, RUN_STREAM))
"""The short run, all but the chunk that ends the body."""

# -- pace --------------------------------------------------------------------------------------------------------------


async def test_37_pings_only() -> None:
    script = repeats(chunk(b": ping\n\n"), 0.05, BEGUN)
    async with scene(script, timeouts=Timeouts(first_event=0.2, idle=0.2)) as at:
        stream = await start(at.client)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events_of(stream), 0.6)
        await stream.aclose()
    async with scene(script, timeouts=Timeouts(idle=0.2, progress=0.4)) as at:
        error = await fails(at, StreamTimeoutError, within=0.4, run="run_raw", events=1)
        assert error.clock == "progress"


async def test_38_drip() -> None:
    def dripping(wire: bytes, *before: bytes) -> Script:
        pieces: list[bytes | float] = list(before)
        for place in range(len(wire) - 1):
            pieces += [chunk(wire[place : place + 1]), 0.02]
        return says(*pieces)

    clocks = Timeouts(first_event=0.5, idle=0.2, progress=0.4)
    script = in_turn(dripping(CREATED, STREAM_HEAD), dripping(DELTA, STREAM_HEAD, chunk(CREATED)))
    async with scene(script, timeouts=clocks, posts=2) as at:
        error = await fails(at, StreamTimeoutError, within=0.5, events=0)
        assert error.clock == "first_event"
        error = await fails(at, StreamTimeoutError, within=0.4, run="run_raw", events=1)
        assert error.clock == "progress"


# -- ends --------------------------------------------------------------------------------------------------------------


async def test_39_missing_done() -> None:
    script = says(STREAM_HEAD + chunk(CREATED + COMPLETED) + LAST_CHUNK, end="open")
    async with scene(script, connection="pooled") as at:
        with in_time(0.1):
            stream = await read_whole(at.client)
        assert (stream.outcome, stream.events_seen, stream.clean_close) == ("completed", 2, True)


async def test_40_done_no_terminal() -> None:
    script = answering(stream_answer(CREATED, DELTA, DONE), stream_answer(CREATED, DELTA, b"data: [DONE]\n\n"))
    async with scene(script, posts=2, connection="pooled") as at:
        for _ in range(2):
            error = await fails(at, StreamTruncatedError, run="run_raw", events=2)
            assert (error.done_seen, error.run_status) == (True, "queued")


async def test_41_half_done() -> None:
    half = chunk(b"event: done\ndata: [DO")
    async with scene(in_turn(says(BEGUN + half), says(BEGUN + chunk(COMPLETED) + half)), posts=2) as at:
        await fails(at, StreamInterruptedError, run="run_raw", events=1)
        stream = await read_whole(at.client)
        await asyncio.sleep(0.02)
        assert (stream.outcome, stream.clean_close) == ("completed", False)


async def test_42_open_after_done() -> None:
    async with scene(says(WHOLE, end="open")) as at:
        with in_time(0.05):
            stream = await read_whole(at.client)
        assert (stream.outcome, at.server.peers[0].closed_at) == ("completed", None)
        with in_time(0.3):
            await at.server.peers[0].closed()
        assert stream.clean_close is False


async def test_43_late_zero_chunk() -> None:
    ended: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(WHOLE)
        await asyncio.sleep(0.1)
        ended.append(time.monotonic())
        await peer.send(LAST_CHUNK)
        await peer.closed()

    async with scene(script, connection="pooled") as at:
        stream = await read_whole(at.client)
        assert ended == []  # it was not waited for
        await asyncio.sleep(0.15)
        assert (stream.outcome, stream.clean_close, len(ended)) == ("completed", True, 1)


async def test_44_data_after_done() -> None:
    async with scene(repeats(chunk(DELTA * 200), 0.001, WHOLE)) as at:
        with in_time(0.1):
            stream = await read_whole(at.client)
        assert (stream.outcome, stream.events_seen) == ("completed", 4)
        with in_time(0.3):
            await at.server.peers[0].closed()
    async with scene(says(WHOLE + chunk(DELTA) + LAST_CHUNK, end="open"), connection="pooled") as at:
        assert (await read_whole(at.client)).events_seen == 4  # little enough to be drained
