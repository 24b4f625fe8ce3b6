"""What every backend can do, and what a client tells it."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from ..dialects import Dialect
from ..operations import Call
from ..options import Limits, Timeouts
from ..protocol import OnErrorEvent
from ..retry import RetryPolicy
from ..stream import ByteStream, EventSource
from ..transport import Transport
from ._credentials import Credentials

T = TypeVar("T")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A client's settings, as its backend needs them."""

    transport: Transport
    credentials: Credentials
    timeouts: Timeouts
    retry: RetryPolicy
    limits: Limits
    headers: dict[str, str | None]
    query: dict[str, str]
    dialect: Dialect | None = None

    def __repr__(self) -> str:
        """Says nothing: headers may hold keys."""
        return "<Settings>"


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """What a plain call came to, with the HTTP facts around it.

    Attributes:
        data: the object the call returns.
        status_code, headers: of the answer; header names in any case.
    """

    data: T
    status_code: int
    headers: Mapping[str, str]

    @property
    def request_id(self) -> str | None:
        """The answer's `x-request-id`, if the server gave one."""
        return self.headers.get("x-request-id")


class Opened(NamedTuple):
    """A stream that has been opened: its bytes, and what turns them into events."""

    body: ByteStream
    protocol: EventSource


class Backend(Protocol):
    """Carries calls out. One backend belongs to one client."""

    def start(self, settings: Settings) -> None:
        """Is called once, when the client is made. Raises `ConfigurationError` where the settings cannot work."""
        ...

    async def call(self, call: Call[T]) -> Answer[T]:
        """Carries out a plain call. Raises `APIError`."""
        ...

    async def open(self, call: Call[T], *, on_error_event: OnErrorEvent) -> Opened:
        """Opens a stream, and returns once the server has said that one follows. Raises `APIError`."""
        ...
