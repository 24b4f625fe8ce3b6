"""What it takes to be ready: fresh processes that import, and make a client."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from .races import Effort, why_not
from .results import Aim, Result, Row, result

_CLIENT = """\
import asyncio, aiorunstream
async def main():
    async with aiorunstream.AsyncClient(base_url="http://127.0.0.1:1/v1", api_key=""): pass
asyncio.run(main())
"""
PROGRAMS = {
    "import aiorunstream": "import aiorunstream",
    "import aiorunstream, first client": _CLIENT,
    "import aiohttp": "import aiohttp",
    "import openai, first client": "import openai; openai.AsyncOpenAI(api_key='none').beta.threads.runs",
}
_ALONE, _READY, _AIOHTTP, _OPENAI = PROGRAMS
_LEAST_MS = 1.0
_AIMS = (
    Aim(side=_AIOHTTP, at_least=1 / 1.15, ours=_READY),
    Aim(side=_AIOHTTP, at_least=5.0, ours=_ALONE),
)


def run_imports(effort: Effort) -> Result:
    """Measures each program in turn, less what an empty one takes."""
    programs = dict(PROGRAMS)
    if effort.size < 1 or why_not("openai", peers=effort.peers) is not None:
        del programs[_OPENAI]  # it takes two seconds each time
    rounds = 2 * effort.rounds if effort.size == 1 else effort.rounds
    with tempfile.TemporaryDirectory() as compiled:
        told = [_round(tuple(programs.values()), compiled) for _ in range(rounds + 1)][1:]
    rows = [Row(side=name, rounds=tuple(found[place] for found in told)) for place, name in enumerate(programs)]
    return result("import", "a fresh process, less an empty one", [rows[1], rows[0], *rows[2:]], _AIMS, unit="ms")


def _round(programs: Sequence[str], compiled: str) -> list[float]:
    empty = cpu_of("pass", compiled)
    # What a process takes by itself varies by half of this and more, so a smaller difference measures nothing.
    return [max(_LEAST_MS, cpu_of(code, compiled) - empty) for code in programs]


def cpu_of(code: str, compiled: str) -> float:
    """Milliseconds of CPU that a program takes in a Python of its own. What it imports stays compiled in that folder."""
    # All modules alike: else what was installed is compiled already, and a checkout may never be.
    given = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    given["PYTHONPYCACHEPREFIX"] = compiled
    with subprocess.Popen([sys.executable, "-c", code], env=given) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    return (used.ru_utime + used.ru_stime) * 1000
