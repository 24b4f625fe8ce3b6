"""Fault scenarios 1 to 16: the request is not answered, or by nobody who should."""

import asyncio
import datetime as dt
import socket
import ssl
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import trustme
from raw_server import (
    CREATED,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    answering,
    chunk,
    head,
    start,
    stream_answer,
)
from scenarios import (
    RETRIES,
    SHORT,
    SLOW,
    Scene,
    counting_session,
    fails,
    in_turn,
    nothing_left,
    repeats,
    says,
    scene,
)
from timing import in_time

from aiorunstream import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    RunOutcomeUnknownError,
    StreamInterruptedError,
    StreamProtocolError,
    Timeouts,
)

BACKOFFS = 2 * RETRIES.max_delay


# -- never connected ---------------------------------------------------------------------------------------------------


async def test_01_refuse() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening
        port = nobody.getsockname()[1]
        async with nothing_left():
            session, attempts = counting_session()
            async with (
                session,
                AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", retry=RETRIES, session=session) as client,
            ):
                with in_time(BACKOFFS), pytest.raises(APIConnectionError) as caught:
                    await start(client)
            assert type(caught.value) is APIConnectionError
            assert caught.value.host == f"127.0.0.1:{port}"
            assert caught.value.reason == "ConnectionRefusedError"
            assert len(attempts) == 3


async def test_02_dns_fail() -> None:
    async with nothing_left():
        session, attempts = counting_session()
        async with (
            session,
            AsyncClient(base_url="http://nobody.invalid/v1", retry=RETRIES, session=session) as client,
        ):
            with pytest.raises(APIConnectionError, match=r"nobody\.invalid") as caught:  # how soon, the resolver says
                await start(client)
        assert caught.value.host == "nobody.invalid"
        assert len(attempts) == 3


