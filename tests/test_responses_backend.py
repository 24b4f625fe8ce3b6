"""The bridge through the client, against the embedded server: the same program, whoever remembers the thread."""

from typing import Any

import msgspec
import pytest
from bridge_client import (
    ASSISTANTS,
    MODES,
    SERVERS,
    Seen,
    asked,
    bridged,
    read,
    texts,
)
from bridged import JSON, check_legal, names

from aiorunstream import (
    AsyncClient,
    ConfigurationError,
    NotFoundError,
    ToolSet,
    function_tool,
)
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.models import FunctionToolCall, ToolCallsStepDetails, UnknownPart, Usage
from aiorunstream.server import (
    AskApproval,
    CallTool,
    ScriptedEngine,
    UseTool,
)

# -- the same program everywhere -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threads", "responses"), SERVERS)
async def test_a_talk_with_tools_goes_on_over_several_runs(threads: ThreadMode, responses: Any) -> None:
    cities: list[str] = []

    @function_tool
    def get_weather(city: str) -> str:
        """The weather."""
        cities.append(city)
        return "sunny"

    engine = Seen(ScriptedEngine([
        ["One."], [CallTool("get_weather", '{"city": "Oslo"}')], ["Sunny."], ["Three."]
    ]))  # fmt: skip
    async with bridged(threads, responses=responses, engine=engine) as (client, _):
        thread_id = await asked(client, "First")
        await read(client, thread_id)
        await client.threads.messages.create(thread_id, role="user", content="Second")
        async with client.threads.runs.stream(thread_id, assistant_id="asst_1", tools=ToolSet([get_weather])) as stream:
            assert [text async for text in stream.text_deltas()] == ["Sunny."]
            run = await stream.get_final_run()
        await read(client, thread_id, additional_messages=[{"role": "user", "content": "Third"}])
        talk = [("user", "First"), ("assistant", "One."), ("user", "Second"), ("assistant", "Sunny.")]
        talk += [("user", "Third"), ("assistant", "Three.")]
        assert await texts(client, thread_id) == talk
        assert (run.status, cities) == ("completed", ["Oslo"])
        steps = [step async for step in client.threads.runs.steps.list(run.id, thread_id=thread_id, order="asc")]
        assert [step.type for step in steps] == ["tool_calls", "message_creation"]
        assert isinstance(steps[0].step_details, ToolCallsStepDetails)
        (call,) = steps[0].step_details.tool_calls
        assert isinstance(call, FunctionToolCall)
        assert call.function.output == "sunny"
    # What the model was shown each time: all that was said before.
    heard = [[message.text for message in turn.messages] for turn in engine.turns]
    assert heard[0] == ["First"]
    assert heard[1] == ["First", "One.", "Second"]
    assert heard[2] == ["First", "One.", "Second"]
    assert heard[3] == ["First", "One.", "Second", "Sunny.", "Third"]
    assert [call.output for call in engine.turns[2].tool_outputs] == ["sunny"]


@pytest.mark.parametrize("threads", MODES)
async def test_a_run_on_a_new_thread_tells_of_that_first(threads: ThreadMode) -> None:
    async with bridged(threads) as (client, _):
        thread: JSON = {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}}
        async with client.threads.create_and_run_stream(assistant_id="asst_1", thread=thread) as stream:
            events = [event async for event in stream]
        assert names(events)[:3] == ["thread.created", "thread.run.created", "thread.run.queued"]
        check_legal(events[1:])
        assert stream.thread_id is not None
        assert (await client.threads.retrieve(stream.thread_id)).metadata == {"a": "b"}
        run = await client.threads.create_and_run(assistant_id="asst_1", thread=thread)
        assert run.status == "queued"
        assert (await client.threads.runs.poll(run.id, thread_id=run.thread_id)).status == "completed"


@pytest.mark.parametrize("threads", MODES)
async def test_a_run_without_a_stream_goes_on_by_itself(threads: ThreadMode) -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1")], ["Sunny."]])
    async with bridged(threads, engine=engine) as (client, _):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        assert run.status == "queued"
        run = await client.threads.runs.poll(run.id, thread_id=thread_id)
        assert run.status == "requires_action"
        outputs: list[JSON] = [{"tool_call_id": "call_1", "output": "sunny"}]
        run = await client.threads.runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=outputs)
        assert run.status == "queued"
        run = await client.threads.runs.poll(run.id, thread_id=thread_id)
        assert (run.status, (await texts(client, thread_id))[-1]) == ("completed", ("assistant", "Sunny."))
        assert [one.id async for one in client.threads.runs.list(thread_id)] == [run.id]


async def test_what_was_asked_for_is_what_the_server_hears() -> None:
    engine = Seen(ScriptedEngine([["Hi"]]))
    async with bridged(engine=engine) as (client, _):
        await read(
            client,
            await asked(client),
            model="other",
            temperature=0.5,
            max_completion_tokens=300,
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
            metadata={"a": "b"},
            additional_instructions="And kind.",
        )
    run = engine.turns[0].run
    assert (run.model, run.temperature, run.max_completion_tokens, run.metadata) == ("other", 0.5, 300, {"a": "b"})
    assert run.instructions == "Be brief.\nAnd kind."
    assert msgspec.to_builtins(run.response_format)["json_schema"]["name"] == "a"
    assert [tool.function.name for tool in run.tools] == ["get_weather"]


