"""The loop: take a stream, change it, ask the oracles, and keep it to start from if it showed something new."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiorunstream.protocol import RunProtocol

from .corpus import SEEDS
from .mutate import mutate
from .oracles import Seen, check, setting_of
from .payloads import BrokenPromiseError

MOST_KEPT = 5000
FINDINGS_EACH = 3
"""So many findings of one oracle are made small and told; the rest are counted."""
_SHRINK_TRIES = 2000


@dataclass
class Report:
    """What a run of the loop came to. `findings` are the smallest inputs found, each with what went wrong."""

    executions: int = 0
    kept: int = 0
    findings: list[tuple[bytes, str]] = field(default_factory=list[tuple[bytes, str]])


def run(
    *,
    executions: int,
    seed: int,
    minutes: float | None = None,
    kind: type[RunProtocol] = RunProtocol,
    tell: Callable[[str], object] = lambda _: None,
) -> Report:
    """Tries the seeds and then changed ones, the same ones for the same `seed`.

    Args:
        executions: how many inputs to try; each is read by every oracle.
        seed: of everything random.
        minutes: stops early after this long.
        kind: the protocol under test.
        tell: takes a line about how it goes, now and then.
    """
    rolls = random.Random(seed)  # noqa: S311  nothing here is secret
    report = Report()
    pool = list(SEEDS)
    shapes: set[object] = set()
    oracles: dict[str, int] = {}
    until = None if minutes is None else time.monotonic() + 60 * minutes
    while report.executions < executions and (until is None or time.monotonic() < until):
        place = report.executions
        wire = SEEDS[place] if place < len(SEEDS) else mutate(rolls.choice(pool), rolls, pool)
        report.executions += 1
        found: BrokenPromiseError | None = None
        shape: object = None
        try:
            shape = _shape(check(wire, kind))
        except BrokenPromiseError as finding:
            found = finding
        if found is not None:
            oracles[found.oracle] = oracles.get(found.oracle, 0) + 1
            if oracles[found.oracle] <= FINDINGS_EACH:
                report.findings.append(smallest(wire, found, kind))
                tell(f"{report.findings[-1][0]!r}\n  {report.findings[-1][1]}")
        elif shape not in shapes:
            shapes.add(shape)
            if len(pool) < len(SEEDS) + MOST_KEPT:
                pool.append(wire)
        if report.executions % 100_000 == 0:
            tell(f"{report.executions} executions, {len(pool)} streams to start from, {sum(oracles.values())} findings")
    report.kept = len(pool) - len(SEEDS)
    return report


def _shape(seen: Seen) -> object:
    """What was new to see: the first events, in a rough size each, and how it ended."""
    events = tuple((kind, len(data).bit_length()) for _, kind, data in seen.events[:3])
    return events, len(seen.events) > 3, seen.ending[0], seen.ending[3]


def smallest(wire: bytes, finding: BrokenPromiseError, kind: type[RunProtocol] = RunProtocol) -> tuple[bytes, str]:
    """Takes pieces out of an input for as long as the same oracle fails; returns it, and what then goes wrong."""
    what, setting = str(finding), setting_of(wire)
    size, tries = len(wire), 0
    while size >= 1 and tries < _SHRINK_TRIES:
        place = 0
        while place < len(wire) and tries < _SHRINK_TRIES:
            tries += 1
            shorter = wire[:place] + wire[place + size :]
            try:
                check(shorter, kind, setting)
            except BrokenPromiseError as other:
                if other.oracle == finding.oracle:
                    wire, what = shorter, str(other)
                    continue
            place += size
        size //= 2
    return wire, f"{what}\n  with {setting}"
