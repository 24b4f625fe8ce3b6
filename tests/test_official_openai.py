"""OpenAI's own package against the embedded server: what it sends is understood, what it reads is what it expects.

The client validates every plain answer strictly here, and every event is held against its models as well: in ordinary
use it takes whatever comes.
"""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Never, cast

import msgspec
import pytest

from aiorunstream.server import AssistantsServer, DefaultEngine, Turn

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai import AsyncAssistantEventHandler, AsyncOpenAI, BaseModel
from openai.types.beta import AssistantStreamEvent, FunctionToolParam
from openai.types.beta.threads import Message, Run, Text, TextDelta
from openai.types.beta.threads.run_submit_tool_outputs_params import ToolOutput
from openai.types.beta.threads.runs import RunStep, RunStepDelta, ToolCall, ToolCallDelta

# The package warns on every call of this protocol, which is all that is called here; for assistants in one bare word.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The Assistants API is deprecated in favor of the Responses API:DeprecationWarning",
    "ignore:deprecated$:DeprecationWarning",
)

PATIENCE = 10.0
WEATHER: FunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "default": "Kyiv"}}},
    },
}
TIME: FunctionToolParam = {"type": "function", "function": {"name": "get_time"}}
A_TEXT_ANSWER = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


@asynccontextmanager
async def talking(**settings: Any) -> AsyncGenerator[tuple[AssistantsServer, AsyncOpenAI]]:
    """A server, and a client of it that sends nothing twice: a 500 must not be hidden by a retry."""
    async with (
        asyncio.timeout(PATIENCE),
        AssistantsServer(**settings) as server,
        AsyncOpenAI(
            base_url=server.base_url,
            api_key="sk-any",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
            _strict_response_validation=True,
        ) as client,
    ):
        yield server, client


async def ready(client: AsyncOpenAI, text: str = "Hello", *tools: FunctionToolParam) -> tuple[str, str]:
    """The ids of a thread with one message, and of an assistant."""
    assistant = await client.beta.assistants.create(model="parrot", tools=tools)
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": text}])
    return thread.id, assistant.id


MORE_THAN_THE_MODELS = {"Run.tool_resources", "RunStep.expires_at"}
"""OpenAI's own recorded answers have these too, although neither its description nor its package has."""


def strangers(value: object) -> set[str]:
    """What the package's models do not know, of all that is in a value."""
    found: set[str] = set()
    if isinstance(value, BaseModel):
        found = {f"{type(value).__name__}.{name}" for name in value.model_extra or {}}
        for name in value.model_fields_set:
            found |= strangers(getattr(value, name))
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            found |= strangers(item)
    return found - MORE_THAN_THE_MODELS


def fits(event: BaseModel) -> None:
    """The event is, in all its parts, what the package's models say."""
    type(event).model_validate(event.to_dict())
    assert not strangers(event)


async def all_of(stream: openai.AsyncStream[AssistantStreamEvent]) -> list[AssistantStreamEvent]:
    """Every event to the end of a stream, each looked at closely."""
    async with stream:
        events = [event async for event in stream]
    for event in events:
        fits(event)
    return events


def names(events: Iterable[AssistantStreamEvent]) -> list[str]:
    return [event.event for event in events if not event.event.endswith(".delta")]


def said(events: Iterable[AssistantStreamEvent]) -> str:
    pieces: list[str] = []
    for event in events:
        if event.event == "thread.message.delta":
            for part in event.data.delta.content or []:
                assert part.type == "text"
                assert part.text is not None
                pieces.append(part.text.value or "")
    return "".join(pieces)


def text_of(message: Message) -> str:
    (block,) = message.content
    assert block.type == "text"
    return block.text.value


def calls_of(run: Run) -> dict[str, str]:
    """The names of the functions a run waits for, by call id."""
    assert run.required_action is not None
    return {call.id: call.function.name for call in run.required_action.submit_tool_outputs.tool_calls}


def outputs_for(run: Run, output: str = "sunny") -> list[ToolOutput]:
    return [{"tool_call_id": id, "output": output} for id in calls_of(run)]


