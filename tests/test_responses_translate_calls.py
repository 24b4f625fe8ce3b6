"""Calls and ends of a response, made into those of a run."""

import msgspec
import pytest
from bridged import JSON, Bridge, check_legal, names, text_of, wire
from response_events import (
    BEGINNING,
    CREATED,
    MESSAGE,
    added,
    called,
    calls,
    done,
    ended,
    message,
    said,
)

from aiorunstream import Limits
from aiorunstream.backends.responses._protocol import ResponsesProtocol
from aiorunstream.errors import (
    EventTooDeepError,
    EventTooLargeError,
    RunStreamError,
    StreamProtocolError,
    StreamTruncatedError,
)
from aiorunstream.events import ErrorEvent, ThreadRunFailed
from aiorunstream.models import (
    CodeInterpreterToolCall,
    FileSearchToolCall,
    FunctionToolCall,
    UnknownPart,
)
from aiorunstream.sse import SSEDecoder

# -- calls -----------------------------------------------------------------------------------------------------------


def argued(place: int, delta: str) -> JSON:
    return {"type": "response.function_call_arguments.delta", "output_index": place, "delta": delta}


def test_calls_share_a_step_and_the_run_waits_for_them() -> None:
    bridge = Bridge()
    one, two = called("call_1", '{"a": 1}'), called("call_2", "{}")
    seen = bridge.hear(
        CREATED, added(0, **{**one, "arguments": ""}), argued(0, '{"a"'), argued(0, ": 1}"), done(0, **one),
        added(1, **two), done(1, **two), ended("completed", one, two),
    )  # fmt: skip
    check_legal(seen)
    assert names(seen)[3:5] == MESSAGE[:2]
    assert [(c.id, c.function.arguments) for c in calls(bridge) if isinstance(c, FunctionToolCall)] == [
        ("call_1", '{"a": 1}'),
        ("call_2", "{}"),
    ]
    assert (bridge.run.status, len(bridge.run.tool_calls), len(bridge.steps)) == ("requires_action", 2, 1)


def test_pieces_of_two_calls_that_come_mixed_are_put_in_order() -> None:
    one, two = called("call_1", "[1,2]"), called("call_2", "[3,4]")
    bridge = Bridge()
    bridge.hear(
        CREATED, added(0, **{**one, "arguments": ""}), added(1, **{**two, "arguments": ""}), argued(1, "[3,"),
        argued(0, "[1,"), argued(1, "4]"), argued(0, "2]"), done(1, **two), done(0, **one), ended("completed", one, two),
    )  # fmt: skip
    found = [c for c in calls(bridge) if isinstance(c, FunctionToolCall)]
    assert [call.function.arguments for call in found] == ["[1,2]", "[3,4]"]


def test_pieces_that_come_before_it_is_known_what_is_called_are_not_lost() -> None:
    bridge = Bridge()
    bridge.hear(CREATED, argued(0, '{"a"'), argued(0, ": 1}"), done(0, **called(arguments="")), ended())
    (call,) = calls(bridge)
    assert isinstance(call, FunctionToolCall)
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "look_up", '{"a": 1}')


def test_text_does_not_wait_for_thoughts_that_end_late() -> None:
    """As llama.cpp sends them: the ends of all items come last, and no event says which place its item has."""
    bridge = Bridge()
    content = [{"type": "reasoning_text", "text": "Hm."}]
    thought: JSON = {"type": "reasoning", "id": "rs_1", "summary": [], "content": content}
    text = message("Hi there")
    seen = bridge.hear(
        CREATED,
        {"type": "response.output_item.added", "item": {**thought, "content": []}},
        {"type": "response.reasoning_text.delta", "item_id": "rs_1", "delta": "Hm."},
        {"type": "response.output_item.added", "item": {**text, "content": []}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Hi "},
    )
    assert text_of(seen) == "Hi "
    seen += bridge.hear(
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "there"},
        {"type": "response.output_item.done", "item": thought},
        {"type": "response.output_item.done", "item": text},
        ended("completed", thought, text),
    )
    check_legal(seen)
    assert text_of(seen) == "Hi there"
    assert calls(bridge) == [UnknownPart(thought)]
    assert [step.type for step in bridge.steps] == ["message_creation", "tool_calls"]


def test_arguments_of_a_call_that_never_came_are_no_call() -> None:
    bridge = Bridge()
    whole = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}
    seen = bridge.hear(CREATED, whole, said(1, "Hi"), ended())
    check_legal(seen)
    assert (bridge.run.status, text_of(seen), calls(bridge)) == ("completed", "Hi", [])


