"""Messages and steps as they grow: what their deltas have come to so far, until the final object replaces it."""

from collections.abc import Iterator
from typing import TypeVar, cast

import msgspec

from .fragments import Entries, Entry, Joined, Kind, kind_of, merge, settled_fields
from .models import (
    FunctionToolCallDelta,
    JSONObject,
    Message,
    MessageContent,
    MessageCreation,
    MessageCreationStepDetails,
    MessageDelta,
    RunStep,
    RunStepDelta,
    StepDetails,
    StepDetailsDelta,
    TextDeltaBlock,
    ToolCall,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)
from .repair import build

T = TypeVar("T", Message, RunStep)
P = TypeVar("P")

_TEXT: Kind = (True, "text")
_VALUE = ("text", "value")
_FUNCTION: Kind = (True, "function")
_SAYS_NOTHING: tuple[object, ...] = (
    None,
    "",
    0,
    (),
    {},
    ToolCallsStepDetails(),
    MessageCreationStepDetails(MessageCreation()),
)
# As the builder sees them: unions of Structs, to which it adds the UnknownPart.
_CONTENT = cast("type[MessageContent]", MessageContent)
_TOOL_CALL = cast("type[ToolCall]", ToolCall)
_DETAILS = cast("type[StepDetails]", StepDetails)
_HOLDS_OBJECT = frozenset(
    {"text", "image_file", "image_url", "function", "code_interpreter", "file_search", "message_creation"}
)
"""Parts that hold an object under the name of their own type."""


class GrowingMessage:
    """A message of which `id` is known.

    Attributes:
        open_texts: the pieces of each text that is being written, by index; whoever appends to one sets `built` to None.
        built: what was made of the pieces when it was last asked for.
        is_final: its final object has come; nothing changes it but another final one.
    """

    __slots__ = ("_base", "_content", "built", "is_final", "open_texts")

    def __init__(self, id: str) -> None:
        self._base = Message(id)
        self._content: Entries | None = None
        self.open_texts: dict[int, list[str]] = {}
        self.built: Message | None = None
        self.is_final = False

    def describe(self, message: Message) -> None:
        """Takes what an event of its beginning says; the content counts until the first delta."""
        if not self.is_final:
            self._base = _updated(self._base, message)
            self.built = None

    def grow(self, delta: MessageDelta) -> None:
        """Takes a delta."""
        if self.is_final:
            return
        if delta.role and delta.role != self._base.role:
            self._base = msgspec.structs.replace(self._base, role=delta.role)
        content = self._content = self.content()
        content.add(delta.content)
        for part in delta.content:
            if (
                isinstance(part, TextDeltaBlock)
                and (text := _joined(content.newest(part.index, _TEXT), *_VALUE)) is not None
            ):
                self.open_texts[part.index] = text.pieces
        self.built = None

    def place_of(self, part: object, place: int) -> tuple[Entry, int] | None:
        """What a part of a delta went to, and where that stands in the content; None once the message is final."""
        return None if self._content is None else self._content.place_of(part, place)

    def end(self, message: Message) -> None:
        """Takes the final object, whole."""
        self._base, self._content, self.built, self.is_final = message, None, None, True
        self.open_texts.clear()

    def content(self) -> Entries:
        """The parts that have come, by index."""
        if self._content is not None:
            return self._content
        content = Entries(own=True)
        content.add(self._base.content)
        return content

    @property
    def role(self) -> str | None:
        """Who wrote it, if that was said."""
        return self._base.role

    @property
    def message(self) -> Message:
        """It, as far as it has come."""
        if self._content is None:
            return self._base
        if self.built is None:
            parts = tuple(_built(entry, _CONTENT) for entry in self._content.ordered())
            self.built = msgspec.structs.replace(self._base, content=parts)
        return self.built

    @property
    def text(self) -> str:
        """Its text parts, joined."""
        return self._base.text if self._content is None else "".join([text.join() for text in self._texts()])

    @property
    def last_pieces(self) -> list[str] | None:
        """The pieces of its last text, if it is being written."""
        texts = self._texts()
        return texts[-1].pieces if texts else None

    def _texts(self) -> list[Joined]:
        entries = [] if self._content is None else self._content.ordered()
        return [text for entry in entries if (text := _joined(entry, *_VALUE)) is not None]


