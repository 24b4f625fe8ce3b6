"""How cost grows: with the size of events, of chunks, of runs, and with the number of streams."""

from collections.abc import Iterator, Sequence

import msgspec

from .many_streams import compare
from .races import OURS, Effort
from .turns import Sides

EVENT_BYTES = (100, 1_000, 10_000, 100_000, 1_000_000, 16 * 1024 * 1024)
CHUNK_BYTES = (1, 4, 16, 64, 256, 1024, 4 * 1024, 16 * 1024, 64 * 1024)
STREAMS = (1, 10, 100, 1_000, 10_000)
EVENTS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
_SIDES = ("decode", OURS)
_A_SECOND = 2_000
"""Events of all streams together."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of an event, in microseconds of CPU, against something else."""

    name: str
    against: str
    side: str
    points: tuple[tuple[int, float], ...]


def run_growth(processes: Sides, effort: Effort) -> Iterator[Curve]:
    """Measures all curves, and prints each as it is there."""
    sized = [(size, f"of-size:{max(1, min(5_000, 8_000_000 // size))}:{size}") for size in EVENT_BYTES]
    yield from _curves("event-size", "bytes of an event", sized, processes, effort)
    chunked = [(size, f"cut:{min(5_000, 200 * size)}:{size}") for size in CHUNK_BYTES]
    yield from _curves("chunk-size", "bytes of an HTTP chunk", chunked, processes, effort)
    longer = [(events, f"token-deltas:{events}") for events in EVENTS]
    yield from _curves("run-length", "pieces of text in a run", longer, processes, effort)
    points = [(streams, _paced(streams)) for streams in STREAMS]
    yield _told(Curve(name="streams", against="streams at once", side=OURS, points=tuple(points)))


def _curves(
    name: str, against: str, keys: Sequence[tuple[int, str]], processes: Sides, effort: Effort
) -> Iterator[Curve]:
    found: dict[str, list[tuple[int, float]]] = {side: [] for side in _SIDES}
    for size, key in keys:
        for one in processes.in_turns(_SIDES, key, rounds=effort.rounds, seconds=effort.seconds / 2):
            found[one.side].append((size, one.median))
    for side, points in found.items():
        yield _told(Curve(name=name, against=against, side=side, points=tuple(points)))


def _paced(streams: int) -> float:
    deltas = max(2, 10_000 // streams)
    return min(compare("gather", streams, deltas, streams / _A_SECOND, "asyncio").cpu for _ in range(2)) * 1e6


def _told(curve: Curve) -> Curve:
    print(f"\ngrowth: us an event against {curve.against}, {curve.side}")
    print("  " + "   ".join(f"{x}: {y:.3g}" for x, y in curve.points), flush=True)
    return curve
