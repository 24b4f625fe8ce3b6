"""Which sides read which workloads, and what each of ours must reach."""

from dataclasses import dataclass
from importlib.util import find_spec

from .node import NODE_SIDES
from .node import why_not as why_no_node
from .peer_names import HTTPX, OPENAI
from .results import Aim, Result, Row, result
from .sides import RELAY
from .turns import Sides

_EVERYBODY = ("openai", "httpx-sse + json", "aiohttp + json", *NODE_SIDES, "aiohttp, thrown away")
OURS, HELPER, FLOOR, WIRE = "aiorunstream", "aiorunstream helper", "msgspec floor", "aiohttp, thrown away"
FETCH, NODE = "node fetch + JSON.parse", "node openai"


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds after one to warm up, seconds of each turn, and the size of workloads, of 1."""

    rounds: int = 5
    seconds: float = 0.25
    size: float = 1.0
    peers: bool = True


FULL, QUICK = Effort(), Effort(rounds=3, seconds=0.03, size=0.1)


@dataclass(frozen=True)
class Race:
    """A workload in one form: `key` and `amount` name it, the first side is ours."""

    workload: str
    what: str
    key: str
    amount: int
    sides: tuple[str, ...]
    aims: tuple[tuple[str, float], ...] = ()
    of: str = OURS


RACES = (
    Race(
        "token-deltas",
        "decoding alone, reads of whole events",
        "whole-events",
        20_000,
        ("decode", FLOOR),
        ((FLOOR, 0.6),),
        "decode",
    ),
    Race("token-deltas", "decoding alone, 16 KiB reads", "token-deltas", 20_000, ("decode", FLOOR)),
    Race(
        "token-deltas",
        "16 KiB HTTP chunks",
        "token-deltas",
        10_000,
        (OURS, *_EVERYBODY, "bare socket"),
        (("openai", 45.0), (FETCH, 1.0), (NODE, 5.0)),
    ),
    Race(
        "token-deltas",
        "one event a chunk",
        "one-by-one",
        10_000,
        (OURS, *_EVERYBODY, "bare socket"),
        (("openai", 18.0), (WIRE, 0.75)),
    ),
    Race(
        "token-deltas",
        "one event a chunk, sent one by one",
        "flushed-one-by-one",
        10_000,
        (OURS, WIRE),
        ((WIRE, 0.75),),
    ),
    Race(
        "helper",
        "16 KiB HTTP chunks",
        "token-deltas",
        10_000,
        (HELPER, OURS, "openai helper"),
        (("openai helper", 40.0), (OURS, 0.625)),
        HELPER,
    ),
    Race(
        "helper",
        "in memory",
        "token-deltas",
        20_000,
        ("helper in memory", "raw in memory", "decode"),
        (("raw in memory", 0.625),),
        "helper in memory",
    ),
    Race("one-huge-message", "8 MiB in one event", "one-huge-message", 8, (OURS, *_EVERYBODY)),
    Race("byte-drip", "one byte a chunk", "byte-drip", 500, (OURS, *_EVERYBODY)),
    Race("heartbeats", "ten comments an event", "heartbeats", 2_000, (OURS, *_EVERYBODY)),
    Race(
        "tool-loop",
        "one round of one call",
        "tool-loop",
        200,
        (HELPER, "openai", "httpx-sse + json", "aiohttp + json", *NODE_SIDES),
    ),
    Race(
        "relay",
        "frames in to bytes out",
        "token-deltas",
        20_000,
        RELAY,
        tuple((side, 5.0) for side in RELAY[1:]),
        RELAY[0],
    ),
)


def run_race(race: Race, processes: Sides, effort: Effort) -> Result:
    """Measures one race, without the sides that cannot be run here."""
    left_out = {side: why for side in race.sides if (why := why_not(side, peers=effort.peers)) is not None}
    key = f"{race.key}:{max(1, round(race.amount * effort.size))}"
    sides = [side for side in race.sides if side not in left_out]
    if race.sides[0] in left_out:
        return result(race.workload, race.what, (), left_out=_said(left_out))
    measured = processes.in_turns(sides, key, rounds=effort.rounds, seconds=effort.seconds)
    return result(
        race.workload,
        race.what,
        (Row(side=one.side, rounds=one.cpu) for one in measured),
        [Aim(side=side, at_least=least, ours=race.of) for side, least in race.aims],
        left_out=_said(left_out),
    )


def _said(left_out: dict[str, str]) -> list[str]:
    return [f"{side} is left out: {why}" for side, why in left_out.items()]


def why_not(side: str, *, peers: bool = True) -> str | None:
    """Why a side cannot be run here; None where it can."""
    needs: tuple[str, ...] = ()
    if side in OPENAI:
        needs = ("openai", "httpx")
    elif side in HTTPX:
        needs = ("openai", "httpx", "httpx_sse")
    elif side in RELAY:
        needs = ("starlette",)
    elif side in NODE_SIDES:
        return why_no_node(install=peers) if peers else "peers are not asked for"
    if not peers and side not in RELAY and needs:
        return "peers are not asked for"
    missing = [name for name in needs if find_spec(name) is None]
    return f"it needs {' and '.join(missing)}" if missing else None
