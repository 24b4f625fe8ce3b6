"""The server's dialects, byte for byte: what each is documented to send and take, and where it leaves the description."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import aiohttp
import msgspec
import pytest
from dialects import TALKS
from server_client import JSON

from aiorunstream.errors import ConfigurationError
from aiorunstream.intake import Paging
from aiorunstream.server import (
    AssistantsServer,
    Cancel,
    Cite,
    Fault,
    ScriptedEngine,
    SearchFiles,
    SendError,
    ShowImage,
)
from aiorunstream.server._dialects import DialectName

VERSION = {"api-version": "v1"}


class Answer(NamedTuple):
    """All that came."""

    status: int
    body: bytes
    broke_off: bool = False

    @property
    def json(self) -> JSON:
        return msgspec.json.decode(self.body, type=dict[str, Any])

    @property
    def frames(self) -> list[tuple[str | None, Any]]:
        """Each event's name, if it has one, and its payload; every one must end as events do here."""
        end = b"\r\n" if b"\r\n" in self.body else b"\n"
        found: list[tuple[str | None, Any]] = []
        *blocks, rest = self.body.split(end * 2)
        assert rest == b""
        for block in blocks:
            *names, data = block.split(end)
            assert data.startswith(b"data: ")
            assert len(names) <= 1
            name = names[0].removeprefix(b"event: ").decode() if names else None
            payload = data.removeprefix(b"data: ")
            found.append((name, "[DONE]" if payload == b"[DONE]" else msgspec.json.decode(payload)))
        return found


class Talk(NamedTuple):
    """A server with a thread, an assistant, and a way to ask it for anything."""

    server: AssistantsServer
    session: aiohttp.ClientSession
    query: Mapping[str, str]
    assistant_id: str = ""
    thread_id: str = ""

    async def ask(self, method: str, path: str, body: object = None, *, prefix: str | None = None) -> Answer:
        root, _, _ = self.server.base_url.partition(f":{self.server.port}")
        base = self.server.base_url if prefix is None else f"{root}:{self.server.port}{prefix}"
        async with self.session.request(method, base + path, json=body, params=self.query) as response:
            pieces: list[bytes] = []
            try:
                async for piece in response.content.iter_any():
                    pieces.append(piece)
            except aiohttp.ClientPayloadError:
                return Answer(response.status, b"".join(pieces), broke_off=True)
            return Answer(response.status, b"".join(pieces))

    async def run(self, *, prefix: str | None = None, **params: object) -> Answer:
        body = {"assistant_id": self.assistant_id, "stream": True, **params}
        return await self.ask("POST", f"/threads/{self.thread_id}/runs", body, prefix=prefix)

    async def submit(self, run_id: str) -> Answer:
        outputs = [{"tool_call_id": id, "output": "o"} for id in ("call_1", "call_2")]
        path = f"/threads/{self.thread_id}/runs/{run_id}/submit_tool_outputs"
        return await self.ask("POST", path, {"tool_outputs": outputs, "stream": True})


@asynccontextmanager
async def talking(dialect: DialectName, script: str | list[Any] = "text") -> AsyncGenerator[Talk]:
    engine = ScriptedEngine(TALKS[script] if isinstance(script, str) else [script])
    async with AssistantsServer(dialect=dialect, engine=engine) as server, aiohttp.ClientSession() as session:
        talk = Talk(server, session, VERSION if dialect == "azure" else {})
        assistant = (await talk.ask("POST", "/assistants", {"model": "any"})).json["id"]
        thread = {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "1"}}
        yield talk._replace(assistant_id=assistant, thread_id=(await talk.ask("POST", "/threads", thread)).json["id"])


def names(answer: Answer) -> list[str | None]:
    return [name for name, _ in answer.frames]


def enveloped(answer: Answer) -> list[str]:
    return [payload["event"] for _, payload in answer.frames if "event" in payload]


def nulls(value: Any) -> int:
    if isinstance(value, dict):
        return nulls(list(cast("JSON", value).values()))
    if isinstance(value, list):
        return sum([nulls(item) for item in cast("JSON", {"items": value})["items"]])
    return int(value is None)


