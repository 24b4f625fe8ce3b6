"""Read by mypy and pyright, never executed: tools keep the types of their functions. Marked lines are mistakes."""

# ruff: noqa: B018

from functools import partial
from typing import assert_type

from aiorunstream.models import FunctionTool
from aiorunstream.tools import CallableTool, ToolSet, encode_output, function_tool


@function_tool
def add(a: int, b: int = 1) -> int:
    return a + b


@function_tool(name="look-up", timeout=5, strict=True)
async def look_up(city: str, *, days: int = 3) -> list[str]:
    return [city] * days


class Shop:
    def sell(self, what: str) -> float:
        return len(what)


def plain(x: int) -> str:
    return str(x)


async def calls() -> None:
    assert_type(add(1), int)
    assert_type(add(a=1, b=2), int)
    assert_type(add.function(1, 2), int)
    assert_type(await look_up("Oslo", days=2), list[str])
    assert_type(function_tool(Shop().sell, name="sell")("tea"), float)
    assert_type(function_tool(timeout=1.5)(plain)(x=1), str)
    assert_type(function_tool(partial(plain, 1))(), str)


def attributes(tool: CallableTool[[int], str]) -> None:
    assert_type(tool.name, str)
    assert_type(tool.description, str | None)
    assert_type(tool.parameters, dict[str, object])
    assert_type(tool.strict, bool)
    assert_type(tool.timeout, float | None)
    assert_type(tool.is_async, bool)
    assert_type(tool.definition, FunctionTool)
    assert_type(tool.decode_arguments("{}"), dict[str, object])
    assert_type(encode_output(tool(1)), str)


def sets() -> None:
    tools = ToolSet([add, look_up, plain, Shop().sell])
    assert_type(tools + ToolSet(), ToolSet)
    assert_type(tools.definitions, tuple[FunctionTool, ...])
    assert_type(tools["add"], CallableTool[..., object])
    assert_type(tools.find("add"), CallableTool[..., object] | None)
    assert_type("add" in tools, bool)
    for tool in tools:
        assert_type(tool, CallableTool[..., object])


async def mistakes(tools: ToolSet) -> None:
    add("1")  # type: ignore[arg-type]
    add(1, c=2)  # type: ignore[call-arg]
    await look_up()  # type: ignore[call-arg]
    add.nmae  # type: ignore[attr-defined]
    function_tool(plain, timeout="5")  # type: ignore[call-overload]
    function_tool(nmae="x")  # type: ignore[call-overload]
    function_tool(5)  # type: ignore[call-overload]
    ToolSet([add, 5])  # type: ignore[list-item]
    ToolSet(add)  # type: ignore[arg-type]
    tools["add"].decode_arguments(b"{}")  # type: ignore[arg-type]
    tools.find(5)  # type: ignore[arg-type]
    tools.add(plain)  # type: ignore[attr-defined]
