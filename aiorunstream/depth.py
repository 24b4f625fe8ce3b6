"""How deep JSON is nested, found without recursion: parsers recurse, and a deep enough payload takes the process down."""

import re
from array import array
from itertools import accumulate

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: one level in, one level out


def is_deeper(payload: bytes, limit: int) -> bool:
    """Whether a JSON text, broken or not, is nested deeper than `limit`. Linear time."""
    # Counting costs far less than measuring, and nothing is deeper than it has brackets.
    return payload.count(b"{") + payload.count(b"[") > limit and json_depth(payload) > limit


def json_depth(payload: bytes) -> int:
    """The deepest nesting of a JSON text; brackets inside strings do not count."""
    brackets = _STRINGS.sub(b"", payload).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(array("b", brackets)), default=0)
