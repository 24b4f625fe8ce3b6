"""`aiorunstream demo --web`: the chat of `docs/examples/chat` in a browser, with an embedded server behind it."""

import importlib.util
import signal
import socket
from pathlib import Path
from types import FrameType, ModuleType

import typer

from ._show import of_the_system

HOST = "127.0.0.1"
_HERE = Path(__file__).resolve()
_PLACES = (_HERE.with_name("chat_example"), _HERE.parents[2] / "docs" / "examples" / "chat")
"""Where the example is: in an installed package, and in a checkout."""
_EXTRA = ("fastapi", "starlette", "uvicorn")
_LEAVE_WITHIN = 1  # seconds for answers that are under way


def serve_chat(port: int) -> None:
    """Serves the chat, and prints its URL. Returns once Ctrl-C or SIGTERM has stopped it.

    Raises:
        typer.Exit: the extra is missing, or the port is taken; one line on standard error says so.
    """
    try:
        import uvicorn  # noqa: PLC0415  # an extra of its own

        app = _example().make_app(None)
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        typer.echo(f"aiorunstream: demo --web needs {missing.name}: pip install 'aiorunstream[web]'", err=True)
        raise typer.Exit(1) from None
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        typer.echo(f"cannot listen at {HOST}:{port}: {of_the_system(error)}", err=True)
        raise typer.Exit(1) from None
    with listening:
        typer.echo(f"The chat is at http://{HOST}:{listening.getsockname()[1]}/ until Ctrl-C.")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave_it)
        # "critical": else an answer that is cut off by the end of the program is shown as an error of it.
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=_LEAVE_WITHIN)
        server = uvicorn.Server(config)
        server.run(sockets=[listening])
    if not server.started:
        typer.echo("the chat could not be started", err=True)
        raise typer.Exit(1)
    typer.echo("stopped", err=True)


def _leave_it(_number: int, _frame: FrameType | None) -> None:
    """For the signals that uvicorn, which listens to them itself, sends again once it has stopped."""


def _example() -> ModuleType:
    path = next(place / "app.py" for place in _PLACES if place.is_dir())
    spec = importlib.util.spec_from_file_location("aiorunstream_chat_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
