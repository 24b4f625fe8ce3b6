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

from aiorunstream.models import FileSearchResult, FileSearchResultContent, RequiredActionFunctionToolCall, Run, Usage
from aiorunstream.operations import OPERATIONS
from aiorunstream.server import (
    BreakOff,
    CallTool,
    Cancel,
    Cite,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    PrintLogs,
    Refuse,
    RunCode,
    Say,
    ScriptedEngine,
    SearchFiles,
    SendError,
    ShowImage,
)
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


FOUND = FileSearchResult("file_1", "a.txt", 0.5, (FileSearchResultContent(text="so it is"),))
EVERYTHING: list[Item] = [
    "Look",
    Cite("【1】", "file_1", "so it is"),
    Cite("【2】", "file_2"),
    LinkFile("sandbox:/a", "file_3"),
    ShowImage("file_4", "low"),
    ShowImage("file_5"),
    Refuse("I will not."),
    "",
    Usage(1, 2, 3),
    EndStep(),
    "",
    RunCode("1"),
    MoreCode("+1"),
    PrintLogs("2"),
    DrawImage("file_6"),
    EndStep(),
    RunCode(),
    SearchFiles((FOUND, FileSearchResult("file_2"))),
    CallTool("f", "{"),
    MoreArguments("}"),
    SearchFiles(),
    "half",
]
INCLUDE = "include[]=step_details.tool_calls[*].file_search.results[*].content"


@pytest.mark.parametrize("end", [None, Fail("no"), BreakOff(), BreakOff("content_filter"), Expire(), Cancel()])
@pytest.mark.parametrize("query", ["", f"?{INCLUDE}"])
async def test_every_event_and_object_of_everything_an_engine_can_say_is_as_described(
    published: Description, end: Item | None, query: str
) -> None:
    async with serving(engine=ScriptedEngine([[*EVERYTHING, end] if end else EVERYTHING, "done"])) as (_, http):
        client = Checked(http, published)
        path, body = await http.runs()
        run, _ = await client.stream(path + query, body)
        for list_path in (
            f"{path.removesuffix('/runs')}/messages",
            f"{path}/{run.id}/steps",
            f"{path}/{run.id}/steps{query}",
        ):
            assert len((await client.ask("GET", list_path))["data"]) > 3
        if end is None:
            run, _ = await client.stream(f"{path}/{run.id}/submit_tool_outputs", {"tool_outputs": outputs(run)})
            assert run.status == "completed"


async def test_contents_that_were_found_are_shown_to_those_who_ask(published: Description) -> None:
    async with serving(engine=ScriptedEngine([[SearchFiles((FOUND,))]], repeat=True)) as (_, http):
        client = Checked(http, published)
        for query, shown in (("", False), (f"?{INCLUDE}", True), (f"?{INCLUDE.replace('[]', '', 1)}", True)):
            path, body = await http.runs()
            async with http.stream(path + query, body) as response:
                wire = await response.read()
            assert (b"so it is" in wire) == shown
            run = msgspec.json.decode(SSEDecoder().feed(wire)[0].data, type=Run)
            steps = await client.ask("GET", f"{path}/{run.id}/steps{query}")
            step = await client.ask("GET", f"{path}/{run.id}/steps/{steps['first_id']}{query}")
            assert steps["data"] == [step]
            assert ("so it is" in str(step)) == shown


async def test_an_error_event_is_as_described(published: Description) -> None:
    async with serving(engine=ScriptedEngine([[SendError("Overloaded.")]])) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            last = SSEDecoder().feed(await response.read())[-1]
        published.check(msgspec.json.decode(last.data), published.events["error"])


async def test_a_run_has_its_assistants_tools_also_where_they_are_more_than_described(published: Description) -> None:
    """The description lets an assistant have 128 tools and a run 20; a run takes over all of its assistant's."""
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(21)]
    async with serving() as (_, http):
        path, body = await http.runs(tools=tools)
        run = await http.post(path, body)
        assert len(run["tools"]) == 21
        published.check_answer({**run, "tools": run["tools"][:20]}, "POST", path)
        with pytest.raises(AssertionError, match="too long"):
            published.check_answer(run, "POST", path)


@pytest.mark.parametrize(
    ("items", "end"),
    [
        ([Say("half"), Fail("It broke.", "invalid_prompt")], "failed"),
        ([CallTool("f", "{}"), Fail("It broke.")], "failed"),
        ([Say("half"), BreakOff()], "incomplete"),
        ([Say("half"), BreakOff("content_filter")], "incomplete"),
        ([CallTool("f"), BreakOff("max_prompt_tokens")], "incomplete"),
        ([], "completed"),
    ],
)
async def test_every_event_of_a_bad_end_is_as_described(published: Description, items: list[Item], end: str) -> None:
    async with serving(engine=ScriptedEngine([items])) as (_, http):
        path, body = await http.runs()
        run, names = await Checked(http, published).stream(path, body)
        assert (run.status, names[-2]) == (end, f"thread.run.{end}")


async def test_every_event_of_an_expired_and_a_cancelled_run_is_as_described(published: Description) -> None:
    async with serving(engine=ScriptedEngine([["and "] * 100]), delay=0.01, expires_after=0.05) as (_, http):
        path, body = await http.runs()
        run, _ = await Checked(http, published).stream(path, body)
        assert run.status == "expired"
    async with serving(engine=ScriptedEngine([["and "] * 1000]), delay=0.01) as (server, http):
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
