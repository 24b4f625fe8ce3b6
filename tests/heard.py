"""A handler that writes everything down, and streams over events in memory for it to hear."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
from raw_server import event
from test_stream import Bytes, stream_over

from aiorunstream import AssistantEventHandler, AssistantStream, RunStream, StreamCall
from aiorunstream.events import AssistantStreamEvent

NAMES = tuple(name for name in vars(AssistantEventHandler) if name.startswith("on_"))


class Heard(AssistantEventHandler):
    """Overrides all methods, in turn with `def` and with `async def`, which changes nothing."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    @property
    def names(self) -> list[str]:
        """What was called, without the events themselves and without the "on_"."""
        return [name.removeprefix("on_") for name, _ in self.calls if name != "on_event"]

    def of(self, *names: str) -> list[Any]:
        """The first arguments of these methods, in order."""
        return [arguments[0] for name, arguments in self.calls if name in names]


def _writing(name: str) -> Callable[..., None]:
    def method(self: Heard, *arguments: object) -> None:
        self.calls.append((name, arguments))

    return method


def _writing_later(name: str) -> Callable[..., Coroutine[None, None, None]]:
    async def method(self: Heard, *arguments: object) -> None:
        self.calls.append((name, arguments))

    return method


for place, name in enumerate(NAMES):
    setattr(Heard, name, (_writing_later if place % 2 else _writing)(name))


def wire(events: Iterable[AssistantStreamEvent]) -> bytes:
    """The events as a server sends them."""
    return b"".join(event(one.event, msgspec.json.encode(one.data)) for one in events)


def call_over(body: Bytes) -> StreamCall[RunStream]:
    """A call of a raw stream that needs no server."""

    async def opened() -> RunStream:
        return stream_over(body)

    return StreamCall(opened())


def over(*pieces: bytes | None, handler: AssistantEventHandler | None = None) -> AssistantStream:
    """A stream of these bytes, with its handler."""
    return AssistantStream(call_over(Bytes(*pieces)), event_handler=handler)
