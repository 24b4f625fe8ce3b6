"""Events of one name that come in one read are decoded several at a time. Nobody can tell, whatever is in them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiorunstream.errors import StreamError, StreamProtocolError
from aiorunstream.events import ThreadMessageDelta, UnknownEvent
from aiorunstream.protocol import RunProtocol
from aiorunstream.sse import SSEDecoder

DELTA = "thread.message.delta"


def delta(text: str) -> bytes:
    return json.dumps(
        {
            "id": "msg_1",
            "object": DELTA,
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": text}}]},
        }
    ).encode()


def wire_of(payloads: list[bytes], name: str = DELTA) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (name.encode(), payload) for payload in payloads)


# Whole payloads, and parts that only make one together: between two lines, or two in one.
PARTS = [
    delta("a"), delta("é\u2028"), delta("x" * 300), b'{"id": "m", "delta": 7}', b"{}", b"[]", b"", b" ", b"null", b"[DONE]",
    b'{"id": "m"} {"id": "n"}', b'{"id": "m"}{"id": "n"}', b'{"id": "m", "x": [{}', b'{"y": 1}]}', b'{"id":', b'"m"}',
    b'{"id": "m', b'n"}', b'{"id": "m"},{"id": "n"}', b"{" * 400 + b"}" * 400, b'{"id": "m", "d": ' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"id": "m", "x": "\xff"}', b'{"id": "m", "created_at": 1e3}', b"}", b"{", b'{"id": "\\ud800"}',
]  # fmt: skip
PAYLOADS = st.lists(st.sampled_from(PARTS) | st.just(delta("b")), max_size=80)


Told = tuple[object, ...]


def told(chunks: list[bytes]) -> list[Told]:
    """All there is to see, event by event, and the error at its end."""
    protocol = RunProtocol(max_depth=100)
    seen: list[Told] = []
    try:
        for chunk in (*filter(None, chunks), b""):
            protocol.receive_data(chunk)
            while (event := protocol.next_event()) is not None:
                frame = protocol.frame_of(event)
                seen.append(
                    (
                        type(event),
                        msgspec.json.encode(event),
                        frame.event,
                        frame.data,
                        protocol.last_event,
                        protocol.events_seen,
                    )
                )
    except StreamError as error:
        seen.append((type(error), str(error), error.events_seen, error.last_event))
    return seen


@given(payloads=PAYLOADS)
def test_events_that_come_together_are_as_events_that_come_alone(payloads: list[bytes]) -> None:
    assert told([wire_of(payloads)]) == told([wire_of([payload]) for payload in payloads])


@given(
    payloads=st.lists(st.binary(max_size=9) | st.sampled_from(PARTS), min_size=1, max_size=20),
    name=st.sampled_from(["error", DELTA, "x"]),
)
def test_a_series_holds_the_messages_there_are(payloads: list[bytes], name: str) -> None:
    wire = wire_of(payloads, name)
    short = SSEDecoder(names={b"event: %b" % name.encode(): name})
    assert short.feed(wire) == SSEDecoder().feed(wire)


def test_many_events_of_one_name_come_out_one_by_one() -> None:
    protocol = RunProtocol()
    protocol.receive_data(wire_of([delta(str(place)) for place in range(100)]))
    for place in range(100):
        event = protocol.next_event()
        assert isinstance(event, ThreadMessageDelta)
        assert (event.data.text, protocol.events_seen) == (str(place), place + 1)
        assert protocol.frame_of(event).data == delta(str(place))
    assert protocol.next_event() is None


def test_an_event_that_cannot_be_read_keeps_its_place_among_many() -> None:
    payloads = [delta(str(place)) for place in range(50)]
    payloads[40] = b'{"id": "m", "delta": 7}'
    protocol = RunProtocol()
    protocol.receive_data(wire_of(payloads))
    events = [protocol.next_event() for _ in payloads]
    assert [type(event) for event in events] == [ThreadMessageDelta] * 40 + [UnknownEvent] + [ThreadMessageDelta] * 9
    assert protocol.next_event() is None


@pytest.mark.parametrize(
    "payloads",
    [
        (b'{"id":"a","delta":', b'{"content":[]}}', b'{"id":"c"} {"id":"d"}'),
        (b'{"id":"a","x":{}', b',"delta":{}}', b'{"id":"c"} {"id":"d"}'),
    ],
    ids=["a payload that goes on", "a payload that is gone on with"],
)
def test_as_many_values_as_payloads_are_not_taken_for_theirs(payloads: tuple[bytes, ...]) -> None:
    """The first two payloads make one value between them, and the third holds two: three in all."""
    protocol = RunProtocol()
    protocol.receive_data(wire_of(list(payloads)))
    with pytest.raises(StreamProtocolError, match="not valid JSON"):
        protocol.next_event()
    assert protocol.events_seen == 0
