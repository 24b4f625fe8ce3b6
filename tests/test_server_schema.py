"""Everything the embedded server answers, held against the published description of the protocol."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import msgspec
import pytest
from server_client import JSON, Http, serving, stopped

from aiorunstream.models import RequiredActionFunctionToolCall, Run
from aiorunstream.operations import OPERATIONS
from aiorunstream.server import Failure, Incomplete, Item, Text, ToolCall, Turn
from aiorunstream.sse import SSEDecoder

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
TOOLS = [WEATHER, {"type": "code_interpreter"}, {"type": "file_search", "file_search": {"max_num_results": 5}}]


class Description:
    """The published description, with nulls made real."""

    def __init__(self, path: Path) -> None:
        self.document: JSON = msgspec.json.decode(path.read_bytes())
        self.events: dict[str, JSON] = {}
        for kind in ("ThreadStreamEvent", "RunStreamEvent", "RunStepStreamEvent", "MessageStreamEvent", "ErrorEvent"):
            schema = self.document["components"]["schemas"][kind]
            for variant in schema.get("oneOf", [schema]):
                self.events[variant["properties"]["event"]["enum"][0]] = variant["properties"]["data"]

    def check(self, value: Any, schema: Mapping[str, Any]) -> None:
        validator = jsonschema.Draft202012Validator({**schema, "components": self.document["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]  # pyright: ignore[reportUnknownMemberType]
        assert not errors, (schema, value, errors)

    def check_named(self, value: object, name: str) -> None:
        self.check(value, {"$ref": f"#/components/schemas/{name}"})

    def check_answer(self, value: object, method: str, path: str) -> None:
        """The body of a plain answer."""
        for operation in OPERATIONS:
            pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path)
            if operation.method == method and re.fullmatch(pattern, path):
                answers = self.document["paths"][operation.path][method.lower()]["responses"]
                self.check(value, answers["200"]["content"]["application/json"]["schema"])
                return
        raise AssertionError(path)


@cache
def description(path: Path) -> Description:
    return Description(path)


@pytest.fixture
def published(shared: Path) -> Description:
    return description(shared / "wire" / "openapi-assistants.nullfix.json")


class Checked:
    """Asks, and checks every answer."""

    def __init__(self, http: Http, published: Description) -> None:
        self.http = http
        self.published = published
        self.asked: set[str] = set()

    async def ask(self, method: str, path: str, body: object = None) -> JSON:
        status, answer = await self.http.ask(method, path, body)
        assert status == 200, answer
        self.published.check_answer(answer, method, path.partition("?")[0])
        return answer

    async def stream(self, path: str, body: JSON) -> tuple[Run, list[str]]:
        """The run as it stopped, and the names of the events."""
        async with self.http.stream(path, body) as response:
            messages = SSEDecoder().feed(await response.read())
        assert (messages[-1].event, messages[-1].data) == ("done", b"[DONE]")
        for message in messages[:-1]:
            self.published.check(msgspec.json.decode(message.data), self.published.events[message.event])
        return msgspec.json.decode(messages[-2].data, type=Run), [message.event for message in messages]


def outputs(run: Run) -> list[JSON]:
    calls = [call for call in run.tool_calls if isinstance(call, RequiredActionFunctionToolCall)]
    assert calls
    return [{"tool_call_id": call.id, "output": "sunny"} for call in calls]


async def test_every_answer_of_every_operation_is_as_described(published: Description) -> None:
    async with serving() as (_, http):
        client = Checked(http, published)
        made: JSON = {
            "model": "parrot",
            "name": "Polly",
            "tools": TOOLS,
            "tool_resources": {"code_interpreter": {"file_ids": ["file_1"]}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}},
        }
        assistant = await client.ask("POST", "/assistants", made)
        await client.ask("POST", f"/assistants/{assistant['id']}", {"temperature": 0.5, "metadata": {"a": "b"}})
        await client.ask("GET", f"/assistants/{assistant['id']}")
        await client.ask("GET", "/assistants")

        parts = [
            {"type": "text", "text": "get_weather?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
            {"type": "image_file", "image_file": {"file_id": "file_1"}},
        ]
        attachments = [{"file_id": "file_1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}]
        message = {"role": "user", "content": parts, "attachments": attachments, "metadata": {"a": "b"}}
        thread = await client.ask("POST", "/threads", {"messages": [message], "metadata": {"a": "b"}})
        path = f"/threads/{thread['id']}"
        await client.ask("GET", path)
        await client.ask("POST", path, {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}})
        put = await client.ask("POST", f"{path}/messages", message)
        await client.ask("GET", f"{path}/messages/{put['id']}")
        await client.ask("POST", f"{path}/messages/{put['id']}", {"metadata": None})
        await client.ask("GET", f"{path}/messages")

        settings = {
            "assistant_id": assistant["id"],
            "truncation_strategy": {"type": "last_messages", "last_messages": 2},
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "max_completion_tokens": 300,
            "temperature": None,
        }
        run = await client.ask("POST", f"{path}/runs", settings)
        run_path = f"{path}/runs/{run['id']}"
        run = await stopped(http, run_path)
        await client.ask("GET", run_path)
        await client.ask("POST", run_path, {"metadata": {"a": "b"}})
        submitted = {"tool_outputs": outputs(msgspec.convert(run, Run))}
        await client.ask("POST", f"{run_path}/submit_tool_outputs", submitted)
        await stopped(http, run_path)
        await client.ask("GET", f"{path}/runs")
        steps = await client.ask("GET", f"{run_path}/steps")
        for step in steps["data"]:
            await client.ask("GET", f"{run_path}/steps/{step['id']}")

        other = await client.ask("POST", "/threads/runs", {"assistant_id": assistant["id"], "tool_choice": "required"})
        other_path = f"/threads/{other['thread_id']}/runs/{other['id']}"
        await stopped(http, other_path)
        await client.ask("POST", f"{other_path}/cancel")

        await client.ask("DELETE", f"{path}/messages/{put['id']}")
        await client.ask("DELETE", path)
        await client.ask("DELETE", f"/assistants/{assistant['id']}")


async def test_every_event_of_a_tool_round_trip_is_as_described(published: Description) -> None:
    async with serving() as (_, http):
        client = Checked(http, published)
        body: JSON = {
            "assistant_id": await http.assistant(tools=TOOLS),
            "thread": {"messages": [{"role": "user", "content": "get_weather"}]},
        }
        run, names = await client.stream("/threads/runs", body)
        assert (names[0], names[-2]) == ("thread.created", "thread.run.requires_action")
        path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"
        run, names = await client.stream(path, {"tool_outputs": outputs(run)})
        assert run.status == "completed"
        assert "thread.message.delta" in names


class Told:
    """Says what it was told."""

    def __init__(self, *items: Item) -> None:
        self.items = items

    def reply(self, turn: Turn, /) -> tuple[Item, ...]:
        return self.items


@pytest.mark.parametrize(
    ("items", "end"),
    [
        ([Text("half"), Failure("It broke.", "invalid_prompt")], "failed"),
        ([ToolCall("f", "{}"), Failure("It broke.")], "failed"),
        ([Text("half"), Incomplete()], "incomplete"),
        ([Text("half"), Incomplete("content_filter")], "incomplete"),
        ([ToolCall("f"), Incomplete("max_prompt_tokens")], "incomplete"),
        ([], "completed"),
    ],
)
async def test_every_event_of_a_bad_end_is_as_described(published: Description, items: list[Item], end: str) -> None:
    async with serving(engine=Told(*items)) as (_, http):
        path, body = await http.runs()
        run, names = await Checked(http, published).stream(path, body)
        assert (run.status, names[-2]) == (end, f"thread.run.{end}")


async def test_every_event_of_an_expired_and_a_cancelled_run_is_as_described(published: Description) -> None:
    async with serving(engine=Told(*[Text("and ")] * 100), delay=0.01, expires_after=0.05) as (_, http):
        path, body = await http.runs()
        run, _ = await Checked(http, published).stream(path, body)
        assert run.status == "expired"
    async with serving(engine=Told(*[Text("and ")] * 1000), delay=0.01) as (server, http):
        path, body = await http.runs()
        client = Checked(http, published)
        async with http.stream(path, body) as response:
            wire = await response.content.readany()
            run = msgspec.json.decode(SSEDecoder().feed(wire)[0].data, type=Run)
            await client.ask("POST", f"{path}/{run.id}/cancel")
            wire += await response.read()
        messages = SSEDecoder().feed(wire)
        for message in messages[:-1]:
            published.check(msgspec.json.decode(message.data), published.events[message.event])
        assert messages[-2].event == "thread.run.cancelled"
        assert server.open_streams == 0


async def test_errors_are_as_described(published: Description) -> None:
    async with serving() as (_, http):
        for method, path, body in (
            ("GET", "/threads/thread_x", None),
            ("POST", "/threads", {"surprise": 1}),
            ("PUT", "/threads", None),
        ):
            status, answer = await http.ask(method, path, body)
            assert status >= 400
            published.check_named(answer, "ErrorResponse")


def test_the_description_is_really_consulted(published: Description) -> None:
    with pytest.raises(AssertionError, match="required property"):
        published.check_answer({"id": "run_1"}, "GET", "/threads/thread_1/runs/run_1")
    with pytest.raises(AssertionError, match="status"):
        published.check({"id": "run_1", "status": "asleep"}, published.events["thread.run.created"])


async def test_an_empty_list_differs_from_the_description_as_openai_does(published: Description) -> None:
    """The description says that a list's ends are text; OpenAI sends null where there are none, and so do we."""
    async with serving() as (_, http):
        answer = await http.get("/assistants")
        assert (answer["data"], answer["first_id"], answer["last_id"]) == ([], None, None)
        published.check_answer({**answer, "first_id": "", "last_id": ""}, "GET", "/assistants")