async def test_native_tools_are_sent_and_what_they_did_is_kept_as_it_is() -> None:
    search: JSON = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    engine = ScriptedEngine([[UseTool(search), "Found."]])
    async with bridged(engine=engine) as (client, _):
        events = await read(client, await asked(client), tools=[{"type": "web_search"}])
        assert "response.web_search_call.searching" in names(events)
        run = [one async for one in client.threads.runs.list(await asked(client))]
        assert run == []
        details = [getattr(event.data, "step_details", None) for event in events]
        calls = [call for one in details if isinstance(one, ToolCallsStepDetails) for call in one.tool_calls]
        assert calls == [UnknownPart(search)]


async def test_leave_is_given_as_outputs_are() -> None:
    engine = ScriptedEngine([[AskApproval("roll", "{}", "dice", id="mcpr_1")], ["Four."]])
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            async for _event in stream:
                pass
            assert [getattr(call, "id", None) for call in stream.run.calls_to_approve] == ["mcpr_1"]  # type: ignore[union-attr]
            approvals: list[JSON] = [{"tool_call_id": "mcpr_1", "approve": True}]
            async with stream.submit_tool_outputs(tool_approvals=approvals) as more:
                check_legal([event async for event in more])
        assert (await texts(client, thread_id))[-1] == ("assistant", "Four.")


async def test_a_run_that_has_spent_its_tokens_asks_for_nothing_more() -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1"), Usage(300, 1, 301)], ["Never."]])
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(
            thread_id, assistant_id="asst_1", max_completion_tokens=300
        ) as stream:
            async for _event in stream:
                pass
            posts = sum(path == "/v1/responses" for _, path in server.requests)
            async with stream.submit_tool_outputs([{"tool_call_id": "call_1", "output": "x"}]) as more:
                events = [event async for event in more]
        check_legal(events)
        assert (more.outcome, more.run_id) == ("incomplete", stream.run_id)
        assert sum(path == "/v1/responses" for _, path in server.requests) == posts == 1


# -- assistants ------------------------------------------------------------------------------------------------------


async def test_assistants_are_those_of_the_dict_and_can_be_changed() -> None:
    engine = Seen(ScriptedEngine([["Hi"], ["Ho"]]))
    async with bridged(engine=engine) as (client, _):
        assert {one.id async for one in client.assistants.list()} == set(ASSISTANTS)
        found = await client.assistants.retrieve("asst_1")
        assert (found.model, found.instructions) == ("parrot", "Be brief.")
        made = await client.assistants.create(model="m", tools=[{"type": "web_search"}], temperature=0.5)
        assert made.tools == (UnknownPart({"type": "web_search"}),)
        await client.assistants.update(made.id, instructions="Sing.", temperature=1.5)
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id=made.id) as stream:
            async for _event in stream:
                pass
        run = engine.turns[0].run
        assert (run.model, run.instructions, run.temperature) == ("m", "Sing.", 1.5)
        await client.assistants.delete(made.id)
        with pytest.raises(NotFoundError):
            await client.threads.runs.create(thread_id, assistant_id=made.id)


async def test_an_assistant_that_a_server_once_showed_is_a_definition() -> None:
    shown: JSON = {
        "id": "asst_old", "object": "assistant", "created_at": 1, "name": None, "description": None, "model": "gpt-4o",
        "instructions": "Be brief.", "tools": [{"type": "code_interpreter"}], "tool_resources": {}, "metadata": {},
        "temperature": 1.0, "top_p": 1.0, "response_format": "auto",
    }  # fmt: skip
    backend = ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants={"asst_old": shown})
    async with AsyncClient(backend=backend) as client:
        assert (await client.assistants.retrieve("asst_old")).model == "gpt-4o"


@pytest.mark.parametrize("definition", [
    {}, {"model": "m", "colour": "red"}, {"model": "m", "temperature": 9}, {"model": "m", "tools": [{"type": "function"}]},
])  # fmt: skip
def test_a_definition_that_cannot_be_meant_names_its_assistant(definition: JSON) -> None:
    with pytest.raises(ConfigurationError, match="asst_x"):
        ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants={"asst_x": definition})


def test_a_backend_that_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="conversation"):
        ResponsesBackend("http://127.0.0.1:1/v1", threads="nobody")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="background"):
        ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", background=True)
    with pytest.raises(ConfigurationError, match="at_once"):
        ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", add_messages="later")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="base_url"):
        ResponsesBackend("nowhere", threads="replay")


def test_a_backend_is_shown_by_its_base_url() -> None:
    backend = ResponsesBackend("http://127.0.0.1:1/v1/", threads="replay", assistants=ASSISTANTS)
    assert repr(backend) == "ResponsesBackend('http://127.0.0.1:1/v1')"


@pytest.mark.parametrize("definition", ["gpt-5.1", None, ["gpt-5.1"]], ids=repr)
def test_an_assistant_that_is_no_definition_is_refused_by_its_name(definition: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"assistants\['asst_1'\] must be a dict or a Struct"):
        ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants={"asst_1": definition})
    several: Any = [definition]
    with pytest.raises(ConfigurationError, match="assistants must be a dict"):
        ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants=several)
