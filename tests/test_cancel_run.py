"""`cancel_run` of an open stream: asked of the server once, what it answers or refuses, and how the stream goes on."""

import asyncio

import pytest
from cancel_server import CANCELLED, a_client, cancels, streaming
from raw_server import (
    CREATED,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    chunk,
    client_of,
    event,
    events_of,
    run_json,
    start,
)
from server_client import until

from aiorunstream import BadRequestError, ClientClosedError, InternalServerError, StreamError


async def test_cancel_run_asks_and_the_stream_goes_on_to_its_end() -> None:
    told = asyncio.Event()

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await peer.send(CANCELLED)
                told.set()
            else:
                await peer.send(STREAM_HEAD, chunk(CREATED))
                await told.wait()
                await peer.send(chunk(event("thread.run.cancelled", run_json("cancelled"))))

    async with RawServer(script) as server, a_client(server) as client:
        async with start(client) as stream:
            await anext(stream)
            run = await stream.cancel_run()
            assert run.status == "cancelling"
            await events_of(stream)
        assert stream.outcome == "cancelled"
        again = await stream.cancel_run()
        assert (again.status, cancels(server)) == ("cancelled", 1)


async def test_cancel_run_and_leaving_at_once_cancel_once() -> None:
    async with streaming(CREATED) as server, a_client(server) as client:
        async with start(client) as stream:
            await anext(stream)
            await stream.cancel_run()
        assert cancels(server) == 1


async def test_neither_cancel_run_nor_outputs_can_be_sent_before_the_run_is_known() -> None:
    async with streaming(CREATED, wait=1) as server, client_of(server) as client:
        stream = await start(client)
        with pytest.raises(StreamError, match="which run it is") as caught:
            await stream.cancel_run()
        assert caught.value.thread_id == "thread_raw"
        with pytest.raises(StreamError, match="which run it is") as caught:
            _ = stream.submit_tool_outputs([{"tool_call_id": "call_1", "output": "up"}])
        assert caught.value.thread_id == "thread_raw"
        await stream.aclose()


async def test_cancel_run_raises_what_the_server_says() -> None:
    refusal = answer(400, {"error": {"message": "Cannot cancel run with status 'completed'."}})
    async with streaming(CREATED, cancel=refusal) as server, a_client(server, cancel_on_exit=False) as client:
        stream = await start(client)
        await anext(stream)
        with pytest.raises(BadRequestError, match="Cannot cancel"):
            await stream.cancel_run()
        await stream.aclose()


async def test_a_cancelled_cancel_run_still_reaches_the_server() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await asyncio.sleep(0.1)
                await peer.send(CANCELLED)
            else:
                await peer.send(STREAM_HEAD, chunk(CREATED))

    async with RawServer(script) as server, a_client(server, cancel_on_exit=False) as client:
        stream = await start(client)
        await anext(stream)
        task = asyncio.create_task(stream.cancel_run())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: cancels(server) == 1, 1)
        await stream.aclose()
        assert cancels(server) == 1


async def test_cancel_run_is_told_that_its_client_was_closed_and_is_not_cancelled_itself() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " not in request.line:
                await peer.send(STREAM_HEAD, chunk(CREATED))

    async with RawServer(script) as server:
        client = a_client(server, cancel_on_exit=False)
        stream = await start(client)
        await anext(stream)
        asking = asyncio.create_task(stream.cancel_run())
        await until(lambda: cancels(server) == 1, 1)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await asking


async def test_where_every_cancel_run_fails_leaving_still_cancels() -> None:
    refusals = 2

    async def script(peer: Peer) -> None:
        nonlocal refusals
        while (request := await peer.request()) is not None:
            if "/cancel " not in request.line:
                await peer.send(STREAM_HEAD, chunk(CREATED))
            elif refusals:
                refusals -= 1
                await asyncio.sleep(0.05)  # so that both are under way
                await peer.send(answer(500, b"no"))
            else:
                await peer.send(CANCELLED)

    async with RawServer(script) as server, a_client(server) as client:
        async with start(client) as stream:
            await anext(stream)
            asked = await asyncio.gather(stream.cancel_run(), stream.cancel_run(), return_exceptions=True)
            assert [type(each) for each in asked] == [InternalServerError, InternalServerError]
            assert stream.cancels_on_exit
        assert cancels(server) == 3
