"""The tolerant pass, repair by repair: the event stays typed around what is odd, and what is odd keeps its JSON."""

import json
from typing import TypeVar, cast

import msgspec
import pytest

from aiorunstream.decode import decode
from aiorunstream.events import (
    ThreadCreated,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadRunCreated,
    ThreadRunRequiresAction,
    ThreadRunStepCompleted,
    ThreadRunStepDelta,
    UnknownEvent,
)
from aiorunstream.models import (
    FileSearchToolCallDelta,
    FunctionTool,
    Message,
    MessageDeltaEvent,
    Run,
    RunStep,
    SubmitToolOutputsAction,
    TextContentBlock,
    TextDeltaBlock,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.plain_json import NotJSONError, parse
from aiorunstream.repair import UnbuildableError, build, repair

T = TypeVar("T")


def typed(kind: type[T], name: str, payload: object) -> T:
    """The event, which must be of this kind."""
    wire = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    event = decode(name, wire).event
    assert isinstance(event, kind)
    return event


def run(**fields: object) -> Run:
    return typed(ThreadRunCreated, "thread.run.created", {"id": "run_1", **fields}).data


def message(**fields: object) -> Message:
    return typed(ThreadMessageCompleted, "thread.message.completed", {"id": "msg_1", **fields}).data


def step(**fields: object) -> RunStep:
    return typed(ThreadRunStepCompleted, "thread.run.step.completed", {"id": "step_1", **fields}).data


def delta(content: object) -> MessageDeltaEvent:
    return typed(ThreadMessageDelta, "thread.message.delta", {"id": "msg_1", "delta": {"content": content}}).data


def kept(part: object, payload: object) -> None:
    """The part is unknown, keeps its JSON, and encodes back to it."""
    assert isinstance(part, UnknownPart)
    assert dict(part) == payload
    assert json.loads(msgspec.json.encode(part)) == payload
    assert part.type == cast("dict[str, object]", payload).get("type")


FUNCTION: dict[str, object] = {"type": "function", "function": {"name": "f"}}
TEXT: dict[str, object] = {"type": "text", "text": {"value": "hi", "annotations": []}}


# -- parts nobody knows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [
    {"type": "bing_grounding", "bing_grounding": {"connections": [1, None, 2.5]}},
    {"type": "function", "function": {"no_name": True}},
    {"type": "function"},
    {"type": "FUNCTION", "function": {"name": "f"}},
    {"no_type": 1},
    {"type": "openapi", "index": 4},
])  # fmt: skip
def test_a_tool_nobody_knows_stands_among_typed_ones(odd: dict[str, object]) -> None:
    found = run(tools=[FUNCTION, odd, FUNCTION], model="m")
    first, part, last = found.tools
    assert isinstance(first, FunctionTool)
    assert isinstance(last, FunctionTool)
    kept(part, odd)
    assert found.model == "m"


def test_a_content_block_nobody_knows_stands_among_typed_ones() -> None:
    odd: dict[str, object] = {"type": "hologram", "hologram": {"depth": 3}}
    found = message(content=[TEXT, odd, TEXT])
    kept(found.content[1], odd)
    assert found.text == "hihi"


def test_an_annotation_nobody_knows_leaves_its_text_typed() -> None:
    odd: dict[str, object] = {"type": "url_citation", "text": "[1]", "url_citation": {"url": "http://a"}}
    found = message(content=[{"type": "text", "text": {"value": "hi", "annotations": [odd]}}])
    (block,) = found.content
    assert isinstance(block, TextContentBlock)
    kept(block.text.annotations[0], odd)


def test_a_part_of_a_delta_nobody_knows_keeps_its_json_without_an_index_put_in() -> None:
    odd: dict[str, object] = {"type": "hologram", "depth": 3}
    found = delta([odd, {"type": "text", "text": {"value": "x"}}])
    kept(found.delta.content[0], odd)
    assert found.text == "x"


def test_a_step_of_a_type_nobody_knows_stays_a_step() -> None:
    details: dict[str, object] = {"type": "activities", "activities": [{"id": "a"}]}
    found = step(type="activities", step_details=details, status="resting")
    kept(found.step_details, details)
    assert (found.type, found.status) == ("activities", "resting")


