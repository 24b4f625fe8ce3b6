"""What a hostile or broken stream can do to the protocol: depth, size, and any bytes at all."""

import subprocess
import sys
import threading
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiorunstream.depth import json_depth
from aiorunstream.errors import (
    EventTooDeepError,
    EventTooLargeError,
    RunStreamError,
    StreamProtocolError,
    StreamTruncatedError,
)
from aiorunstream.events import REGISTRY, RunEvent, ThreadRunCreated, UnknownEvent
from aiorunstream.protocol import MAX_DEPTH, OnErrorEvent, RunProtocol

CREATED = b'event: thread.run.created\ndata: {"id":"run_1"}\n\n'


def wire(name: str | None, payload: bytes) -> bytes:
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + payload + b"\n\n"


def nested(depth: int, *, kind: str = "list") -> bytes:
    """A run whose JSON is `depth` deep, in a field that no Struct has."""
    start, end = {"list": (b"[", b"]"), "object": (b'{"a":', b"}"), "both": (b'[{"a":', b"}]")}[kind]
    levels = (depth - 1) // (2 if kind == "both" else 1)
    return b'{"id":"run_1","deep":%b1%b}' % (start * levels, end * levels)


NAMES = ["thread.run.created", "thread.message.delta", "error", "thread.run.thought", "done.not", None]


@pytest.mark.parametrize("depth", [1000, 1_000_000])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_json_that_is_nested_too_deep_is_an_error(name: str | None, depth: int, *, closed: bool) -> None:
    payload = nested(depth) if closed else b"[" * depth
    protocol = RunProtocol()
    protocol.receive_data(CREATED + wire(name, payload) + CREATED)
    assert isinstance(protocol.next_event(), ThreadRunCreated)
    for _ in range(2):
        with pytest.raises(EventTooDeepError) as caught:
            protocol.next_event()
        assert caught.value.limit == MAX_DEPTH
        assert repr(name or "message") in str(caught.value)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", ["list", "object", "both"])
@pytest.mark.parametrize("name", ["thread.run.created", "thread.run.thought", None])
def test_the_deepest_json_that_is_allowed_is_decoded(name: str | None, kind: str) -> None:
    filler = b" " * 300  # payloads that are short anyway are not measured
    for depth, passes in ((MAX_DEPTH - 1, True), (MAX_DEPTH + 3, False)):
        protocol = RunProtocol()
        protocol.receive_data(wire(name, nested(depth, kind=kind) + filler))
        if passes:
            assert protocol.next_event() is not None
        else:
            with pytest.raises(EventTooDeepError):
                protocol.next_event()


def test_the_limit_of_depth_is_exact() -> None:
    for depth in (MAX_DEPTH, MAX_DEPTH + 1):
        payload = nested(depth) + b" " * 300
        assert json_depth(payload) == depth
        protocol = RunProtocol()
        protocol.receive_data(wire("thread.run.created", payload))
        if depth > MAX_DEPTH:
            with pytest.raises(EventTooDeepError):
                protocol.next_event()
        else:
            assert isinstance(protocol.next_event(), ThreadRunCreated)


@pytest.mark.parametrize("name", ["thread.run.created", "thread.run.thought", None])
def test_a_limit_of_ones_own_holds_for_short_payloads_too(name: str | None) -> None:
    protocol = RunProtocol(max_depth=10)
    protocol.receive_data(wire(name, nested(100)))
    with pytest.raises(EventTooDeepError):
        protocol.next_event()


def test_the_shortest_payload_that_is_one_level_too_deep_is_refused() -> None:
    for levels, passes in ((9, True), (10, False)):
        protocol = RunProtocol(max_depth=10)
        protocol.receive_data(wire("thread.run.created", b'{"id":"","x":%b%b}' % (b"[" * levels, b"]" * levels)))
        if passes:
            assert isinstance(protocol.next_event(), ThreadRunCreated)
        else:
            with pytest.raises(EventTooDeepError):
                protocol.next_event()


@pytest.mark.parametrize(("payload", "depth"), [
    (b"", 0), (b"1", 0), (b"[]", 1), (b"[[],[[]]]", 3), (b'{"a":[{}]}', 3), (b'"[[[["', 0), (b'["[[\\"[[", []]', 2),
    (b'["\\\\", [[]]]', 3), (b'"open [[[', 0), (b"[[[", 3), (b"]]][", 0), (b'"\xff[\\', 0), (b'[["\n[", [[[', 5),
])  # fmt: skip
def test_depth_counts_brackets_outside_of_text(payload: bytes, depth: int) -> None:
    assert max(json_depth(payload), 0) == depth


