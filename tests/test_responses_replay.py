"""What a replayed thread is sent again, where the model has thought and its thoughts are not there to be sent."""

from typing import Any, cast

import pytest
from bridge_client import asked, read
from bridged import Bridge
from played_responses import Played, beginning, end, ending_silently, playing, short, thought
from response_events import LONG_ID, called, message, said

from aiorunstream.backends.responses._modes import InputItem, Memory
from aiorunstream.models import Run, TruncationStrategy

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


# -- thoughts that nothing follows: servers refuse them ----------------------------------------------------------------

SEALED = thought(encrypted_content="x")
ASKED: dict[str, Any] = {"type": "message", "role": "user", "content": "And?"}
TOLD: dict[str, Any] = {"type": "message", "role": "assistant", "content": "Told by the caller."}


def sent(*items: dict[str, Any], last_messages: int | None = None) -> list[Any]:
    """What goes, where those items were said and asked."""
    memory = Memory(history=[InputItem(item) for item in items])
    strategy = None if last_messages is None else TruncationStrategy("last_messages", last_messages)
    found = memory.address("replay", "thread_1", Run("run_1", truncation_strategy=strategy))["input"]
    return cast("list[Any]", found)


def test_thoughts_that_led_to_nothing_are_left_out() -> None:
    for nothing in ([], [ASKED], [TOLD], [OUTPUT]):
        assert SEALED not in sent(ASKED, SEALED, *nothing), nothing
        assert SEALED not in sent(ASKED, SEALED, {**SEALED, "id": "rs_2"}, *nothing), nothing
    assert sent(SEALED, {**CALL, "status": "incomplete"}, ASKED) == [ASKED]
    assert sent(SEALED, {**CALL, "call_id": "call_never_answered"}, ASKED) == [ASKED]


def test_thoughts_that_led_to_something_stay_with_it() -> None:
    more, search = {**SEALED, "id": "rs_2"}, {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    for items in ([SEALED, ANSWER], [SEALED, more, ANSWER], [SEALED, search, more, ANSWER], [SEALED, CALL, OUTPUT]):
        assert sent(*items, ASKED) == [*items, ASKED]


def test_a_cut_before_a_message_takes_along_what_was_thought_for_it() -> None:
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    assert sent(ASKED, SEALED, ANSWER, ASKED, last_messages=2) == [SEALED, ANSWER, ASKED]
    assert sent(ASKED, SEALED, search, ANSWER, last_messages=1) == [SEALED, search, ANSWER]
    assert sent(ASKED, SEALED, CALL, OUTPUT, ANSWER, last_messages=1) == [ANSWER]


async def test_a_run_that_only_thought_leaves_a_thread_that_goes_on() -> None:
    too_long = short("resp_1", SEALED, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    server = Played(too_long, short("resp_2", message("Yes.")))
    async with playing(server) as (client, _):
        thread_id = await asked(client)
        await read(client, thread_id, reasoning_effort="low")
        await client.threads.messages.create(thread_id, role="user", content="Go on")
        await read(client, thread_id, reasoning_effort="low")
    assert [item["content"] for item in server.bodies[1]["input"]] == ["Hello", "Go on"]


# -- items that no server has shown whole ------------------------------------------------------------------------------


async def test_what_came_only_in_pieces_is_sent_again_too() -> None:
    server = Played(
        ending_silently(message("Let me look."), called("call_1", '{"a": 1}')), short("resp_2", message("Done."))
    )
    async with playing(server) as (client, _):
        thread_id = await asked(client)
        events = await read(client, thread_id)
        await client.threads.runs.submit_tool_outputs(
            getattr(events[-1].data, "id"),  # noqa: B009
            thread_id=thread_id,
            tool_outputs=[{"tool_call_id": "call_1", "output": "seen"}],
        )
    _, text, call, output = server.bodies[1]["input"]
    assert text == {
        "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Let me look."}],
    }  # fmt: skip
    assert call == called("call_1", '{"a": 1}')
    assert output["call_id"] == "call_1"


def remembered(*events: dict[str, Any]) -> list[dict[str, Any]]:
    bridge = Bridge()
    bridge.hear(*events)
    return [kept.item for kept in bridge.memory.history]


def test_a_message_in_pieces_without_an_id_goes_in_the_short_form() -> None:
    refused = {"type": "response.refusal.delta", "output_index": 0, "content_index": 1, "delta": " No."}
    assert remembered(*beginning("resp_1"), said(0, "Hi."), refused, end("resp_1")) == [
        {"type": "message", "role": "assistant", "content": "Hi. No."}
    ]


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_call_in_pieces_that_was_broken_off_is_not_sent_again(status: str) -> None:
    (item,) = remembered(*ending_silently(called("call_1", '{"a"'))[:-1], end(LONG_ID, status=status))
    assert item["status"] == status
    answer = [OUTPUT] if status == "completed" else []  # a run that ended so asks for none
    assert sent(item, *answer) == ([item, OUTPUT] if answer else [])


def test_nothing_is_made_up_of_what_nobody_could_send() -> None:
    nameless = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"}
    empty = {"type": "response.output_item.added", "output_index": 1, "item": message(id="msg_2")}
    search = {"type": "response.file_search_call.searching", "output_index": 2}
    assert remembered(nameless, empty, search, end("resp_1")) == []


# -- messages that came with a run -------------------------------------------------------------------------------------


async def test_a_message_that_came_with_a_run_is_not_sent_again_once_it_is_deleted() -> None:
    server = Played(short("resp_1", message("A.", id="msg_1")), short("resp_2", message("B.", id="msg_2")))
    async with playing(server) as (client, _):
        thread_id = await asked(client, "First")
        additional: list[dict[str, Any]] = [{"role": "user", "content": "SECRET"}]
        await read(client, thread_id, additional_messages=additional)
        page = await client.threads.messages.list(thread_id, order="asc")
        assert [one.text for one in page.data] == ["First", "SECRET", "A."]
        await client.threads.messages.delete(page.data[1].id, thread_id=thread_id)
        await read(client, thread_id)
    assert "SECRET" in str(server.bodies[0]["input"])
    assert "SECRET" not in str(server.bodies[1]["input"])
