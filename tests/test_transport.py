"""Connections that break, over real sockets: nothing received is lost, nothing hangs, nothing is sent twice. Clocks are in
test_transport_clocks.py."""

import asyncio
import ssl
import time
from typing import Literal

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    COMPLETED,
    CREATED,
    DELTA,
    EVENT_STREAM,
    NO_RETRY,
    QUICK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    answering,
    chunk,
    client_of,
    delta_event,
    events_of,
    head,
    run_json,
    start,
    stream_answer,
)

from aiorunstream import (
    APIConnectionError,
    APIError,
    AsyncClient,
    RetryPolicy,
    RunOutcomeUnknownError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTimeoutError,
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
    broken: bytes, same_read: bool, away: bool
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
        began = time.monotonic()
        with pytest.raises(StreamError) as caught:
            async for _ in stream:
                seen += 1
        assert time.monotonic() - began < 0.5 + GRACE
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
        began = time.monotonic()
        with pytest.raises(StreamProtocolError):
            await anext(stream)
        assert time.monotonic() - began < 1


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
    how: Literal["fin", "rst"], away: bool
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


# -- no answer ---------------------------------------------------------------------------------------------------------


async def vanish(peer: Peer) -> None:
    await peer.request()


async def vanish_unread(peer: Peer) -> None:
    await asyncio.sleep(0)


async def reset(peer: Peer) -> None:
    await peer.request()
    peer.rst()


async def half_a_status_line(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 2")


async def half_the_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD[:-7])


async def two_framings(peer: Peer) -> None:
    await peer.request()
    await peer.send(head(200, {"Content-Length": "5", "Transfer-Encoding": "chunked"}) + chunk(b"hello"))


async def long_header(peer: Peer) -> None:
    await peer.request()
    await peer.send(head(200, {"X-Long": "x" * 9000}))


async def many_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(head(200, {f"X-{number}": "x" for number in range(300)}))


async def no_http(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [vanish, reset, half_a_status_line, half_the_headers, two_framings, long_header, many_headers, no_http],
)
async def test_a_create_that_is_not_answered_is_of_unknown_outcome_and_sent_once(script: object) -> None:
    assert callable(script)
    async with RawServer(script) as server, client_of(server, retry=RetryPolicy()) as client:
        with pytest.raises(RunOutcomeUnknownError) as caught:
            await start(client)
        assert caught.value.clock is None
        assert caught.value.operation == "create_run"
        assert caught.value.host == f"127.0.0.1:{server.port}"
        assert server.posts == 1
        assert len(server.peers) == 1


async def test_a_server_that_hangs_up_at_once_gives_an_unknown_outcome_after_one_connection() -> None:
    async with RawServer(vanish_unread) as server, client_of(server, retry=RetryPolicy()) as client:
        with pytest.raises(RunOutcomeUnknownError):
            await start(client)
        assert len(server.peers) == 1


async def test_a_lost_connection_is_tried_again_where_the_request_may_be_repeated() -> None:
    async with RawServer(vanish) as server, client_of(server, retry=RetryPolicy(base_delay=0.01)) as client:
        with pytest.raises(APIConnectionError):
            await client.threads.runs.retrieve("run_raw", thread_id="thread_raw")
        assert len(server.peers) >= 3  # aiohttp itself may ask twice for a GET


async def test_a_get_whose_answer_is_cut_short_is_tried_again() -> None:
    cut = head(200, {"Content-Type": "application/json", "Content-Length": "500"}) + b'{"id": "run_raw"'

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(cut)

    async with RawServer(script) as server, client_of(server, retry=RetryPolicy(base_delay=0.01)) as client:
        with pytest.raises(APIError):
            await client.threads.runs.retrieve("run_raw", thread_id="thread_raw")
        assert len(server.requests) == 3


async def test_a_refused_connection_is_tried_three_times_and_then_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(vanish) as server:
        url = server.base_url
    connects = 0
    original = aiohttp.TCPConnector.connect

    async def counted(self: aiohttp.TCPConnector, *args: object, **kwargs: object) -> object:
        nonlocal connects
        connects += 1
        return await original(self, *args, **kwargs)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", counted)
    policy = RetryPolicy(attempts=3, base_delay=0.02)
    async with AsyncClient(base_url=url, retry=policy, timeouts=QUICK) as client:
        with pytest.raises(APIConnectionError) as caught:
            await start(client)
    assert connects == 3
    assert caught.value.errno is not None
    assert caught.value.__cause__ is None


class NoSuchName(AbstractResolver):
    """Knows no name, and counts how often it was asked."""

    asked = 0

    async def resolve(self, host: str, port: int = 0, family: object = 0) -> list[ResolveResult]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self.asked += 1
        raise OSError(-2, "Name or service not known")

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_that_does_not_resolve_is_tried_three_times_and_then_raised() -> None:
    resolver = NoSuchName()
    policy = RetryPolicy(attempts=3, base_delay=0.01)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session,
        AsyncClient(base_url="http://nowhere.invalid/v1", retry=policy, session=session) as client,
    ):
        with pytest.raises(APIConnectionError, match=r"nowhere\.invalid"):
            await start(client)
    assert resolver.asked == 3


# -- TLS ---------------------------------------------------------------------------------------------------------------


def authority_and_context(name: str) -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return authority, context


async def test_a_stream_over_tls_is_read_and_a_silent_peer_does_not_hold_the_socket_open() -> None:
    authority, context = authority_and_context("127.0.0.1")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await peer.closed()

    async with (
        RawServer(script, tls=context) as server,
        AsyncClient(base_url=server.base_url, ssl=trusting, timeouts=QUICK, retry=NO_RETRY) as client,
    ):
        async with start(client) as stream:
            await anext(stream)
        assert await server.peers[0].closed_within(0.2)


async def test_a_certificate_of_somebody_else_is_a_connection_error_and_nothing_is_sent() -> None:
    _, context = authority_and_context("elsewhere.example")
    async with RawServer(answering(stream_answer(*RUN_STREAM)), tls=context) as server, client_of(server) as client:
        with pytest.raises(APIConnectionError):
            await start(client)
        assert server.requests == []


async def test_a_plain_answer_that_is_cut_says_what_it_was() -> None:
    cut = head(200, {"Content-Type": "application/json", "Content-Length": "500"}) + str(run_json()).encode()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(cut)

    async with RawServer(script) as server, client_of(server) as client:
        with pytest.raises(APIError) as caught:
            await client.threads.runs.create("thread_raw", assistant_id="asst_raw")
        assert not isinstance(caught.value, (StreamTimeoutError, APIConnectionError))
        assert server.posts == 1