class GrowingStep:
    """A step of which `id` is known. Its details are of the type that was named first."""

    __slots__ = ("_base", "_built", "_details", "_kind", "_open_arguments", "is_final")

    def __init__(self, id: str) -> None:
        self._base = RunStep(id)
        self._details: JSONObject = {}
        self._kind: Kind | None = None
        self._built: RunStep | None = None
        self._open_arguments: dict[int, list[str]] = {}
        self.is_final = False

    def describe(self, step: RunStep) -> None:
        """Takes what an event of its beginning says; the details count until the first delta."""
        if not self.is_final:
            self._base = _updated(self._base, step)
            self._built = None

    def grow(self, delta: RunStepDelta) -> None:
        """Takes a delta."""
        if self.is_final or delta.step_details is None or self._argues(delta.step_details):
            return
        kind = kind_of(delta.step_details)
        if self._kind is None:
            self._details = self.details()
            self._kind = kind_of(self._base.step_details) if self._base.step_details else kind
        if kind == self._kind or (kind == (False, None) and not self._kind[0]):
            merge(self._details, delta.step_details)
            self._built = None
            self._open_arguments.update(self._arguments_in(delta.step_details))

    def _argues(self, details: StepDetailsDelta) -> bool:
        """Takes in more arguments of a call that has begun, which is what nearly all deltas of steps say."""
        if type(details) is not ToolCallsDeltaObject or len(details.tool_calls) != 1:
            return False
        call = details.tool_calls[0]
        if type(call) is not FunctionToolCallDelta or call.id or (function := call.function) is None:
            return False
        pieces = self._open_arguments.get(call.index)
        if pieces is None or function.arguments is None or function.name or function.output is not None:
            return False
        pieces.append(function.arguments)
        self._built = None
        return True

    def _arguments_in(self, details: StepDetailsDelta) -> Iterator[tuple[int, list[str]]]:
        """The pieces of the arguments of each function call a delta is of, by index."""
        calls = self._details.get("tool_calls")
        if isinstance(details, ToolCallsDeltaObject) and isinstance(calls, Entries):
            for call in details.tool_calls:
                if isinstance(call, FunctionToolCallDelta):
                    arguments = _joined(calls.newest(call.index, _FUNCTION), "function", "arguments")
                    if arguments is not None:
                        yield call.index, arguments.pieces

    def place_of(self, call: object, place: int) -> tuple[Entry, int] | None:
        """What a piece of a tool call went to, and where that stands among the calls; None once the step is final."""
        calls = self._details.get("tool_calls")
        return calls.place_of(call, place) if isinstance(calls, Entries) else None

    def end(self, step: RunStep) -> None:
        """Takes the final object, whole."""
        self._open_arguments.clear()
        self._base, self._details, self._kind, self._built, self.is_final = step, {}, None, None, True

    def details(self) -> JSONObject:
        """The details that have come."""
        if self._kind is not None:
            return self._details
        details: JSONObject = {}
        if self._base.step_details is not None:
            merge(details, self._base.step_details)
        return details

    @property
    def step(self) -> RunStep:
        """It, as far as it has come."""
        if self._kind is None:
            return self._base
        if self._built is None:
            self._built = msgspec.structs.replace(self._base, step_details=self._whole_details(self._kind))
        return self._built

    def _whole_details(self, kind: Kind) -> StepDetails:
        calls = self._details.get("tool_calls")
        if kind == (True, "tool_calls") and isinstance(calls, Entries):
            return ToolCallsStepDetails(tuple(_built(entry, _TOOL_CALL) for entry in calls.ordered()))
        return _whole(self._details, _DETAILS, known=kind[0])


def _updated(base: T, new: T) -> T:
    """The newer of two, with what only the older one says: servers send some fields once only, and empty later."""
    known: dict[str, object] = {}
    for name in base.__struct_fields__:
        old, newer = cast(object, getattr(base, name)), cast(object, getattr(new, name))
        if newer is None or (newer in _SAYS_NOTHING and old not in _SAYS_NOTHING):
            known[name] = old
    return msgspec.structs.replace(new, **known)


def _joined(entry: Entry | None, type: str, name: str) -> Joined | None:
    """The text of that name in a part of that type, if some has come."""
    if entry is None or not entry.known:
        return None
    text = cast("JSONObject", entry.fields.get(type, {})).get(name)
    return text if isinstance(text, Joined) else None


def _built(entry: Entry, kind: type[P]) -> P:
    return _whole(entry.fields, kind, known=entry.known)


def _whole(part: JSONObject, kind: type[P], *, known: bool) -> P:
    """The part that the fragments make, or, where they do not make one yet, an `UnknownPart` with what they say."""
    whole = settled_fields(part)
    if not known:
        return cast(P, UnknownPart(whole))
    type = whole.get("type")
    inner: JSONObject = {type: {}} if isinstance(type, str) and type in _HOLDS_OBJECT else {}
    made = build({"id": "", **inner, **whole}, kind)  # a call may well begin without its id, a text without its text
    return cast(P, UnknownPart(whole)) if isinstance(made, UnknownPart) else made
