"""Leaving a stream whose run is to end with it, and `cancel_run`: what the server sees, and how long it takes."""

import asyncio
import logging

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
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
    stream_answer,
)
from server_client import until

from aiorunstream import (
    APIStatusError,
    AsyncClient,
    BadRequestError,
    ClientClosedError,
    RetryPolicy,
    RunStream,
    StreamClosedError,
    StreamError,
    StreamInterruptedError,
    Timeouts,
)

CANCELLED = answer(200, run_json("cancelling"))


def streaming(*events: bytes, cancel: bytes = CANCELLED, wait: float = 0.0, end: str = "open") -> RawServer:
    """A server that streams these events, `wait` seconds after the head, and answers a cancel on any connection."""

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await peer.send(cancel)
                continue
            await peer.send(STREAM_HEAD)
            await asyncio.sleep(wait)
            await peer.send(*map(chunk, events))
            if end == "rst":
                await asyncio.sleep(0.05)
                peer.rst()
                return

    return RawServer(script)


def cancels(server: RawServer) -> int:
    return sum("/threads/thread_raw/runs/run_raw/cancel " in request.line for request in server.requests)


def a_client(server: RawServer, *, cancel_on_exit: bool = True, attempts: int = 1) -> AsyncClient:
    return AsyncClient(
        base_url=server.base_url,
        timeouts=Timeouts(connect=2, first_event=2, idle=1),
        retry=RetryPolicy(attempts=attempts),
        cancel_on_exit=cancel_on_exit,
    )


async def left_after_one(client: AsyncClient) -> RunStream:
    async with start(client) as stream:
        await anext(stream)
    return stream


async def test_leaving_early_closes_the_socket_and_cancels_the_run_once() -> None:
    async with streaming(CREATED, DELTA) as server, a_client(server) as client:
        stream = await left_after_one(client)
        assert cancels(server) == 1
        assert await server.peers[0].closed_within(0.2)
        await stream.aclose()
        assert cancels(server) == 1
        with pytest.raises(StreamClosedError):
            await anext(stream)


async def test_without_it_the_run_is_left_alone_and_a_call_decides_for_itself() -> None:
    async with streaming(CREATED, DELTA) as server, a_client(server, cancel_on_exit=False) as client:
        await left_after_one(client)
        assert cancels(server) == 0
        runs = client.threads.runs
        async with runs.create_stream("thread_raw", assistant_id="asst_raw", cancel_on_exit=True) as stream:
            await anext(stream)
        assert cancels(server) == 1


@pytest.mark.parametrize("status", ["completed", "failed", "requires_action"])
async def test_a_run_that_has_stopped_is_not_cancelled(status: str) -> None:
    stop = event(f"thread.run.{status}", run_json(status))
    async with streaming(CREATED, stop) as server, a_client(server) as client:
        async with start(client) as stream:
            await events_of(stream)
        await asyncio.sleep(0.05)
        assert cancels(server) == 0


async def test_a_run_that_is_being_cancelled_already_is_not_cancelled_again() -> None:
    cancelling = event("thread.run.cancelling", run_json("cancelling"))
    async with streaming(CREATED, cancelling) as server, a_client(server) as client:
        async with start(client) as stream:
            await anext(stream)
            await anext(stream)
        assert cancels(server) == 0


async def test_the_first_event_is_waited_for_where_the_run_is_not_known_yet() -> None:
    async with streaming(CREATED, wait=0.2) as server, a_client(server) as client:
        async with start(client):
            pass
        assert cancels(server) == 1
        assert await server.peers[0].closed_within(0.2)


async def test_it_is_waited_for_half_a_second_and_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    async with streaming(CREATED, wait=5) as server, a_client(server) as client:
        begun = asyncio.get_running_loop().time()
        async with start(client):
            pass
        assert asyncio.get_running_loop().time() - begun < 1.0
        assert cancels(server) == 0
        assert await server.peers[0].closed_within(0.2)
    assert "its id never came" in caplog.text


async def test_a_reader_who_waits_is_woken_and_the_run_still_learnt_and_cancelled() -> None:
    async with streaming(CREATED, wait=0.2) as server, a_client(server) as client:
        stream = await start(client)
        reader = asyncio.create_task(_next(stream))
        await asyncio.sleep(0.05)
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            await reader
        assert cancels(server) == 1


async def _next(stream: RunStream) -> None:
    await anext(stream)


async def test_a_connection_that_broke_leaves_a_run_to_cancel() -> None:
    async with streaming(CREATED, DELTA, end="rst") as server, a_client(server) as client:
        with pytest.raises(StreamInterruptedError):
            async with start(client) as stream:
                await events_of(stream)
        assert cancels(server) == 1


