"""The tool loop where something is raised: what it is, what the handler hears, and what becomes of the run."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from raw_server import CREATED, RawServer, answer, answering, client_of, event, run_json, stream_answer
from test_assistant_stream import TEXT, WORDS, Ends, Place, assert_equals_what_is_kept, place
from test_assistant_stream_tools import SUBMIT, calling, outputs, status

from aiorunstream import APIStatusError, AssistantStream, RetryPolicy, ToolError, ToolSet, function_tool
from aiorunstream.models import RequiredActionFunctionToolCall
from aiorunstream.server import Fault


class Halt(BaseException):
    """Neither an Exception nor a cancel."""


async def rounds_that_raise(
    at: Place, tool: Callable[[], object], kind: type[BaseException], **settings: Any
) -> tuple[AssistantStream, BaseException, Ends]:
    """Reads a run whose first call is of `bad` and whose second never ends, and returns what was raised."""
    handler = Ends()
    ended = False

    async def other() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(30)
        finally:
            ended = True

    tools = ToolSet([function_tool(tool, name="bad"), other])
    async with at.stream(tools=tools, event_handler=handler, **settings) as stream:
        with pytest.raises(kind) as caught:
            await stream.until_done()
        assert ended
        with pytest.raises(kind) as again:
            await anext(stream)
        assert again.value is caught.value
    return stream, caught.value, handler


async def test_raise_names_the_call_and_cancels_the_run() -> None:
    reason = ValueError("out of order")

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise reason

    async with place([calling("other", "bad"), WORDS]) as at:
        stream, error, handler = await rounds_that_raise(at, fail, ToolError, on_tool_error="raise")
        assert isinstance(error, ToolError)
        assert (error.tool, error.call_id, error.__cause__) == ("bad", "call_1", reason)
        assert "out of order" in str(error)
        assert await status(at, stream) == "cancelled"
        assert (handler.exceptions, handler.ends) == ([error], 1)
        assert at.requests(SUBMIT) == 0


async def test_each_kind_of_problem_is_raised_with_its_call() -> None:
    @function_tool(timeout=0.02)
    async def slow() -> None:
        await asyncio.sleep(30)

    async def good(n: int) -> int:
        return n

    for call in ("slow", "unknown", ("good", "[]"), ("good", "{")):
        async with place([calling(call)]) as at:
            async with at.stream(tools=ToolSet([slow, good]), on_tool_error="raise") as stream:
                with pytest.raises(ToolError) as caught:
                    await stream.until_done()
            name = call if isinstance(call, str) else call[0]
            assert (caught.value.tool, caught.value.call_id) == (name, "call_0")
            assert await status(at, stream) == "cancelled"


async def test_a_refusal_is_no_problem_that_is_raised() -> None:
    def refuse(_: object) -> bool:
        return False

    async with place([calling("look"), WORDS]) as at:
        async with at.stream(tools=ToolSet(), on_tool_error="raise", approve=refuse) as stream:
            await stream.until_done()
        assert outputs(at) == ["The user refused this call."]


async def test_what_approve_raises_is_the_callers() -> None:
    reason = RuntimeError("no terminal")

    async def approve(call: RequiredActionFunctionToolCall) -> bool:
        await asyncio.sleep(0.01)
        if call.function.name == "bad":
            raise reason
        return True

    async with place([calling("other", "bad")]) as at:
        stream, error, handler = await rounds_that_raise(at, lambda: None, RuntimeError, approve=approve)
        assert error is reason
        assert await status(at, stream) == "cancelled"
        assert handler.exceptions == [reason]


async def test_what_is_no_exception_comes_in_no_group() -> None:
    async def halt() -> None:
        await asyncio.sleep(0.01)
        raise Halt

    async with place([calling("other", "bad")], cancel_on_exit=True) as at:
        stream, error, handler = await rounds_that_raise(at, halt, Halt)
        assert type(error) is Halt
        assert await status(at, stream) == "cancelled"
        assert (handler.exceptions, handler.ends) == ([], 1)


async def test_outputs_that_are_not_taken_are_raised_and_not_sent_again() -> None:
    for cancel_on_exit in (False, True):
        handler = Ends()
        async with place([calling("look"), WORDS], cancel_on_exit=cancel_on_exit) as at:
            at.server.inject(Fault("refuse", status=500, operation="submit_tool_outputs"))
            async with at.stream(tools=ToolSet(), event_handler=handler) as stream:
                with pytest.raises(APIStatusError) as caught:
                    await stream.until_done()
                with pytest.raises(APIStatusError):
                    await stream.until_done()
            assert at.requests(SUBMIT) == 1
            assert await status(at, stream) == ("cancelled" if cancel_on_exit else "requires_action")
        assert (handler.exceptions, handler.ends) == ([caught.value], 1)


async def test_a_run_that_was_found_after_its_answer_was_lost_has_its_tools_called() -> None:
    async with place([["a ", *calling("look")], WORDS], retry=RetryPolicy(attempts=1, reconcile=True)) as at:
        at.server.inject(Fault("hang_up", operation="create_run"))
        async with at.stream(tools=ToolSet()) as stream:
            assert "".join([text async for text in stream.text_deltas()]) == stream.text == "a " + TEXT
        await assert_equals_what_is_kept(at, stream)


async def test_a_run_that_waits_for_something_else_is_not_answered_with_nothing() -> None:
    for action in (None, {"type": "submit_tool_approval", "calls": ["look"]}):
        waits = event("thread.run.requires_action", {**run_json("requires_action"), "required_action": action})
        cancelled = answer(200, run_json("cancelling"))
        async with (
            RawServer(answering(stream_answer(CREATED, waits), cancelled)) as server,
            client_of(server) as client,
        ):
            async with client.threads.runs.stream("thread_raw", assistant_id="asst_raw", tools=ToolSet()) as stream:
                with pytest.raises(ToolError, match="no tool call"):
                    await stream.until_done()
            assert [request.line.split("/")[-2].split()[0] for request in server.requests] == ["runs", "cancel"]
