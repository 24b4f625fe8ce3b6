"""Any server that speaks the protocol over HTTP."""

from typing import TypeVar

from ..dialects import AstraProtocol
from ..operations import Call
from ..protocol import OnErrorEvent, RunProtocol
from ._base import Answer, Opened, Settings
from ._profile import OPENAI, Profile
from ._sending import Sender

T = TypeVar("T")


class HttpBackend:
    """A server of the protocol behind a base URL.

    Args:
        base_url: where its `/threads` and `/assistants` are, such as `http://127.0.0.1:8787/v1`. Plain http is
            accepted, since such servers often live next door.
        profile: how this kind of server is asked.

    Raises:
        ConfigurationError: the URL cannot be meant.
    """

    def __init__(self, base_url: str, *, profile: Profile = OPENAI) -> None:
        self._sender = Sender(base_url, profile=profile)

    @property
    def base_url(self) -> str:
        """The base URL, without a slash at its end."""
        return self._sender.base_url

    def start(self, settings: Settings) -> None:
        """Is called by the client this backend belongs to."""
        self._sender.start(settings)

    async def call(self, call: Call[T]) -> Answer[T]:
        """Sends a plain call and decodes its answer."""
        return await self._sender.call(call)

    async def open(self, call: Call[T], *, on_error_event: OnErrorEvent = "raise") -> Opened:
        """Opens a stream: returns when the server has answered 200 with an event stream."""
        redact, body = await self._sender.open_body(call)
        settings = self._sender.settings
        kind = AstraProtocol if settings.dialect == "astra" else RunProtocol
        protocol = kind(
            max_event_bytes=settings.limits.max_event_bytes,
            max_depth=settings.limits.max_depth,
            on_error_event=on_error_event,
            redact=redact,
        )
        return Opened(body, protocol)

    def __repr__(self) -> str:
        return f"HttpBackend({self.base_url!r})"
