"""What a consumer that lost its stream is still owed: which events, in which order, and nothing twice."""

import msgspec
import pytest
from test_snapshot import folded, says, text

from aiorunstream.events import (
    REGISTRY,
    AssistantStreamEvent,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunInProgress,
    ThreadRunQueued,
    ThreadRunRequiresAction,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
)
from aiorunstream.models import (
    FunctionCall,
    FunctionToolCall,
    LastError,
    Message,
    MessageContent,
    MessageCreation,
    MessageCreationStepDetails,
    MessageIncompleteDetails,
    RequiredActionFunction,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolOutputs,
    Run,
    RunStep,
    SubmitToolOutputsAction,
    ToolCall,
    ToolCallsStepDetails,
    Usage,
)
from aiorunstream.snapshot import RunSnapshot

RUN = Run("r", status="completed", started_at=2, completed_at=3, usage=Usage(1, 2, 3))
BEGINNING = ["thread.run.created", "thread.run.in_progress"]
END = "thread.run.completed"
MESSAGE = ["thread.message.created", "thread.message.in_progress"]
STEP = ["thread.run.step.created", "thread.run.step.in_progress"]


def answer(*parts: MessageContent | str, id: str = "m", status: str | None = "completed") -> Message:
    content = tuple(text(part) if isinstance(part, str) else part for part in parts)
    return Message(id, status=status, role="assistant", content=content, run_id="r")


def calling(*tool_calls: ToolCall, status: str = "completed") -> RunStep:
    return RunStep("s", status=status, step_details=ToolCallsStepDetails(tool_calls), run_id="r")


def writing(message_id: str, id: str = "w") -> RunStep:
    return RunStep(
        id, status="completed", step_details=MessageCreationStepDetails(MessageCreation(message_id)), completed_at=3
    )


def names(events: tuple[AssistantStreamEvent, ...]) -> list[str]:
    return [event.event for event in events]


def owed(snapshot: RunSnapshot, *objects: Message | RunStep, run: Run = RUN) -> tuple[AssistantStreamEvent, ...]:
    """What is missing; adding it makes the snapshot whole."""
    messages = [one for one in objects if isinstance(one, Message)]
    steps = [one for one in objects if isinstance(one, RunStep)]
    events = snapshot.missing_events(run, messages, steps)
    assert all(event.synthesized for event in events)
    for event in events:
        snapshot.add(event)
    assert snapshot.missing_events(run, messages, steps) == ()
    return events


# -- the run ---------------------------------------------------------------------------------------------------------


def test_a_run_never_seen_is_told_from_its_beginning() -> None:
    failed = msgspec.structs.replace(
        RUN, status="failed", failed_at=3, completed_at=None, last_error=LastError("server_error", "no")
    )
    created, working, end = owed(RunSnapshot(), run=failed)
    assert created == ThreadRunCreated(Run("r", status="queued"), synthesized=True)
    assert working == ThreadRunInProgress(Run("r", status="in_progress", started_at=2), synthesized=True)
    assert (end.event, end.data) == ("thread.run.failed", failed)


def test_a_run_that_never_started_was_never_in_progress() -> None:
    expired = Run("r", status="expired")
    assert names(owed(RunSnapshot(), run=expired)) == ["thread.run.created", "thread.run.expired"]
    assert names(owed(RunSnapshot(), answer(), run=expired))[:2] == BEGINNING
    assert names(owed(RunSnapshot(), calling(), run=expired))[:2] == BEGINNING


def test_a_run_that_was_seen_is_told_from_there() -> None:
    queued, working = ThreadRunQueued(Run("r", status="queued")), ThreadRunInProgress(Run("r", status="in_progress"))
    assert names(owed(folded(queued))) == ["thread.run.in_progress", END]
    assert names(owed(folded(queued, working))) == [END]
    assert names(owed(folded(ThreadRunCreated(Run("another", status="in_progress"))))) == [*BEGINNING, END]


def test_a_run_that_was_seen_to_stop_is_owed_nothing() -> None:
    assert owed(folded(ThreadRunCompleted(RUN)), answer("late"), calling()) == ()


def test_a_run_may_stop_for_tool_outputs_again() -> None:
    def waiting(id: str) -> Run:
        call = RequiredActionFunctionToolCall(id, RequiredActionFunction("f", "{}"))
        action = SubmitToolOutputsAction(RequiredActionSubmitToolOutputs((call,)))
        return Run("r", status="requires_action", started_at=2, required_action=action)

    snapshot = folded(ThreadRunRequiresAction(waiting("a")))
    assert owed(snapshot, run=waiting("a")) == ()
    assert names(owed(snapshot, run=waiting("b"))) == ["thread.run.requires_action"]
    assert names(owed(snapshot)) == [END]


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "created", "step.completed", "paused", None])
def test_a_run_that_has_not_stopped_is_refused(status: str | None) -> None:
    with pytest.raises(ValueError, match="has not stopped"):
        RunSnapshot().missing_events(Run("r", status=status), [], [])


