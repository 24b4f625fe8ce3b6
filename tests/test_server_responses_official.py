"""OpenAI's own package against `/v1/responses` and `/v1/conversations` of the embedded server.

The client validates every plain answer strictly here, and every event is held against its models as well.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from aiorunstream.server import (
    AskApproval,
    CallTool,
    Cite,
    Item,
    MoreArguments,
    RunCode,
    Say,
    ScriptedEngine,
    Turn,
)

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)
from openai.types.responses.response_input_param import ResponseInputItemParam
from openai_client import talking
from pydantic import TypeAdapter

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "default": "Kyiv"}}},
    "strict": True,
}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


async def heard(stream: AsyncIterator[ResponseStreamEvent]) -> list[ResponseStreamEvent]:
    """All events, each held against its model: the client itself takes whatever comes."""
    events = [event async for event in stream]
    for event in events:
        EVENT.validate_python(event.model_dump(), strict=False)
    return events


def completed(events: list[ResponseStreamEvent]) -> Response:
    last = events[-1]
    assert isinstance(last, ResponseCompletedEvent)
    return last.response


def text_of(events: list[ResponseStreamEvent]) -> str:
    return "".join(event.delta for event in events if isinstance(event, ResponseTextDeltaEvent))


def outputs(response: Response) -> list[ResponseInputItemParam]:
    calls = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    assert calls
    return [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]


async def test_a_text_answer_streams() -> None:
    async with talking() as (_, client):
        stream = await client.responses.create(model="parrot", input="Hello", stream=True)
        events = await heard(stream)
        response = completed(events)
        assert text_of(events) == response.output_text
        assert "“Hello”" in response.output_text
        assert response.usage is not None
        kept = await client.responses.retrieve(response.id)
        assert kept.output_text == response.output_text


@pytest.mark.parametrize("server", ["openai", "ogx", "litellm"])
async def test_a_tool_round_trip_streams_from_every_kind_of_server(server: str) -> None:
    async with talking(responses=server) as (_, client):
        stream = await client.responses.create(model="parrot", input="get_weather", tools=[WEATHER], stream=True)
        first = completed(await heard(stream))
        call = first.output[0]
        assert isinstance(call, ResponseFunctionToolCall)
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Kyiv"})
        stream = await client.responses.create(
            model="parrot", input=outputs(first), previous_response_id=first.id, tools=[WEATHER], stream=True
        )
        assert completed(await heard(stream)).output_text == "I asked around: get_weather returned “sunny”."


async def test_leave_is_asked_for_and_given() -> None:
    script: list[list[Item]] = [[AskApproval("roll", "{}", "dice", id="mcpr_1")], ["Four."]]
    async with talking(engine=ScriptedEngine(script)) as (_, client):
        made = await client.conversations.create()
        first = await client.responses.create(model="parrot", input="Roll.", conversation=made.id)
        (asked,) = first.output
        assert asked.type == "mcp_approval_request"
        leave: ResponseInputItemParam = {
            "type": "mcp_approval_response",
            "approval_request_id": asked.id,
            "approve": True,
        }
        last = await client.responses.create(model="parrot", input=[leave], conversation=made.id)
        assert last.output_text == "Four."
        kept = [item async for item in client.conversations.items.list(made.id, order="asc")]
        given = kept[2]
        assert given.type == "mcp_approval_response"
        assert (given.approval_request_id, given.approve) == ("mcpr_1", True)


async def test_the_helper_adds_a_stream_up() -> None:
    script: list[Item] = [
        "See ",
        Cite("【1】", "file_1"),
        RunCode("1+1"),
        CallTool("get_weather", '{"city":'),
        MoreArguments('"Oslo"}'),
    ]
    async with (
        talking(engine=ScriptedEngine([script])) as (_, client),
        client.responses.stream(model="parrot", input="Hello", tools=[WEATHER]) as stream,
    ):
        deltas = [event async for event in stream if event.type == "response.output_text.delta"]
        assert deltas[-1].snapshot == "See 【1】"
        response = await stream.get_final_response()
        assert [item.type for item in response.output] == ["message", "code_interpreter_call", "function_call"]
        call = response.output[-1]
        assert call.type == "function_call"
        assert call.parsed_arguments == {"city": "Oslo"}


async def test_a_conversation_remembers() -> None:
    engine = ScriptedEngine(["One.", "Two."])
    async with talking(engine=engine) as (_, client):
        made = await client.conversations.create(metadata={"a": "b"}, items=[{"role": "user", "content": "0?"}])
        for text in ("1?", "2?"):
            response = await client.responses.create(model="parrot", input=text, conversation=made.id)
            assert response.conversation is not None
            assert response.conversation.id == made.id
        assert [message.text for message in engine.turns[1].messages] == ["0?", "1?", "One.", "2?"]

        put = await client.conversations.items.create(made.id, items=[{"role": "user", "content": "3?"}])
        listed = [item async for item in client.conversations.items.list(made.id, order="asc", limit=2)]
        assert [item.type for item in listed] == ["message"] * 6
        found = await client.conversations.items.retrieve(put.data[0].id or "", conversation_id=made.id)
        assert found == listed[-1]
        await client.conversations.items.delete(put.data[0].id or "", conversation_id=made.id)
        assert (await client.conversations.update(made.id, metadata={"c": "d"})).metadata == {"c": "d"}
        assert (await client.conversations.retrieve(made.id)).metadata == {"c": "d"}
        assert (await client.conversations.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.conversations.retrieve(made.id)


class Slow:
    """Says a word, and the next when it is let."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
        yield Say("one")
        await self.goes_on.wait()
        yield Say(" two")


async def test_a_stream_in_the_background_is_taken_up_where_it_broke_off() -> None:
    engine = Slow()
    async with talking(engine=engine) as (_, client):
        seen: list[ResponseStreamEvent] = []
        async with await client.responses.create(model="parrot", input="?", background=True, stream=True) as stream:
            async for event in stream:
                seen.append(event)
                if event.type == "response.output_text.delta":
                    break
        first = seen[0]
        assert first.type == "response.created"
        engine.goes_on.set()
        again = await client.responses.retrieve(first.response.id, stream=True, starting_after=seen[-1].sequence_number)
        whole = [*seen, *await heard(again)]
        assert [event.sequence_number for event in whole] == list(range(len(whole)))
        assert text_of(whole) == completed(whole).output_text == "one two"
        with_helper = client.responses.stream(response_id=first.response.id)
        async with with_helper as stream_again:
            assert (await stream_again.get_final_response()).output_text == "one two"


async def test_a_response_in_the_background_is_cancelled() -> None:
    async with talking(engine=Slow()) as (_, client):
        response = await client.responses.create(model="parrot", input="?", background=True)
        assert response.status == "queued"
        assert (await client.responses.cancel(response.id)).status == "cancelled"
        assert (await client.responses.retrieve(response.id)).status == "cancelled"
        await client.responses.delete(response.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)


async def test_the_input_of_a_response_is_listed() -> None:
    async with talking() as (_, client):
        items = cast("list[ResponseInputItemParam]", [{"role": "user", "content": str(number)} for number in range(5)])
        response = await client.responses.create(model="parrot", input=items)
        listed = [item async for item in client.responses.input_items.list(response.id, limit=2, order="asc")]
        assert len(listed) == 5


async def test_errors_are_the_packages_own() -> None:
    async with talking() as (_, client):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model="parrot", input="?", previous_response_id="resp_x")
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
        first = await client.responses.create(model="parrot", input="get_weather", tools=[WEATHER])
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call call_"):
            await client.responses.create(model="parrot", input="?", previous_response_id=first.id)
