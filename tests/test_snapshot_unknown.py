"""Parts nobody knows: how a snapshot merges their JSON."""

import pytest
from test_snapshot import calls, content, details, folded, function, says, step_details, text, tool_calls

from aiorunstream.events import (
    ThreadMessageDelta,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
)
from aiorunstream.models import (
    FunctionCall,
    FunctionToolCall,
    MessageContent,
    RunStep,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.snapshot import RunSnapshot


def unknown(**fields: object) -> ThreadMessageDelta:
    return says(UnknownPart({"type": "video", "index": 0, **fields}))


def merged(*events: ThreadMessageDelta) -> UnknownPart:
    (part,) = content(*events)
    assert isinstance(part, UnknownPart)
    return part


def test_unknown_json_is_merged_by_the_same_rules() -> None:
    part = merged(
        unknown(
            id="a",
            caption="He",
            n=1,
            on=True,
            frames=[{"index": 1, "t": "b"}],
            list=[1, {"x": "y"}],
            gone=None,
            url="u",
        ),
        unknown(id="a", caption="llo", n=2, on=False, frames=[{"index": 0, "t": "a"}, {"index": 1, "t": "B"}], url="u"),
        unknown(caption=None, list=["z", {"x": "y"}, [1]], url="", file_id="f", inner={"text": "t"}),
        unknown(inner={"text": "T", "deep": {"n": 0}}),
    )
    assert part == {
        "type": "video",
        "id": "a",
        "caption": "Hello",
        "n": 2,
        "on": False,
        "frames": [{"index": 0, "t": "a"}, {"index": 1, "t": "bB"}],
        "list": [1, {"x": "y"}, "z", {"x": "y"}, [1]],
        "gone": None,
        "url": "u",
        "file_id": "f",
        "inner": {"text": "tT", "deep": {"n": 0}},
    }


@pytest.mark.parametrize("grown", ["text", {"a": "b"}, [1]])
@pytest.mark.parametrize("other", ["text", {"c": 1}, [2], 7, True])
def test_what_has_grown_gives_way_to_nothing_of_another_shape(grown: object, other: object) -> None:
    part = merged(unknown(x=grown), unknown(x=other))
    if isinstance(grown, str) and isinstance(other, str):
        assert part["x"] == "texttext"
    elif isinstance(grown, dict) and isinstance(other, dict):
        assert part["x"] == {"a": "b", "c": 1}
    elif isinstance(grown, list) and isinstance(other, list):
        assert part["x"] == [1, 2]
    else:
        assert part["x"] == grown


def test_a_number_gives_way_to_anything() -> None:
    for other in ("text", {"c": 1}, [2], False):
        assert merged(unknown(x=1), unknown(x=other))["x"] == other


def test_what_is_merged_is_shared_with_nobody() -> None:
    snapshot = folded(unknown(frames=[{"a": "b"}]))
    message = snapshot.message("m")
    assert message is not None
    (first,) = message.content
    assert isinstance(first, UnknownPart)
    first["frames"] = "spoilt"
    snapshot.add(unknown(frames=[2]))
    (second,) = content_of(snapshot)
    assert second == {"type": "video", "frames": [{"a": "b"}, 2]}


def content_of(snapshot: RunSnapshot) -> tuple[MessageContent, ...]:
    (message,) = snapshot.messages
    return message.content


def test_a_broken_part_of_a_known_type_stands_beside_the_sound_one() -> None:
    broken = UnknownPart({"type": "text", "index": 0, "text": 17})
    parts = content(says("a"), says(broken), says("b"))
    assert parts == (text("ab"), UnknownPart({"type": "text", "text": 17}))


def test_unknown_parts_without_an_index_stand_by_their_place() -> None:
    parts = content(says(UnknownPart({"type": "x"}), UnknownPart({"type": "y", "index": True})))
    assert parts == (UnknownPart({"type": "x"}), UnknownPart({"type": "y", "index": True}))


def test_unknown_calls_are_told_apart_too() -> None:
    def call(**fields: object) -> ThreadRunStepDelta:
        return calls(UnknownPart({"type": "mcp", "index": 0, **fields}))

    found = tool_calls(
        call(id="a", log="1"), call(id="b", log="2"), call(log="3"), calls(UnknownPart({"index": 0, "log": "4"}))
    )
    assert found == ({"type": "mcp", "id": "a", "log": "1"}, {"type": "mcp", "id": "b", "log": "234"})


def test_the_type_of_a_step_is_the_one_that_came_first() -> None:
    thinking = details(UnknownPart({"type": "thinking", "thoughts": "a"}))
    untyped = details(UnknownPart({"thoughts": "b"}))
    events = (thinking, untyped, calls(function(0, "x")))
    assert step_details(*events) == UnknownPart({"type": "thinking", "thoughts": "ab"})
    assert step_details(calls(function(0, "x", "a")), *events) == ToolCallsStepDetails(
        (FunctionToolCall("a", FunctionCall("", "xx")),)
    )
    empty = ThreadRunStepCreated(RunStep("s", step_details=UnknownPart()))
    assert step_details(empty, calls(function(0, "x", "a"))) == ToolCallsStepDetails(
        (FunctionToolCall("a", FunctionCall("", "x")),)
    )
