"""The import graph: arrows point down only. A new module takes its place in `ORDER`, or this fails."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import aiorunstream

PACKAGE = Path(aiorunstream.__file__).parent

# Each imports only what stands before it. A name in two parts is one file; else a package stands for all of its files.
ORDER = [
    "_version",
    "_log",
    "errors",
    "retry",
    "options",
    "checks",
    "json_writing",
    "models._base",
    "models.usage",
    "models.error",
    "models.page",
    "models.tool",
    "models.thread",
    "models.assistant",
    "models.message",
    "models.message_delta",
    "models.approval",
    "models.run",
    "models.step",
    "models.step_delta",
    "models",
    "spent",
    "params",
    "operations",
    "responses_operations",
    "pieces",
    "sse",
    "depth",
    "docstrings",
    "signatures",
    "tools",
    "plain_json",
    "repair",
    "azure",
    "complaint",
    "events",
    "decode",
    "protocol",
    "dialects",
    "recording",
    "eventlist",
    "fragments",
    "accumulate",
    "rest",
    "missing",
    "snapshot",
    "handler",
    "items",
    "drafts",
    "calls",
    "made_up",
    "engine",
    "scripted",
    "intake",
    "outputs",
    "shelf",
    "store",
    "run_objects",
    "machine",
    "responses_items",
    "responses_native",
    "responses_machine",
    "transport",
    "stream",
    "helper",
    "backends",
    "resources",
    "client",
    "server",
    "testing",
    "_pytest",
    "fanout",
    "relay",
    "cli",
    "__main__",
]

# All below the line: no I/O.
PURE = list(dict.fromkeys(name.partition(".")[0] for name in ORDER[: ORDER.index("transport")] if name[0] != "_"))

# What hears responses and makes their requests, without a connection: pure too, although its package is not.
PURE_IN_THE_BRIDGE = [
    f"backends.responses.{name}"
    for name in (
        "_assistants",
        "_input",
        "_items",
        "_json",
        "_live",
        "_live_calls",
        "_live_message",
        "_machine",
        "_marks",
        "_modes",
        "_protocol",
        "_request",
        "_run",
        "_said",
        "_table",
        "_tools",
        "_translate",
    )
]

IO = {
    "asyncio",
    "anyio",
    "aiohttp",
    "socket",
    "time",
    "random",
    "threading",
    "subprocess",
    "selectors",
    "ssl",
    "uvloop",
}

# Rules beyond the order: what these must not import, of ours or of others.
FORBIDDEN: dict[str, set[str]] = {
    "errors": {"msgspec"},
    "sse": {"json", "models", "events"},
    "stream": {"aiohttp", "transport", "client", "backends", "resources"},
    "helper": {"aiohttp", "transport", "client", "backends", "resources"},
    "transport": {"stream", "client", "events", "protocol"},
    "fanout": {"aiohttp", "relay", "starlette", "client"},
    "relay": {"aiohttp", "fanout", "client"},
    "server": {"cli", "relay", "fanout", "client", "stream", "transport"},
    "testing": {"cli", "relay", "fanout", "client"},
    "resources": {"aiohttp", "transport"},
}

ONLY_IN: dict[str, set[str]] = {
    "starlette": {"relay"},
    "aiohttp": {"transport", "server", "testing", "backends", "client", "cli"},
    "rich": {"cli"},
    "typer": {"cli"},
}


def unit(module: str) -> str:
    """The entry of `ORDER` a module belongs to; its first part where it has none."""
    return module if module in ORDER else module.partition(".")[0]


def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name or "__init__"] = path
    return found


MODULES = modules()


def _names(node: ast.stmt, package: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = ["aiorunstream", *package[: len(package) - node.level + 1]] if node.level else []
        whole = [*base, *(node.module.split(".") if node.module else [])]
        for alias in node.names:
            inner = ".".join([*whole, alias.name]).removeprefix("aiorunstream.")
            yield ".".join([*whole, alias.name] if whole[0] == "aiorunstream" and inner in MODULES else whole)


@cache
def imports(module: str) -> frozenset[str]:
    """Everything a module imports, anywhere in it, also for type checkers only; ours without the package's name."""
    path = MODULES[module]
    package = path.relative_to(PACKAGE).parts[:-1]
    tree = ast.parse(path.read_text())
    names = {name for node in ast.walk(tree) if isinstance(node, ast.stmt) for name in _names(node, package)}
    return frozenset(
        name.removeprefix("aiorunstream.") if name.startswith("aiorunstream") else f"/{name}" for name in names
    )


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if not name.startswith("/")}


