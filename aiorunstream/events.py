"""The 24 events of a run stream as Structs, the `UnknownEvent`, and the registry that names them.

Class names are the wire names, mechanically: `thread.run.step.delta` is `ThreadRunStepDelta`.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, cast

import msgspec

from .models import STOPPING_RUN_STATUSES, ErrorObject, Message, MessageDeltaEvent, Run, RunStep, RunStepDeltaEvent
from .models import Thread as ThreadObject
from .plain_json import parse


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="event", omit_defaults=True):
    """Encodes as `{"event": name, "data": payload}`."""


class ThreadCreated(_Event, frozen=True, tag="thread.created"):
    """A thread was made for the run; only in streams of `create_and_run_stream`."""

    event: ClassVar[Literal["thread.created"]] = "thread.created"
    data: ThreadObject
    synthesized: bool = False
    enabled: bool | None = None


class ThreadRunCreated(_Event, frozen=True, tag="thread.run.created"):
    """The run exists; its status is "queued"."""

    event: ClassVar[Literal["thread.run.created"]] = "thread.run.created"
    data: Run
    synthesized: bool = False


class ThreadRunQueued(_Event, frozen=True, tag="thread.run.queued"):
    """The run waits for its turn."""

    event: ClassVar[Literal["thread.run.queued"]] = "thread.run.queued"
    data: Run
    synthesized: bool = False


class ThreadRunInProgress(_Event, frozen=True, tag="thread.run.in_progress"):
    """The run works."""

    event: ClassVar[Literal["thread.run.in_progress"]] = "thread.run.in_progress"
    data: Run
    synthesized: bool = False


class ThreadRunRequiresAction(_Event, frozen=True, tag="thread.run.requires_action"):
    """The run waits for tool outputs. Ends the stream, not the run."""

    event: ClassVar[Literal["thread.run.requires_action"]] = "thread.run.requires_action"
    data: Run
    synthesized: bool = False


class ThreadRunCompleted(_Event, frozen=True, tag="thread.run.completed"):
    """The run is done. Ends the stream."""

    event: ClassVar[Literal["thread.run.completed"]] = "thread.run.completed"
    data: Run
    synthesized: bool = False


class ThreadRunIncomplete(_Event, frozen=True, tag="thread.run.incomplete"):
    """The run met a token limit. Ends the stream."""

    event: ClassVar[Literal["thread.run.incomplete"]] = "thread.run.incomplete"
    data: Run
    synthesized: bool = False


class ThreadRunFailed(_Event, frozen=True, tag="thread.run.failed"):
    """The run failed; `data.last_error` says of what. Ends the stream."""

    event: ClassVar[Literal["thread.run.failed"]] = "thread.run.failed"
    data: Run
    synthesized: bool = False


class ThreadRunCancelling(_Event, frozen=True, tag="thread.run.cancelling"):
    """The run was asked to stop and has not yet."""

    event: ClassVar[Literal["thread.run.cancelling"]] = "thread.run.cancelling"
    data: Run
    synthesized: bool = False


class ThreadRunCancelled(_Event, frozen=True, tag="thread.run.cancelled"):
    """The run was cancelled. Ends the stream."""

    event: ClassVar[Literal["thread.run.cancelled"]] = "thread.run.cancelled"
    data: Run
    synthesized: bool = False


class ThreadRunExpired(_Event, frozen=True, tag="thread.run.expired"):
    """The run passed its `expires_at`. Ends the stream."""

    event: ClassVar[Literal["thread.run.expired"]] = "thread.run.expired"
    data: Run
    synthesized: bool = False


class ThreadRunStepCreated(_Event, frozen=True, tag="thread.run.step.created"):
    """A step exists; its status is "in_progress"."""

    event: ClassVar[Literal["thread.run.step.created"]] = "thread.run.step.created"
    data: RunStep
    synthesized: bool = False


class ThreadRunStepInProgress(_Event, frozen=True, tag="thread.run.step.in_progress"):
    """The step works."""

    event: ClassVar[Literal["thread.run.step.in_progress"]] = "thread.run.step.in_progress"
    data: RunStep
    synthesized: bool = False


class ThreadRunStepDelta(_Event, frozen=True, tag="thread.run.step.delta"):
    """A part of a step arrived, such as a piece of a tool call's arguments."""

    event: ClassVar[Literal["thread.run.step.delta"]] = "thread.run.step.delta"
    data: RunStepDeltaEvent
    synthesized: bool = False


class ThreadRunStepCompleted(_Event, frozen=True, tag="thread.run.step.completed"):
    """The step is done. May be the first event after tool outputs were submitted."""

    event: ClassVar[Literal["thread.run.step.completed"]] = "thread.run.step.completed"
    data: RunStep
    synthesized: bool = False


class ThreadRunStepFailed(_Event, frozen=True, tag="thread.run.step.failed"):
    """The step failed; `data.last_error` says of what."""

    event: ClassVar[Literal["thread.run.step.failed"]] = "thread.run.step.failed"
    data: RunStep
    synthesized: bool = False


class ThreadRunStepCancelled(_Event, frozen=True, tag="thread.run.step.cancelled"):
    """The step was cancelled with its run."""

    event: ClassVar[Literal["thread.run.step.cancelled"]] = "thread.run.step.cancelled"
    data: RunStep
    synthesized: bool = False


