"""Connections that break, over real sockets: nothing received is lost, nothing hangs, nothing is sent twice. Clocks are in
test_transport_clocks.py."""

import asyncio
from typing import Literal

import pytest
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    COMPLETED,
    CREATED,
    DELTA,
    EVENT_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    chunk,
    client_of,
    delta_event,
    events_of,
    head,
    start,
    stream_answer,
)
from timing import in_time

from aiorunstream import (
    RunOutcomeUnknownError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTruncatedError,
    ThreadMessageDelta,
    Timeouts,
)

GRACE = 0.25
"""How much later than a clock says an error may come."""

# -- a body that breaks the rules of HTTP ------------------------------------------------------------------------------

BROKEN_BODIES = {
    "zz": b"zz\r\n",
    "forty f's": b"f" * 40 + b"\r\n",
    "a chunk longer than it says": b"5\r\n" + b":" * 50 + b"\r\n",
    "NUL in a trailer": b"0\r\nx: \x00\r\n\r\n",
}


@pytest.mark.parametrize("broken", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@pytest.mark.parametrize("same_read", [True, False], ids=["same read", "own read"])
@pytest.mark.parametrize("away", [True, False], ids=["reader away", "reader waiting"])
async def test_a_malformed_body_ends_as_our_error_after_every_good_event(
    broken: bytes, *, same_read: bool, away: bool
) -> None:
    good = chunk(CREATED + DELTA)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.03)
        await peer.send(*((good + broken,) if same_read else (good,)))
        if not same_read:
            await asyncio.sleep(0.03)
            await peer.send(broken)
        await peer.closed()

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        await anext(stream)
        if away:
            await asyncio.sleep(0.12)
        seen = 1
        with in_time(0.5), pytest.raises(StreamError) as caught:
            async for _ in stream:
                seen += 1
        assert seen == 3
        assert caught.value.run_id == "run_raw"
        if not broken.startswith(b"0"):  # aiohttp takes that trailer for a good end
            assert await server.peers[0].closed_within(0.2)


@pytest.mark.parametrize("broken", list(BROKEN_BODIES.values())[:2], ids=list(BROKEN_BODIES)[:2])
async def test_a_malformed_chunk_wakes_a_waiting_reader_long_before_the_idle_clock(broken: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.05)
        await peer.send(broken)
        await peer.closed()

    slow = Timeouts(connect=2, first_event=5, idle=5)
    async with RawServer(script) as server, client_of(server, timeouts=slow) as client, start(client) as stream:
        await anext(stream)
        with in_time(0.05), pytest.raises(StreamProtocolError):
            await anext(stream)


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("framing", ["chunked", "length", "until closed"])
async def test_twenty_thousand_buffered_bytes_are_delivered_when_the_connection_breaks_behind_the_reader(
    how: Literal["fin", "rst"], framing: str
) -> None:
    deltas = [delta_event(f"{number:04}" + "x" * 980) for number in range(17)]
    wire = CREATED + b"".join(deltas)
    assert len(wire) > 19_500
    begins = {
        "chunked": STREAM_HEAD + chunk(wire),
        "length": head(200, {**EVENT_STREAM, "Content-Length": "999999"}) + wire,
        "until closed": CLOSE_DELIMITED_HEAD + wire,
    }

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begins[framing])
        await asyncio.sleep(0.08)
        peer.fin() if how == "fin" else peer.rst()

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        await asyncio.sleep(0.16)
        texts: list[str] = []
        with pytest.raises(StreamInterruptedError) as caught:
            async for item in stream:
                if isinstance(item, ThreadMessageDelta):
                    texts.append(item.data.text[:4])
        assert texts == [f"{number:04}" for number in range(17)]
        assert caught.value.events_seen == 18
        assert isinstance(caught.value, StreamTruncatedError) == (framing == "until closed")


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("away", [True, False], ids=["reader away", "reader waiting"])
async def test_a_break_inside_an_event_is_an_interruption_and_the_half_event_is_not_delivered(
    how: Literal["fin", "rst"], *, away: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED) + chunk(DELTA[:30]))
        await asyncio.sleep(0.05)
        peer.fin() if how == "fin" else peer.rst()

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        await anext(stream)
        if away:
            await asyncio.sleep(0.1)
        with pytest.raises(StreamInterruptedError):
            await anext(stream)
        assert server.posts == 1
        assert stream.clean_close is False


async def test_every_cut_of_a_short_stream_is_complete_only_where_the_stopping_event_was_whole() -> None:
    wire = stream_answer(CREATED, COMPLETED)
    whole = wire.index(COMPLETED) + len(COMPLETED)
    cuts = [*range(whole - 25, len(wire)), *range(1, whole - 25, 23)]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(wire[: cuts[len(server.peers) - 1]])

    async with RawServer(script) as server, client_of(server) as client:
        for cut in cuts:
            complete = False
            try:
                async with start(client) as stream:
                    await events_of(stream)
                complete = stream.outcome == "completed"
            except (RunOutcomeUnknownError, StreamInterruptedError):
                pass
            assert complete == (cut >= whole), cut
        assert server.posts == len(cuts)
