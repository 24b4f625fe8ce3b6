"""A run without a server: which events come of what an engine says, in which order, and what the store then holds."""

import msgspec
import pytest
from machine_bench import CALLING, OPENING, Bench, outputs_in, refused, waiting

from aiorunstream.events import ThreadMessageDelta, ThreadMessageIncomplete, ThreadRunStepDelta, ThreadRunStepFailed
from aiorunstream.intake import StoreError
from aiorunstream.items import BreakOff, CallTool, Fail, MoreArguments, Say
from aiorunstream.machine import RunMachine
from aiorunstream.models import LastError, Message, Run, RunStep, Usage
from aiorunstream.params import MessageUpdateParams, RunCreateParams, RunUpdateParams

# -- the good way ----------------------------------------------------------------------------------------------------


def test_a_text_answer_goes_the_whole_way_in_order() -> None:
    bench = Bench()
    bench.mark = 0
    bench.hear(Say("Hel"), Say("lo"), Usage(2, 1, 3))
    bench.finish()
    assert [event.event for event in bench.events] == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        *OPENING,
        "thread.message.delta",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
    ]
    assert (bench.run.status, bench.run.usage, bench.run.expires_at) == ("completed", Usage(2, 1, 3), None)
    (step,), (message,) = bench.steps, bench.answers
    assert (step.status, step.usage, step.completed_at) == ("completed", Usage(2, 1, 3), 1_000)
    assert (message.text, message.status, message.role) == ("Hello", "completed", "assistant")
    assert message.run_id == bench.run.id


def test_a_new_thread_is_told_of_first() -> None:
    bench = Bench()
    first, second, *_ = RunMachine(bench.store, bench.run).start(thread_is_new=True)
    assert (first.event, first.data, second.event) == ("thread.created", bench.thread, "thread.run.created")


def test_the_name_of_a_run_event_is_the_status_inside() -> None:
    bench = Bench()
    bench.hear(Say("a"))
    bench.finish()
    statuses = [event.data.status for event in bench.events if isinstance(event.data, Run)]
    assert statuses == ["queued", "queued", "in_progress", "completed"]


def test_an_events_object_is_in_the_store_before_the_event_is_out() -> None:
    bench = Bench()
    for item in (Say("a"), CallTool("f"), Say("b"), Fail("no")):
        for event in bench.machine.take(item):
            data = event.data
            last = event.event.endswith(("completed", "incomplete", "failed"))
            if isinstance(data, RunStep) and last:
                assert bench.store.retrieve_run_step(bench.thread.id, data.run_id, data.id) == data
            if isinstance(data, Message) and last:
                assert bench.store.retrieve_message(bench.thread.id, data.id) == data
            if isinstance(data, Run):
                assert bench.run == data


def test_the_first_delta_of_a_text_shows_empty_annotations() -> None:
    bench = Bench()
    bench.hear(Say("a"), Say("b"))
    deltas = [msgspec.json.encode(e.data) for e in bench.events if isinstance(e, ThreadMessageDelta)]
    assert b'"text":{"value":"a","annotations":[]}' in deltas[0]
    assert b"annotations" not in deltas[1]


def test_an_answer_of_no_text_is_an_empty_message() -> None:
    bench = Bench()
    assert bench.hear(Say("")) == OPENING
    bench.finish()
    assert bench.answers[0].text == ""


def test_an_engine_that_says_nothing_completes_the_run() -> None:
    bench = Bench()
    assert bench.finish() == ["thread.run.completed"]
    assert bench.steps == ()
    assert bench.run.usage is None


# -- tools -----------------------------------------------------------------------------------------------------------


def test_calls_stop_the_run_until_their_outputs_come() -> None:
    bench = Bench()
    names = bench.hear(
        CallTool("f", id="call_a"), MoreArguments('{"x":'), MoreArguments("1}"), CallTool("g", "{}", "call_b")
    )
    assert names == [*CALLING, *["thread.run.step.delta"] * 5]
    assert bench.finish() == ["thread.run.requires_action"]
    assert waiting(bench.run) == ["call_a", "call_b"]
    assert bench.steps[0].status == "in_progress"
    assert bench.run.usage is None

    assert bench.submit(("call_b", "two"), ("call_a", "one")) == ["thread.run.step.completed", "thread.run.queued"]
    assert bench.run.required_action is None
    bench.events += bench.machine.work()
    assert bench.hear(Say("done")) == ["thread.run.in_progress", *OPENING, "thread.message.delta"]
    assert bench.finish()[-1] == "thread.run.completed"
    assert outputs_in(bench.steps[0]) == ["one", "two"]


