"""The command line: `demo`, `serve`, `run`, `chat`, `batch`, `decode` and `doctor`. The only place that imports rich and typer; nothing imports it."""

from typing import Annotated

import typer

from .._version import __version__
from ._batch import batch
from ._chat import chat
from ._decode import decode
from ._demo import demo
from ._doctor import doctor
from ._run import run
from ._serve import serve

app = typer.Typer(
    name="aiorunstream",
    help="Stream runs of the Assistants protocol.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals may hold keys
    rich_markup_mode=None,  # its tables cut the names of options off where a terminal is narrow
)
app.command()(demo)
app.command()(serve)
app.command()(run)
app.command()(chat)
app.command()(batch)
app.command()(decode)
app.command()(doctor)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stream runs of the Assistants protocol."""
    del version
