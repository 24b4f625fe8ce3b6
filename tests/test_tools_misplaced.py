"""Functions given where tools go out as JSON, and the other way round: each error says where they are to go."""

from collections.abc import Callable
from typing import Any

import pytest

from aiorunstream import AsyncClient, InvalidArgumentError, ToolError, ToolSet, function_tool
from aiorunstream.fanout import RunRequest


def get_weather(city: str) -> str:
    """The weather."""
    return city


TOOL = function_tool(get_weather)
TOOLS = ToolSet([TOOL])
SEARCH = {"type": "file_search"}


@pytest.mark.parametrize("tools", [[get_weather], [SEARCH, TOOL], get_weather, TOOL])
@pytest.mark.parametrize("method", ["stream", "create_stream"])
async def test_functions_without_a_tool_set_are_told_where_to_go(method: str, tools: Any) -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        with pytest.raises(
            InvalidArgumentError, match=r": put functions into ToolSet\(\[\.\.\.\]\), and give that to runs"
        ):
            getattr(client.threads.runs, method)("thread_1", assistant_id="asst_1", tools=tools)
    with pytest.raises(InvalidArgumentError, match=r"request 'a': tools.* put functions into ToolSet"):
        RunRequest("a", "thread_1", assistant_id="asst_1", tools=tools)


async def test_a_tool_set_is_told_where_to_go() -> None:
    given: Any = TOOLS
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        runs = client.threads.runs
        makes: list[Callable[[], object]] = [
            lambda: runs.create_stream("thread_1", assistant_id="asst_1", tools=given),
            lambda: client.threads.create_and_run_stream(assistant_id="asst_1", tools=given),
        ]
        for make in makes:
            with pytest.raises(
                InvalidArgumentError, match=r"not ToolSet: runs\.stream takes it; here give its definitions"
            ):
                make()
        with pytest.raises(InvalidArgumentError, match="here give its definitions"):
            await client.assistants.create(model="any", tools=given)


async def test_other_things_that_are_no_tools_are_told_nothing_of_functions() -> None:
    given: list[Any] = [[5], 5, "get_weather"]
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        create_stream: Callable[..., object] = client.threads.runs.create_stream
        for tools in given:
            with pytest.raises(InvalidArgumentError, match=r"not (int|str)$"):
                create_stream("thread_1", assistant_id="asst_1", tools=tools)
        odd: Any = [get_weather]
        with pytest.raises(InvalidArgumentError, match=r"messages\[0\] must be a dict.*, not function$"):
            create_stream("thread_1", assistant_id="asst_1", additional_messages=odd)


@pytest.mark.parametrize("function", [get_weather, TOOL])
def test_a_tool_set_of_one_function_without_a_list_says_how_to_make_it(function: Any) -> None:
    with pytest.raises(ToolError, match=r"made of a list of functions, .*: ToolSet\(\[get_weather\]\)$"):
        ToolSet(function)


def test_a_tool_set_of_something_else_says_what_it_is_made_of() -> None:
    given: Any = 5
    with pytest.raises(ToolError, match=r"made of a list of functions, not of int$"):
        ToolSet(given)
