"""Leaving a stream over a real socket: in whatever way, the connection is closed at once as the server sees it."""

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    STREAM_HEAD,
    Peer,
    RawServer,
    answering,
    chunk,
    client_of,
    events_of,
    silent_after,
    start,
    stream_answer,
)
from timing import in_time

from aiorunstream import (
    AsyncClient,
    RunStream,
    StreamBusyError,
    StreamClosedError,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
    StreamTruncatedError,
    Timeouts,
)

SOON = 0.2
"""How soon the server must see the client's end."""


class OwnError(Exception):
    """The caller's."""


async def leave_by_break(client: AsyncClient) -> None:
    async with start(client) as stream:
        async for _ in stream:
            break


async def leave_by_exception(client: AsyncClient) -> None:
    with pytest.raises(OwnError):
        async with start(client) as stream:
            async for _ in stream:
                raise OwnError


async def leave_by_cancel(client: AsyncClient) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with start(client) as stream:
            async for _ in stream:
                reading.set()

    task = asyncio.create_task(read())
    await reading.wait()
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_two_cancels(client: AsyncClient) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with start(client) as stream:
            await anext(stream)
            reading.set()
            try:
                await anext(stream)
            finally:
                await asyncio.sleep(0)

    task = asyncio.create_task(read())
    await reading.wait()
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_aclose_of_another(client: AsyncClient) -> None:
    stream = await start(client)
    await anext(stream)
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.02)
    with in_time(0), pytest.raises(StreamClosedError) as caught:
        await stream.aclose()
        await reader
    assert caught.value.run_id == "run_raw"


async def leave_by_timeout(client: AsyncClient) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), start(client) as stream:
            await events_of(stream)


WAYS: list[Callable[[AsyncClient], Awaitable[None]]] = [
    leave_by_break,
    leave_by_exception,
    leave_by_cancel,
    leave_by_two_cancels,
    leave_by_aclose_of_another,
    leave_by_timeout,
]


@pytest.mark.parametrize("way", WAYS)
async def test_leaving_after_one_event_closes_the_socket_as_the_server_sees_it(
    way: Callable[[AsyncClient], Awaitable[None]],
) -> None:
    clocks = Timeouts(connect=2, first_event=5, idle=5)
    async with RawServer(silent_after(CREATED)) as server, client_of(server, timeouts=clocks) as client:
        await way(client)
        assert await server.peers[0].closed_within(SOON)
        assert server.posts == 1


async def test_a_dropped_open_stream_warns_and_its_socket_goes() -> None:
    async with RawServer(silent_after(CREATED)) as server, client_of(server) as client:
        stream: RunStream | None = await start(client)
        assert stream is not None
        await anext(stream)
        with pytest.warns(ResourceWarning, match="dropped while open"):
            stream = None
        assert await server.peers[0].closed_within(SOON)


@pytest.mark.parametrize("turns", range(0, 24, 3))
async def test_an_opening_that_is_cancelled_at_any_turn_leaves_nothing_open(turns: int) -> None:
    async with RawServer(silent_after(CREATED)) as server, client_of(server) as client:
        opening = asyncio.create_task(start(client))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        try:
            stream = await opening
        except asyncio.CancelledError:
            pass
        else:
            await stream.aclose()
        await asyncio.sleep(0.03)
        for peer in server.peers:
            assert await peer.closed_within(SOON)


async def test_an_opening_that_is_cancelled_while_the_server_thinks_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with RawServer(script) as server, client_of(server) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(start(client), 0.1)
        assert await server.peers[0].closed_within(SOON)
        assert server.posts == 1


async def test_an_awaited_stream_closes_itself_at_its_end() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        for _ in range(3):
            assert len(await events_of(await start(client))) == 4
        assert len(server.peers) == 1


async def test_a_second_reader_is_refused_while_the_first_waits_at_the_socket() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.1)
        await peer.send(chunk(COMPLETED), b"0\r\n\r\n")

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        await anext(stream)
        first = asyncio.create_task(events_of(stream))
        await asyncio.sleep(0.02)
        with pytest.raises(StreamBusyError):
            await anext(stream)
        assert len(await first) == 1


async def test_a_cancelled_read_at_the_socket_loses_nothing() -> None:
    pieces = [CREATED[:40], CREATED[40:] + DELTA[:9], DELTA[9:], COMPLETED]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD)
        for piece in pieces:
            await asyncio.sleep(0.03)
            await peer.send(chunk(piece))

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        found: list[str] = []
        while stream.outcome is None:
            try:
                item = await asyncio.wait_for(anext(stream), 0.011)
            except TimeoutError:
                continue
            found.append(item.event)
        assert found == ["thread.run.created", "thread.message.delta", "thread.run.completed"]


@pytest.mark.parametrize("away", [True, False], ids=["reader away", "reader waiting"])
async def test_a_break_right_after_the_stopping_event_is_a_good_end_that_was_not_clean(*, away: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.03)
        await peer.send(chunk(DELTA + COMPLETED))
        await asyncio.sleep(0.03)
        peer.rst()

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        await anext(stream)
        if away:
            await asyncio.sleep(0.12)
        assert len(await events_of(stream)) == 2
        assert stream.outcome == "completed"
        await asyncio.sleep(0.08)
        assert stream.clean_close is False
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_break_while_the_stopping_event_lies_ready_is_a_good_end_too() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED + COMPLETED))
        await asyncio.sleep(0.03)
        peer.rst()

    async with RawServer(script) as server, client_of(server) as client, start(client) as stream:
        await anext(stream)
        await asyncio.sleep(0.12)
        assert (stream.clean_close, len(await events_of(stream))) == (None, 1)
        assert (stream.clean_close, stream.outcome) == (False, "completed")


async def cut(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED) + chunk(DELTA))
    await asyncio.sleep(0.03)


async def end_early(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED) + chunk(DELTA) + b"0\r\n\r\n")


async def fall_silent(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED) + chunk(DELTA))
    await peer.closed()


@pytest.mark.parametrize(
    ("script", "kind", "clean"),
    [
        (cut, StreamInterruptedError, False),
        (end_early, StreamTruncatedError, True),
        (fall_silent, StreamTimeoutError, False),
    ],
)
async def test_an_error_of_a_real_stream_carries_the_facts_and_pickles_and_copies_with_them(
    script: Callable[[Peer], Awaitable[None]], kind: type[StreamError], *, clean: bool
) -> None:
    clocks = Timeouts(idle=0.2)
    async with RawServer(script) as server, client_of(server, timeouts=clocks) as client, start(client) as stream:
        with pytest.raises(kind) as caught:
            await events_of(stream)
    for error in (caught.value, copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert type(error) is kind
        assert str(error) == str(caught.value)
        assert (error.thread_id, error.run_id, error.run_status) == ("thread_raw", "run_raw", "queued")
        assert (error.status_code, error.request_id, error.outcome) == (200, "req_raw", None)
        assert (error.last_event, error.events_seen, error.clean_close) == ("thread.message.delta", 2, clean)
        assert error.headers is not None
        assert error.headers["Content-Type"] == "text/event-stream"
