"""A call that has not been sent: every way to use it, once."""

import asyncio
from typing import Any

import pytest
from raw_server import (
    RawServer,
    answering,
    client_of,
    events_of,
    start,
    stream_answer,
)

from aiorunstream import AssistantStream, AsyncClient, StreamBusyError

# -- the call ----------------------------------------------------------------------------------------------------------


async def by_async_with(client: AsyncClient) -> int:
    async with start(client) as stream:
        return len(await events_of(stream))


async def by_await(client: AsyncClient) -> int:
    return len(await events_of(await start(client)))


async def by_async_with_await(client: AsyncClient) -> int:
    async with await start(client) as stream:
        return len(await events_of(stream))


async def by_task(client: AsyncClient) -> int:
    return len(await events_of(await asyncio.create_task(start(client))))


async def by_gather(client: AsyncClient) -> int:
    (stream,) = await asyncio.gather(start(client))
    return len(await events_of(stream))


async def by_wait_for(client: AsyncClient) -> int:
    return len(await events_of(await asyncio.wait_for(start(client), 2)))


async def by_task_group(client: AsyncClient) -> int:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(start(client))
    return len(await events_of(task.result()))


WAYS = [by_async_with, by_await, by_async_with_await, by_task, by_gather, by_wait_for, by_task_group]


async def test_a_call_can_be_entered_awaited_or_made_a_task() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        for way in WAYS:
            assert await way(client) == 4, way.__name__
        assert server.posts == len(WAYS)


async def test_a_call_sends_nothing_before_it_is_used_and_works_once() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        call = start(client)
        await asyncio.sleep(0.05)
        assert server.peers == []
        async with call as stream:
            await events_of(stream)
        with pytest.raises(StreamBusyError, match="used already: make a new one"):
            await call
        with pytest.raises(StreamBusyError, match="used already"):
            async with call:
                pass
        task = asyncio.create_task(call := start(client))
        await asyncio.sleep(0)
        with pytest.raises(StreamBusyError, match="used already"):
            await call
        await (await task).aclose()
        call = start(client)
        call.close()
        with pytest.raises(StreamBusyError, match="used already"):
            await call
        assert server.posts == 2


async def test_a_stream_that_is_only_entered_says_so_and_leaves_nothing_unsent() -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        call: Any = start(client)
        with pytest.raises(StreamBusyError, match="enter it with `async with`"):
            async for _ in call:
                pass
        helper: Any = AssistantStream(start(client))
        with pytest.raises(StreamBusyError, match="enter it with `async with`"):
            await helper


async def test_a_helper_is_entered_once() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        helper = AssistantStream(start(client))
        async with helper:
            await helper.until_done()
        with pytest.raises(StreamBusyError, match="used already: make a new one"):
            async with helper:
                pass


async def test_a_dropped_call_is_reported_by_python() -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        with pytest.warns(RuntimeWarning, match="_create_stream' was never awaited"):
            start(client)  # type: ignore[unused-awaitable]
