"""What a replayed thread is sent again, where the model has thought and its thoughts are not there to be sent."""

from typing import Any, cast

from aiorunstream.backends.responses._modes import InputItem, Memory
from aiorunstream.models import Run

CALL: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "look",
    "arguments": "{}",
    "status": "completed",
}
OUTPUT: dict[str, Any] = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}
THOUGHT: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": []}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hi", "annotations": []}, {"type": "refusal", "refusal": "!"}],
}


def sent_again(*output: dict[str, Any]) -> list[Any]:
    memory = Memory()
    memory.settle("replay", [], output, "resp_1")
    memory.pending = [InputItem(OUTPUT)]
    found = memory.address("replay", "thread_1", Run("run_1"))["input"]
    return cast("list[Any]", found)


def test_without_thoughts_items_go_as_they_came() -> None:
    assert sent_again(CALL, ANSWER) == [CALL, ANSWER, OUTPUT]


def test_thoughts_that_can_be_sent_go_with_the_items_they_led_to() -> None:
    thought = {**THOUGHT, "encrypted_content": "x"}
    assert sent_again(thought, CALL) == [thought, CALL, OUTPUT]


def test_where_thoughts_are_left_out_no_id_leads_to_them() -> None:
    call, answer, output = sent_again(THOUGHT, CALL, ANSWER)
    assert call == {name: value for name, value in CALL.items() if name != "id"}
    assert answer == {"type": "message", "role": "assistant", "content": "Hi!"}
    assert output == OUTPUT


def test_a_message_without_its_id_can_still_be_deleted() -> None:
    memory = Memory()
    memory.settle("replay", [], [THOUGHT, ANSWER], "resp_1")
    assert memory.forget("msg_1")
    assert memory.history == []
