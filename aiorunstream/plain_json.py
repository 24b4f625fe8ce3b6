"""JSON read forgivingly into plain Python: what a server cut, or escaped wrongly, hides nothing else."""

import json
import math
import re
from contextlib import suppress
from typing import cast


class NotJSONError(Exception):
    """The bytes are not JSON at all."""


_MOST_DIGITS = 4300
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _refuse_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _parse_int(digits: str) -> int | str:
    # Python refuses to read more digits than this; they are kept as text, since they are JSON all the same.
    return int(digits) if len(digits) < _MOST_DIGITS else digits


def _parse_float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits  # 1e999 is JSON; infinity is not


def parse(payload: bytes) -> object:
    """Parses JSON the forgiving way: invalid UTF-8 and lone surrogates become U+FFFD. Raises `NotJSONError`.

    Whoever calls it has bounded the depth already.
    """
    with suppress(ValueError, RecursionError):
        value = json.loads(
            payload.decode("utf-8", "replace"),
            parse_constant=_refuse_constant,
            parse_int=_parse_int,
            parse_float=_parse_float,
        )
        return _without_lone_surrogates(value) if has_surrogates(payload) else value
    raise NotJSONError  # out here, without json's own error behind it, which holds the payload


def has_surrogates(payload: bytes) -> bool:
    """Whether a pair of escapes stands in it, or half of one, which the fast decoder refuses."""
    return _SURROGATE.search(payload) is not None


def as_object(value: object) -> dict[str, object] | None:
    """`value` where it is a JSON object, else None."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _without_lone_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {cast(str, _without_lone_surrogates(key)): _without_lone_surrogates(item) for key, item in items}
    return value