def test_a_tool_call_nobody_knows_leaves_its_step_typed() -> None:
    odd: dict[str, object] = {"type": "mcp", "id": "call_2", "arguments": "{}", "server_label": "s"}
    known = {"type": "function", "id": "call_1", "function": {"name": "f", "arguments": "{}", "output": None}}
    details = step(step_details={"type": "tool_calls", "tool_calls": [known, odd]}).step_details
    assert isinstance(details, ToolCallsStepDetails)
    kept(details.tool_calls[1], odd)
    assert not isinstance(details.tool_calls[0], UnknownPart)


def test_a_fragment_of_a_tool_call_nobody_knows_leaves_its_delta_typed() -> None:
    odd: dict[str, object] = {"type": "mcp", "index": 1, "arguments": "{}"}
    calls = [{"index": 0, "type": "function", "function": {"arguments": "{"}}, odd]
    payload: dict[str, object] = {
        "id": "step_1",
        "delta": {"step_details": {"type": "tool_calls", "tool_calls": calls}},
    }
    details = typed(ThreadRunStepDelta, "thread.run.step.delta", payload).data.delta.step_details
    assert isinstance(details, ToolCallsDeltaObject)
    kept(details.tool_calls[1], odd)


def test_an_action_of_a_type_nobody_knows_leaves_the_run_typed() -> None:
    odd: dict[str, object] = {"type": "submit_signature", "submit_signature": {"tool_calls": []}}
    payload: dict[str, object] = {"id": "run_1", "status": "requires_action", "required_action": odd}
    found = typed(ThreadRunRequiresAction, "thread.run.requires_action", payload).data
    kept(found.required_action, odd)
    assert found.tool_calls == ()


def test_a_call_in_an_action_of_a_type_nobody_knows_leaves_the_action_typed() -> None:
    odd: dict[str, object] = {"type": "computer_use_preview", "id": "call_1", "action": "click"}
    action = run(
        required_action={"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [odd]}}
    ).required_action
    assert isinstance(action, SubmitToolOutputsAction)
    kept(action.submit_tool_outputs.tool_calls[0], odd)


@pytest.mark.parametrize("kind", [7, True, [], {}, 1.5])
def test_a_type_that_is_no_text_is_not_covered_up(kind: object) -> None:
    action: dict[str, object] = {"type": kind, "submit_tool_outputs": {"tool_calls": []}}
    part = run(required_action=action).required_action
    assert isinstance(part, UnknownPart)
    assert dict(part) == action


def test_a_response_format_nobody_knows_keeps_its_json() -> None:
    odd: dict[str, object] = {"type": "grammar", "grammar": "root ::= [a-z]"}
    kept(run(response_format=odd).response_format, odd)


@pytest.mark.parametrize("status", ["paused", "", "COMPLETED"])
def test_a_status_nobody_knows_is_text(status: str) -> None:
    assert run(status=status).status == status
    assert message(status=status).status == status


def test_an_event_nobody_knows_is_itself() -> None:
    event = typed(UnknownEvent, "thread.run.paused", {"id": "run_1"})
    assert (event.event, event.json()) == ("thread.run.paused", {"id": "run_1"})


# -- values of another kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "read"), [
    (1710330640, 1710330640), (1710330640.0, 1710330640), (1710330640.9, 1710330640), (-1.5, -2), (0, 0), (0.5, 0),
    (99_999_999_999, 99_999_999_999), (100_000_000_000, 100_000_000), (1710330640123, 1710330640),
    (1710330640123456, 1710330640), (1710330640123456789, 1710330640), (1710330640123.9, 1710330640),
    ("1710330640", 1710330640), ("1710330640.5", 1710330640), ("1710330640123", 1710330640), (None, None),
])  # fmt: skip
def test_a_time_is_read_as_whole_seconds(sent: object, read: int | None) -> None:
    assert run(created_at=sent, model="m").created_at == read


@pytest.mark.parametrize("sent", [True, "soon", "", [], {}, "nan", "inf", "1e999", "1_000"])
def test_what_is_no_time_makes_the_event_unknown(sent: object) -> None:
    payload: dict[str, object] = {"id": "run_1", "created_at": sent}
    event = typed(UnknownEvent, "thread.run.created", payload)
    assert event.json() == payload


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999"])
def test_a_number_that_json_cannot_write_is_not_covered_up(text: str) -> None:
    payload: dict[str, object] = {"id": "run_1", "temperature": text}
    event = decode("thread.run.created", json.dumps(payload).encode()).event
    assert event is not None
    assert text in msgspec.json.encode(event).decode()


