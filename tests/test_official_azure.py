"""Azure's package for agents against the embedded server: the same protocol through other eyes.

It adds `?api-version=` to every URL, splits events on blank lines itself, and calls assistants agents.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# The package leaves the type parameter of its event handlers out of its own signatures.

import json

import pytest

pytest.importorskip("azure.ai.agents", reason="needs the official azure-ai-agents package")

from azure.ai.agents.models import (
    AgentStreamEvent,
    FunctionTool,
    ListSortOrder,
    MessageDeltaChunk,
    MessageRole,
    RunStep,
    RunStepToolCallDetails,
    ThreadMessage,
    ThreadRun,
    ToolOutput,
)
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure_client import AT_ONCE, WEATHER, Notes, calls_of, ready, talking, text_of, whole
from usual_events import A_TEXT_ANSWER

# -- objects and lists -----------------------------------------------------------------------------------------------


async def test_agents_threads_and_messages_are_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        agent = await client.create_agent(
            model="parrot",
            name="Polly",
            instructions="Say it back.",
            tools=[WEATHER],
            metadata={"a": "1"},
            temperature=0.5,
        )
        assert (agent.name, agent.temperature, agent.metadata) == ("Polly", 0.5, {"a": "1"})
        assert agent.tools[0].as_dict() == WEATHER.as_dict()
        changed = await client.update_agent(agent.id, name="Jack")
        assert (changed.name, changed.instructions) == ("Jack", "Say it back.")
        assert (await client.get_agent(agent.id)) == changed

        thread = await client.threads.create(metadata={"a": "1"})
        assert (await client.threads.get(thread.id)) == thread
        assert (await client.threads.update(thread.id, metadata={"b": "2"})).metadata == {"b": "2"}

        message = await client.messages.create(thread.id, role="user", content="Hello")
        assert text_of(message) == "Hello"
        assert (await client.messages.get(thread.id, message.id)) == message
        updated = await client.messages.update(thread.id, message.id, metadata={"c": "3"})
        assert updated.metadata == {"c": "3"}

        await client.threads.delete(thread.id)
        await client.delete_agent(agent.id)
        for ask in (client.threads.get(thread.id), client.get_agent(agent.id)):
            with pytest.raises(ResourceNotFoundError):
                await ask


async def test_every_page_of_a_list_is_read() -> None:
    async with talking() as (server, client):
        thread_id, agent_id = await ready(client, "0")
        for number in range(1, 5):
            await client.messages.create(thread_id, role="user", content=str(number))
        messages = client.messages.list(thread_id, limit=2, order=ListSortOrder.ASCENDING)
        assert [text_of(message) async for message in messages] == ["0", "1", "2", "3", "4"]
        runs = [
            (await client.runs.create_and_process(thread_id, agent_id=agent_id, polling_interval=AT_ONCE))
            for _ in range(3)
        ]
        assert [run.id async for run in client.runs.list(thread_id, limit=1)] == [run.id for run in runs][::-1]
        steps = [step async for step in client.run_steps.list(thread_id, runs[0].id, limit=1)]
        assert [step.status for step in steps] == ["completed"]
        agents = [agent_id, *[(await client.create_agent(model="parrot")).id for _ in range(4)]]
        server.requests.clear()
        assert [agent.id async for agent in client.list_agents(limit=2)] == agents[::-1]
        # It goes on until a page has no last id, whatever `has_more` says.
        assert list(server.requests) == [("GET", "/v1/assistants")] * 4


# -- runs ------------------------------------------------------------------------------------------------------------


async def test_a_run_streams_without_a_handler_of_ours() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client, "Good morning")
        names: list[str] = []
        text = ""
        run: ThreadRun | None = None
        async with await client.runs.stream(thread_id, agent_id=agent_id, metadata={"a": "1"}) as stream:
            async for name, data, _result in stream:
                names.append(name)
                if isinstance(data, MessageDeltaChunk):
                    text += data.text
                elif isinstance(data, ThreadRun):
                    run = data
                elif name != AgentStreamEvent.DONE:
                    assert isinstance(data, (ThreadMessage, RunStep)), name
        assert whole(names) == [*A_TEXT_ANSWER, "done"]
        assert run is not None
        assert (run.status, run.metadata, run.agent_id) == ("completed", {"a": "1"}, agent_id)
        assert run.usage is not None
        answer = await client.messages.get_last_message_text_by_role(thread_id, MessageRole.AGENT)
        assert answer is not None
        assert answer.text.value == text
        assert "Good morning" in text
        assert len(names) - len(whole(names)) > 5


async def test_a_run_streams_through_a_handler() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client, "Good morning")
        notes = Notes()
        async with await client.runs.stream(thread_id, agent_id=agent_id, event_handler=notes) as stream:
            await stream.until_done()
        assert notes.is_done
        assert notes.strange == []
        assert [run.status for run in notes.runs] == ["queued", "queued", "in_progress", "completed"]
        assert [step.status for step in notes.steps] == ["in_progress", "in_progress", "completed"]
        assert [message.status for message in notes.messages] == ["in_progress", "in_progress", "completed"]
        assert text_of(notes.messages[-1]) == notes.text
        assert "Good morning" in notes.text


async def test_plain_runs_are_polled_to_their_end() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client)
        run = await client.runs.create_and_process(thread_id, agent_id=agent_id, polling_interval=AT_ONCE)
        assert run.status == "completed"
        assert (await client.runs.get(thread_id, run.id)) == run
        assert (await client.runs.update(thread_id, run.id, metadata={"a": "1"})).metadata == {"a": "1"}
        both = await client.create_thread_and_process_run(agent_id=agent_id, polling_interval=AT_ONCE)
        assert both.status == "completed"
        assert both.thread_id != thread_id


async def test_a_run_that_waits_is_cancelled() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client, "get_weather please", WEATHER)
        run = await client.runs.create(thread_id, agent_id=agent_id)
        while run.status != "requires_action":
            run = await client.runs.get(thread_id, run.id)
        run = await client.runs.cancel(thread_id, run.id)
        while run.status == "cancelling":
            run = await client.runs.get(thread_id, run.id)
        assert run.status == "cancelled"
        with pytest.raises(HttpResponseError, match="Cannot cancel run") as caught:
            await client.runs.cancel(thread_id, run.id)
        assert caught.value.status_code == 400


# -- tools -----------------------------------------------------------------------------------------------------------


async def test_a_tool_call_goes_there_and_back_in_one_stream_of_the_package() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client, "get_weather please", WEATHER)
        names: list[str] = []
        notes = Notes()
        async with await client.runs.stream(thread_id, agent_id=agent_id, event_handler=notes) as stream:
            async for name, data, _result in stream:
                names.append(name)
                if isinstance(data, ThreadRun) and data.status == "requires_action":
                    (call,) = calls_of(data)
                    assert call.function.name == "get_weather"
                    assert json.loads(call.function.arguments) == {"city": "Kyiv"} == json.loads(notes.arguments)
                    await client.runs.submit_tool_outputs_stream(
                        thread_id,
                        data.id,
                        tool_outputs=[ToolOutput(tool_call_id=call.id, output="sunny")],
                        event_handler=notes,  # it goes on with the second answer where the first ends
                    )
        assert whole(names) == [
            *A_TEXT_ANSWER[:5],
            "thread.run.requires_action",
            "done",
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
            *A_TEXT_ANSWER[3:],
            "done",
        ]
        assert "sunny" in notes.text
        assert notes.strange == []
        details = next(step for step in notes.steps if step.status == "completed").step_details
        assert isinstance(details, RunStepToolCallDetails)
        assert details.tool_calls[0].as_dict()["function"]["output"] == "sunny"


async def test_functions_are_called_by_the_package_itself() -> None:
    asked: list[str] = []

    async def get_weather(city: str) -> str:
        """
        Tells the weather.

        :param city: the city
        :return: a word
        """
        asked.append(city)
        return "rain"

    async with talking() as (_, client):
        functions = {get_weather}
        client.enable_auto_function_calls(functions)
        definitions = FunctionTool(functions).definitions
        thread_id, agent_id = await ready(client, "get_weather please", *definitions)
        notes = Notes()
        async with await client.runs.stream(thread_id, agent_id=agent_id, event_handler=notes) as stream:
            await stream.until_done()
        assert len(asked) == 1
        assert "rain" in notes.text
        assert notes.runs[-1].status == "completed"
        run = await client.runs.create_and_process(thread_id, agent_id=agent_id, polling_interval=AT_ONCE)
        assert run.status == "completed"
        assert len(asked) == 2


async def test_outputs_are_submitted_plainly() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client, "get_weather please", WEATHER)
        run = await client.runs.create(thread_id, agent_id=agent_id)
        while run.status != "requires_action":
            run = await client.runs.get(thread_id, run.id)
        outputs = [ToolOutput(tool_call_id=call.id, output="sunny") for call in calls_of(run)]
        with pytest.raises(HttpResponseError, match="two outputs"):
            await client.runs.submit_tool_outputs(thread_id, run.id, tool_outputs=[*outputs, *outputs])
        run = await client.runs.submit_tool_outputs(thread_id, run.id, tool_outputs=outputs)
        while run.status != "completed":
            assert run.status in ("queued", "in_progress")
            run = await client.runs.get(thread_id, run.id)


# -- errors ----------------------------------------------------------------------------------------------------------


async def test_errors_come_as_the_exceptions_of_the_package() -> None:
    async with talking() as (_, client):
        thread_id, agent_id = await ready(client, "get_weather please", WEATHER)
        with pytest.raises(ResourceNotFoundError, match="run_none"):
            await client.runs.get(thread_id, "run_none")
        with pytest.raises(ResourceNotFoundError, match="asst_none"):
            await client.runs.stream(thread_id, agent_id="asst_none")
        with pytest.raises(HttpResponseError, match="temperature must be a number from 0 to 2") as caught:
            await client.create_agent(model="parrot", temperature=9)
        assert caught.value.status_code == 400
        run = await client.runs.create(thread_id, agent_id=agent_id)
        with pytest.raises(HttpResponseError, match=f"already has an active run {run.id}"):
            await client.runs.stream(thread_id, agent_id=agent_id)
        with pytest.raises(HttpResponseError, match="Can't add messages"):
            await client.messages.create(thread_id, role="user", content="x")


async def test_keys_are_asked_for_and_taken_as_azure_sends_them() -> None:
    async with talking(api_keys="right") as (_, client):
        with pytest.raises(ClientAuthenticationError, match="Incorrect API key"):
            await client.threads.create()
        with pytest.raises(ClientAuthenticationError):
            await client.threads.create(headers={"api-key": "wrong"})
        assert (await client.threads.create(headers={"api-key": "right"})).id
        assert (await client.threads.create(headers={"Authorization": "Bearer right"})).id
