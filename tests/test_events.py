"""The event classes: names, shape, encoding; and the published transcripts and schemas, each field of them."""

import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import cast, get_args

import msgspec
import pytest
from msgspec import inspect as types

from aiorunstream import events, models
from aiorunstream.decode import Decoded, decode, run_facts
from aiorunstream.events import (
    EVENT_CLASSES,
    REGISTRY,
    AssistantStreamEvent,
    RunEvent,
    ThreadCreated,
    ThreadMessageDelta,
    ThreadRunCompleted,
    UnknownEvent,
)
from aiorunstream.models import (
    ErrorObject,
    FileCitationDeltaAnnotation,
    MessageDelta,
    MessageDeltaEvent,
    Run,
    RunStep,
    TextDelta,
    TextDeltaBlock,
    UnknownPart,
)
from aiorunstream.models import Thread as ThreadObject
from aiorunstream.protocol import RunProtocol

WIRE_NAMES = [
    "thread.created",
    *(f"thread.run.{end}" for end in (
        "created", "queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelling",
        "cancelled", "expired",
    )),
    *(f"thread.run.step.{end}" for end in ("created", "in_progress", "delta", "completed", "failed", "cancelled", "expired")),
    *(f"thread.message.{end}" for end in ("created", "in_progress", "delta", "completed", "incomplete")),
    "error",
]  # fmt: skip


def structs_of(module: ModuleType) -> list[type[msgspec.Struct]]:
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, msgspec.Struct)]
    return [kind for kind in found if kind.__module__.startswith("aiorunstream.")]


STRUCTS = sorted({*structs_of(events), *structs_of(models)}, key=lambda kind: kind.__qualname__)


# -- names and shape ---------------------------------------------------------------------------------------------------


def test_there_are_24_events_and_each_class_is_named_as_on_the_wire() -> None:
    assert [cls.event for cls in EVENT_CLASSES] == WIRE_NAMES == list(REGISTRY)
    for cls in EVENT_CLASSES:
        words = cls.event.replace(".", "_").split("_")
        derived = "".join(word.capitalize() for word in words)
        assert cls.__name__ == ("ErrorEvent" if cls.event == "error" else derived)
        assert getattr(events, cls.__name__) is cls
        assert cls.__struct_config__.tag == cls.event
        assert cls.__doc__


