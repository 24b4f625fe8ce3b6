"""The documentation is right: every Python block runs, its lists and tables agree with the code, its links lead somewhere.

How blocks are run is told in CONTRIBUTING.md.
"""

import ast
import asyncio
import gc
import importlib.util
import inspect
import io
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

import aiorunstream
from aiorunstream import (
    AiorunstreamError,
    AssistantStream,
    AsyncClient,
    ErrorEvent,
    Limits,
    RecoverPolicy,
    RequestOptions,
    RetryPolicy,
    RunCreateParams,
    RunProtocol,
    ThreadCreateAndRunParams,
    Timeouts,
    errors,
)
from aiorunstream.cli import app
from aiorunstream.events import REGISTRY
from aiorunstream.server import AssistantsServer

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
ALL_PAGES = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
BASE_URL = "http://127.0.0.1:8787/v1"
OUTPUT = 'text title="Output"'


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -- fences ------------------------------------------------------------------------------------------------------------


class Fence(NamedTuple):
    info: str
    code: str
    line: int  # of its first line of code, from 1
    follows: int  # the index of the fence it stands right below, or -1


_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.DOTALL | re.MULTILINE)


def fences(text: str) -> list[Fence]:
    found: list[Fence] = []
    end = 0
    for match in _FENCE.finditer(text):
        follows = len(found) - 1 if found and not text[end : match.start()].strip() else -1
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Fence(match["info"].strip(), textwrap.dedent(match["code"]), line, follows))
        end = match.end()
    return found


def without_fences(text: str) -> str:
    return _FENCE.sub("", text)


PAGES_WITH_PYTHON = [page for page in PAGES if any(fence.info == "python" for fence in fences(page.read_text("utf-8")))]


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_every_fence_is_one_of_four_kinds(page: Path) -> None:
    """A block with a misspelt language would not be run, and nobody would see."""
    text = page.read_text("utf-8")
    found = fences(text)
    assert {fence.info for fence in found} <= {"python", "sh", "text", OUTPUT}
    assert "```" not in without_fences(text)
    assert "~~~" not in text
    for fence in found:
        if fence.info == OUTPUT:
            assert fence.follows >= 0, f"line {fence.line}: this output follows no block"
            assert found[fence.follows].info == "python", f"line {fence.line}: this is the output of no Python block"


# -- running them --------------------------------------------------------------------------------------------------------


