"""How fast a fan-out begins its runs where the server takes only so many at a time, and what the requests around them retry."""

import asyncio
from typing import Literal

import pytest
from fan import RETRIES, ForeignError, begin, of_kind, requests, rest, runs, thread_of, together
from raw_server import Peer, answer
from scenarios import SLOW, scene

from aiorunstream import AsyncClient, RateLimitError, RetryPolicy, Timeouts
from aiorunstream.fanout import RunFailure, RunRequest, RunResult, _pace, gather_runs
from aiorunstream.fanout._pace import Pace
from aiorunstream.resources import _reconcile
from aiorunstream.server import AssistantsServer, Fault, Pause, ScriptedEngine

SLOWLY = answer(429, {"error": {"message": "slowly"}}, {"Retry-After-Ms": "20"})


class Narrow:
    """A server that puts off what comes while it is busy with `most` requests already."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0

    async def act(self, peer: Peer, thread: str) -> None:
        if self.busy >= self.most:
            await peer.send(SLOWLY)
            return
        self.busy += 1
        await asyncio.sleep(0.005)
        self.busy -= 1
        await peer.send(begin(thread) + rest(thread))


@pytest.mark.parametrize("most", [1, 3])
async def test_a_server_that_takes_a_few_at_a_time_gets_all_runs_in_the_end(most: int) -> None:
    async with scene(runs(Narrow(most).act), connection="any", posts=None, timeouts=SLOW, retry=RETRIES) as at:
        results = await gather_runs(at.client.threads.runs, requests(40))
        assert [type(result) for result in results] == [RunResult] * 40
        assert at.server.posts < 40 * 3  # as they would be if all were sent thrice


async def test_where_retries_are_off_a_run_that_is_put_off_fails() -> None:
    policy = RetryPolicy(attempts=1)
    async with scene(runs(Narrow(1).act), connection="any", posts=20, timeouts=SLOW, retry=policy) as at:
        results = await gather_runs(at.client.threads.runs, requests(20))
        failures = [result for result in results if isinstance(result, RunFailure)]
        assert {type(failure.error) for failure in failures} == {RateLimitError}
        assert 0 < len(failures) < 20


async def test_a_server_that_takes_nothing_is_asked_as_often_as_the_attempts_say() -> None:
    async def act(peer: Peer, thread: str) -> None:
        del thread
        await peer.send(SLOWLY)

    async with scene(runs(act), connection="any", posts=90, timeouts=SLOW, retry=RETRIES) as at:
        results = await gather_runs(at.client.threads.runs, requests(30))
        assert {type(of_kind(RunFailure, result).error) for result in results} == {RateLimitError}
        sent = [thread_of(seen) for seen in at.server.requests]
        assert {sent.count(thread) for thread in sent} == {3}


async def test_a_run_that_alone_is_put_off_fails_once_no_other_gets_through() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(SLOWLY if thread == "thread_0" else begin(thread) + rest(thread))

    async with scene(runs(act), connection="any", posts=None, timeouts=SLOW, retry=RETRIES) as at:
        refused, *others = await gather_runs(at.client.threads.runs, requests(10))
        assert isinstance(of_kind(RunFailure, refused).error, RateLimitError)
        assert [type(other) for other in others] == [RunResult] * 9
        assert at.server.posts <= 9 + 1 + 9 + 3  # each put-off that is free has another run behind it


async def test_after_many_were_put_off_one_is_sent_and_one_more_for_each_that_gets_through() -> None:
    busy = through = 0
    seen: list[tuple[int, int]] = []

    async def act(peer: Peer, thread: str) -> None:
        nonlocal busy, through
        if at.server.posts <= 16:
            await together(lambda: at.server.posts >= 16)
            await peer.send(SLOWLY)
            return
        busy += 1
        seen.append((busy, through))
        await asyncio.sleep(0.01)
        busy -= 1
        through += 1
        await peer.send(begin(thread) + rest(thread))

    async with scene(runs(act), connection="any", posts=32, timeouts=SLOW, retry=RETRIES) as at:
        results = await gather_runs(at.client.threads.runs, requests(16))
        assert [type(result) for result in results] == [RunResult] * 16
        assert all(at_once <= so_far + 1 for at_once, so_far in seen)
        assert max(seen)[0] > 2  # and it does speed up


async def test_where_nothing_gets_through_all_have_soon_had_their_attempts() -> None:
    arrivals: list[int] = []
    waits = 0

    async def refuse() -> None:
        nonlocal waits
        arrivals.append(waits)
        await asyncio.sleep(0.002)
        waits = max(waits, arrivals[-1] + 1)
        raise RateLimitError("slowly", status_code=429, retry_after=0.01)

    pace = Pace()

    async def go() -> None:
        for _ in range(3):
            with pytest.raises(RateLimitError):
                await pace.send(refuse)

    await asyncio.wait_for(asyncio.gather(*[go() for _ in range(100)]), 30)
    assert len(arrivals) == 300
    assert [arrivals.count(wait) for wait in range(2)] == [100, 1]
    assert waits < 30  # and not 200


async def test_a_place_that_was_given_to_one_who_is_cancelled_is_the_next_one_s() -> None:
    pace, go_on, through = Pace(), asyncio.Event(), list[str]()

    async def put_off() -> None:
        await go_on.wait()
        raise RateLimitError("slowly", status_code=429, retry_after=0.0)

    async def go(name: str) -> None:
        through.append(name)

    async def send(name: str) -> None:
        await pace.send(lambda: go(name))

    holding = [asyncio.create_task(pace.send(put_off)) for _ in range(2)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait(holding)
    assert [type(task.exception()) for task in holding] == [RateLimitError] * 2
    go_on.clear()

    async def fail() -> None:
        await go_on.wait()
        raise ForeignError  # a success would make room for one more

    async def hold() -> None:
        with pytest.raises(ForeignError):
            await pace.send(fail)
        waiting[1].cancel()  # it was given the place just now

    last = asyncio.create_task(hold())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(send(name)) for name in ("in the queue", "with a place", "next", "last")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    go_on.set()
    await asyncio.wait([last, *waiting], timeout=5)
    assert [task.cancelled() for task in waiting] == [True, True, False, False]
    assert through == ["next", "last"]


async def test_a_request_that_waits_for_its_thread_does_not_hold_up_the_others_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_pace, "LONG_SECONDS", 0.05)
    pace, never = Pace(), asyncio.Event()

    async def put_off() -> None:
        raise RateLimitError("slowly", status_code=429, retry_after=0.0)

    async def go() -> str:
        return "through"

    with pytest.raises(RateLimitError):
        await pace.send(put_off)
    waiting = asyncio.create_task(pace.send(never.wait))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(pace.send(go), 5) == "through"
    never.set()
    await waiting
    with pytest.raises(RateLimitError):  # from now on one at a time again: its place was given back once
        await pace.send(put_off)
    never.clear()
    first = asyncio.create_task(pace.send(never.wait))
    await asyncio.sleep(0)
    second = asyncio.create_task(pace.send(go))
    await asyncio.sleep(0.01)
    assert not second.done()
    never.set()
    await asyncio.gather(first, second)


# -- the requests around a run -----------------------------------------------------------------------------------------


def a_client(server: AssistantsServer, **settings: bool) -> AsyncClient:
    return AsyncClient(
        base_url=server.base_url,
        retry=RetryPolicy(base_delay=0.01, **settings),
        timeouts=Timeouts(first_event=2),
    )


async def test_a_look_for_a_run_whose_creation_was_not_answered_has_its_retries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reconcile, "_BETWEEN_LOOKS", 0.05)
    async with AssistantsServer() as server, a_client(server, reconcile=True) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hi"}])
        server.inject(Fault("hang_up", operation="create_run"))
        server.inject(Fault("refuse", status=429, retry_after=0, operation="list_runs", times=2))
        (result,) = await gather_runs(client.threads.runs, [RunRequest("a", thread.id, assistant_id=assistant.id)])
        assert of_kind(RunResult, result).status == "completed"
        assert sum(method == "POST" and path.endswith("/runs") for method, path in server.requests) == 1


@pytest.mark.parametrize("if_active", ["wait", "cancel"])
async def test_the_wait_for_a_run_that_is_in_the_way_has_its_retries(if_active: Literal["wait", "cancel"]) -> None:
    engine = ScriptedEngine([["Some ", Pause(0.3), "words."], ["Others."]])
    async with AssistantsServer(engine=engine) as server, a_client(server) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hi"}])
        async with client.threads.runs.create_stream(thread.id, assistant_id=assistant.id) as stream:
            await anext(stream)
            for operation in ("cancel_run", "retrieve_run"):
                server.inject(Fault("refuse", status=429, retry_after=0, operation=operation, times=2))
            given = RunRequest("a", thread.id, assistant_id=assistant.id, if_active=if_active)
            (result,) = await gather_runs(client.threads.runs, [given])
            assert of_kind(RunResult, result).text == "Others."
