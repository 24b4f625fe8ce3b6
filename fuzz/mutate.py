"""Changes to a stream that know what it is made of: bytes, lines, blocks, event names and JSON."""

import json
import random
from collections.abc import Callable, Sequence
from typing import cast

from aiorunstream.events import REGISTRY

LONGEST = 4096
"""Streams are kept this short, in bytes: an oracle reads each many times."""

_SCRAPS = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xff", b"\xc2\x85", b"\\ud800", b"\\", b'"', b"[", b"{", b"]", b"}",
    b"data: ", b"data:", b"data", b"event: ", b"id: 1\n", b"retry: 9\n", b": c\n", b"[DONE]", b"data: [DONE]\n\n", b"null", b"1e999",
    b"9" * 30, b"[" * 30, b"-", b" ", b",", b"event: error\n", b"event: thread.run.completed\n",
)  # fmt: skip
_NAMES = (
    *[name.encode() for name in REGISTRY],
    b"done",
    b"message",
    b"thread.run.later",
    b"tide",
    b"",
    b"\xff",
    b"x" * 99,
)
_VALUES: tuple[object, ...] = (  # pyright: ignore[reportUnknownVariableType]  # the empty ones
    None, True, False, 0, -1, 7, 1.5, -0.0, 1e300, 5e-324, 10**11, 10**18, 2**64, 10**40, "", "7", "1.5", "nan", "1e5", "\ud800", "\U0001f600",
    "text", "function", "[DONE]", "\0", [], {}, [[]], [None], ["x"], {"type": "text"}, {"type": None}, {"value": "x"}, {"index": None},
    {"type": "later", "x": [1]}, {"error": "x"},
)  # fmt: skip
_KEYS = (
    "id", "type", "object", "status", "index", "text", "value", "data", "event", "error", "detail", "enabled", "content", "é", "\ud800",
)  # fmt: skip

Change = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def mutate(stream: bytes, rolls: random.Random, others: Sequence[bytes]) -> bytes:
    """Changes a stream once to four times. `others` are streams to take pieces from."""
    for _ in range(rolls.choice((1, 1, 1, 2, 2, 3, 4))):
        stream = rolls.choice(_CHANGES)(stream, rolls, others)[:LONGEST]
    return stream


# -- bytes -------------------------------------------------------------------------------------------------------------


def _place(stream: bytes, rolls: random.Random) -> int:
    return rolls.randint(0, len(stream))


