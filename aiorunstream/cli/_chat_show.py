"""One answer as it comes: its text, the calls it makes with what they return, and the figures at its end."""

import errno
import os

from rich.console import Console

from ..handler import AssistantEventHandler
from ..helper import AssistantStream
from ..models import (
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    Message,
    RefusalContentBlock,
    RunStep,
    TextContentBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallsStepDetails,
    UnknownPart,
)
from ._show import harmless, why

_LONGEST_OUTPUT = 500


class TalkConsole(Console):
    """Standard output, for use outside the main thread."""

    def on_broken_pipe(self) -> None:
        """Nobody reads any more. rich would leave by SystemExit, which tears down the loop it happens in."""
        self.quiet = True
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class AnswerDisplay(AssistantEventHandler):
    """Writes an answer on a console, in the order in which it comes. It never goes back, so it suits pipes too."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._line_is_open = False
        self._call: str | None = None  # the id of the one whose arguments are being written

    # -- what is told --------------------------------------------------------------------------------------------------

    def text(self, piece: str) -> None:
        """Goes on with the text."""
        self._call = None
        self._write(piece)

    def on_message_done(self, message: Message) -> None:
        """What of a message is not in its text deltas."""
        for part in message.content:
            if isinstance(part, RefusalContentBlock):
                self._note(f"[refused] {part.refusal}")
            elif not isinstance(part, TextContentBlock):
                self._note(f"[{part.type}]")
        self._end_line()

    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        """Names the call, with the arguments there are."""
        self._head(tool_call)
        self._write(_asked(tool_call), style="cyan")

    def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        """The arguments grow."""
        if self._call == _id(snapshot):
            self._write(_more_asked(delta), style="cyan")
        else:  # another one was in between
            self.on_tool_call_created(snapshot)

    def on_tool_call_done(self, tool_call: ToolCall) -> None:  # noqa: ARG002  # the official name and parameters
        """The next thing begins a line."""
        self._end_line()

    def on_run_step_done(self, run_step: RunStep) -> None:
        """What the functions returned."""
        details = run_step.step_details
        for call in details.tool_calls if isinstance(details, ToolCallsStepDetails) else ():
            if isinstance(call, FunctionToolCall) and call.function.output is not None:
                output = call.function.output
                more = "" if len(output) <= _LONGEST_OUTPUT else f"… ({len(output):,} characters)"
                self._note(f"[output] {call.function.name} {output[:_LONGEST_OUTPUT]}{more}")

    # -- the end -------------------------------------------------------------------------------------------------------

    def end(self, stream: AssistantStream) -> None:
        """How the run ended, where that is not well, and what it took."""
        self._end_line()
        if stream.run is not None and stream.outcome != "completed":
            self._note(f"[{stream.outcome}] {why(stream.run)}".rstrip(), style="red")
        figures: list[str] = []
        if stream.usage is not None:
            figures.append(f"{stream.usage.prompt_tokens:,} tokens in, {stream.usage.completion_tokens:,} out")
        if stream.time_to_first_token is not None:
            figures.append(f"{stream.time_to_first_token:.2f} s to the first text")
        if stream.tokens_per_second is not None:
            figures.append(f"{stream.tokens_per_second:,.0f} tokens/s")
        if figures:
            self._note(f"[{', '.join(figures)}]")

    def stopped(self) -> None:
        """The user has broken it off."""
        self._end_line()
        self._note("[stopped]")

    def broke_off(self) -> None:
        """Something went wrong, which somebody else tells."""
        self._end_line()

    # -- writing -------------------------------------------------------------------------------------------------------

    def _head(self, call: ToolCall) -> None:
        self._end_line()
        name = call.function.name if isinstance(call, FunctionToolCall) else call.type
        self._write(f"[call] {name} ", style="cyan")
        self._call = _id(call)

    def _note(self, line: str, style: str = "dim") -> None:
        self._end_line()
        self._write(line + "\n", style=style)

    def _end_line(self) -> None:
        if self._line_is_open:
            self._write("\n")
        self._call = None

    def _write(self, text: str, style: str | None = None) -> None:
        text = harmless(text)
        if not text:
            return
        self._line_is_open = not text.endswith("\n")
        if style is None:  # not through rich, which would make spaces of tabs
            self._console.file.write(text)
            self._console.file.flush()
        else:
            self._console.out(text, end="", style=style, highlight=False)


def _id(call: ToolCall) -> str:
    return str(call.get("id")) if isinstance(call, UnknownPart) else call.id


def _asked(call: ToolCall) -> str:
    if isinstance(call, FunctionToolCall):
        return call.function.arguments
    return call.code_interpreter.input if isinstance(call, CodeInterpreterToolCall) else ""


def _more_asked(delta: ToolCallDelta) -> str:
    if isinstance(delta, FunctionToolCallDelta):
        return (delta.function and delta.function.arguments) or ""
    if isinstance(delta, CodeInterpreterToolCallDelta):
        return (delta.code_interpreter and delta.code_interpreter.input) or ""
    return ""
