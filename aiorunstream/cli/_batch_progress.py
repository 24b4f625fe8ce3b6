"""How far a batch is: a bar where somebody watches, else a line now and then. All of it on standard error."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from ._show import in_one_line

_BETWEEN_LINES = 5.0
_MOST_REASONS = 1000
_TOLD_REASONS = 2
_LONGEST_REASON = 300


class Counts(NamedTuple):
    """What there is to show.

    Attributes:
        ended: the requests that have a line, those of earlier processes too.
        failed: those of them that are not completed.
        retryable: those of the failed that may well fare better when they are made again.
        ended_now: those that this process has ended.
        tokens: that the runs of this process have spent.
    """

    total: int
    ended: int = 0
    failed: int = 0
    retryable: int = 0
    running: int = 0
    ended_now: int = 0
    tokens: int = 0


class BatchProgress:
    """Shows counts. Its clock starts when it is entered.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal and not quiet:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._writes_lines = not quiet and self._bar is None
        self._task = TaskID(0)
        self._began = self._last_line = 0.0

    @property
    def seconds(self) -> float:
        """Since it was entered."""
        return time.monotonic() - self._began

    def show(self, counts: Counts) -> None:
        """Shows how far it is. May be called as often as one likes."""
        if self._bar is not None:
            figures = _figures(counts, self.seconds)
            if not self._bar.tasks:  # not before, as the total was not known
                self._task = self._bar.add_task("", total=counts.total)
            self._bar.update(self._task, total=counts.total, completed=counts.ended, description=figures, refresh=True)
        elif self._writes_lines and self.seconds - self._last_line >= _BETWEEN_LINES:
            self._last_line = self.seconds
            _say(f"{counts.ended:,}/{counts.total:,} runs, {_figures(counts, self.seconds)}")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class Reasons:
    """Counts why requests have failed, and tells the commonest reasons. It stays small, however many there are."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0

    def add(self, kind: str, message: str) -> None:
        """Counts one. Whoever wrote the message, it is told in one line that is not long."""
        self._total += 1
        reason = in_one_line(f"{kind}: {message}")
        reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
        if reason in self._counts or len(self._counts) < _MOST_REASONS:
            self._counts[reason] += 1

    def told(self) -> Iterator[str]:
        """A line for each of the commonest, and how many others there were."""
        others = self._total
        for reason, count in self._counts.most_common(_TOLD_REASONS):
            others -= count
            yield f"{count:,} x {reason}"
        if others:
            yield f"{others:,} x something else: the results say what"


def summary(counts: Counts, seconds: float, *, where: str, stopped: bool) -> str:
    """The last line: what there is, and how to go on where that is not all."""
    completed, left = counts.ended - counts.failed, counts.total - counts.ended
    told = [f"{completed:,} completed", f"{counts.failed:,} failed"]
    if left:
        told.append(f"{left:,} left")
    speed = f" ({counts.tokens / seconds:,.0f} tokens/s)" if seconds > 0 else ""
    line = f"{'stopped: ' if stopped else ''}{', '.join(told)}; {counts.tokens:,} tokens in {seconds:.1f} s{speed}; {where}"
    if left:
        return f"{line}; the same command with --resume goes on"
    if not counts.failed:
        return line
    again = "--resume --retry-failed makes again what failed"
    return f"{line}; {again if counts.retryable else f'as it is, it would fail again: once that is mended, {again}'}"


def _figures(counts: Counts, seconds: float) -> str:
    told = [f"{counts.running:,} running", f"{counts.failed:,} failed"]
    if seconds > 0:
        told.append(f"{counts.tokens / seconds:,.0f} tokens/s")
    if counts.ended_now and counts.total > counts.ended:
        left = int((counts.total - counts.ended) * seconds / counts.ended_now)
        told.append(f"about {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left")
    return ", ".join(told)


def _say(line: str) -> None:
    # Not through rich: a pipe gets whole lines, at whatever width.
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