# -- messages and steps ----------------------------------------------------------------------------------------------


def test_all_is_told_in_the_order_of_the_protocol() -> None:
    step = calling(FunctionToolCall("c", FunctionCall("f", "{}", "out")))
    objects: list[Message | RunStep] = [
        answer("alone", id="n"),
        answer("a", "b"),
        writing("m"),
        step,
        writing("gone", id="x"),
    ]
    assert names(owed(RunSnapshot(), *objects)) == [
        *BEGINNING,
        *STEP,
        *MESSAGE,
        "thread.message.delta",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
        *STEP,
        "thread.run.step.delta",
        "thread.run.step.completed",
        *STEP,
        "thread.run.step.completed",
        *MESSAGE,
        "thread.message.delta",
        "thread.message.completed",
        END,
    ]


def test_a_message_of_two_steps_is_told_once() -> None:
    assert names(owed(RunSnapshot(), answer(), writing("m"), writing("m", id="x"))).count("thread.message.created") == 1


def test_what_begins_is_shown_as_it_was_then() -> None:
    message = msgspec.structs.replace(answer("a"), completed_at=3, created_at=1)
    events = owed(RunSnapshot(), message, writing("m"), calling(FunctionToolCall("c", FunctionCall("f"))))
    created = next(event for event in events if isinstance(event, ThreadMessageCreated))
    assert created.data == Message("m", status="in_progress", role="assistant", run_id="r", created_at=1)
    first, second = (event.data for event in events if isinstance(event, ThreadRunStepCreated))
    assert (first.status, first.step_details, first.completed_at) == ("in_progress", writing("m").step_details, None)
    assert second.step_details == ToolCallsStepDetails()


def test_what_was_seen_to_end_is_owed_nothing_more() -> None:
    message, step = answer("a"), calling()
    assert names(owed(folded(ThreadMessageCompleted(message), ThreadRunStepCompleted(step)), message, step)) == [
        *BEGINNING,
        END,
    ]
    assert names(owed(folded(ThreadRunStepCompleted(writing("m"))), message, writing("m")))[2:-1] == [
        *MESSAGE,
        "thread.message.delta",
        "thread.message.completed",
    ]


def test_an_object_that_was_seen_does_not_begin_again() -> None:
    assert names(owed(folded(says("a")), answer("ab"), writing("m")))[2:] == [
        *STEP,
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
        END,
    ]


@pytest.mark.parametrize(
    ("message", "end"),
    [
        (answer("a", status="incomplete"), "thread.message.incomplete"),
        (answer("a", status=None), "thread.message.completed"),
        (
            Message("m", role="assistant", incomplete_details=MessageIncompleteDetails("max_tokens")),
            "thread.message.incomplete",
        ),
        (Message("m", role="assistant", incomplete_at=5), "thread.message.incomplete"),
        (Message("m", run_id="r"), "thread.message.completed"),
        (answer("a", status="in_progress"), None),
        (answer("a", status="paused"), None),
    ],
)
def test_a_message_ends_as_its_status_says(message: Message, end: str | None) -> None:
    told = [name for name in names(owed(RunSnapshot(), message)) if name.startswith("thread.message.")]
    assert [name for name in told if name not in MESSAGE and name != "thread.message.delta"] == ([end] if end else [])


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_a_step_ends_as_its_status_says(status: str) -> None:
    assert names(owed(RunSnapshot(), calling(status=status)))[-2] == f"thread.run.step.{status}"


def test_a_step_that_is_open_does_not_end() -> None:
    snapshot = RunSnapshot()
    step = calling(FunctionToolCall("c", FunctionCall("f", "{}")), status="in_progress")
    assert names(owed(snapshot, step))[2:-1] == [*STEP, "thread.run.step.delta"]
    assert snapshot.run_steps == (step,)


@pytest.mark.parametrize(
    "message",
    [
        Message("m", status="completed", role="user", run_id="r"),
        Message("m", status="completed", role="assistant", run_id="another"),
        Message("m", status="completed"),
    ],
)
def test_messages_of_users_and_of_other_runs_are_left_out(message: Message) -> None:
    assert names(owed(RunSnapshot(), message)) == [*BEGINNING, END]


def test_an_answer_without_a_run_is_this_runs() -> None:
    message = Message("m", status="completed", role="assistant")
    assert "thread.message.completed" in names(owed(RunSnapshot(), message))


def test_every_stopping_status_has_its_event() -> None:
    for name, entry in REGISTRY.items():
        if entry.stops is not None:
            assert names(owed(RunSnapshot(), run=Run("r", status=entry.stops)))[-1] == name
