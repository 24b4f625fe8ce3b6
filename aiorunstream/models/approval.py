"""What a run asks leave for. Only Azure's servers do: their own tools may call servers of the MCP for a run."""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import Model, UnknownPart


class RequiredActionMCPToolCall(Model, frozen=True, tag="mcp"):
    """A call of a tool of an MCP server that waits for leave. `arguments` is JSON text as the model wrote it."""

    type: ClassVar[Literal["mcp"]] = "mcp"
    id: str
    name: str = ""
    arguments: str = ""
    server_label: str = ""


if TYPE_CHECKING:
    RequiredActionApproval = RequiredActionMCPToolCall | UnknownPart
else:
    RequiredActionApproval = RequiredActionMCPToolCall


class RequiredActionSubmitToolApproval(Model, frozen=True):
    """The calls that wait, all to be decided in one request."""

    tool_calls: tuple[RequiredActionApproval, ...] = ()


class SubmitToolApprovalAction(Model, frozen=True, tag="submit_tool_approval"):
    """The run waits for leave to make calls; it makes them itself."""

    type: ClassVar[Literal["submit_tool_approval"]] = "submit_tool_approval"
    submit_tool_approval: RequiredActionSubmitToolApproval
