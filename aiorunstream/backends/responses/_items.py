"""Which item of a response's output an event is of.

| who | how it says so |
|---|---|
| OpenAI | by the item's place in the output, and by its id |
| llama.cpp | by the id alone; a call has none, and its `call_id` takes that place |
| OGX | by the id; all items begin at one place, and end at others |
| LiteLLM | by the place, where ids change in between; or by an id that is new at a place where thoughts have ended |

So an id that is known counts where the place is unknown, or is that of an item with another id. An id that is not counts
only where it must: the item begins there, or is of another kind than the one that is known at its place.
"""

from collections.abc import Callable, Sequence

from ...models import JSONObject
from ._json import object_of, text_of
from ._live import LiveItem
from ._live_calls import CallItem, CodeItem, NativeItem, SearchItem
from ._live_message import MessageItem

_KINDS = {
    "response.output_text": "message",
    "response.refusal": "message",
    "response.content_part": "message",
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
    "response.code_interpreter_call": "code_interpreter_call",
    "response.file_search_call": "file_search_call",
}
_CALLS = ("function_call", "custom_tool_call")


class Items:
    """The items of one response, as events tell of them.

    Attributes:
        order: those that have come, oldest first.
    """

    def __init__(self) -> None:
        self.order: list[LiveItem] = []
        self._at: dict[int | str, LiveItem] = {}  # by its place in the output, or by its id where that is not told
        self._by_id: dict[str, LiveItem] = {}

    def find(self, type: str, event: JSONObject) -> LiveItem | None:
        """The item that an event of that type is of; None where it is one that has not come before."""
        shown = object_of(event, "item")
        id, begins = _id_in(event), type == "response.output_item.added"
        here, named = self._at.get(_place_in(event)), self._by_id.get(id) if id else None
        if here is None:
            # The same id again may be another item, of a server that gives one to all.
            return None if named is None or begins or named.whole else named
        kind = _kind_in(type, shown)
        is_unlike = bool(kind) and not is_like(here, kind)
        if id and here.id and id != here.id:
            return named or (None if begins or is_unlike else here)
        is_same = bool(id) and id == here.id
        return None if begins and not is_same and (here.is_over or is_unlike) else here

    def begin(self, type: str, event: JSONObject) -> LiveItem:
        """A new item, which an event of that type is of."""
        return self.add(_kind_in(type, object_of(event, "item")), _id_in(event), _place_in(event))

    def add(self, kind: str, id: str, place: int | str) -> LiveItem:
        """A new item of that type."""
        item = live_item(kind, "" if id in self._by_id else id)
        self._by_id.setdefault(id, item)
        self._at[place] = item
        self.order.append(item)
        return item

    def places_in(self, output: Sequence[JSONObject]) -> dict[int, LiveItem]:
        """Which of the items are which of the output: by their ids, else by their places, else by their kinds."""
        found: dict[int, LiveItem] = {}
        left = list(self.order)
        rules: tuple[Callable[[LiveItem, int, JSONObject], bool], ...] = (
            lambda item, _, whole: item.id != "" and item.id == id_of(whole),
            lambda item, place, whole: item is self._at.get(place) and is_like(item, text_of(whole, "type")),
            lambda item, _, whole: is_like(item, text_of(whole, "type")),
        )
        for fits in rules:
            for place, whole in enumerate(output):
                item = None if place in found else next((item for item in left if fits(item, place, whole)), None)
                if item is not None:
                    found[place] = item
                    left.remove(item)
        return found


def id_of(item: JSONObject) -> str:
    """What events call an item by; empty where it has no id."""
    return text_of(item, "id") or (text_of(item, "call_id") if text_of(item, "type") in _CALLS else "")


def _id_in(event: JSONObject) -> str:
    return id_of(object_of(event, "item")) or text_of(event, "item_id")


def _place_in(event: JSONObject) -> int | str:
    place = event.get("output_index")
    return place if isinstance(place, int) else _id_in(event)


def _kind_in(type: str, shown: JSONObject) -> str:
    return text_of(shown, "type") or next((kind for start, kind in _KINDS.items() if type.startswith(start)), "")


def is_like(item: LiveItem, kind: str) -> bool:
    """Whether the item could be one of that type."""
    return type(item) is type(live_item(kind, ""))


def live_item(kind: str, id: str) -> LiveItem:
    """An item of that type."""
    match kind:
        case "message":
            return MessageItem(id)
        case "function_call":
            return CallItem(id, "arguments")
        case "custom_tool_call":
            return CallItem(id, "input")
        case "code_interpreter_call":
            return CodeItem(id)
        case "file_search_call":
            return SearchItem(id)
        case _:
            return NativeItem(id)
