"""The objects of a run in a store, and the events that tell of them: the run, its steps, its messages.

Rule of this file: an object is in the store before its event is returned.
"""

import msgspec

from .events import REGISTRY, AssistantStreamEvent
from .models import (
    TERMINAL_RUN_STATUSES,
    Message,
    MessageContent,
    MessageIncompleteDetails,
    Run,
    RunStep,
    StepDetails,
    Usage,
)
from .store import Store

Events = tuple[AssistantStreamEvent, ...]

_RUN_TIMES = {"completed": "completed_at", "failed": "failed_at", "cancelled": "cancelled_at"}
_STEP_TIMES = {**_RUN_TIMES, "expired": "expired_at"}


class RunObjects:
    """Makes, changes and ends the objects of one run.

    Attributes:
        record: the thread with all that is on it.
        steps: the run's.
        assistant: whose run it is.
        spent: what the run has spent so far; it shows that once it is over.
    """

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self._id = run.id
        self.record = store.record(run.thread_id)
        self.steps = self.record.steps_of(run.id)
        self.assistant = store.assistant_of(run)
        self.spent: Usage | None = None

    @property
    def run(self) -> Run:
        """The run as it is now."""
        return self.record.runs.get(self._id)

    def change(self, status: str, **changes: object) -> AssistantStreamEvent:
        """Gives the run another status, and what comes with it."""
        if status in TERMINAL_RUN_STATUSES:
            changes.update(expires_at=None, usage=self.spent)
        if (time := _RUN_TIMES.get(status)) is not None:
            changes[time] = self._store.now()
        run = self.record.runs.put(msgspec.structs.replace(self.run, status=status, **changes))
        return event_of(f"thread.run.{status}", run)

    # -- steps -------------------------------------------------------------------------------------------------------

    def open_step(self, kind: str, details: StepDetails) -> tuple[RunStep, Events]:
        """A new step, and the events of its beginning."""
        step = RunStep(
            self._store.new_id("step"),
            created_at=self._store.now(),
            assistant_id=self.assistant.id,
            thread_id=self.record.id,
            run_id=self._id,
            type=kind,
            status="in_progress",
            step_details=details,
            metadata={},
            expires_at=self.run.expires_at,
        )
        self.steps.put(step)
        return step, (event_of("thread.run.step.created", step), event_of("thread.run.step.in_progress", step))

    def change_step(self, id: str, **changes: object) -> RunStep:
        """Changes a step, of which no event tells."""
        return self.steps.put(msgspec.structs.replace(self.steps.get(id), **changes))

    def end_step(self, id: str, status: str, **changes: object) -> AssistantStreamEvent:
        """Ends a step with that status, and what comes with it."""
        changes[_STEP_TIMES[status]] = self._store.now()
        return event_of(f"thread.run.step.{status}", self.change_step(id, status=status, **changes))

    # -- messages ----------------------------------------------------------------------------------------------------

    def new_message(self, id: str | None = None) -> Message:
        """A message of the assistant that nobody knows of yet, with that id or one of the store's."""
        return Message(
            id or self._store.new_id("msg"),
            created_at=self._store.now(),
            thread_id=self.record.id,
            status="in_progress",
            role="assistant",
            assistant_id=self.assistant.id,
            run_id=self._id,
            attachments=(),
            metadata={},
        )

    def open_message(self, message: Message) -> Events:
        """Puts a new message on the thread; the events of its beginning."""
        self.record.messages.put(message)
        return (event_of("thread.message.created", message), event_of("thread.message.in_progress", message))

    def end_message(
        self, message: Message, content: tuple[MessageContent, ...], reason: str | None
    ) -> AssistantStreamEvent:
        """Ends a message with its content; with a reason it ends incomplete."""
        now, messages = self._store.now(), self.record.messages
        kept = messages.find(message.id)  # its metadata may have changed, and it may have been deleted
        message = msgspec.structs.replace(
            kept or message,
            status="completed" if reason is None else "incomplete",
            content=content,
            completed_at=now if reason is None else None,
            incomplete_at=None if reason is None else now,
            incomplete_details=None if reason is None else MessageIncompleteDetails(reason),
        )
        if kept is not None:
            messages.put(message)
        return event_of(f"thread.message.{message.status}", message)


def event_of(name: str, data: object) -> AssistantStreamEvent:
    """The event of that name around an object."""
    return REGISTRY[name].around(data)
