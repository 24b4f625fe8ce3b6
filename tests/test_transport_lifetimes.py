"""What outlives a stream: the drain, pooled connections, slots, sessions of several loops, and closing it all."""

import asyncio
import gc
import re
import threading
import time
import warnings

import aiohttp
import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    DONE,
    LAST_CHUNK,
    NO_RETRY,
    QUICK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    answering,
    chunk,
    client_of,
    events_of,
    head,
    in_thread,
    run_json,
    start,
    stream_answer,
)

from aiorunstream import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    ClientClosedError,
    Limits,
    RunOutcomeUnknownError,
    RunStream,
    StreamClosedError,
    Timeouts,
)

DRAIN = 0.25
OURS = re.compile("never awaited|Unclosed (client session|connector)|dropped while open")
"""Warnings that closing the client must spare its user; asyncio's own about a loop's open transports are not among them."""


async def opened_and_silent(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED))
    await peer.closed()


async def read_whole(client: AsyncClient) -> RunStream:
    async with start(client) as stream:
        await events_of(stream)
    return stream


# -- the drain ---------------------------------------------------------------------------------------------------------


async def test_a_hundred_streams_one_after_another_share_one_connection() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        for _ in range(100):
            assert (await read_whole(client)).outcome == "completed"
        assert len(server.peers) == 1
        assert server.posts == 100


async def test_a_last_chunk_that_comes_late_is_waited_for_in_the_background() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.send(STREAM_HEAD + b"".join(map(chunk, RUN_STREAM)))
            await asyncio.sleep(0.03)
            await peer.send(LAST_CHUNK)

    async with RawServer(script) as server, client_of(server) as client:
        for _ in range(3):
            began = time.monotonic()
            stream = await read_whole(client)
            assert time.monotonic() - began < 0.2
            await asyncio.sleep(0.08)
            assert stream.clean_close is True
        assert len(server.peers) == 1


async def test_a_connection_kept_open_after_the_end_is_cut_and_nobody_waits_for_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"".join(map(chunk, RUN_STREAM)))
        await peer.closed()

    async with RawServer(script) as server, client_of(server) as client:
        began = time.monotonic()
        stream = await read_whole(client)
        assert time.monotonic() - began < 0.2
        assert stream.clean_close is None
        assert server.peers[0].closed_at is None
        assert await server.peers[0].closed_within(DRAIN + 0.25)
        assert stream.clean_close is False
        assert stream.outcome == "completed"


async def test_more_than_a_buffer_after_the_end_is_not_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"".join(map(chunk, RUN_STREAM)))
        while not await peer.closed_within(0.001):
            await peer.send(chunk(DELTA * 200))

    async with RawServer(script) as server, client_of(server) as client:
        stream = await read_whole(client)
        assert stream.events_seen == 4
        assert await server.peers[0].closed_within(DRAIN + 0.25)


async def test_a_break_while_draining_is_still_a_good_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED + COMPLETED + DONE))
        await asyncio.sleep(0.05)
        peer.rst()

    async with RawServer(script) as server, client_of(server) as client:
        stream = await read_whole(client)
        await asyncio.sleep(0.1)
        assert (stream.outcome, stream.clean_close) == ("completed", False)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


# -- the pool ----------------------------------------------------------------------------------------------------------


async def test_an_idle_connection_that_the_server_closed_is_not_used() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_answer())
        await asyncio.sleep(0.03)

    async with RawServer(script) as server, client_of(server) as client:
        for _ in range(3):
            await read_whole(client)
            await asyncio.sleep(0.08)
        assert server.posts == len(server.peers) == 3


async def test_a_kept_connection_that_dies_under_a_create_gives_an_unknown_outcome_and_no_second_post() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_answer())
        await peer.request()

    async with RawServer(script) as server, client_of(server) as client:
        await read_whole(client)
        with pytest.raises(RunOutcomeUnknownError):
            await start(client)
        assert server.posts == 2
        assert len(server.peers) == 1


async def test_a_stream_that_was_left_does_not_spoil_the_next_one() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.send(STREAM_HEAD + b"".join(map(chunk, RUN_STREAM[:2])))
            await asyncio.sleep(0.02)
            await peer.send(*map(chunk, RUN_STREAM[2:]), LAST_CHUNK)

    async with RawServer(script) as server, client_of(server) as client:
        for _ in range(5):
            async with start(client) as stream:
                await anext(stream)
            assert (await read_whole(client)).events_seen == 4


# -- big and early -----------------------------------------------------------------------------------------------------


async def test_a_body_above_a_mebibyte_is_sent_without_a_warning() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call = client.threads.runs.create_stream("thread_raw", assistant_id="a", instructions="x" * 3_000_000)
            async with call as stream:
                await events_of(stream)
        assert len(server.requests[0].body) > 3_000_000


async def test_an_answer_that_begins_before_the_request_is_all_sent_is_read_to_its_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.request_head()
        peer.stop_reading()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.1)
        peer.transport.resume_reading()
        await peer.request()
        await asyncio.sleep(0.05)
        await peer.send(*map(chunk, RUN_STREAM[1:]), LAST_CHUNK)

    async with RawServer(script) as server, client_of(server) as client:
        call = client.threads.runs.create_stream("thread_raw", assistant_id="a", instructions="x" * 20_000_000)
        async with call as stream:
            assert len(await events_of(stream)) == 4


