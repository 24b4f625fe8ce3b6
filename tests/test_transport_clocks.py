"""The clocks of a stream and of its opening, against a server that stalls in every way there is."""

import asyncio
import socket
import threading
import time
from typing import Literal

import pytest
from raw_server import (
    CREATED,
    DELTA,
    LAST_CHUNK,
    NO_RETRY,
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
    start,
    stream_answer,
)
from timing import in_time

from aiorunstream import (
    APIError,
    APITimeoutError,
    AsyncClient,
    RateLimitError,
    RequestOptions,
    RetryPolicy,
    RunOutcomeUnknownError,
    StreamInterruptedError,
    StreamTimeoutError,
    Timeouts,
)

SET = 0.2
"""What the clock under test is set to."""
COMMENT = b": still here\n\n"


def only(clock: Literal["idle", "first_event", "progress", "total"]) -> Timeouts:
    """All clocks off but one."""
    off = Timeouts(connect=2, first_event=None, idle=None)
    values: dict[str, float | None] = {name: getattr(off, name) for name in off.__struct_fields__}
    return Timeouts(**{**values, clock: SET})


async def say_nothing_more(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED))
    await peer.closed()


async def send_comments(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED))
    while not await peer.closed_within(0.06):
        await peer.send(chunk(COMMENT))


async def comments_and_no_event(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD)
    while not await peer.closed_within(0.06):
        await peer.send(chunk(COMMENT))


async def drip(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED))
    for place in range(len(DELTA) - 1):
        await peer.send(chunk(DELTA[place : place + 1]))
        if await peer.closed_within(0.06):
            return


async def drip_the_first_event(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD)
    for place in range(len(CREATED) - 1):
        await peer.send(chunk(CREATED[place : place + 1]))
        if await peer.closed_within(0.06):
            return


async def only_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD)
    await peer.closed()


async def steady_events(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED))
    while not await peer.closed_within(0.06):
        await peer.send(chunk(DELTA))


@pytest.mark.parametrize(
    ("clock", "script"),
    [
        ("idle", say_nothing_more),
        ("idle", only_headers),
        ("first_event", only_headers),
        ("first_event", comments_and_no_event),
        ("first_event", drip_the_first_event),
        ("progress", say_nothing_more),
        ("progress", send_comments),
        ("progress", drip),
        ("total", steady_events),
        ("total", say_nothing_more),
    ],
)
async def test_a_clock_ends_the_stream_in_time_with_its_name(
    clock: Literal["idle", "first_event", "progress", "total"], script: Script
) -> None:
    async with RawServer(script) as server, client_of(server, timeouts=only(clock)) as client:
        async with start(client) as stream:
            with in_time(SET + 0.1, least=SET - 0.02), pytest.raises(StreamTimeoutError) as caught:
                async for _ in stream:
                    pass
        assert caught.value.clock == clock
        assert caught.value.seconds == SET
        assert server.posts == 1
        assert await server.peers[0].closed_within(0.2)


@pytest.mark.parametrize(
    ("clock", "script"),
    [("idle", send_comments), ("idle", drip), ("first_event", steady_events), ("progress", steady_events)],
)
async def test_what_does_not_concern_a_clock_does_not_let_it_run_out(
    clock: Literal["idle", "first_event", "progress"], script: Script
) -> None:
    async with RawServer(script) as server, client_of(server, timeouts=only(clock)) as client:
        async with start(client) as stream:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(events_of(stream), 0.5)
        assert stream.events_seen >= 1


@pytest.mark.parametrize("clock", ["idle", "first_event", "progress"])
async def test_the_pauses_of_the_consumer_do_not_count(clock: Literal["idle", "first_event", "progress"]) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(RUN_STREAM[0]))
        await asyncio.sleep(0.4)
        await peer.send(*map(chunk, RUN_STREAM[1:]), LAST_CHUNK)

    async with RawServer(script) as server, client_of(server, timeouts=only(clock)) as client:
        async with start(client) as stream:
            await asyncio.sleep(0.25)
            await anext(stream)
            await asyncio.sleep(0.25)
            assert len(await events_of(stream)) == 3
        assert stream.outcome == "completed"


