"""Each way in which open-assistant-api deviates, held to what it must come to."""

import json

import pytest
from dialect_deltas import JSON, folded
from raw_server import run_json
from test_protocol import events as events_of
from test_protocol import only, reading

from aiorunstream import RunSnapshot
from aiorunstream.errors import StreamTruncatedError
from aiorunstream.events import (
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageInProgress,
    ThreadRunCompleted,
    ThreadRunInProgress,
)
from aiorunstream.models import Usage


def crlf(*events: tuple[str, JSON]) -> bytes:
    return b"".join(f"event: {name}\r\ndata: {json.dumps(payload)}\r\n\r\n".encode() for name, payload in events)


def test_open_assistant_api_ends_lines_with_crlf_and_pings() -> None:
    wire = crlf(("thread.run.created", run_json())) + b": ping - 2026-11-21 21:24:32.1+00:00\r\n\r\n"
    wire += crlf(("thread.run.completed", run_json("completed")))
    for cut in range(1, len(wire)):
        protocol = reading(wire[:cut], wire[cut:])
        assert [found.event for found in events_of(protocol)] == ["thread.run.created", "thread.run.completed"]


def test_open_assistant_api_needs_no_end_mark_after_the_runs_own_end() -> None:
    protocol = reading(crlf(("thread.run.completed", run_json("completed"))))
    protocol.receive_data(b"")
    assert len(events_of(protocol)) == 1
    assert (protocol.outcome, protocol.done_seen) == ("completed", False)


def test_open_assistant_api_says_completed_of_a_run_that_waits() -> None:
    waits = {**run_json("requires_action"), "tool_choice": None, "truncation_strategy": None, "response_format": "auto"}
    events = events_of(reading(crlf(("thread.run.requires_action", waits), ("thread.run.completed", waits))))
    assert [found.event for found in events] == ["thread.run.requires_action"]
    alone = reading(crlf(("thread.run.completed", waits)))
    assert len(events_of(alone)) == 1
    assert alone.outcome == "requires_action"


def test_open_assistant_api_says_in_progress_of_a_message_that_is_completed() -> None:
    content: list[JSON] = [{"type": "text", "text": {"value": "Hi", "annotations": []}}]
    message: JSON = {
        "id": "m" * 24,
        "object": "thread.message",
        "status": "in_progress",
        "content": content,
        "role": "assistant",
    }
    found = only("thread.message.completed", message)
    assert isinstance(found, ThreadMessageCompleted)
    assert folded([found]).text == "Hi"


def test_open_assistant_api_has_nulls_in_its_deltas_and_an_empty_text_at_the_beginning() -> None:
    empty = {"id": "m1", "role": "assistant", "content": [{"type": "text", "text": {"value": ""}}]}
    part = {"index": 0, "type": "text", "text": {"value": "Hi", "annotations": None}}
    said = {"id": "m1", "delta": {"role": None, "content": [part]}}
    events = events_of(reading(crlf(("thread.message.created", empty), ("thread.message.delta", said))))
    assert isinstance(events[0], ThreadMessageCreated)
    assert isinstance(events[1], ThreadMessageDelta)
    assert folded(events).text == "Hi"
    (message,) = folded(events).messages
    assert len(message.content) == 1


def stray(usage: object, **other: object) -> JSON:
    told = usage if isinstance(usage, str) else json.dumps(usage)
    return {"id": "chatcmpl-1", "created_at": 0, "thread_id": "", "content": [], "metadata": {"usage": told}, **other}


USAGE = {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 5}


def test_open_assistant_api_tells_of_usage_in_a_message_that_is_none() -> None:
    wire = crlf(("thread.message.in_progress", stray(USAGE)), ("thread.run.completed", run_json("completed")))
    events = events_of(protocol := reading(wire))
    assert isinstance(events[0], ThreadMessageInProgress)
    assert isinstance(last := events[-1], ThreadRunCompleted)
    assert last.data.usage == Usage(2, 3, 5) == folded(events).run.usage  # type: ignore[union-attr]
    assert protocol.run == last.data
    assert b'"total_tokens":5' in protocol.frame_of(last).data
    assert folded(events).messages == ()


def test_open_assistant_apis_usage_of_several_streams_adds_up() -> None:
    snapshot = RunSnapshot()
    for status in ("requires_action", "completed"):
        wire = crlf(("thread.message.in_progress", stray(USAGE)), (f"thread.run.{status}", run_json(status)))
        for found in events_of(reading(wire)):
            snapshot.add(found)
    assert snapshot.run is not None
    assert snapshot.run.usage == Usage(4, 6, 10)


@pytest.mark.parametrize("message", [
    stray("{broken"), stray(USAGE, thread_id="thread_1"), stray(USAGE, created_at=1), stray(USAGE, metadata={}),
    stray({"total_tokens": "many"}), stray([1]),
])  # fmt: skip
def test_open_assistant_apis_usage_is_taken_from_nothing_else(message: JSON) -> None:
    wire = crlf(("thread.message.in_progress", message), ("thread.run.completed", run_json("completed")))
    last = events_of(reading(wire))[-1]
    assert isinstance(last, ThreadRunCompleted)
    assert last.data.usage is None


def test_open_assistant_apis_usage_gives_way_to_what_a_run_says_itself() -> None:
    completed = {**run_json("completed"), "usage": {**USAGE, "total_tokens": 50}}
    wire = crlf(("thread.message.in_progress", stray(USAGE)), ("thread.run.completed", completed))
    snapshot = folded(events_of(reading(wire)))
    assert snapshot.run is not None
    assert snapshot.run.usage == Usage(2, 3, 50)


def test_open_assistant_api_has_bare_ids_fields_of_its_own_and_fractions() -> None:
    run: JSON = {"id": "0" * 24, "status": "completed", "created_at": 1795296671.0, "metadata_": {}, "updated_at": None}
    found = only("thread.run.completed", {**run, "extra_body": {}, "stream_options": None, "file_ids": []})
    assert isinstance(found, ThreadRunCompleted)
    assert (found.data.id, found.data.created_at) == ("0" * 24, 1795296671)


def test_open_assistant_api_begins_with_in_progress_after_tool_outputs() -> None:
    found = only("thread.run.in_progress", run_json("in_progress"))
    assert isinstance(found, ThreadRunInProgress)


def test_open_assistant_api_ends_in_the_middle_where_its_model_fails() -> None:
    protocol = reading(crlf(("thread.run.in_progress", run_json("in_progress"))))
    assert protocol.next_event() is not None
    protocol.receive_data(b"")
    with pytest.raises(StreamTruncatedError) as caught:
        protocol.next_event()
    assert (caught.value.run_id, caught.value.run_status) == ("run_raw", "in_progress")
