"""Leaving a stream whose run is to end with it: what the server sees, and how long it takes."""

import asyncio
import logging

import pytest
from cancel_server import CANCELLED, a_client, cancels, left_after_one, streaming
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    answering,
    chunk,
    event,
    events_of,
    run_json,
    start,
    stream_answer,
)
from server_client import until
from timing import in_time

from aiorunstream import AsyncClient, RunStream, StreamClosedError, StreamInterruptedError


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


async def test_a_run_whose_first_event_is_its_end_is_not_cancelled() -> None:
    async with streaming(COMPLETED, wait=0.2) as server, a_client(server) as client:
        async with start(client):
            pass
        assert cancels(server) == 0
        assert await server.peers[0].closed_within(0.2)


async def test_a_stream_that_is_left_once_its_client_is_closed_cancels_nothing() -> None:
    async with streaming(CREATED) as server:
        client = a_client(server, cancel_on_exit=False)
        stream = await start(client)
        await anext(stream)
        await client.aclose()
        stream.set_cancel_on_exit(wanted=True)
        await stream.aclose()
        assert cancels(server) == 0


async def test_it_is_waited_for_half_a_second_and_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    async with streaming(CREATED, wait=5) as server, a_client(server) as client:
        with in_time(0.5):
            async with start(client):
                pass
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
        with in_time(2, least=1.9):
            await left_after_one(client)
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


async def test_a_whole_run_with_it_on_is_one_post() -> None:
    async with RawServer(answering(stream_answer(CREATED, DELTA, COMPLETED))) as server:
        async with a_client(server) as client, start(client) as stream:
            assert len(await events_of(stream)) == 3
        assert server.posts == 1


@pytest.mark.parametrize("status", ["pending", None])
async def test_a_run_whose_status_is_unknown_or_left_out_goes_on_for_all_that_is_known(status: str | None) -> None:
    run = {**run_json(), "status": status} if status else {k: v for k, v in run_json().items() if k != "status"}
    async with streaming(event("thread.run.created", run)) as server, a_client(server) as client:
        await left_after_one(client)
        assert cancels(server) == 1


async def test_a_stream_that_broke_before_its_first_event_has_nothing_to_cancel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its reader has the error; nothing more is read, and nothing is said of a cancel that nobody tried."""
    caplog.set_level(logging.DEBUG, "aiorunstream")
    async with streaming(end="rst") as server, a_client(server) as client:
        with pytest.raises(StreamInterruptedError):
            async with start(client) as stream:
                await events_of(stream)
        assert cancels(server) == 0
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["stream"] * 2
