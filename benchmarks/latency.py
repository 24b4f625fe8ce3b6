"""How long an event takes from the server's write to the reader's hand, and what one costs at the pace of a person."""

import statistics
from collections.abc import Sequence

from .child import Order, Told
from .races import OURS, WIRE, Effort, why_not
from .results import CLOCK, Aim, Result, Row, result
from .turns import Sides

PER_SECOND = 100
_SECONDS = 3.0
_BARE = "aiohttp + json"
_SIDES = (OURS, _BARE, "openai")
_P99 = 0.99
_BESIDE_TEXT = 2
"""Events of the run itself: its first and its last."""


def run_latency(processes: Sides, effort: Effort) -> list[Result]:
    """Measures one stream of 100 events a second: the median and the 99th percentile of each round, and CPU an event."""
    events = max(20, round(PER_SECOND * _SECONDS * effort.size))
    left_out = [f"{side} is left out: {why}" for side in _SIDES if (why := why_not(side, peers=effort.peers))]
    sides = [side for side in (*_SIDES, WIRE) if why_not(side, peers=effort.peers) is None]
    told = _in_turns(sides, events, processes, effort.rounds)
    timed = {side: [sorted(one.late) for one in told[side]] for side in sides if side != WIRE}
    aims = [Aim(side=_BARE, at_least=1 / 1.3, ours=OURS), Aim(side="openai", at_least=3.0, ours=OURS)]
    what = f"{PER_SECOND} events a second"
    found = [
        result(
            "latency",
            f"{name}, {what}",
            [Row(side=side, rounds=tuple(figure(late) / 1000 for late in rounds)) for side, rounds in timed.items()],
            aims,
            unit="us",
            clock=CLOCK,
            left_out=left_out,
        )
        for name, figure in (("median", statistics.median), ("99th percentile", _percentile))
    ]
    cpu = [Row(side=side, rounds=tuple(one.cpu * 1e6 / events for one in told[side])) for side in sides]
    return [*found, result("latency", f"one event at a time, {what}", cpu)]


def _in_turns(sides: Sequence[str], events: int, processes: Sides, rounds: int) -> dict[str, list[Told]]:
    """Raises `AssertionError` where a side loses an event or a piece of text."""
    key = f"paced-{events}-{PER_SECOND}"
    children = [processes.child(side) for side in sides]
    for one in children:
        one.do(Order("paced-20-1000"))
    told = [[one.do(Order(key, late=True)) for one in children] for _ in range(rounds)]
    found = {side: [round_[place] for round_ in told] for place, side in enumerate(sides)}
    for side, readings in found.items():
        counts = {(one.counted, len(one.late)) for one in readings}
        assert side == WIRE or counts == {(events + _BESIDE_TEXT, events)}, (
            f"{side} gives a wrong answer to {key}: {counts}"
        )
    return found


def _percentile(late: Sequence[int]) -> float:
    return late[int(len(late) * _P99)]
