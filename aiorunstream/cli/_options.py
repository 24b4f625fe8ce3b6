"""What several commands ask of their options."""

from typing import Annotated

import typer


def refuse(context: typer.Context, *names: str, problem: str) -> None:
    """Refuses these parameters where they were given, as they would do nothing. `problem` goes on after their options.

    Raises:
        typer.BadParameter: one was given, and not left at its default.
    """
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
    if given:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise typer.BadParameter(f"{options} {problem}")


def not_empty(value: str | None) -> str | None:
    """A callback of options: what a script has left empty is not taken for something.

    Raises:
        typer.BadParameter: it is empty.
    """
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty")
    return value


BaseURL = Annotated[
    str, typer.Option(envvar="OPENAI_BASE_URL", callback=not_empty, help="Where the server's /threads is.")
]
OptionalBaseURL = Annotated[
    str | None,
    typer.Option(
        envvar="OPENAI_BASE_URL",
        callback=not_empty,
        help="Where the server's /threads is; else a server is started here.",
    ),
]
