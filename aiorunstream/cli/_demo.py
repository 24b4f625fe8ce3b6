"""`aiorunstream demo`: a run streams on this machine, with nothing to set up."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from ..client import AsyncClient
from ..server import AssistantsServer
from ._show import RunDisplay

MESSAGE = "Hello! What happens to the bytes between you and me?"


def demo(
    *,
    plain: Annotated[bool, typer.Option("--plain", help="One line an event, no colours: for pipes and logs.")] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="What to say to the assistant.")] = MESSAGE,
    delay: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="Seconds the server waits between two pieces of text.")
    ] = 0.04,
) -> None:
    """Start a server of the protocol on this machine and watch a run stream from it."""
    console = Console()
    plain = plain or not console.is_terminal
    asyncio.run(_demo(RunDisplay(console, plain=plain), console, message=message, delay=delay))


async def _demo(display: RunDisplay, console: Console, *, message: str, delay: float) -> None:
    async with AssistantsServer(delay=delay) as server, AsyncClient(base_url=server.base_url) as client:
        console.print(f"A server of the protocol listens at {server.base_url}", highlight=False)
        assistant = await client.assistants.create(model="demo", name="Demo", instructions="Answer in two sentences.")
        thread = await client.threads.create(messages=[{"role": "user", "content": message}])
        console.print(f"You say: {message}\n", highlight=False, markup=False)
        await display.run(client.threads.runs.create_stream(thread.id, assistant_id=assistant.id))
