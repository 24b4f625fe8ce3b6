"""`python -m benchmarks`: all workloads, beside other clients and the floors, in one table."""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from .growth import Curve, run_growth
from .importing import run_imports
from .latency import run_latency
from .machine import machine, versions
from .many import run_many
from .plots import draw
from .races import FULL, QUICK, RACES, Effort, run_race
from .results import Result, lines, markdown
from .serving import byte_server
from .turns import Sides

METHOD = (
    "Each side is a process of its own and has its turns beside the others' in the same minutes; a figure is the median of the "
    "rounds after one to warm up, a ratio the median of the rounds' own ratios. All answers are checked, and where one is "
    "short or wrong there are no figures. The server is a process of its own that sends bytes rendered before."
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that one run of the suite found."""

    taken: str
    machine: dict[str, str]
    versions: dict[str, str]
    method: str = METHOD
    results: tuple[Result, ...]
    growth: tuple[Curve, ...] = ()


_OTHERS: dict[str, Callable[[Sides, Effort], list[Result]]] = {
    "latency": run_latency,
    "import": lambda _, effort: [run_imports(effort)],
    "many-streams": lambda _, effort: run_many(effort),
}
WORKLOADS = (*dict.fromkeys(race.workload for race in RACES), *_OTHERS)


def run(names: list[str], processes: Sides, effort: Effort) -> Iterator[Result]:
    """Measures the workloads of these names."""
    for race in RACES:
        if race.workload in names:
            yield run_race(race, processes, effort)
    for name, measure in _OTHERS.items():
        if name in names:
            yield from measure(processes, effort)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed, as ratios within one run.")
    parser.add_argument(
        "--workload", action="append", choices=(*WORKLOADS, "growth"), help="only this one; may be repeated"
    )
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, default=True, help="with other people's clients"
    )
    parser.add_argument("--quick", action="store_true", help="under a minute; the figures are rough")
    parser.add_argument("--json", type=Path, help="writes all figures to this file")
    parser.add_argument("--markdown", type=Path, help="writes the table to this file")
    parser.add_argument("--plots", type=Path, help="draws the plots into this folder")
    given = parser.parse_args()
    names = given.workload or [*WORKLOADS, *([] if given.quick else ["growth"])]
    effort = dataclasses.replace(QUICK if given.quick else FULL, peers=given.peers)
    print(METHOD)
    for about in (machine(), versions()):
        print(", ".join(f"{name} {value}" for name, value in about.items()))
    results: list[Result] = []
    with byte_server() as served, Sides(served) as processes:
        for found in run(names, processes, effort):
            results.append(found)
            print("\n".join(lines(found)), flush=True)
        growth = tuple(run_growth(processes, effort)) if "growth" in names else ()
    report = Report(
        taken=time.strftime("%Y-%m-%d"), machine=machine(), versions=versions(), results=tuple(results), growth=growth
    )
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    if given.markdown is not None:
        given.markdown.write_text(markdown(results))
    if given.plots is not None:
        draw(report.results, report.growth, given.plots)


if __name__ == "__main__":
    main()
