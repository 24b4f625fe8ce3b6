"""What must not type-check does not: a misspelt name, a wrong parameter, `stream=False`; and what must, does."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TYPING = Path(__file__).parent / "typing"
MARK = re.compile(r"  # type: ignore\[.*$")

needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
needs_pyright = pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")


@pytest.fixture
def unmarked(tmp_path: Path) -> tuple[Path, set[int]]:
    """A copy of the mistakes without their marks, and the numbers of their lines."""
    lines = (TYPING / "misspelt.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if MARK.search(line)}
    assert len(wrong) > 10
    copy = tmp_path / "mistakes.py"
    copy.write_text("\n".join(MARK.sub("", line) for line in lines) + "\n")
    front_door = tmp_path / "front_door.py"
    front_door.write_text((TYPING / "front_door.py").read_text())
    return copy, wrong


@needs_mypy
def test_mypy_finds_exactly_the_mistakes(unmarked: tuple[Path, set[int]], request: pytest.FixtureRequest) -> None:
    file, wrong = unmarked
    cache = request.config.cache
    assert cache is not None
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--config-file", "", "--cache-dir", str(cache.mkdir("mypy")), file.name, "front_door.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent)
    errors = re.findall(r"^(\w+\.py):(\d+): error", done.stdout, re.MULTILINE)
    assert {int(line) for name, line in errors if name == file.name} == wrong, done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("front_door.py")]


@needs_pyright
def test_pyright_finds_exactly_the_mistakes(unmarked: tuple[Path, set[int]]) -> None:
    file, wrong = unmarked
    settings = {"typeCheckingMode": "strict", "reportMissingTypeStubs": False, "reportUnusedExpression": False}
    (file.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(file.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright could not be started: {done.stderr[-200:]}")
    found: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    lines: dict[str, set[int]] = {file.name: set(), "front_door.py": set()}
    for item in found:
        lines[Path(str(item["file"])).name].add(int(item["range"]["start"]["line"]) + 1)
    assert lines == {file.name: wrong, "front_door.py": set()}, json.dumps(found, indent=1)[:3000]
