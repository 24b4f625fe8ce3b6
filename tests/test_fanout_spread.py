"""The script on the page about spreading a batch does what the page says, in processes of its own."""

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from doc_pages import DOCS, fences

from aiorunstream.testing import ThreadedServer

PAGE = DOCS / "how-to" / "spread-a-batch.md"
DASK = """
from dask.distributed import LocalCluster
import spread

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        spread.main({base_url!r}, cluster.scheduler_address)
"""


def script_of(page: Path) -> str:
    """The first Python block."""
    return next(fence.code for fence in fences(page.read_text("utf-8")) if fence.info == "python")


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python there."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=folder, timeout=55
    )


def threads_made(server: ThreadedServer) -> Counter[str]:
    """How many requests of each kind came."""
    return Counter(f"{method} {re.sub(r'[^/]*_[^/]*', 'x', path)}" for method, path in server.requests)


def test_the_script_spreads_a_batch_over_two_processes(tmp_path: Path) -> None:
    with ThreadedServer() as server:
        assistant = server.create_assistant()
        (tmp_path / "spread.py").write_text(script_of(PAGE).replace("asst_1", assistant.id))
        done = run(tmp_path, "-W", "error", "spread.py", server.base_url)
        assert (done.stdout, done.stderr) == ("100 runs, 0 failed\n", "")
        assert threads_made(server) == {"POST /v1/threads/runs": 100}


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs dask[distributed]")
def test_the_script_spreads_a_batch_over_the_workers_of_a_dask_cluster(tmp_path: Path) -> None:
    with ThreadedServer() as server:
        assistant = server.create_assistant()
        (tmp_path / "spread.py").write_text(script_of(PAGE).replace("asst_1", assistant.id))
        (tmp_path / "cluster.py").write_text(DASK.format(base_url=server.base_url))
        done = run(tmp_path, "cluster.py")
        assert (done.returncode, done.stdout) == (0, "100 runs, 0 failed\n"), done.stderr
        assert threads_made(server) == {"POST /v1/threads/runs": 100}
