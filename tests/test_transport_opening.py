"""Requests that are not answered: what may have been carried out is sent once, what surely was not is tried again."""

import asyncio
import json
import socket
import ssl

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from raw_server import (
    CREATED,
    NO_RETRY,
    QUICK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    Script,
    answering,
    chunk,
    client_of,
    head,
    run_json,
    silent_after,
    start,
    stream_answer,
)

from aiorunstream import (
    APIConnectionError,
    APIError,
    AsyncClient,
    ClientClosedError,
    RetryPolicy,
    RunOutcomeUnknownError,
    StreamTimeoutError,
)

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
async def test_a_create_that_is_not_answered_is_of_unknown_outcome_and_sent_once(script: Script) -> None:
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

    async def resolve(self, host: str, port: int = 0, family: object = 0) -> list[ResolveResult]:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.asked += 1
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_that_does_not_resolve_is_tried_three_times_and_then_raised() -> None:
    resolver = NoSuchName()
    policy = RetryPolicy(attempts=3, base_delay=0.01)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session,
        AsyncClient(base_url="http://nowhere.invalid/v1", retry=policy, session=session) as client,
    ):
        with pytest.raises(APIConnectionError, match=r"nowhere\.invalid.*Name or service not known") as caught:
            await start(client)
    assert (caught.value.reason, caught.value.errno) == ("gaierror", None)
    assert resolver.asked == 3


# -- TLS ---------------------------------------------------------------------------------------------------------------


def authority_and_context(name: str) -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return authority, context


async def test_a_stream_over_tls_is_read_and_a_silent_peer_does_not_hold_the_socket_open() -> None:
    authority, context = authority_and_context("127.0.0.1")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType]

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


async def test_a_server_that_speaks_no_tls_is_asked_about() -> None:
    async def answer_at_once(peer: Peer) -> None:
        await peer.send(head(400))

    async with RawServer(answer_at_once) as server:
        url = server.base_url.replace("http:", "https:")
        async with AsyncClient(base_url=url, retry=NO_RETRY, timeouts=QUICK) as client:
            with pytest.raises(APIConnectionError, match="https") as caught:
                await start(client)
    assert (caught.value.reason, caught.value.errno) == ("SSLError", None)


async def test_what_a_hook_of_the_sessions_raises_after_the_request_has_left_is_no_refusal() -> None:
    async def raise_it(*_: object) -> None:
        raise ValueError("a hook of somebody else's")

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(raise_it)
    async with (
        RawServer(answering(stream_answer())) as server,
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        AsyncClient(base_url=server.base_url, retry=NO_RETRY, session=session) as client,
    ):
        with pytest.raises(RunOutcomeUnknownError) as caught:
            await start(client)
    assert caught.value.reason == "ValueError"


async def test_a_hook_of_the_sessions_reads_the_text_of_a_request() -> None:
    read: list[object] = []

    async def look(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        assert isinstance(request.body, aiohttp.Payload)
        read.append(json.loads(request.body.decode()))
        return await send(request)

    async with (
        RawServer(answering(stream_answer())) as server,
        aiohttp.ClientSession(middlewares=[look]) as session,
        AsyncClient(base_url=server.base_url, retry=NO_RETRY, session=session) as client,
    ):
        await (await start(client)).aclose()
        assert read == [json.loads(server.requests[0].body)]


async def test_a_client_that_a_hook_closes_in_the_turn_in_which_the_answer_comes_has_no_stream() -> None:
    async def close(*_: object) -> None:
        await client.aclose()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(close)
    async with RawServer(silent_after(CREATED)) as server, aiohttp.ClientSession(trace_configs=[trace]) as session:
        client = AsyncClient(base_url=server.base_url, retry=NO_RETRY, session=session)
        with pytest.raises(ClientClosedError):
            await start(client)
        assert await server.peers[0].closed_within(0.5)