async def test_leaving_takes_two_seconds_at_most_and_the_rest_goes_on_without_it() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await asyncio.sleep(2.3)
                await peer.send(CANCELLED)
                answered.append(request.line)
            else:
                await peer.send(STREAM_HEAD, chunk(CREATED))

    answered: list[str] = []
    async with RawServer(script) as server, AsyncClient(base_url=server.base_url, cancel_on_exit=True) as client:
        begun = asyncio.get_running_loop().time()
        await left_after_one(client)
        assert 1.9 < asyncio.get_running_loop().time() - begun < 2.3
        assert answered == []
        await until(lambda: len(answered) == 1, 2)


@pytest.mark.parametrize(("status", "level"), [(400, logging.INFO), (403, logging.WARNING)])
async def test_what_the_server_says_to_the_cancel_is_logged_and_not_raised(
    status: int, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aiorunstream")
    refusal = answer(status, {"error": {"message": "Cannot cancel run with status 'completed'."}})
    async with streaming(CREATED, cancel=refusal) as server, a_client(server) as client:
        await left_after_one(client)
        assert cancels(server) == 1
    record = caplog.records[-1]
    assert record.levelno == level
    assert record.getMessage().startswith("run needs no cancel" if status == 400 else "run not cancelled")
    assert record.__dict__["aiorunstream"]["run_id"] == "run_raw"


async def test_a_client_that_is_closed_first_cancels_the_runs_of_its_open_streams() -> None:
    async with streaming(CREATED, DELTA) as server:
        async with a_client(server) as client:
            stream = await start(client)
            await anext(stream)
            other = await client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw", cancel_on_exit=False)
            await anext(other)
        assert cancels(server) == 1
        for closed in (stream, other):
            with pytest.raises(StreamClosedError):
                for _ in range(3):
                    await anext(closed)
            await closed.aclose()
        assert cancels(server) == 1


# -- cancel_run --------------------------------------------------------------------------------------------------------


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


async def test_cancel_run_before_the_run_is_known_says_so() -> None:
    async with streaming(CREATED, wait=1) as server, client_of(server) as client:
        stream = await start(client)
        with pytest.raises(StreamError, match="which run it is") as caught:
            await stream.cancel_run()
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


# -- while it is being opened ------------------------------------------------------------------------------------------


async def test_a_cancelled_opening_waits_for_the_answer_and_cancels_its_run() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await peer.send(CANCELLED)
            else:
                await asyncio.sleep(0.2)
                await peer.send(STREAM_HEAD, chunk(CREATED))

    async with RawServer(script) as server, a_client(server) as client:
        task = asyncio.create_task(start(client))
        await server.seen(1)
        await until(lambda: server.posts == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cancels(server) == 1


async def test_a_cancelled_opening_that_waits_to_be_sent_again_sends_nothing_more() -> None:
    later = answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.3"})
    async with RawServer(lambda peer: _answer_all(peer, later)) as server, a_client(server, attempts=3) as client:
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
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await peer.send(CANCELLED)
            else:
                await asyncio.sleep(0.2)
                await peer.send(STREAM_HEAD, chunk(CREATED))

    async with RawServer(script) as server:
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
    async with RawServer(lambda peer: _answer_all(peer, later)) as server:
        client = a_client(server, attempts=3)
        task = asyncio.create_task(start(client))
        await until(lambda: server.posts == 1)
        await asyncio.sleep(0.05)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await task


async def test_a_key_that_cannot_be_had_for_the_cancel_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    asked = 0

    async def key() -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise LookupError("the vault is shut")
        return "sk-1"

    async with streaming(CREATED) as server:
        async with AsyncClient(base_url=server.base_url, api_key=key, cancel_on_exit=True) as client:
            await left_after_one(client)
        assert cancels(server) == 0
    assert "run not cancelled" in caplog.text
    assert "LookupError" in caplog.text
    assert "vault" not in caplog.text


async def _answer_all(peer: Peer, wire: bytes) -> None:
    while await peer.request() is not None:
        await peer.send(wire)


async def test_an_opening_that_fails_raises_as_ever() -> None:
    async with RawServer(lambda peer: _answer_all(peer, answer(500, {}))) as server, a_client(server) as client:
        with pytest.raises(APIStatusError):
            await start(client)


async def test_a_whole_run_with_it_on_is_one_post() -> None:
    async with RawServer(lambda peer: _answer_all(peer, stream_answer(CREATED, DELTA, COMPLETED))) as server:
        async with a_client(server) as client, start(client) as stream:
            assert len(await events_of(stream)) == 3
        assert server.posts == 1
