"""What outlives a stream: the drain, pooled connections and slots. Closing it all is tested in test_transport_closing.py."""

import asyncio
import os
import warnings
from typing import Any

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
    RawServer,
    SeenRequest,
    answer,
    answering,
    chunk,
    client_of,
    delta_event,
    events_of,
    read_whole,
    run_json,
    silent_after,
    start,
    stream_answer,
)
from timing import in_time

from aiorunstream import (
    APIError,
    APIStatusError,
    APITimeoutError,
    Limits,
    RunOutcomeUnknownError,
    Timeouts,
)

DRAIN = 0.25


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
            with in_time(0):
                stream = await read_whole(client)
            await asyncio.sleep(0.08)
            assert stream.clean_close is True
        assert len(server.peers) == 1


async def test_a_connection_kept_open_after_the_end_is_cut_and_nobody_waits_for_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"".join(map(chunk, RUN_STREAM)))
        await peer.closed()

    async with RawServer(script) as server, client_of(server) as client:
        with in_time(0):
            stream = await read_whole(client)
        known_at_once, closed_at_once = stream.clean_close, server.peers[0].closed_at
        assert (known_at_once, closed_at_once) == (None, None)
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


async def test_leaving_before_the_request_is_all_sent_does_not_send_the_rest() -> None:
    came: list[SeenRequest | None] = []

    async def script(peer: Peer) -> None:
        await peer.request_head()
        peer.stop_reading()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.2)
        peer.transport.resume_reading()
        came.append(await peer.request())

    async with RawServer(script) as server, client_of(server) as client:
        call = client.threads.runs.create_stream("thread_raw", assistant_id="a", instructions="x" * 20_000_000)
        async with call as stream:
            await anext(stream)
            body: Any = stream._body
            descriptor: int = body._connection.transport.get_extra_info("socket").fileno()
        await asyncio.sleep(0.05)
        with pytest.raises(OSError, match="Bad file descriptor"):  # though the peer takes nothing
            os.fstat(descriptor)
        assert await server.peers[0].closed_within(1)
        await asyncio.sleep(0)
    assert came == [None]


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


async def test_a_flood_is_held_back_while_the_consumer_is_away_and_then_read_whole() -> None:
    many = 4000

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        for _ in range(many):
            await peer.send(chunk(delta_event("x" * 900)))
        await peer.send(chunk(COMPLETED), LAST_CHUNK)

    clocks = Timeouts(connect=2, first_event=0.3, idle=0.3)
    async with RawServer(script) as server, client_of(server, timeouts=clocks) as client, start(client) as stream:
        await anext(stream)
        await asyncio.sleep(0.6)
        held: int = stream._body._content._size  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        assert held < 100_000
        assert len(await events_of(stream)) == many + 1


# -- slots -------------------------------------------------------------------------------------------------------------


async def test_one_stream_too_many_waits_for_a_slot_as_long_as_for_a_connection() -> None:
    limits, clocks = Limits(max_streams=2), Timeouts(connect=0.3, first_event=2)
    async with (
        RawServer(silent_after(CREATED)) as server,
        client_of(server, limits=limits, timeouts=clocks) as client,
        start(client),
        start(client),
    ):
        with in_time(0.3, least=0.28), pytest.raises(APITimeoutError, match="max_streams"):
            await start(client)
        assert server.posts == 2


async def test_a_slot_that_comes_free_is_taken() -> None:
    limits, clocks = Limits(max_streams=2), Timeouts(connect=1, first_event=2)
    async with RawServer(silent_after(CREATED)) as server, client_of(server, limits=limits, timeouts=clocks) as client:
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
            except APITimeoutError:
                raise
            except (APIError, TimeoutError):
                pass
        assert len(server.requests) == 4
