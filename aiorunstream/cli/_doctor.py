"""`aiorunstream doctor`: what a server can do, what it does differently, and what will not work with it."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from ..backends import Backend, HttpBackend
from ..backends.azure import AzureBackend
from ..errors import AiorunstreamError
from ._doctor_checks import Doctor
from ._doctor_report import Report
from ._options import BaseURL
from ._show import harmless, in_a_line


def doctor(
    *,
    base_url: BaseURL,
    assistant_id: Annotated[
        str | None, typer.Option("--assistant", "--assistant-id", "-a", help="The assistant to run; else one is made.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model of the one that is made; else the first that the server names.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, max=600.0, help="Seconds for all of it.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what a server can do, by asking it for one short run. The key comes from OPENAI_API_KEY.

    What it makes for that it takes away again, also after Ctrl-C.
    Exits with 0 when all of this client works with the server, 3 when only streaming does, 1 when not even that.
    """
    found: Doctor | None = None
    try:
        found = Doctor(_backend(base_url), base_url, assistant_id=assistant_id, model=model, seconds=timeout)
        report = asyncio.run(found.look())
    except KeyboardInterrupt:
        if found is not None:
            _tell_of_leaving(found.report)
        raise typer.Exit(130) from None
    except AiorunstreamError as error:
        typer.echo(in_a_line(error), err=True)
        raise typer.Exit(2) from None
    if as_json:
        sys.stdout.buffer.write(report.as_json())
    else:
        typer.echo(report.as_text())
    raise typer.Exit(_status(report))


def _backend(base_url: str) -> Backend:
    if "/api/projects/" in base_url:
        return AzureBackend(base_url, credential=_token)
    return HttpBackend(base_url)


async def _token() -> str:
    return os.environ.get("OPENAI_API_KEY") or "none"


def _status(report: Report) -> int:
    if not report.streams:
        return 1
    return 3 if report.failing else 0


def _tell_of_leaving(report: Report) -> None:
    for what in report.left_behind or ["nothing"]:
        typer.echo(harmless(f"left behind: {what}"), err=True)
