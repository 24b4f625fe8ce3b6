"""`aiorunstream ...` and `python -m aiorunstream ...`."""

import sys


def main() -> None:
    """Runs the command line, or says in one line which extra it needs."""
    try:
        from .cli import app  # noqa: PLC0415  # only people at a terminal pay for it
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit(f"aiorunstream: the command line needs {error.name}: pip install 'aiorunstream[cli]'")
    app()


if __name__ == "__main__":
    main()
