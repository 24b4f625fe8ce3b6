"""What of a final object its fragments have not told: the fragments that are still to come. The inverse of merging."""

from collections import deque
from collections.abc import Sequence
from typing import cast

import msgspec

from .fragments import (
    Entries,
    Entry,
    Joined,
    fields,
    id_of,
    is_own,
    kind_of,
    settled,
)
from .models import JSONObject, UnknownPart
from .plain_json import as_object


class AlteredError(Exception):
    """The final object does not go on from what was told."""


def rest_of_fields(told: JSONObject, final: object) -> JSONObject:
    """The fields of a Struct or JSON object that are not told, or not to the end. Raises `AlteredError`."""
    if not _is_object(final):
        raise AlteredError
    found: JSONObject = {}
    for name, value in fields(final):
        rest = _rest(told.get(name), value)
        if rest is not None:
            found[name] = rest
    return found


def rest_of_parts(told: Entries, final: Sequence[object]) -> list[JSONObject]:
    """A fragment for each part of a list that is not told, or not to the end; none for parts that were altered."""
    pairs = _Pairs(told, final)
    fragments: list[JSONObject] = []
    for place, part in enumerate(final):
        if (pair := pairs.found.get(place)) is not None:
            fragments += _rest_of_part(told, pair, part)
        elif _is_object(part) and not pairs.is_altered(place):
            fragments.append(_fragment(part, place, _whole_fields(part)))
    return fragments


def _rest_of_part(told: Entries, pair: tuple[Entry, JSONObject], part: object) -> list[JSONObject]:
    entry, rest = pair
    if not rest:
        return []
    if entry is not told.at(entry.index)[-1] and entry.id is not None:  # without its id it would go to the newest
        rest = {"id": entry.id, **rest}
    return [_fragment(part, entry.index, rest)]


def _fragment(part: object, index: int, rest: JSONObject) -> JSONObject:
    known, kind = kind_of(part)
    fragment = {**({} if kind is None else {"type": kind}), **rest, "index": index}
    return fragment if known else UnknownPart(fragment)


class _Pairs:
    """Which fragments that came tell of which part of the final list: by id, else by index, else by order.

    `found` has for the place of a part what was told of it and what is not.
    """

    def __init__(self, told: Entries, final: Sequence[object]) -> None:
        self._final = final
        self._left = dict.fromkeys(told.ordered())
        self._named = {entry.id: entry for entry in self._left if entry.id is not None}
        self.found: dict[int, tuple[Entry, JSONObject]] = {}
        for place, part in enumerate(final):
            if (named := self._named.get(id_of(part) or "")) is not None:
                self._try(place, named)
        for place in self._unpaired():
            for entry in told.at(place):
                if place not in self.found:
                    self._try(place, entry)
        queue = deque(self._left)
        for place in self._unpaired():
            if queue and self._try(place, queue[0]):
                queue.popleft()
        self._altered = {entry.index for entry in self._left}

    def is_altered(self, place: int) -> bool:
        """Whether something was told of the part that has no pair, and does not lead to it."""
        return place in self._altered or id_of(self._final[place]) in self._named

    def _unpaired(self) -> list[int]:
        return [place for place in range(len(self._final)) if place not in self.found]

    def _try(self, place: int, entry: Entry) -> bool:
        part = self._final[place]
        known, type = kind_of(part)
        if not isinstance(entry.value, dict) or not _is_object(part):
            return False
        if entry not in self._left or entry.known != known or entry.fields.get("type") != type:
            return False
        if entry.id is not None and id_of(part) not in (None, entry.id):
            return False
        try:
            self.found[place] = entry, rest_of_fields(entry.fields, part)
        except AlteredError:
            return False
        del self._left[entry]
        return True


def _rest(told: object, final: object) -> object:
    """What is to be merged into what was told to make the final value; None for nothing."""
    if told is None or final is None:
        return _whole(final)
    if isinstance(told, Joined):
        text = told.join()
        if not isinstance(final, str) or not final.startswith(text):
            raise AlteredError
        return final[len(text) :] or None
    if isinstance(told, Entries):
        if not isinstance(final, (list, tuple)):
            raise AlteredError
        items = cast("Sequence[object]", final)
        return (rest_of_parts(told, items) if told.own else _rest_of_list(told, items)) or None
    if (part := as_object(told)) is not None:
        return rest_of_fields(part, final) or None
    return None if told == final else _whole(final)


def _rest_of_list(told: Entries, final: Sequence[object]) -> list[object]:
    """What follows in a list of open JSON."""
    whole, come = [_whole(item) for item in final], cast("list[object]", settled(told))
    if whole[: len(come)] != come:
        raise AlteredError
    return whole[len(come) :]


def _whole(value: object) -> object:
    """A value as a fragment that says all of it."""
    if _is_object(value):
        return _whole_fields(value)
    if not isinstance(value, (list, tuple)):
        return value
    items = cast("Sequence[object]", value)
    if is_own(items) and all(map(_is_object, items)):
        return [{**_whole_fields(item), "index": place} for place, item in enumerate(items)]
    return [_whole(item) for item in items]


def _is_object(part: object) -> bool:
    """Whether it has fields. Broken servers put bare values where parts belong."""
    return isinstance(part, (dict, msgspec.Struct))


def _whole_fields(part: object) -> JSONObject:
    return {name: _whole(value) for name, value in fields(part)}
