"""What the events of a run have come to, and what of the finished run they have not told yet.

Pure: events go in one by one, models come out. Nothing that an event holds is ever changed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from .accumulate import GrowingMessage, GrowingStep
from .events import (
    REGISTRY,
    AssistantStreamEvent,
    RunEvent,
    ThreadCreated,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadMessageInProgress,
    ThreadRunStepCancelled,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepExpired,
    ThreadRunStepFailed,
    ThreadRunStepInProgress,
)
from .fragments import Entry, Joined
from .missing import missing_events
from .models import (
    Message,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDeltaEvent,
    TextDeltaBlock,
    Thread,
    Usage,
)
from .spent import add_usage, is_telling, told_usage


class RunSnapshot:
    """What the events of one run have come to: the run, its messages and steps by id.

    Events may come from several streams of the run, such as the one after its tool outputs were submitted. Messages and
    steps may be mixed; each delta goes to the object it names. A final object replaces what its deltas had come to.
    """

    def __init__(self) -> None:
        self._run: Run | None = None
        self._thread: Thread | None = None
        self._told_usage: Usage | None = None  # by messages that are none
        self._messages: dict[str, GrowingMessage] = {}
        self._steps: dict[str, GrowingStep] = {}
        self._said = Joined()
        self._tail: list[str] | None = None  # the pieces at the end of what was said; None where that is out of date

    # -- what there is -----------------------------------------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        """The run, as the last event that held it has it; None before the first."""
        return self._run

    @property
    def thread(self) -> Thread | None:
        """The thread that was made for the run, if one was."""
        return self._thread

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages, in the order in which they were first heard of, each as far as it has come."""
        return tuple(growing.message for growing in self._messages.values())

    @property
    def run_steps(self) -> tuple[RunStep, ...]:
        """The steps, in the order in which they were first heard of, each as far as it has come."""
        return tuple(growing.step for growing in self._steps.values())

    def message(self, id: str) -> Message | None:
        """The message of that id, as far as it has come; None where it was never heard of."""
        growing = self._messages.get(id)
        return None if growing is None else growing.message

    def run_step(self, id: str) -> RunStep | None:
        """The step of that id, as far as it has come; None where it was never heard of."""
        growing = self._steps.get(id)
        return None if growing is None else growing.step

    @property
    def text(self) -> str:
        """The text of all messages of the assistant so far, in order, joined.

        Reading it while one text grows costs what is new, and nothing where nothing is.
        """
        if self._tail is None:
            written = [growing for growing in self._messages.values() if growing.role in (None, "assistant")]
            self._said = Joined("".join([growing.text for growing in written]))
            last = written[-1].last_pieces if written else None
            self._tail = [] if last is None else last
        return self._said.join()

    def place_in_message(self, id: str, part: object, place: int) -> tuple[Entry, int] | None:
        """What a part of a delta of that message went to, and where that stands in its content, while it is written."""
        growing = self._messages.get(id)
        return None if growing is None else growing.place_of(part, place)

    def place_in_run_step(self, id: str, call: object, place: int) -> tuple[Entry, int] | None:
        """What a piece of a tool call of that step went to, and where that stands among its calls, while it grows."""
        growing = self._steps.get(id)
        return None if growing is None else growing.place_of(call, place)

    # -- what comes --------------------------------------------------------------------------------------------------

    def add(self, event: RunEvent) -> None:
        """Takes in one event. Raises for none; one that says nothing of the run, messages or steps changes nothing."""
        # The way of nearly all events: more of one text that has begun.
        if type(event) is ThreadMessageDelta:
            data = event.data
            delta = data.delta
            content = delta.content
            if len(content) == 1 and type(part := content[0]) is TextDeltaBlock:
                growing, text = self._messages.get(data.id), part.text
                if growing is not None and text is not None and text.value and not text.annotations:
                    pieces = growing.open_texts.get(part.index)
                    if pieces is not None and (delta.role is None or delta.role == growing.role):
                        pieces.append(text.value)
                        growing.built = None
                        if pieces is self._tail:
                            self._said.pieces.append(text.value)
                        else:
                            self._tail = None
                        return
        fold = self._FOLDS.get(type(event))
        if fold is not None:
            fold(self, event.data)

    def missing_events(
        self, run: Run, messages: Sequence[Message], run_steps: Sequence[RunStep]
    ) -> tuple[AssistantStreamEvent, ...]:
        """The events that are missing between what was added and the end of the run, as the protocol orders them.

        Text that was added is not in them again. Where the final text goes on from other text than was added, there is
        no delta of it, only the event of the whole message. Adding the events makes the snapshot whole; this does not
        add them.

        Args:
            run: the run, stopped, as the server has it.
            messages: its messages, oldest first. Those of other runs, or of users, are left out.
            run_steps: its steps, oldest first.

        Returns:
            The events, each `synthesized`, the run's own last; none where the run was seen to stop.

        Raises:
            ValueError: the run has not stopped, or in a way that no event tells of.
        """
        return missing_events(
            run, messages, run_steps, seen=self._run, seen_messages=self._messages, seen_steps=self._steps
        )

    # -- folding -----------------------------------------------------------------------------------------------------

    def _on_thread(self, thread: Thread) -> None:
        self._thread = thread

    def _on_run(self, run: Run) -> None:
        told = self._told_usage
        if told is not None and run.usage is not None and run.usage.total_tokens < told.total_tokens:
            run = msgspec.structs.replace(run, usage=told)  # that of all its streams, and not of the last
        self._run = run

    def _on_message(self, message: Message) -> None:
        self._growing_message(message.id).describe(message)

    def _on_message_in_progress(self, message: Message) -> None:
        # open-assistant-api tells of usage in a message that is none.
        if message.id in self._messages or not is_telling(message):
            self._on_message(message)
        elif (usage := told_usage(message)) is not None:
            self._told_usage = add_usage(self._told_usage, usage)

    def _on_message_delta(self, event: MessageDeltaEvent) -> None:
        self._growing_message(event.id).grow(event.delta)

    def _on_message_end(self, message: Message) -> None:
        self._growing_message(message.id).end(message)

    def _growing_message(self, id: str) -> GrowingMessage:
        self._tail = None
        growing = self._messages.get(id)
        if growing is None:
            growing = self._messages[id] = GrowingMessage(id)
        return growing

    def _on_step(self, step: RunStep) -> None:
        self._growing_step(step.id).describe(step)

    def _on_step_delta(self, event: RunStepDeltaEvent) -> None:
        self._growing_step(event.id).grow(event.delta)

    def _on_step_end(self, step: RunStep) -> None:
        self._growing_step(step.id).end(step)

    def _growing_step(self, id: str) -> GrowingStep:
        growing = self._steps.get(id)
        if growing is None:
            growing = self._steps[id] = GrowingStep(id)
        return growing

    _FOLDS: ClassVar[Mapping[type[object], Callable[..., None]]] = {
        **dict.fromkeys((entry.cls for entry in REGISTRY.values() if entry.payload is Run), _on_run),
        ThreadCreated: _on_thread,
        ThreadMessageCreated: _on_message,
        ThreadMessageInProgress: _on_message_in_progress,
        ThreadMessageDelta: _on_message_delta,
        ThreadMessageCompleted: _on_message_end,
        ThreadMessageIncomplete: _on_message_end,
        ThreadRunStepCreated: _on_step,
        ThreadRunStepInProgress: _on_step,
        ThreadRunStepDelta: _on_step_delta,
        ThreadRunStepCompleted: _on_step_end,
        ThreadRunStepFailed: _on_step_end,
        ThreadRunStepCancelled: _on_step_end,
        ThreadRunStepExpired: _on_step_end,
    }
