"""How servers put events differently: names inside the data or none at all; and what goes on to a relay as frames."""

import msgspec
import pytest
from test_protocol import CREATED, frame, only, reading

from aiorunstream.errors import InvalidArgumentError, RunStreamError
from aiorunstream.events import ThreadCreated, ThreadMessageDelta, UnknownEvent
from aiorunstream.protocol import Frame

# -- names inside the data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [
    b'{"event":"thread.run.created","data":{"id":"run_1"}}',
    b'{"data":{"id":"run_1"},"event":"thread.run.created"}',
    b' { "data" : {"id":"run_1"} , "event" : "thread.run.created" } ',
])  # fmt: skip
@pytest.mark.parametrize("name", [None, "message", "thread.run.created"])
def test_an_envelope_is_opened_whatever_the_order_of_its_keys(name: str | None, payload: bytes) -> None:
    protocol = reading(frame(name, payload))
    assert protocol.next_frame() == Frame("thread.run.created", b'{"id":"run_1"}')
    assert (protocol.last_event, protocol.run_id) == ("thread.run.created", "run_1")


def test_the_stray_field_of_a_thread_envelope_is_kept() -> None:
    event = only(None, {"enabled": True, "event": "thread.created", "data": {"id": "thread_1"}})
    assert isinstance(event, ThreadCreated)
    assert event.enabled is True


@pytest.mark.parametrize("payload", [
    {"event": "thread.run.created", "data": {"id": "run_1"}, "more": 1},
    {"event": 7, "data": {"id": "run_1"}},
    {"event": "thread.run.created"},
    [{"event": "thread.run.created", "data": {}}],
])  # fmt: skip
def test_what_is_not_exactly_an_envelope_is_not_opened(payload: object) -> None:
    event = only(None, payload)
    assert isinstance(event, UnknownEvent)
    assert (event.event, event.json()) == ("message", payload)


@pytest.mark.parametrize("name", [None, "thread.message.delta"])
@pytest.mark.parametrize("key", ["text", "unknown"])
def test_half_of_a_pair_of_escapes_does_not_hide_what_an_envelope_holds(name: str | None, key: str) -> None:
    # LiteLLM's json.dumps writes one where a model has cut an emoji.
    words = {"text": ("smile \\ud83d", ""), "unknown": ("smile", "\\ude00")}[key]
    text = '{"value":"WORD","more":"MORE"}'.replace("WORD", words[0]).replace("MORE", words[1])
    data = '{"id":"msg_1","delta":{"content":[{"index":0,"type":"text","text":TEXT}]}}'.replace("TEXT", text)
    protocol = reading(frame(name, '{"data":DATA,"event":"thread.message.delta"}'.replace("DATA", data).encode()))
    event = protocol.next_event()
    assert isinstance(event, ThreadMessageDelta)
    assert event.data.text == ("smile \ufffd" if key == "text" else "smile")
    again = msgspec.json.decode(protocol.frame_of(event).data)
    assert again["delta"]["content"][0]["text"]["value"] == event.data.text


def test_a_named_event_of_tomorrow_keeps_all_of_its_payload() -> None:
    payload = b'{"event":"thread.run.thought","data":{"a":1}}'
    assert reading(frame("thread.run.thought", payload)).next_frame() == Frame("thread.run.thought", payload)


@pytest.mark.parametrize(("payload", "name"), [
    ({"object": "thread.run", "status": "queued"}, "thread.run.queued"),
    ({"object": "thread.run", "status": "requires_action"}, "thread.run.requires_action"),
    ({"object": "thread.run.step", "status": "completed"}, "thread.run.step.completed"),
    ({"object": "thread.run.step.delta"}, "thread.run.step.delta"),
    ({"object": "thread.message", "status": "in_progress"}, "thread.message.in_progress"),
    ({"object": "thread.message.delta"}, "thread.message.delta"),
    ({"object": "thread"}, "thread.created"),
    ({"object": "thread.run", "status": "paused"}, "message"),
    ({"object": "thread.run"}, "message"),
    ({"object": 7, "status": "queued"}, "message"),
])  # fmt: skip
def test_a_payload_without_a_name_is_named_by_what_it_is(payload: dict[str, object], name: str) -> None:
    event = only(None, {"id": "x_1", **payload})
    assert event.event == name
    assert isinstance(event, UnknownEvent) == (name == "message")


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "payload"), [
    ("thread.run.queued", b'{ "id" : "run_1", "later": [1, {"b": null}] }'),
    ("thread.message.delta", '{"id":"msg_1","delta":{"content":[{"index":0,"type":"text","text":{"value":"\\u00e9\u2028"}}]}}'.encode()),
    ("thread.run.thought", b'{"a":  1}'),
    ("thread.run.queued", b'{"id": {"not": "text"}}'),
])  # fmt: skip
def test_a_frame_is_the_wires_own_bytes_where_nothing_changed(name: str, payload: bytes) -> None:
    assert reading(frame(name, payload)).next_frame() == Frame(name, payload)


def test_an_error_that_says_so_in_its_object_is_an_error() -> None:
    protocol = reading(frame(None, {"object": "error", "message": "no such model", "code": 404}))
    with pytest.raises(RunStreamError, match="no such model") as caught:
        protocol.next_event()
    assert caught.value.code == 404


def test_an_error_frame_that_needed_no_change_is_the_wires_own_bytes() -> None:
    payload = b'{"message": "m", "type": null, "code": "c", "param": null, "trace": "t_1"}'
    assert reading(frame("error", payload), on_error_event="yield").next_frame() == Frame("error", payload)


def test_a_frame_of_a_repaired_event_is_its_repaired_json() -> None:
    protocol = reading(
        frame("thread.message.delta", {"id": "msg_1", "delta": {"content": {"type": "text", "text": "hey"}}})
    )
    found = protocol.next_frame()
    assert found is not None
    event = ThreadMessageDelta(msgspec.json.decode(found.data, type=ThreadMessageDelta.__annotations__["data"]))
    assert event.data.text == "hey"


def test_frames_follow_the_run_as_events_do() -> None:
    protocol = reading(
        CREATED + frame(None, {"data": {"id": "run_1", "status": "failed"}, "event": "thread.run.failed"}) + CREATED
    )
    names: list[str] = []
    while (found := protocol.next_frame()) is not None:
        names.append(found.event)
    assert names == ["thread.run.created", "thread.run.failed"]
    assert (protocol.outcome, protocol.run_id, protocol.events_seen) == ("failed", "run_1", 2)


def test_a_frame_for_a_browser_is_a_server_sent_event_that_reads_back() -> None:
    wire = Frame("thread.run.queued", b'{\n"id":"run_1"}').sse()
    assert wire == b'event: thread.run.queued\ndata: {\ndata: "id":"run_1"}\n\n'
    assert reading(wire).next_frame() == Frame("thread.run.queued", b'{\n"id":"run_1"}')
    with pytest.raises(InvalidArgumentError):
        Frame("a\nevent: error", b"{}").sse()
