"""The second, tolerant pass: JSON that the fast decoder refused, built into the same Structs.

Goes in: the bytes of a payload and the type they should be. Comes out: that type, with every part nobody
knows kept as an `UnknownPart`. One builder is compiled per type from `msgspec.inspect`, so the Structs in
`models/` stay the only description of the wire.

A default never hides a value: a field that is absent or null takes its default, but a value that is there and
cannot be built is either one of the repairs below or makes the whole payload `UnbuildableError`.

| repair | what comes | what it becomes | seen at |
|---|---|---|---|
| unknown part | a `type` nobody knows, or a known one with a broken inside | `UnknownPart` with its JSON | Azure tools |
| one for many | an object where a list belongs | a list of one | DashScope `delta.content` |
| bare text | text where a text part belongs | the text part | proxies that flatten content |
| missing index | a fragment without `index` | its place in its list | DashScope |
| fractional time | 1710330640.5 | 1710330640 | open-assistant-api |
| milliseconds | 1710330640123 | 1710330640 | Astra, DashScope |
| number for text, text for number | 17 for "17", "17" for 17 | the declared kind | open-assistant-api codes |
| lone surrogate | half of a pair, escaped | U+FFFD | servers that cut text between two halves |
| invalid UTF-8 | any | U+FFFD | proxies that cut bytes |
"""

import json
import math
import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from functools import cache
from typing import TypeVar, cast

from msgspec import inspect

from .models import MAX_SECONDS, UnknownPart
from .plain_json import as_object, parse

T = TypeVar("T")
Builder = Callable[[object], object]

_LARGEST_FLOAT = 1.7976931348623157e308
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class UnbuildableError(Exception):
    """A value that is there and that no repair can make fit."""


def repair(payload: bytes, kind: type[T]) -> T:
    """Builds a `kind` from a payload that the fast decoder refused.

    Raises:
        NotJSONError: the payload is not JSON.
        UnbuildableError: it is, but not one that can be read as a `kind` without losing something.
    """
    return build(parse(payload), kind)


def build(value: object, kind: type[T]) -> T:
    """Builds a `kind` from plain parsed JSON; raises `UnbuildableError`."""
    return cast(T, _builder_of(cast(Hashable, kind))(value))


# -- builders, compiled once per type ------------------------------------------------------------------------------


@cache
def _builder_of(kind: Hashable) -> Builder:
    return _compile(inspect.type_info(kind))


def _compile(info: inspect.Type) -> Builder:
    match info:
        case inspect.StructType():
            return _struct_or_unknown(info)
        case inspect.UnionType():
            return _union(info)
        case inspect.VarTupleType(item_type=item):
            return _tuple(_compile(item), takes_text=_takes_text(item))
        case inspect.DictType(value_type=inspect.StrType()):
            return _text_dict
        case inspect.DictType():
            return _dict
        case inspect.IntType(le=le):
            return _seconds if le == MAX_SECONDS else _int
        case inspect.FloatType():
            return _float
        case inspect.StrType() | inspect.LiteralType():
            return _str
        case inspect.BoolType():
            return _bool
        case _:  # a new kind of field in models/ needs a builder here; the tests build every Struct
            raise TypeError(f"no builder for {info!r}")


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise UnbuildableError


def _int(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UnbuildableError


def _seconds(value: object) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, float) and math.isfinite(value):
        value = math.floor(value)
    seconds = _int(value)
    while seconds > MAX_SECONDS:  # milliseconds, or even finer
        seconds //= 1000
    return seconds


