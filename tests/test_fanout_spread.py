"""The script on the page about spreading a batch does what the page says, in processes of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_docs import DOCS, fences

from aiorunstream.testing import ThreadedServer

PAGE = DOCS / "how-to" / "spread-a-batch.md"


@pytest.mark.slow
def test_the_script_spreads_a_batch_over_two_processes(tmp_path: Path) -> None:
    script = next(fence.code for fence in fences(PAGE.read_text("utf-8")) if fence.info == "python")
    with ThreadedServer() as server:
        assistant = server.create_assistant()
        (tmp_path / "spread.py").write_text(script.replace("asst_1", assistant.id))
        program = f"import spread; spread.main({server.base_url!r})"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=50,
        )
        assert (done.stdout, done.stderr) == ("100 runs, 0 failed\n", "")
        made = [path for method, path in server.requests if method == "POST" and re.fullmatch(r".*/threads/runs", path)]
        assert len(made) == 100
