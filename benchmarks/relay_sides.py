"""What it costs to pass an event on to a browser, beside decoding it and encoding it again. Needs Starlette, as the relay does."""

from collections.abc import Callable
from functools import cache

import msgspec

from aiorunstream.models import MessageDeltaEvent
from aiorunstream.protocol import Frame
from aiorunstream.sse import SSEDecoder, SSEMessage

from .relay import _again, _json_again, _pass_on
from .sides import Side, Words, in_memory
from .workloads import workload


def _relayed(work: Callable[[list[Frame]], list[bytes]]) -> Side:
    """Frames in, bytes for the browser out."""

    def run(thread: str, words: Words) -> int:
        written = work(_frames(thread))
        if words is not None:
            words += [_text_of(message) for data in written for message in SSEDecoder().feed(data)]
        return len(written)

    return in_memory(run)


@cache
def _frames(thread: str) -> list[Frame]:
    return [Frame(name, payload) for name, payload in workload(thread).frames]


def _text_of(message: SSEMessage) -> str:
    """What a message says, if it is a piece of text."""
    if message.event != "thread.message.delta":
        return ""
    return msgspec.json.decode(message.data, type=MessageDeltaEvent).text


RELAY_SIDES: dict[str, Side] = {
    "relay": _relayed(_pass_on),
    "msgspec, decoded and encoded": _relayed(_again),
    "json, decoded and encoded": _relayed(_json_again),
}
