"""Fault scenarios 26 to 36: the stream has begun, and the connection or its framing breaks, or nothing comes any more."""

import asyncio

import pytest
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    COMPLETED,
    CREATED,
    DELTA,
    EVENT_STREAM,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    chunk,
    head,
    read_whole,
    start,
    stream_answer,
)
from scenarios import SLOW, End, Scene, fails, in_turn, says, scene
from timing import in_time

from aiorunstream import (
    RunOutcomeUnknownError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTimeoutError,
    StreamTruncatedError,
)

BEGUN = STREAM_HEAD + chunk(CREATED)
A_MOMENT = 0.03
"""For what follows to come in a read of its own."""

# -- cut ---------------------------------------------------------------------------------------------------------------


async def test_26_fin_after_created() -> None:
    async with scene(in_turn(says(BEGUN), says(BEGUN, A_MOMENT)), posts=2) as at:
        for _ in range(2):
            error = await fails(at, StreamInterruptedError, run="run_raw", events=1)
            assert (error.run_status, error.last_event, error.clean_close) == ("queued", "thread.run.created", False)


async def test_27_rst_mid_delta() -> None:
    half = chunk(DELTA) + chunk(DELTA[:30])
    script = in_turn(
        says(BEGUN, A_MOMENT, half, A_MOMENT, end="rst"),
        says(BEGUN + half, A_MOMENT, end="rst"),
        says(BEGUN + half, A_MOMENT, end="rst"),
    )
    async with scene(script, posts=3) as at:
        for away in (0.0, 0.0, 2 * A_MOMENT):
            error = await fails(at, StreamInterruptedError, run="run_raw", events=2, away=away)
            assert (error.last_event, error.clean_close) == ("thread.message.delta", False)


FRAMINGS = {
    "chunked": stream_answer(CREATED, DELTA, COMPLETED),
    "length": head(200, {**EVENT_STREAM, "Content-Length": str(len(CREATED + DELTA + COMPLETED) + 5)})
    + (CREATED + DELTA + COMPLETED + b": end"),
    "until closed": CLOSE_DELIMITED_HEAD + CREATED + DELTA + COMPLETED,
}


async def follow(at: Scene) -> tuple[int, bool]:
    """How many events came, and whether the run is said to be complete; else the error must be one of a broken connection."""
    seen = 0
    try:
        async with start(at.client) as stream:
            async for _ in stream:
                seen += 1
    except (RunOutcomeUnknownError, StreamInterruptedError):
        return seen, False
    return seen, stream.outcome == "completed"


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("end", ["fin", "rst"])
async def test_28_cut_everywhere(framing: str, end: End) -> None:
    wire = FRAMINGS[framing]
    ends = [wire.index(item) + len(item) for item in (CREATED, DELTA, COMPLETED)]
    cuts = range(1, len(wire))
    async with scene(in_turn(*(says(wire[:cut], end=end) for cut in cuts)), posts=len(cuts), timeouts=SLOW) as at:
        with in_time(0.02 * len(cuts)):
            found = [await follow(at) for _ in cuts]
    expected = [(sum(whole <= cut for whole in ends), cut >= ends[-1]) for cut in cuts]
    assert found == expected


@pytest.mark.parametrize("end", ["fin", "rst"])
async def test_29_close_delimited_cut(end: End) -> None:
    script = says(CLOSE_DELIMITED_HEAD + CREATED, A_MOMENT, DELTA[:30], A_MOMENT, end=end)
    async with scene(script) as at:
        await fails(at, StreamTruncatedError, run="run_raw", events=1)


async def test_30_cl_short() -> None:
    wire = head(200, {**EVENT_STREAM, "Content-Length": str(len(CREATED) + 40)}) + CREATED + DELTA[:30]
    async with scene(says(wire)) as at:
        await fails(at, StreamInterruptedError, run="run_raw", events=1)


# -- chunks that are none ----------------------------------------------------------------------------------------------


async def breaks_the_rules(broken: bytes) -> None:
    """In a read of its own and behind a good event, also where the server then hangs up, or the reader is away."""
    good = chunk(DELTA)
    script = in_turn(
        says(BEGUN + good, A_MOMENT, broken, end="open"),
        says(BEGUN, A_MOMENT, good + broken, end="open"),
        says(BEGUN + good, A_MOMENT, broken),
        says(BEGUN + good + broken, end="open"),
    )
    async with scene(script, posts=4) as at:
        for _ in range(3):
            error = await fails(at, StreamProtocolError, within=0.5, run="run_raw", events=2)
            assert error.clean_close is False
        # In one read with the head, aiohttp gives no status either.
        await fails(at, RunOutcomeUnknownError, within=0.5)


async def test_31_bad_chunk_size() -> None:
    await breaks_the_rules(b"zz\r\n")


async def test_32_chunk_overrun() -> None:
    await breaks_the_rules(b"5\r\n" + b":" * 50 + b"\r\n")


async def test_33_bad_trailer() -> None:
    async def script(peer: Peer) -> None:
        for begins in (BEGUN, BEGUN + chunk(COMPLETED), BEGUN + chunk(COMPLETED)):
            await peer.request()
            await peer.send(begins)
            await asyncio.sleep(A_MOMENT)
            await peer.send(b"0\r\nx: \x00\r\n\r\n")
        await peer.closed()

    async with scene(script, posts=3, connection="pooled") as at:
        # aiohttp takes such a trailer for a good one.
        await fails(at, StreamTruncatedError, within=0.5, run="run_raw", events=1)
        for _ in range(2):
            with in_time(0.5):
                assert (await read_whole(at.client)).outcome == "completed"
            await asyncio.sleep(2 * A_MOMENT)


async def test_34_chunk_size_overflow() -> None:
    await breaks_the_rules(b"f" * 40 + b"\r\n")


# -- silence -----------------------------------------------------------------------------------------------------------


async def falls_silent(*pieces: bytes) -> None:
    async with scene(says(*pieces, end="open")) as at:
        error = await fails(at, StreamTimeoutError, within=0.5, run="run_raw", events=2)
        assert (error.clock, error.seconds, error.clean_close) == ("idle", 0.5, False)


async def test_35_stall_mid_event() -> None:
    await falls_silent(BEGUN, chunk(DELTA), chunk(RUN_STREAM[2][:40]))


async def test_36_stall_between_events() -> None:
    await falls_silent(BEGUN, chunk(DELTA))