def test_the_pieces_of_arguments_make_the_whole() -> None:
    bench = Bench()
    bench.hear(CallTool("f", id="call_a"), MoreArguments('{"x":'), MoreArguments("1}"))
    bench.finish()
    pieces = [msgspec.to_builtins(e.data.delta) for e in bench.events if isinstance(e, ThreadRunStepDelta)]
    calls = [piece["step_details"]["tool_calls"][0] for piece in pieces]
    function = {"name": "f", "arguments": ""}
    assert calls[0] == {"index": 0, "type": "function", "id": "call_a", "function": function}
    assert [call["function"]["arguments"] for call in calls] == ["", '{"x":', "1}"]
    assert all("id" not in call for call in calls[1:])
    assert '"arguments":"{\\"x\\":1}"' in msgspec.json.encode(bench.run.required_action).decode()


def test_text_before_a_call_is_a_message_of_its_own() -> None:
    bench = Bench()
    bench.hear(Say("Let me look."))
    assert bench.hear(CallTool("f")) == [
        "thread.message.completed",
        "thread.run.step.completed",
        *CALLING,
        "thread.run.step.delta",
    ]
    bench.finish()
    assert [step.type for step in bench.steps] == ["message_creation", "tool_calls"]


def test_usage_goes_to_the_step_that_is_open_and_sums_in_the_run() -> None:
    bench = Bench()
    bench.hear(Say("a"), Usage(1, 10, 11), CallTool("f", id="c"), Usage(2, 20, 22))
    bench.finish()
    bench.submit(("c", "out"))
    bench.events += bench.machine.work()
    bench.hear(Say("b"), Usage(3, 30, 33))
    bench.finish()
    assert [step.usage for step in bench.steps] == [Usage(1, 10, 11), Usage(2, 20, 22), Usage(3, 30, 33)]
    assert bench.run.usage == Usage(6, 60, 66)


@pytest.mark.parametrize(
    "outputs",
    [[], [("a", "1")], [("a", "1"), ("b", "2"), ("c", "3")], [("a", "1"), ("a", "2"), ("b", "3")]],
    ids=["none", "one missing", "one unknown", "one twice"],
)
def test_outputs_must_be_exactly_those_that_are_waited_for(outputs: list[tuple[str, str]]) -> None:
    bench = Bench()
    bench.hear(CallTool("f", id="a"), CallTool("g", id="b"))
    bench.finish()
    assert (refused(bench, *outputs).kind, bench.run.status) == ("invalid", "requires_action")
    bench.submit(("a", "1"), ("b", "2"))
    assert "does not wait" in refused(bench, ("a", "1"), ("b", "2")).message


def test_two_calls_of_one_id_or_arguments_of_no_call_are_the_engines_fault() -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="without the call"):
        bench.hear(MoreArguments("{}"))
    bench.hear(CallTool("f", id="a"))
    with pytest.raises(ValueError, match="two tool calls"):
        bench.hear(CallTool("f", id="a"))


# -- bad ends --------------------------------------------------------------------------------------------------------


def test_a_failure_ends_what_is_open_from_the_inside_out() -> None:
    bench = Bench()
    bench.hear(CallTool("f"), Say("half"))
    assert bench.hear(Fail("It broke.", "invalid_prompt"), Say("unheard")) == [
        "thread.message.incomplete",
        "thread.run.step.failed",
        "thread.run.step.failed",
        "thread.run.failed",
    ]
    assert bench.finish() == []
    assert bench.run.last_error == LastError("invalid_prompt", "It broke.")
    assert bench.run.failed_at == 1_000
    failed = next(event for event in bench.events if isinstance(event, ThreadRunStepFailed))
    assert failed.data.last_error == LastError("server_error", "It broke."), "steps know two codes only"
    (message,) = bench.answers
    assert (message.text, message.status, message.completed_at) == ("half", "incomplete", None)
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_failed"


