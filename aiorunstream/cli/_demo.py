"""`aiorunstream demo`: a run streams on this machine, with nothing to set up."""

import asyncio
import time
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from ..backends import Backend, HttpBackend
from ..backends.responses import ResponsesBackend
from ..client import AsyncClient
from ..models import RequiredActionFunctionToolCall
from ..params import JSONMapping, ToolOutput
from ..server import AssistantsServer
from ._options import refuse
from ._show import RunDisplay
from ._web import serve_chat

MESSAGE = "Hello! What happens to the bytes between you and me?"
TOOL = "clock"
TOOL_MESSAGE = "And what does the clock say?"
TOOLS: list[JSONMapping] = [
    {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Tells the time here.",
            "parameters": {"type": "object", "properties": {}},
        },
    }
]


class DemoBackend(StrEnum):
    """Where the runs come from."""

    RUNS = "runs"
    RESPONSES = "responses"


def demo(
    context: typer.Context,
    *,
    backend: Annotated[
        DemoBackend, typer.Option(help="What the server is asked for: runs, or responses that are made into runs here.")
    ] = DemoBackend.RUNS,
    plain: Annotated[bool, typer.Option("--plain", help="One line an event, no colours: for pipes and logs.")] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="What to say to the assistant.")] = MESSAGE,
    delay: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="Seconds the server waits between two pieces of text.")
    ] = 0.04,
    web: Annotated[bool, typer.Option("--web", help="A chat in the browser instead; Ctrl-C stops it.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the chat is, with --web; 0 takes a free one.")] = 0,
) -> None:
    """Start a server of the protocol on this machine, and watch two runs stream from it: an answer, and a tool call.

    With --web, talk to it in a browser.
    """
    if web:
        refuse(context, "backend", "plain", "message", "delay", problem="cannot be used with --web")
        serve_chat(port)
        return
    refuse(context, "port", problem="is for --web")
    console = Console()
    plain = plain or not console.is_terminal
    display = RunDisplay(console, plain=plain)
    asyncio.run(_demo(display, console, bridged=backend is DemoBackend.RESPONSES, message=message, delay=delay))


async def _demo(display: RunDisplay, console: Console, *, bridged: bool, message: str, delay: float) -> None:
    async with (
        AssistantsServer(delay=delay) as server,
        AsyncClient(backend=_backend(server, bridged=bridged)) as client,
    ):
        spoken = "/responses and /conversations" if bridged else "the protocol"
        console.print(f"A server of {spoken} listens at {server.base_url}", highlight=False)
        runs = client.threads.runs
        assistant = await client.assistants.create(
            model="demo", name="Demo", instructions="Answer in two sentences.", tools=TOOLS
        )
        thread = await client.threads.create(messages=[{"role": "user", "content": message}])
        _say(console, message)
        await display.run(runs.create_stream(thread.id, assistant_id=assistant.id))

        await client.threads.messages.create(thread.id, role="user", content=TOOL_MESSAGE)
        _say(console, TOOL_MESSAGE)
        stream = await display.run(runs.create_stream(thread.id, assistant_id=assistant.id))
        if stream.run is not None and stream.outcome == "requires_action":
            now = time.strftime("%H:%M:%S")
            console.print(f"\nThe run waits for your function {TOOL}; it returns {now}\n", highlight=False)
            calls = [call for call in stream.run.tool_calls if isinstance(call, RequiredActionFunctionToolCall)]
            outputs = [ToolOutput(tool_call_id=call.id, output=now) for call in calls]
            stream = await display.run(
                runs.submit_tool_outputs_stream(stream.run.id, thread_id=thread.id, tool_outputs=outputs)
            )
        display.summary()


def _backend(server: AssistantsServer, *, bridged: bool) -> Backend:
    if bridged:
        return ResponsesBackend(server.base_url, threads="conversation")
    return HttpBackend(server.base_url)


def _say(console: Console, message: str) -> None:
    console.print(f"\nYou say: {message}\n", highlight=False, markup=False)