class Notes(AsyncAssistantEventHandler):
    """Writes down what the package makes of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.events: list[str] = []
        self.text = self.whole_text = self.arguments = ""
        self.calls: list[ToolCall] = []
        self.steps: list[RunStep] = []
        self.problems: list[Exception] = []

    async def on_event(self, event: AssistantStreamEvent) -> None:
        self.events.append(event.event)

    async def on_message_created(self, message: Message) -> None:
        assert message.status == "in_progress"
        self.heard.append("message created")

    async def on_message_done(self, message: Message) -> None:
        assert text_of(message) == self.text
        self.heard.append("message done")

    async def on_text_created(self, text: Text) -> None:
        self.heard.append("text created")

    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        self.text += delta.value or ""
        assert snapshot.value == self.text

    async def on_text_done(self, text: Text) -> None:
        self.whole_text = text.value
        self.heard.append("text done")

    async def on_run_step_created(self, run_step: RunStep) -> None:
        self.heard.append(f"step created: {run_step.type}")

    async def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        assert snapshot.step_details.type == "tool_calls"

    async def on_run_step_done(self, run_step: RunStep) -> None:
        self.steps.append(run_step)
        self.heard.append(f"step done: {run_step.type}")

    async def on_tool_call_created(self, tool_call: ToolCall) -> None:
        self.heard.append("call created")

    async def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        assert delta.type == "function"
        assert delta.function is not None
        self.arguments += delta.function.arguments or ""

    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        self.calls.append(tool_call)
        self.heard.append("call done")

    async def on_exception(self, exception: Exception) -> None:
        self.problems.append(exception)

    async def on_end(self) -> None:
        self.heard.append("end")


# -- objects ---------------------------------------------------------------------------------------------------------


async def test_an_assistant_is_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        made = await client.beta.assistants.create(
            model="parrot",
            name="Polly",
            description="says it back",
            instructions="Say it back.",
            tools=[WEATHER, {"type": "code_interpreter"}, {"type": "file_search"}],
            tool_resources={
                "code_interpreter": {"file_ids": ["file-1"]},
                "file_search": {"vector_store_ids": ["vs_1"]},
            },
            metadata={"a": "1"},
            temperature=0.5,
            top_p=0.25,
            response_format={"type": "json_object"},
        )
        assert not strangers(made)
        assert made.id.startswith("asst_")
        assert (made.name, made.description, made.temperature, made.top_p) == ("Polly", "says it back", 0.5, 0.25)
        assert [tool.type for tool in made.tools] == ["function", "code_interpreter", "file_search"]
        assert made.tools[0].to_dict() == WEATHER
        assert made.tool_resources is not None
        assert made.tool_resources.code_interpreter is not None
        assert made.tool_resources.code_interpreter.file_ids == ["file-1"]
        assert await client.beta.assistants.retrieve(made.id) == made

        changed = await client.beta.assistants.update(made.id, name="Jack", instructions=None, tools=[])
        assert changed == made.model_copy(update={"name": "Jack", "instructions": None, "tools": []})

        deleted = await client.beta.assistants.delete(made.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "assistant.deleted")
        with pytest.raises(openai.NotFoundError):
            await client.beta.assistants.retrieve(made.id)


async def test_a_thread_is_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        made = await client.beta.threads.create(
            messages=[
                {"role": "user", "content": "first", "metadata": {"n": "1"}},
                {"role": "assistant", "content": [{"type": "text", "text": "second"}]},
            ],
            metadata={"a": "1"},
            tool_resources={"code_interpreter": {"file_ids": ["file-1"]}},
        )
        assert not strangers(made)
        assert made.metadata == {"a": "1"}
        assert await client.beta.threads.retrieve(made.id) == made
        messages = await client.beta.threads.messages.list(made.id, order="asc")
        assert [(message.role, text_of(message)) for message in messages.data] == [
            ("user", "first"),
            ("assistant", "second"),
        ]
        changed = await client.beta.threads.update(made.id, metadata={"b": "2"})
        assert changed == made.model_copy(update={"metadata": {"b": "2"}})

        deleted = await client.beta.threads.delete(made.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "thread.deleted")
        for ask in (client.beta.threads.retrieve, client.beta.threads.delete):
            with pytest.raises(openai.NotFoundError):
                await ask(made.id)


async def test_a_message_is_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        thread = await client.beta.threads.create()
        messages = client.beta.threads.messages
        made = await messages.create(
            thread.id,
            role="user",
            content=[
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}},
                {"type": "image_file", "image_file": {"file_id": "file-1"}},
            ],
            attachments=[{"file_id": "file-2", "tools": [{"type": "code_interpreter"}]}],
            metadata={"a": "1"},
        )
        assert not strangers(made)
        assert [block.type for block in made.content] == ["text", "image_url", "image_file"]
        assert (made.thread_id, made.role, made.status) == (thread.id, "user", "completed")
        assert made.attachments is not None
        assert [item.file_id for item in made.attachments] == ["file-2"]
        assert await messages.retrieve(made.id, thread_id=thread.id) == made
        changed = await messages.update(made.id, thread_id=thread.id, metadata={"b": "2"})
        assert changed == made.model_copy(update={"metadata": {"b": "2"}})
        deleted = await messages.delete(made.id, thread_id=thread.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "thread.message.deleted")
        with pytest.raises(openai.NotFoundError):
            await messages.retrieve(made.id, thread_id=thread.id)
        assert (await messages.list(thread.id)).data == []


# -- runs ------------------------------------------------------------------------------------------------------------


async def test_a_run_streams_raw() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "Good morning")
        stream = await client.beta.threads.runs.create(
            thread_id,
            assistant_id=assistant_id,
            stream=True,
            instructions="Briefly.",
            additional_instructions="Very.",
            additional_messages=[{"role": "user", "content": "How are you?"}],
            metadata={"a": "1"},
            temperature=0.1,
            max_completion_tokens=1000,
            max_prompt_tokens=1000,
            truncation_strategy={"type": "last_messages", "last_messages": 5},
            parallel_tool_calls=False,
            tool_choice="none",
            response_format="auto",
        )
        events = await all_of(stream)
        assert names(events) == A_TEXT_ANSWER
        assert "How are you?" in said(events)
        last = events[-1]
        assert last.event == "thread.run.completed"
        assert last.data.instructions == "Briefly.\nVery."
        assert last.data.usage is not None
        assert last.data.usage.total_tokens == last.data.usage.prompt_tokens + last.data.usage.completion_tokens > 0
        run = await client.beta.threads.runs.retrieve(last.data.id, thread_id=thread_id)
        assert run == last.data
        assert not strangers(run)
        answer = (await client.beta.threads.messages.list(thread_id, run_id=run.id)).data
        assert [text_of(message) for message in answer] == [said(events)]


async def test_a_run_streams_through_the_helper() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "Good morning")
        notes = Notes()
        async with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, event_handler=notes
        ) as stream:
            run = await stream.get_final_run()
            (message,) = await stream.get_final_messages()
            (step,) = await stream.get_final_run_steps()
        assert run.status == "completed"
        assert "Good morning" in text_of(message)
        assert text_of(message) == notes.text == notes.whole_text
        assert step.id == notes.steps[0].id
        assert notes.steps[0].status == "completed"
        assert notes.problems == []
        assert notes.heard == [
            "step created: message_creation",
            "message created",
            "text created",
            "text done",
            "message done",
            "step done: message_creation",
            "end",
        ]
        assert [name for name in notes.events if name != "thread.message.delta"] == A_TEXT_ANSWER


async def test_the_helper_hands_out_text_as_it_comes() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "Good morning")
        async with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant_id) as stream:
            pieces = [piece async for piece in stream.text_deltas]
            (message,) = await stream.get_final_messages()
        assert len(pieces) > 5
        assert "".join(pieces) == text_of(message)


async def test_a_thread_and_its_run_stream_together() -> None:
    async with talking() as (_, client):
        assistant = await client.beta.assistants.create(model="parrot")
        raw = await all_of(
            await client.beta.threads.create_and_run(
                assistant_id=assistant.id,
                thread={"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "1"}},
                stream=True,
            )
        )
        assert names(raw) == ["thread.created", *A_TEXT_ANSWER]
        assert raw[0].event == "thread.created"
        assert raw[0].data.metadata == {"a": "1"}
        async with client.beta.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hi"}]}
        ) as stream:
            run = await stream.get_final_run()
        assert run.status == "completed"
        assert run.thread_id != raw[0].data.id


async def test_plain_runs_are_polled_to_their_end() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        assert run.status == "requires_action"
        assert not strangers(run)
        run = await runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread_id, tool_outputs=outputs_for(run), poll_interval_ms=1
        )
        assert run.status == "completed"
        both = await client.beta.threads.create_and_run_poll(assistant_id=assistant_id, poll_interval_ms=1)
        assert both.status == "completed"
        changed = await runs.update(both.id, thread_id=both.thread_id, metadata={"a": "1"})
        assert changed.metadata == {"a": "1"}


async def test_a_run_that_fails_says_so() -> None:
    class Broken:
        def reply(self, turn: Turn, /) -> Iterator[Never]:
            raise RuntimeError("out of order")

    async with talking(engine=Broken()) as (_, client):
        thread_id, assistant_id = await ready(client)
        notes = Notes()
        async with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, event_handler=notes
        ) as stream:
            run = await stream.get_final_run()
        assert run.status == "failed"
        assert run.last_error is not None
        assert run.last_error.code == "server_error"
        assert run.failed_at is not None
        assert notes.problems == []
        assert not strangers(run)


# -- tools -----------------------------------------------------------------------------------------------------------


async def test_a_tool_call_goes_there_and_back_over_two_raw_streams() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather and get_time please", WEATHER, TIME)
        runs = client.beta.threads.runs
        first = await all_of(await runs.create(thread_id, assistant_id=assistant_id, stream=True))
        asked = first[-1]
        assert asked.event == "thread.run.requires_action"
        assert sorted(calls_of(asked.data).values()) == ["get_time", "get_weather"]
        assert names(first) == [*A_TEXT_ANSWER[:5], "thread.run.requires_action"]

        run_id = asked.data.id
        second = await all_of(
            await runs.submit_tool_outputs(
                run_id, thread_id=thread_id, tool_outputs=outputs_for(asked.data), stream=True
            )
        )
        assert names(second) == [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
            *A_TEXT_ANSWER[3:],
        ]
        assert said(second).count("sunny") == 2
        steps = await runs.steps.list(run_id, thread_id=thread_id, order="asc")
        assert [(step.type, step.status) for step in steps.data] == [
            ("tool_calls", "completed"),
            ("message_creation", "completed"),
        ]
        assert not strangers(steps.data)
        details = steps.data[0].step_details
        assert details.type == "tool_calls"
        assert {call.function.output for call in details.tool_calls if call.type == "function"} == {"sunny"}


async def test_a_tool_call_goes_there_and_back_through_the_helpers() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        notes = Notes()
        async with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, event_handler=notes
        ) as stream:
            run = await stream.get_final_run()
        assert run.status == "requires_action"
        assert notes.heard == ["step created: tool_calls", "call created", "call done", "end"]
        (call,) = notes.calls
        assert call.type == "function"
        assert {call.id: call.function.name} == calls_of(run) == {call.id: "get_weather"}
        assert json.loads(call.function.arguments) == {"city": "Kyiv"}
        assert call.function.arguments.endswith(notes.arguments)

        more = Notes()
        async with client.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=thread_id, tool_outputs=outputs_for(run, "rain"), event_handler=more
        ) as stream:
            (message,) = await stream.get_final_messages()
            run = await stream.get_final_run()
        assert run.status == "completed"
        assert "rain" in text_of(message)
        assert [step.type for step in more.steps] == ["tool_calls", "message_creation"]
        assert notes.problems == more.problems == []


async def test_wrong_tool_outputs_are_refused_and_the_run_waits_on() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        right = outputs_for(run)
        wrong: list[tuple[list[ToolOutput], str]] = [
            ([{"tool_call_id": "call_of_nobody", "output": "x"}], "call_of_nobody"),
            ([], "missing"),
            (right + right, "two outputs"),
        ]
        for outputs, word in wrong:
            for stream in (False, True):
                with pytest.raises(openai.BadRequestError, match=word) as caught:
                    await runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=outputs, stream=stream)
                assert (caught.value.param or "").startswith("tool_outputs")
        run = await runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread_id, tool_outputs=right, poll_interval_ms=1
        )
        assert run.status == "completed"
        with pytest.raises(openai.BadRequestError, match="'completed'"):
            await runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=right)


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_every_page_of_the_assistants_is_read() -> None:
    async with talking() as (server, client):
        made = [(await client.beta.assistants.create(model=f"m{number}")).id for number in range(7)]
        server.requests.clear()
        assert [item.id async for item in client.beta.assistants.list(limit=3, order="asc")] == made
        assert [path for _, path in server.requests] == ["/v1/assistants"] * 3
        assert [item.id async for item in client.beta.assistants.list(limit=3)] == made[::-1]
        assert [item.id async for item in client.beta.assistants.list(limit=2, order="asc", after=made[1])] == made[2:]
        page = await client.beta.assistants.list(limit=2, order="asc", before=made[4])
        assert [item.id for item in page.data] == made[2:4]
        assert not strangers(page.data)


async def test_every_page_of_the_messages_is_read() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "0")
        messages = client.beta.threads.messages
        for number in range(1, 5):
            await messages.create(thread_id, role="user", content=str(number))
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1
        )
        texts = [text_of(item) async for item in messages.list(thread_id, limit=2, order="asc")]
        assert texts[:-1] == ["0", "1", "2", "3", "4"]
        assert len(texts) == 6
        assert [text_of(item) async for item in messages.list(thread_id, limit=4)] == texts[::-1]
        assert [text_of(item) async for item in messages.list(thread_id, limit=1, run_id=run.id)] == texts[-1:]
        page = await messages.list(thread_id, limit=6)
        assert not page.has_next_page()
        assert not strangers(page.data)


async def test_every_page_of_the_runs_is_read() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client)
        runs = client.beta.threads.runs
        made = [
            (await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)).id
            for _ in range(5)
        ]
        assert [item.id async for item in runs.list(thread_id, limit=2)] == made[::-1]
        page = await runs.list(thread_id, limit=2, order="asc")
        assert [item.id for item in page.data] == made[:2]
        assert page.has_next_page()
        assert [item.id for item in (await page.get_next_page()).data] == made[2:4]


async def test_every_page_of_the_steps_is_read() -> None:
    class Insistent:
        """Calls the function in three turns, and answers in the fourth."""

        def reply(self, turn: Turn, /) -> Iterator[Any]:
            if len(turn.steps) < 3:
                turn = msgspec.structs.replace(turn, steps=())
            yield from DefaultEngine().reply(turn)

    async with talking(engine=Insistent()) as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        for _ in range(3):
            run = await runs.submit_tool_outputs_and_poll(
                run_id=run.id, thread_id=thread_id, tool_outputs=outputs_for(run), poll_interval_ms=1
            )
        assert run.status == "completed"
        steps = [step async for step in runs.steps.list(run.id, thread_id=thread_id, limit=1, order="asc")]
        assert [step.type for step in steps] == ["tool_calls"] * 3 + ["message_creation"]
        assert len({step.id for step in steps}) == 4
        page = await runs.steps.list(run.id, thread_id=thread_id, limit=3)
        assert page.data == steps[:0:-1]
        included = await runs.steps.retrieve(
            steps[0].id,
            thread_id=thread_id,
            run_id=run.id,
            include=["step_details.tool_calls[*].file_search.results[*].content"],
        )
        assert included == steps[0]


# -- cancelling ------------------------------------------------------------------------------------------------------


async def test_a_run_is_cancelled_while_it_streams() -> None:
    async with talking(delay=0.02) as (_, client):
        thread_id, assistant_id = await ready(client)
        runs = client.beta.threads.runs
        events: list[AssistantStreamEvent] = []
        async with await runs.create(thread_id, assistant_id=assistant_id, stream=True) as stream:
            async for event in stream:
                events.append(event)
                fits(event)
                if len(said(events).split()) == 2 and event.event == "thread.message.delta":
                    cancelling = await runs.cancel(run_of(events).id, thread_id=thread_id)
                    assert cancelling.status in ("cancelling", "cancelled")
        assert names(events)[-4:] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
        ]
        (broken_off,) = [event.data for event in events if event.event == "thread.message.incomplete"]
        assert broken_off.incomplete_details is not None
        assert broken_off.incomplete_details.reason == "run_cancelled"
        run = await runs.retrieve(run_of(events).id, thread_id=thread_id)
        assert run.status == "cancelled"
        assert run.cancelled_at is not None
        assert not strangers(run)


def run_of(events: Iterable[AssistantStreamEvent]) -> Run:
    return next(event.data for event in events if event.event == "thread.run.created")


async def test_a_run_that_waits_is_cancelled_and_cannot_be_again() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        await runs.cancel(run.id, thread_id=thread_id)
        while (run := await runs.retrieve(run.id, thread_id=thread_id)).status == "cancelling":
            await asyncio.sleep(0.001)
        assert run.status == "cancelled"
        with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
            await runs.cancel(run.id, thread_id=thread_id)
        again = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        assert again.status == "requires_action"


# -- errors ----------------------------------------------------------------------------------------------------------


async def test_what_is_not_there_is_a_not_found_error() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client)
        threads = client.beta.threads
        asking = [
            client.beta.assistants.retrieve("asst_none"),
            client.beta.assistants.update("asst_none", name="x"),
            threads.retrieve("thread_none"),
            threads.update("thread_none", metadata={}),
            threads.messages.create("thread_none", role="user", content="x"),
            threads.messages.retrieve("msg_none", thread_id=thread_id),
            threads.runs.create("thread_none", assistant_id=assistant_id),
            threads.runs.create(thread_id, assistant_id="asst_none"),
            threads.runs.create(thread_id, assistant_id="asst_none", stream=True),
            threads.runs.retrieve("run_none", thread_id=thread_id),
            threads.runs.cancel("run_none", thread_id=thread_id),
            threads.runs.submit_tool_outputs("run_none", thread_id=thread_id, tool_outputs=[]),
            threads.runs.steps.retrieve("step_none", run_id="run_none", thread_id=thread_id),
        ]
        for ask in asking:
            with pytest.raises(openai.NotFoundError, match="_none") as caught:
                await ask
            assert caught.value.type == "invalid_request_error"
            assert caught.value.request_id is not None
        with pytest.raises(openai.NotFoundError, match="thread_none"):
            await threads.messages.list("thread_none")


async def test_what_cannot_be_meant_is_a_bad_request_error_that_names_the_parameter() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client)
        threads = client.beta.threads
        asking = [
            (client.beta.assistants.create(model="parrot", temperature=9.0), "temperature"),
            (client.beta.assistants.create(model="parrot", extra_body={"modle": "x"}), "modle"),
            (client.beta.assistants.create(model="parrot", extra_body={"model": None}), "model"),
            (threads.create(metadata={"a": "x" * 513}), "metadata['a']"),
            (threads.messages.create(thread_id, role="user", content=""), "content"),
            (threads.messages.create(thread_id, role="user", content="x", extra_body={"role": "boss"}), "role"),
            (threads.runs.create(thread_id, assistant_id=assistant_id, top_p=-1.0), "top_p"),
            (threads.runs.create(thread_id, assistant_id=assistant_id, extra_body={"stream": "yes"}), "stream"),
            (
                threads.create_and_run(
                    assistant_id=assistant_id, thread={"messages": [{"role": "user", "content": ""}]}
                ),
                "thread.messages[0].content",
            ),
        ]
        for ask, param in asking:
            with pytest.raises(openai.BadRequestError) as caught:
                await ask
            error = caught.value
            assert error.param == param
            assert error.type == "invalid_request_error"
            body = cast("dict[str, str]", error.body)
            assert body["message"]
            assert body["message"] in error.message
        for query in ({"limit": 0}, {"limit": 101}, {"after": "msg_none"}, {"before": "msg_none"}):
            with pytest.raises(openai.BadRequestError) as caught:
                await threads.messages.list(thread_id, extra_query=query)
            assert caught.value.param == next(iter(query))


async def test_a_wrong_key_is_an_authentication_error() -> None:
    async with talking(api_keys=["sk-right", "sk-other"]) as (_, client):
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key") as caught:
            await client.beta.threads.create()
        assert caught.value.code == "invalid_api_key"
        thread = await client.with_options(api_key="sk-other").beta.threads.create()
        with pytest.raises(openai.AuthenticationError):
            await client.beta.threads.runs.create(thread.id, assistant_id="asst_1", stream=True)


async def test_a_thread_with_an_active_run_takes_neither_a_run_nor_a_message() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        for stream in (False, True):
            with pytest.raises(
                openai.BadRequestError, match=f"Thread {thread_id} already has an active run {run.id}"
            ) as caught:
                await runs.create(thread_id, assistant_id=assistant_id, stream=stream)
            assert caught.value.type == "invalid_request_error"
        with pytest.raises(
            openai.BadRequestError, match=f"Can't add messages to {thread_id} while a run {run.id} is active"
        ):
            await client.beta.threads.messages.create(thread_id, role="user", content="x")
        assert len((await client.beta.threads.messages.list(thread_id)).data) == 1


async def test_an_answer_has_the_headers_that_the_package_reads() -> None:
    async with talking() as (_, client):
        response = await client.beta.threads.with_raw_response.create()
        thread = response.parse()
        assert (response.request_id or "").startswith("req_")
        assert response.request_id == thread._request_id
        assert int(response.headers["openai-processing-ms"]) >= 0


async def test_a_stream_that_is_left_early_leaves_the_run_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with talking(delay=0.001) as (server, client):
        for _ in range(8):  # what happens between the client's leaving and the server's knowing of it differs
            thread_id, assistant_id = await ready(client)
            runs = client.beta.threads.runs
            async with await runs.create(thread_id, assistant_id=assistant_id, stream=True) as stream:
                async for event in stream:
                    if event.event == "thread.message.delta":
                        break
            (run,) = (await runs.list(thread_id)).data
            while (run := await runs.retrieve(run.id, thread_id=thread_id)).status != "completed":
                await asyncio.sleep(0.002)
        while server.open_streams:
            await asyncio.sleep(0.002)
    # A client that leaves is no error of the server's.
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
