"""What an event costs, counted so that no machine's speed or load is in it: calls made, memory held, and ratios within one run.

The limits stand a little above what there is. Whoever needs more should know that each event of each stream pays for it,
and move the limit together with the figures in `docs/benchmarks.md`.
"""

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest

from aiorunstream import RunProtocol
from benchmarks import helper
from benchmarks.importing import cpu_of
from benchmarks.workloads import of_size, token_deltas, whole_events, workload

pytestmark = pytest.mark.skipif(sys.gettrace() is not None, reason="nobody may trace what is counted")


def calls_of(work: Callable[[], object]) -> int:
    """How many calls a piece of work makes, of Python's functions and of C's."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def calls_an_event(read: Callable[[int], object]) -> float:
    """The calls that one more event costs, without what a stream costs once."""
    few, many = 1_000, 3_000
    for events in (few, many):
        read(events)  # what is made at first use
    return (calls_of(lambda: read(many)) - calls_of(lambda: read(few))) / (many - few)


def decode(chunks: tuple[bytes, ...]) -> int:
    protocol, events = RunProtocol(), 0
    for chunk in chunks:
        protocol.receive_data(chunk)
        while protocol.next_event() is not None:
            events += 1
    return events


def read_raw(events: int) -> None:
    asyncio.run(helper.raw(f"token-deltas:{events}", None))


def read_helper(events: int) -> None:
    asyncio.run(helper.helper(f"token-deltas:{events}", None))


def test_decoding_an_event_takes_few_calls() -> None:
    each = calls_an_event(lambda events: decode(workload(f"token-deltas:{events}").chunks))
    assert each <= 3.6


def test_decoding_an_event_that_comes_alone_takes_few_calls() -> None:
    each = calls_an_event(lambda events: decode(workload(f"one-by-one:{events}").chunks))
    assert each <= 18.5


def test_an_event_of_a_raw_stream_takes_few_calls() -> None:
    assert calls_an_event(read_raw) <= 5.8


def test_an_event_of_the_helper_takes_few_calls() -> None:
    assert calls_an_event(read_helper) <= 10.8


def test_a_stream_holds_no_more_the_longer_it_gets() -> None:
    def most_held(events: int) -> int:
        given = workload(f"token-deltas:{events}")
        read_raw(events)
        tracemalloc.start()
        asyncio.run(helper.raw(given.name + f":{events}", None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - 2 * len(given.text)  # the last message holds all of it

    assert most_held(20_000) <= 2 * most_held(2_000)


def least(work: Callable[[], object], tries: int = 5) -> float:
    """The CPU seconds of the best of several tries."""
    best = float("inf")
    for _ in range(tries):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize(("chunk_bytes", "most"), [(1024 * 1024, 5.0), (100, 16.0)])
def test_what_an_event_costs_does_not_go_by_how_much_is_read_at_once(chunk_bytes: int, most: float) -> None:
    usual, other = token_deltas(30_000), token_deltas(30_000, chunk_bytes=chunk_bytes)
    # Where the rest of a read is copied for each of its events, the first is 10 and more, whatever else the machine does.
    assert any(least(lambda: decode(other.chunks)) <= most * least(lambda: decode(usual.chunks)) for _ in range(3))


def test_what_a_byte_costs_does_not_go_by_the_size_of_its_event() -> None:
    small, large = of_size(500, 10_000), of_size(1, 5_000_000)
    assert any(least(lambda: decode(large.chunks)) <= 4 * least(lambda: decode(small.chunks)) for _ in range(3))


def test_whole_events_take_no_more_calls_than_cut_ones() -> None:
    whole, cut = whole_events(10_000), token_deltas(10_000)
    assert calls_of(lambda: decode(whole.chunks)) <= 1.1 * calls_of(lambda: decode(cut.chunks))


def test_importing_is_cheap_until_a_client_is_made(tmp_path: object) -> None:
    def least_of(code: str) -> float:
        return min(cpu_of(code, str(tmp_path)) for _ in range(4))

    empty, aiohttp = least_of("pass"), least_of("import aiohttp")
    alone = least_of("import aiorunstream")
    client = least_of("from aiorunstream import AsyncClient; AsyncClient(base_url='http://127.0.0.1:1/v1', api_key='')")
    assert alone - empty <= (aiohttp - empty) / 5
    assert client - empty <= (aiohttp - empty) * 1.6
