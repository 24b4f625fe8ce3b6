"""Each dialect's bytes made one notch worse: never a wrong event. A typed error, an `UnknownEvent`, or what is really there."""

import asyncio
import copy
import json
import re
from functools import cache
from typing import Any, NamedTuple, cast

import msgspec
import pytest
from dialect_deltas import delta
from dialects import DIALECTS, TALKS
from hypothesis import example, given
from hypothesis import strategies as st
from raw_server import run_json
from test_dialect_rules import dashscope
from test_dialect_server import talking
from test_protocol import frame as framed
from test_repair_properties import JSON, Path, at, paths, shown

from aiorunstream.dialects import AstraProtocol
from aiorunstream.errors import RunStreamError, StreamError, StreamProtocolError, StreamTruncatedError
from aiorunstream.events import REGISTRY, RunEvent, UnknownEvent
from aiorunstream.protocol import RunProtocol
from aiorunstream.server._dialects import DialectName
from fuzz.oracles import check as fuzz_check

_NAME = re.compile(rb"^event: ?(\S+)", re.MULTILINE)
_DATA = re.compile(rb"^(data: ?)", re.MULTILINE)
ALLOWED = (RunStreamError, StreamProtocolError, StreamTruncatedError)
SAID_BY_ITSELF = {"object", "type", "index", "usage", "synthesized"}
"""What an event may say that is not in its payload: what it is, a place in a list, and a usage that was told before."""

NEVER_PLAYED = (
    # DashScope's, of which the embedded server has no dialect: an object for a list, no index, milliseconds.
    dashscope("thread.run.created", {**run_json(), "created_at": 1710330640123})
    + dashscope(
        "thread.message.delta", {"id": "msg_1", "delta": {"content": {"type": "text", "text": {"value": "Hi"}}}}
    )
    + dashscope("thread.run.completed", {**run_json("completed"), "created_at": 1710330640123}),
    # supercompat's: no object, and a step with the id of its message.
    framed("thread.message.created", {"id": "msg_1", "role": "assistant"})
    + framed("thread.run.step.created", {"id": "msg_1", "type": "message_creation", "status": "in_progress"})
    + framed("thread.message.delta", {"id": "msg_1", "delta": delta(0, "Hi")["delta"]})
    + framed("thread.run.completed", run_json("completed")),
)
"""Streams of servers that the embedded one does not play, which the usual protocol reads."""


@cache
def wires(dialect: DialectName) -> tuple[bytes, ...]:
    """The bodies of all streams of the talks in that dialect, and those that are read as it is."""

    async def record() -> tuple[bytes, ...]:
        found: list[bytes] = []
        for talk in TALKS:
            async with talking(dialect, talk) as here:
                counts: dict[str, Any] = (
                    {"stream_options": {"include_usage": True}} if dialect == "open-assistant-api" else {}
                )
                answer = await here.run(**counts)
                found.append(answer.body)
                if talk == "tools" and dialect != "litellm":
                    run = next(iter(here.server.store.record(here.thread_id).runs.all()))
                    found.append((await here.submit(run.id)).body)
        return tuple(found)

    return asyncio.run(record()) + (NEVER_PLAYED if dialect == "openai" else ())


class Frame(NamedTuple):
    """One event on the wire: what comes before its payload, the payload, and what comes after it."""

    before: bytes
    payload: Any
    after: bytes

    @property
    def name(self) -> str:
        named = _NAME.search(self.before)
        return named[1].decode() if named else "message"

    def wire(self, payload: object) -> bytes:
        return self.before + json.dumps(payload, ensure_ascii=False).encode() + self.after


def frames(wire: bytes) -> list[Frame]:
    end = b"\r\n\r\n" if b"\r\n" in wire else b"\n\n"
    found: list[Frame] = []
    for block in wire.split(end)[:-1]:
        head, field, payload = _DATA.split(block, maxsplit=1)
        if payload != b"[DONE]":
            found.append(Frame(head + field, json.loads(payload), end))
    return found


def read(dialect: DialectName, wire: bytes) -> tuple[list[RunEvent], StreamError | None]:
    protocol = AstraProtocol() if dialect == "astra" else RunProtocol()
    protocol.receive_data(wire)
    protocol.receive_data(b"")
    events: list[RunEvent] = []
    try:
        while (event := protocol.next_event()) is not None:
            events.append(event)
    except ALLOWED as error:
        return events, error
    assert protocol.outcome is not None
    return events, None


def opened(frame: Frame, payload: Any) -> tuple[str, Any]:
    """Which event it is by the rules, and of what."""
    part = cast("dict[str, Any]", payload)
    is_envelope = isinstance(payload, dict) and set(part) == {"event", "data"} and isinstance(part["event"], str)
    return (part["event"], part["data"]) if is_envelope and frame.name == "message" else (frame.name, part)


