"""`python -m fuzz`: the loop, for as long as you like. Ends with 1 if anything was found."""

import argparse
import sys
import time

from .loop import run


def main() -> int:
    """Reads the command line, runs, and says what it came to."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the pure core.")
    parser.add_argument("--executions", type=int, default=1_000_000, help="how many inputs to try (default: 1000000)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--minutes", type=float, default=None, help="stop early after this long")
    asked = parser.parse_args()
    started = time.monotonic()
    report = run(executions=asked.executions, seed=asked.seed, minutes=asked.minutes, tell=_tell)
    _tell(
        f"seed {asked.seed}: {report.executions} executions in {time.monotonic() - started:.0f} s, "
        f"{report.kept} streams kept, {len(report.findings)} findings"
    )
    return 1 if report.findings else 0


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
