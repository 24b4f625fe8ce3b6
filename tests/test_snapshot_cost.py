"""What a snapshot costs: each delta about the same, however many came before it."""

import gc
import sys
import time
from collections.abc import Callable

import pytest
from test_snapshot import calls, function, says
from test_snapshot_unknown import unknown

from aiorunstream.events import (
    RunEvent,
)
from aiorunstream.models import (
    TextDelta,
    TextDeltaBlock,
)
from aiorunstream.snapshot import RunSnapshot


def text_event(place: int) -> RunEvent:
    return says(f"word {place} ")


def argument_event(place: int) -> RunEvent:
    return calls(function(0, f"{place},", None if place else "call"))


def unknown_event(place: int) -> RunEvent:
    return unknown(caption=f"{place} ", tags=[place], frames=[{"index": 0, "t": "x"}])


def call_event(place: int) -> RunEvent:
    return calls(function(0, "{}", f"call_{place}"))


def part_event(place: int) -> RunEvent:
    return says(TextDeltaBlock(place, TextDelta("x")))


def cpu_of(work: Callable[[], None]) -> float:
    """The CPU seconds of the best of a few tries, without collections of whatever else this process holds."""
    best = float("inf")
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(3):
            began = time.thread_time()
            work()
            best = min(best, time.thread_time() - began)
    finally:
        if collecting:
            gc.enable()
    return best


FEW, TIMES = 4_000, 10
MOST = 1.6 * TIMES
"""What is linear costs ten times as much for ten times the deltas, here 9 to 11 times; what copies the whole at each of them up
to a hundred times. The limit leaves room for a machine's caches and a neighbour's load."""


@pytest.mark.parametrize("make", [text_event, argument_event, unknown_event, call_event, part_event])
def test_what_a_delta_costs_does_not_go_by_how_many_came_before(make: Callable[[int], RunEvent]) -> None:
    def cost(count: int) -> float:
        events = [make(place) for place in range(count)]

        def fold() -> None:
            snapshot = RunSnapshot()
            for event in events:
                snapshot.add(event)
            assert snapshot.messages or snapshot.run_steps

        return cpu_of(fold)

    assert cost(FEW * TIMES) <= MOST * cost(FEW)


@pytest.mark.skipif(sys.gettrace() is not None, reason="text grows in place only where nobody traces the interpreter")
def test_reading_the_text_again_and_again_costs_what_is_new() -> None:
    def cost(count: int) -> float:
        events = [says("some words of text ") for _ in range(count)]

        def fold() -> None:
            snapshot = RunSnapshot()
            for event in events:
                snapshot.add(event)
                assert snapshot.text

        return cpu_of(fold)

    assert cost(FEW * TIMES) <= MOST * cost(FEW)
