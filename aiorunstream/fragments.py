"""JSON that comes in fragments, put together.

What comes is Structs of deltas, or open JSON where the protocol knows no more; what is kept is a tree of our own, so
that nothing an event holds ever changes. Text is joined. Ids, types, names and addresses are set: servers repeat them.
Numbers are replaced, nulls say nothing. Lists go by the `index` of their fragments, in whatever order those come.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import cast

import msgspec

from .models import JSONObject
from .plain_json import as_object

Kind = tuple[bool, str | None]
"""Whether the protocol knows the part, and its `type`. A broken part of a known type never mixes with a sound one."""

_SET = frozenset({"id", "type", "index", "name", "role", "detail", "object", "status", "url"})
_SET_ENDINGS = ("_id", "_name", "_url")


def is_set(name: str) -> bool:
    """Whether the text of a field is whole in every fragment, so that it is set and not joined."""
    return name in _SET or name.endswith(_SET_ENDINGS)


class Joined:
    """Text in pieces, joined when it is read. `pieces` stays the same list, for those who append to it."""

    __slots__ = ("pieces",)

    def __init__(self, text: str = "") -> None:
        self.pieces = [text]

    def join(self) -> str:
        """The whole text; costs what is new, unless somebody still holds what was read before."""
        pieces = self.pieces
        if len(pieces) > 1:
            whole, pieces[0] = pieces[0], ""  # held by nobody else, it grows in place
            whole += "".join(pieces)
            del pieces[1:]
            pieces[0] = whole
        return pieces[0]


class Entry:
    """One object, or one other value, of a list: what its fragments have come to."""

    __slots__ = ("id", "index", "known", "value")

    def __init__(self, index: int, *, known: bool, id: str | None = None) -> None:
        self.index = index
        self.known = known
        self.id = id
        self.value: object = None

    @property
    def fields(self) -> JSONObject:
        """The fields of an object."""
        return cast("JSONObject", self.value)


class Entries:
    """A list, by the `index` of its fragments.

    A fragment of another type, or with another id, than what stands at its index begins an entry of its own behind it;
    fragments without an id go to the newest that fits. In a list of the protocol's own (`own`), the place of a fragment
    is its index where it has none, and `index` is not kept; in a list of open JSON such items are appended.
    """

    __slots__ = ("_end", "_named", "_newest", "_slots", "own")

    def __init__(self, *, own: bool) -> None:
        self.own = own
        self._end = 0
        self._slots: dict[int, list[Entry]] = {}
        self._newest: dict[tuple[int, Kind], Entry] = {}
        self._named: dict[tuple[int, Kind, str], Entry] = {}

    def add(self, items: Iterable[object]) -> None:
        """Takes in fragments."""
        for place, item in enumerate(items):
            index = index_of(item)
            if index is None and not self.own:
                self._open(self._end, known=False).value = merged(None, item)
            else:
                self._merge(place if index is None else index, item, numbered=index is not None)

    def newest(self, index: int, kind: Kind) -> Entry | None:
        """The last that was begun of that kind at that index."""
        return self._newest.get((index, kind))

    def at(self, index: int) -> Sequence[Entry]:
        """All at that index, in the order in which they began."""
        return self._slots.get(index, ())

    def place_of(self, fragment: object, place: int) -> tuple[Entry, int] | None:
        """What a fragment went to, and where that stands among all; `place` is the fragment's own in its list."""
        index = index_of(fragment)
        entry = self._find(place if index is None else index, kind_of(fragment), id_of(fragment))
        return None if entry is None else (entry, self.ordered().index(entry))

    def ordered(self) -> list[Entry]:
        """All of them, by index."""
        return [entry for index in sorted(self._slots) for entry in self._slots[index]]

    def _merge(self, index: int, item: object, *, numbered: bool) -> None:
        kind, id = kind_of(item), id_of(item)
        entry = self._find(index, kind, id)
        if entry is None:
            entry = self._open(index, known=kind[0], id=id)
            self._newest[index, kind] = entry
            if not kind[0]:
                self._newest[index, (False, None)] = entry  # where a fragment that names no type belongs
        if id is not None:
            entry.id = id
            self._named[index, kind, id] = entry
        entry.value = merged(entry.value, item)
        if self.own and numbered:
            entry.fields.pop("index", None)

    def _find(self, index: int, kind: Kind, id: str | None) -> Entry | None:
        newest = self._newest.get((index, kind))
        if newest is None or id is None or newest.id is None:
            return newest
        return self._named.get((index, kind, id))

    def _open(self, index: int, *, known: bool, id: str | None = None) -> Entry:
        entry = Entry(index, known=known, id=id)
        self._slots.setdefault(index, []).append(entry)
        self._end = max(self._end, index + 1)
        return entry


