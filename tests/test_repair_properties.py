"""The tolerant pass on anything: every Struct can be built, and no default ever hides a value."""

import copy
import inspect
import json
import math
from contextlib import suppress
from typing import cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import inspect as types

from aiorunstream import models
from aiorunstream.decode import decode
from aiorunstream.events import EVENT_CLASSES, UnknownEvent
from aiorunstream.models import MAX_SECONDS, Page, Run
from aiorunstream.repair import build

STRUCTS = [
    kind
    for _, kind in inspect.getmembers(models, inspect.isclass)
    if issubclass(kind, msgspec.Struct) and kind not in (models.Model, models.Partial, Page)
]


def samples(info: types.Type) -> list[object]:
    """JSON of the type, one for each alternative."""
    match info:
        case types.StructType():
            return _structs(info)
        case types.UnionType(types=members):
            return [sample for member in members for sample in samples(member)]
        case types.VarTupleType(item_type=item):
            return [samples(item)]
        case types.DictType():
            return [{"key": "text"}]
        case types.LiteralType(values=values):
            return list(values)
        case types.StrType():
            return ["text"]
        case types.IntType():
            return [7]
        case types.FloatType():
            return [0.5]
        case types.BoolType():
            return [True]
        case types.NoneType():
            return [None]
        case types.AnyType():
            return [{"any": [1]}]
        case _:
            raise AssertionError(f"no sample of {info!r}: is it a new kind of field?")


def _structs(info: types.StructType) -> list[object]:
    tag: dict[str, object] = {info.tag_field: info.tag} if info.tag_field else {}
    fields = {field.encode_name: samples(field.type) for field in info.fields}
    most = max((len(found) for found in fields.values()), default=1)
    return [{**tag, **{name: found[turn % len(found)] for name, found in fields.items()}} for turn in range(most)]


@pytest.mark.parametrize("kind", [*STRUCTS, Page[Run]], ids=str)
def test_every_struct_is_built_as_the_fast_decoder_reads_it(kind: type[msgspec.Struct]) -> None:
    for payload in samples(types.type_info(kind)):
        assert build(payload, kind) == msgspec.json.decode(json.dumps(payload).encode(), type=kind)


PAYLOADS: list[tuple[str, dict[str, object]]] = [
    (cls.event, cast("dict[str, object]", payload))
    for cls in EVENT_CLASSES
    if cls.event in {"thread.created", "thread.run.requires_action", "thread.run.step.completed", "thread.run.step.delta",
                     "thread.message.completed", "thread.message.delta"}
    for payload in samples(types.type_info(cls.__annotations__["data"]))
]  # fmt: skip

Path = tuple[str | int, ...]


def paths(value: object, before: Path = ()) -> list[Path]:
    if isinstance(value, dict):
        items: list[tuple[str | int, object]] = list(cast("dict[str | int, object]", value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast("list[object]", value)))
    else:
        return [before]
    below = [path for key, inner in items for path in paths(inner, (*before, key))]
    return [*([before] if before else []), *below]


PLACES = [(name, payload, path) for name, payload in PAYLOADS for path in paths(payload)]
WORDS = ["nan", "inf", "1_0", " 5", "7", "0.5", "text", "\u0667", "1e5", "-3", "", "file_path", "queued", "f", "null"]
SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
KEYS = st.sampled_from(["type", "text", "value", "index", "id", "name", "file_id", "function", "logs", "later"])
JSON = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def at(value: object, path: Path) -> object:
    for key in path:
        value = cast("dict[str | int, object]", value)[key]
    return value


def same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def empty(value: object) -> bool:
    """Whether there is nothing to see: a null, or lists of them, or an object, whose unknown names are not kept."""
    if isinstance(value, list):
        return all(empty(item) for item in cast("list[object]", value))
    return value is None or value == "" or isinstance(value, dict)


def number(value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    with suppress(ValueError):
        return int(value) if isinstance(value, str) else value
    with suppress(ValueError):
        return float(value)
    return None


def shown(found: object, value: object) -> bool:
    """Whether `found` is what `value` became by one of the repairs."""
    if value is None or same(found, value):
        return True
    if found is None:
        return False
    sent, read = number(value), number(found)
    if sent is not None and read is not None and math.isfinite(sent):
        return _is_time_of(read, sent) or read == sent or (isinstance(read, float) and read == float(sent))
    if isinstance(found, list):
        values = [
            item for item in cast("list[object]", value if isinstance(value, list) else [value]) if item is not None
        ]
        items = cast("list[object]", found)
        return len(values) == len(items) and all(map(shown, items, values))
    if isinstance(found, dict) and isinstance(value, dict):
        parts, wanted = cast("dict[str, object]", found), cast("dict[str, object]", value)
        return all(shown(parts[key], wanted[key]) for key in set(parts) & set(wanted))
    if isinstance(found, dict) and isinstance(value, str):  # bare text: inside a text part
        return any(shown(inner, value) for inner in cast("dict[str, object]", found).values())
    with suppress(ValueError):
        return isinstance(found, str) and same(json.loads(found), value)  # metadata keeps JSON as text
    return False


def _is_time_of(read: float, sent: float) -> bool:
    seconds = math.floor(sent)
    while seconds > MAX_SECONDS:
        seconds //= 1000
    return read == seconds


@given(place=st.sampled_from(PLACES), value=JSON)
@example(place=next(place for place in PLACES if place[2] == ("temperature",)), value="nan")
@example(place=next(place for place in PLACES if place[2] == ("required_action", "type")), value=7)
@example(place=next(place for place in PLACES if place[2] == ("delta", "content", 0, "index")), value=None)
def test_no_default_ever_hides_a_value(place: tuple[str, dict[str, object], Path], value: object) -> None:
    """Put anything anywhere: it is visible in the typed event, or the part or the event is kept whole as unknown."""
    name, payload, path = place
    changed = copy.deepcopy(payload)
    cast("dict[str | int, object]", at(changed, path[:-1]))[path[-1]] = value
    event = decode(name, json.dumps(changed).encode()).event
    assert event is not None
    encoded = json.loads(msgspec.json.encode(event))
    assert encoded["event"] == name
    if isinstance(event, UnknownEvent):
        assert same(encoded["data"], changed)
        return
    assert visible(encoded["data"], path, value)
    if not any(isinstance(key, int) for key in path):  # a list may lose a null, and its places move
        beside = [other for other in paths(payload) if other[: len(path)] != path and path[: len(other)] != other]
        assert all(visible(encoded["data"], other, at(payload, other)) for other in beside)


def visible(data: object, path: Path, value: object) -> bool:
    try:
        found = at(data, path)
    except (KeyError, IndexError, TypeError):
        return empty(value)  # a field that holds its default may be left out
    return shown(found, value)
