"""What fuzzing found, in its smallest form. Each stream once broke a promise; `check` asks all of them again."""

import json

import pytest

from aiorunstream.protocol import Frame, RunProtocol
from aiorunstream.sse import MAX_EVENT_BYTES, SSEDecoder
from fuzz.oracles import Setting, check


def reading(wire: bytes) -> RunProtocol:
    protocol = RunProtocol(on_error_event="yield")
    protocol.receive_data(wire)
    return protocol


def only_frame(wire: bytes) -> Frame:
    frame = reading(wire).next_frame()
    assert frame is not None
    return frame


FOUND = {
    "bytes that are no text in a field nobody knows": b'event:thread.run.queued\ndata:{"id":"","":"\xff"}\n\n',
    "and in a known event's flat error": b'event:error\ndata:{"message":"m","":"\xff"}\n\n',
    "half of a pair in a flat error": b'event:error\ndata:{"message":"m","":"\\ud800"}\n\n',
    "an envelope with an empty name": b'data: {"event":"","data":{"":null}}\n\n',
    "a name above the limit": b"event: " + b"x" * 171 + b"\r\n\r\n",
    "one name after another": (b"event: " + b"x" * 90 + b"\n") * 3,
}


@pytest.mark.parametrize("wire", FOUND.values(), ids=FOUND)
def test_what_was_found_holds_now(wire: bytes) -> None:
    check(wire)
    for limit in (10, 100, MAX_EVENT_BYTES):
        check(wire, setting=Setting("yield", limit, 128, 0))


@pytest.mark.parametrize(
    "wire",
    [b'event:thread.run.queued\ndata:{"id":"r","x":"\xff"}\n\n', b'event:error\ndata:{"message":"r","x":"\xff"}\n\n'],
)
def test_a_frame_is_utf8_also_where_a_field_nobody_knows_is_not(wire: bytes) -> None:
    """The fast decoder passes over such a field without a look, and a relay would have passed the bytes on."""
    data = json.loads(only_frame(wire).data.decode())
    assert "r" in (data.get("id"), data.get("message"))


def test_half_a_pair_in_an_error_frame_is_replaced() -> None:
    frame = only_frame(rb"event: error" b"\n" rb'data: {"message":"m","x":"\ud800"}' b"\n\n")
    assert b"ud800" not in frame.data
    assert json.loads(frame.data)["message"] == "m"


def test_an_envelope_with_an_empty_name_is_a_message_without_one() -> None:
    wire = b'data: {"event":"","data":{"object":"thread.run","status":"queued","id":"run_1"}}\n\n'
    assert only_frame(wire).event == "thread.run.queued"
    event = reading(b'data: {"event":"","data":{}}\n\n').next_event()
    assert event is not None
    assert event.event == "message"
    assert only_frame(b'data: {"event":"","data":{}}\n\n').event == "message"


@pytest.mark.parametrize("field", [b"event", b"id"])
def test_a_decoder_that_failed_lets_go_of_what_was_too_large(field: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=10)
    decoder.feed(field + b": " + b"x" * 1000 + b"\n\n")
    assert decoder.failed
    assert not decoder._event
    assert not decoder._id


def test_a_name_that_replaces_another_is_not_held_beside_it() -> None:
    decoder = SSEDecoder(max_event_bytes=100)
    decoder.feed(b"event: " + b"x" * 95 + b"\ndata: 1\nevent: ")
    for _ in range(90):
        decoder.feed(b"y")
        assert len(decoder._event) + decoder._line.size <= 100
    assert [message.event for message in decoder.feed(b"\n\n")] == ["y" * 90]
