"""Closing a client and everything it holds, one that serves several loops, and one with a session of its caller."""

import asyncio
import gc
import logging
import re
import threading
import time
import warnings
from typing import Any

import aiohttp
import pytest
from raw_server import (
    CREATED,
    NO_RETRY,
    QUICK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    Script,
    answer,
    answering,
    chunk,
    client_of,
    events_of,
    head,
    in_thread,
    read_whole,
    silent_after,
    start,
    stream_answer,
)
from timing import in_time

from aiorunstream import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncClient,
    ClientClosedError,
    RunStream,
    StreamClosedError,
    Timeouts,
)

OURS = re.compile("never awaited|Unclosed (client session|connector)|dropped while open")
"""Warnings that closing the client must spare its user; asyncio's own about a loop's open transports are not among them."""

# -- closing the client ------------------------------------------------------------------------------------------------


async def test_closing_the_client_wakes_its_readers_and_closes_their_sockets() -> None:
    async with RawServer(silent_after(CREATED)) as server, client_of(server) as client:
        streams = [await start(client) for _ in range(5)]
        readers = [asyncio.create_task(events_of(stream)) for stream in streams]
        await asyncio.sleep(0.05)
        with in_time(0):
            await client.aclose()
            found = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(error) for error in found] == [StreamClosedError] * 5
        for peer in server.peers:
            assert await peer.closed_within(0.2)
        with pytest.raises(ClientClosedError):
            await start(client)
        await client.aclose()


@pytest.mark.parametrize("theirs", [False, True], ids=["own session", "session of the caller"])
async def test_closing_the_client_ends_a_request_that_is_under_way(*, theirs: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    clocks = Timeouts(connect=2, first_event=1.5)
    async with RawServer(script) as server, aiohttp.ClientSession() as session:
        client = AsyncClient(
            base_url=server.base_url, timeouts=clocks, retry=NO_RETRY, session=session if theirs else None
        )
        opening = asyncio.create_task(start(client))
        await server.seen(1)
        await asyncio.sleep(0.05)
        await client.aclose()
        found, _ = await asyncio.wait([opening], timeout=0.5)
        opening.cancel()
        assert found, "the request went on after its client was closed"
        assert isinstance(opening.exception(), ClientClosedError)


async def test_closing_the_client_cuts_what_drains_without_waiting() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"".join(map(chunk, RUN_STREAM)))
        await peer.closed()

    async with RawServer(script) as server:
        client = client_of(server)
        await read_whole(client)
        with in_time(0):
            await client.aclose()
        assert await server.peers[0].closed_within(0.1)


async def test_cancelling_a_plain_call_while_its_answer_comes_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(200, {"Content-Type": "application/json", "Content-Length": "99"}) + b"{")
        await peer.closed()

    async with RawServer(script) as server, client_of(server, timeouts=Timeouts(idle=5)) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.threads.retrieve("thread_raw"), 0.15)
        assert await server.peers[0].closed_within(0.2)


# -- several loops, and a session of the caller ------------------------------------------------------------------------


def test_one_client_serves_two_loops_in_turn() -> None:
    async def read_and_close(client: AsyncClient) -> None:
        assert (await read_whole(client)).events_seen == 4
        await client.aclose()

    with in_thread(answering(stream_answer())) as server, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        client = AsyncClient(base_url=server.base_url, timeouts=QUICK, retry=NO_RETRY)
        assert asyncio.run(read_whole(client)).outcome == "completed"
        asyncio.run(read_and_close(client))
        del client
        gc.collect()
    assert len(server.peers) == 2
    assert not [str(warning.message) for warning in said if OURS.search(str(warning.message))]


def test_a_stream_left_open_in_a_loop_that_is_gone_does_not_disturb_closing() -> None:
    async def leave_open(client: AsyncClient) -> RunStream:
        stream = await start(client)
        await anext(stream)
        return stream

    async def close(client: AsyncClient, stream: RunStream) -> None:
        await client.aclose()
        with pytest.raises(StreamClosedError):
            await anext(stream)

    with in_thread(silent_after(CREATED)) as server, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        client = AsyncClient(base_url=server.base_url, timeouts=QUICK, retry=NO_RETRY)
        stream = asyncio.run(leave_open(client))
        body: Any = stream._body
        transport = body._connection.transport
        asyncio.run(close(client, stream))
        if transport._sock is not None:  # asyncio leaves the socket of a loop that is gone to the collector
            transport._sock.close()
            transport._sock = None
        del client, stream, body, transport
        gc.collect()
    assert not [str(warning.message) for warning in said if OURS.search(str(warning.message))]


async def cut_and_fall_silent(peer: Peer) -> None:
    """Breaks the stream, and never says what became of its run."""
    seen = await peer.request()
    assert seen is not None
    if seen.line.startswith("POST"):
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.05)
        peer.rst()
    else:
        await peer.closed()


@pytest.mark.parametrize(
    ("script", "recover"),
    [(silent_after(CREATED), False), (silent_after(CREATED), True), (cut_and_fall_silent, True)],
    ids=["reading", "reading what could recover", "recovering"],
)
def test_closing_from_another_loop_wakes_a_reader_there_safely(
    script: Script, caplog: pytest.LogCaptureFixture, *, recover: bool
) -> None:
    caplog.set_level(logging.INFO, "aiorunstream")
    found: list[BaseException] = []
    reading = threading.Event()

    async def read(client: AsyncClient) -> None:
        asyncio.get_running_loop().set_debug(enabled=True)  # refuses calls from other threads
        stream = await start(client)
        await anext(stream)
        reading.set()
        try:
            await asyncio.wait_for(anext(stream), 1)
        except (APIError, TimeoutError) as error:
            found.append(error)

    with in_thread(script) as server:
        client = AsyncClient(base_url=server.base_url, timeouts=Timeouts(), retry=NO_RETRY, recover=recover)
        thread = threading.Thread(target=lambda: asyncio.run(read(client)), daemon=True)
        thread.start()
        assert reading.wait(5)
        time.sleep(0.1)
        asyncio.run(client.aclose())
        thread.join(2)
    assert [type(error) for error in found] == [StreamClosedError]
    assert ("recovering a broken stream" in caplog.text) == (script is cut_and_fall_silent)


async def test_a_session_of_the_caller_is_left_open_and_our_settings_still_apply() -> None:
    async with RawServer(answering(stream_answer())) as other:
        target = f"http://127.0.0.1:{other.port}/elsewhere"
        script = answering(stream_answer(), answer(307, b"", {"Location": target}), answer(404, {"error": "no"}))
        async with (
            RawServer(script) as server,
            aiohttp.ClientSession(
                raise_for_status=True, timeout=aiohttp.ClientTimeout(total=0.05), read_bufsize=2**20
            ) as session,
        ):
            async with AsyncClient(base_url=server.base_url, session=session, retry=NO_RETRY, timeouts=QUICK) as client:
                stream = await start(client)
                assert stream._body._content._low_water == 16 * 1024  # type: ignore[attr-defined]
                await asyncio.sleep(0.1)
                assert len(await events_of(stream)) == 4
                for status in (307, 404):
                    with pytest.raises(APIStatusError) as caught:
                        await start(client)
                    assert caught.value.status_code == status
            assert not session.closed
        assert other.requests == []
        assert not isinstance(caught.value, APIConnectionError)
