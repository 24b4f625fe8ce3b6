"""Values for a JSON Schema, made up: what an engine without a model calls functions with.

They fit the schemas that `ToolSet` writes of Python types. Patterns, and rules of several schemas at once, are not heeded.
"""

import math
from typing import cast

Schema = dict[str, object]
_DEEPEST = 8
_OF_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "P1D",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "decimal": "1",
    "email": "someone@example.com",
    "uri": "https://example.com/",
}


def made_up(schema: object, text: str) -> object:
    """A value that fits the schema: its first enum value, default or example, else the least that fits its type.

    Args:
        schema: as JSON; what is no object of JSON stands for a schema that allows everything.
        text: what to say where any text fits.
    """
    return _value(schema, text, _object(schema), _DEEPEST)


def _value(schema: object, text: str, root: Schema, depth: int) -> object:
    part = _object(schema)
    if "const" in part:
        return part["const"]
    for word in ("enum", "examples"):
        if values := _list(part.get(word)):
            return values[0]
    if "default" in part:
        return part["default"]
    if isinstance(name := part.get("$ref"), str):
        return _value(_named(root, name), text, root, depth - 1) if depth else {}
    if choices := _list(part.get("anyOf")) or _list(part.get("oneOf")):
        has_null = any(_object(choice).get("type") == "null" for choice in choices)
        return None if has_null and depth <= _DEEPEST // 2 else _value(choices[0], text, root, depth)
    return _of_type(part, text, root, depth)


def _of_type(part: Schema, text: str, root: Schema, depth: int) -> object:
    kinds = part.get("type", "object")
    match (_list(kinds) or [kinds])[0]:
        case "object":
            inner = _object(part.get("properties")) if depth else {}
            return {name: _value(one, text, root, depth - 1) for name, one in inner.items()}
        case "array":
            first = [_value(one, text, root, depth - 1) for one in _list(part.get("prefixItems"))] if depth else []
            more = int(_number(part, "minItems", 0)) - len(first) if depth else 0
            return first + [_value(part.get("items"), text, root, depth - 1) for _ in range(more)]
        case "integer":
            return math.ceil(_fitting(part))
        case "number":
            return _fitting(part)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _text(part, text)


def _fitting(part: Schema) -> float:
    """1, or what is nearest to it within the limits; between two that are closer than 1, their middle."""
    step = _number(part, "multipleOf", 1)
    least, above = _number(part, "minimum", -math.inf), _number(part, "exclusiveMinimum", -math.inf)
    most, below = _number(part, "maximum", math.inf), _number(part, "exclusiveMaximum", math.inf)
    low, high = max(least, above + step), min(most, below - step)
    value = max(low, min(1, high)) if low <= high else (max(least, above) + min(most, below)) / 2
    return math.ceil(value / step) * step if "multipleOf" in part else value


def _text(part: Schema, text: str) -> str:
    known = _OF_FORMATS.get(str(part.get("format")), "" if "contentEncoding" in part else text)
    least, most = int(_number(part, "minLength", 0)), _number(part, "maxLength", math.inf)
    return known.ljust(least, "x")[: None if most == math.inf else int(most)]


def _named(root: Schema, reference: str) -> object:
    """What a reference within the schema points to; None where there is nothing."""
    found: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = _object(found).get(step)
    return found


def _number(part: Schema, name: str, otherwise: float) -> float:
    value = part.get(name)
    return value if isinstance(value, (int, float)) else otherwise


def _object(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