@pytest.mark.parametrize("where", ['"temperature":1e999', '"tools":[{"type":"x","size":1e999}]'])
def test_a_number_beyond_all_floats_is_not_turned_into_null(where: str) -> None:
    found = decode("thread.run.created", b'{"id":"run_1",%b}' % where.encode())
    assert found.event is not None
    assert b"1e999" in msgspec.json.encode(found.event)


@pytest.mark.parametrize("digits", [25, 400])
def test_a_long_number_in_a_part_nobody_knows_is_kept(digits: int) -> None:
    number = int("9" * digits)
    (part,) = run(tools=[{"type": "x", "n": number}]).tools
    assert isinstance(part, UnknownPart)
    assert str(number) in msgspec.json.encode(part).decode()


def test_null_where_none_should_be_is_the_default() -> None:
    found = run(object=None, tools=None, thread_id=None, usage={"total_tokens": None, "prompt_tokens": 3}, status=None)
    assert (found.object, found.tools, found.thread_id, found.status) == ("thread.run", (), "", None)
    assert found.usage is not None
    assert (found.usage.total_tokens, found.usage.prompt_tokens) == (0, 3)
    assert message(content=None).content == ()
    assert run(tools=[None, FUNCTION]).tools == run(tools=[FUNCTION]).tools
    details = step(step_details={"type": "tool_calls", "tool_calls": None}).step_details
    assert isinstance(details, ToolCallsStepDetails)


def test_one_object_is_read_as_a_list_of_one() -> None:
    assert delta({"type": "text", "text": {"value": "hi"}}).text == "hi"
    assert message(content=TEXT).text == "hi"
    assert run(tools=FUNCTION).tools == run(tools=[FUNCTION]).tools


def test_bare_text_is_read_as_the_text_part_it_stands_for() -> None:
    assert delta("hi").text == "hi"
    assert delta(["a", "b"]).text == "ab"
    assert delta([{"index": 0, "type": "text", "text": "hi"}]).text == "hi"
    assert message(content="hi").text == "hi"
    assert message(content=[{"type": "text", "text": "hi"}]).text == "hi"


@pytest.mark.parametrize("index", [{}, {"index": None}], ids=["missing", "null"])
def test_a_fragment_without_an_index_takes_its_place(index: dict[str, object]) -> None:
    parts = delta([{"type": "text", "text": {"value": text}, **index} for text in "ab"]).delta.content
    assert [part.index for part in parts if isinstance(part, TextDeltaBlock)] == [0, 1]
    call = {"type": "function", "function": {"arguments": "{}"}, **index}
    payload: dict[str, object] = {
        "id": "step_1",
        "delta": {"step_details": {"type": "tool_calls", "tool_calls": [call]}},
    }
    details = typed(ThreadRunStepDelta, "thread.run.step.delta", payload).data.delta.step_details
    assert isinstance(details, ToolCallsDeltaObject)
    assert not isinstance(details.tool_calls[0], UnknownPart)


def test_open_json_in_a_list_gets_no_index() -> None:
    class Kept(msgspec.Struct):
        steps: tuple[dict[str, object], ...] = ()

    assert repair(b'{"steps": [{"result": "a"}, {"index": 7}]}', Kept).steps == ({"result": "a"}, {"index": 7})


def test_an_index_that_is_there_stays() -> None:
    parts = delta([{"index": 7, "type": "text", "text": "a"}, {"type": "text", "text": "b"}]).delta.content
    assert [part.index for part in parts if isinstance(part, TextDeltaBlock)] == [7, 1]


def test_numbers_and_text_stand_for_each_other() -> None:
    found = run(model=4, max_prompt_tokens="300", temperature="0.5", thread_id=17, max_completion_tokens=400.0, top_p=1)
    assert (found.model, found.max_prompt_tokens, found.temperature, found.thread_id) == ("4", 300, 0.5, "17")
    assert (found.max_completion_tokens, found.top_p) == (400, 1.0)


@pytest.mark.parametrize("fields", [
    {"model": True}, {"max_prompt_tokens": 1.5}, {"max_prompt_tokens": "many"}, {"max_prompt_tokens": True},
    {"temperature": "hot"}, {"temperature": False}, {"parallel_tool_calls": "yes"}, {"parallel_tool_calls": 1},
    {"usage": []}, {"usage": "x"}, {"metadata": "x"}, {"tools": 5}, {"tools": "x"}, {"status": {}}, {"thread_id": []},
    {"truncation_strategy": "auto"}, {"id": {}}, {"id": None}, {"last_error": "x"},
])  # fmt: skip
def test_a_value_that_cannot_be_read_makes_the_event_unknown_and_keeps_all(fields: dict[str, object]) -> None:
    payload: dict[str, object] = {"id": "run_1", "status": "queued", **fields}
    assert typed(UnknownEvent, "thread.run.created", payload).json() == payload


