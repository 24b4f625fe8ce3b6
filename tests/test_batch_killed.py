"""A batch that is killed at any moment, and gone on with: each key ends exactly once, and no run that finished is made again."""

import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from batch_site import asking, batch, command, environment, results_in, runs_of, write_requests
from conftest import LONG

from aiorunstream.cli._batch_requests import MARKER
from aiorunstream.testing import ThreadedServer

KILLS = 50 if LONG else 6
REQUESTS = 400 if LONG else 80


@pytest.mark.parametrize("seed", [1])
def test_killed_again_and_again_every_key_is_there_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    output = tmp_path / "results.jsonl"
    kept: list[int] = []
    with ThreadedServer(delay=0.02) as server:
        requests = write_requests(tmp_path / "r.jsonl", asking(REQUESTS, server.create_assistant().id, longest=20))
        arguments: list[str | Path] = [
            requests,
            "-o",
            output,
            "--base-url",
            server.base_url,
            "-n",
            "8",
            "--quiet",
            "--resume",
        ]
        for _ in range(KILLS):
            process = subprocess.Popen(command(*arguments), env=environment(), stderr=subprocess.DEVNULL)
            _until_it_runs(process, len(server.requests), server)
            time.sleep(chance.uniform(0.0, 1.5))
            process.kill()
            process.wait()
            kept.append(output.read_bytes().count(b"\n") if output.exists() else 0)
        ended = batch(*arguments)
        assert ended.returncode == 0, ended.stderr
        runs = runs_of(server)
    print(f"{KILLS} kills, {kept} lines at each, {len(runs)} runs for {REQUESTS} keys")
    keys = Counter(str(result["key"]) for result in results_in(output))
    assert keys == Counter(f"ticket {number}" for number in range(REQUESTS))
    assert all(result["status"] == "completed" for result in results_in(output))
    finished = Counter((run.metadata or {})[MARKER] for run in runs if run.status == "completed")
    assert len(finished) == REQUESTS
    assert max(finished.values()) == 1
    told = {str(result["run_id"]) for result in results_in(output)}
    assert told == {run.id for run in runs if run.status == "completed"}


def _until_it_runs(process: "subprocess.Popen[bytes]", before: int, server: ThreadedServer) -> None:
    """Waits until it has sent something, or is through: a kill before that would prove nothing."""
    deadline = time.monotonic() + 30
    while len(server.requests) == before and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
