"""A run as people like to watch it: its events as they come, its text as it grows, and the figures at the end."""

import os
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..errors import AiorunstreamError
from ..events import RunEvent, ThreadMessageDelta, ThreadRunStepDelta, UnknownEvent
from ..models import Message, RequiredActionFunctionToolCall, Run, RunStep, ToolCallsDeltaObject, Usage
from ..stream import RunStream, StreamCall

_COLOURS = {"thread.run.step": "blue", "thread.run": "magenta", "thread.message": "green", "thread": "cyan"}

# A server, a model or a tool must not move the cursor or rename the window.
_CONTROLS = dict.fromkeys(set(range(32)) - {ord("\t"), ord("\n")} | set(range(127, 160)))


class RunDisplay:
    """Shows runs on a terminal, or line by line where there is none. Figures are of all its streams together.

    Args:
        console: where to.
        plain: no colours and nothing that moves; for pipes and logs.
    """

    def __init__(self, console: Console, *, plain: bool) -> None:
        self._console = console
        self._plain = plain
        self._live: Live | None = None
        self._started = time.perf_counter()
        self._text = ""  # of this stream
        self._characters = 0
        self._events = 0
        self._before = 0.0  # seconds that earlier streams took
        self._kinds: Counter[str] = Counter()
        self._usages: dict[str, Usage] = {}  # of each run, as it was last told
        self._outcomes: dict[str, str] = {}  # of each run
        self._first_event: float | None = None
        self._first_text: float | None = None
        self._last = 0.0

    async def run(self, call: StreamCall[RunStream]) -> RunStream:
        """Opens a stream and shows it to its end. Its clock starts before the request."""
        self._text = ""
        with self._showing():
            async with call as stream:
                async for event in stream:
                    self.event(event)
        self._before += self._last
        self._last = 0.0
        self._outcomes[stream.run_id or "unknown"] = stream.outcome or "unknown"
        return stream

    @contextmanager
    def _showing(self) -> Generator[None]:
        """While this lasts, text grows in place."""
        self._started = time.perf_counter()
        if self._plain:
            yield
            return
        with Live(self._panel(), console=self._console, refresh_per_second=20) as self._live:
            yield
        self._live = None

    def event(self, event: RunEvent) -> None:
        """Shows one event."""
        self._last = time.perf_counter() - self._started
        if self._first_event is None:
            self._first_event = self._last
        self._events += 1
        self._kinds[event.event] += 1
        if isinstance(event, ThreadMessageDelta):
            self._grow(event.data.text)
        elif not isinstance(event, UnknownEvent) and isinstance(event.data, Run):
            self._count(event.data)
        if self._plain:
            self._line(event)
        elif not isinstance(event, ThreadMessageDelta):
            self._coloured_line(event)

    def summary(self) -> None:
        """Shows how the runs ended, and the figures of all of them."""
        several = len(self._outcomes) > 1
        which = " (of the first run)" if several else ""
        rows = [
            ("outcome", ", ".join(dict.fromkeys(self._outcomes.values()))),
            ("runs", str(len(self._outcomes))) if several else ("run", next(iter(self._outcomes), "unknown")),
            ("events", f"{self._events} ({len(self._kinds)} kinds)"),
            ("text", f"{self._characters} characters in {self._kinds['thread.message.delta']} deltas"),
            ("time to first event", _milliseconds(self._first_event) + which),
            ("time to first text", _milliseconds(self._first_text) + which),
            ("streaming", _milliseconds(self._before)),
            ("events per second", f"{self._events / self._before:,.0f}" if self._before else "-"),
        ]
        if self._usages:
            asked = sum(usage.prompt_tokens for usage in self._usages.values())
            answered = sum(usage.completion_tokens for usage in self._usages.values())
            rows.append(("tokens", f"{asked} in, {answered} out"))
        if self._plain:
            self._print("")
            for name, value in rows:
                self._print(f"{name}: {value}")
            return
        self._console.print()
        table = Table(show_header=False, box=None, padding=(0, 2))
        for name, value in rows:
            table.add_row(f"[dim]{name}[/dim]", escape(value))
        self._console.print(table)

    def _count(self, run: Run) -> None:
        if run.usage is not None:
            self._usages[run.id] = run.usage

    def _grow(self, text: str) -> None:
        if text and self._first_text is None:
            self._first_text = self._last
        self._text += text
        self._characters += len(text)
        if self._live is not None:
            self._live.update(self._panel())

    def _panel(self) -> Panel | Text:
        if not self._text:
            return Text("")
        return Panel(Text(self._text), title="assistant", title_align="left", border_style="green")

    def _line(self, event: RunEvent) -> None:
        self._print(f"{self._last * 1000:8.1f} ms  {event.event:<29} {about(event)}".rstrip())

    def _coloured_line(self, event: RunEvent) -> None:
        colour = next((colour for prefix, colour in _COLOURS.items() if event.event.startswith(prefix)), "red")
        line = f"[dim]{self._last * 1000:8.1f} ms[/dim]  [{colour}]{event.event:<29}[/{colour}] [dim]{escape(about(event))}[/dim]"
        self._console.print(line, highlight=False)

    def _print(self, line: str) -> None:
        # Not through rich: a pipe gets whole lines, at whatever width.
        self._console.file.write(line + "\n")
        self._console.file.flush()


def about(event: RunEvent) -> str:
    """A few words on what an event is about."""
    if isinstance(event, UnknownEvent):
        return "(not known to this version)"
    if isinstance(event, ThreadMessageDelta):
        return repr(event.data.text)
    if isinstance(event, ThreadRunStepDelta):
        return _about_step_delta(event)
    data = event.data
    if isinstance(data, Run):
        return f"{data.id} {data.status or ''}"
    if isinstance(data, (RunStep, Message)):
        return f"{data.id} {data.status or ''}"
    return getattr(data, "id", "") or getattr(data, "message", "")


def why(run: Run) -> str:
    """Why a run that has stopped is not completed, as far as the server says."""
    if run.last_error is not None:
        return ": ".join(part for part in (run.last_error.code, run.last_error.message) if part)
    if run.incomplete_details is not None and run.incomplete_details.reason:
        return run.incomplete_details.reason
    names = [call.function.name for call in run.tool_calls if isinstance(call, RequiredActionFunctionToolCall)]
    if names:
        return f"it waits for the output of {', '.join(names)}"
    return "the server does not say why" if run.status in ("failed", "incomplete") else ""


def of_the_system(error: OSError) -> str:
    """What went wrong, in the system's words alone: asyncio puts its own around them."""
    if error.errno is None or error.errno <= 0:  # names that cannot be found have numbers of their own
        return str(error.strerror or error)
    return os.strerror(error.errno)


def in_a_line(error: AiorunstreamError) -> str:
    """What went wrong, as people at a terminal are told."""
    run_id: str | None = getattr(error, "run_id", None)
    told = "; ".join([str(error), *getattr(error, "__notes__", ())]) + (f" (run {run_id})" if run_id else "")
    return in_one_line(f"{type(error).__name__}: {told}")


def in_one_line(text: str) -> str:
    """Text with its line ends as spaces, and harmless."""
    return harmless(" ".join(text.split()))


def harmless(text: str) -> str:
    """Text of somebody else without what a terminal would obey."""
    return text.translate(_CONTROLS)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.1f} ms"


def _about_step_delta(event: ThreadRunStepDelta) -> str:
    details = event.data.delta.step_details
    if not isinstance(details, ToolCallsDeltaObject):
        return event.data.id
    return " ".join(call.type or "?" for call in details.tool_calls)
