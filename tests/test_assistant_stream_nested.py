"""A tool that has an assistant of its own: what goes wrong with a call in there is told as that call's."""

import pytest
from test_assistant_stream import WORDS, place
from test_assistant_stream_tools import calling

from aiorunstream import ToolError, ToolSet


async def test_a_failure_that_names_its_call_is_raised_as_it_is() -> None:
    inner = ToolError("the inner one broke", tool="look", call_id="call_inner")

    async def ask() -> None:
        raise inner

    async with (
        place([calling("ask"), WORDS]) as at,
        at.stream(tools=ToolSet([ask]), on_tool_error="raise") as stream,
    ):
        with pytest.raises(ToolError) as caught:
            await stream.until_done()
    assert caught.value is inner
    assert (inner.tool, inner.call_id, inner.__cause__) == ("look", "call_inner", None)


async def test_a_failure_that_names_none_is_raised_as_that_of_the_call_under_way() -> None:
    inner = ToolError("broke")

    async def ask() -> None:
        raise inner

    async with (
        place([calling("ask"), WORDS]) as at,
        at.stream(tools=ToolSet([ask]), on_tool_error="raise") as stream,
    ):
        with pytest.raises(ToolError, match="broke") as caught:
            await stream.until_done()
    assert (caught.value.tool, caught.value.call_id, caught.value.__cause__) == ("ask", "call_0", inner)
