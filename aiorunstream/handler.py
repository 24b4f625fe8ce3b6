"""What a handler is told of a run: one method for each kind of thing that happens, and which of them an event calls for.

`AssistantEventHandler` has the method names of the official client. `Callbacks` is pure: an event goes in, calls come out, in
order, each exactly once; who makes the calls awaits what is to be awaited.
"""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import ClassVar

from .events import (
    RunEvent,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadRunRequiresAction,
    ThreadRunStepCancelled,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepExpired,
    ThreadRunStepFailed,
)
from .fragments import Entry
from .models import (
    ImageFile,
    ImageFileContentBlock,
    Message,
    MessageContent,
    MessageDelta,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
)
from .snapshot import RunSnapshot

Told = Awaitable[None] | None
"""What a method returns: nothing, or something to await."""
Call = Callable[[], Told]
Find = Callable[[object, int], tuple[Entry, int] | None]
"""Where a fragment of a delta went to, and where that stands; the fragment has a place in its delta, too."""

_OF_MESSAGE_DELTAS = ("on_message_delta", "on_text_created", "on_text_delta", "on_text_done", "on_image_file_done")
_OF_STEP_DELTAS = ("on_run_step_delta", "on_tool_call_created", "on_tool_call_delta", "on_tool_call_done")


class AssistantEventHandler:
    """Is told what happens in a run. Override what you want to know, with `def` or with `async def`.

    An exception of a method is raised to whoever reads the stream. Text is done when the next part of its message begins, or
    when the message ends; a tool call when the next begins, when its step ends, or when the run waits for its output. One
    handler may serve many streams.

    The names, and the order in which an event calls them, are the official client's; only that what ends is told before what
    begins in its place.
    """

    def on_event(self, event: RunEvent) -> Told:
        """Anything happened. Called before the methods below."""

    def on_message_created(self, message: Message) -> Told:
        """A message has begun; it is empty yet."""

    def on_message_delta(self, delta: MessageDelta, snapshot: Message) -> Told:
        """A piece of a message came. `snapshot` is the message with it; making it costs as much as the message is long."""

    def on_message_done(self, message: Message) -> Told:
        """A message is over: whole, or incomplete."""

    def on_text_created(self, text: Text) -> Told:
        """A text has begun; `text` holds its first piece."""

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> Told:
        """A piece of a text came, the first one too. `snapshot` is the text with it."""

    def on_text_done(self, text: Text) -> Told:
        """A text is over."""

    def on_image_file_done(self, image_file: ImageFile) -> Told:
        """An image is over."""

    def on_run_step_created(self, run_step: RunStep) -> Told:
        """A step has begun."""

    def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> Told:
        """A piece of a step came. `snapshot` is the step with it."""

    def on_run_step_done(self, run_step: RunStep) -> Told:
        """A step is over: completed, failed, cancelled or expired."""

    def on_tool_call_created(self, tool_call: ToolCall) -> Told:
        """A tool call has begun; `tool_call` holds its first piece."""

    def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> Told:
        """A further piece of a tool call came. `snapshot` is the call with it."""

    def on_tool_call_done(self, tool_call: ToolCall) -> Told:
        """A tool call is all there: its arguments are whole. Its output is another matter."""

    def on_exception(self, exception: Exception) -> Told:
        """The stream failed; the exception is raised right after. Not called for an exception of this handler."""

    def on_end(self) -> Told:
        """The stream is over, in whatever way. Called once, last."""


class _Parts:
    """The parts of one message, or the calls of one step, that were told to have begun; one at a time is being written."""

    def __init__(self) -> None:
        self._begun: dict[Entry, tuple[object, int]] = {}  # by its first fragment, and the place of that in its delta
        self._done: set[Entry] = set()
        self._current: Entry | None = None
        self._place = 0

    def is_current(self, entry: Entry) -> bool:
        """Whether this is the one that is being written."""
        return self._current is entry

    def go_to(self, entry: Entry, place: int, fragment: object, at: int) -> bool:
        """Says that this one is written now, and where it stands; returns whether that is new."""
        self._current, self._place = entry, place
        is_new = entry not in self._begun
        self._begun.setdefault(entry, (fragment, at))
        return is_new

    def finish(self, find: Find | None = None) -> int | None:
        """Where the one stands that was being written and is done now; None where there is none, or it was done before.

        `find` looks it up again, where others may have begun in front of it.
        """
        current = self._current
        if current is None or current in self._done:
            return None
        self._done.add(current)
        again = None if find is None else find(*self._begun[current])
        return self._place if again is None or again[0] is not current else again[1]


