"""What astra-assistants-api writes: objects without names before them, no ends, and milliseconds."""

from typing import cast

import msgspec

from ..models import (
    JSONObject,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDeltaEvent,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    Usage,
)
from ..sse import encode
from ._spelling import Spelling, objects_in, plain

_IN_MILLISECONDS = frozenset({"thread", "thread.run", "thread.message"})
_ENDS = frozenset({"completed", "incomplete", "failed", "cancelled", "cancelling", "expired", "error"})


class AstraSpelling(Spelling):
    """The events of one stream.

    Args:
        goes_on: it is the stream in which a run goes on with its tool outputs; there every delta has an index of its own.
    """

    def __init__(self, *, goes_on: bool) -> None:
        self._goes_on = goes_on
        self._deltas = 0
        self._run: Run | None = None
        self._calling: str | None = None  # the step that calls functions

    def event(self, name: str, data: object, spent: Usage | None) -> bytes:
        del spent
        if isinstance(data, Run):
            self._run = data
        if name.rpartition(".")[2] in _ENDS:
            return b""
        if isinstance(data, RunStep) and isinstance(data.step_details, ToolCallsStepDetails):
            self._calling = data.id
            if name == "thread.run.step.in_progress":
                return _frame("thread.run.in_progress", in_milliseconds(self._run))
        if isinstance(data, RunStepDeltaEvent):
            return self._of_step(data)
        if isinstance(data, MessageDeltaEvent):
            return _frame(name, self._of_message(data))
        if isinstance(data, Run) and name == "thread.run.requires_action":
            return self._calls(data) + _frame(name, in_milliseconds(data))
        return _frame(name, in_milliseconds(data))

    def end(self) -> bytes:
        return b""

    def _of_step(self, data: RunStepDeltaEvent) -> bytes:
        """Calls of functions are told at once when they are whole; of a file search it is said that it is none."""
        details = data.delta.step_details
        if not isinstance(details, ToolCallsDeltaObject) or details.tool_calls[0].type != "file_search":
            return b""
        return _frame("thread.run.step.delta", _step_delta(data.id, None))

    def _of_message(self, data: MessageDeltaEvent) -> JSONObject:
        payload = plain(data)
        for part in cast("list[JSONObject]", cast("JSONObject", payload["delta"])["content"]):
            if self._goes_on:
                part["index"] = self._deltas
            if isinstance(text := part.get("text"), dict):
                cast("JSONObject", text).pop("annotations", None)
        self._deltas += 1
        return payload

    def _calls(self, run: Run) -> bytes:
        assert self._calling is not None, "a run waits for the calls of a step"
        calls = [{"index": index, **plain(call)} for index, call in enumerate(run.tool_calls)]
        return _frame("thread.run.step.delta", _step_delta(self._calling, calls))


def in_milliseconds(value: object) -> object:
    """An object as plain JSON; threads, messages and runs say in milliseconds when they were made."""
    found = plain(value)
    for item in objects_in(found):
        if item.get("object") in _IN_MILLISECONDS and isinstance(made := item.get("created_at"), int):
            item["created_at"] = made * 1000
    return found


def _step_delta(step_id: str, calls: object) -> JSONObject:
    details = {"type": "tool_calls", "tool_calls": calls}
    return {"id": step_id, "object": "thread.run.step.delta", "delta": {"step_details": details}}


def _frame(name: str, payload: object) -> bytes:
    return encode(msgspec.json.encode({"event": name, "data": payload}))