def test_a_server_knows_the_dialects_it_has() -> None:
    with pytest.raises(ConfigurationError, match="openai, litellm, open-assistant-api, astra, azure, not 'klingon'"):
        AssistantsServer(dialect="klingon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("dialect", "path"), [
    ("openai", "/v1"), ("litellm", "/v1"), ("open-assistant-api", "/api/v1"), ("astra", "/v1"), ("azure", "/api/projects/demo"),
])  # fmt: skip
def test_a_dialect_has_the_paths_of_its_server(dialect: DialectName, path: str) -> None:
    assert AssistantsServer(dialect=dialect, port=8787).base_url == f"http://127.0.0.1:8787{path}"


# -- LiteLLM -----------------------------------------------------------------------------------------------------------


async def test_litellm_writes_objects_without_names_and_without_nulls_and_an_end_mark() -> None:
    async with talking("litellm") as talk:
        answer = await talk.run()
        assert b"\r" not in answer.body
        assert b"event: " not in answer.body
        *events, last = answer.frames
        assert last == (None, "[DONE]")
        assert [list(payload) for _, payload in events] == [["data", "event"]] * len(events)
        assert nulls([payload for _, payload in events]) == 0
        assert "thread.run.completed" in enveloped(Answer(200, answer.body.removesuffix(b"data: [DONE]\n\n")))
        assert "\u2028 and\u2029".encode() in answer.body


async def test_litellm_ends_with_an_error_that_has_no_name_and_no_end_mark() -> None:
    async with talking("litellm", ["Half a", SendError("Overloaded.", code="overloaded")]) as talk:
        answer = await talk.run()
        error = {"message": "Overloaded.", "type": "server_error", "param": None, "code": "500"}
        assert answer.frames[-1] == (None, {"error": error})


async def test_litellm_has_few_routes_of_its_own_and_passes_all_on_elsewhere() -> None:
    async with talking("litellm", "tools") as talk:
        made = (await talk.run(prefix="")).frames[0][1]["data"]
        run = f"/threads/{talk.thread_id}/runs/{made['id']}"
        for method, path, status in [
            ("GET", run, 404),
            ("POST", f"{run}/cancel", 404),
            ("POST", f"{run}/submit_tool_outputs", 404),
            ("GET", f"{run}/steps", 404),
            ("POST", "/threads/runs", 405),
            ("GET", f"/threads/{talk.thread_id}", 200),
        ]:
            assert (await talk.ask(method, path, {} if method == "POST" else None)).status == status, path
        for prefix in ("/openai", "/openai_passthrough"):
            assert (await talk.ask("GET", run, prefix=prefix)).json["status"] == "requires_action"
        assert (await talk.ask("GET", run, prefix="/openai/v1")).status == 404


async def test_litellm_hears_seven_parameters_of_a_run_and_passes_on_all() -> None:
    async with talking("litellm", "text") as talk:
        said = (await talk.run(temperature=0.2, max_completion_tokens=300, instructions="Short.")).frames[0][1]["data"]
        assert (said["temperature"], said["instructions"]) == (1.0, "Short.")
        assert "max_completion_tokens" not in said
        passed_on = (await talk.run(prefix="/openai", temperature=0.2)).frames[0]
        assert passed_on[0] == "thread.run.created"
        assert passed_on[1]["temperature"] == 0.2


# -- open-assistant-api ------------------------------------------------------------------------------------------------


