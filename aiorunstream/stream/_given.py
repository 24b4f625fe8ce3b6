"""What a stream is given: its bytes, what makes events of them, and what it may ask of the server."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from ..events import RunEvent
from ..models import Message, Run, RunStep
from ..protocol import Frame

T = TypeVar("T")


class ByteStream(Protocol):
    """The body of an answer, as the transport gives it."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""
        ...

    @property
    def clean_close(self) -> bool | None:
        """Whether the body ended as HTTP says; None while that is not known."""
        ...

    async def read(self) -> bytes:
        """Returns the next bytes, `b""` at the end; raises a `StreamError`, again and again once it has."""
        ...

    def progressed(self) -> None:
        """Is told that an event was decoded since the last read."""
        ...

    def abort(self) -> None:
        """Closes at once, synchronously, and wakes a waiting read."""
        ...

    def abandon(self) -> None:
        """As `abort`, from any thread."""
        ...

    def release(self) -> None:
        """Returns at once, drains in the background and pools the connection."""
        ...


class EventSource(Protocol):
    """Bytes to events: `RunProtocol`, or another with the same methods."""

    run: Run | None
    run_id: str | None
    thread_id: str | None
    outcome: str | None
    last_event: str | None

    @property
    def events_seen(self) -> int:
        """How many events were handed out."""
        ...

    def receive_data(self, data: bytes) -> None:
        """Takes bytes; `b""` is the end."""
        ...

    def next_event(self) -> RunEvent | None:
        """Returns an event, or None; raises a `StreamError`."""
        ...

    def frame_of(self, event: RunEvent) -> Frame:
        """The event that was just returned, as a name and bytes."""
        ...


class RunControl(Protocol):
    """What a stream may ask of the server about its run. Each method raises `APIError`."""

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks the run to stop."""
        ...

    async def stopped(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run until it has stopped. Outages of the server do not end the wait; whoever waits bounds it."""
        ...

    async def messages(self, thread_id: str, run_id: str) -> tuple[Message, ...]:
        """The messages the run wrote, oldest first."""
        ...

    async def steps(self, thread_id: str, run_id: str) -> tuple[RunStep, ...]:
        """The steps of the run, oldest first."""
        ...

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something that must not end with whoever asked for it. Raises `ClientClosedError`, the work not begun."""
        ...


class NotRecoveredError(Exception):
    """What was missed cannot be had; the message says why."""
