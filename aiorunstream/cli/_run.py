"""`aiorunstream run`: one run against any server of the protocol."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console

from ..backends import HttpBackend
from ..client import AsyncClient
from ..errors import AiorunstreamError
from ..stream import RunStream, StreamCall
from ._options import BaseURL
from ._record import RecordingBackend, RecordingFile
from ._show import RunDisplay, in_a_line, in_one_line, of_the_system, why

_ENDED_WELL = {"completed": 0, "requires_action": 3}


def run(
    *,
    assistant_id: Annotated[str, typer.Option("--assistant-id", "-a", help="The assistant to run.")],
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="What to say; else standard input, if piped.")
    ] = None,
    thread_id: Annotated[
        str | None, typer.Option("--thread-id", "-t", help="The thread to go on with; else a new one.")
    ] = None,
    base_url: BaseURL,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON, and nothing else.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="One line an event, no colours.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the stream's bytes and times to a new file, without keys."),
    ] = None,
) -> None:
    """Run an assistant once and watch it. The key comes from OPENAI_API_KEY.

    Exits with 0 when the run completed, 3 when it waits for tool outputs, 1 for any other end and for errors; all but the
    first say why on standard error.
    """
    console = Console()
    said = message if message is not None else _piped()
    if said is None and thread_id is None:
        raise typer.BadParameter("give --message, pipe one in, or name a --thread-id that has one")
    display = None if as_json else RunDisplay(console, plain=plain or not console.is_terminal)
    with ExitStack() as stack:
        file: RecordingFile | None = None
        if record is not None:
            file = stack.enter_context(_recording_file(record))
            stack.callback(_tell_of_recording, file, record)
        try:
            stream = asyncio.run(_run(display, assistant_id, said, thread_id, base_url, file=file))
        except AiorunstreamError as error:
            _end_with(error)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        if stream.outcome != "completed":
            reason = "" if stream.run is None else why(stream.run)
            typer.echo(in_one_line(f"[{stream.outcome}] {reason}"), err=True)
    raise typer.Exit(_ENDED_WELL.get(stream.outcome or "", 1))


async def _run(
    display: RunDisplay | None,
    assistant_id: str,
    message: str | None,
    thread_id: str | None,
    base_url: str,
    *,
    file: RecordingFile | None,
) -> RunStream:
    async with _opened_client(base_url, file) as client:
        if thread_id is None:
            thread_id = (await client.threads.create(messages=[{"role": "user", "content": message}])).id
        elif message is not None:
            await client.threads.messages.create(thread_id, role="user", content=message)
        call = client.threads.runs.create_stream(thread_id, assistant_id=assistant_id)
        return await (_print_json(call) if display is None else _show(display, call))


@asynccontextmanager
async def _opened_client(base_url: str, file: RecordingFile | None) -> AsyncGenerator[AsyncClient]:
    if file is None:
        async with AsyncClient(base_url=base_url) as client:
            yield client
        return
    backend = RecordingBackend(HttpBackend(base_url), file.write)
    async with AsyncClient(backend=backend) as client:
        try:
            yield client
        finally:
            await backend.finish()


async def _show(display: RunDisplay, call: StreamCall[RunStream]) -> RunStream:
    stream = await display.run(call)
    display.summary()
    return stream


async def _print_json(call: StreamCall[RunStream]) -> RunStream:
    async with call as stream:
        async for event in stream:
            sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
            sys.stdout.buffer.flush()
    return stream


def _piped() -> str | None:
    return None if sys.stdin.isatty() else sys.stdin.read().strip() or None


def _recording_file(path: Path) -> RecordingFile:
    try:
        return RecordingFile(path)
    except FileExistsError:
        raise typer.BadParameter(f"{path} exists, and is not written over", param_hint="'--record'") from None
    except OSError as error:
        raise typer.BadParameter(f"{path}: {of_the_system(error)}", param_hint="'--record'") from None


def _tell_of_recording(file: RecordingFile, path: Path) -> None:
    if file.problem is not None:
        typer.echo(f"the recording in {path} is not whole: {file.problem}", err=True)
    elif file.is_empty:
        typer.echo(f"nothing was recorded: no stream was opened, and there is no {path}", err=True)


def _end_with(error: AiorunstreamError) -> NoReturn:
    typer.echo(in_a_line(error), err=True)
    raise typer.Exit(1) from None