class ThreadRunStepExpired(_Event, frozen=True, tag="thread.run.step.expired"):
    """The step expired with its run."""

    event: ClassVar[Literal["thread.run.step.expired"]] = "thread.run.step.expired"
    data: RunStep
    synthesized: bool = False


class ThreadMessageCreated(_Event, frozen=True, tag="thread.message.created"):
    """A message exists; it is empty yet."""

    event: ClassVar[Literal["thread.message.created"]] = "thread.message.created"
    data: Message
    synthesized: bool = False


class ThreadMessageInProgress(_Event, frozen=True, tag="thread.message.in_progress"):
    """The message is being written."""

    event: ClassVar[Literal["thread.message.in_progress"]] = "thread.message.in_progress"
    data: Message
    synthesized: bool = False


class ThreadMessageDelta(_Event, frozen=True, tag="thread.message.delta"):
    """A piece of a message arrived; `data.text` is its text."""

    event: ClassVar[Literal["thread.message.delta"]] = "thread.message.delta"
    data: MessageDeltaEvent
    synthesized: bool = False


class ThreadMessageCompleted(_Event, frozen=True, tag="thread.message.completed"):
    """The message is whole; `data.text` is its text."""

    event: ClassVar[Literal["thread.message.completed"]] = "thread.message.completed"
    data: Message
    synthesized: bool = False


class ThreadMessageIncomplete(_Event, frozen=True, tag="thread.message.incomplete"):
    """The message ended before it was whole; `data.incomplete_details` says why."""

    event: ClassVar[Literal["thread.message.incomplete"]] = "thread.message.incomplete"
    data: Message
    synthesized: bool = False


class ErrorEvent(_Event, frozen=True, tag="error"):
    """The server reports an error inside the stream. Yielded only with `on_error_event="yield"`."""

    event: ClassVar[Literal["error"]] = "error"
    data: ErrorObject
    synthesized: bool = False


AssistantStreamEvent = (
    ThreadCreated
    | ThreadRunCreated
    | ThreadRunQueued
    | ThreadRunInProgress
    | ThreadRunRequiresAction
    | ThreadRunCompleted
    | ThreadRunIncomplete
    | ThreadRunFailed
    | ThreadRunCancelling
    | ThreadRunCancelled
    | ThreadRunExpired
    | ThreadRunStepCreated
    | ThreadRunStepInProgress
    | ThreadRunStepDelta
    | ThreadRunStepCompleted
    | ThreadRunStepFailed
    | ThreadRunStepCancelled
    | ThreadRunStepExpired
    | ThreadMessageCreated
    | ThreadMessageInProgress
    | ThreadMessageDelta
    | ThreadMessageCompleted
    | ThreadMessageIncomplete
    | ErrorEvent
)
"""The events this version knows."""


class UnknownEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An event this version cannot type: a new name, or a payload of a shape nobody has described.

    `data` is the payload's JSON as it came (a payload that is not JSON is kept as a JSON string), so the
    event encodes byte for byte; `json()` parses it.
    """

    event: str
    data: msgspec.Raw
    synthesized: bool = False

    def json(self) -> object:
        """The payload, parsed."""
        return parse(bytes(self.data))


RunEvent = AssistantStreamEvent | UnknownEvent
"""What iterating a stream yields. Match on the class: `event.event == "..."` does not narrow the type."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """How one event is decoded, and what it does to the stream.

    `decode_lines` decodes payloads that stand one a line; `tells` is True where the payload is the run or the thread
    itself, or may tell what a run has spent; `stops` is the status that ends the stream, or None.
    """

    cls: type[AssistantStreamEvent]
    decode: Callable[[bytes], object]
    decode_lines: Callable[[bytes], list[object]]
    payload: type[object]
    tells: bool
    stops: str | None

    def outcome(self, status: str | None) -> str | None:
        """What the run has stopped with, where the event stops it, and the run in it says that status.

        open-assistant-api names an event "completed" whose run says "requires_action": the run is right.
        """
        return self.stops and (status if status in STOPPING_RUN_STATUSES else self.stops)

    def around(self, data: object) -> AssistantStreamEvent:
        """The event around a payload that is already of the right type."""
        return self.cls(data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _entry(cls: type[AssistantStreamEvent]) -> Entry:
    payload = cast("type[object]", cls.__annotations__["data"])
    status = cls.event.rpartition(".")[2]
    stops = status if payload is Run and status in STOPPING_RUN_STATUSES else None
    tells = payload in (Run, ThreadObject) or cls is ThreadMessageInProgress
    decoder = msgspec.json.Decoder(payload)
    return Entry(cls, decoder.decode, decoder.decode_lines, payload, tells, stops)


EVENT_CLASSES: tuple[type[AssistantStreamEvent], ...] = AssistantStreamEvent.__args__
REGISTRY: Mapping[str, Entry] = {cls.event: _entry(cls) for cls in EVENT_CLASSES}
"""Every known event by its wire name."""

EVENT_LINES: Mapping[bytes, str] = {f"event: {name}".encode(): name for name in REGISTRY}
"""For the fast path of the SSE decoder."""

FAST: Mapping[str, Entry] = {name: entry for name, entry in REGISTRY.items() if entry.cls is not ErrorEvent}
"""The events whose payload has one shape everywhere. An error comes flat, wrapped or as text."""
