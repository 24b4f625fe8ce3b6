"""The lines that somebody types, or that come from a pipe; and what Ctrl-C means at the moment."""

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType


class Terminal:
    """Reads lines in the main thread. While one is awaited, Ctrl-C and Ctrl-D end it; else Ctrl-C does as `interrupting` says.

    Attributes:
        is_interactive: whether somebody sits at both ends; else prompts are not shown.
    """

    def __init__(self) -> None:
        self.is_interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._is_reading = False
        self._interrupt: Callable[[], object] | None = None
        if self.is_interactive:
            with suppress(ImportError):
                import readline  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]  # lets `input` edit lines

    def line(self, prompt: str) -> str | None:
        """The next line without its end; None when there is none, or when it was broken off."""
        self._is_reading = True
        try:
            if self.is_interactive:
                return input(prompt)
            return line.rstrip("\r\n") if (line := sys.stdin.readline()) else None
        except (EOFError, KeyboardInterrupt):
            if self.is_interactive:
                print()
            return None
        finally:
            self._is_reading = False

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Generator[None]:
        """While this lasts, Ctrl-C calls `interrupt`, in the main thread."""
        self._interrupt = interrupt
        try:
            yield
        finally:
            self._interrupt = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """While this lasts, Ctrl-C means what it means here. Else it is Python's."""
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_reading or self._interrupt is None:
            raise KeyboardInterrupt
        self._interrupt()
