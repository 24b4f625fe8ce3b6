"""`stream_many`: what comes out, in which order, and how many runs are under way."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator

import pytest
from fan import (
    EVENTS,
    WORDS,
    all_of,
    begin,
    events_by_key,
    of_kind,
    outcomes,
    request,
    requests,
    rest,
    run_event,
    runs,
    together,
)
from raw_server import LAST_CHUNK, Peer, answer, chunk, delta_event
from scenarios import SLOW, scene

from aiorunstream import (
    Limits,
    RequestOptions,
    Timeouts,
)
from aiorunstream.fanout import RunFailure, RunItem, RunRequest, RunResult, gather_runs, stream_many

# -- what comes out ----------------------------------------------------------------------------------------------------


async def test_each_run_hands_out_its_events_in_order_and_then_its_result() -> None:
    async with scene(runs(), connection="any", posts=12, timeouts=SLOW) as at:
        many = stream_many(at.client.threads.runs, requests(12), max_concurrency=5)
        items = await all_of(many)
        assert {key: [one.event for one in events] for key, events in events_by_key(items).items()} == {
            str(number): EVENTS for number in range(12)
        }
        result = of_kind(RunResult, outcomes(items)["7"])
        assert (result.run.id, result.status, result.text) == ("run_7", "completed", "".join(WORDS))
        assert [message.text for message in result.messages] == [result.text]
        assert result.usage is not None
        assert (result.usage.total_tokens, result.events) == (7, 5)
        assert 0 < (result.time_to_first_token or 0) <= result.seconds
        counted = (many.started, many.running, many.done, many.failed, many.events, many.tokens)
        assert counted == (12, 0, 12, 0, 60, 84)


async def test_a_run_that_did_not_end_well_is_a_result_too() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread) + run_event("failed", thread) + LAST_CHUNK)

    async with scene(runs(act), connection="any", timeouts=SLOW) as at:
        items = await all_of(stream_many(at.client.threads.runs, requests(1)))
        assert of_kind(RunResult, outcomes(items)["0"]).status == "failed"


async def test_without_events_only_outcomes_come() -> None:
    async with scene(runs(), connection="any", posts=5, timeouts=SLOW) as at:
        many = stream_many(at.client.threads.runs, requests(5), events=False)
        assert [type(item) for item in await all_of(many)] == [RunResult] * 5
        assert many.events == 25


async def test_no_requests_are_no_items() -> None:
    async with scene(runs(), connection="any", posts=0) as at:
        assert await all_of(stream_many(at.client.threads.runs, ())) == []
        assert await gather_runs(at.client.threads.runs, []) == []


async def test_a_failure_is_an_item_and_the_others_go_on() -> None:
    async def act(peer: Peer, thread: str) -> None:
        if thread == "thread_2":
            await peer.send(begin(thread) + chunk(delta_event("The ")))
            await asyncio.sleep(0.05)  # else the reset overtakes the bytes
            peer.rst()
        elif thread == "thread_3":
            await peer.send(answer(404, {"error": {"message": "no such thread"}}))
        else:
            await peer.send(begin(thread) + rest(thread))

    async with scene(runs(act), connection="any", posts=6, timeouts=SLOW) as at:
        many = stream_many(at.client.threads.runs, requests(6))
        found = outcomes(await all_of(many))
        cut, missing = of_kind(RunFailure, found.pop("2")), of_kind(RunFailure, found.pop("3"))
        assert type(cut.error).__name__ == "StreamInterruptedError"
        assert (cut.thread_id, cut.run_id, cut.text, cut.events) == ("thread_2", "run_2", "The ", 2)
        assert type(missing.error).__name__ == "NotFoundError"
        assert (missing.thread_id, missing.run_id, missing.events) == ("thread_3", None, 0)
        assert [type(outcome) for outcome in found.values()] == [RunResult] * 4
        assert (many.done, many.failed, many.running) == (4, 2, 0)


async def test_requests_results_and_failures_pickle() -> None:
    async def act(peer: Peer, thread: str) -> None:
        if thread == "thread_1":
            await peer.send(begin(thread))
            peer.fin()
        else:
            await peer.send(begin(thread) + rest(thread))

    given = list(requests(2, metadata={"a": "b"}, options=RequestOptions(extra_headers={"X-A": "b"})))
    assert pickle.loads(pickle.dumps(given)) == given
    async with scene(runs(act), connection="any", posts=2, timeouts=SLOW) as at:
        items = await all_of(stream_many(at.client.threads.runs, given))
    back = pickle.loads(pickle.dumps(items))
    assert [item for item in back if item.key == "0"] == [item for item in items if item.key == "0"]
    before, after = of_kind(RunFailure, outcomes(items)["1"]), of_kind(RunFailure, outcomes(back)["1"])
    assert (type(after.error), str(after.error)) == (type(before.error), str(before.error))
    assert (after.thread_id, after.run_id, after.events) == ("thread_1", "run_1", 1)
    assert vars(after.error) == vars(before.error)


# -- how many at a time ------------------------------------------------------------------------------------------------


class Asked(Iterator[RunRequest]):
    """Endless requests, which count how often they were asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __next__(self) -> RunRequest:
        self.count += 1
        return request(self.count)


