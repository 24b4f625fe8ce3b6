"""Tools an assistant may use, how one is chosen, and the shape an answer must take."""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import JSONObject, Model, Partial, UnknownPart


class FunctionDefinition(Partial, frozen=True):
    """A function the model may call: its name, what it does, and the JSON Schema of its arguments."""

    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None


class FunctionTool(Model, frozen=True, tag="function"):
    """A tool that is a function of the caller."""

    type: ClassVar[Literal["function"]] = "function"
    function: FunctionDefinition


class CodeInterpreterTool(Model, frozen=True, tag="code_interpreter"):
    """The server's own code interpreter."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"


class FileSearchRankingOptions(Partial, frozen=True):
    """How file search ranks what it finds: `score_threshold` is between 0 and 1."""

    score_threshold: float | None = None
    ranker: Literal["auto", "default_2024_08_21"] | str | None = None


class FileSearchOptions(Partial, frozen=True):
    """Settings of the file search tool: `max_num_results` is between 1 and 50."""

    max_num_results: int | None = None
    ranking_options: FileSearchRankingOptions | None = None


class FileSearchTool(Partial, frozen=True, tag="file_search"):
    """The server's own search over vector stores."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    file_search: FileSearchOptions | None = None


if TYPE_CHECKING:
    AssistantTool = CodeInterpreterTool | FileSearchTool | FunctionTool | UnknownPart
else:
    AssistantTool = CodeInterpreterTool | FileSearchTool | FunctionTool


class AssistantToolChoiceFunction(Model, frozen=True):
    """The name of the function that must be called."""

    name: str


class AssistantToolChoice(Partial, frozen=True):
    """One tool that must be used. `type` is a tool's type; `function` only where that is "function"."""

    type: Literal["function", "code_interpreter", "file_search"] | str
    function: AssistantToolChoiceFunction | None = None


AssistantToolChoiceOption = Literal["none", "auto", "required"] | str | AssistantToolChoice


class ResponseFormatText(Model, frozen=True, tag="text"):
    """Plain text."""

    type: ClassVar[Literal["text"]] = "text"


class ResponseFormatJSONObject(Model, frozen=True, tag="json_object"):
    """Any JSON object."""

    type: ClassVar[Literal["json_object"]] = "json_object"


class JSONSchema(Partial, frozen=True):
    """A named JSON Schema that the answer must fit."""

    name: str
    description: str | None = None
    schema: JSONObject | None = None
    strict: bool | None = None


class ResponseFormatJSONSchema(Model, frozen=True, tag="json_schema"):
    """JSON that fits a schema."""

    type: ClassVar[Literal["json_schema"]] = "json_schema"
    json_schema: JSONSchema


if TYPE_CHECKING:
    AssistantResponseFormatOption = (
        Literal["auto"] | str | ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema | UnknownPart
    )
else:
    AssistantResponseFormatOption = str | ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema


class CodeInterpreterResources(Partial, frozen=True):
    """Files the code interpreter may open (at most 20)."""

    file_ids: tuple[str, ...] = ()


class FileSearchResources(Partial, frozen=True):
    """Vector stores that file search looks in (at most one)."""

    vector_store_ids: tuple[str, ...] = ()


class ToolResources(Partial, frozen=True):
    """What the server's own tools may reach."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None
