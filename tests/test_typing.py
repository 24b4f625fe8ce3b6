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


Wrong = dict[str, set[int]]


@pytest.fixture
def unmarked(tmp_path: Path) -> tuple[Path, Wrong]:
    """A folder with the files without their marks, and the numbers of the lines that were marked, for each of them."""
    wrong: Wrong = {}
    for file in sorted(TYPING.glob("*.py")):
        lines = file.read_text().splitlines()
        wrong[file.name] = {number for number, line in enumerate(lines, 1) if MARK.search(line)}
        (tmp_path / file.name).write_text("\n".join(MARK.sub("", line) for line in lines) + "\n")
    assert len(wrong["misspelt.py"]) > 10
    assert len(wrong["tools.py"]) > 10
    assert wrong["front_door.py"] == set()
    return tmp_path, wrong


@needs_mypy
def test_mypy_finds_exactly_the_mistakes(unmarked: tuple[Path, Wrong], request: pytest.FixtureRequest) -> None:
    folder, wrong = unmarked
    cache = request.config.cache
    assert cache is not None
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--config-file", "", "--cache-dir", str(cache.mkdir("mypy")), *wrong]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    found: Wrong = {name: set() for name in wrong}
    for name, line in re.findall(r"^(\w+\.py):(\d+): error", done.stdout, re.MULTILINE):
        found[name].add(int(line))
    assert found == wrong, done.stdout


@needs_pyright
def test_pyright_finds_exactly_the_mistakes(unmarked: tuple[Path, Wrong]) -> None:
    folder, wrong = unmarked
    settings = {"typeCheckingMode": "strict", "reportMissingTypeStubs": False, "reportUnusedExpression": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright could not be started: {done.stderr[-200:]}")
    items: list[dict[str, Any]] = json.loads(done.stdout)["generalDiagnostics"]
    found: Wrong = {name: set() for name in wrong}
    for item in items:
        found[Path(str(item["file"])).name].add(int(item["range"]["start"]["line"]) + 1)
    assert found == wrong, json.dumps(items, indent=1)[:3000]
