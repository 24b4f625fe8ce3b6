"""The tables and lists of the documentation are the code's: events, errors, settings, parameters, names and options."""

import inspect
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import pytest
import typer
from doc_pages import DOCS, code, tables

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
