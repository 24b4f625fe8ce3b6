"""What servers send that are not OpenAI: the same text and the same calls, however they name the items of a response."""

import pytest
from bridge_client import asked, read
from bridged import JSON, Bridge, check_legal, text_of
from played_responses import Played, litellm_thinking, llama_cpp, ogx_calling, ogx_thinking, playing, short
from response_events import called, calls, message

from aiorunstream.events import ThreadMessageDelta
from aiorunstream.models import FunctionToolCall, UnknownPart


def arguments(bridge: Bridge) -> list[tuple[str, str]]:
    return [(one.id, one.function.arguments) for one in calls(bridge) if isinstance(one, FunctionToolCall)]


# -- llama.cpp: no places, and calls without ids -----------------------------------------------------------------------

A, B, C = '{"a": 1}', '{"b": 2}', '{"c": 3}'


@pytest.mark.parametrize("asked_for", [(A,), (A, B), (A, B, C)])
@pytest.mark.parametrize("text", ["", "Hello"])
@pytest.mark.parametrize("thinks", [False, True])
def test_calls_of_llama_cpp_keep_their_arguments_apart(asked_for: tuple[str, ...], text: str, thinks: bool) -> None:  # noqa: FBT001
    bridge = Bridge()
    seen = bridge.hear(*llama_cpp(*asked_for, text=text, thinks=thinks))
    check_legal(seen)
    assert text_of(seen) == text
    assert arguments(bridge) == [(f"fc_{number}", one) for number, one in enumerate(asked_for)]
    assert (bridge.run.status, len(bridge.run.tool_calls)) == ("requires_action", len(asked_for))


async def test_calls_of_llama_cpp_are_answered_by_what_it_calls_them() -> None:
    server = Played(llama_cpp(A, B), short("resp_2", message("Done.")))
    async with playing(server) as (client, _):
        thread_id = await asked(client)
        events = await read(client, thread_id)
        outputs: list[JSON] = [{"tool_call_id": f"fc_{number}", "output": f"{number}"} for number in range(2)]
        run_id = getattr(events[-1].data, "id")  # noqa: B009
        async with client.threads.runs.submit_tool_outputs_stream(
            run_id, thread_id=thread_id, tool_outputs=outputs
        ) as stream:
            assert text_of([event async for event in stream]) == "Done."
    _, *sent = server.bodies[1]["input"]
    assert [(item["type"], item["call_id"], item.get("arguments", item.get("output"))) for item in sent] == [
        ("function_call", "fc_0", A), ("function_call", "fc_1", B),
        ("function_call_output", "fc_0", "0"), ("function_call_output", "fc_1", "1"),
    ]  # fmt: skip


# -- OGX: one place for all items, and others at their ends ------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "Let me look."])
@pytest.mark.parametrize("output", [True, False])
def test_calls_of_ogx_that_begin_at_one_place_are_known_by_their_ids(text: str | None, output: bool) -> None:  # noqa: FBT001
    one, two = called("call_1", A), called("call_2", B)
    said = [] if text is None else [message(text)]
    *told, last = ogx_calling(*said, one, two)
    bridge = Bridge()
    seen = bridge.hear(*told, last if output else {**last, "response": {**last["response"], "output": []}})
    check_legal(seen)
    assert text_of(seen) == (text or "")
    assert arguments(bridge) == [("call_1", A), ("call_2", B)]
    assert bridge.run.status == "requires_action"


def test_thoughts_that_ogx_tells_as_a_part_of_the_answer_are_not_in_it() -> None:
    bridge = Bridge()
    seen = bridge.hear(*ogx_thinking(message("Hello there")))
    check_legal(seen)
    assert text_of(seen) == "Hello there" == bridge.messages[0].text
    assert [one["type"] for one in calls(bridge) if isinstance(one, UnknownPart)] == ["reasoning"]


def test_thoughts_before_a_call_of_ogx_make_no_message() -> None:
    bridge = Bridge()
    seen = bridge.hear(*ogx_thinking(called("call_1", A)))
    check_legal(seen)
    assert bridge.messages == ()
    assert arguments(bridge) == [("call_1", A)]


@pytest.mark.parametrize("at_last", [False, True])
def test_thoughts_in_the_content_of_a_message_that_is_shown_whole_are_not_in_it(at_last: bool) -> None:  # noqa: FBT001
    whole = message("Hello")
    whole["content"].append({"type": "reasoning_text", "text": "SECRET"})
    bridge = Bridge()
    told: list[JSON] = [] if at_last else [{"type": "response.output_item.done", "output_index": 0, "item": whole}]
    seen = bridge.hear(*told, *short("resp_1", whole)[-1:])
    assert text_of(seen) == "Hello" == bridge.messages[0].text


# -- LiteLLM: text where thoughts were ---------------------------------------------------------------------------------


def test_text_of_litellm_that_comes_where_its_thoughts_were_is_told_piece_by_piece() -> None:
    bridge = Bridge()
    seen = bridge.hear(*litellm_thinking("Hello ", "there"))
    check_legal(seen)
    pieces = [event.data.text for event in seen if isinstance(event, ThreadMessageDelta)]
    assert pieces == ["Hello ", "there"]
    assert [one.text for one in bridge.messages] == ["Hello there"]


# -- nobody in particular ----------------------------------------------------------------------------------------------


def test_items_without_places_and_ids_are_told_apart_by_what_they_are() -> None:
    """A call begins before the message has ended, and nothing but its type says that it is another item."""
    bridge = Bridge()
    seen = bridge.hear(
        {"type": "response.output_item.added", "item": {"type": "message", "role": "assistant", "content": []}},
        {"type": "response.output_text.delta", "delta": "Hi"},
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "look_up"}},
        {"type": "response.function_call_arguments.delta", "delta": A},
        *short("resp_1")[-1:],
    )
    check_legal(seen)
    assert text_of(seen) == "Hi"
    assert [one for _, one in arguments(bridge)] == [A]


def test_an_id_that_all_items_have_makes_one_of_none_of_them() -> None:
    bridge = Bridge()
    told: list[JSON] = []
    for place, text in enumerate(("One.", "Two.")):
        at = {"item_id": "same", "output_index": place, "content_index": 0}
        told += [
            {"type": "response.output_text.delta", **at, "delta": text},
            {"type": "response.output_item.done", "output_index": place, "item": message(text, id="same")},
        ]
    seen = bridge.hear(*told, *short("resp_1")[-1:])
    check_legal(seen)
    assert [one.text for one in bridge.messages] == ["One.", "Two."]