def test_a_call_that_the_server_has_answered_itself_is_not_waited_for() -> None:
    answered = {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": "sunny"}
    bridge = Bridge()
    bridge.hear(CREATED, ended("completed", called(), answered, message("It is sunny.")))
    assert bridge.run.status == "completed"
    (call,) = calls(bridge)
    assert isinstance(call, FunctionToolCall)
    assert call.function.output == "sunny"


def test_an_output_of_a_call_that_never_came_answers_nothing() -> None:
    bridge = Bridge()
    stray = {"type": "function_call_output", "id": "fco_1", "call_id": "call_9", "output": "sunny"}
    check_legal(bridge.hear(CREATED, ended("completed", stray, called())))
    assert [getattr(call, "id", None) for call in bridge.run.tool_calls] == ["call_1"]


def test_a_tool_of_plain_text_is_answered_as_a_function_is() -> None:
    whole = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_1", "name": "shout", "input": "hey you"}
    piece = {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "hey "}
    bridge = Bridge()
    bridge.hear(CREATED, added(0, **{**whole, "input": ""}), piece, done(0, **whole), ended("completed", whole))
    (call,) = calls(bridge)
    assert isinstance(call, FunctionToolCall)
    assert (call.function.name, call.function.arguments) == ("shout", "hey you")


def test_two_calls_of_one_id_are_no_run() -> None:
    bridge = Bridge()
    with pytest.raises(StreamProtocolError, match="call_1"):
        bridge.hear(CREATED, ended("completed", called(), called(name="other")))
    assert bridge.run.last_error is not None
    assert "call_1" in bridge.run.last_error.message


def test_code_is_told_as_it_is_written_and_with_what_came_of_it() -> None:
    unknown = {"type": "hologram", "beam": 1}
    outputs = [{"type": "logs", "logs": "2\n"}, unknown, {"type": "image", "url": "https://a.example/plot.png"}]
    whole = {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "outputs": outputs, "status": "completed"}
    piece = {"type": "response.code_interpreter_call_code.delta", "output_index": 0, "delta": "1+"}
    bridge = Bridge()
    seen = bridge.hear(CREATED, added(0, **{**whole, "code": "", "outputs": None}), piece, done(0, **whole), ended())
    check_legal(seen)
    (call,) = calls(bridge)
    assert isinstance(call, CodeInterpreterToolCall)
    assert msgspec.to_builtins(call.code_interpreter) == {
        "input": "1+1",
        "outputs": (
            {"type": "logs", "logs": "2\n"},
            {"type": "image", "image": {"file_id": "https://a.example/plot.png"}},
        ),
    }
    assert bridge.steps[0].status == "completed"


def test_what_a_file_search_found_is_kept_and_its_text_shown_only_to_those_who_asked() -> None:
    found = {"file_id": "file_1", "filename": "a.md", "score": 17.5, "text": "so it is"}
    whole = {"type": "file_search_call", "id": "fs_1", "queries": ["so"], "results": [found], "status": "completed"}
    bridge = Bridge()
    seen = bridge.hear(CREATED, ended("completed", whole))
    (call,) = calls(bridge)
    assert isinstance(call, FileSearchToolCall)
    assert call.file_search.results is not None
    assert (call.file_search.results[0].score, call.file_search.results[0].content is None) == (1.0, False)
    assert b"so it is" not in b"".join(msgspec.json.encode(event.data) for event in seen)


@pytest.mark.parametrize("item", [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "mcp_call", "id": "mcp_1", "name": "roll", "arguments": "{}", "server_label": "dice", "output": "4"},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="},
    {"type": "hologram", "id": "h_1"},
])  # fmt: skip
def test_what_runs_do_not_know_is_a_tool_call_of_its_own_type(item: JSON) -> None:
    bridge = Bridge()
    seen = bridge.hear(
        CREATED, added(0, **item), done(0, **item), said(1, "Hi"), ended("completed", item, message("Hi"))
    )
    check_legal(seen)
    assert calls(bridge) == [UnknownPart(item)]
    assert text_of(seen) == "Hi"
    assert bridge.run.status == "completed"


def test_leave_for_a_tool_of_an_mcp_server_is_asked_for() -> None:
    asked = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "roll", "arguments": "{}", "server_label": "dice"}
    bridge = Bridge()
    bridge.hear(CREATED, ended("completed", asked))
    assert bridge.run.status == "requires_action"
    assert [getattr(call, "id", None) for call in bridge.run.calls_to_approve] == ["mcpr_1"]


