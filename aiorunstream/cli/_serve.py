"""`aiorunstream serve`: the embedded server, until it is told to stop."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigurationError
from ..params import AssistantCreateParams
from ..recording import Recording
from ..server import AssistantsServer
from ..server._dialects import DialectName
from ..server._replay import ReplayServer
from ._decode import no_stream, read_file
from ._options import refuse
from ._show import harmless, of_the_system

ASSISTANT_ID = "asst_1"
"""Is there from the start, so that what the documentation shows can be typed."""


def serve(
    context: typer.Context,
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8787,
    delay: Annotated[float, typer.Option(min=0.0, max=60.0, help="Seconds between two pieces of text.")] = 0.02,
    api_key: Annotated[
        list[str] | None, typer.Option(envvar="AIORUNSTREAM_SERVE_KEYS", help="Accept only these keys.")
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen at an address others can reach.")
    ] = False,
    dialect: Annotated[DialectName, typer.Option(help="Deviate from the protocol as this server does.")] = "openai",
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer every run stream with this recording.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.01, max=1_000_000, help="With --replay: so many times as fast as it was recorded.")
    ] = 1.0,
) -> None:
    """Serve the protocol from memory, for programs under development and tests. Ctrl-C stops it.

    There is one assistant already: asst_1.
    """
    if replay is None:
        refuse(context, "speed", problem="is for --replay")
    else:
        refuse(context, "delay", problem="cannot be used with --replay: --speed says how fast it goes")
    try:
        if replay is None:
            server = AssistantsServer(
                host=host, port=port, delay=delay, api_keys=api_key, allow_remote=allow_remote, dialect=dialect
            )
        else:
            server = ReplayServer(
                _recording(replay),
                speed=speed,
                host=host,
                port=port,
                api_keys=api_key,
                allow_remote=allow_remote,
                dialect=dialect,
            )
        asyncio.run(_serve(server))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error).replace("allow_remote=True", "--allow-remote")) from None
    except OSError as error:
        typer.echo(f"cannot listen at {host}:{port}: {of_the_system(error)}", err=True)
        raise typer.Exit(1) from None


async def _serve(server: AssistantsServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with server:
        server.store.create_assistant(AssistantCreateParams(model="any", name="Parrot"), id=ASSISTANT_ID)
        typer.echo(server.base_url)
        await stop.wait()
    typer.echo("stopped", err=True)


def _recording(path: Path) -> Recording:
    recording = read_file(path)
    if (told := no_stream(recording)) is not None:
        typer.echo(harmless(f"{path}: {told}"), err=True)
        raise typer.Exit(1)
    if recording.problem is not None:
        typer.echo(f"{path}: {recording.problem}", err=True)
        if not recording.pieces:
            raise typer.Exit(1)
        typer.echo("what stands before is served, and then the connection is closed", err=True)
    return recording
