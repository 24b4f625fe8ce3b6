"""How a stream is written. This is the protocol's own way; other servers' ways are in `_dialects` and beside it."""

from collections.abc import Iterator
from typing import cast

import msgspec

from ..models import JSONObject, Usage
from ..sse import encode

_DONE = encode("[DONE]", event="done")


def plain(value: object) -> JSONObject:
    """An object as the JSON that a client reads."""
    return cast("JSONObject", msgspec.json.decode(msgspec.json.encode(value)))


def objects_in(answer: JSONObject) -> Iterator[JSONObject]:
    """The object itself; of a list, those in it."""
    if answer.get("object") == "list":
        yield from cast("list[JSONObject]", answer["data"])
    else:
        yield answer


class Spelling:
    """Writes the events of one stream, in their order.

    Attributes:
        broke_off: the connection is to be closed now, in the middle of the body; nothing more is written.
    """

    broke_off = False

    def event(self, name: str, data: object, spent: Usage | None) -> bytes:
        """An event as bytes; `b""` where this server says nothing of it. `spent` is what the run has spent so far."""
        del spent  # the run says it at its end
        return encode(msgspec.json.encode(data), event=name)

    def end(self) -> bytes:
        """The end mark; `b""` where there is none."""
        return _DONE
