"""LiteLLM's `/v1/responses`, used as if it had threads and runs: the Responses bridge before it, the embedded server behind."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from bridged import check_legal, names, text_of
from tcp_proxy import PASS, Plan, TcpProxy
from usual_events import USUAL

from aiorunstream import (
    AsyncClient,
    NotFoundError,
    ResponsesBackend,
    RetryPolicy,
    RunEvent,
    StreamInterruptedError,
    ToolSet,
    UnknownEvent,
    Usage,
)
from aiorunstream.backends.responses import ThreadMode
from aiorunstream.server import CallTool, ScriptedEngine
from interop.conftest import upstream_with, variable

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

SAID = "Grüße nach Tromsø, \u2028 eins, zwei 🙂"
MODES: tuple[ThreadMode, ...] = ("previous_response_id", "replay")
EACH_MODE = pytest.mark.parametrize("mode", MODES)


def get_weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"{city}: 21 degrees"


TOOLS = ToolSet([get_weather])


@pytest.fixture
async def engine() -> AsyncGenerator[ScriptedEngine]:
    """What is said behind LiteLLM: two texts; a third run that calls a function, and its answer."""
    script = ScriptedEngine([
        [SAID[:9], SAID[9:], Usage(7, 5, 12)],
        [CallTool("get_weather", '{"city": "Tromsø"}', id="call_1"), Usage(1, 2, 3)],
        ["Cold.", Usage(1, 2, 3)],
    ])  # fmt: skip
    async with upstream_with(script):
        yield script


def client_of(
    mode: ThreadMode, *, route: str = "/v1", background: bool = False, port: int | None = None, **settings: Any
) -> AsyncClient:
    url = variable("INTEROP_LITELLM_URL") if port is None else f"http://127.0.0.1:{port}"
    backend = ResponsesBackend(
        url + route,
        background=background,
        threads=mode,
        assistants={"asst_1": {"model": "gpt-4o", "instructions": "Be brief.", "tools": TOOLS.definitions}},
    )
    return AsyncClient(
        backend=backend, api_key=variable("INTEROP_LITELLM_KEY"), retry=RetryPolicy(attempts=1), **settings
    )


async def run_of(client: AsyncClient, thread_id: str) -> list[RunEvent]:
    async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
        events = [event async for event in stream]
    assert stream.outcome == "completed"
    return events


@EACH_MODE
async def test_the_events_of_a_run_are_typed_and_in_order(mode: ThreadMode, engine: ScriptedEngine) -> None:
    async with client_of(mode) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        events = await run_of(client, thread.id)
        (run,) = (await client.threads.runs.list(thread.id)).data

    assert not [event for event in events if isinstance(event, UnknownEvent)]
    check_legal(events)
    assert list(dict.fromkeys(names(events))) == USUAL
    assert text_of(events) == SAID
    assert (run.usage, engine.turns[0].run.instructions) == (Usage(7, 5, 12), "Be brief.")


@EACH_MODE
async def test_tools_are_called_and_the_thread_is_remembered(mode: ThreadMode, engine: ScriptedEngine) -> None:
    async with client_of(mode) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        await run_of(client, thread.id)
        await client.threads.messages.create(thread.id, role="user", content="and then?")
        async with client.threads.runs.stream(thread.id, assistant_id="asst_1", tools=TOOLS) as stream:
            assert [text async for text in stream.text_deltas()] == ["Cold."]
        run = await stream.get_final_run()

    assert (run.status, run.usage) == ("completed", Usage(2, 4, 6))
    heard = [[message.text for message in turn.messages] for turn in engine.turns]
    assert heard == [["Hello"], ["Hello", SAID, "and then?"], ["Hello", SAID, "and then?"]]
    assert [call.output for call in engine.turns[2].tool_outputs] == ["Tromsø: 21 degrees"]


async def test_it_has_no_conversations_and_the_error_says_what_to_do(engine: ScriptedEngine) -> None:
    async with client_of("conversation") as client:
        with pytest.raises(NotFoundError) as raised:
            await client.threads.create()

    assert any("previous_response_id" in note for note in raised.value.__notes__)
    assert not engine.turns


@pytest.mark.parametrize("mode", ["conversation", *MODES])
async def test_where_requests_are_passed_on_all_of_it_works(mode: ThreadMode, engine: ScriptedEngine) -> None:
    async with client_of(mode, route="/openai", background=mode != "replay") as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        assert text_of(await run_of(client, thread.id)) == SAID
        await client.threads.messages.create(thread.id, role="user", content="and then?")
        async with client.threads.runs.stream(thread.id, assistant_id="asst_1", tools=TOOLS) as stream:
            assert [text async for text in stream.text_deltas()] == ["Cold."]

    heard = [[message.text for message in turn.messages] for turn in engine.turns]
    assert heard == [["Hello"], ["Hello", SAID, "and then?"], ["Hello", SAID, "and then?"]]


@asynccontextmanager
async def cut_in_the_middle(**settings: Any) -> AsyncGenerator[AsyncClient]:
    """A client whose first connection breaks while the text comes."""
    port = urlsplit(variable("INTEROP_LITELLM_URL")).port
    assert port is not None
    plans = iter([Plan("cut", 15_000)])
    async with (
        upstream_with(ScriptedEngine([WORDS])),
        TcpProxy(port, to_client=lambda _: next(plans, PASS)) as proxy,
        client_of("previous_response_id", background=True, port=proxy.port, **settings) as client,
    ):
        yield client


WORDS = [f"word {number} " for number in range(100)]


async def test_where_requests_are_passed_on_a_break_is_resumed() -> None:
    async with cut_in_the_middle(route="/openai") as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        assert text_of(await run_of(client, thread.id)) == "".join(WORDS)


async def test_its_own_route_resumes_nothing_and_recovering_gets_all_of_it() -> None:
    async with cut_in_the_middle() as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        with pytest.raises(StreamInterruptedError) as raised:
            await run_of(client, thread.id)
    assert any("not resumed" in note and "application/json" in note for note in raised.value.__notes__)

    async with cut_in_the_middle(recover=True) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        assert text_of(await run_of(client, thread.id)) == "".join(WORDS)
