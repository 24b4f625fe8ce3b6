"""The text of a run alone, out of its events."""

from collections.abc import AsyncIterator
from typing import Self

from ..events import RunEvent, ThreadMessageDelta


class TextDeltas(AsyncIterator[str]):
    """The pieces of text among events; ends and fails as they do. A cancelled step loses nothing."""

    def __init__(self, events: AsyncIterator[RunEvent]) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            event = await anext(self._events)
            if isinstance(event, ThreadMessageDelta) and (text := event.data.text):
                return text