@pytest.mark.parametrize("first", ["mcp_approval_request", "function_call"])
def test_a_run_waits_for_outputs_where_leave_is_asked_for_too(first: str) -> None:
    asked = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "roll", "arguments": "{}", "server_label": "dice"}
    bridge = Bridge()
    output = sorted((asked, called()), key=lambda item: item["type"] != first)
    seen = bridge.hear(CREATED, ended("completed", *output))
    check_legal(seen)
    assert bridge.run.status == "requires_action"
    assert [getattr(call, "id", None) for call in bridge.run.tool_calls] == ["call_1"]
    assert bridge.run.calls_to_approve == ()
    assert [call for call in calls(bridge) if isinstance(call, UnknownPart)] == [UnknownPart(asked)]


# -- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "of_run", "of_message"), [
    ("max_output_tokens", "max_completion_tokens", "max_tokens"),
    ("content_filter", None, "content_filter"),
    ("of tomorrow", "max_completion_tokens", "max_tokens"),
])  # fmt: skip
def test_an_answer_that_breaks_off_is_incomplete(reason: str, of_run: str | None, of_message: str) -> None:
    bridge = Bridge()
    seen = bridge.hear(CREATED, said(0, "Half"), ended("incomplete", incomplete_details={"reason": reason}))
    check_legal(seen)
    run, (half,) = bridge.run, bridge.messages
    assert run.incomplete_details is not None
    assert half.incomplete_details is not None
    assert (run.status, run.incomplete_details.reason, half.incomplete_details.reason) == (
        "incomplete",
        of_run,
        of_message,
    )


@pytest.mark.parametrize(("error", "code", "words"), [
    ({"code": "rate_limit_exceeded", "message": "Slow down."}, "rate_limit_exceeded", "Slow down."),
    ({"code": "invalid_prompt", "message": "Not this."}, "invalid_prompt", "Not this."),
    ({"code": "vector_store_timeout", "message": "Late."}, "server_error", "vector_store_timeout: Late."),
    (None, "server_error", "The response failed."),
])  # fmt: skip
def test_a_response_that_failed_is_a_run_that_failed(error: JSON | None, code: str, words: str) -> None:
    bridge = Bridge()
    seen = bridge.hear(CREATED, said(0, "Half"), ended("failed", error=error))
    check_legal(seen)
    last = seen[-1]
    assert isinstance(last, ThreadRunFailed)
    assert last.data.last_error is not None
    assert (last.data.last_error.code, last.data.last_error.message) == (code, words)


def test_a_response_that_was_cancelled_elsewhere_is_a_run_that_was() -> None:
    bridge = Bridge()
    seen = bridge.hear(CREATED, said(0, "Half"), ended("cancelled"))
    check_legal(seen)
    assert bridge.run.status == "cancelled"


@pytest.mark.parametrize("error", [
    {"type": "error", "code": "server_error", "message": "Oh no.", "param": None},
    {"error": {"code": "server_error", "message": "Oh no."}},
    {"type": "error", "error": {"code": "server_error", "message": "Oh no."}},
])  # fmt: skip
def test_an_error_is_raised_once_all_before_it_was_told_and_the_run_has_failed(error: JSON) -> None:
    bridge = Bridge()
    bridge.protocol.receive_data(wire([CREATED, said(0, "Half"), error]))
    seen = [bridge.protocol.next_event() for _ in range(8)]
    assert names([one for one in seen if one is not None]) == [*BEGINNING, *MESSAGE, "thread.message.delta"]
    with pytest.raises(RunStreamError):
        bridge.protocol.next_event()
    with pytest.raises(RunStreamError, match=r"^Oh no\.$") as caught:
        bridge.protocol.next_event()
    assert (caught.value.code, caught.value.events_seen, caught.value.run_id) == ("server_error", 8, bridge.run.id)
    assert bridge.run.status == "failed"


def test_an_error_in_place_of_the_first_event_comes_after_the_runs_beginning() -> None:
    bridge = Bridge()
    bridge.protocol.receive_data(wire([{"type": "error", "message": "Oh no."}]))
    assert [getattr(bridge.protocol.next_event(), "event", None) for _ in range(3)] == BEGINNING
    with pytest.raises(RunStreamError):
        bridge.protocol.next_event()


