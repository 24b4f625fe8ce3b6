"""How a fan-out ends early: by its first failure, by its body, by leaving it."""

import asyncio
from typing import Any

import pytest
from fan import (
    WORDS,
    ForeignError,
    begin,
    events_by_key,
    outcomes,
    request,
    requests,
    run_event,
    runs,
    silent,
    together,
)
from raw_server import LAST_CHUNK, Peer, answer, chunk, delta_event, event
from scenarios import SLOW, scene

from aiorunstream import (
    RunStreamError,
    StreamBusyError,
    StreamClosedError,
)
from aiorunstream.fanout import RunFailure, RunItem, RunResult, stream_many

# -- on_error="raise" --------------------------------------------------------------------------------------------------


async def fails_third(peer: Peer, thread: str) -> None:
    await peer.send(begin(thread))
    if thread == "thread_2":
        await asyncio.sleep(0.05)
        await peer.send(chunk(event("error", {"message": "out of luck", "code": "server_error"})))
    await peer.closed()


async def test_with_raise_the_first_failure_is_raised_as_it_is_and_the_rest_is_cut() -> None:
    async with (
        scene(runs(fails_third), posts=None, timeouts=SLOW) as at,
        stream_many(at.client.threads.runs, requests(20), max_concurrency=10, on_error="raise") as many,
    ):
        with pytest.raises(RunStreamError, match="out of luck") as caught:
            async for _ in many:
                pass
        error = caught.value
        assert (error.code, error.thread_id, error.run_id) == ("server_error", "thread_2", "run_2")
        assert (many.failed, many.done, many.running) == (1, 0, 0)
        for peer in at.server.peers:
            assert await peer.closed_within(0.5)
        with pytest.raises(RunStreamError):  # once more the same
            await anext(many)


async def test_with_raise_a_run_that_fails_while_nobody_reads_ends_the_others_too() -> None:
    async with (
        scene(runs(fails_third), posts=None, timeouts=SLOW) as at,
        stream_many(at.client.threads.runs, requests(10), on_error="raise") as many,
    ):
        await together(lambda: many.failed == 1)
        for peer in at.server.peers:
            assert await peer.closed_within(0.5)


# -- leaving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ForeignError, KeyboardInterrupt, asyncio.CancelledError, ExceptionGroup])
async def test_an_exception_of_the_body_leaves_as_it_is(kind: type[BaseException]) -> None:
    raised = ExceptionGroup("two", [ForeignError(), ForeignError()]) if kind is ExceptionGroup else kind("mine")
    async with scene(runs(silent), posts=None, timeouts=SLOW) as at:
        with pytest.raises(kind) as caught:
            async with stream_many(at.client.threads.runs, requests(10)) as many:
                await anext(many)
                raise raised
        assert caught.value is raised
        for peer in at.server.peers:
            assert await peer.closed_within(0.5)


async def test_leaving_closes_all_connections_before_the_block_is_over() -> None:
    async with scene(runs(silent), posts=10, timeouts=SLOW) as at:
        async with stream_many(at.client.threads.runs, requests(10)) as many:
            await together(lambda: many.events == 10)
            before = asyncio.all_tasks()
            assert len(before - {asyncio.current_task()}) > 10
        assert {task.get_name() for task in asyncio.all_tasks()} < {task.get_name() for task in before}
        session: Any = at.client._transport._sessions[asyncio.get_running_loop()]
        assert len(session._bodies) == 0


async def test_leaving_cancels_the_runs_that_are_to_end_with_their_reader() -> None:
    cancelled: set[str] = set()

    async def act(peer: Peer, thread: str) -> None:
        if at.server.requests[-1].line.split(" ")[1].endswith("/cancel"):
            cancelled.add(thread)
            run = {"id": thread.replace("thread", "run"), "object": "thread.run", "status": "cancelling"}
            await peer.send(answer(200, run))
        else:
            await silent(peer, thread)

    async with scene(runs(act), connection="any", posts=None, timeouts=SLOW) as at:
        given = [request(number, cancel_on_exit=number % 2 == 0) for number in range(20)]
        async with stream_many(at.client.threads.runs, given) as many:
            await together(lambda: many.events == 20)
        assert cancelled == {f"thread_{number}" for number in range(0, 20, 2)}


async def test_it_is_entered_once_read_by_one_and_not_read_after_it_was_left() -> None:
    async with scene(runs(silent), posts=2, timeouts=SLOW) as at:
        many = stream_many(at.client.threads.runs, requests(2))
        with pytest.raises(StreamBusyError, match="enter it with `async with`"):
            await anext(many)
        async with many:
            with pytest.raises(StreamBusyError):
                await many.__aenter__()
            assert [(await anext(many)).key, (await anext(many)).key] == ["0", "1"]
            waiting = asyncio.create_task(anext(many))  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
            await asyncio.sleep(0.01)
            with pytest.raises(StreamBusyError, match="somebody else"):
                await anext(many)
            await many.aclose()
            with pytest.raises(StreamClosedError):
                await waiting
        with pytest.raises(StreamClosedError):
            await anext(many)
        await many.aclose()
        assert repr(many) == "<stream_many started=2 running=0 done=0 failed=0>"


async def test_a_cancelled_step_loses_nothing() -> None:
    async def act(peer: Peer, thread: str) -> None:
        for piece in (begin(thread), *[chunk(delta_event(word)) for word in WORDS]):
            await peer.send(piece)
            await asyncio.sleep(0.01)
        await peer.send(run_event("completed", thread), LAST_CHUNK)

    async with scene(runs(act), connection="any", posts=20, timeouts=SLOW) as at:
        items: list[RunItem | RunResult | RunFailure] = []
        steps = 0
        async with stream_many(at.client.threads.runs, requests(20)) as many:
            while True:
                steps += 1
                try:
                    async with asyncio.timeout(0.001):
                        items.append(await anext(many))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    break
        assert steps > len(items)
        assert [len(events) for events in events_by_key(items).values()] == [5] * 20
        assert len(outcomes(items)) == 20