def _flip(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    if not stream:
        return stream
    changed = bytearray(stream)
    place = rolls.randrange(len(changed))
    changed[place] = changed[place] ^ (1 << rolls.randrange(8)) if rolls.random() < 0.5 else rolls.randrange(256)
    return bytes(changed)


def _insert(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    place = 0 if rolls.random() < 0.1 else _place(stream, rolls)
    return stream[:place] + rolls.choice(_SCRAPS) + stream[place:]


def _cut_out(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    place = _place(stream, rolls)
    return stream[:place] + stream[place + rolls.choice((1, 1, 2, 3, 8, 40)) :]


def _cut_off(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    return stream[: _place(stream, rolls)]


def _repeat(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    place = _place(stream, rolls)
    piece = stream[place : place + rolls.choice((1, 2, 5, 20, 60))]
    return stream[:place] + piece * rolls.choice((2, 3, 20)) + stream[place:]


def _splice(stream: bytes, rolls: random.Random, others: Sequence[bytes]) -> bytes:
    other = rolls.choice(others)
    return stream[: _place(stream, rolls)] + other[_place(other, rolls) :]


# -- lines and blocks --------------------------------------------------------------------------------------------------


def _line_ends(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    if rolls.random() < 0.5:
        return stream.replace(b"\n", rolls.choice((b"\r", b"\r\n")))
    lines = stream.split(b"\n")
    return b"".join(line + rolls.choice((b"\n", b"\r", b"\r\n")) for line in lines[:-1]) + lines[-1]


def _shuffle_blocks(stream: bytes, rolls: random.Random, others: Sequence[bytes]) -> bytes:
    blocks = stream.split(b"\n\n")
    what = rolls.randrange(3)
    if what == 0:
        rolls.shuffle(blocks)
    elif what == 1:
        blocks.append(rolls.choice(blocks))
    else:
        blocks.pop(rolls.randrange(len(blocks)))
    if rolls.random() < 0.5:
        blocks[:0] = rolls.choice(others).split(b"\n\n")[:2]
    return b"\n\n".join(blocks)


def _shuffle_lines(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    lines = stream.split(b"\n")
    one, other = rolls.randrange(len(lines)), rolls.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _rename(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    lines = stream.split(b"\n")
    names = [place for place, line in enumerate(lines) if line.startswith(b"event:")]
    if names:
        lines[rolls.choice(names)] = b"event: " + rolls.choice(_NAMES)
    return b"\n".join(lines)


def _break_data(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    """Spreads a payload over two `data` lines."""
    place = stream.find(b",", _place(stream, rolls))
    return stream if place < 0 else stream[:place] + b"\ndata: " + stream[place:]


# -- JSON --------------------------------------------------------------------------------------------------------------


def _change_json(stream: bytes, rolls: random.Random, _: Sequence[bytes]) -> bytes:
    lines = stream.split(b"\n")
    payloads = [place for place, line in enumerate(lines) if line.startswith(b"data: ")]
    if not payloads:
        return stream
    place = rolls.choice(payloads)
    try:
        value: object = json.loads(lines[place][6:])
    except (ValueError, RecursionError):
        return stream
    for _turn in range(rolls.choice((1, 1, 2, 3))):
        value = _changed(value, rolls)
    spaces = rolls.choice(((",", ":"), (", ", ": "), (" ,", " :")))
    text = json.dumps(value, separators=spaces, ensure_ascii=rolls.random() < 0.5)
    lines[place] = b"data: " + text.encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _changed(value: object, rolls: random.Random) -> object:
    """The value with something in it, at any depth, replaced, taken away, put in or nested."""
    whole: object = value
    if isinstance(value, dict) and value and rolls.random() < 0.85:
        items = cast("dict[str, object]", value).copy()
        key = rolls.choice(list(items))
        if rolls.random() < 0.75:
            items[key] = _changed(items[key], rolls)
        else:
            _change_keys(items, key, rolls)
        return items
    if isinstance(value, list) and value and rolls.random() < 0.85:
        found = cast("list[object]", value).copy()
        place = rolls.randrange(len(found))
        found[place] = _changed(found[place], rolls)
        if rolls.random() < 0.2:
            found.insert(place, found[place] if rolls.random() < 0.5 else rolls.choice(_VALUES))
        return found
    return _nested(whole, rolls) if rolls.random() < 0.25 else _other(whole, rolls)


def _change_keys(items: dict[str, object], key: str, rolls: random.Random) -> None:
    what = rolls.randrange(3)
    moved = items.pop(key) if what < 2 else rolls.choice(_VALUES)
    if what:
        items[rolls.choice(_KEYS)] = moved


def _nested(value: object, rolls: random.Random) -> object:
    for _ in range(rolls.choice((1, 1, 2, 10, 40))):
        value = [value] if rolls.random() < 0.5 else {rolls.choice(_KEYS): value}
    return value


def _other(value: object, rolls: random.Random) -> object:
    if isinstance(value, str) and rolls.random() < 0.3:
        return value + rolls.choice(("\u2028", "\ud800", "\0", "7", " "))
    return rolls.choice(_VALUES)


_CHANGES: tuple[Change, ...] = (
    _flip, _insert, _insert, _cut_out, _cut_off, _repeat, _splice, _line_ends, _shuffle_blocks, _shuffle_lines, _rename, _rename,
    _break_data, _change_json, _change_json, _change_json, _change_json,
)  # fmt: skip
