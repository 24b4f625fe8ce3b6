"""No byte is thrown away: whatever ends a stream, everything that came before is handed out first, and then the right error.

The events are of uneven size and lie across chunks and packets, so that every cut between two reads is inside an event.
What a single chunk and a break behind the reader come to is in test_transport.py; cuts at every byte in test_cut_everywhere.py.
"""

import asyncio
import fcntl
import socket
import termios
from typing import Literal

import pytest
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    CREATED,
    LAST_CHUNK,
    NO_RETRY,
    STREAM_HEAD,
    Peer,
    RawServer,
    Script,
    chunk,
    client_of,
    delta_event,
    start,
)

from aiorunstream import (
    RunOutcomeUnknownError,
    RunStream,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTimeoutError,
    StreamTruncatedError,
    ThreadMessageDelta,
    Timeouts,
)

Ending = Literal["clean", "fin", "rst", "malformed", "stall"]
ERRORS: dict[Ending, type[StreamError]] = {
    "clean": StreamTruncatedError,
    "fin": StreamInterruptedError,
    "rst": StreamInterruptedError,
    "malformed": StreamProtocolError,
    "stall": StreamTimeoutError,
}
CHUNK, PACKET = 777, 1301
CLOCKS = Timeouts(connect=5, first_event=5, idle=1)
LONG_ENOUGH = 0.1
"""Seconds in which loopback has carried everything over, and the loop has seen the end of it."""


def numbered(size: int) -> tuple[bytes, list[str]]:
    """Events of at least that many bytes in all, and their texts, each with its number and of a length of its own."""
    wire, texts = CREATED, list[str]()
    while len(wire) < size:
        texts.append(f"{len(texts)}:" + "é" * (len(texts) * 37 % 400))
        wire += delta_event(texts[-1])
    return wire, texts


def in_packets(data: bytes, size: int = PACKET) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def ending_with(ending: Ending, wire: bytes, *, later: bool) -> Script:
    """Sends the head, then the events in crooked chunks and packets, and ends so: right behind them, or a moment later."""
    last = {"clean": LAST_CHUNK, "malformed": b"zz\r\n"}.get(ending, b"")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        await asyncio.sleep(0.02)
        body = b"".join(map(chunk, in_packets(wire, CHUNK)))
        if not later:
            await peer.send(*in_packets(body + last))
        else:
            await peer.send(*in_packets(body))
            await asyncio.sleep(0.05)
            await peer.send(last)
        if ending == "fin":
            peer.fin()
        elif ending == "rst":
            peer.rst()
        else:
            await peer.closed()

    return script


async def texts_and_error(stream: RunStream) -> tuple[list[str], StreamError]:
    """All that is handed out, and what it ends with."""
    texts: list[str] = []
    with pytest.raises(StreamError) as caught:
        async for item in stream:
            if isinstance(item, ThreadMessageDelta):
                texts.append(item.data.text)
    return texts, caught.value


@pytest.mark.parametrize("later", [True, False], ids=["a moment later", "right behind"])
@pytest.mark.parametrize("away", [True, False], ids=["reader away", "reader waiting"])
@pytest.mark.parametrize("ending", ERRORS)
async def test_twenty_thousand_bytes_come_out_before_the_right_error(
    ending: Ending, *, away: bool, later: bool
) -> None:
    wire, texts = numbered(20_000)
    async with (
        RawServer(ending_with(ending, wire, later=later)) as server,
        client_of(server, timeouts=CLOCKS, retry=NO_RETRY) as client,
        start(client) as stream,
    ):
        if away:
            await asyncio.sleep(LONG_ENOUGH + 0.05)
        found, error = await texts_and_error(stream)
        assert found == texts
        assert type(error) is ERRORS[ending]
        assert (error.events_seen, error.run_id) == (len(texts) + 1, "run_raw")
        assert error.clean_close is (ending == "clean")
        if isinstance(error, StreamTimeoutError):
            assert error.clock == "idle"
        assert server.posts == 1


@pytest.mark.parametrize("ending", ERRORS)
async def test_a_reader_that_pauses_after_every_event_loses_nothing_either(ending: Ending) -> None:
    wire, texts = numbered(6_000)
    async with (
        RawServer(ending_with(ending, wire, later=True)) as server,
        client_of(server, timeouts=CLOCKS) as client,
        start(client) as stream,
    ):
        found: list[str] = []
        with pytest.raises(StreamError) as caught:
            async for item in stream:
                await asyncio.sleep(0.002)
                if isinstance(item, ThreadMessageDelta):
                    found.append(item.data.text)
        assert found == texts
        assert type(caught.value) is ERRORS[ending]


@pytest.mark.parametrize("ending", [ending for ending in ERRORS if ending != "rst"])
async def test_more_than_a_buffer_comes_out_too(ending: Ending) -> None:
    """Above 32 KiB the socket is paused, and the rest waits in the system, where the end waits behind it."""
    wire, texts = numbered(150_000)
    async with (
        RawServer(ending_with(ending, wire, later=False)) as server,
        client_of(server, timeouts=CLOCKS) as client,
        start(client) as stream,
    ):
        await asyncio.sleep(LONG_ENOUGH)
        found, error = await texts_and_error(stream)
        assert found == texts
        assert type(error) is ERRORS[ending]


async def test_of_more_than_a_buffer_a_reset_takes_back_only_what_had_not_arrived() -> None:
    wire, texts = numbered(150_000)
    framed = b"".join(map(chunk, in_packets(wire, CHUNK)))
    arrived: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        await asyncio.sleep(0.02)
        await peer.send(*in_packets(framed))
        await asyncio.sleep(0.05)
        arrived.append(len(framed) - not_arrived(peer))
        peer.rst()

    async with RawServer(script) as server, client_of(server, timeouts=CLOCKS) as client, start(client) as stream:
        await asyncio.sleep(LONG_ENOUGH + 0.05)
        found, error = await texts_and_error(stream)
    assert type(error) is StreamInterruptedError
    assert found == texts[: len(found)]
    whole_chunks = arrived[0] // len(chunk(bytes(CHUNK))) * CHUNK
    assert whole_chunks > 40_000, "this was to be more than a buffer"
    assert len(found) >= wire[:whole_chunks].count(b"\n\n") - 1


def not_arrived(peer: Peer) -> int:
    """Bytes that the client's system has not acknowledged; it may have some of them all the same."""
    connection: socket.socket = peer.transport.get_extra_info("socket")
    queued = int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), "little")
    return queued + peer.transport.get_write_buffer_size()


@pytest.mark.parametrize("ending", ["clean", "fin", "rst"])
async def test_a_body_without_a_length_comes_out_whole(ending: Ending) -> None:
    wire, texts = numbered(20_000)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*in_packets(CLOSE_DELIMITED_HEAD + wire))
        await asyncio.sleep(0.05)
        peer.rst() if ending == "rst" else peer.fin()

    async with RawServer(script) as server, client_of(server, timeouts=CLOCKS) as client, start(client) as stream:
        found, error = await texts_and_error(stream)
        assert found == texts
        assert type(error) is StreamTruncatedError


async def test_a_malformed_chunk_in_the_very_read_of_the_head_is_an_unknown_outcome() -> None:
    """The limit of the promise: aiohttp gives up on such a read as a whole, so that not even the status is known."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED) + b"zz\r\n")
        await peer.closed()

    async with RawServer(script) as server, client_of(server, timeouts=CLOCKS) as client:
        with pytest.raises(RunOutcomeUnknownError):
            await start(client)
        assert server.posts == 1
        assert await server.peers[0].closed_within(1)
