"""Each way in which a known server deviates, held to what it must come to. The names say which server needs the rule.

Those of open-assistant-api are in test_dialect_rules_open_assistant.py.
"""

import json
from typing import Any

import msgspec
import pytest
from conftest import NO_SHARED, SHARED
from dialect_deltas import JSON, delta, folded
from raw_server import RawServer, client_of, event, run_json, stream_answer
from raw_server import answer as plain
from test_protocol import error_of, frame, only, reading
from test_protocol import events as events_of

from aiorunstream.dialects import AstraProtocol
from aiorunstream.errors import RunStreamError, StreamProtocolError, StreamTruncatedError
from aiorunstream.events import (
    ErrorEvent,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadRunCreated,
    ThreadRunStepDelta,
    UnknownEvent,
)
from aiorunstream.models import Message, TextDeltaBlock, ToolCallsDeltaObject

# -- LiteLLM -----------------------------------------------------------------------------------------------------------


def test_litellm_names_the_event_inside_and_leaves_nulls_out() -> None:
    inside: JSON = {
        "data": {"id": "run_1", "object": "thread.run", "status": "queued", "tools": []},
        "event": "thread.run.created",
    }
    found = only(None, inside)
    assert isinstance(found, ThreadRunCreated)
    assert (found.data.id, found.data.started_at, found.data.required_action) == ("run_1", None, None)


def test_litellm_ends_with_a_mark_that_has_no_name() -> None:
    protocol = reading(
        frame(None, {"data": {"id": "run_1", "status": "in_progress"}, "event": "thread.run.in_progress"})
    )
    assert protocol.next_event() is not None
    protocol.receive_data(b"data: [DONE]\n\n")
    with pytest.raises(StreamTruncatedError):
        protocol.next_event()
    assert protocol.done_seen


def test_litellm_wraps_an_error_and_gives_it_no_name() -> None:
    said = {"error": {"message": "Upstream is away.", "type": "server_error", "param": None, "code": "500"}}
    protocol = reading(frame(None, said))
    with pytest.raises(RunStreamError, match="Upstream is away") as caught:
        protocol.next_event()
    assert (caught.value.code, caught.value.type) == ("500", "server_error")


def test_litellm_passes_on_a_flat_error_without_its_name() -> None:
    error = error_of(reading(frame(None, {"message": "no luck", "type": "server_error", "param": None, "code": "c1"})))
    assert isinstance(error, RunStreamError)
    assert (str(error), error.code, error.type) == ("no luck", "c1", "server_error")
    kept = only(None, {"message": "no luck", "colour": "red"})  # with anything else in it, it is no error
    assert isinstance(kept, UnknownEvent)


def test_litellm_keeps_the_connection_alive_with_comments() -> None:
    assert events_of(reading(b": ping\n\n" + frame("thread.run.created", run_json()) + b": ping\n\n"))


def test_litellm_passes_line_separators_on_as_they_are() -> None:
    wire = json.dumps({"data": delta(0, "a\u2028b\u2029c\x85"), "event": "thread.message.delta"}, ensure_ascii=False)
    (found,) = events_of(reading(f"data: {wire}\n\n".encode()))
    assert isinstance(found, ThreadMessageDelta)
    assert found.data.text == "a\u2028b\u2029c\x85"


async def test_litellm_answers_with_json_where_the_first_thing_is_an_error() -> None:
    async def script(peer: Any) -> None:
        await peer.request()
        await peer.send(plain(500, {"error": {"message": "no such model", "type": None, "code": "500"}}))

    async with RawServer(script) as server, client_of(server) as client:
        with pytest.raises(Exception, match="no such model"):
            await client.threads.runs.create_stream("thread_1", assistant_id="asst_1")


@pytest.mark.skipif(not (SHARED / "interop" / "captures").is_dir(), reason=NO_SHARED)
def test_litellms_own_bytes_are_typed_throughout() -> None:
    capture = (SHARED / "interop" / "captures" / "litellm-run.txt").read_bytes()
    protocol = reading(capture.replace(b"\r\n", b"\n").partition(b"\n\n")[2])
    events = events_of(protocol)
    assert not [found for found in events if isinstance(found, (UnknownEvent, ErrorEvent))]
    assert (protocol.outcome, folded(events).text.startswith("Hello")) == ("completed", True)


