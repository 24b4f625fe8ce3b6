"""Everything that `/v1/responses` and `/v1/conversations` answer, held against their published description."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from responses_site import FUNCTION, Published, answers, published, read
from server_client import JSON, Http, serving
from test_responses_machine import FOUND

from aiorunstream.responses_operations import CONVERSATIONS, RESPONSES
from aiorunstream.server import (
    BreakOff,
    CallTool,
    Cite,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Fault,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    PrintLogs,
    Refuse,
    RunCode,
    ScriptedEngine,
    SearchFiles,
    SendError,
    ShowImage,
)

EVERYTHING: list[Item] = [
    "Look",
    Cite("【1】", "file_1", "so it is"),
    LinkFile("sandbox:/a", "file_3"),
    ShowImage("file_4", "low"),
    Refuse("I will not."),
    EndStep(),
    "",
    RunCode("1"),
    MoreCode("+1"),
    PrintLogs("2"),
    DrawImage("file_6"),
    RunCode(),
    SearchFiles((FOUND,)),
    CallTool("f", "{"),
    MoreArguments("}"),
    SearchFiles(),
    "half",
]
INCLUDE = ["code_interpreter_call.outputs", "file_search_call.results"]
TOOLS: list[JSON] = [
    FUNCTION,
    {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_1"]}},
    {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 5},
]
SETTINGS: JSON = {
    "model": "parrot",
    "instructions": "Be brief.",
    "tools": TOOLS,
    "tool_choice": {"type": "function", "name": "get_weather"},
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": {}}},
    "max_output_tokens": 300,
    "temperature": 0.5,
    "metadata": {"a": "b"},
    "include": INCLUDE,
    "user": "somebody",
}


class Checked:
    """Asks, and checks every body that is sent and every answer."""

    def __init__(self, http: Http, described: Published) -> None:
        self.http = http
        self.described = described
        self.asked: set[str] = set()

    async def ask(self, method: str, path: str, body: object = None) -> JSON:
        status, answer = await self.http.ask(method, path, body)
        assert status == 200, answer
        operation = self._operation(method, path, body)
        content = operation["responses"]["200"].get("content")
        if content is not None:  # nothing is said of what deleting a response answers
            self.described.check(answer, content["application/json"]["schema"])
        return answer

    async def stream(self, body: JSON) -> list[JSON]:
        self._operation("POST", "/responses", {**body, "stream": True})
        async with self.http.stream("/responses", body) as response:
            events = read(await response.read())
        for event in events:
            self.described.check_event(event)
        return events

    def _operation(self, method: str, path: str, body: object) -> Mapping[str, Any]:
        for operation in (*RESPONSES, *CONVERSATIONS):
            pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path)
            if operation.method == method and re.fullmatch(pattern, path.partition("?")[0]):
                self.asked.add(operation.name)
                found: Mapping[str, Any] = self.described.document["paths"][operation.path][method.lower()]
                if body is not None and "requestBody" in found:
                    self.described.check(body, found["requestBody"]["content"]["application/json"]["schema"])
                return found
        raise AssertionError(path)


@pytest.fixture
def described(shared: Path) -> Published:
    return published(shared)


MESSAGES: list[JSON] = [
    {"role": "developer", "content": "Be nice."},
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "get_weather?"},
            {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
            {"type": "input_image", "file_id": "file_1", "detail": "auto"},
            {"type": "input_file", "file_id": "file_1"},
        ],
    },
    {"role": "assistant", "content": "Nice."},
    {"role": "user", "content": "get_weather!"},
]


async def test_every_answer_of_every_operation_is_as_described(described: Published) -> None:
    async with serving(delay=0.005) as (_, http):
        client = Checked(http, described)
        made = await client.ask("POST", "/conversations", {"items": MESSAGES, "metadata": {"a": "b"}})
        path = f"/conversations/{made['id']}"
        await client.ask("GET", path)
        await client.ask("POST", path, {"metadata": {"c": "d"}})
        put = await client.ask("POST", f"{path}/items", {"items": MESSAGES})
        await client.ask("GET", f"{path}/items/{put['first_id']}")
        await client.ask("DELETE", f"{path}/items/{put['first_id']}")

        first = await client.ask("POST", "/responses", {**SETTINGS, "input": [], "conversation": made["id"]})
        last = await client.ask(
            "POST", "/responses", {**SETTINGS, "input": answers(first), "conversation": {"id": made["id"]}}
        )
        await client.ask("GET", f"{path}/items?order=asc&limit=100")
        await client.ask("GET", f"/responses/{last['id']}")
        await client.ask("GET", f"/responses/{last['id']}/input_items?limit=100")
        await client.ask("DELETE", f"/responses/{last['id']}")
        background = await client.ask("POST", "/responses", {"model": "parrot", "input": "Hello", "background": True})
        await client.ask("POST", f"/responses/{background['id']}/cancel")
        await client.ask("DELETE", path)
        assert client.asked == {operation.name for operation in (*RESPONSES, *CONVERSATIONS)}


@pytest.mark.parametrize("server", ["openai", "litellm"])
async def test_every_event_of_a_tool_round_trip_is_as_described(described: Published, server: str) -> None:
    async with serving(responses=server) as (_, http):
        client = Checked(http, described)
        first = await client.stream({**SETTINGS, "input": "get_weather", "background": True})
        response = first[-1]["response"]
        assert response["status"] == "completed"
        goes_on: JSON = {"input": answers(response), "previous_response_id": response["id"]}
        last = await client.stream({**SETTINGS, **goes_on, "tool_choice": "auto"})
        assert "response.output_text.delta" in [event["type"] for event in last]


@pytest.mark.parametrize("end", [None, Fail("no"), BreakOff(), BreakOff("content_filter"), Expire()])
@pytest.mark.parametrize("include", [[], INCLUDE])
async def test_every_event_and_object_of_everything_an_engine_can_say_is_as_described(
    described: Published, end: Item | None, include: list[str]
) -> None:
    async with serving(engine=ScriptedEngine([[*EVERYTHING, end] if end else EVERYTHING])) as (_, http):
        client = Checked(http, described)
        made = await client.ask("POST", "/conversations", {})
        body = {**SETTINGS, "input": "Hello", "conversation": made["id"], "include": include}
        events = await client.stream(body)
        response = await client.ask("GET", f"/responses/{events[0]['response']['id']}")
        assert response == events[-1]["response"]
        assert len(response["output"]) == 8
        if response["status"] != "failed":
            await client.ask("GET", f"/conversations/{made['id']}/items")


async def test_errors_are_as_described(described: Published) -> None:
    async with serving(engine=ScriptedEngine([[SendError("Overloaded.")]])) as (server, http):
        client = Checked(http, described)
        assert (await client.stream({"model": "parrot", "input": "Hello"}))[-1]["type"] == "error"
        server.inject(Fault("error_event"))
        assert (await client.stream({"model": "parrot", "input": "Hello"}))[-1]["type"] == "error"
        for method, path in (("GET", "/responses/x"), ("POST", "/responses"), ("GET", "/conversations/x")):
            status, answer = await http.ask(method, path, {} if method == "POST" else None)
            assert status >= 400
            described.check_named(answer, "ErrorResponse")


def test_the_description_is_really_consulted(described: Published) -> None:
    with pytest.raises(AssertionError, match="required property"):
        described.check_event({"type": "response.output_text.delta", "delta": "a", "sequence_number": 1})
    with pytest.raises(AssertionError, match="not valid under any"):
        described.check_named({"type": "file_citation"}, "Annotation")


async def test_an_empty_list_and_what_is_not_spent_yet_differ_from_the_description_as_openai_does(
    described: Published,
) -> None:
    """The description lets neither be null; OpenAI sends null where there is nothing, and so does the server."""
    async with serving() as (_, http):
        made = await http.post("/conversations")
        listed = await http.get(f"/conversations/{made['id']}/items")
        assert (listed["data"], listed["first_id"], listed["last_id"]) == ([], None, None)
        described.check_named({**listed, "first_id": "", "last_id": ""}, "ConversationItemList")
        async with http.stream("/responses", {"model": "parrot", "input": "Hello"}) as response:
            first = read(await response.read())[0]
        assert first["response"]["usage"] is None