async def test_the_pauses_of_the_consumer_count_for_total() -> None:
    async with RawServer(say_nothing_more) as server, client_of(server, timeouts=only("total")) as client:
        async with start(client) as stream:
            await anext(stream)
            await asyncio.sleep(SET + 0.1)
            assert await server.peers[0].closed_within(0.05)
            with pytest.raises(StreamTimeoutError) as caught:
                await anext(stream)
        assert caught.value.clock == "total"


@pytest.mark.parametrize("clock", ["idle", "first_event", "progress"])
async def test_a_blocked_loop_gives_no_false_timeout_when_the_data_lies_in_the_socket(
    clock: Literal["idle", "first_event", "progress"],
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        if clock == "progress":
            await peer.send(chunk(CREATED))
        await asyncio.sleep(0.05)
        peer.transport.write(chunk(CREATED + DELTA))
        time.sleep(SET * 2)  # the whole loop stands still, the reader's half too
        await asyncio.sleep(0.03)
        await peer.send(*map(chunk, RUN_STREAM[2:]), LAST_CHUNK)

    async with RawServer(script) as server, client_of(server, timeouts=only(clock)) as client:
        async with start(client) as stream:
            await events_of(stream)
        assert stream.outcome == "completed"


async def test_a_loop_that_a_reader_has_blocked_gives_no_false_timeout_either() -> None:
    blocked = threading.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD, *map(chunk, RUN_STREAM[:2]))
        await asyncio.to_thread(blocked.wait, 5)
        await peer.send(*map(chunk, RUN_STREAM[2:]), LAST_CHUNK)

    def block() -> None:
        ours.recv(1)
        blocked.set()
        time.sleep(2 * SET)

    ours, theirs = socket.socketpair()
    with ours, theirs, in_thread(script) as server:
        async with client_of(server, timeouts=only("idle")) as client, start(client) as stream:
            await anext(stream)
            await anext(stream)
            reading = asyncio.create_task(events_of(stream))
            await asyncio.sleep(0)
            asyncio.get_running_loop().add_reader(ours, block)
            theirs.send(b".")
            await reading
            asyncio.get_running_loop().remove_reader(ours)
    assert stream.outcome == "completed"


async def test_a_cancelled_read_leaves_no_clock_running() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.8)
        await peer.send(stream_answer()[len(STREAM_HEAD) :])

    async with (
        RawServer(script) as server,
        client_of(server, timeouts=Timeouts(connect=2, first_event=None, idle=0.4)) as client,
        start(client) as stream,
    ):
        await anext(stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.1)
        await asyncio.sleep(0.5)
        assert server.peers[0].closed_at is None
        await asyncio.sleep(0.2)
        assert len(await events_of(stream)) == 4


# -- before the answer -------------------------------------------------------------------------------------------------


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


async def informational_for_ever(peer: Peer) -> None:
    await peer.request()
    while not await peer.closed_within(0.05):
        await peer.send(head(103, {"Link": "</x>"}))