async def test_open_assistant_api_writes_crlf_and_no_end_mark() -> None:
    async with talking("open-assistant-api") as talk:
        answer = await talk.run()
        assert re.search(rb"[^\r]\n", answer.body) is None
        assert names(answer)[-1] == "thread.run.completed"
        assert b"[DONE]" not in answer.body
        payloads = dict(answer.frames)
        run, message = payloads["thread.run.completed"], payloads["thread.message.completed"]
        assert (run["tool_choice"], run["truncation_strategy"], run["response_format"]) == (None, None, "auto")
        assert "usage" not in run
        assert re.fullmatch("[0-9a-f]{24}", run["id"])
        assert {"updated_at", "file_ids", "extra_body", "stream_options", "additional_instructions"} <= set(run)
        assert message["status"] == "in_progress"
        assert payloads["thread.message.created"]["content"] == [{"type": "text", "text": {"value": ""}}]
        delta = payloads["thread.message.delta"]["delta"]
        assert (delta["role"], delta["content"][0]["text"]["annotations"]) == (None, None)
        assert isinstance(run["created_at"], int)


async def test_open_assistant_api_says_that_a_run_is_completed_which_waits_for_outputs() -> None:
    async with talking("open-assistant-api", "tools") as talk:
        answer = await talk.run()
        assert names(answer)[-2:] == ["thread.run.requires_action", "thread.run.completed"]
        (_, waits), (_, completed) = answer.frames[-2:]
        assert completed == waits
        assert completed["status"] == "requires_action"
        assert names(await talk.submit(waits["id"]))[0] == "thread.run.in_progress"


async def test_open_assistant_api_puts_usage_into_a_message_of_nobody() -> None:
    async with talking("open-assistant-api", "tools") as talk:
        first = await talk.run(stream_options={"include_usage": True})
        second = await talk.submit(first.frames[-1][1]["id"])
        for answer, usage in ((first, (3, 4, 7)), (second, (11, 20, 31))):
            strays = [p for name, p in answer.frames if name == "thread.message.in_progress" and not p["thread_id"]]
            (stray,) = strays
            assert stray["id"].startswith("chatcmpl-")
            assert (stray["created_at"], stray["content"]) == (0, [])
            told = msgspec.json.decode(stray["metadata"]["usage"])
            assert tuple(told[f"{kind}_tokens"] for kind in ("completion", "prompt", "total")) == usage
        assert b"chatcmpl" not in (await talk.run()).body


async def test_open_assistant_api_breaks_the_connection_where_its_model_fails() -> None:
    async with talking("open-assistant-api", "failure") as talk:
        answer = await talk.run()
        assert answer.broke_off
        assert names(answer)[-1] == "thread.message.delta"
        (run,) = talk.server.store.list_runs(talk.thread_id, Paging()).data
        assert run.status == "failed"


async def test_open_assistant_api_has_fractions_and_names_of_its_own_outside_of_streams() -> None:
    async with talking("open-assistant-api") as talk:
        thread = (await talk.ask("GET", f"/threads/{talk.thread_id}")).json
        assert isinstance(thread["created_at"], float)
        assert thread["metadata_"] == {"a": "1"}
        assert "metadata" not in thread
        body = {"assistant_id": talk.assistant_id, "stream": True}
        refused = await talk.ask("POST", "/threads/runs", body)
        assert (refused.status, b"thread runs not found" in refused.body) == (404, True)


# -- Astra -------------------------------------------------------------------------------------------------------------


async def test_astra_writes_objects_without_names_and_no_ends() -> None:
    async with talking("astra") as talk:
        answer = await talk.run()
        assert b"event: " not in answer.body
        assert [list(payload) for _, payload in answer.frames] == [["event", "data"]] * len(answer.frames)
        assert enveloped(answer)[-1] == "thread.message.delta"
        assert not {name for name in enveloped(answer) if name.endswith(("completed", "incomplete"))}
        first, last = answer.frames[0][1]["data"], answer.frames[-1][1]["data"]
        assert len(str(first["created_at"])) == 13
        assert len(str(first["expires_at"])) == 10
        assert "annotations" not in last["delta"]["content"][0]["text"]
        run = (await talk.ask("GET", f"/threads/{talk.thread_id}/runs/{first['id']}")).json
        assert (run["status"], len(str(run["created_at"]))) == ("completed", 13)