def invented(said: object, sent: object) -> bool:
    """Whether something is said that was not sent."""
    if isinstance(said, dict):
        parts = cast("dict[str, object]", said)
        wanted = cast("dict[str, object]", sent) if isinstance(sent, dict) else None
        if wanted is None:
            return False  # a part for a bare value, which `shown` looks into
        return any(
            invented(value, wanted[key]) if wanted.get(key) is not None else key not in SAID_BY_ITSELF and says(value)
            for key, value in parts.items()
        )
    if isinstance(said, list) and isinstance(sent, list):
        items = [item for item in cast("list[object]", sent) if item is not None]
        return any(map(invented, cast("list[object]", said), items))
    return False


def says(value: object) -> bool:
    """Whether a value says anything, be it only inside."""
    if isinstance(value, dict):
        inside = cast("dict[str, object]", value).items()
        return any(key not in SAID_BY_ITSELF and says(item) for key, item in inside)
    return value not in (None, "", 0, [], "auto")


def without_places(data: object) -> object:
    """A delta without the places of its parts, which Astra's protocol puts right."""
    content = inside(inside(data, "delta"), "content")
    for part in cast("list[object]", content) if isinstance(content, list) else []:
        if isinstance(part, dict):
            cast("dict[str, object]", part).pop("index", None)
    return data


def inside(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def check(dialect: DialectName, frame: Frame, payload: object) -> None:
    """The mutated event alone: what comes of it is a typed error, unknown, or what is there."""
    events, error = read(dialect, frame.wire(payload))
    if not events:
        assert error is not None
        return
    (event,) = events
    if isinstance(event, UnknownEvent):
        kept = event.json()
        assert kept in (payload, opened(frame, payload)[1])
        return
    name, sent = opened(frame, payload)
    if name not in REGISTRY:  # understood by its object and status
        named = cast("dict[str, str]", sent)
        assert event.event.startswith(named["object"].removesuffix(".delta"))
    else:
        assert event.event == name
    said: Any = json.loads(msgspec.json.encode(event.data))
    if dialect == "astra":
        said, sent = without_places(said), without_places(sent)
    assert shown(said, sent), (said, sent)
    assert not invented(said, sent), (said, sent)


FRAMES = [(dialect, frame) for dialect in DIALECTS for wire in wires(dialect) for frame in frames(wire)]
NOTCHES = [(dialect, frame, path) for dialect, frame in FRAMES for path in paths(frame.payload)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_field_that_is_missing_makes_no_wrong_event(dialect: DialectName) -> None:
    for _, frame, path in (notch for notch in NOTCHES if notch[0] == dialect):
        payload = copy.deepcopy(frame.payload)
        del cast("Any", at(payload, path[:-1]))[path[-1]]
        check(dialect, frame, payload)


@given(notch=st.sampled_from(NOTCHES), value=JSON)
@example(notch=NOTCHES[0], value=None)
def test_a_value_of_another_type_makes_no_wrong_event(notch: tuple[DialectName, Frame, Path], value: object) -> None:
    dialect, frame, path = notch
    payload = copy.deepcopy(frame.payload)
    cast("Any", at(payload, path[:-1]))[path[-1]] = value
    check(dialect, frame, payload)


@given(dialect=st.sampled_from(DIALECTS), data=st.data())
def test_bytes_that_end_too_early_give_the_events_that_were_whole(dialect: DialectName, data: st.DataObject) -> None:
    wire = data.draw(st.sampled_from(wires(dialect)))
    whole, _ = read(dialect, wire)
    cut = data.draw(st.integers(0, len(wire)))
    events, error = read(dialect, wire[:cut])
    assert events == whole[: len(events)]
    assert (error is None) == (bool(events) and len(events) == len(whole) and read(dialect, wire)[1] is None)


@given(dialect=st.sampled_from(DIALECTS), data=st.data())
def test_an_event_that_breaks_off_is_a_typed_error_or_kept_as_it_is(dialect: DialectName, data: st.DataObject) -> None:
    frame = data.draw(st.sampled_from([found for kind, found in FRAMES if kind == dialect]))
    text = json.dumps(frame.payload, ensure_ascii=False)
    cut = data.draw(st.integers(1, len(text) - 1))
    events, error = read(dialect, frame.before + text[:cut].encode() + frame.after)
    assert events == []
    assert type(error) is StreamProtocolError


@pytest.mark.parametrize("kind", [RunProtocol, AstraProtocol])
@given(data=st.data())
def test_every_promise_of_the_decoder_holds_for_every_dialect(kind: type[RunProtocol], data: st.DataObject) -> None:
    """The fuzzer's: no cut of the bytes, no path through the decoder and no way of reading changes what is seen."""
    wire = data.draw(st.sampled_from(wires(data.draw(st.sampled_from(DIALECTS)))))
    place = data.draw(st.integers(0, len(wire) - 1))
    fuzz_check(wire[:place] + data.draw(st.binary(max_size=3)) + wire[place + data.draw(st.integers(0, 3)) :], kind)
