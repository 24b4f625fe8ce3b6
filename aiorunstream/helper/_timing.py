"""When things happened to a helper stream, and the figures that this comes to."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from ..models import Run, Usage
from ._tool_round import expiry

T = TypeVar("T")


class Timing:
    """Notes times on the loop's clock.

    Attributes:
        first_text_at: when the first text came; None before it.
    """

    __slots__ = ("_ended_at", "_entered_at", "_opened_at", "_run_began_at", "_tool_seconds", "first_text_at")

    def __init__(self) -> None:
        self._entered_at = self._opened_at = 0.0
        self._run_began_at: float | None = None
        self._ended_at: float | None = None
        self._tool_seconds = 0.0
        self.first_text_at: float | None = None

    def enter(self) -> None:
        """The request is about to be sent."""
        self._entered_at = _now()

    def open(self) -> None:
        """A stream was opened: the first, or the next segment's."""
        self._opened_at = _now()

    def begin_run(self) -> None:
        """The run began with the stream that was just opened."""
        self._run_began_at = self._opened_at

    def say(self) -> None:
        """The first text has come."""
        self.first_text_at = _now()

    def end(self) -> None:
        """All is over."""
        self._ended_at = _now()

    async def of_tools(self, work: Awaitable[T]) -> T:
        """Waits for the work of tools. Its seconds are not the stream's."""
        began = _now()
        try:
            return await work
        finally:
            self._tool_seconds += _now() - began

    def expiry(self, run: Run, headers: Mapping[str, str]) -> float:
        """When the tools that the run waits for must be done, on the loop's clock. The headers are the last stream's."""
        return expiry(run, headers, opened_at=self._opened_at, began_at=self._run_began_at)

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the request to the first text; None before it."""
        return None if self.first_text_at is None else self.first_text_at - self._entered_at

    def tokens_per_second(self, usage: Usage | None) -> float | None:
        """Completion tokens by the seconds of the stream; None before the end, or where nobody counted."""
        if self._ended_at is None or usage is None:
            return None
        seconds = self._ended_at - self._entered_at - self._tool_seconds
        return usage.completion_tokens / seconds if seconds > 0 else None


def _now() -> float:
    return asyncio.get_running_loop().time()
