"""A stream that is cancelled, or whose client is closed, while it is being opened: no run goes on that nobody reads."""

import asyncio

import pytest
from cancel_server import CANCELLED, a_client, cancels
from raw_server import CREATED, STREAM_HEAD, Peer, RawServer, answer, answering, chunk, run_json, start
from server_client import until

from aiorunstream import APIStatusError, ClientClosedError, StreamClosedError


async def begins_late(peer: Peer) -> None:
    while (request := await peer.request()) is not None:
        if "/cancel " in request.line:
            await peer.send(CANCELLED)
        else:
            await asyncio.sleep(0.2)
            await peer.send(STREAM_HEAD, chunk(CREATED))


async def test_a_cancelled_opening_waits_for_the_answer_and_cancels_its_run() -> None:
    async with RawServer(begins_late) as server, a_client(server) as client:
        task = asyncio.create_task(start(client))
        await server.seen(1)
        await until(lambda: server.posts == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cancels(server) == 1


async def test_a_cancelled_opening_that_waits_to_be_sent_again_sends_nothing_more() -> None:
    later = answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.3"})
    async with RawServer(answering(later)) as server, a_client(server, attempts=3) as client:
        task = asyncio.create_task(start(client))
        await until(lambda: server.posts == 1)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.5)
        assert server.posts == 1


@pytest.mark.parametrize("if_active", ["wait", "cancel"])
async def test_an_opening_that_waits_for_another_run_sends_nothing_more_once_it_is_cancelled(if_active: str) -> None:
    busy = answer(400, {"error": {"message": "Thread thread_raw already has an active run run_other."}})

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST") and "/cancel" not in request.line:
                await peer.send(busy)
            else:
                await asyncio.sleep(0.15)  # the cancel comes while this is under way
                await peer.send(answer(200, run_json("cancelled")))

    async with RawServer(script) as server, a_client(server) as client:
        runs = client.threads.runs
        call = runs.create_stream("thread_raw", assistant_id="asst_raw", if_active=if_active)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        task = asyncio.create_task(call)
        await until(lambda: len(server.requests) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.7)
        assert len(server.requests) == 2


async def test_an_opening_whose_refusal_comes_after_its_cancel_is_not_tried_again() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request() is not None:
            await asyncio.sleep(0.1)
            await peer.send(answer(503, {}, {"Retry-After": "0.05"}))

    async with RawServer(script) as server, a_client(server, attempts=3) as client:
        task = asyncio.create_task(start(client))
        await until(lambda: server.posts == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.5)
        assert server.posts == 1


async def test_a_client_that_is_closed_while_a_run_is_begun_cancels_that_run() -> None:
    async with RawServer(begins_late) as server:
        client = a_client(server)
        task = asyncio.create_task(start(client))
        await until(lambda: server.posts == 1)
        await client.aclose()
        stream = await task
        with pytest.raises(StreamClosedError):
            await anext(stream)
        assert cancels(server) == 1


async def test_a_client_that_is_closed_while_it_waits_to_try_again_ends_the_opening() -> None:
    later = answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "60"})
    async with RawServer(answering(later)) as server:
        client = a_client(server, attempts=3)
        task = asyncio.create_task(start(client))
        await until(lambda: server.posts == 1)
        await asyncio.sleep(0.05)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await task


async def test_an_opening_that_fails_raises_as_ever() -> None:
    async with RawServer(answering(answer(500, {}))) as server, a_client(server) as client:
        with pytest.raises(APIStatusError):
            await start(client)
