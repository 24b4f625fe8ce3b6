"""Azure's package for agents as a client of the embedded server, and what it makes of a stream.

Its event handler swallows what its callbacks raise, so the callbacks here write down and the tests look afterwards.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# The package leaves the type parameter of its event handlers out of its own signatures.

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import pytest

from aiorunstream.server import AssistantsServer

pytest.importorskip("azure.ai.agents", reason="needs the official azure-ai-agents package")

from azure.ai.agents.aio import AgentsClient
from azure.ai.agents.models import (
    AsyncAgentEventHandler,
    FunctionDefinition,
    FunctionToolDefinition,
    MessageDeltaChunk,
    RequiredFunctionToolCall,
    RunStep,
    RunStepDeltaChunk,
    SubmitToolOutputsAction,
    ThreadMessage,
    ThreadMessageOptions,
    ThreadRun,
)
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport

PATIENCE = 10.0
AT_ONCE = 0
"""Seconds between two looks at a run; the package wants them whole."""
WEATHER = FunctionToolDefinition(
    function=FunctionDefinition(
        name="get_weather",
        description="The weather in a city.",
        parameters={"type": "object", "properties": {"city": {"type": "string", "default": "Kyiv"}}},
    )
)


class NoCredential:
    """What the package insists on; its tokens go nowhere."""

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        raise AssertionError("no token is needed here")

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...


@asynccontextmanager
async def talking(**settings: Any) -> AsyncGenerator[tuple[AssistantsServer, AgentsClient]]:
    """A server, and a client of it that sends nothing twice and may speak plain http."""
    async with (
        asyncio.timeout(PATIENCE),
        AssistantsServer(**settings) as server,
        AgentsClient(
            server.base_url,
            NoCredential(),
            authentication_policy=SansIOHTTPPolicy(),
            transport=AioHttpTransport(use_env_settings=False),
            retry_total=0,
        ) as client,
    ):
        yield server, client


async def ready(client: AgentsClient, text: str = "Hello", *tools: FunctionToolDefinition) -> tuple[str, str]:
    """The ids of a thread with one message, and of an agent."""
    agent = await client.create_agent(model="parrot", tools=list(tools))
    thread = await client.threads.create(messages=[ThreadMessageOptions(role="user", content=text)])
    return thread.id, agent.id


def calls_of(run: ThreadRun) -> list[RequiredFunctionToolCall]:
    assert run.status == "requires_action"
    assert isinstance(run.required_action, SubmitToolOutputsAction)
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert calls
    functions = [call for call in calls if isinstance(call, RequiredFunctionToolCall)]
    assert len(functions) == len(calls)
    return functions


def text_of(message: ThreadMessage) -> str:
    return "".join(part.text.value for part in message.text_messages)


def whole(names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".delta")]


class Notes(AsyncAgentEventHandler[str]):
    """Writes down what the package makes of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.arguments = ""
        self.runs: list[ThreadRun] = []
        self.steps: list[RunStep] = []
        self.messages: list[ThreadMessage] = []
        self.strange: list[str] = []
        self.is_done = False

    async def on_message_delta(self, delta: MessageDeltaChunk) -> str:
        self.text += delta.text
        return delta.text

    async def on_thread_message(self, message: ThreadMessage) -> None:
        self.messages.append(message)

    async def on_thread_run(self, run: ThreadRun) -> None:
        self.runs.append(run)

    async def on_run_step(self, step: RunStep) -> None:
        self.steps.append(step)

    async def on_run_step_delta(self, delta: RunStepDeltaChunk) -> None:
        details: Any = delta.delta.step_details
        for call in details.tool_calls:
            if call.type == "function":
                self.arguments += call.function.arguments or ""

    async def on_error(self, data: str) -> None:
        self.strange.append(data)

    async def on_unhandled_event(self, event_type: str, event_data: str) -> None:
        self.strange.append(event_type)

    async def on_done(self) -> None:
        self.is_done = True