@pytest.mark.parametrize(
    ("reason", "of_run", "of_message"),
    [
        ("max_completion_tokens", "max_completion_tokens", "max_tokens"),
        ("max_prompt_tokens", "max_prompt_tokens", "max_tokens"),
        ("content_filter", None, "content_filter"),
    ],
)
def test_an_answer_that_breaks_off_leaves_the_run_incomplete(reason: str, of_run: str | None, of_message: str) -> None:
    bench = Bench()
    item = msgspec.convert({"reason": reason}, BreakOff)
    assert bench.hear(Say("half"), item)[-3:] == [
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
    ]
    assert bench.run.incomplete_details is not None
    assert bench.run.incomplete_details.reason == of_run
    (event,) = (event for event in bench.events if isinstance(event, ThreadMessageIncomplete))
    assert event.data.incomplete_details is not None
    assert event.data.incomplete_details.reason == of_message


def test_a_cancelled_run_hears_nothing_more_and_settles() -> None:
    bench = Bench()
    bench.hear(Say("half"))
    bench.events += bench.machine.cancel()
    assert bench.since() == ["thread.run.cancelling"]
    assert bench.hear(Say("more"), Fail("no")) == []
    assert bench.finish() == []
    bench.events += bench.machine.settle()
    assert bench.since() == ["thread.message.incomplete", "thread.run.step.cancelled", "thread.run.cancelled"]
    assert (bench.run.status, bench.run.cancelled_at) == ("cancelled", 1_000)
    assert bench.answers[0].text == "half"
    assert bench.machine.settle() == bench.machine.expire() == bench.machine.work() == ()


def test_a_run_that_waits_for_outputs_can_be_cancelled() -> None:
    bench = Bench()
    bench.hear(CallTool("f", id="a"))
    bench.finish()
    bench.machine.cancel()
    assert bench.run.required_action is None
    assert "'cancelling'" in refused(bench, ("a", "late")).message
    assert [event.event for event in bench.machine.settle()] == ["thread.run.step.cancelled", "thread.run.cancelled"]


def test_cancelling_twice_or_too_late_is_refused() -> None:
    bench = Bench()
    bench.machine.cancel()
    with pytest.raises(StoreError, match="status 'cancelling'"):
        bench.machine.cancel()
    bench.machine.settle()
    with pytest.raises(StoreError, match="status 'cancelled'"):
        bench.machine.cancel()


def test_a_run_whose_time_is_over_expires_with_all_that_is_open() -> None:
    bench = Bench()
    bench.hear(Say("half"))
    bench.time = 2_000
    bench.events += bench.machine.expire()
    assert bench.since() == ["thread.message.incomplete", "thread.run.step.expired", "thread.run.expired"]
    assert (bench.run.status, bench.run.expires_at, bench.steps[0].expired_at) == ("expired", None, 2_000)


# -- what others do meanwhile ----------------------------------------------------------------------------------------


def test_metadata_given_meanwhile_is_kept() -> None:
    bench = Bench()
    bench.hear(Say("a"))
    message = bench.answers[0]
    bench.store.update_message(bench.thread.id, message.id, MessageUpdateParams(metadata={"m": "1"}))
    bench.store.update_run(bench.thread.id, bench.run.id, RunUpdateParams(metadata={"r": "1"}))
    bench.finish()
    assert (bench.run.metadata, bench.answers[0].metadata) == ({"r": "1"}, {"m": "1"})


def test_a_message_deleted_meanwhile_does_not_come_back() -> None:
    bench = Bench()
    bench.hear(Say("a"))
    bench.store.delete_message(bench.thread.id, bench.answers[0].id)
    assert "thread.message.completed" in bench.finish()
    assert bench.answers == ()


def test_the_run_of_a_deleted_thread_ends_out_of_sight() -> None:
    bench = Bench()
    bench.store.delete_thread(bench.thread.id)
    bench.hear(Say("a"))
    assert bench.finish()[-1] == "thread.run.completed"
    with pytest.raises(StoreError):
        bench.store.retrieve_thread(bench.thread.id)


def test_a_finished_run_makes_room_for_the_next() -> None:
    bench = Bench()
    bench.finish()
    again = bench.store.create_run(bench.thread.id, RunCreateParams(assistant_id=bench.run.assistant_id or ""))
    assert again.status == "queued"


def test_a_turn_holds_as_many_messages_as_the_run_wants() -> None:
    bench = Bench("one", truncation_strategy={"type": "last_messages", "last_messages": 1})
    assert [message.text for message in bench.machine.turn().messages] == ["one"]
    bench = Bench(
        "one",
        truncation_strategy={"type": "last_messages", "last_messages": 1},
        additional_messages=[{"role": "user", "content": "two"}],
    )
    assert [message.text for message in bench.machine.turn().messages] == ["two"]