def test_metadata_that_is_not_text_is_kept_as_json_text() -> None:
    found = run(metadata={"a": "b", "n": 5, "deep": {"x": [1]}})
    assert found.metadata == {"a": "b", "n": "5", "deep": '{"x": [1]}'}
    assert run(metadata={"a": None, "b": "c"}).metadata == {"b": "c"}


# -- broken text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("escape", "read"), [
    (rb"\ud83c", "\ufffd"), (rb"a\udf0ab", "a\ufffdb"), (rb"\ud83c\udf0a", "\U0001f30a"), (rb"\ud83c\ud83c\udf0a", "\ufffd\U0001f30a"),
])  # fmt: skip
def test_half_of_a_surrogate_pair_is_replaced(escape: bytes, read: str) -> None:
    found = typed(ThreadRunCreated, "thread.run.created", b'{"id":"run_1","model":"%b"}' % escape)
    assert found.data.model == read
    (part,) = typed(
        ThreadRunCreated, "thread.run.created", b'{"id":"r","tools":[{"type":"x","%b":["%b"]}]}' % (escape, escape)
    ).data.tools
    assert isinstance(part, UnknownPart)
    assert part[read] == [read]
    msgspec.json.encode(found)


@pytest.mark.parametrize(
    "where", [b'{"id":"run_1","model":"a\xffb"}', b'{"id":"run_1","created_at":1.5,"model":"a\xe2\x82b"}']
)
def test_bytes_that_are_no_utf8_are_replaced(where: bytes) -> None:
    assert typed(ThreadRunCreated, "thread.run.created", where).data.model == "a\ufffdb"


def test_bytes_that_are_no_utf8_in_an_event_nobody_knows_are_replaced() -> None:
    assert typed(UnknownEvent, "thread.run.paused", b'{"a":"\xff"}').json() == {"a": "\ufffd"}


@pytest.mark.parametrize(
    "payload",
    [b"", b" ", b"{", b"{'a':1}", b'{"a":1}}', b"NaN", b"[Infinity]", b'{"a":NaN}', b"\xef\xbb\xbf{}", b'"a\nb"'],
)
def test_what_is_no_json_is_said_to_be_none(payload: bytes) -> None:
    with pytest.raises(NotJSONError):
        parse(payload)
    with pytest.raises(NotJSONError):
        repair(payload, Run)


def test_repair_builds_what_the_fast_decoder_reads() -> None:
    payload: dict[str, object] = {
        "id": "run_1",
        "tools": [FUNCTION],
        "metadata": {"a": "b"},
        "usage": {"total_tokens": 3},
    }
    wire = json.dumps(payload).encode()
    assert repair(wire, Run) == build(payload, Run) == msgspec.json.decode(wire, type=Run)


def test_what_cannot_be_built_says_so() -> None:
    with pytest.raises(UnbuildableError):
        build([], Run)


def test_all_servers_at_once() -> None:
    """Fractional time, number for text, an unknown resource, and nulls, in one thread."""
    payload: dict[str, object] = {
        "id": 9,
        "created_at": 1710330640123.5,
        "tool_resources": {"later": {}},
        "metadata": None,
        "object": None,
    }
    found = typed(ThreadCreated, "thread.created", payload).data
    assert (found.id, found.created_at, found.metadata, found.object) == ("9", 1710330640, None, "thread")


def test_a_file_search_that_came_without_its_object_has_an_empty_one() -> None:
    calls = [{"index": 0, "type": "file_search", "id": "call_1"}]
    payload: dict[str, object] = {
        "id": "step_1",
        "delta": {"step_details": {"type": "tool_calls", "tool_calls": calls}},
    }
    details = typed(ThreadRunStepDelta, "thread.run.step.delta", payload).data.delta.step_details
    assert isinstance(details, ToolCallsDeltaObject)
    (call,) = details.tool_calls
    assert isinstance(call, FileSearchToolCallDelta)
    assert call.file_search == {}


def test_a_kind_of_field_without_a_builder_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no builder for"):
        build("x", bytes)
