"""JSON written: the bodies of requests, results of tools, what an engine says; and whether a value has any."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

import msgspec

from .errors import InvalidArgumentError

NO_JSON = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What writing JSON raises for what cannot be written."""


def encode(value: object) -> bytes:
    """The value as JSON; mappings and sequences of any kind are objects and lists. Raises `NO_JSON`.

    NaN and infinity become null, as msgspec writes them.
    """
    return msgspec.json.encode(value, enc_hook=plain)


def encode_body(body: Mapping[str, object]) -> bytes:
    """The body as JSON; mappings and sequences of any kind are objects and lists.

    Raises:
        InvalidArgumentError: something inside has no JSON, such as NaN; the message names the parameter.
    """
    culprit = "the body"
    for name, value in body.items():
        if not _is_whole(value):
            culprit = name
            break
    else:
        with suppress(*NO_JSON):
            return encode(body)
    raise InvalidArgumentError(f"{culprit} cannot be written as JSON", argument=culprit)


def is_finite(value: object) -> bool:
    """Whether there is no NaN and no infinity in it."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, msgspec.Struct):
        return all(is_finite(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return all(is_finite(item) for item in cast("Mapping[object, object]", value).values())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return all(is_finite(item) for item in cast("Sequence[object]", value))
    return True


def plain(value: object) -> object:
    """A mapping or sequence of any kind as a dict or a list, for msgspec's hooks. Raises `TypeError` for what is neither."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, Sequence):
        return list(cast("Sequence[object]", value))
    raise TypeError(type(value).__name__)


def _is_whole(value: object) -> bool:
    """Whether it can be written, and says the same then."""
    with suppress(*NO_JSON):
        # msgspec writes NaN and infinity as null; only where there is a null is it worth looking for them.
        return b"null" not in encode(value) or is_finite(value)
    return False