def test_the_unions_name_all_of_them() -> None:
    assert get_args(AssistantStreamEvent) == EVENT_CLASSES
    assert set(get_args(RunEvent)) == {*EVENT_CLASSES, UnknownEvent}


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: cast(type, kind).__name__)
def test_every_struct_is_frozen_and_invisible_to_the_collector(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.gc is False


def _kinds_in(kind: types.Type) -> list[types.Type]:
    inside: list[types.Type] = [kind]
    for name in ("types", "item_type", "item_types", "key_type", "value_type"):
        found: object = getattr(kind, name, ())
        for inner in cast("tuple[types.Type, ...]", found if isinstance(found, tuple) else (found,)):
            if not isinstance(inner, types.StructType):
                inside += _kinds_in(inner)
    return inside


@pytest.mark.parametrize("kind", structs_of(models), ids=lambda kind: cast(type, kind).__name__)
def test_no_model_has_a_list(kind: type[msgspec.Struct]) -> None:
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    for field in info.fields:
        assert not any(isinstance(inner, types.ListType | types.SetType) for inner in _kinds_in(field.type)), field.name


def test_data_is_first_and_events_are_matched_by_place_and_by_name() -> None:
    delta = MessageDeltaEvent("msg_1", delta=MessageDelta(content=(TextDeltaBlock(0, TextDelta("hi")),)))
    event: RunEvent = ThreadMessageDelta(delta)
    match event:
        case ThreadMessageDelta(by_place):
            assert by_place is delta
        case _:
            pytest.fail("not matched")
    match event:
        case ThreadMessageDelta(data=by_name, synthesized=False):
            assert by_name.text == "hi"
        case _:
            pytest.fail("not matched")
    assert all(cls.__struct_fields__[:2] == ("data", "synthesized") for cls in EVENT_CLASSES)


# -- encoding ----------------------------------------------------------------------------------------------------------

SAMPLES: dict[type[object], dict[str, object]] = {
    ThreadObject: {"id": "thread_1", "created_at": 5, "metadata": {"a": "b"}},
    Run: {
        "id": "run_1",
        "status": "queued",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "auto",
    },
    RunStep: {"id": "step_1", "step_details": {"type": "tool_calls", "tool_calls": []}, "usage": {"total_tokens": 3}},
    models.Message: {"id": "msg_1", "content": [{"type": "text", "text": {"value": "v", "annotations": []}}]},
    MessageDeltaEvent: {"id": "msg_1", "delta": {"content": [{"index": 1, "type": "refusal", "refusal": "no"}]}},
    models.RunStepDeltaEvent: {"id": "step_1", "delta": {"step_details": {"type": "message_creation"}}},
    ErrorObject: {"message": "m", "code": "c"},
}


def sample(name: str) -> RunEvent:
    event = decode(name, json.dumps(SAMPLES[REGISTRY[name].payload]).encode()).event
    assert event is not None
    return event


@pytest.mark.parametrize("name", WIRE_NAMES)
def test_an_event_encodes_as_its_name_and_data_and_decodes_to_itself(name: str) -> None:
    event = sample(name)
    encoded = msgspec.json.encode(event)
    assert set(msgspec.json.decode(encoded)) == {"event", "data"}
    assert msgspec.json.decode(encoded)["event"] == name == event.event
    assert msgspec.json.decode(encoded, type=AssistantStreamEvent) == event
    assert msgspec.json.decode(encoded, type=type(event)) == event


def test_an_event_that_was_made_up_says_so_also_encoded() -> None:
    event = ThreadRunCompleted(Run(id="run_1"), synthesized=True)
    assert msgspec.json.decode(msgspec.json.encode(event), type=AssistantStreamEvent) == event
    assert event != ThreadRunCompleted(Run(id="run_1"))


@pytest.mark.parametrize("payload", [b'{"a": [1, 2.50]}', b"[]", b'"\xc3\xa9"', b"1e400", b"null", b'{"a":"\\ud800"}'])
def test_an_unknown_event_keeps_its_payload_byte_for_byte(payload: bytes) -> None:
    found = decode("thread.run.thought", payload)
    assert found.wire == payload
    assert isinstance(found.event, UnknownEvent)
    encoded = msgspec.json.encode(found.event)
    assert encoded == b'{"event":"thread.run.thought","data":' + payload + b"}"
    if b"\\ud800" not in payload:  # msgspec reads no half pairs; json() does
        assert msgspec.json.decode(encoded, type=UnknownEvent) == found.event
    found.event.json()


def test_text_that_is_no_json_is_kept_as_json_text() -> None:
    event = decode("thread.run.thought", b'say "hi" \xff').event
    assert isinstance(event, UnknownEvent)
    assert event.json() == msgspec.json.decode(msgspec.json.encode(event))["data"] == 'say "hi" \ufffd'


@pytest.mark.parametrize(("payload", "facts"), [
    ('{"id":"run_1","status":"failed"}', ("run_1", "failed")), ('{"id":7,"status":[]}', (None, None)), ("[]", (None, None)),
])  # fmt: skip
def test_a_run_that_cannot_be_typed_is_still_asked_for_its_id_and_status(
    payload: str, facts: tuple[object, object]
) -> None:
    assert run_facts(UnknownEvent("thread.run.failed", msgspec.Raw(payload))) == facts


def test_the_text_of_messages_and_deltas_is_their_text_parts_joined() -> None:
    content = [
        {"type": "text", "text": {"value": "a"}}, {"type": "image_file", "image_file": {"file_id": "f"}},
        {"type": "later", "text": "no"}, {"type": "text", "text": {"value": "b"}},
    ]  # fmt: skip
    message = decode("thread.message.completed", json.dumps({"id": "m", "content": content}).encode()).event
    assert isinstance(message, events.ThreadMessageCompleted)
    assert message.data.text == "ab"
    parts: list[dict[str, object]] = [
        {"index": 0, "type": "text", "text": {}},
        {"index": 1, "type": "text"},
        {"index": 2, "type": "text", "text": {"value": "c"}},
    ]
    delta = decode("thread.message.delta", json.dumps({"id": "m", "delta": {"content": parts}}).encode()).event
    assert isinstance(delta, ThreadMessageDelta)
    assert delta.data.text == "c"
    assert ThreadMessageDelta(MessageDeltaEvent("m")).data.text == ""


@pytest.mark.parametrize(("status", "is_terminal"), [
    ("completed", True), ("incomplete", True), ("failed", True), ("cancelled", True), ("expired", True),
    ("requires_action", False), ("queued", False), ("in_progress", False), ("cancelling", False), ("later", False), (None, False),
])  # fmt: skip
def test_a_run_knows_whether_it_has_ended_for_good(status: str | None, *, is_terminal: bool) -> None:
    assert Run(id="run_1", status=status).is_terminal is is_terminal


def test_the_calls_a_run_waits_for_are_at_hand() -> None:
    call = {"type": "function", "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    run = msgspec.json.decode(json.dumps({"id": "run_1", "required_action": action}), type=Run)
    assert [call.id for call in run.tool_calls if not isinstance(call, UnknownPart)] == ["call_1"]
    assert Run(id="run_1").tool_calls == ()


def test_a_thread_event_with_its_stray_field_encodes_it() -> None:
    event = ThreadCreated(ThreadObject(id="thread_1"), enabled=True)
    assert msgspec.json.decode(msgspec.json.encode(event), type=AssistantStreamEvent) == event


# -- the published material --------------------------------------------------------------------------------------------


def holds_unknown(value: object) -> bool:
    if isinstance(value, UnknownPart | UnknownEvent):
        return True
    if isinstance(value, msgspec.Struct):
        return any(holds_unknown(getattr(value, name)) for name in value.__struct_fields__)
    return isinstance(value, tuple) and any(holds_unknown(item) for item in cast("tuple[object, ...]", value))


TRANSCRIPTS = ["run", "run-functions", "submit-tool-outputs", "thread-and-run", "thread-and-run-functions"]


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_published_transcript_decodes_fully_typed(shared: Path, name: str) -> None:
    wire = (shared / "wire" / "transcripts" / "repaired" / f"{name}.sse").read_bytes()
    sent = [block for block in wire.split(b"\n\n") if b"event: " in block and b"event: done" not in block]
    protocol, whole = RunProtocol(), RunProtocol()
    protocol.receive_data(wire)
    whole.receive_data(wire)
    seen = 0
    for block, frame in zip(sent, iter(whole.next_frame, None), strict=True):
        event = protocol.next_event()
        assert isinstance(event, EVENT_CLASSES)
        assert not holds_unknown(event)
        assert frame is not None
        assert block.endswith(b"event: %b\ndata: %b" % (frame.event.encode(), frame.data))
        _compare(json.loads(frame.data), event.data)
        seen += 1
    assert seen == len(sent) > 10
    assert protocol.outcome in ("completed", "requires_action")


LEFT_OVERS = {"file_ids"}  # of an older version of the protocol, seen in one example


def _compare(sent: object, typed: object) -> None:
    """Every value that was sent is in the Struct."""
    if isinstance(typed, msgspec.Struct) and isinstance(sent, dict):
        for key, value in cast("dict[str, object]", sent).items():
            if key not in LEFT_OVERS and value is not None:
                _compare(value, getattr(typed, key))
    elif isinstance(typed, tuple) and isinstance(sent, list):
        for value, part in zip(cast("list[object]", sent), cast("tuple[object, ...]", typed), strict=True):
            _compare(value, part)
    else:
        assert typed == sent


def test_a_delta_carries_its_annotations() -> None:
    text = {"annotations": [{"index": 0, "type": "file_citation", "text": "[1]", "file_citation": {"file_id": "f"}}]}
    payload = {"id": "m", "delta": {"content": [{"index": 0, "type": "text", "text": text}]}}
    event = decode("thread.message.delta", json.dumps(payload).encode())
    assert isinstance(event, Decoded)
    assert isinstance(event.event, ThreadMessageDelta)
    (part,) = event.event.data.delta.content
    assert isinstance(part, TextDeltaBlock)
    assert part.text is not None
    assert isinstance(part.text.annotations[0], FileCitationDeltaAnnotation)