async def a_header_at_a_time(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    while not await peer.closed_within(0.05):
        await peer.send(b"X-More: yes\r\n")


@pytest.mark.parametrize("script", [silent, informational_for_ever, a_header_at_a_time])
async def test_a_create_that_no_status_line_answers_in_time_is_of_unknown_outcome(script: Script) -> None:
    clocks = Timeouts(connect=2, first_event=SET, idle=None)
    async with RawServer(script) as server, client_of(server, timeouts=clocks, retry=RetryPolicy()) as client:
        with in_time(SET + 0.1, least=SET - 0.02), pytest.raises(RunOutcomeUnknownError) as caught:
            await start(client)
        assert caught.value.clock == "first_event"
        assert server.posts == 1
        assert await server.peers[0].closed_within(0.2)


async def test_the_clocks_of_one_request_go_before_those_of_the_client() -> None:
    options = RequestOptions(timeouts=Timeouts(first_event=SET))
    slow = Timeouts(first_event=30)
    async with RawServer(silent) as server, client_of(server, timeouts=slow) as client:
        async with asyncio.timeout(SET + 1):
            with pytest.raises(RunOutcomeUnknownError):
                await start(client, options)


async def test_a_get_that_is_not_answered_in_time_is_a_timeout_that_may_be_repeated() -> None:
    clocks = Timeouts(connect=SET / 2, first_event=SET / 2)
    async with RawServer(silent) as server, client_of(server, timeouts=clocks) as client:
        with pytest.raises(APITimeoutError):
            await client.threads.retrieve("thread_raw")


async def test_total_also_ends_the_wait_for_the_answer() -> None:
    async with RawServer(silent) as server, client_of(server, timeouts=only("total")) as client:
        async with asyncio.timeout(SET + 1):
            with pytest.raises(APIError):
                await start(client)


async def test_a_server_that_stops_taking_the_request_does_not_hold_the_caller_for_ever() -> None:
    async def script(peer: Peer) -> None:
        peer.stop_reading()
        await asyncio.sleep(2)

    clocks = Timeouts(connect=SET, first_event=SET, idle=SET, total=2 * SET)
    async with RawServer(script) as server, client_of(server, timeouts=clocks) as client:
        big = client.threads.runs.create_stream("thread_raw", assistant_id="a", instructions="x" * 20_000_000)
        async with asyncio.timeout(2):
            with pytest.raises(RunOutcomeUnknownError):
                await big


async def test_a_handshake_that_is_not_answered_is_a_connect_timeout_tried_three_times() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    clocks = Timeouts(connect=0.15, first_event=30)
    async with RawServer(script) as server:
        url = server.base_url.replace("http:", "https:")
        policy = RetryPolicy(attempts=3, base_delay=0.01)
        async with AsyncClient(base_url=url, timeouts=clocks, retry=policy) as client:
            with in_time(3 * 0.15 + 0.5), pytest.raises(APITimeoutError):
                await start(client)
        assert len(server.peers) == 3


async def test_a_handshake_that_takes_all_the_time_there_is_was_no_request() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async with RawServer(script) as server:
        url = server.base_url.replace("http:", "https:")
        async with AsyncClient(base_url=url, timeouts=Timeouts(connect=30, total=0.2), retry=NO_RETRY) as client:
            with (
                in_time(0.2),
                pytest.raises(APITimeoutError, match=r"not connected to .* within 0\.2 s \(Timeouts\.total"),
            ):
                await start(client)


async def test_a_body_that_stalls_is_a_timeout_for_a_plain_answer_too() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(200, {"Content-Type": "application/json", "Content-Length": "99"}) + b"{")
        await peer.closed()

    clocks = Timeouts(connect=2, first_event=2, idle=SET)
    async with RawServer(script) as server, client_of(server, timeouts=clocks, retry=NO_RETRY) as client:
        async with asyncio.timeout(SET + 1):
            with pytest.raises(APIError) as caught:
                await client.threads.retrieve("thread_raw")
        assert not isinstance(caught.value, StreamInterruptedError)
        assert await server.peers[0].closed_within(0.2)


async def test_all_attempts_together_have_the_time_for_all_of_the_stream() -> None:
    busy = answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.15"})
    clocks = Timeouts(connect=2, first_event=2, total=0.4)
    async with RawServer(answering(*[busy] * 9)) as server:
        async with client_of(server, timeouts=clocks, retry=RetryPolicy(attempts=9)) as client:
            with pytest.raises(RateLimitError):
                await start(client)
        assert server.posts == 3
    async with RawServer(answering(busy, busy, STREAM_HEAD + chunk(CREATED))) as server:
        async with client_of(server, timeouts=clocks, retry=RetryPolicy(attempts=9)) as client:
            with in_time(0.4), pytest.raises(StreamTimeoutError) as caught:
                async with start(client) as stream:
                    await events_of(stream)
            assert caught.value.clock == "total"
        assert server.posts == 3


async def test_a_key_that_does_not_come_is_waited_for_within_the_time_for_all_of_the_stream() -> None:
    async def key() -> str:
        await asyncio.sleep(9)
        return "late"

    async with RawServer(answering(stream_answer(*RUN_STREAM))) as server:
        async with AsyncClient(base_url=server.base_url, api_key=key, timeouts=only("total")) as client:
            async with asyncio.timeout(SET + 1):
                with pytest.raises(APITimeoutError, match=r"Timeouts\.total"):
                    await start(client)
        assert server.peers == []