def others(module: str) -> set[str]:
    return {name[1:].partition(".")[0] for name in imports(module) if name.startswith("/")}


INSIDE = [name for name in MODULES if name != "__init__"]


def test_the_reader_of_imports_sees_them_all() -> None:
    assert {"errors", "decode", "depth", "events", "models", "plain_json", "sse"} <= ours("protocol")
    assert "errors" in ours("operations") or "checks" in ours("operations")
    assert {"models._base", "models.tool"} <= ours("models.message")
    assert "checks" in ours("params")
    assert "msgspec" in others("protocol")
    assert others("errors") == {"collections", "typing"}


@pytest.mark.parametrize("module", INSIDE)
def test_a_module_has_its_place(module: str) -> None:
    assert unit(module) in ORDER, f"{module} is new: say in ORDER what it stands on"


@pytest.mark.parametrize("module", INSIDE)
def test_a_module_imports_only_what_stands_before_it(module: str) -> None:
    allowed = {*ORDER[: ORDER.index(unit(module))], unit(module)}
    if unit(module) == module and "." in module:
        allowed.discard(module)
    assert {name for name in ours(module) if unit(name) not in allowed} == set()


@pytest.mark.parametrize("module", INSIDE)
def test_no_module_imports_itself_in_a_circle(module: str) -> None:
    seen: set[str] = set()
    left = list(ours(module))
    while left:
        name = left.pop()
        assert name != module
        if name not in seen and name in MODULES:
            seen.add(name)
            left += ours(name)


@pytest.mark.parametrize("module", INSIDE)
def test_nothing_inside_imports_the_front_door(module: str) -> None:
    assert "aiorunstream" not in ours(module)


@pytest.mark.parametrize("module", [name for name in INSIDE if unit(name).partition(".")[0] in PURE])
def test_a_pure_module_knows_no_loop_no_socket_and_no_clock(module: str) -> None:
    assert others(module) & IO == set()


@pytest.mark.parametrize("module", PURE_IN_THE_BRIDGE)
def test_what_is_pure_in_the_bridge_rests_on_what_is_pure(module: str) -> None:
    assert others(module) & IO == set()
    below = {name for name in ours(module) if unit(name).partition(".")[0] not in PURE}
    assert below <= set(PURE_IN_THE_BRIDGE)


@pytest.mark.parametrize("module", INSIDE)
def test_a_module_keeps_to_its_own_rules(module: str) -> None:
    known = others(module) | {unit(name).partition(".")[0] for name in ours(module)}
    assert known & FORBIDDEN.get(unit(module), set()) == set()
    assert not {name for name, rooms in ONLY_IN.items() if name in known and unit(module) not in rooms}


def test_the_errors_need_the_standard_library_only() -> None:
    assert ours("errors") == set()
    assert others("errors") <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "module", ["aiorunstream", "aiorunstream.protocol", "aiorunstream.operations", "aiorunstream.retry"]
)
def test_importing_the_core_loads_no_network_stack(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'aiohttp', 'anyio', 'asyncio', 'ssl', 'starlette', 'rich'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"


def test_the_map_in_the_docs_names_every_part() -> None:
    design = (PACKAGE.parent / "docs" / "explanation" / "design.md").read_text()
    drawn = design.split("```text\n", 1)[1].split("```", 1)[0]
    named = {word.removesuffix("/").removesuffix(".py") for word in re.findall(r"\b\w+(?:/|\.py)", drawn)}
    assert {name.partition(".")[0] for name in ORDER} - named == {"_version", "__main__"}
