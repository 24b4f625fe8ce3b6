"""`aiorunstream batch`: a file of requests becomes a file of results, many at a time; it may be stopped and gone on with.

What is done is in the results, what was begun is in the journal, and nothing else is kept: so it makes no difference
whether it ended, was stopped or was killed.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

import typer

from ..errors import AiorunstreamError
from ._batch_files import BatchFileError, BatchFiles, Open
from ._batch_progress import BatchProgress, summary
from ._batch_work import Batch, Settings
from ._chat_tools import load_tools
from ._options import OptionalBaseURL
from ._show import harmless, in_a_line

_MOST_PROBLEMS = 10
_STANDARD_INPUT = Path("-")


def batch(
    requests: Annotated[
        Path, typer.Argument(metavar="REQUESTS", help="A file with one JSON object a line; - is standard input.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the results go, one JSON object a line.")],
    base_url: OptionalBaseURL = None,
    assistant_id: Annotated[
        str | None, typer.Option("--assistant", "--assistant-id", "-a", help="The assistant of lines that name none.")
    ] = None,
    max_concurrency: Annotated[
        int, typer.Option("--max-concurrency", "-n", min=1, max=10_000, help="How many runs are under way at a time.")
    ] = 100,
    tools: Annotated[str | None, typer.Option(metavar="MODULE:TOOLSET", help="Functions the runs may call.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for a run; else as long as it takes.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with results that are there.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: also what failed before.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Throw away results that are there.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Lines that cannot be meant are failures.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only what goes wrong.")] = False,
) -> None:
    """Make many runs, from a file into a file. The key comes from OPENAI_API_KEY.

    Ctrl-C stops it, and --resume goes on: what has ended is kept, and is not run again.
    Exits with 0 when every run completed, 1 when some did not, 2 for lines that cannot be meant.
    """
    if resume and force:
        raise typer.BadParameter("either --resume or --force")
    if retry_failed and not resume:
        raise typer.BadParameter("--retry-failed is for --resume")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise typer.BadParameter("must be above 0 seconds", param_hint="'--timeout'")
    if base_url is None and assistant_id:
        raise typer.BadParameter("the server that is started here has no such assistant: give --base-url too")
    settings = Settings(
        base_url, assistant_id, None if tools is None else load_tools(tools), max_concurrency, timeout, retry_failed
    )
    try:
        _check_files(requests, output)
        how: Open = "resume" if resume else "force" if force else "new"
        with BatchFiles(output, how) as files, _opened(requests, output.parent) as (file, name):
            status = _carry_out(Batch(settings, files, file, name), output, quiet=quiet, skip_bad=skip_bad)
    except BatchFileError as error:
        _end_with(str(error))
    except OSError as error:
        _end_with(_about_file(error, output))
    except KeyboardInterrupt:  # before anything was begun
        raise typer.Exit(130) from None
    raise typer.Exit(status)


def _check_files(requests: Path, output: Path) -> None:
    if output == _STANDARD_INPUT:
        raise typer.BadParameter("results need a file, for --resume", param_hint="'--output'")
    if output.is_dir():
        raise BatchFileError(f"{output} is a directory: results need a file")
    if requests == _STANDARD_INPUT:
        if sys.stdin is None:  # it was closed before the program began
            raise BatchFileError("there is no standard input")
        return
    if not requests.exists() or requests.is_dir():
        raise BatchFileError(f"{requests} is no file")
    if output.exists() and output.samefile(requests):
        raise BatchFileError(f"{output} would be overwritten with its own results")


@contextmanager
def _opened(requests: Path, beside: Path) -> Generator[tuple[BinaryIO, str]]:
    """The requests as a file that can be read twice, and what to call it. What comes through a pipe is kept until the end."""
    if requests != _STANDARD_INPUT and requests.is_file():  # there may be a file of that name
        with requests.open("rb") as file:
            yield file, requests.name
        return
    with tempfile.TemporaryFile(dir=beside) as kept:  # the usual place may be memory
        if requests == _STANDARD_INPUT:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            yield kept, "standard input"
        else:
            with requests.open("rb") as pipe:
                shutil.copyfileobj(pipe, kept)
            yield kept, str(requests)


def _carry_out(work: Batch, output: Path, *, quiet: bool, skip_bad: bool) -> int:
    problems = work.check()
    if problems and not skip_bad:
        for problem in problems[:_MOST_PROBLEMS]:
            typer.echo(harmless(problem), err=True)
        more = len(problems) - _MOST_PROBLEMS
        told = "nothing was sent: mend them, or give --skip-bad"
        typer.echo(told if more <= 0 else f"and {more:,} more; {told}", err=True)
        return 2
    if not quiet:
        for note in work.notes:
            typer.echo(note, err=True)
    with BatchProgress(quiet=quiet) as progress:
        broken = _make_runs(work, progress, output)
        seconds = progress.seconds
    if broken is not None:
        typer.echo(harmless(broken), err=True)
    counts = work.counts
    is_stopped = counts.ended < counts.total  # a signal or an error may come when all is done
    if is_stopped or counts.failed or not quiet:
        for reason in work.reasons.told():
            typer.echo(reason, err=True)
        typer.echo(summary(counts, seconds, where=f"results in {output}", stopped=is_stopped), err=True)
    if is_stopped and work.stopped_by is not None:
        return 128 + work.stopped_by
    return 0 if work.all_completed and broken is None else 1


def _make_runs(work: Batch, progress: BatchProgress, output: Path) -> str | None:
    """Makes them. Returns what ended all, where something did."""
    try:
        try:
            asyncio.run(work.run(progress))
        finally:
            work.finish()
    except AiorunstreamError as error:
        return in_a_line(error)
    except OSError as error:
        return _about_file(error, output)
    return None


def _about_file(error: OSError, output: Path) -> str:
    return f"{error.filename or output}: {error.strerror or error}"


def _end_with(problem: str) -> NoReturn:
    typer.echo(harmless(problem), err=True)
    raise typer.Exit(1) from None
