"""What a workload came to, and the table that shows it."""

import statistics
from collections.abc import Iterable, Sequence

import msgspec

CPU = "CPU time of the process, user and system"
CLOCK = "time on the clock"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A side's figures, one a round. The first row of a result is ours, or what ours is compared with."""

    side: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """What is promised: `side` takes at least so many times what `ours` takes, each round within itself."""

    side: str
    at_least: float
    ours: str


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """An aim, and what came of it."""

    aim: Aim
    ratio: float

    @property
    def is_met(self) -> bool:
        """Whether it is what was promised, or better."""
        return self.ratio >= self.aim.at_least


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A workload, measured.

    Attributes:
        workload: its name; `what`: which form of it.
        unit: of the figures; `clock`: what they were taken with.
        left_out: sides that could not be run, and why.
    """

    workload: str
    what: str
    unit: str
    clock: str
    rows: tuple[Row, ...]
    aims: tuple[Reached, ...] = ()
    left_out: tuple[str, ...] = ()


def result(
    workload: str,
    what: str,
    rows: Iterable[Row],
    aims: Sequence[Aim] = (),
    *,
    unit: str = "us an event",
    clock: str = CPU,
    left_out: Sequence[str] = (),
) -> Result:
    """Compares the rows with the aims; one whose side was left out is left out too."""
    by_side = {row.side: row for row in rows}
    reached = tuple(
        Reached(aim=aim, ratio=ratio(by_side[aim.side], by_side[aim.ours]))
        for aim in aims
        if aim.side in by_side and aim.ours in by_side
    )
    return Result(
        workload=workload,
        what=what,
        unit=unit,
        clock=clock,
        rows=tuple(by_side.values()),
        aims=reached,
        left_out=tuple(left_out),
    )


def ratio(first: Row, second: Row) -> float:
    """How many times the second the first is: the median over rounds, each compared within itself."""
    return statistics.median(a / b for a, b in zip(first.rounds, second.rounds, strict=True))


# -- the table ---------------------------------------------------------------------------------------------------------

_WIDTH = 30


def lines(found: Result) -> list[str]:
    """A result as lines of text."""
    ours = found.rows[0]
    told = ["", f"{found.workload}: {found.what} ({found.unit}, {found.clock})"]
    told += [
        f"  {row.side:<{_WIDTH}} {_figure(row.median):>10}   {_figure(min(row.rounds)):>10} at best   "
        f"{ratio(row, ours):>8.2f} x"
        for row in found.rows
    ]
    told += [f"  {left}" for left in found.left_out]
    return told + [f"  {_said(reached)}" for reached in found.aims]


def _said(reached: Reached) -> str:
    aim = reached.aim
    met = "met" if reached.is_met else "NOT MET"
    return f"aim: {aim.side} takes at least {aim.at_least:g} times what {aim.ours} takes: {reached.ratio:.2f}, {met}"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def markdown(results: Sequence[Result]) -> str:
    """All results as one Markdown table."""
    rows = ["| workload | side | figure | at best | to ours |", "|---|---|---:|---:|---:|"]
    for found in results:
        for place, row in enumerate(found.rows):
            name = f"**{found.workload}**, {found.what}, {found.unit}" if place == 0 else ""
            rows.append(
                f"| {name} | {row.side} | {_figure(row.median)} | {_figure(min(row.rounds))} | "
                f"{ratio(row, found.rows[0]):.2f} |"
            )
    rows += ["", "| aim | at least | reached |", "|---|---:|---:|"]
    for found in results:
        rows += [
            f"| {found.workload}, {found.what}: {reached.aim.side} of {reached.aim.ours} | {reached.aim.at_least:g} | "
            f"{reached.ratio:.2f}{'' if reached.is_met else ' (short)'} |"
            for reached in found.aims
        ]
    return "\n".join(rows) + "\n"
