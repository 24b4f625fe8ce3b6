"""Callbacks of events that a snapshot is past already: it may be kept by somebody who reads ahead."""

from test_snapshot import calls, function, says

from aiorunstream import AssistantEventHandler
from aiorunstream.events import RunEvent, ThreadMessageCompleted, ThreadRunStepCompleted
from aiorunstream.handler import Callbacks
from aiorunstream.models import Message, RunStep, Text, TextDelta, ToolCall
from aiorunstream.snapshot import RunSnapshot


class Parts(AssistantEventHandler):
    """Writes down which parts it is told of."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        self.told.append(delta.value)

    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        self.told.append(getattr(tool_call, "id", None))


def told_of(event: RunEvent, *later: RunEvent) -> list[object]:
    """The parts told of, where the snapshot has taken in others behind the event."""
    snapshot, handler = RunSnapshot(), Parts()
    for one in (event, *later):
        snapshot.add(one)
    for call in Callbacks(handler, snapshot).of(event):
        call()
    return handler.told


def test_of_a_message_that_is_over_in_the_snapshot_no_part_is_told() -> None:
    assert told_of(says("word ", id="m")) == ["word "]
    assert told_of(says("word ", id="m"), ThreadMessageCompleted(Message("m"))) == []


def test_of_a_step_that_is_over_in_the_snapshot_no_call_is_told() -> None:
    assert told_of(calls(function(0, "{}", "call"))) == ["call"]
    assert told_of(calls(function(0, "{}", "call")), ThreadRunStepCompleted(RunStep("s"))) == []