@contextmanager
def served() -> Generator[tuple[str, str]]:
    """An embedded server in a thread and a loop of its own, so that a block may bring its own `asyncio.run`.

    Yields its base URL and the id of an assistant that it has.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[AssistantsServer, str]:
        server = AssistantsServer()
        await server.start()
        async with AsyncClient(base_url=server.base_url) as client:
            return server, (await client.assistants.create(model="any")).id

    try:
        server, assistant_id = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield server.base_url, assistant_id
        finally:
            asyncio.run_coroutine_threadsafe(server.aclose(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def run_block(code: str, *, where: str, line: int, namespace: dict[str, Any], runner: asyncio.Runner) -> str:
    """Runs one block as a prompt that takes `await` would, and returns what it prints."""
    # The empty lines let tracebacks show the line of the page.
    compiled = compile("\n" * (line - 1) + code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(io.StringIO()) as printed:
        result = eval(compiled, namespace)
        if inspect.iscoroutine(result):
            runner.run(result)
    return printed.getvalue()


def run_page(text: str, *, where: str) -> int:
    """Runs the blocks of a page in order, and compares what they print. Returns how many there were."""
    blocks = fences(text)
    outputs = {fence.follows: fence for fence in blocks if fence.info == OUTPUT}
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    with served() as (base_url, assistant_id), asyncio.Runner() as runner:
        for index, block in enumerate(blocks):
            if block.info != "python":
                continue
            code = re.sub(r"\basst_1\b", assistant_id, block.code.replace(BASE_URL, base_url))
            printed = run_block(code, where=where, line=block.line, namespace=namespace, runner=runner)
            if index in outputs:
                assert printed.splitlines() == outputs[index].code.splitlines(), f"{where}, line {block.line}"
            count += 1
    return count


@pytest.mark.filterwarnings(  # said by the official client, on the page about moving over
    "ignore:The Assistants API is deprecated in favor of the Responses API:DeprecationWarning",
    "ignore:deprecated$:DeprecationWarning",
)
@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=name_of)
def test_every_python_block_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace a page; what is said to be printed is printed; nothing stays open."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    assert run_page(page.read_text("utf-8"), where=name_of(page)) > 0
    gc.collect()  # so that a warning about something unclosed falls on this page and not on the next test


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\nassert 1 == 2\n```\n", AssertionError),
        ("```python\nx = 1\n```\n\n```python\nawait nothing(x)\n```\n", NameError),
        ('```python\nprint("a")\n```\n\n```text title="Output"\nb\n```\n', AssertionError),
        ('```python\nprint("a")\n```\n\n```text title="Output"\na\n\nb\n```\n', AssertionError),
    ],
    ids=["assert", "await", "wrong output", "too little output"],
)
def test_a_wrong_block_fails(text: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        run_page(text, where="a page")


def test_blocks_share_names_and_have_the_page_s_server() -> None:
    text = textwrap.dedent(
        f"""
        ```python
        from aiorunstream import AsyncClient
        client = AsyncClient(base_url="{BASE_URL}")
        ```

        - in a list

          ```python
          async with client:
              print((await client.assistants.retrieve("asst_1")).model)
          ```

          ```text title="Output"
          any
          ```
        """
    )
    assert run_page(text, where="a page") == 2


def test_every_page_of_the_tutorial_kind_has_blocks() -> None:
    """If the way fences are found broke, nothing would run and everything would pass."""
    names = {name_of(page) for page in PAGES_WITH_PYTHON}
    assert {"README.md", "docs/index.md", "docs/tutorial.md", "docs/reference/events.md"} <= names
    assert sum(name.startswith("docs/how-to/") for name in names) >= 6


# -- tables ------------------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    heading: str
    columns: list[str]
    rows: list[list[str]]


def cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def tables(page: str) -> dict[str, Table]:
    """The tables of a page by the last heading before them; a heading has one table at most that is looked at."""
    found: dict[str, Table] = {}
    heading = ""
    lines = without_fences((DOCS / page).read_text("utf-8")).splitlines()
    for index, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif line.startswith("|") and set(line) <= set("|- :") and heading not in found:
            rest = lines[index + 1 :]
            size = next((at for at, row in enumerate(rest) if not row.startswith("|")), len(rest))
            found[heading] = Table(heading, cells(lines[index - 1]), [cells(row) for row in rest[:size]])
    return found


def code(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_event_table_is_the_code_s() -> None:
    """Wire names in the protocol's order, classes, payloads, and which ones end the stream."""
    rows = tables("reference/events.md")["The 24 events"].rows
    expected: list[list[str]] = []
    for name, entry in REGISTRY.items():
        ends = "by raising" if entry.cls is ErrorEvent else "yes" if entry.stops is not None else "no"
        expected.append([f"`{name}`", f"`{entry.cls.__name__}`", f"`{entry.payload.__name__}`", ends])
    assert [row[:4] for row in rows] == expected
    assert len(rows) == 24
    assert all(row[4] for row in rows)