# -- Astra -------------------------------------------------------------------------------------------------------------


def enveloped(name: str, payload: JSON) -> bytes:
    return frame(None, {"event": name, "data": payload})


def astra(*wires: bytes) -> AstraProtocol:
    protocol = AstraProtocol()
    protocol.receive_data(b"".join(wires))
    return protocol


def test_astra_names_the_event_first() -> None:
    (found,) = events_of(reading(enveloped("thread.run.created", run_json())))
    assert isinstance(found, ThreadRunCreated)


def test_astra_ends_without_any_end() -> None:
    protocol = reading(enveloped("thread.message.delta", delta(0, "Hi")))
    events_of(protocol)
    protocol.receive_data(b"")
    with pytest.raises(StreamTruncatedError):
        protocol.next_event()


@pytest.mark.parametrize(("found", "seconds"), [(1710330640123, 1710330640), (1710330640, 1710330640)])
def test_astra_counts_some_times_in_milliseconds(found: int, seconds: int) -> None:
    event = only("thread.run.created", {**run_json(), "created_at": found})
    assert isinstance(event, ThreadRunCreated)
    assert event.data.created_at == seconds


def test_astra_has_a_step_delta_without_calls() -> None:
    details = {"type": "tool_calls", "tool_calls": None}
    found = only("thread.run.step.delta", {"id": "step_1", "delta": {"step_details": details}})
    assert isinstance(found, ThreadRunStepDelta)
    assert found.data.delta.step_details == ToolCallsDeltaObject()


def test_astra_says_twice_that_a_run_works() -> None:
    works = enveloped("thread.run.in_progress", run_json("in_progress"))
    assert len(events_of(reading(works * 2))) == 2


def test_astras_growing_index_is_put_right() -> None:
    protocol = astra(*(enveloped("thread.message.delta", delta(place, text)) for place, text in enumerate("abc")))
    events = events_of(protocol)
    indexes = [found.data.delta.content[0].index for found in events if isinstance(found, ThreadMessageDelta)]  # type: ignore[union-attr]
    assert indexes == [0, 0, 0]
    (message,) = folded(events).messages
    assert (message.text, len(message.content)) == ("abc", 1)


def test_astras_index_is_left_alone_where_it_stays() -> None:
    wire = enveloped("thread.message.delta", delta(0, "a"))
    protocol, usual = astra(wire), reading(wire)
    assert protocol.next_frame() == usual.next_frame()


def test_astras_frames_are_put_right_too() -> None:
    protocol = astra(enveloped("thread.message.delta", delta(0, "a")), enveloped("thread.message.delta", delta(1, "b")))
    protocol.next_frame()
    found = protocol.next_frame()
    assert found is not None
    assert json.loads(found.data)["delta"]["content"][0]["index"] == 0


def test_astras_messages_are_counted_apart_and_parts_of_other_kinds_are_their_own() -> None:
    image = {"index": 2, "type": "image_file", "image_file": {"file_id": "file_1"}}
    wires = [
        enveloped("thread.message.delta", delta(0, "a", id="m1")),
        enveloped("thread.message.delta", delta(1, "b", id="m2")),
        enveloped("thread.message.delta", {"id": "m1", "delta": {"content": [image]}}),
        enveloped("thread.message.delta", delta(3, "c", id="m1")),
        enveloped("thread.message.delta", delta(4, "d", id="m1")),
        enveloped("thread.message.delta", {"id": "m2", "delta": {"content": [{"index": 4, "type": "hologram"}]}}),
    ]
    first, second = folded(events_of(astra(*wires))).messages
    assert [part.type for part in first.content] == ["text", "image_file", "text"]
    assert (first.text, second.text) == ("acd", "b")
    assert [part.type for part in second.content] == ["text", "hologram"]


# -- DashScope, Cogitator, supercompat ---------------------------------------------------------------------------------


