"""Fault scenarios 57 to 64: the reader leaves, or the connection is gone before it is used again."""

import asyncio

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    LAST_CHUNK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    answering,
    chunk,
    events_of,
    read_whole,
    silent_after,
    start,
    stream_answer,
)
from scenario_children import close_all
from scenarios import SLOW, Held, Scene, child, held, in_turn, says, scene
from timing import in_time

from aiorunstream import (
    AsyncClient,
    RunOutcomeUnknownError,
    StreamBusyError,
    StreamClosedError,
)


class OwnError(Exception):
    """The caller's."""


async def closed_in_a_tick(at: Scene) -> None:
    """The client has let go at once, and the server sees it."""
    assert held(at.client)._replace(acquired=0) == Held()
    with in_time(0.01):
        await at.server.peers[-1].closed()


# -- leaving -----------------------------------------------------------------------------------------------------------


async def test_57_cancel_each_await() -> None:
    async def read(client: AsyncClient) -> None:
        async with start(client) as stream:
            await events_of(stream)

    async with scene(silent_after(CREATED, DELTA), posts=None, timeouts=SLOW) as at:
        for steps in range(50):
            reader = asyncio.create_task(read(at.client))
            for _ in range(steps):
                await asyncio.sleep(0)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            assert held(at.client)._replace(acquired=0) == Held(), f"after {steps} steps"
        assert at.server.posts > 10
        assert (await asyncio.gather(*(peer.closed_within(0.2) for peer in at.server.peers))).count(False) == 0


async def test_58_break_early() -> None:
    async with scene(silent_after(CREATED, DELTA), timeouts=SLOW) as at:
        async with start(at.client) as stream:
            async for _ in stream:
                break
        await closed_in_a_tick(at)
        with pytest.raises(StreamClosedError) as caught:
            await anext(stream)
        assert caught.value.run_id == "run_raw"


async def test_59_exit_by_exception() -> None:
    own = OwnError()
    async with scene(silent_after(CREATED), timeouts=SLOW) as at:
        with pytest.raises(OwnError) as caught:
            async with start(at.client) as stream:
                async for _ in stream:
                    raise own
        assert caught.value is own
        assert caught.value.__context__ is None
        await closed_in_a_tick(at)


async def test_60_aclose_other_task() -> None:
    async with scene(silent_after(CREATED), timeouts=SLOW) as at:
        stream = await start(at.client)
        await anext(stream)
        reader = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.02)
        with in_time(0.05), pytest.raises(StreamClosedError) as caught:
            await stream.aclose()
            await reader
        assert (caught.value.run_id, caught.value.events_seen) == ("run_raw", 1)
        await closed_in_a_tick(at)


async def test_61_two_readers() -> None:
    script = says(STREAM_HEAD + chunk(CREATED), 0.1, chunk(DELTA + COMPLETED) + LAST_CHUNK, end="open")
    async with scene(script, connection="pooled") as at, start(at.client) as stream:
        await anext(stream)
        first = asyncio.create_task(events_of(stream))
        await asyncio.sleep(0.02)
        for _ in range(2):
            with pytest.raises(StreamBusyError):
                await anext(stream)
        assert len(await first) == 2
        assert stream.outcome == "completed"


async def test_62_loop_shutdown(anyio_backend: tuple[str, dict[str, bool]]) -> None:
    assert await child(close_all, anyio_backend, "-X", "dev", "-W", "error") == (0, "closed\n", "")


# -- the next request --------------------------------------------------------------------------------------------------


async def test_63_stale_keepalive() -> None:
    rounds = 60
    begun = unknown = 0

    async def hang_up_soon(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_answer())
        await asyncio.sleep(0.00005 * begun)  # before, while and after the next POST arrives

    async with scene(hang_up_soon, posts=None) as at:
        for begun in range(rounds):
            try:
                call = at.client.threads.runs.create_stream(f"thread_{begun}", assistant_id="asst_raw")
                async with call as stream:
                    assert len(await events_of(stream)) == 4
            except RunOutcomeUnknownError:
                unknown += 1
            await asyncio.sleep(0.001)
        threads = [request.line.split("/")[3] for request in at.server.requests]
        assert len(threads) == len(set(threads)), "a run was asked for twice"
        assert 0 < unknown < rounds, "the race was not run"

    async def die_under_it(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_answer())
        await peer.request()

    async with scene(die_under_it, posts=2) as at:
        await read_whole(at.client)
        with in_time(0.1), pytest.raises(RunOutcomeUnknownError):
            await start(at.client)
        assert len(at.server.peers) == 1


async def test_64_pool_poison() -> None:
    """One answer is abandoned half read; also where its server goes on to send the rest, and is slow to hear of it."""

    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await asyncio.sleep(0.1)
        await peer.send(*map(chunk, RUN_STREAM[1:]), LAST_CHUNK)

    script = in_turn(slow, says(STREAM_HEAD[:40], end="open"), answering(stream_answer()))
    async with scene(script, posts=5, timeouts=SLOW, connection="any") as at:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), start(at.client) as stream:
                    await events_of(stream)
        for _ in range(3):
            stream = await read_whole(at.client)
            assert (stream.outcome, stream.events_seen) == ("completed", 4)
        assert len(at.server.peers) == 3
        assert [peer.closed_at is None for peer in at.server.peers] == [False, False, True]