def test_a_text_with_brackets_is_text_wherever_a_long_payload_is_measured_in_parts() -> None:
    for text in (b'"[[",[],', b'"[",', b'"]]",[],'):
        assert json_depth(b"[" + text * 50_000 + b"1]") == (2 if b"[]" in text else 1)


def test_brackets_in_text_are_not_depth() -> None:
    protocol = RunProtocol()
    protocol.receive_data(wire("thread.run.created", b'{"id":"run_1","instructions":"%b"}' % (b'[{\\"' * 5000)))
    assert isinstance(protocol.next_event(), ThreadRunCreated)


DEEP_PROGRAM = f"""
import sys
sys.setrecursionlimit(10**6)
from aiorunstream.errors import EventTooDeepError
from aiorunstream.protocol import RunProtocol
for name in {NAMES!r}:
    for depth in (1000, 10**6):
        for open, close in ((b"[", b"]"), (b'{{"a":', b"}}"), (b"[", b"")):
            protocol = RunProtocol()
            payload = open * depth + b"1" + close * depth
            protocol.receive_data((b"" if name is None else b"event: " + name.encode() + b"\\n") + b"data: " + payload + b"\\n\\n")
            try:
                protocol.next_event()
            except EventTooDeepError:
                continue
            raise SystemExit(f"{{name}} {{depth}} passed")
print("held")
"""


def test_depth_is_held_where_python_would_recurse_until_it_crashes() -> None:
    done = subprocess.run([sys.executable, "-c", DEEP_PROGRAM], capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "held\n", "")


THREAD_PROGRAM = f"""
import threading
from aiorunstream.errors import EventTooDeepError
from aiorunstream.protocol import RunProtocol
held = []
def work():
    for name in {NAMES!r}:
        for levels, text in ((1000, b""), (10**6, b""), (126, b'"\\\\ud800"'), (126, b"1")):
            for start, end in ((b"[", b"]"), (b'{{"a":', b"}}")):
                payload = b'{{"id":"run_1","created_at":1.5,"tools":[{{"type":"x","deep":'
                depth = levels - 4 if levels == 126 else levels
                payload += start * depth + (text or b"1") + end * depth + b"}}]}}"
                protocol = RunProtocol()
                protocol.receive_data((b"" if name is None else b"event: " + name.encode() + b"\\n") + b"data: " + payload + b"\\n\\n")
                try:
                    protocol.next_frame()
                except EventTooDeepError:
                    assert levels > 126
                except Exception as error:
                    assert name == "error" and type(error).__name__ == "RunStreamError", error
                else:
                    assert levels == 126
    held.append(True)
threading.stack_size(256 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(held)
"""


