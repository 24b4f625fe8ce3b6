"""What is left of contents that were told in part: each text, call and unknown part goes on where it broke off."""

from typing import Any

import msgspec
import pytest
from test_missing_events import answer, calling, owed, writing
from test_snapshot import calls, details, folded, function, says

from aiorunstream.events import (
    RunEvent,
    ThreadMessageDelta,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
)
from aiorunstream.models import (
    FileCitation,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    FileSearch,
    FileSearchResult,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionCall,
    FunctionToolCall,
    ImageFile,
    ImageFileContentBlock,
    Message,
    RefusalContentBlock,
    RefusalDeltaBlock,
    RunStep,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.snapshot import RunSnapshot


def deltas(*had: RunEvent, of: Message | RunStep) -> list[Any]:
    """The JSON of the deltas that are missing of an object."""
    events = owed(folded(*had), of)
    found = [e.data.delta for e in events if isinstance(e, (ThreadMessageDelta, ThreadRunStepDelta))]
    return [msgspec.json.decode(msgspec.json.encode(delta)) for delta in found]


def part_deltas(*had: RunEvent, of: Message) -> list[object]:
    return [part for delta in deltas(*had, of=of) for part in delta["content"]]


def call_deltas(*had: RunEvent, of: RunStep) -> list[object]:
    return [call for delta in deltas(*had, of=of) for call in delta["step_details"]["tool_calls"]]


def test_text_goes_on_where_it_broke_off() -> None:
    rest = part_deltas(says("Hel"), of=answer("Hello", "you"))
    assert rest == [
        {"type": "text", "index": 0, "text": {"value": "lo"}},
        {"type": "text", "index": 1, "text": {"value": "you"}},
    ]
    assert part_deltas(says("Hello"), of=answer("Hello")) == []


def test_text_that_was_altered_is_not_told_and_what_follows_it_is() -> None:
    assert part_deltas(says("Hullo"), of=answer("Hello", "you")) == [
        {"type": "text", "index": 1, "text": {"value": "you"}}
    ]
    snapshot = folded(says("Hullo"))
    owed(snapshot, answer("Hello", "you"))
    assert snapshot.text == "Helloyou"


def test_a_part_of_another_type_than_was_told_is_not_told() -> None:
    assert part_deltas(says("a"), of=answer(ImageFileContentBlock(ImageFile("f")))) == []


def test_text_at_a_gap_is_found_where_it_stands_in_the_end() -> None:
    told = says(TextDeltaBlock(5, TextDelta("sec")))
    assert part_deltas(told, of=answer("first", "second", "third")) == [
        {"type": "text", "index": 0, "text": {"value": "first"}},
        {"type": "text", "index": 5, "text": {"value": "ond"}},
        {"type": "text", "index": 2, "text": {"value": "third"}},
    ]


def test_annotations_come_that_were_not_told() -> None:
    notes = tuple(FileCitationAnnotation(mark, FileCitation("f"), 1, 2) for mark in ("[1]", "[2]", "[3]"))
    told = says(
        TextDeltaBlock(
            0,
            TextDelta(
                "a", (FileCitationDeltaAnnotation(0, "[1", None, 1), FileCitationDeltaAnnotation(1, "altered", None, 1))
            ),
        )
    )
    assert part_deltas(told, of=answer(TextContentBlock(Text("ab", notes)))) == [
        {
            "type": "text",
            "index": 0,
            "text": {
                "value": "b",
                "annotations": [
                    {
                        "type": "file_citation",
                        "index": 0,
                        "text": "]",
                        "file_citation": {"file_id": "f"},
                        "end_index": 2,
                    },
                    {
                        "type": "file_citation",
                        "index": 2,
                        "text": "[3]",
                        "file_citation": {"file_id": "f"},
                        "start_index": 1,
                        "end_index": 2,
                    },
                ],
            },
        }
    ]


def test_arguments_and_outputs_go_on_where_they_broke_off() -> None:
    step = calling(
        FunctionToolCall("a", FunctionCall("f", "{}", "out")), FunctionToolCall("b", FunctionCall("g", "[]"))
    )
    assert call_deltas(calls(function(0, "{", "a", "f")), of=step) == [
        {"type": "function", "index": 0, "function": {"arguments": "}", "output": "out"}},
        {"type": "function", "index": 1, "id": "b", "function": {"name": "g", "arguments": "[]"}},
    ]
    altered = calls(function(0, "x", "a", "f"))
    assert call_deltas(altered, calls(function(1, "[]", "b", "g")), of=step) == []


def test_calls_that_are_all_numbered_0_go_on_by_their_ids() -> None:
    step = calling(*(FunctionToolCall(id, FunctionCall("f", "{}")) for id in "abc"), status="in_progress")
    told = [calls(function(0, "{", id, "f")) for id in "ab"]
    assert call_deltas(*told, of=step) == [
        {"type": "function", "index": 0, "id": "a", "function": {"arguments": "}"}},
        {"type": "function", "index": 0, "function": {"arguments": "}"}},
        {"type": "function", "index": 2, "id": "c", "function": {"name": "f", "arguments": "{}"}},
    ]
    altered = [calls(function(0, "{", "a", "f")), calls(function(0, "x", "b", "f"))]
    assert len(call_deltas(*altered, of=step)) == 2
    unnamed = [calls(function(0, "{", "z", "f"))]
    assert len(call_deltas(*unnamed, of=step)) == 2, "a call of an id that is in no final call is none of them"


def test_what_a_file_search_found_is_not_told_where_something_else_was_told_for_it() -> None:
    step = calling(FileSearchToolCall("s", FileSearch(results=(FileSearchResult("file_1"),))))
    begun = ThreadRunStepCreated(
        RunStep("s", step_details=ToolCallsStepDetails((FileSearchToolCall("s", FileSearch(results=())),)))
    )
    assert call_deltas(begun, calls(FileSearchToolCallDelta(0, {"results": [7]})), of=step) == []


def test_unknown_parts_go_on_by_the_same_rules() -> None:
    final = UnknownPart(
        {"type": "video", "n": 2, "caption": "Hello", "tags": ["a", {"b": 1}], "more": {"x": [{"y": 1}]}}
    )
    told = UnknownPart({"type": "video", "index": 0, "n": 1, "caption": "Hel", "tags": ["a"]})
    assert part_deltas(says(told), of=answer(final)) == [
        {"type": "video", "index": 0, "n": 2, "caption": "lo", "tags": [{"b": 1}], "more": {"x": [{"y": 1}]}}
    ]
    untyped = UnknownPart({"a": "b"})
    assert part_deltas(of=answer(untyped)) == [{"index": 0, "a": "b"}]
    snapshot = folded(says(told))
    message = answer(final, status="in_progress")
    owed(snapshot, message)
    assert snapshot.message("m") == Message("m", content=(final,))


@pytest.mark.parametrize(
    ("told", "final"),
    [("a", 7), ("a", {"b": 1}), ([1], 7), ([1], [2]), ([1, 2], [1]), ({"a": 1}, 7), ({"a": "x"}, {"a": "y"})],
)
def test_json_that_was_altered_is_not_told(told: object, final: object) -> None:
    part = UnknownPart({"type": "video", "index": 0, "x": told})
    assert part_deltas(says(part), of=answer(UnknownPart({"type": "video", "x": final}))) == []


def test_a_number_is_told_again_as_what_it_has_become() -> None:
    part = UnknownPart({"type": "video", "index": 0, "x": 1, "y": 1})
    assert part_deltas(says(part), of=answer(UnknownPart({"type": "video", "x": {"a": 1}, "y": None}))) == [
        {"type": "video", "index": 0, "x": {"a": 1}}
    ]


def test_details_of_other_types_go_on_too() -> None:
    thinking = UnknownPart({"type": "thinking", "text": "abc"})
    step = RunStep("s", status="completed", step_details=thinking)
    told = details(UnknownPart({"type": "thinking", "text": "ab"}))
    assert deltas(told, of=step) == [{"step_details": {"type": "thinking", "text": "c"}}]
    assert deltas(of=step) == [], "they came with the step's beginning"
    assert deltas(details(UnknownPart({"type": "thinking", "text": "x"})), of=step) == []
    assert deltas(calls(function(0, "x", "c")), of=step) == [], "of another type than was told"
    assert deltas(details(None), of=msgspec.structs.replace(writing("m"), id="s")) == [
        {"step_details": {"type": "message_creation", "message_creation": {"message_id": "m"}}}
    ]
    assert deltas(of=RunStep("s", status="completed")) == []
    untyped = RunStep("s", status="completed", step_details=UnknownPart({"a": "b"}))
    assert deltas(details(None), of=untyped) == [{"step_details": {"a": "b"}}]


def test_two_parts_told_at_one_place_go_on_by_their_types() -> None:
    told = [says("a"), says(RefusalDeltaBlock(0, "b"))]
    assert part_deltas(*told, of=answer("aA", RefusalContentBlock("bB"))) == [
        {"type": "text", "index": 0, "text": {"value": "A"}},
        {"type": "refusal", "index": 0, "refusal": "B"},
    ]


def test_a_broken_part_of_a_known_type_stays_as_broken_as_the_server_has_it() -> None:
    snapshot = RunSnapshot()
    owed(snapshot, answer(UnknownPart({"type": "text"}), status="in_progress"))
    assert snapshot.messages[0].content == (UnknownPart({"type": "text"}),)
