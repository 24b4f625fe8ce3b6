"""What the tests reach, by layer: all branches of the pure core, 95 % of each file of the shell.

    python -m coverage run -m pytest
    python -m coverage combine
    python -m coverage json -o coverage.json
    python tests/coverage_by_layer.py coverage.json

Prints the files that fall short, with their lines and branches, and the two sums; exits with 1 where there are any.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
from test_layers import PURE, PURE_IN_THE_BRIDGE

SHELL = 95.0


def is_pure(path: str) -> bool:
    """Whether a file of the package is in the core."""
    name = path.removeprefix("aiorunstream/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    return name.partition(".")[0] in PURE or name in PURE_IN_THE_BRIDGE


def main(figures: Path) -> int:
    """Judges the figures; returns the exit code."""
    files: dict[str, Any] = msgspec.json.decode(figures.read_bytes())["files"]
    short = 0
    for pure, least in ((True, 100.0), (False, SHELL)):
        mine = {path: found for path, found in files.items() if is_pure(path) == pure}
        reached = sum(
            found["summary"]["covered_lines"] + found["summary"]["covered_branches"] for found in mine.values()
        )
        there = sum(found["summary"]["num_statements"] + found["summary"]["num_branches"] for found in mine.values())
        for path, found in mine.items():
            if found["summary"]["percent_covered"] < least:
                short += 1
                told = found["summary"]["percent_covered_display"]
                print(f"{path}: {told} %; lines {found['missing_lines']}, branches {found['missing_branches']}")
        print(f"{'core' if pure else 'shell'}: {100 * reached / there:.2f} % of {len(mine)} files")
    return min(short, 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