async def test_astra_says_twice_that_a_run_works_and_all_calls_at_once() -> None:
    async with talking("astra", "tools") as talk:
        answer = await talk.run()
        assert enveloped(answer)[2:] == [
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.in_progress",
            "thread.run.step.delta",
            "thread.run.requires_action",
        ]
        delta, waits = answer.frames[-2][1]["data"], answer.frames[-1][1]["data"]
        calls = delta["delta"]["step_details"]["tool_calls"]
        assert [call["id"] for call in calls] == ["call_1", "call_2"]
        assert calls[0]["function"]["arguments"] == '{"where": "Tromsø\u2028"}'
        rest = await talk.submit(waits["id"])
        deltas = [payload["data"] for _, payload in rest.frames if payload["event"] == "thread.message.delta"]
        assert [delta["delta"]["content"][0]["index"] for delta in deltas] == [0, 1, 2]
        assert enveloped(rest)[-1] == "thread.message.delta"


async def test_astra_tells_of_a_search_with_no_calls_at_all() -> None:
    async with talking("astra", [SearchFiles(), "Found."]) as talk:
        deltas = [p["data"] for _, p in (await talk.run()).frames if p["event"] == "thread.run.step.delta"]
        (delta,) = deltas
        assert delta["delta"]["step_details"] == {"type": "tool_calls", "tool_calls": None}


@pytest.mark.parametrize("script", ["failure", ["Half a", Cancel()], ["Half a", SendError("Overloaded.")]])
async def test_astra_just_ends(script: str | list[Any]) -> None:
    async with talking("astra", script) as talk:
        answer = await talk.run()
        assert (enveloped(answer)[-1], answer.broke_off) == ("thread.message.delta", False)


@pytest.mark.parametrize(("dialect", "told"), [("astra", None), ("open-assistant-api", [True])])
async def test_an_image_has_no_text_and_a_citation_has_its_annotation_where_the_server_tells_of_them(
    dialect: DialectName, told: list[bool] | None
) -> None:
    async with talking(dialect, [Cite("here", "file_1"), ShowImage("file_2")]) as talk:
        payloads: list[JSON] = [payload.get("data", payload) for _, payload in (await talk.run()).frames]
        parts: list[JSON] = []
        for payload in payloads:
            parts += payload.get("delta", {}).get("content") or []
        cited = [part["text"] for part in parts if part["type"] == "text"]
        assert [bool(text["annotations"]) for text in cited if "annotations" in text] == (told or [])
        (image,) = [part for part in parts if part["type"] == "image_file"]
        assert image["image_file"]["file_id"] == "file_2"
        assert not image.get("text")


# -- Azure -------------------------------------------------------------------------------------------------------------


async def test_azure_wants_a_version_and_shows_when_a_step_is_to_end() -> None:
    async with talking("azure") as talk:
        answer = await talk.run()
        assert answer.frames[-1] == ("done", "[DONE]")
        steps = [payload for name, payload in answer.frames if name and name.startswith("thread.run.step.")]
        assert [("expires_at" in step, "expired_at" in step) for step in steps] == [(True, False)] * 3
        path = f"/threads/{talk.thread_id}/runs/{answer.frames[0][1]['id']}/steps"
        listed = (await talk.ask("GET", path)).json["data"]
        assert [("expires_at" in step, "expired_at" in step) for step in listed] == [(True, False)]
        refused = await talk._replace(query={}).run()
        assert (refused.status, refused.json["error"]["code"]) == (400, "MissingApiVersionParameter")


# -- faults in a dialect -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "last"), [
    ("litellm", b'"code":"500"}}\n\n'), ("azure", b"event: done\ndata: [DONE]\n\n"), ("astra", b'"}}]}}}\n\n'),
    ("open-assistant-api", b"}]}}\r\n\r\n"),
])  # fmt: skip
async def test_an_error_in_the_middle_is_told_as_the_server_tells_it(dialect: DialectName, last: bytes) -> None:
    async with talking(dialect) as talk:
        talk.server.inject(Fault("error_event", at_byte=5_000))
        answer = await talk.run()
        assert answer.body.endswith(last), answer.body[-200:]