@contextmanager
def black_hole() -> Generator[int, None, None]:
    """A port whose queue of connections is full: Linux drops what else knocks, and answers nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        knocking = [socket.socket() for _ in range(4)]
        for caller in knocking:
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for caller in knocking:
            caller.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
async def test_03_syn_blackhole() -> None:
    clocks = Timeouts(connect=0.2, first_event=5)
    with black_hole() as port:
        async with nothing_left():
            session, attempts = counting_session()
            url = f"http://127.0.0.1:{port}/v1"
            async with session, AsyncClient(base_url=url, timeouts=clocks, retry=RETRIES, session=session) as client:
                with in_time(3 * 0.2 + BACKOFFS), pytest.raises(APITimeoutError) as caught:
                    await start(client)
            assert type(caught.value) is APITimeoutError
            assert len(attempts) == 3


# -- connected, and no answer ------------------------------------------------------------------------------------------


async def hang_up(peer: Peer) -> None:
    await asyncio.sleep(0)


async def reset_at_once(peer: Peer) -> None:
    peer.rst()


async def unknown(at: Scene, *, within: float = 0.1) -> RunOutcomeUnknownError:
    """The one POST may have been carried out, and is not sent again."""
    before = len(at.server.peers)
    error = await fails(at, RunOutcomeUnknownError, within=within)
    assert (error.operation, error.host) == ("create_run", f"127.0.0.1:{at.server.port}")
    assert len(at.server.peers) == before + 1
    return error


async def test_04_accept_then_fin() -> None:
    async with scene(hang_up, posts=0) as at:
        assert (await unknown(at)).clock is None


async def test_05_rst_before_read() -> None:
    async with scene(reset_at_once, posts=0) as at:
        assert (await unknown(at)).clock is None


async def test_06_fin_after_request() -> None:
    async with scene(says()) as at:
        assert (await unknown(at)).clock is None


async def test_07_rst_after_request() -> None:
    async with scene(says(end="rst")) as at:
        assert (await unknown(at)).clock is None


async def test_08_silent_headers() -> None:
    async with scene(says(end="open")) as at:
        assert (await unknown(at, within=0.5)).clock == "first_event"


async def test_09_half_status_line() -> None:
    async with scene(says(b"HTTP/1.1 2")) as at:
        assert (await unknown(at)).clock is None


async def test_10_half_headers() -> None:
    cuts = range(1, len(STREAM_HEAD))
    scripts = [says(STREAM_HEAD[:cut]) for cut in cuts]
    async with scene(in_turn(*scripts), posts=len(cuts), timeouts=SLOW) as at:
        for _ in cuts:
            assert (await unknown(at)).clock is None


async def test_11_1xx_forever() -> None:
    async with scene(repeats(head(103, {"Link": "</x>"}), 0.05)) as at:
        assert (await unknown(at, within=0.5)).clock == "first_event"


async def test_12_huge_header() -> None:
    trailers = b"0\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(300)) + b"\r\n"
    long_trailer = b"0\r\nx: " + b"y" * 9000 + b"\r\n\r\n"
    script = in_turn(
        says(head(200, {"X-Long": "x" * 9000}), end="open"),
        says(head(200, {f"X-{number}": "x" for number in range(200)}), end="open"),
        says(STREAM_HEAD + chunk(CREATED), 0.03, long_trailer, end="open"),
        says(STREAM_HEAD + chunk(CREATED), 0.03, trailers, end="open"),
    )
    async with scene(script, posts=4) as at:
        for _ in range(2):
            assert (await unknown(at)).clock is None
        await fails(at, StreamProtocolError, run="run_raw", events=1)
        await fails(at, StreamInterruptedError, run="run_raw", events=1)  # aiohttp does not tell it from a cut


async def test_13_cl_and_te() -> None:
    framings = {"Content-Type": "text/event-stream", "Content-Length": "5", "Transfer-Encoding": "chunked"}
    async with scene(says(head(200, framings) + chunk(b"hello"), end="open")) as at:
        assert (await unknown(at)).clock is None


async def test_14_tls_on_plain() -> None:
    alert = b"\x15\x03\x01\x00\x02\x02\x28"
    async with scene(in_turn(says(alert), says(alert + b"\r\n\r\n", end="open")), posts=2) as at:
        for _ in range(2):
            assert (await unknown(at)).clock is None


# -- TLS and redirects -------------------------------------------------------------------------------------------------


def certified(name: str, *, expired: bool) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with such a certificate, and of a client that trusts whoever made it."""
    authority, serving = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    authority.issue_cert(name, not_after=past if expired else None).configure_cert(serving)  # pyright: ignore[reportUnknownMemberType]
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType]
    return serving, trusting


async def refused_certificate(name: str, *, expired: bool) -> int:
    """How often the client tried; no request may have come."""
    serving, trusting = certified(name, expired=expired)
    async with nothing_left(), RawServer(answering(stream_answer()), tls=serving) as server:
        session, attempts = counting_session()
        async with (
            session,
            AsyncClient(
                base_url=server.base_url, ssl=trusting, retry=RETRIES, timeouts=SHORT, session=session
            ) as client,
        ):
            with in_time(0.3), pytest.raises(APIConnectionError) as caught:
                await start(client)
        assert type(caught.value) is APIConnectionError
        assert caught.value.__context__ is None
        assert caught.value.reason == "SSLCertVerificationError"
        assert "its certificate is not trusted" in str(caught.value)
        assert caught.value.errno is None
        assert server.requests == []
        return len(attempts)


async def test_15_bad_cert() -> None:
    assert await refused_certificate("elsewhere.example", expired=False) == 1
    assert await refused_certificate("127.0.0.1", expired=True) == 1


async def test_16_redirect_x5() -> None:
    async with RawServer(answering(stream_answer(*RUN_STREAM))) as other:
        statuses = (301, 302, 303, 307, 308)
        target = {"Location": f"http://127.0.0.1:{other.port}/v1/threads/thread_raw/runs"}
        script = answering(*(answer(status, b"", target) for status in statuses))
        async with scene(script, posts=5, connection="pooled") as at:
            for status in statuses:
                error = await fails(at, APIStatusError)
                assert (error.status_code, error.outcome_unknown) == (status, False)
        assert other.peers == []
