"""What the bridge sends, byte for byte, to a server that knows nothing of ours: bodies as described, ids as they come."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from bridge_client import WEATHER
from bridged import JSON, check_legal, text_of
from raw_server import LAST_CHUNK, STREAM_HEAD, Peer, RawServer, SeenRequest, answer, chunk
from response_events import called, message
from responses_site import Published, published

from aiorunstream import AsyncClient, RequestOptions, RetryPolicy
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.backends.responses._input import approval_item
from aiorunstream.sse import encode

ASSISTANTS: Mapping[str, JSON] = {
    "asst_1": {
        "model": "parrot",
        "instructions": "Be brief.",
        "tools": [WEATHER, {"type": "code_interpreter"}, {"type": "file_search"}],
        "tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}, "code_interpreter": {"file_ids": ["file_1"]}},
        "temperature": 0.5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    }
}


def long_id(prefix: str, number: int = 1) -> str:
    """241 characters that end in "=", as LiteLLM's are."""
    return f"{prefix}_{number:03}" + "q" * (241 - len(prefix) - 5) + "="


class Stranger:
    """A server of responses in a few lines. It calls a function once in each conversation, and then talks."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, JSON]] = []
        self.paths: list[str] = []
        self._responses = 0

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await peer.send(self._answer(request))

    def _answer(self, request: SeenRequest) -> bytes:
        method, target, _ = request.line.split(" ")
        path = unquote(target.partition("?")[0].removeprefix("/v1"))
        self.paths.append(path)
        body: JSON = json.loads(request.body) if request.body else {}
        if method == "POST":
            self.bodies.append((path, body))
        if path == "/conversations":
            return answer(200, {"id": long_id("conv"), "object": "conversation", "created_at": 1, "metadata": {}})
        if path.endswith("/items"):
            made = [{**item, "id": long_id("msg", place)} for place, item in enumerate(body["items"])]
            return answer(200, {"object": "list", "data": made, "has_more": False})
        assert path == "/responses", path
        return self._stream(body)

    def _stream(self, body: JSON) -> bytes:
        self._responses += 1
        id = long_id("resp", self._responses)
        last: JSON = body["input"][-1] if body["input"] else {}
        answers = last.get("type") == "function_call_output"
        item = (
            message("It is sunny.", id=long_id("msg", 100 + self._responses)) if answers else called(name="get_weather")
        )
        events = [
            {"type": "response.created", "response": {"id": id, "status": "in_progress"}},
            {"type": "response.completed", "response": {"id": id, "status": "completed", "output": [item]}},
        ]
        frames = [encode(msgspec.json.encode(one)) for one in events]
        return STREAM_HEAD + b"".join(map(chunk, [*frames, b"data: [DONE]\n\n"])) + LAST_CHUNK


async def talk(client: AsyncClient) -> str:
    """A thread, a run whose call is answered, and another."""
    thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}], metadata={"a": "b"})
    for text in ("One", "Two"):
        await client.threads.messages.create(
            thread.id,
            role="user",
            content=[
                {"type": "text", "text": text},
                {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}},
            ],
        )
        options = RequestOptions(extra_body={"service_tier": "default"})
        async with client.threads.runs.create_stream(
            thread.id,
            assistant_id="asst_1",
            additional_messages=[{"role": "assistant", "content": "Hm"}],
            max_completion_tokens=300,
            tool_choice="required",
            parallel_tool_calls=False,
            metadata={"c": "d"},
            options=options,
        ) as stream:
            check_legal([event async for event in stream])
            assert stream.outcome == "requires_action"
            async with stream.submit_tool_outputs([{"tool_call_id": "call_1", "output": "sunny"}]) as more:
                events = [event async for event in more]
        check_legal(events)
        assert text_of(events) == "It is sunny."
    return thread.id


@pytest.fixture
def described(shared: Path) -> Published:
    return published(shared)


@pytest.mark.parametrize(("threads", "add_messages"), [
    ("conversation", "with_run"), ("conversation", "at_once"), ("previous_response_id", "with_run"), ("replay", "with_run"),
])  # fmt: skip
async def test_every_body_that_is_sent_is_as_described_and_long_ids_go_everywhere(
    threads: ThreadMode, add_messages: Any, described: Published
) -> None:
    stranger = Stranger()
    async with RawServer(stranger) as server:
        backend = ResponsesBackend(server.base_url, threads=threads, assistants=ASSISTANTS, add_messages=add_messages)
        async with AsyncClient(backend=backend, api_key="sk-x", retry=RetryPolicy(attempts=1)) as client:
            thread_id = await talk(client)
            found = [message.id async for message in client.threads.messages.list(thread_id)]
            for id in found:
                assert (await client.threads.messages.retrieve(id, thread_id=thread_id)).id == id
            assert any(len(id) == 241 for id in found)
        assert all(request.header("OpenAI-Beta") is None for request in server.requests)
        assert {request.header("Authorization") for request in server.requests} == {"Bearer sk-x"}
    schemas = {"/conversations": "CreateConversationBody", "/responses": "CreateResponse"}
    for path, body in stranger.bodies:
        if path in schemas:
            described.check_named(body, schemas[path])
        else:
            (operation,) = [
                methods["post"] for one, methods in described.document["paths"].items() if one.endswith("id}/items")
            ]
            described.check(body, operation["requestBody"]["content"]["application/json"]["schema"])
    asked = [body for path, body in stranger.bodies if path == "/responses"]
    assert len(asked) == 4
    _check_state(threads, thread_id, asked, at_once=add_messages == "at_once")
    assert [body.get("tool_choice") for body in asked] == ["required", None] * 2
    assert {body["service_tier"] for body in asked} == {"default"}
    assert {body["max_output_tokens"] for body in asked} == {300}


def test_leave_is_given_by_all_the_names_that_are_described(described: Published) -> None:
    given = approval_item("mcpr_1", approve=False)
    schema = described.document["components"]["schemas"]["MCPApprovalResponse"]
    required = set(schema["required"]) - {"request_id"}  # which is wanted, and described nowhere
    described.check(given, {**schema, "required": sorted(required)})
    assert set(given) <= set(schema["properties"])


def _check_state(threads: ThreadMode, thread_id: str, asked: list[JSON], *, at_once: bool) -> None:
    """Each says of the thread what its server must be told, and nothing else."""
    kinds = [[item["type"] for item in body["input"]] for body in asked]
    for body in asked:
        assert ("conversation" in body) == (threads == "conversation")
        assert body.get("store") == {"conversation": None, "previous_response_id": True, "replay": False}[threads]
    if threads == "conversation":
        assert {body["conversation"] for body in asked} == {thread_id}
        assert thread_id == long_id("conv")
        output = ["function_call_output"]
        waiting = [["message"]] * 2 if at_once else [["message"] * 3, ["message"] * 2]
        assert kinds == [waiting[0], output, waiting[1], output]
    elif threads == "previous_response_id":
        assert [body.get("previous_response_id") for body in asked] == [None, *(long_id("resp", n) for n in (1, 2, 3))]
        assert kinds == [["message"] * 3, ["function_call_output"], ["message"] * 2, ["function_call_output"]]
    else:
        first = ["message"] * 3
        round_trip = ["function_call", "function_call_output"]
        assert kinds == [
            first,
            [*first, *round_trip],
            [*first, *round_trip, *["message"] * 3],
            [*first, *round_trip, *["message"] * 3, *round_trip],
        ]
