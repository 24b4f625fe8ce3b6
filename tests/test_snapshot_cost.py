"""What a snapshot costs: ten times the deltas take about ten times the time."""

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


@pytest.mark.parametrize("make", [text_event, argument_event, unknown_event, call_event, part_event])
def test_ten_times_the_deltas_take_ten_times_the_time(make: Callable[[int], RunEvent]) -> None:
    def cost(count: int) -> float:
        events = [make(place) for place in range(count)]
        best = float("inf")
        for _ in range(3):
            snapshot = RunSnapshot()
            start = time.process_time()
            for event in events:
                snapshot.add(event)
            assert snapshot.messages or snapshot.run_steps
            best = min(best, time.process_time() - start)
        return best

    # The least of several tries: what else the machine does must not decide.
    assert any(cost(10_000) <= 12 * cost(1_000) for _ in range(25))


@pytest.mark.skipif(sys.gettrace() is not None, reason="text grows in place only where nobody traces the interpreter")
def test_reading_the_text_again_and_again_costs_what_is_new() -> None:
    def cost(count: int) -> float:
        events = [says("some words of text ") for _ in range(count)]
        snapshot = RunSnapshot()
        start = time.process_time()
        for event in events:
            snapshot.add(event)
            assert snapshot.text
        return time.process_time() - start

    assert any(cost(30_000) <= 12 * cost(3_000) for _ in range(25))
