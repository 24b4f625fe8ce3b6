"""Items of a response's output as they come, event by event, and what each says to the machine of a run.

Servers leave out what others send: that an item is there, pieces of it, or its end. So each item remembers what it has
said, and whatever an event shows of the whole is said as far as it was not: nothing is lost, and nothing told twice.
"""

from abc import ABC, abstractmethod

from ...models import JSONObject
from ._json import object_of
from ._said import Said


class PiecedText:
    """Text in pieces, of which the rest may come at once."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> str:
        self._pieces.append(piece)
        return piece

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self._pieces)

    def rest(self, whole: str) -> str:
        """What of the whole was not said. Nothing, where it does not go on from that."""
        said = self.text
        return self.add(whole[len(said) :]) if whole.startswith(said) else ""


class LiveItem(ABC):
    """One item.

    Attributes:
        id: as the server calls it, once that is known.
        waiting: events that have come, and are not heard yet.
        is_over: nothing it could still show is wanted.
        whole: the item as its end has shown it.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.waiting: list[JSONObject] = []
        self.is_over = False
        self.whole: JSONObject = {}

    def hear(self, type: str, event: JSONObject) -> list[Said]:
        """Takes one event of the item."""
        if type == "response.output_item.done":
            self.whole = object_of(event, "item") or self.whole
            said = [] if self.is_over else self.end(self.whole)
            self.is_over = True
            return said
        return [] if self.is_over else self.go_on(type, event)

    @abstractmethod
    def go_on(self, type: str, event: JSONObject) -> list[Said]:
        """Takes an event that is not its end."""

    @abstractmethod
    def end(self, item: JSONObject) -> list[Said]:
        """Takes the item as it is at its end; empty where that did not come."""

    def told(self) -> JSONObject:
        """The item as far as it was said, to be sent again where its end did not show it; empty where it cannot be."""
        return {}
