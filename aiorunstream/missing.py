"""The events of a finished run that a consumer has not had, made from what the server keeps of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar, cast

import msgspec

from .accumulate import GrowingMessage, GrowingStep
from .events import REGISTRY, AssistantStreamEvent
from .fragments import Entries, kind_of
from .models import (
    STOPPING_RUN_STATUSES,
    JSONObject,
    Message,
    MessageContentDelta,
    MessageCreationStepDetails,
    MessageDelta,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    StepDetails,
    StepDetailsDelta,
    ToolCallDelta,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)
from .repair import build
from .rest import AlteredError, rest_of_fields, rest_of_parts

P = TypeVar("P")
Events = Iterator[AssistantStreamEvent]

_STEP_ENDS = frozenset({"completed", "failed", "cancelled", "expired"})
_MESSAGE_ENDS = frozenset({"completed", "incomplete"})
# As the builder sees them: unions of Structs, to which it adds the UnknownPart.
_CONTENT_DELTA = cast("type[MessageContentDelta]", MessageContentDelta)
_TOOL_CALL_DELTA = cast("type[ToolCallDelta]", ToolCallDelta)
_DETAILS_DELTA = cast("type[StepDetailsDelta]", StepDetailsDelta)


def missing_events(
    run: Run,
    messages: Sequence[Message],
    run_steps: Sequence[RunStep],
    *,
    seen: Run | None,
    seen_messages: Mapping[str, GrowingMessage],
    seen_steps: Mapping[str, GrowingStep],
) -> tuple[AssistantStreamEvent, ...]:
    """See `RunSnapshot.missing_events`."""
    if run.status not in STOPPING_RUN_STATUSES:
        raise ValueError(f"a run of the status {run.status!r} has not stopped")
    if _has_stopped(seen, run):
        return ()
    return tuple(_Missing(seen_messages, seen_steps, run, messages).all(seen, run_steps))


def _has_stopped(seen: Run | None, run: Run) -> bool:
    """Whether this stop of the run was seen; a run may stop for tool outputs more than once."""
    if seen is None or (seen.id, seen.status) != (run.id, run.status):
        return False
    return run.is_terminal or seen.required_action == run.required_action


class _Missing:
    def __init__(
        self,
        seen_messages: Mapping[str, GrowingMessage],
        seen_steps: Mapping[str, GrowingStep],
        run: Run,
        messages: Sequence[Message],
    ) -> None:
        self._seen_messages = seen_messages
        self._seen_steps = seen_steps
        self._run = run
        self._left = {message.id: message for message in messages if _is_answer(message, run)}

    def all(self, seen: Run | None, run_steps: Sequence[RunStep]) -> Events:
        """The events, in the order of the protocol."""
        yield from self._beginning(seen, has_worked=bool(run_steps or self._left))
        for step in run_steps:
            yield from self._of_step(step)
        for message in tuple(self._left.values()):
            yield from self._of_message(message)
        yield _event(f"thread.run.{self._run.status}", self._run)

    def _beginning(self, seen: Run | None, *, has_worked: bool) -> Events:
        run = self._run
        queued = _queued(run)
        if seen is None or seen.id != run.id:
            yield _event("thread.run.created", queued)
        elif seen.status != "queued":
            return
        if run.started_at or has_worked:
            yield _event(
                "thread.run.in_progress",
                msgspec.structs.replace(queued, status="in_progress", started_at=run.started_at),
            )

    def _of_step(self, step: RunStep) -> Events:
        seen, details = self._seen_steps.get(step.id), step.step_details
        if seen is None:
            begun = _begun_step(step)
            yield _event("thread.run.step.created", begun)
            yield _event("thread.run.step.in_progress", begun)
            seen = GrowingStep(step.id)
            seen.describe(begun)
        if isinstance(details, MessageCreationStepDetails):
            message = self._left.get(details.message_creation.message_id)
            if message is not None:
                yield from self._of_message(message)
        if seen.is_final:
            return
        for rest in _rests_of_details(seen.details(), details):
            yield _event("thread.run.step.delta", RunStepDeltaEvent(step.id, delta=RunStepDelta(rest)))
        if step.status in _STEP_ENDS:
            yield _event(f"thread.run.step.{step.status}", step)

    def _of_message(self, message: Message) -> Events:
        del self._left[message.id]
        seen = self._seen_messages.get(message.id)
        if seen is None:
            begun = _begun_message(message)
            yield _event("thread.message.created", begun)
            yield _event("thread.message.in_progress", begun)
            seen = GrowingMessage(message.id)
        elif seen.is_final:
            return
        for rest in rest_of_parts(seen.content(), message.content):
            delta = MessageDelta(content=(_made(rest, _CONTENT_DELTA),))
            yield _event("thread.message.delta", MessageDeltaEvent(message.id, delta=delta))
        if (end := _end_of_message(message)) is not None:
            yield _event(f"thread.message.{end}", message)


def _event(name: str, data: object) -> AssistantStreamEvent:
    return msgspec.structs.replace(REGISTRY[name].around(data), synthesized=True)


def _is_answer(message: Message, run: Run) -> bool:
    """Whether the assistant wrote it in this run, as far as the server says."""
    if message.run_id and message.run_id != run.id:
        return False
    return message.role == "assistant" or (message.role is None and message.run_id == run.id)


# -- objects as they were --------------------------------------------------------------------------------------------


def _queued(run: Run) -> Run:
    return msgspec.structs.replace(
        run,
        status="queued",
        required_action=None,
        last_error=None,
        started_at=None,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        incomplete_details=None,
        usage=None,
    )


def _begun_step(step: RunStep) -> RunStep:
    calls = isinstance(step.step_details, ToolCallsStepDetails)
    return msgspec.structs.replace(
        step,
        status="in_progress",
        step_details=ToolCallsStepDetails() if calls else step.step_details,
        last_error=None,
        expired_at=None,
        cancelled_at=None,
        failed_at=None,
        completed_at=None,
        usage=None,
    )


def _begun_message(message: Message) -> Message:
    return msgspec.structs.replace(
        message, status="in_progress", content=(), completed_at=None, incomplete_at=None, incomplete_details=None
    )


def _end_of_message(message: Message) -> str | None:
    """How it ended; None where it has not. Servers leave the status out of the messages they list."""
    if message.status is None:
        return "incomplete" if message.incomplete_details or message.incomplete_at else "completed"
    return message.status if message.status in _MESSAGE_ENDS else None


# -- what of them is to be told --------------------------------------------------------------------------------------


def _rests_of_details(told: JSONObject, details: StepDetails | None) -> Iterator[StepDetailsDelta]:
    """A delta for each tool call; one for details of any other type, if they are not told to the end."""
    if details is None or told.get("type") not in (None, kind_of(details)[1]):
        return
    if isinstance(details, ToolCallsStepDetails):
        calls = told.get("tool_calls")
        for rest in rest_of_parts(calls if isinstance(calls, Entries) else Entries(own=True), details.tool_calls):
            yield ToolCallsDeltaObject((_made(rest, _TOOL_CALL_DELTA),))
        return
    with suppress(AlteredError):
        if rest := rest_of_fields(told, details):
            kind = kind_of(details)[1]
            whole = rest if kind is None else {"type": kind, **rest}
            yield _made(UnknownPart(whole) if isinstance(details, UnknownPart) else whole, _DETAILS_DELTA)


def _made(fragment: JSONObject, kind: type[P]) -> P:
    return cast(P, fragment) if isinstance(fragment, UnknownPart) else build(fragment, kind)
