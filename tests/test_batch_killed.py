"""A batch that is killed at any moment, and gone on with: each key ends exactly once, and no run that finished is made again."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from batch_site import asking, batch, command, environment, results_in, runs_of, write_requests
from conftest import LONG

from aiorunstream.cli._batch_requests import MARKER
from aiorunstream.models import Run
from aiorunstream.testing import ThreadedServer

KILLS_ITSELF = Path(__file__).with_name("batch_children.py")
KILLS = 50 if LONG else 6
REQUESTS = 900 if LONG else 120  # more than are through before the last kill


def test_killed_again_and_again_every_key_is_there_once(tmp_path: Path) -> None:
    seed = random.randrange(10**9) if LONG else 1
    chance = random.Random(seed)
    output = tmp_path / "results.jsonl"
    kept: list[int] = []
    with ThreadedServer(delay=0.02) as server:
        requests = write_requests(tmp_path / "r.jsonl", asking(REQUESTS, server.create_assistant().id, longest=20))
        arguments = (requests, "-o", output, "--base-url", server.base_url, "-n", "8", "--quiet", "--resume")
        for _ in range(KILLS):
            process = subprocess.Popen(command(*arguments), env=environment(), stderr=subprocess.DEVNULL)
            _until_it_runs(process, len(server.requests), server)
            time.sleep(chance.uniform(0.0, 1.0))
            process.kill()
            assert process.wait() == -signal.SIGKILL, "it was through before"
            kept.append(_lines_in(output))
        ended = batch(*arguments)
        assert ended.returncode == 0, ended.stderr
        runs = runs_of(server)
    found = sum(bool(result["found"]) for result in results_in(output))
    print(f"seed {seed}: {KILLS} kills, {kept} lines at each, {len(runs)} runs for {REQUESTS} keys, {found} taken over")
    _each_key_once(output, runs, REQUESTS)


@pytest.mark.parametrize("first", [*range(1, 13), *range(13, 61, 4)] if LONG else [2, 9])
def test_killed_in_the_middle_of_a_write_no_line_is_lost_or_halved(tmp_path: Path, first: int) -> None:
    """The first process dies at that write, and the second at its third, which comes after a repair."""
    output = tmp_path / "results.jsonl"
    with ThreadedServer() as server:
        requests = write_requests(tmp_path / "r.jsonl", asking(30, server.create_assistant().id))
        arguments = (requests, "-o", output, "--base-url", server.base_url, "-n", "4", "--quiet", "--resume")
        for write in (first, 3):
            program = [sys.executable, str(KILLS_ITSELF), str(write), *map(str, arguments)]
            died = subprocess.run(program, env=environment(), check=False, stderr=subprocess.PIPE, timeout=60)
            assert died.returncode == -signal.SIGKILL, died.stderr
            files = (output, output.with_name("results.jsonl.journal"))
            assert [path.name for path in files if path.read_bytes()[-1:] not in (b"", b"\n")], "no line was halved"
        ended = batch(*arguments)
        assert ended.returncode == 0, ended.stderr
        _each_key_once(output, runs_of(server), 30)


def _each_key_once(output: Path, runs: list[Run], many: int) -> None:
    """Each key has one result, which is completed, and each completed run of the server is in one of them."""
    results = results_in(output)
    assert Counter(str(result["key"]) for result in results) == Counter(f"ticket {number}" for number in range(many))
    assert {result["status"] for result in results} == {"completed"}
    finished = [run for run in runs if run.status == "completed"]
    assert {(run.metadata or {})[MARKER].partition(" ")[2] for run in finished} == {str(one["key"]) for one in results}
    assert sorted(run.id for run in finished) == sorted(str(result["run_id"]) for result in results)


def _lines_in(output: Path) -> int:
    return output.read_bytes().count(b"\n") if output.exists() else 0


def _until_it_runs(process: "subprocess.Popen[bytes]", before: int, server: ThreadedServer) -> None:
    """Waits until it has sent something, or is through: a kill before that would prove nothing."""
    deadline = time.monotonic() + 30
    while len(server.requests) == before and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
