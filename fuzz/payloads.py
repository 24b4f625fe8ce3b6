"""What must hold of one event or frame, however it came: it encodes, decodes to itself, and is no deeper than allowed."""

import json
import re
from typing import cast

import msgspec

from aiorunstream.complaint import read_complaint
from aiorunstream.decode import decode
from aiorunstream.depth import is_deeper
from aiorunstream.events import REGISTRY, AssistantStreamEvent, ErrorEvent, RunEvent, UnknownEvent
from aiorunstream.models import UnknownPart
from aiorunstream.plain_json import parse
from aiorunstream.protocol import Frame
from aiorunstream.repair import build

_decode_event = msgspec.json.Decoder[AssistantStreamEvent](
    cast("type[AssistantStreamEvent]", AssistantStreamEvent)
).decode
_decode_unknown = msgspec.json.Decoder(UnknownEvent).decode
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_MARK = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]|["\\]', re.DOTALL)


class BrokenPromiseError(AssertionError):
    """Something does not hold. `oracle` says what it was, in a word."""

    def __init__(self, oracle: str, what: str) -> None:
        super().__init__(f"{oracle}: {what}")
        self.oracle = oracle


def check_round_trip(event: RunEvent) -> bytes:
    """The event's JSON, which decodes to the event."""
    try:
        encoded = msgspec.json.encode(event)
    except Exception as error:
        raise BrokenPromiseError("encodes", f"{error!r} for {event.event!r}") from error
    again = _again(event, encoded)
    if again is None or type(again) is not type(event):
        raise BrokenPromiseError("round-trip", f"{event!r} became {again!r}")
    if isinstance(event, UnknownEvent) and isinstance(again, UnknownEvent):
        same = (event.event, bytes(event.data).strip()) == (again.event, bytes(again.data).strip())
    else:
        same = msgspec.json.encode(again) == encoded
    if not same:
        raise BrokenPromiseError("round-trip", f"{encoded!r} became {msgspec.json.encode(again)!r}")
    return encoded


def _again(event: RunEvent, encoded: bytes) -> RunEvent | None:
    try:
        if isinstance(event, UnknownEvent):  # kept byte for byte, also half a pair, which msgspec does not read
            return event if _HALF.search(event.data) else _decode_unknown(encoded)
        if has_unknown(event):
            return decode(event.event, msgspec.json.encode(event.data)).event
        return _decode_event(encoded)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenPromiseError("round-trip", f"{error!r} for {encoded!r}") from error


def has_unknown(value: object) -> bool:
    """Whether there is an `UnknownPart` in it."""
    if isinstance(value, msgspec.Struct):
        return any(has_unknown(inner) for inner in msgspec.structs.astuple(value))
    if isinstance(value, tuple):
        return any(has_unknown(inner) for inner in cast("tuple[object, ...]", value))
    return isinstance(value, UnknownPart)


def check_frame(frame: Frame, name: str, kind: str, encoded: bytes) -> None:
    """The frame says what the event says, whose name, class and JSON are given."""
    if frame.event != name:
        raise BrokenPromiseError("frames", f"{frame.event!r} for {name!r}")
    try:
        json.loads(frame.data.decode())
    except (ValueError, RecursionError) as error:
        raise BrokenPromiseError("frames", f"{error!r} for {frame.data!r}") from error
    if kind == UnknownEvent.__name__:
        event: RunEvent = UnknownEvent(name, msgspec.Raw(frame.data))
    elif kind == ErrorEvent.__name__:
        event = ErrorEvent(read_complaint(parse(frame.data)))
    else:
        entry = REGISTRY[name]
        event = entry.around(build(parse(frame.data), entry.payload))
    sent = cast("dict[str, object]", json.loads(encoded))
    if json.loads(msgspec.json.encode(event))["data"] != sent["data"]:
        raise BrokenPromiseError("frames", f"{frame.data!r} for {encoded!r}")


def check_depth(payload: bytes, limit: int) -> None:
    """The fast measure of depth is never below the slow one; and for JSON that is whole, the same."""
    if payload.count(b"[") + payload.count(b"{") <= limit:
        return
    deep, whole = _depth(payload)
    found = is_deeper(payload, limit)
    if (deep > limit and not found) or (found and whole and deep <= limit):
        raise BrokenPromiseError("depth", f"{deep} levels with a limit of {limit} in {payload!r}")


def _depth(payload: bytes) -> tuple[int, bool]:
    """The depth up to where the text stops being JSON, and whether it never does, as far as brackets and quotes go."""
    depth = deepest = 0
    for found in _MARK.finditer(payload):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif mark in (b"]", b"}"):
            depth -= 1
        elif mark in (b'"', b"\\"):
            return deepest, False
    return deepest, depth == 0
