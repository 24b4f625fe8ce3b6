"""What a run has begun to say and not yet ended: messages and tool calls in the making.

A draft takes pieces and returns the delta that tells of each; at the end it gives the whole. Pieces are joined once.
"""

from collections.abc import Mapping

from .models import (
    AnnotationDelta,
    FunctionCall,
    FunctionCallDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    Message,
    MessageContent,
    MessageDelta,
    MessageDeltaEvent,
    RequiredActionFunction,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolOutputs,
    RunStepDelta,
    RunStepDeltaEvent,
    SubmitToolOutputsAction,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    Usage,
)


class _Shown(tuple[AnnotationDelta, ...]):
    """An empty tuple that is written as `[]`: optional parts are left out where they are their default, by identity."""

    __slots__ = ()


_NO_ANNOTATIONS_YET = _Shown()


class Draft:
    """What is open in the step `step_id`, and what the step has spent."""

    def __init__(self, step_id: str) -> None:
        self.step_id = step_id
        self.usage: Usage | None = None

    def spend(self, usage: Usage) -> None:
        """Adds to what was spent."""
        self.usage = add_usage(self.usage, usage)


class MessageDraft(Draft):
    """A message that is being written. `message` is it at its beginning."""

    def __init__(self, step_id: str, message: Message) -> None:
        super().__init__(step_id)
        self.message = message
        self._pieces: list[str] = []

    def say(self, value: str) -> MessageDeltaEvent:
        """Adds text. The first delta shows that there are no annotations, as OpenAI's does."""
        text = TextDelta(value) if self._pieces else TextDelta(value, _NO_ANNOTATIONS_YET)
        self._pieces.append(value)
        return MessageDeltaEvent(self.message.id, delta=MessageDelta(content=(TextDeltaBlock(0, text),)))

    def content(self) -> tuple[MessageContent, ...]:
        """What the message has come to."""
        return (TextContentBlock(Text("".join(self._pieces))),)


class _Call:
    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.pieces: list[str] = []


class CallsDraft(Draft):
    """Function calls that are being made, or wait for their outputs."""

    def __init__(self, step_id: str) -> None:
        super().__init__(step_id)
        self._calls: list[_Call] = []

    @property
    def ids(self) -> list[str]:
        """The calls' ids, in order."""
        return [call.id for call in self._calls]

    def call(self, id: str, name: str) -> RunStepDeltaEvent:
        """Adds a call. Raises `ValueError`: the id is taken, so that no output could say which call it is for."""
        if id in self.ids:
            raise ValueError(f"two tool calls have the id {id!r}")
        self._calls.append(_Call(id, name))
        return self._delta(FunctionCallDelta(name, ""), id)

    def argue(self, value: str) -> RunStepDeltaEvent:
        """Adds to the arguments of the last call."""
        self._calls[-1].pieces.append(value)
        return self._delta(FunctionCallDelta(arguments=value))

    def _delta(self, function: FunctionCallDelta, id: str | None = None) -> RunStepDeltaEvent:
        part = FunctionToolCallDelta(len(self._calls) - 1, id, function)
        return RunStepDeltaEvent(self.step_id, delta=RunStepDelta(ToolCallsDeltaObject((part,))))

    def details(self, outputs: Mapping[str, str] | None = None) -> ToolCallsStepDetails:
        """The calls as far as they have come, with their outputs where there are any."""
        outputs = outputs or {}
        return ToolCallsStepDetails(
            tuple(
                FunctionToolCall(call.id, FunctionCall(call.name, "".join(call.pieces), outputs.get(call.id)))
                for call in self._calls
            )
        )

    def required_action(self) -> SubmitToolOutputsAction:
        """What the caller must do for the run to go on."""
        return SubmitToolOutputsAction(
            RequiredActionSubmitToolOutputs(
                tuple(
                    RequiredActionFunctionToolCall(call.id, RequiredActionFunction(call.name, "".join(call.pieces)))
                    for call in self._calls
                )
            )
        )


def add_usage(one: Usage | None, two: Usage) -> Usage:
    """Both together."""
    one = one or Usage()
    return Usage(
        one.completion_tokens + two.completion_tokens,
        one.prompt_tokens + two.prompt_tokens,
        one.total_tokens + two.total_tokens,
    )
