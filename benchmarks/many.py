"""Very many streams at once, as `many_streams` measures them."""

from .many_streams import Figures, compare
from .races import Effort, why_not
from .results import Aim, Result, Row, result

STREAMS = 2000
_OURS, _FAN_OUT, _OPENAI = "gather", "fan-out", "openai"


def run_many(effort: Effort) -> list[Result]:
    """Measures paced streams, one event a second each: CPU an event, and memory of an idle stream."""
    whole = effort.size == 1
    streams, seconds, rounds = (STREAMS, 10, 5) if whole else (STREAMS // 10, 2, 1)
    sides = [_OURS, _FAN_OUT, _OPENAI]
    if (why := why_not(_OPENAI, peers=effort.peers)) is not None:
        sides.remove(_OPENAI)
    found: dict[str, list[Figures]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side].append(compare(side, streams, seconds, 1.0, "asyncio"))
    cpu = [Row(side=side, rounds=tuple(one.cpu * 1e6 for one in told)) for side, told in found.items()]
    memory = [Row(side=side, rounds=tuple(one.memory / 1000 for one in told)) for side, told in found.items()]
    what = f"{streams} streams, an event a second each"
    left_out = [] if why is None else [f"{_OPENAI} is left out: {why}"]
    return [
        result("many-streams", what, cpu, [Aim(side=_OPENAI, at_least=8.0, ours=_OURS)], left_out=left_out),
        result(
            "many-streams",
            what,
            memory,
            [Aim(side=_OPENAI, at_least=4.0, ours=_OURS)],
            unit="kB a stream",
            clock="memory of the process",
        ),
    ]
