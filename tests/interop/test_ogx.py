"""OGX as its users run it, used as if it had threads and runs: the Responses bridge, against a server that it did not write."""

from collections.abc import AsyncGenerator

import pytest
from usual_events import USUAL

from aiorunstream import (
    AssistantStream,
    AsyncClient,
    RetryPolicy,
    RunEvent,
    ThreadMessageCompleted,
    ThreadRunCompleted,
    ToolSet,
    UnknownEvent,
)
from aiorunstream.backends import HttpBackend
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.cli._doctor_checks import Doctor
from interop.chat_model import ChatModel, chat_model
from interop.conftest import variable

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

SAID = "Grüße nach Tromsø, \u2028 eins zwei 🙂"
MODEL = "openai/gpt-4o"
MODES: tuple[ThreadMode, ...] = ("conversation", "previous_response_id", "replay")
EACH_MODE = pytest.mark.parametrize("mode", MODES)


def get_weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"{city}: 21 degrees"


def client_of(mode: ThreadMode) -> AsyncClient:
    backend = ResponsesBackend(f"{variable('INTEROP_OGX_URL')}/v1", threads=mode)
    return AsyncClient(backend=backend, api_key=variable("INTEROP_OGX_KEY"), retry=RetryPolicy(attempts=1))


@pytest.fixture
async def model() -> AsyncGenerator[ChatModel]:
    async with chat_model(int(variable("INTEROP_UPSTREAM_PORT"))) as found:
        yield found


async def run_of(client: AsyncClient, thread_id: str, assistant_id: str) -> tuple[list[RunEvent], str]:
    call = client.threads.runs.create_stream(thread_id, assistant_id=assistant_id)
    async with call as stream:
        events = [event async for event in stream]
    assert stream.outcome == "completed"
    completed = [event for event in events if isinstance(event, ThreadMessageCompleted)]
    return events, "".join(event.data.text for event in completed)


@EACH_MODE
async def test_the_events_of_a_run_are_typed_and_in_order(mode: ThreadMode, model: ChatModel) -> None:
    async with client_of(mode) as client:
        assistant = await client.assistants.create(model=MODEL)
        thread = await client.threads.create()
        await client.threads.messages.create(thread.id, role="user", content=SAID)
        events, text = await run_of(client, thread.id, assistant.id)

    assert not [event for event in events if isinstance(event, UnknownEvent)]
    assert list(dict.fromkeys(event.event for event in events)) == USUAL
    assert isinstance(events[-1], ThreadRunCompleted)
    assert events[-1].data.usage is not None
    assert text.strip() == f"1: {SAID}"


@EACH_MODE
async def test_a_thread_is_remembered_from_run_to_run(mode: ThreadMode, model: ChatModel) -> None:
    async with client_of(mode) as client:
        assistant = await client.assistants.create(model=MODEL)
        thread = await client.threads.create(messages=[{"role": "user", "content": SAID}])
        await run_of(client, thread.id, assistant.id)
        await client.threads.messages.create(thread.id, role="user", content="and then?")
        _, then = await run_of(client, thread.id, assistant.id)

    assert then.strip() == "2: and then?"  # the model was shown both messages


@EACH_MODE
async def test_tools_are_called_and_their_outputs_heard(mode: ThreadMode, model: ChatModel) -> None:
    tools = ToolSet([get_weather])
    async with client_of(mode) as client:
        assistant = await client.assistants.create(model=MODEL, tools=tools.definitions)
        thread = await client.threads.create(messages=[{"role": "user", "content": "get_weather"}])
        call = client.threads.runs.create_stream(thread.id, assistant_id=assistant.id)
        async with AssistantStream(call, tools=tools) as stream:
            await stream.until_done()

    assert stream.outcome == "completed"
    assert model.asked[-1]["messages"][-1]["role"] == "tool"
    assert "21 degrees" in str(model.asked[-1]["messages"][-1]["content"])


async def test_the_doctor_knows_that_it_has_responses_only(model: ChatModel) -> None:
    base_url = f"{variable('INTEROP_OGX_URL')}/v1"
    report = await Doctor(HttpBackend(base_url), base_url, assistant_id=None, model=MODEL, seconds=60).look()
    print(report.as_text())

    assert report.routes["create_thread"].verdict == "no"
    assert report.routes["create_response"].verdict == "yes"
    assert report.routes["create_conversation"].verdict == "yes"
    assert any('threads="conversation"' in advice for advice in report.advice)
    assert report.left_behind == []
