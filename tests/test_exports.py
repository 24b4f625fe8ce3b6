"""The front door: the three lists of names agree, every name is there and says what it is, and importing it is cheap."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import cast, get_origin

import pytest

import aiorunstream
from aiorunstream import errors as errors_module

SOURCE = Path(aiorunstream.__file__)


def names_by_home() -> dict[str, str]:
    """Name to module, as the TYPE_CHECKING block has it."""
    tree = ast.parse(SOURCE.read_text())
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    found: dict[str, str] = {}
    for statement in block.body:
        assert isinstance(statement, ast.ImportFrom)
        assert statement.level == 1
        for alias in statement.names:
            assert alias.asname in (None, alias.name)
            found[alias.name] = statement.module or ""
    return found


def literal(name: str) -> object:
    """The first literal that is assigned to a name, anywhere in the file."""
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_the_three_lists_of_names_are_equal() -> None:
    homes = cast("dict[str, tuple[str, ...]]", literal("_HOME"))
    exported = cast("list[str]", literal("__all__"))
    assert len(set(exported)) == len(exported)
    assert {name: module for module, names in homes.items() for name in names} == names_by_home()
    assert set(exported) == set(names_by_home())


@pytest.mark.parametrize("name", aiorunstream.__all__)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(aiorunstream, name)
    assert getattr(aiorunstream, name) is thing
    if isinstance(thing, (str, frozenset, UnionType)) or get_origin(thing) is not None:
        return  # a constant, or another name for a type
    assert inspect.isclass(thing) or inspect.isfunction(thing)
    assert thing.__doc__, name
    assert thing.__doc__.strip(), name
    assert not thing.__doc__.startswith(f"{thing.__name__}("), f"{name} has only a signature that a decorator wrote"


def test_every_error_is_exported() -> None:
    members = inspect.getmembers(errors_module, inspect.isclass)
    errors = {name for name, value in members if issubclass(value, BaseException)}
    assert len(errors) > 25
    assert errors <= set(aiorunstream.__all__)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="AsyncCleint"):
        _ = aiorunstream.AsyncCleint  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    code = "from aiorunstream import AsyncCleint"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: cannot import name 'AsyncCleint'" in done.stderr


def test_dir_lists_every_name_before_any_is_used() -> None:
    code = "import aiorunstream; assert set(aiorunstream.__all__) <= set(dir(aiorunstream))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_star_import_brings_them_all() -> None:
    namespace: dict[str, object] = {}
    exec("from aiorunstream import *", namespace)
    assert set(aiorunstream.__all__) <= set(namespace)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("aiorunstream", {"aiohttp", "anyio", "asyncio", "msgspec", "starlette", "rich", "typer"}),
        ("aiorunstream.protocol", {"aiohttp", "anyio", "asyncio", "starlette"}),
        ("aiorunstream.events", {"aiohttp", "anyio", "asyncio"}),
        ("aiorunstream.errors", {"aiohttp", "anyio", "asyncio", "msgspec"}),
        ("aiorunstream.client", {"starlette", "rich", "typer"}),
    ],
)
def test_importing_loads_no_more_than_it_needs(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(sorted({absent!r} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
