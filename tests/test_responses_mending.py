"""Conversations that were left with a call that nobody answers: servers go on from none, so the bridge answers it."""

import aiohttp
import pytest
from bridge_client import WEATHER, asked, bridged, read, texts
from bridged import JSON, text_of

from aiorunstream import BadRequestError, RequestOptions
from aiorunstream.backends.responses._modes import InputItem, Memory
from aiorunstream.server import CallTool, ScriptedEngine


async def call_left_open(base_url: str, conversation: str) -> None:
    """What another program does on that conversation, or this one in a response that it left."""
    tool: JSON = {"type": "function", **WEATHER["function"], "strict": False}
    body: JSON = {"model": "parrot", "conversation": conversation, "input": "And there?", "tools": [tool]}
    async with aiohttp.ClientSession() as session, session.post(f"{base_url}/responses", json=body) as answer:
        assert answer.status == 200, await answer.read()


async def test_a_call_that_somebody_left_open_does_not_stop_the_thread() -> None:
    engine = ScriptedEngine([["One."], [CallTool("get_weather", "{}")], ["Two."], ["Three."]])
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        await read(client, thread_id)
        await call_left_open(server.base_url, thread_id)
        await client.threads.messages.create(thread_id, role="user", content="Go on.")
        assert text_of(await read(client, thread_id)) == "Two."
        await client.threads.messages.create(thread_id, role="user", content="And on.")
        before = len(server.requests)
        assert text_of(await read(client, thread_id)) == "Three."
        assert len(server.requests) == before + 1, "nothing is left to be mended"
        assert [text for _, text in await texts(client, thread_id)] == [
            "Hello", "One.", "Go on.", "Two.", "And on.", "Three.",
        ]  # fmt: skip


async def test_a_refusal_that_is_about_something_else_is_raised_after_one_look() -> None:
    async with bridged(engine=ScriptedEngine([["One."]])) as (client, server):
        thread_id = await asked(client)
        with pytest.raises(BadRequestError):
            await read(client, thread_id, options=RequestOptions(extra_body={"temperature": "hot"}))
        assert [method for method, path in server.requests if path.endswith("/responses")] == ["POST"]
        assert [run async for run in client.threads.runs.list(thread_id)] == []


def test_only_calls_that_are_open_are_answered() -> None:
    answers: list[JSON] = [{"type": "function_call_output", "call_id": id, "output": "x"} for id in ("a", "b")]
    message: JSON = {"type": "message", "role": "user", "content": "Hi"}
    memory = Memory([InputItem(item) for item in [*answers, message]])
    assert memory.mend({"b": "function_call", "c": "custom_tool_call", "d": "mcp_approval_request"})
    pending = [kept.item for kept in memory.pending]
    assert [(item["type"], item.get("call_id", item.get("approval_request_id"))) for item in pending] == [
        ("custom_tool_call_output", "c"),
        ("mcp_approval_response", "d"),
        ("function_call_output", "b"),
        ("message", None),
    ]
    assert not memory.mend({"b": "function_call", "c": "custom_tool_call", "d": "mcp_approval_request"})
