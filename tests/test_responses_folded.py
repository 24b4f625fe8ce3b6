"""Events that say again what others have said: they count where those others did not come."""

import msgspec
import pytest
from bridged import JSON, Bridge, check_legal, text_of
from response_events import CREATED, added, called, calls, ended

from aiorunstream.models import CodeInterpreterToolCall, FunctionToolCall

AT: JSON = {"output_index": 0, "content_index": 0, "item_id": "x_1"}
MESSAGE: JSON = {"type": "message", "id": "x_1", "role": "assistant", "content": []}
SHOUT: JSON = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_1", "name": "shout", "input": ""}
CODE: JSON = {"type": "code_interpreter_call", "id": "ci_1", "code": "", "outputs": None}
ARGUMENTS = '{"a": 1}'


def heard(item: JSON, event: JSON) -> tuple[Bridge, str]:
    """A bridge that has heard of an item by that event alone, and the text that it has told."""
    bridge = Bridge()
    seen = bridge.hear(CREATED, added(0, **item), {**AT, **event}, ended())
    check_legal(seen)
    return bridge, text_of(seen)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.done", "text": "Hello"},
        {"type": "response.content_part.done", "part": {"type": "output_text", "text": "Hello", "annotations": []}},
    ],
)
def test_a_text_that_only_a_folded_event_tells_is_told(event: JSON) -> None:
    assert heard(MESSAGE, event)[1] == "Hello"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.refusal.done", "refusal": "No."},
        {"type": "response.content_part.done", "part": {"type": "refusal", "refusal": "No."}},
    ],
)
def test_a_refusal_that_only_a_folded_event_tells_is_told(event: JSON) -> None:
    bridge, _ = heard(MESSAGE, event)
    assert msgspec.to_builtins(bridge.messages[0])["content"] == ({"type": "refusal", "refusal": "No."},)


@pytest.mark.parametrize(
    ("item", "event"),
    [
        (called("call_1", ""), {"type": "response.function_call_arguments.done", "arguments": ARGUMENTS}),
        (SHOUT, {"type": "response.custom_tool_call_input.done", "input": ARGUMENTS}),
    ],
)
def test_arguments_that_only_a_folded_event_tells_are_told(item: JSON, event: JSON) -> None:
    (call,) = calls(heard(item, event)[0])
    assert isinstance(call, FunctionToolCall)
    assert call.function.arguments == ARGUMENTS


def test_code_that_only_a_folded_event_tells_is_told() -> None:
    (call,) = calls(heard(CODE, {"type": "response.code_interpreter_call_code.done", "code": "1+1"})[0])
    assert isinstance(call, CodeInterpreterToolCall)
    assert call.code_interpreter.input == "1+1"