async def test_a_refusal_that_comes_before_the_request_is_all_sent_is_the_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.request_head()
        peer.stop_reading()
        await peer.send(answer(413, {"error": {"message": "too much"}}, {"Connection": "close"}))
        await asyncio.sleep(0.1)
        peer.transport.resume_reading()
        await peer.closed_within(2)

    async with RawServer(script) as server, client_of(server) as client:
        call = client.threads.runs.create_stream("thread_raw", assistant_id="a", instructions="x" * 20_000_000)
        async with asyncio.timeout(3):
            with pytest.raises(APIStatusError, match="too much"):
                await call
        assert await server.peers[0].closed_within(0.3)


# -- slots -------------------------------------------------------------------------------------------------------------


async def test_one_stream_too_many_waits_for_a_slot_as_long_as_for_a_connection() -> None:
    limits, clocks = Limits(max_streams=2), Timeouts(connect=0.3, first_event=2)
    async with RawServer(opened_and_silent) as server, client_of(server, limits=limits, timeouts=clocks) as client:
        async with start(client), start(client):
            began = time.monotonic()
            with pytest.raises(APITimeoutError, match="max_streams"):
                await start(client)
            assert 0.28 <= time.monotonic() - began < 0.6
            assert server.posts == 2


async def test_a_slot_that_comes_free_is_taken() -> None:
    limits, clocks = Limits(max_streams=2), Timeouts(connect=1, first_event=2)
    async with RawServer(opened_and_silent) as server, client_of(server, limits=limits, timeouts=clocks) as client:
        first, second = await start(client), await start(client)
        third = asyncio.create_task(start(client))
        await asyncio.sleep(0.05)
        assert server.posts == 2
        await first.aclose()
        async with await third as stream:
            await anext(stream)
        await second.aclose()


@pytest.mark.parametrize("way", ["good end", "left", "cut", "refused", "cancelled", "no stream"])
async def test_every_way_to_end_gives_the_slot_back(way: str) -> None:
    async def script(peer: Peer) -> None:
        answers = {
            "good end": stream_answer(),
            "refused": answer(401, {}),
            "no stream": answer(200, run_json()),
            "cancelled": b"",
        }
        while await peer.request() is not None:
            await peer.send(answers.get(way, STREAM_HEAD + chunk(CREATED)))
            if way == "cut":
                return

    clocks = Timeouts(connect=0.5, first_event=2, idle=2)
    async with (
        RawServer(script) as server,
        client_of(server, limits=Limits(max_streams=1), timeouts=clocks) as client,
    ):
        for _ in range(4):
            try:
                async with asyncio.timeout(0.1 if way == "cancelled" else 2), start(client) as stream:
                    await (anext(stream) if way == "left" else events_of(stream))
            except (APIError, TimeoutError) as error:
                assert not isinstance(error, APITimeoutError)
        assert len(server.requests) == 4


# -- closing the client ------------------------------------------------------------------------------------------------


async def test_closing_the_client_wakes_its_readers_and_closes_their_sockets() -> None:
    async with RawServer(opened_and_silent) as server, client_of(server) as client:
        streams = [await start(client) for _ in range(5)]
        readers = [asyncio.create_task(events_of(stream)) for stream in streams]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await client.aclose()
        found = await asyncio.gather(*readers, return_exceptions=True)
        assert time.monotonic() - began < 0.2
        assert [type(error) for error in found] == [StreamClosedError] * 5
        for peer in server.peers:
            assert await peer.closed_within(0.2)
        with pytest.raises(ClientClosedError):
            await start(client)
        await client.aclose()


@pytest.mark.parametrize("theirs", [False, True], ids=["own session", "session of the caller"])
async def test_closing_the_client_ends_a_request_that_is_under_way(theirs: bool) -> None:
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
        async with client_of(server) as client:
            await read_whole(client)
            began = time.monotonic()
        assert time.monotonic() - began < 0.2
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

    with in_thread(opened_and_silent) as server, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        client = AsyncClient(base_url=server.base_url, timeouts=QUICK, retry=NO_RETRY)
        stream = asyncio.run(leave_open(client))
        asyncio.run(close(client, stream))
        del client, stream
        gc.collect()
    assert not [str(warning.message) for warning in said if OURS.search(str(warning.message))]


def test_closing_from_another_loop_wakes_a_reader_there_safely() -> None:
    found: list[BaseException] = []
    reading = threading.Event()

    async def read(client: AsyncClient) -> None:
        asyncio.get_running_loop().set_debug(enabled=True)  # refuses calls from other threads
        stream = await start(client)
        await anext(stream)
        reading.set()
        try:
            await asyncio.wait_for(anext(stream), 3)
        except (APIError, TimeoutError) as error:
            found.append(error)

    with in_thread(opened_and_silent) as server:
        client = AsyncClient(base_url=server.base_url, timeouts=Timeouts(), retry=NO_RETRY)
        thread = threading.Thread(target=lambda: asyncio.run(read(client)))
        thread.start()
        assert reading.wait(5)
        time.sleep(0.1)
        asyncio.run(client.aclose())
        thread.join(5)
    assert [type(error) for error in found] == [StreamClosedError]


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
