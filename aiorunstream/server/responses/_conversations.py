"""Conversations and their items, kept in memory. What cannot be done is a `StoreError`."""

from collections.abc import Callable, Iterable

import msgspec

from ...intake import Paging, StoreError, invalid
from ...models import JSONObject, Metadata
from ._input import Find, NewId, read_input
from ._requests import ConversationRequest, ConversationUpdate, ItemsRequest

_MOST_ITEMS = 20


class Conversation(msgspec.Struct):
    """One conversation.

    Attributes:
        items: by id, oldest first.
        is_locked: whether a response is at work on it.
    """

    id: str
    created_at: int
    metadata: Metadata
    items: dict[str, JSONObject] = {}
    is_locked: bool = False

    def shown(self) -> JSONObject:
        """The conversation as it is shown."""
        return {
            "id": self.id,
            "object": "conversation",
            "created_at": self.created_at,
            "metadata": dict(self.metadata),
        }

    def add(self, items: Iterable[JSONObject]) -> None:
        """Puts items at its end."""
        self.items.update({str(item["id"]): item for item in items})

    def check_unlocked(self) -> None:
        """Raises `StoreError`: a response is at work on it."""
        if self.is_locked:
            message = "Another process is currently operating on this conversation. Please retry in a few seconds."
            raise StoreError("busy", message, param="conversation", code="conversation_locked")


class Conversations:
    """All conversations of one server.

    Args:
        now: returns the time in whole Unix seconds.
        new_id: makes an id that begins with the given prefix.
        find: looks up an item that is referred to.
    """

    def __init__(self, *, now: Callable[[], int], new_id: NewId, find: Find) -> None:
        self._now = now
        self._new_id = new_id
        self._find = find
        self._kept: dict[str, Conversation] = {}

    def get(self, id: str) -> Conversation:
        """Finds a conversation."""
        if (found := self._kept.get(id)) is None:
            raise StoreError("not_found", f"Conversation with id '{id:.300}' not found.")
        return found

    def find_item(self, id: str) -> JSONObject | None:
        """The item with that id, in whatever conversation; None where there is none."""
        return next((kept.items[id] for kept in self._kept.values() if id in kept.items), None)

    def create(self, asked: ConversationRequest) -> JSONObject:
        """Keeps a new conversation with its first items."""
        items = self._read(asked.items or [])
        made = Conversation(self._new_id("conv"), self._now(), asked.metadata or {})
        made.add(items)
        self._kept[made.id] = made
        return made.shown()

    def update(self, id: str, asked: ConversationUpdate) -> JSONObject:
        """Changes a conversation's metadata."""
        kept = self.get(id)
        kept.metadata = asked.metadata or {}
        return kept.shown()

    def delete(self, id: str) -> JSONObject:
        """Forgets a conversation. A response that is at work on it goes on."""
        del self._kept[self.get(id).id]
        return {"id": id, "object": "conversation.deleted", "deleted": True}

    # -- items -------------------------------------------------------------------------------------------------------

    def create_items(self, id: str, asked: ItemsRequest) -> JSONObject:
        """Puts items at the end of a conversation."""
        kept = self.get(id)
        items = self._read(asked.items)
        kept.check_unlocked()
        kept.add(items)
        return page_of(items, Paging(limit=100, order="asc"))

    def list_items(self, id: str, paging: Paging) -> JSONObject:
        """One page of a conversation's items."""
        return page_of(self.get(id).items.values(), paging)

    def retrieve_item(self, id: str, item_id: str) -> JSONObject:
        """Finds an item of a conversation."""
        if (found := self.get(id).items.get(item_id)) is None:
            raise StoreError("not_found", f"Item with id '{item_id:.300}' not found.")
        return found

    def delete_item(self, id: str, item_id: str) -> JSONObject:
        """Forgets an item of a conversation."""
        kept = self.get(id)
        self.retrieve_item(id, item_id)
        kept.check_unlocked()
        del kept.items[item_id]
        return kept.shown()

    def _read(self, items: list[JSONObject]) -> list[JSONObject]:
        if len(items) > _MOST_ITEMS:
            message = f"Invalid 'items': a list of at most {_MOST_ITEMS} items, not {len(items)}."
            raise invalid(message, "items", code="array_above_max_length")
        return read_input(items, self._new_id, self._find, "items")


def page_of(items: Iterable[JSONObject], paging: Paging) -> JSONObject:
    """One page of a list that is in order of creation. Raises `StoreError`: a cursor is not in it."""
    left = list(items) if paging.order == "asc" else list(items)[::-1]
    if paging.after is not None:
        ids = [item["id"] for item in left]
        if paging.after not in ids:
            raise invalid(f"after: no item with id '{paging.after:.300}' is in this list.", "after")
        left = left[ids.index(paging.after) + 1 :]
    found = left[: paging.limit]
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": len(left) > paging.limit,
    }
