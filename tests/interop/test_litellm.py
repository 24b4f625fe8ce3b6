"""LiteLLM as its users run it, with the embedded server behind it: its own routes, and those it passes on."""

import asyncio
from typing import NamedTuple

import pytest
from raw_server import CREATED, DONE, event, run_json
from usual_events import USUAL

from aiorunstream import (
    AssistantStream,
    AsyncClient,
    NotFoundError,
    RetryPolicy,
    RunEvent,
    RunStreamError,
    StreamError,
    ThreadMessageCompleted,
    ThreadRunCompleted,
    ToolSet,
    UnknownEvent,
    Usage,
)
from aiorunstream.backends import HttpBackend
from aiorunstream.cli._doctor_checks import Doctor
from aiorunstream.server import AssistantsServer, Item, ScriptedEngine
from interop.conftest import upstream_saying, upstream_with, variable

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

SAID = "Grüße nach Tromsø, \u2028 eins, zwei, drei 🙂"
ROUTES = {"own": "/v1", "passed on": "/openai"}
EITHER = pytest.mark.parametrize("route", ROUTES)


def get_weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"{city}: 21 degrees"


class Heard(NamedTuple):
    events: list[RunEvent]
    text: str


def client_of(route: str) -> AsyncClient:
    base_url = variable("INTEROP_LITELLM_URL") + ROUTES[route]
    return AsyncClient(base_url=base_url, api_key=variable("INTEROP_LITELLM_KEY"), retry=RetryPolicy(attempts=1))


async def begun(client: AsyncClient) -> tuple[str, str]:
    assistant = await client.assistants.create(model="gpt-4o")
    thread = await client.threads.create()
    await client.threads.messages.create(thread.id, role="user", content=SAID)
    return thread.id, assistant.id


async def heard_through(client: AsyncClient) -> Heard:
    thread_id, assistant_id = await begun(client)
    async with client.threads.runs.create_stream(thread_id, assistant_id=assistant_id) as stream:
        events = [event async for event in stream]
    assert stream.outcome == "completed"
    completed = [event for event in events if isinstance(event, ThreadMessageCompleted)]
    return Heard(events, "".join(event.data.text for event in completed))


@EITHER
async def test_the_events_of_a_run_are_typed_and_in_order(route: str) -> None:
    script: list[Item] = [SAID[:7], SAID[7:21], SAID[21:], Usage(7, 5, 12)]
    async with upstream_with(ScriptedEngine([script, script])) as upstream:
        async with client_of(route) as client:
            heard = await heard_through(client)
        async with AsyncClient(base_url=upstream.base_url) as client:
            direct = await heard_through(client)

    assert not [event for event in heard.events if isinstance(event, UnknownEvent)]
    names = [event.event for event in heard.events]
    assert list(dict.fromkeys(names)) == USUAL
    assert names == [event.event for event in direct.events]
    assert heard.text == direct.text == SAID
    last = heard.events[-1]
    assert isinstance(last, ThreadRunCompleted)
    assert last.data.usage == Usage(7, 5, 12)


ERROR = {"message": "The model is gone.", "type": "server_error", "code": "server_error", "param": None}

WORKING = event(
    "thread.run.in_progress", run_json("in_progress")
)  # it refuses deltas of messages it has not seen begin


async def read_all(client: AsyncClient) -> None:
    thread_id, assistant_id = await begun(client)
    async with client.threads.runs.create_stream(thread_id, assistant_id=assistant_id) as stream:
        async for _ in stream:
            pass


@EITHER
async def test_an_error_in_the_middle_of_a_stream_passes_through(route: str) -> None:
    async with upstream_saying(CREATED + WORKING + event("error", {"error": ERROR}) + DONE), client_of(route) as client:
        with pytest.raises(RunStreamError, match="The model is gone") as raised:
            await read_all(client)

    assert raised.value.events_seen == 2
    assert raised.value.type == "server_error"


@EITHER
async def test_an_error_that_is_not_wrapped_is_an_error_too(route: str) -> None:
    # Its own route takes the name off it, and says [DONE] as if all were well.
    async with upstream_saying(CREATED + WORKING + event("error", ERROR) + DONE), client_of(route) as client:
        with pytest.raises(StreamError) as raised:
            await read_all(client)

    assert raised.value.outcome is None
    if route == "passed on":
        assert isinstance(raised.value, RunStreamError)


@EITHER
async def test_an_error_before_a_stream_is_an_error(route: str, upstream: AssistantsServer) -> None:
    async with client_of(route) as client:
        thread_id, _ = await begun(client)
        with pytest.raises(Exception, match="No assistant found") as raised:
            async with client.threads.runs.create_stream(thread_id, assistant_id="asst_none"):
                pass

    assert variable("INTEROP_LITELLM_KEY") not in repr(raised.value) + str(raised.value)


async def test_tools_are_called_where_requests_are_passed_on(upstream: AssistantsServer) -> None:
    tools = ToolSet([get_weather])
    async with client_of("passed on") as client:
        assistant = await client.assistants.create(model="gpt-4o", tools=tools.definitions)
        thread = await client.threads.create(messages=[{"role": "user", "content": "get_weather"}])
        call = client.threads.runs.create_stream(thread.id, assistant_id=assistant.id)
        async with AssistantStream(call, tools=tools) as stream:
            await stream.until_done()

    assert stream.outcome == "completed"
    assert ("POST", f"/v1/threads/{thread.id}/runs") in upstream.requests


async def test_its_own_routes_have_none_for_tool_outputs(upstream: AssistantsServer) -> None:
    async with client_of("own") as client:
        thread_id, _ = await begun(client)
        with pytest.raises(NotFoundError):
            await client.threads.runs.retrieve("run_any", thread_id=thread_id)
        with pytest.raises(NotFoundError):
            await client.threads.runs.submit_tool_outputs("run_any", thread_id=thread_id, tool_outputs=[])


@EITHER
async def test_many_runs_at_once_keep_to_themselves(route: str, upstream: AssistantsServer) -> None:
    async with client_of(route) as client:
        heard = await asyncio.gather(*(heard_through(client) for _ in range(10)))

    assert all("Grüße nach Tromsø" in one.text for one in heard)
    assert len({one.events[-1].data.id for one in heard if isinstance(one.events[-1], ThreadRunCompleted)}) == 10


@EITHER
async def test_the_doctor_knows_it(route: str, upstream: AssistantsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", variable("INTEROP_LITELLM_KEY"))
    base_url = variable("INTEROP_LITELLM_URL") + ROUTES[route]
    report = await Doctor(HttpBackend(base_url), base_url, assistant_id=None, model="gpt-4o", seconds=60).look()
    print(report.as_text())

    assert report.seen is not None
    assert report.seen.dialect == ("litellm" if route == "own" else "openai")
    assert ("tools" in report.failing) == (route == "own")
    assert "streaming" not in report.failing
    assert report.routes["create_response"].verdict == "yes"
    assert report.routes["create_conversation"].verdict == ("no" if route == "own" else "yes")
    assert bool(report.left_behind) == (route == "own")  # it has no route to delete a thread
