"""The one server whose bytes cannot be read right without being told whose they are.

Everything else that servers do differently is seen by itself; see `decode` and `repair`.
"""

from collections.abc import Iterator
from typing import Literal, cast

import msgspec

from .events import RunEvent, ThreadMessageDelta
from .models import MessageContentDelta, MessageDeltaEvent
from .protocol import Frame, RunProtocol

Dialect = Literal["astra"]
"""What a client can be told of its server."""


class AstraProtocol(RunProtocol):
    """Reads astra-assistants-api, which numbers the pieces of one text as if each were a part of its own: 0, 1, 2, ...

    Parts of one kind that follow each other in a message are one part. A server that sends messages of several texts
    would be misread, so nothing guesses this. Parameters and errors as of `RunProtocol`.
    """

    _places: dict[str, tuple[str | None, int]] | None = None  # by message: the kind of its last part, and its place
    _moved: RunEvent | None = None  # the last event, where something in it was put right

    def next_event(self) -> RunEvent | None:
        """As of `RunProtocol`, with the index of each piece of a message put right."""
        event = super().next_event()
        if not isinstance(event, ThreadMessageDelta):
            return event
        data = self._in_place(event.data)
        if data is event.data:
            return event
        self._moved = msgspec.structs.replace(event, data=data)
        return self._moved

    def frame_of(self, event: RunEvent) -> Frame:
        """As of `RunProtocol`; encoded where something was put right."""
        if event is self._moved:
            return Frame(event.event, msgspec.json.encode(event.data))
        return super().frame_of(event)

    def _in_place(self, data: MessageDeltaEvent) -> MessageDeltaEvent:
        content = tuple(self._parts_in_place(data))
        if all(part is was for part, was in zip(content, data.delta.content, strict=True)):
            return data
        return msgspec.structs.replace(data, delta=msgspec.structs.replace(data.delta, content=content))

    def _parts_in_place(self, data: MessageDeltaEvent) -> Iterator[MessageContentDelta]:
        if self._places is None:
            self._places = {}
        for part in data.delta.content:
            last, place = self._places.get(data.id, (None, -1))
            if part.type != last or place < 0:
                place += 1
            self._places[data.id] = part.type, place
            yield _at(part, place)


def _at(part: MessageContentDelta, place: int) -> MessageContentDelta:
    if isinstance(part, msgspec.Struct):
        return part if part.index == place else msgspec.structs.replace(part, index=place)
    if "index" in part and part["index"] != place:
        return cast("MessageContentDelta", type(part)({**part, "index": place}))
    return part