class Callbacks:
    """Which methods of a handler an event calls for.

    Args:
        handler: is told.
        snapshot: has taken in each event before this is asked about it.
    """

    def __init__(self, handler: AssistantEventHandler, snapshot: RunSnapshot) -> None:
        self._handler = handler
        self._snapshot = snapshot
        self._messages: dict[str, _Parts] = {}
        self._steps: dict[str, _Parts] = {}
        self._begun: set[str] = set()  # ids of what was told to have begun
        self._over: set[str] = set()

    def of(self, event: RunEvent) -> Iterator[Call]:
        """The calls of an event, each to be made before the next is asked for."""
        if self._wants("on_event"):
            yield partial(self._handler.on_event, event)
        find = self._KINDS.get(type(event))
        if find is not None:
            yield from find(self, event.data)

    def _wants(self, *names: str) -> bool:
        """Whether the handler overrides any of these: what nobody listens to is not made."""
        return any(
            getattr(type(self._handler), name, None) is not getattr(AssistantEventHandler, name)
            or name in vars(self._handler)
            for name in names
        )

    # -- messages ----------------------------------------------------------------------------------------------------

    def _message_created(self, message: Message) -> Iterator[Call]:
        if message.id not in self._begun:
            self._begun.add(message.id)
            yield partial(self._handler.on_message_created, message)

    def _message_delta(self, event: MessageDeltaEvent) -> Iterator[Call]:
        handler = self._handler
        message = self._snapshot.message(event.id) if self._wants(*_OF_MESSAGE_DELTAS) else None
        if message is None or event.id in self._over:
            return
        parts = self._messages.setdefault(event.id, _Parts())
        find = partial(self._snapshot.place_in_message, event.id)
        for at, delta in enumerate(event.delta.content):
            found = find(delta, at)
            if found is None:
                continue  # the snapshot is ahead: there the message is over
            entry, place = found
            if not parts.is_current(entry):
                yield from self._part_done(parts, message, find)
            is_new = parts.go_to(entry, place, delta, at)
            part = message.content[place]
            if isinstance(part, TextContentBlock) and isinstance(delta, TextDeltaBlock):
                text, piece = part.text, delta.text
                if is_new:
                    yield partial(handler.on_text_created, text)
                if piece is not None:
                    yield partial(handler.on_text_delta, piece, text)
        yield partial(handler.on_message_delta, event.delta, message)

    def _part_done(self, parts: _Parts, message: Message, find: Find | None = None) -> Iterator[Call]:
        place = parts.finish(find)
        if place is not None and place < len(message.content):
            yield from self._content_done(message.content[place])

    def _content_done(self, part: MessageContent) -> Iterator[Call]:
        if isinstance(part, TextContentBlock):
            yield partial(self._handler.on_text_done, part.text)
        elif isinstance(part, ImageFileContentBlock):
            yield partial(self._handler.on_image_file_done, part.image_file)

    def _message_done(self, message: Message) -> Iterator[Call]:
        if message.id in self._over:
            return
        self._over.add(message.id)
        parts = self._messages.pop(message.id, _Parts())
        yield from self._part_done(parts, message)
        yield partial(self._handler.on_message_done, message)

    # -- steps -------------------------------------------------------------------------------------------------------

    def _step_created(self, step: RunStep) -> Iterator[Call]:
        if step.id not in self._begun:
            self._begun.add(step.id)
            yield partial(self._handler.on_run_step_created, step)

    def _step_delta(self, event: RunStepDeltaEvent) -> Iterator[Call]:
        handler = self._handler
        step = self._snapshot.run_step(event.id) if self._wants(*_OF_STEP_DELTAS) else None
        if step is None or event.id in self._over:
            return
        details = event.delta.step_details
        if isinstance(details, ToolCallsDeltaObject):
            yield from self._calls_delta(event.id, details, step)
        yield partial(handler.on_run_step_delta, event.delta, step)

    def _calls_delta(self, step_id: str, details: ToolCallsDeltaObject, step: RunStep) -> Iterator[Call]:
        handler, known = self._handler, _calls_of(step)
        calls = self._steps.setdefault(step_id, _Parts())
        find = partial(self._snapshot.place_in_run_step, step_id)
        for at, delta in enumerate(details.tool_calls):
            found = find(delta, at)
            if found is None:
                continue  # the step is of another type
            entry, place = found
            if not calls.is_current(entry):
                yield from self._call_done(calls, step, find)
            call = known[place]
            if calls.go_to(entry, place, delta, at):
                yield partial(handler.on_tool_call_created, call)
            else:
                yield partial(handler.on_tool_call_delta, delta, call)

    def _call_done(self, calls: _Parts, step: RunStep, find: Find | None = None) -> Iterator[Call]:
        place, known = calls.finish(find), _calls_of(step)
        if place is not None and place < len(known):
            yield partial(self._handler.on_tool_call_done, known[place])

    def _step_done(self, step: RunStep) -> Iterator[Call]:
        if step.id in self._over:
            return
        self._over.add(step.id)
        yield from self._call_done(self._steps.pop(step.id, _Parts()), step)
        yield partial(self._handler.on_run_step_done, step)

    def _waits_for_outputs(self, _run: Run) -> Iterator[Call]:
        for id, calls in self._steps.items():
            step = self._snapshot.run_step(id)
            assert step is not None, "it has taken in their deltas"
            yield from self._call_done(calls, step)

    _KINDS: ClassVar[dict[type[object], Callable[..., Iterator[Call]]]] = {
        ThreadMessageCreated: _message_created,
        ThreadMessageDelta: _message_delta,
        ThreadMessageCompleted: _message_done,
        ThreadMessageIncomplete: _message_done,
        ThreadRunStepCreated: _step_created,
        ThreadRunStepDelta: _step_delta,
        ThreadRunStepCompleted: _step_done,
        ThreadRunStepFailed: _step_done,
        ThreadRunStepCancelled: _step_done,
        ThreadRunStepExpired: _step_done,
        ThreadRunRequiresAction: _waits_for_outputs,
    }


def _calls_of(step: RunStep) -> tuple[ToolCall, ...]:
    details = step.step_details
    return details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()
