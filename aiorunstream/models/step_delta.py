"""What changed in a run step while it streams.

`index` says which tool call or output a fragment belongs to; `type` is in every fragment,
`id` and `name` only in the first. Fragments of `arguments`, `input` and `logs` are concatenated.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import JSONObject, Model, Partial, UnknownPart


class CodeInterpreterLogsDelta(Partial, frozen=True, tag="logs"):
    """More text that the code printed."""

    type: ClassVar[Literal["logs"]] = "logs"
    index: int
    logs: str | None = None


class CodeInterpreterOutputImageFileDelta(Partial, frozen=True):
    """The file an image was stored as."""

    file_id: str | None = None


class CodeInterpreterOutputImageDelta(Partial, frozen=True, tag="image"):
    """An image that the code drew."""

    type: ClassVar[Literal["image"]] = "image"
    index: int
    image: CodeInterpreterOutputImageFileDelta | None = None


if TYPE_CHECKING:
    CodeInterpreterOutputDelta = CodeInterpreterLogsDelta | CodeInterpreterOutputImageDelta | UnknownPart
else:
    CodeInterpreterOutputDelta = CodeInterpreterLogsDelta | CodeInterpreterOutputImageDelta


class CodeInterpreterDelta(Partial, frozen=True):
    """More code, or more of what came of it."""

    input: str | None = None
    outputs: tuple[CodeInterpreterOutputDelta, ...] = ()


class CodeInterpreterToolCallDelta(Partial, frozen=True, tag="code_interpreter"):
    """A fragment of a code interpreter call."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"
    index: int
    id: str | None = None
    code_interpreter: CodeInterpreterDelta | None = None


class FileSearchToolCallDelta(Partial, frozen=True, tag="file_search"):
    """A fragment of a file search call; what is inside `file_search` is left open by the protocol."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    index: int
    file_search: JSONObject
    id: str | None = None


class FunctionCallDelta(Partial, frozen=True):
    """A fragment of a function call."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class FunctionToolCallDelta(Partial, frozen=True, tag="function"):
    """A fragment of a function call with its place among the step's calls."""

    type: ClassVar[Literal["function"]] = "function"
    index: int
    id: str | None = None
    function: FunctionCallDelta | None = None


if TYPE_CHECKING:
    ToolCallDelta = CodeInterpreterToolCallDelta | FileSearchToolCallDelta | FunctionToolCallDelta | UnknownPart
else:
    ToolCallDelta = CodeInterpreterToolCallDelta | FileSearchToolCallDelta | FunctionToolCallDelta


class ToolCallsDeltaObject(Partial, frozen=True, tag="tool_calls"):
    """Fragments of the step's tool calls."""

    type: ClassVar[Literal["tool_calls"]] = "tool_calls"
    tool_calls: tuple[ToolCallDelta, ...] = ()


class MessageCreationDelta(Partial, frozen=True):
    """The message the step writes."""

    message_id: str | None = None


class MessageCreationDeltaObject(Partial, frozen=True, tag="message_creation"):
    """The step names the message it writes."""

    type: ClassVar[Literal["message_creation"]] = "message_creation"
    message_creation: MessageCreationDelta | None = None


if TYPE_CHECKING:
    StepDetailsDelta = MessageCreationDeltaObject | ToolCallsDeltaObject | UnknownPart
else:
    StepDetailsDelta = MessageCreationDeltaObject | ToolCallsDeltaObject


class RunStepDelta(Partial, frozen=True):
    """What changed."""

    step_details: StepDetailsDelta | None = None


class RunStepDeltaEvent(Model, frozen=True):
    """What changed in the step `id`."""

    id: str
    object: Literal["thread.run.step.delta"] | str = "thread.run.step.delta"
    delta: RunStepDelta = RunStepDelta()