class AskedLater(AsyncIterator[RunRequest]):
    """The same, which have to be waited for."""

    def __init__(self) -> None:
        self._asked = Asked()

    @property
    def count(self) -> int:
        return self._asked.count

    async def __anext__(self) -> RunRequest:
        await asyncio.sleep(0)
        return next(self._asked)


@pytest.mark.parametrize("kind", [Asked, AskedLater])
async def test_requests_are_asked_for_when_there_is_a_slot(kind: type[Asked | AskedLater]) -> None:
    go_on = asyncio.Event()

    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await go_on.wait()
        await peer.send(rest(thread))

    async with scene(runs(act), connection="any", posts=None, timeouts=SLOW) as at:
        asked = kind()
        async with stream_many(at.client.threads.runs, asked, max_concurrency=7) as many:
            await together(lambda: at.server.posts == 7)
            await asyncio.sleep(0.05)
            assert (asked.count, many.started, many.running, at.server.posts) == (7, 7, 7, 7)
            go_on.set()
            async for _ in many:
                assert asked.count <= many.done + 7
                if many.done > 30:
                    break


async def test_a_reader_who_does_not_read_holds_everything_up() -> None:
    flood = chunk(b"".join(map(delta_event, ["word "] * 50)))

    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread), flood, flood, rest(thread))

    async with scene(runs(act), connection="any", posts=None, timeouts=SLOW) as at:
        asked = Asked()
        async with stream_many(at.client.threads.runs, asked, max_concurrency=4, buffer=8) as many:
            await asyncio.sleep(0.2)
            assert (asked.count, many.events, len(many._items)) == (4, 32, 32)
            taken = [await anext(many) for _ in range(32)]
            assert sorted(item.key for item in taken) == sorted(["1", "2", "3", "4"] * 8)
            items = [item async for item in _until(many, outcomes=4)]
            assert all(of_kind(RunResult, end).events == 105 for end in outcomes([*taken, *items]).values())


def _until(many: stream_many, *, outcomes: int) -> AsyncIterator[RunItem | RunResult | RunFailure]:
    """The items up to so many outcomes."""

    async def read() -> AsyncIterator[RunItem | RunResult | RunFailure]:
        left = outcomes
        async for item in many:
            yield item
            left -= not isinstance(item, RunItem)
            if not left:
                return

    return read()


async def test_a_run_that_stands_still_holds_up_no_other() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        if thread == "thread_3":
            await peer.closed()
        await peer.send(rest(thread))

    async with (
        scene(runs(act), connection="any", posts=None, timeouts=SLOW) as at,
        stream_many(at.client.threads.runs, requests(50), max_concurrency=2) as many,
    ):
        ended: set[str] = set()
        async for item in many:
            if isinstance(item, RunResult):
                ended.add(item.key)
                if len(ended) == 49:
                    break
        assert ended == {str(number) for number in range(50)} - {"3"}


async def test_a_slot_is_free_once_the_connection_is_pooled() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread) + rest(thread).removesuffix(LAST_CHUNK))
        await asyncio.sleep(0.05)  # the run is over, and its answer is not
        await peer.send(LAST_CHUNK)

    async with scene(runs(act), connection="pooled", posts=4, timeouts=SLOW) as at:  # all through one connection
        results = await gather_runs(at.client.threads.runs, requests(4), max_concurrency=1)
        assert [type(result) for result in results] == [RunResult] * 4


async def test_a_slot_is_free_once_the_connection_that_never_ends_is_closed() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread) + rest(thread).removesuffix(LAST_CHUNK))
        await peer.closed()
        assert at.server.posts == len(at.server.peers)

    async with scene(runs(act), posts=3, timeouts=SLOW) as at:
        results = await gather_runs(at.client.threads.runs, requests(3), max_concurrency=1)
        assert [type(result) for result in results] == [RunResult] * 3
        assert [peer.closed_at is None for peer in at.server.peers] == [False] * 3


async def test_waiting_for_a_stream_slot_of_the_client_is_no_failure() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await asyncio.sleep(0.15)
        await peer.send(rest(thread))

    short, few = Timeouts(connect=0.1, first_event=5, idle=5), Limits(max_streams=2)
    async with scene(runs(act), connection="any", posts=8, timeouts=short, limits=few) as at:
        results = await gather_runs(at.client.threads.runs, requests(8))
        assert [type(result) for result in results] == [RunResult] * 8