def _float(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST_FLOAT:
        return float(value)
    raise UnbuildableError


def _str(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return json.dumps(value)
    raise UnbuildableError


def _dict(value: object) -> dict[str, object]:
    part = as_object(value)
    if part is None:
        raise UnbuildableError
    return part


def _text_dict(value: object) -> dict[str, str]:
    """Metadata: its values are text; a server that nests something there has that kept as JSON text."""
    items = _dict(value).items()
    return {key: item if isinstance(item, str) else json.dumps(item) for key, item in items if item is not None}


def _takes_text(item: inspect.Type) -> bool:
    members = item.types if isinstance(item, inspect.UnionType) else (item,)
    return any(isinstance(member, inspect.StructType) and member.tag == "text" for member in members)


def _tuple(build_item: Builder, *, takes_text: bool) -> Builder:
    def build_tuple(value: object) -> tuple[object, ...]:
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        built: list[object] = []
        for found in items:
            item: object = {"type": "text", "text": found} if isinstance(found, str) and takes_text else found
            if (part := _without_index(item)) is not None:
                built.append(_build_at(build_item, part, len(built)))
            elif item is not None:
                built.append(build_item(item))
        return tuple(built)

    return build_tuple


def _without_index(item: object) -> dict[str, object] | None:
    part = as_object(item)
    return None if part is None or part.get("index") is not None else part


def _build_at(build_item: Builder, item: dict[str, object], place: int) -> object:
    # Only Structs with a required index look at it; anything else is made of the item as it came.
    try:
        built = build_item({**item, "index": place})
    except UnbuildableError:
        return build_item(item)
    return build_item(item) if isinstance(built, dict) else built  # open JSON, and an UnknownPart


def _struct_or_unknown(info: inspect.StructType) -> Builder:
    """A Struct with a tag stands alone where the protocol knows one kind so far: another kind is an unknown part."""
    build_struct = _struct(info)
    if info.tag is None:
        return build_struct
    return _tagged({info.tag: build_struct}, info.tag_field or "type", default=build_struct)


def _tagged(by_tag: Mapping[str | int, Builder], tag_field: str, default: Builder | None = None) -> Builder:
    def build_tagged(value: object) -> object:
        part = _dict(value)
        tag = part.get(tag_field)
        build_struct = default if tag is None else by_tag.get(tag) if isinstance(tag, str) else None
        if build_struct is not None:
            try:
                return build_struct(part)
            except UnbuildableError:
                pass
        return UnknownPart(part)

    return build_tagged


_PLAIN: Mapping[type[inspect.Type], type[object]] = {
    inspect.StrType: str,
    inspect.LiteralType: str,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.BoolType: bool,
}


def _union(info: inspect.UnionType) -> Builder:
    structs = [member for member in info.types if isinstance(member, inspect.StructType)]
    tagged = {member.tag: _struct(member) for member in structs if member.tag is not None}
    if tagged:
        field = next(member.tag_field for member in structs if member.tag_field is not None)
        alone = next(iter(tagged.values())) if len(tagged) == 1 else None
        build_object: Builder | None = _tagged(tagged, field, default=alone)
    else:
        others = (*structs, *(member for member in info.types if isinstance(member, inspect.DictType)))
        build_object = _compile(others[0]) if others else None
    rest = {
        _PLAIN.get(type(member)): _compile(member)
        for member in info.types
        if not isinstance(member, (inspect.NoneType, inspect.StructType, inspect.DictType))
    }

    def build_union(value: object) -> object:
        if build_object is not None and isinstance(value, dict):
            return build_object(cast(object, value))
        exact = rest.get(type(value))  # 500 is no text where it may be a number
        for build_member in (exact, *rest.values()):
            if build_member is not None:
                with suppress(UnbuildableError):
                    return build_member(value)
        if build_object is not None and isinstance(value, str):
            return build_object(value)
        raise UnbuildableError

    return build_union


def _struct(info: inspect.StructType) -> Builder:
    cls = info.cls
    spec: list[tuple[inspect.Field, Builder]] | None = None
    bare_text = any(field.name == "value" for field in info.fields)  # Text and TextDelta

    def build_struct(value: object) -> object:
        nonlocal spec
        if spec is None:  # on first use, so that types may mention each other
            spec = [(field, _compile(field.type)) for field in info.fields]
        if isinstance(value, str) and bare_text:
            value = {"value": value}
        part = _dict(value)
        made: dict[str, object] = {}
        for field, build_field in spec:
            found = part.get(field.encode_name)
            if found is not None:
                made[field.name] = build_field(found)
            elif field.required:
                made[field.name] = _missing(field)
        return cls(**made)

    return build_struct


def _missing(field: inspect.Field) -> object:
    if isinstance(field.type, inspect.DictType):
        return {}
    raise UnbuildableError