def test_an_error_that_is_to_be_handed_out_comes_before_the_runs_end() -> None:
    bridge = Bridge(on_error_event="yield")
    seen = bridge.hear(CREATED, {"type": "error", "message": "Oh no.", "code": "boom"})
    assert names(seen) == [*BEGINNING, "error", "thread.run.failed"]
    assert isinstance(seen[3], ErrorEvent)
    assert bridge.protocol.outcome == "failed"


@pytest.mark.parametrize(("rest", "done_seen"), [(b"", False), (b"data: [DONE]\n\n", True)])
def test_a_stream_that_ends_before_its_response_is_truncated(rest: bytes, done_seen: bool) -> None:  # noqa: FBT001
    bridge = Bridge()
    bridge.hear(CREATED, said(0, "Half"))
    with pytest.raises(StreamTruncatedError) as caught:
        bridge.feed(rest)
    assert (caught.value.done_seen, caught.value.run_status) == (done_seen, "in_progress")


def test_what_comes_after_the_end_of_a_body_is_not_heard() -> None:
    bridge = Bridge()
    bridge.protocol.receive_data(b"")
    with pytest.raises(StreamTruncatedError):
        bridge.hear(CREATED, ended())
    assert bridge.run.status == "queued"


def test_an_end_mark_after_the_end_is_nothing() -> None:
    bridge = Bridge()
    bridge.hear(CREATED, ended())
    assert bridge.feed(b"data: [DONE]\n\n") == []
    assert bridge.protocol.outcome == "completed"


@pytest.mark.parametrize("payload", [b"{", b"[1]", b'"text"', b"\xff\xfe"])
def test_what_is_no_json_object_is_no_stream_of_a_response(payload: bytes) -> None:
    bridge = Bridge()
    with pytest.raises(StreamProtocolError):
        bridge.feed(b"data: " + payload + b"\n\n")


def test_what_is_too_deep_or_too_large_is_refused() -> None:
    with pytest.raises(EventTooDeepError):
        Bridge().feed(b'data: {"a":' + b"[" * 200 + b"]" * 200 + b"}\n\n")
    bridge = Bridge()
    protocol = ResponsesProtocol(bridge.bridged, limits=Limits(max_event_bytes=500))
    protocol.receive_data(wire([CREATED, said(0, "x" * 500)]))
    assert [getattr(protocol.next_event(), "event", None) for _ in range(2)] == BEGINNING[:2]
    with pytest.raises(EventTooLargeError) as caught:
        protocol.next_event()
    assert (caught.value.limit, caught.value.events_seen) == (500, 2)


def test_names_of_events_are_not_looked_at() -> None:
    bridge = Bridge()
    seen = bridge.feed(b"event: thread.run.completed\n" + wire([CREATED]) + wire([ended()]))
    assert names(seen) == [*BEGINNING, "thread.run.completed"]


def test_what_is_told_again_after_a_restart_counts_once() -> None:
    bridge = Bridge()
    numbered = [{**one, "sequence_number": place} for place, one in enumerate([CREATED, said(0, "a"), said(0, "b")])]
    seen = bridge.hear(*numbered)
    bridge.protocol.receive_data(b'data: {"type": "response.output_te')
    bridge.protocol.restart()
    seen += bridge.hear(*numbered[1:], {**ended("completed", message("ab")), "sequence_number": 3})
    assert text_of(seen) == "ab"
    assert bridge.protocol.last_number == 3


@pytest.mark.parametrize("number", [-1, 0])
def test_events_that_all_have_the_same_number_are_all_heard(number: int) -> None:
    events = [CREATED, said(0, "a"), said(0, "b"), ended("completed", message("ab"))]
    seen = Bridge().hear(*({**one, "sequence_number": number} for one in events))
    assert (text_of(seen), names(seen)[-1]) == ("ab", "thread.run.completed")


def test_frames_are_the_events_as_the_protocol_has_them() -> None:
    bridge = Bridge()
    bridge.protocol.receive_data(wire([CREATED, {"type": "response.audio.delta", "delta": "aGk="}, ended()]))
    frames: list[bytes] = []
    while (event := bridge.protocol.next_event()) is not None:
        frames.append(bridge.protocol.frame_of(event).sse())
    read = SSEDecoder().feed(b"".join(frames))
    assert [one.event for one in read] == [*BEGINNING, "response.audio.delta", "thread.run.completed"]
    assert msgspec.json.decode(read[3].data) == {"type": "response.audio.delta", "delta": "aGk="}
