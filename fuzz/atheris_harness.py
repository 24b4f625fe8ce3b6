"""`python -m fuzz.atheris_harness FOLDER [options of libFuzzer]`: the same oracles, led by what code is reached.

The folder keeps the inputs it goes on from; the seeds are put there first. It stops at the first input for which
something does not hold, and writes that to a file `crash-...`.
"""

import importlib
import random
import sys
from pathlib import Path

from .corpus import SEEDS
from .mutate import mutate


def main() -> None:
    """Hands the command line to libFuzzer. Never returns."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("this needs the package atheris, which is not installed")
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m fuzz.atheris_harness FOLDER [options of libFuzzer]")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(SEEDS):
        (folder / f"seed-{place:03}").write_bytes(seed)
    _forget_ours()
    with atheris.instrument_imports(include=["aiorunstream"]):
        from .oracles import check  # noqa: PLC0415  only what is imported in here is measured

    def changed(data: bytes, most: int, turn: int) -> bytes:
        rolls = random.Random(turn)  # noqa: S311  nothing here is secret
        other: bytes = atheris.Mutate(data, most) if rolls.random() < 0.5 else mutate(data, rolls, SEEDS)
        return other[:most]

    atheris.Setup(sys.argv, check, custom_mutator=changed)
    atheris.Fuzz()


def _forget_ours() -> None:
    """The corpus has imported some of the package already, unmeasured."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiorunstream"]:
        del sys.modules[name]


if __name__ == "__main__":
    main()
