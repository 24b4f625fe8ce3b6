"""What every backend can do, and what a client tells it."""

from typing import NamedTuple, Protocol, TypeVar

import msgspec

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
    headers: dict[str, str]
    query: dict[str, str]

    def __repr__(self) -> str:
        """Says nothing: headers may hold keys."""
        return "<Settings>"


class Opened(NamedTuple):
    """A stream that has been opened: its bytes, and what turns them into events."""

    body: ByteStream
    protocol: EventSource


class Backend(Protocol):
    """Carries calls out. One backend belongs to one client."""

    def start(self, settings: Settings) -> None:
        """Is called once, when the client is made. Raises `ConfigurationError` where the settings cannot work."""
        ...

    async def call(self, call: Call[T]) -> T:
        """Carries out a plain call. Raises `APIError`."""
        ...

    async def open(self, call: Call[T], *, on_error_event: OnErrorEvent) -> Opened:
        """Opens a stream, and returns once the server has said that one follows. Raises `APIError`."""
        ...
