"""A run step: one thing a run did, a message written or tools called."""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import Metadata, Model, Partial, Seconds, UnknownPart
from .run import LastError
from .tool import FileSearchRankingOptions
from .usage import Usage

RunStepStatus = Literal["in_progress", "cancelled", "failed", "completed", "expired"] | str


class CodeInterpreterLogs(Model, frozen=True, tag="logs"):
    """Text that the code printed."""

    type: ClassVar[Literal["logs"]] = "logs"
    logs: str = ""


class CodeInterpreterOutputImageFile(Model, frozen=True):
    """The file an image was stored as."""

    file_id: str = ""


class CodeInterpreterOutputImage(Model, frozen=True, tag="image"):
    """An image that the code drew."""

    type: ClassVar[Literal["image"]] = "image"
    image: CodeInterpreterOutputImageFile


if TYPE_CHECKING:
    CodeInterpreterOutput = CodeInterpreterLogs | CodeInterpreterOutputImage | UnknownPart
else:
    CodeInterpreterOutput = CodeInterpreterLogs | CodeInterpreterOutputImage


class CodeInterpreter(Model, frozen=True):
    """Code that was run, and what came of it."""

    input: str = ""
    outputs: tuple[CodeInterpreterOutput, ...] = ()


class CodeInterpreterToolCall(Model, frozen=True, tag="code_interpreter"):
    """One use of the code interpreter."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"
    id: str
    code_interpreter: CodeInterpreter


class FileSearchResultContent(Partial, frozen=True):
    """A piece of a file that was found. `type` is "text"."""

    type: Literal["text"] | str = "text"
    text: str | None = None


class FileSearchResult(Partial, frozen=True):
    """A file that was found; `content` only where the request asked to `include` it."""

    file_id: str
    file_name: str = ""
    score: float | None = None
    content: tuple[FileSearchResultContent, ...] | None = None


class FileSearch(Partial, frozen=True):
    """What a file search was asked and found."""

    ranking_options: FileSearchRankingOptions | None = None
    results: tuple[FileSearchResult, ...] | None = None


class FileSearchToolCall(Model, frozen=True, tag="file_search"):
    """One use of file search."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    id: str
    file_search: FileSearch


class FunctionCall(Model, frozen=True):
    """A function that was called. `output` is None until the outputs are submitted."""

    name: str = ""
    arguments: str = ""
    output: str | None = None


class FunctionToolCall(Model, frozen=True, tag="function"):
    """One call of a function of the caller."""

    type: ClassVar[Literal["function"]] = "function"
    id: str
    function: FunctionCall


if TYPE_CHECKING:
    ToolCall = CodeInterpreterToolCall | FileSearchToolCall | FunctionToolCall | UnknownPart
else:
    ToolCall = CodeInterpreterToolCall | FileSearchToolCall | FunctionToolCall


class ToolCallsStepDetails(Model, frozen=True, tag="tool_calls"):
    """The step called tools."""

    type: ClassVar[Literal["tool_calls"]] = "tool_calls"
    tool_calls: tuple[ToolCall, ...] = ()


class MessageCreation(Model, frozen=True):
    """The message the step wrote."""

    message_id: str = ""


class MessageCreationStepDetails(Model, frozen=True, tag="message_creation"):
    """The step wrote a message."""

    type: ClassVar[Literal["message_creation"]] = "message_creation"
    message_creation: MessageCreation


if TYPE_CHECKING:
    StepDetails = MessageCreationStepDetails | ToolCallsStepDetails | UnknownPart
else:
    StepDetails = MessageCreationStepDetails | ToolCallsStepDetails


class RunStep(Model, frozen=True):
    """One thing a run did. All times are Unix seconds.

    `expired_at` is when the step expired; `expires_at` is its deadline. Every streamed step
    seen so far carries the second and not the first, whatever the schema says.
    """

    id: str
    object: Literal["thread.run.step"] | str = "thread.run.step"
    created_at: Seconds | None = None
    assistant_id: str | None = None
    thread_id: str = ""
    run_id: str = ""
    type: Literal["message_creation", "tool_calls"] | str | None = None
    status: RunStepStatus | None = None
    step_details: StepDetails | None = None
    last_error: LastError | None = None
    expired_at: Seconds | None = None
    cancelled_at: Seconds | None = None
    failed_at: Seconds | None = None
    completed_at: Seconds | None = None
    metadata: Metadata | None = None
    usage: Usage | None = None
    expires_at: Seconds | None = None