def test_depth_is_held_in_a_thread_with_a_small_stack() -> None:
    """In a process of its own: a stack that overflows takes the interpreter with it."""
    done = subprocess.run(
        [sys.executable, "-c", THREAD_PROGRAM], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[True]\n", "")
    assert threading.stack_size() == 0


# -- size --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drip", [False, True])
def test_an_event_above_the_size_limit_fails_after_those_before_it(*, drip: bool) -> None:
    stream = CREATED + wire("thread.run.queued", b'{"id":"%b"}' % (b"x" * 100)) + CREATED
    protocol = RunProtocol(max_event_bytes=60)
    for chunk in [bytes([byte]) for byte in stream] if drip else [stream]:
        protocol.receive_data(chunk)
    protocol.receive_data(b"")
    assert isinstance(protocol.next_event(), ThreadRunCreated)
    errors: list[EventTooLargeError] = []
    for _ in range(2):
        with pytest.raises(EventTooLargeError) as caught:
            protocol.next_event()
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert [error.limit for error in errors] == [60, 60]
    assert protocol.events_seen == 1


def test_an_event_of_just_the_limit_passes() -> None:
    payload = b'{"id":"%b"}' % (b"x" * 91)
    for limit, passes in ((100 + 18, True), (100 + 17, False)):  # the payload, and the name thread.run.created
        protocol = RunProtocol(max_event_bytes=limit)
        protocol.receive_data(wire("thread.run.created", payload))
        if passes:
            assert protocol.next_event() is not None
        else:
            with pytest.raises(EventTooLargeError):
                protocol.next_event()


def test_a_stopping_event_before_a_large_one_is_a_good_end() -> None:
    protocol = RunProtocol(max_event_bytes=60)
    protocol.receive_data(b'event: thread.run.failed\ndata: {"id":"run_1"}\n\ndata: ' + b"x" * 100)
    assert protocol.next_event() is not None
    assert protocol.next_event() is None
    assert protocol.outcome == "failed"


def test_envelopes_inside_envelopes_cost_no_copy_each() -> None:
    size = 200_000
    payload = b'{"event":"x","data":' * 120 + b'"' + b"a" * size + b'"' + b"}" * 120
    protocol = RunProtocol()
    protocol.receive_data(wire(None, payload))
    tracemalloc.start()
    try:
        protocol.next_event()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * size


# -- any bytes ---------------------------------------------------------------------------------------------------------

ALLOWED = (
    StreamProtocolError,  # the JSON of an event this version knows is broken, or an event is too large or too deep
    StreamTruncatedError,  # the bytes ended, or said [DONE], and the run had not stopped
    RunStreamError,  # the bytes hold an error event
)

VALUES = [
    b"{}", b"[]", b"null", b'"x"', b"7", b"1.5", b'{"id":"run_1"}', b'{"id":"run_1","status":"completed"}', b"[DONE]",
    b'{"id":"msg_1","delta":{"content":[{"index":0,"type":"text","text":{"value":"hi"}}]}}', b'{"id":1,"tools":{}}',
    b'{"event":"thread.run.created","data":{"id":"run_1"}}', b'{"event":"error","data":null}', b'{"error":{"message":"m"}}',
    b'{"event":"done","data":"[DONE]"}', b'{"object":"thread.run","status":"queued","id":"run_1"}', b'{"error":null}',
    b'{"id":"r","created_at":1e999}', b'{"id":"r","created_at":-1e300}', b'{"id":"r","metadata":{"a":[]}}', b'"\\ud800"',
    b'{"id":"r","tools":[{"type":"\\udfff"}]}', b"{", b'{"id":', b"\xff", b"NaN", b'{"id":"r","usage":[' + b"[" * 200,
    b'{"event":"message","data":{"event":"message","data":{}}}', b'{"object":"thread","status":[]}',
]  # fmt: skip
NAMED = st.sampled_from(
    [name.encode() for name in REGISTRY] + [b"done", b"message", b"thread.run.later", b"x" * 99, b""]
)
EVENTS = st.tuples(NAMED, st.sampled_from(VALUES)).map(lambda pair: b"event: %b\ndata: %b\n\n" % pair)
NAMELESS = st.sampled_from(VALUES).map(lambda value: b"data: " + value + b"\r\n\r\n")
SCRAPS = st.sampled_from(
    [b"\n", b"\r", b"\r\n\r\n", b"data: ", b"event: thread.run.created", b": ping\n\n", b"id: 1\n"]
)
STREAMS = st.lists(EVENTS | NAMELESS | SCRAPS | st.binary(max_size=6), max_size=12).map(b"".join)


def follow(chunks: list[bytes], on_error_event: OnErrorEvent, limit: int) -> tuple[list[object], object]:
    """Everything a reader sees: the events, as comparable values, and what they ended with."""
    protocol = RunProtocol(on_error_event=on_error_event, max_event_bytes=limit)
    seen: list[object] = []
    for chunk in [*(chunk for chunk in chunks if chunk), b""]:
        protocol.receive_data(chunk)
        try:
            while (event := protocol.next_event()) is not None:
                seen.append(_plain(event))
        except ALLOWED as error:
            return seen, (type(error), str(error), protocol.done_seen)
    return seen, protocol.outcome


def _plain(event: RunEvent) -> object:
    return (event.event, bytes(event.data)) if isinstance(event, UnknownEvent) else event


@given(
    stream=STREAMS | st.binary(max_size=200),
    data=st.data(),
    mode=st.sampled_from(["raise", "yield"]),
    limit=st.sampled_from([30, 1 << 20]),
)
@example(stream=b'event: error\ndata: {"error":[]}\n\n', data=None, mode="raise", limit=30)
def test_only_three_kinds_of_error_escape_and_cutting_changes_nothing(
    stream: bytes, data: st.DataObject | None, mode: OnErrorEvent, limit: int
) -> None:
    whole = follow([stream], mode, limit)
    places = [] if data is None else sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[start:end] for start, end in pairwise([0, *places, len(stream)])]
    assert follow(parts, mode, limit) == whole
    assert follow([bytes([byte]) for byte in stream], mode, limit) == whole


@given(stream=STREAMS, mode=st.sampled_from(["raise", "yield"]))
def test_frames_escape_with_the_same_errors_and_carry_json(stream: bytes, mode: OnErrorEvent) -> None:
    protocol = RunProtocol(on_error_event=mode)
    if stream:
        protocol.receive_data(stream)
    protocol.receive_data(b"")
    names: list[str] = []
    try:
        while (frame := protocol.next_frame()) is not None:
            names.append(frame.event)
            assert frame.data
    except ALLOWED:
        pass
    events, _ = follow([stream], mode, 1 << 24)
    assert len(names) == len(events) == protocol.events_seen