def error_classes() -> list[type[BaseException]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [cls for cls in found if issubclass(cls, AiorunstreamError)]


def own_attributes(cls: type[BaseException]) -> set[str]:
    """The attributes a class adds: what its constructor takes by keyword, and what is declared in its body."""
    declared = set(inspect.get_annotations(cls))
    init: Any = vars(cls).get("__init__")
    if init is not None:
        parameters = inspect.signature(init).parameters.values()
        declared |= {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return declared


def test_the_error_table_is_the_code_s() -> None:
    """Every class, in the order of the code, with its parent and the attributes it adds."""
    rows = tables("reference/errors.md")["All of them"].rows
    classes = error_classes()
    assert [code(row[0]) for row in rows] == [[cls.__name__] for cls in classes]
    for row, cls in zip(rows, classes, strict=True):
        name, parents, when, attributes, again = row
        assert code(parents) == [base.__name__ for base in cls.__bases__], name
        assert set(code(attributes)) == own_attributes(cls), name
        assert when, name
        assert again, name


def test_every_error_is_public() -> None:
    assert {cls.__name__ for cls in error_classes()} <= set(aiorunstream.__all__)


@pytest.mark.parametrize("struct", [Timeouts, RetryPolicy, RecoverPolicy, Limits, RequestOptions])
def test_the_settings_tables_are_the_code_s(struct: type[Any]) -> None:
    """Names and defaults."""
    rows = tables("reference/settings.md")[f"`{struct.__name__}`"].rows
    settings = struct()
    # A size may be written as a product.
    found = {code(row[0])[0]: eval(code(row[1])[0], {}) for row in rows}
    assert found == {name: getattr(settings, name) for name in struct.__struct_fields__}


def parameters_of(function: Any, *, without: Sequence[str] = ()) -> Mapping[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.name not in ("self", *without)}


@pytest.mark.parametrize(
    ("page", "cls"),
    [
        ("reference/settings.md", AsyncClient),
        ("reference/settings.md", AssistantStream),
        ("reference/settings.md", RunProtocol),
        ("reference/settings.md", AssistantsServer),
    ],
    ids=["client", "assistant stream", "protocol", "server"],
)
def test_the_constructor_tables_are_the_code_s(page: str, cls: type[Any]) -> None:
    """Names and defaults, in the order of the code."""
    rows = tables(page)[f"`{cls.__name__}`"].rows
    found = [(code(row[0])[0], eval(code(row[1])[0], {})) for row in rows]
    assert found == list(parameters_of(cls.__init__, without=["call"]).items())


def test_the_parameter_tables_are_the_code_s() -> None:
    """Every parameter of a run, and which of them a run with a new thread has."""
    rows = tables("reference/parameters.md")["Of a run"].rows
    found = {code(row[0])[0]: row[2] for row in rows}
    assert set(found) == set(RunCreateParams.__struct_fields__) - {"stream"}
    both = set(ThreadCreateAndRunParams.__struct_fields__)
    assert {name for name, with_thread in found.items() if with_thread == "yes"} == set(found) & both
    extra = tables("reference/parameters.md")["Only of a run with a new thread"].rows
    assert {code(row[0])[0] for row in extra} == both - set(RunCreateParams.__struct_fields__)


def listed(text: str) -> list[str]:
    """The names of a part of the page of names: what stands in backticks in its list items."""
    items = [line for line in text.splitlines() if line.startswith("- ")]
    return [name for item in items for name in code(item)]


WITH_NAMES = ["azure", "relay", "server", "testing"]
"""The modules whose names do not come from the package itself."""


def test_the_page_of_names_is_complete() -> None:
    """Each public name is in one group, and nothing else is."""
    top, *parts = re.split(r"^## In ", (DOCS / "reference/names.md").read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(listed(top)) == sorted(aiorunstream.__all__)
    modules = [import_module(code(part)[0]) for part in parts]
    assert {module.__name__ for module in modules} == {f"aiorunstream.{name}" for name in WITH_NAMES}
    for module, part in zip(modules, parts, strict=True):
        assert sorted(listed(part)) == sorted(module.__all__), module.__name__


def test_the_options_of_the_command_line_are_the_code_s() -> None:
    found = {heading.strip("`"): table for heading, table in tables("reference/command-line.md").items()}
    group: Any = typer.main.get_command(app)
    commands: dict[str, Any] = group.commands
    assert {name for name in found if name in commands} == set(commands)
    for name, command in commands.items():
        real = {(*param.opts, *param.secondary_opts) for param in command.params if param.name != "help"}
        assert {tuple(code(row[0])) for row in found[name].rows} == real, name


# -- links and the site --------------------------------------------------------------------------------------------------

_LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\((?P<target>[^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as mkdocs and code hosts make them."""
    headings = re.findall(r"^#+ +(.+)$", without_fences(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = without_fences(page.read_text("utf-8"))
    for target in [match["target"] for match in _LINK.finditer(text)]:
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.is_file(), f"{target} leads nowhere"
        assert aim.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(aim), f"{target}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    linked = {match["target"] for match in _LINK.finditer(text)}
    pages = {name_of(page) for page in DOCS.rglob("*.md")} - {"docs/index.md"}
    assert pages <= linked


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / "site" / "reference" / "events" / "index.html").is_file()


COMMANDS = {
    "Try it": 'python3 -m venv .venv && .venv/bin/python -m pip install -q ".[cli]" && .venv/bin/aiorunstream demo',
    "Run the tests": 'python3 -m venv .venv && .venv/bin/python -m pip install -q -e ".[dev]" && .venv/bin/python -m pytest',
}


@pytest.mark.parametrize("heading", COMMANDS)
def test_the_readme_s_two_commands_stand_right_under_their_headings(heading: str) -> None:
    """People copy them, and CI runs them from there."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"## {heading}\n\n```sh\n{COMMANDS[heading]}\n```\n" in text


def test_the_readme_has_no_third_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert [fence.code.strip() for fence in fences(text) if fence.info == "sh"] == list(COMMANDS.values())
