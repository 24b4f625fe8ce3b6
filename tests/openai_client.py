"""OpenAI's own package as a client of the embedded server, and how what it reads is held against its models.

It validates every plain answer strictly here, and every event is held against its models as well: in ordinary use it
takes whatever comes.
"""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from aiorunstream.server import AssistantsServer

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai import AsyncAssistantEventHandler, AsyncOpenAI, BaseModel
from openai.types.beta import AssistantStreamEvent, FunctionToolParam
from openai.types.beta.threads import Message, Run, Text, TextDelta
from openai.types.beta.threads.run_submit_tool_outputs_params import ToolOutput
from openai.types.beta.threads.runs import RunStep, RunStepDelta, ToolCall, ToolCallDelta

# The package warns on every call of this protocol, which is all that is called here; for assistants in one bare word.
DEPRECATED = pytest.mark.filterwarnings(
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
