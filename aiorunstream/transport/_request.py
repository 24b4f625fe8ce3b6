"""A request, and what becomes of it on its way out."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from ..options import Timeouts

_WRITE_PIECE = 64 * 1024


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, byte for byte.

    Attributes:
        operation: its name, for errors.
        url: absolute, quoted already.
        creates: whether it must not be sent twice.
        streams: whether its answer is held open: it then takes one of `Limits.max_streams`.
        began: on the loop's clock, when the first attempt at it began: `Timeouts.total` counts from there. None: now.
    """

    operation: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeouts: Timeouts
    creates: bool
    streams: bool
    began: float | None = None

    def __repr__(self) -> str:
        """Names the operation; headers hold keys, and bodies what people wrote."""
        return f"<Request {self.operation}>"

    @property
    def host(self) -> str:
        """`host:port`, for messages."""
        return URL(self.url, encoded=True).host_port_subcomponent or ""


class RequestBody(payload.Payload):
    """A body that tells how it gets on: `due` before each piece, and `written` when the socket has the last."""

    def __init__(self, body: bytes, *, due: Callable[[], None], written: Callable[[], None]) -> None:
        super().__init__(body, content_type="application/json")
        self._body = body
        self._size = len(body)
        self._due = due
        self._written = written

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        for start in range(0, len(self._body), _WRITE_PIECE):
            self._due()
            await writer.write(self._body[start : start + _WRITE_PIECE])
        self._written()

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        del content_length  # it is the body's own
        await self.write(writer)


class WithdrawnError(Exception):
    """Keeps a body from being written. Nobody is told: whoever wanted it has gone."""


class Opening:
    """A request from its first step to the head of its answer, and the clock that ends the wait.

    Args:
        timeouts: the answer is due `first_event` after the request was written; `total` counts from `opened_at`.
        opened_at: on the loop's clock.
        creates: whether it must not be sent twice.
        free: gives back the request's place among those on their way out.

    Attributes:
        deadline: to be entered around the wait.
        task: whose request it is.
        withdrawn: whether nobody wants it any more: what has not left is not to leave.
        begun: whether any of the request may have left.
        written_at: when it had left, as far as it has.
        clock: the one that would end the wait now.
    """

    def __init__(self, timeouts: Timeouts, opened_at: float, *, creates: bool, free: Callable[[], None]) -> None:
        self._timeouts = timeouts
        self._total_at = None if timeouts.total is None else opened_at + timeouts.total
        self._free: Callable[[], None] | None = free
        self._answered = False  # an answer may come while the request is still being written
        self.deadline = asyncio.timeout_at(self._total_at)
        self.task = asyncio.current_task()
        self.creates = creates
        self.withdrawn = False
        self.begun = False
        self.written_at = opened_at
        self.clock: Literal["first_event", "total"] = "total"

    def due(self, *, connecting: float = 0.0) -> None:
        """The answer, or the next piece of the request to be taken, is due from now on; or from `connecting` seconds on."""
        if self.withdrawn and not self.begun:
            raise WithdrawnError
        self.begun = True
        if self._answered or self.deadline.expired():
            return
        self.written_at = asyncio.get_running_loop().time() + connecting
        first_event = self._timeouts.first_event
        due = None if first_event is None else self.written_at + first_event
        self.clock = "first_event"
        if self._total_at is not None and (due is None or self._total_at < due):
            due, self.clock = self._total_at, "total"
        self.deadline.reschedule(due)

    def written(self) -> None:
        """The request is out: the answer is due from now on."""
        self.due()
        self.free()

    def give_up(self) -> None:
        """Ends the wait now."""
        if not self._answered and not self.deadline.expired():
            self.deadline.reschedule(0.0)

    def answered(self) -> None:
        """The wait is over, with an answer or without."""
        self._answered = True
        self.free()

    def free(self) -> None:
        """Gives the place back, once."""
        free, self._free = self._free, None
        if free is not None:
            free()