def dashscope(name: str, payload: JSON) -> bytes:
    body = json.dumps({**payload, "request_id": "r-1", "status_code": 200})
    return f"id:7\nevent:{name}\n:HTTP_STATUS/200\nstatus:200\ndata:{body}\n\n".encode()


def test_a_part_of_no_type_has_a_place_too() -> None:
    """The first of a message is at 0, whatever it is, and those that follow it are of one part with it."""
    said = [{"index": 3, "x": 1}, {"index": 4, "x": 2}, {"index": 5, "type": "text", "text": {"value": "Hi"}}]
    (found,) = events_of(astra(frame("thread.message.delta", {"id": "m", "delta": {"content": said}})))
    assert isinstance(found, ThreadMessageDelta)
    assert [json.loads(msgspec.json.encode(part))["index"] for part in found.data.delta.content] == [0, 0, 1]


def test_dashscope_has_an_object_for_a_list_no_index_and_milliseconds() -> None:
    said = {"id": "msg_1", "delta": {"content": {"type": "text", "text": {"value": "Hi"}}}}
    created = dashscope("thread.run.created", {**run_json(), "created_at": 1710330640123})
    events = events_of(reading(created + dashscope("thread.message.delta", said)))
    assert isinstance(events[0], ThreadRunCreated)
    assert events[0].data.created_at == 1710330640
    assert isinstance(events[1], ThreadMessageDelta)
    (part,) = events[1].data.delta.content
    assert isinstance(part, TextDeltaBlock)
    assert (part.index, events[1].data.text) == (0, "Hi")


def test_dashscope_writes_fields_without_a_space_and_ends_with_a_name_alone() -> None:
    protocol = reading(b"id:9\nevent:done\nstatus:200\ndata:\n\n")
    with pytest.raises(StreamTruncatedError) as caught:
        protocol.next_event()
    assert caught.value.done_seen


def test_dashscope_names_an_error_and_its_status() -> None:
    protocol = reading(b'id:2\nevent:error\nstatus:400\ndata:{"code":"Throttling","message":"Slow down."}\n\n')
    with pytest.raises(RunStreamError, match=r"Slow down\.") as caught:
        protocol.next_event()
    assert caught.value.code == "Throttling"


def test_cogitators_growing_index_is_put_right_as_astras() -> None:
    protocol = astra(*(frame("thread.message.delta", delta(place, text)) for place, text in enumerate("ab")))
    assert folded(events_of(protocol)).text == "ab"


def test_supercompat_leaves_the_object_out_and_gives_a_step_the_id_of_its_message() -> None:
    step = {"id": "msg_1", "type": "message_creation", "status": "in_progress"}
    bare = {"id": "msg_1", "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "Hi"}}]}}
    wire = frame("thread.message.created", {"id": "msg_1", "role": "assistant"}) + frame(
        "thread.run.step.created", step
    )
    snapshot = folded(events_of(reading(wire + frame("thread.message.delta", bare))))
    assert [snapshot.messages[0].id, snapshot.run_steps[0].id] == ["msg_1", "msg_1"]
    assert snapshot.text == "Hi"


# -- the last resort ---------------------------------------------------------------------------------------------------


def test_a_server_that_names_nothing_is_understood_by_object_and_status() -> None:
    found = only(None, {"id": "msg_1", "object": "thread.message", "status": "completed"})
    assert isinstance(found, ThreadMessageCompleted)
    assert isinstance(found.data, Message)


async def test_every_dialect_of_error_is_raised_by_the_stream_of_a_client() -> None:
    for said in ({"message": "m"}, {"error": {"message": "m"}}, {"error": "m"}, {"detail": "m"}):
        script = stream_answer(event("error", said))

        async def answer(peer: Any, wire: bytes = script) -> None:
            await peer.request()
            await peer.send(wire)

        async with RawServer(answer) as server, client_of(server) as client:
            with pytest.raises(RunStreamError, match="m"):
                async with client.threads.runs.create_stream("thread_1", assistant_id="asst_1") as stream:
                    await anext(stream)


def test_broken_json_is_never_an_event() -> None:
    assert type(error_of(reading(frame("thread.run.created", b'{"id": "run_1"')))) is StreamProtocolError
