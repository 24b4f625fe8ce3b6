"""The functions of a chat: those of a module of the user's, or two that show what a call looks like."""

import importlib
import secrets
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from ..tools import ToolSet, function_tool

_WEATHER = {
    "Oslo": "4 degrees, rain until the evening",
    "Lima": "19 degrees, mist from the sea",
    "Nairobi": "24 degrees, sun",
}


@function_tool
def get_weather(city: Literal["Oslo", "Lima", "Nairobi"]) -> str:
    """The weather in a city. It is made up.

    Args:
        city: where.
    """
    return _WEATHER[city]


@function_tool
def roll_dice(
    count: Annotated[int, msgspec.Meta(ge=1, le=20)] = 2, sides: Annotated[int, msgspec.Meta(ge=2, le=100)] = 6
) -> list[int]:
    """Rolls dice, and returns what each shows.

    Args:
        count: how many.
        sides: of each.
    """
    return [secrets.randbelow(sides) + 1 for _ in range(count)]


DEMO_TOOLS = ToolSet([get_weather, roll_dice])


def load_tools(where: str) -> ToolSet:
    """The `ToolSet` that `module:name` names; modules of the current directory can be named.

    Raises:
        typer.BadParameter: there is none.
    """
    module_name, _, name = where.partition(":")
    if not module_name or not name:
        raise _bad(f"{where!r} must be module:toolset, such as my_tools:TOOLS")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever somebody else's module does
        last = traceback.extract_tb(error.__traceback__)[-1]
        at = "" if last.filename.startswith("<frozen ") else f" ({last.filename}, line {last.lineno})"
        raise _bad(f"cannot import {module_name}: {type(error).__name__}: {error}{at}") from None
    found: object = getattr(module, name, None)
    if found is None:
        raise _bad(f"{module_name} has no {name}")
    if not isinstance(found, ToolSet):
        raise _bad(f"{where} is a {type(found).__name__}, not a ToolSet")
    return found


def _bad(problem: str) -> typer.BadParameter:
    return typer.BadParameter(problem, param_hint="'--tools'")