# -- what a fragment says --------------------------------------------------------------------------------------------


def fields(part: object) -> Iterator[tuple[str, object]]:
    """The fields of a Struct or of a JSON object that say something, by their names on the wire."""
    if isinstance(part, msgspec.Struct):
        if (tag := part.__struct_config__.tag) is not None:
            yield "type", tag
        for name, default in _fields_of(type(part)):
            value = cast(object, getattr(part, name))
            if value != default:
                yield name, value
    else:
        yield from cast("JSONObject", part).items()


@cache
def _fields_of(cls: type[msgspec.Struct]) -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in msgspec.structs.fields(cls))


def index_of(item: object) -> int | None:
    """The index of a fragment, if it has one."""
    found = _field(item, "index")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def id_of(item: object) -> str | None:
    """The id of a part, if it has one."""
    found = _field(item, "id")
    return found if isinstance(found, str) and found else None


def kind_of(item: object) -> Kind:
    """What a part is."""
    kind = item.__struct_config__.tag if isinstance(item, msgspec.Struct) else _field(item, "type")
    return isinstance(item, msgspec.Struct), kind if isinstance(kind, str) else None


def is_own(items: Sequence[object]) -> bool:
    """Whether a list is one of the protocol's own that go by index, and not open JSON or what was found in files."""
    return isinstance(items, tuple) and not any(
        isinstance(item, msgspec.Struct) and item.__struct_config__.tag is None for item in items
    )


def _field(item: object, name: str) -> object:
    part = as_object(item)
    return getattr(item, name, None) if part is None else part.get(name)


# -- merging, and what comes of it -----------------------------------------------------------------------------------


def merge(into: JSONObject, part: object) -> None:
    """Merges the fields of a Struct or of a JSON object into what there is."""
    for name, value in fields(part):
        into[name] = merged(into.get(name), value, joined=not is_set(name))


def merged(old: object, new: object, *, joined: bool = True) -> object:
    """What an old value becomes by a new one. What has grown of fragments gives way to nothing of another shape."""
    if isinstance(new, (dict, msgspec.Struct)):
        if isinstance(old, (Joined, Entries)):
            return old
        part = as_object(old)
        part = {} if part is None else part
        merge(part, cast(object, new))
        return part
    if isinstance(new, (list, tuple)):
        if isinstance(old, (Joined, dict)):
            return cast(object, old)
        items = cast("Sequence[object]", new)
        entries = old if isinstance(old, Entries) else Entries(own=is_own(items))
        entries.add(items)
        return entries
    if isinstance(old, (dict, Entries)):
        return cast(object, old)
    if isinstance(new, str) and joined:
        if isinstance(old, Joined):
            old.pieces.append(new)
            return old
        return Joined(new)
    return old if isinstance(old, Joined) or new is None or (new == "" and old) else new


def settled(value: object) -> object:
    """Plain JSON of what has come so far, shared with nobody."""
    if isinstance(value, Joined):
        return value.join()
    if isinstance(value, Entries):
        return [settled(entry.value) for entry in value.ordered()]
    part = as_object(value)
    return value if part is None else settled_fields(part)


def settled_fields(part: JSONObject) -> JSONObject:
    """The same of the fields of an object."""
    return {name: settled(value) for name, value in part.items()}
