"""What the tests of `aiorunstream batch` share: files of requests, the command as a process of its own, and what it wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from aiorunstream.models import Run
from aiorunstream.testing import ThreadedServer

Fields = dict[str, object]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", **more}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "aiorunstream", "batch", *map(str, arguments)]


def batch(*arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**more),
        cwd=cwd,
        check=False,
    )


def write_requests(path: Path, requests: Iterable[Fields]) -> Path:
    path.write_text("".join(json.dumps(request) + "\n" for request in requests))
    return path


def asking(count: int, assistant_id: str | None = None, *, longest: int = 0) -> list[Fields]:
    """So many requests, each on a thread of its own; with up to so many more words, so that they end at different moments."""
    more: Fields = {} if assistant_id is None else {"assistant_id": assistant_id}
    return [
        {"key": f"ticket {number}", "content": f"Ticket {number}" + " word" * (number * 7 % (longest + 1)), **more}
        for number in range(count)
    ]


def results_in(path: Path) -> list[Fields]:
    """Every line of the results; raises where one is no whole JSON object."""
    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n") if line]


def runs_of(server: ThreadedServer) -> list[Run]:
    """All runs the server has ever been asked for."""
    return server.call(lambda owner: [run for record in owner.store._threads.all() for run in record.runs.all()])
