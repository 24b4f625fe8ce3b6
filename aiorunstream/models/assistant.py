"""An assistant: a model with its instructions, tools and settings."""

from typing import Literal

from ._base import Metadata, Model, Seconds
from .tool import AssistantResponseFormatOption, AssistantTool, ToolResources


class Assistant(Model, frozen=True):
    """A model with its instructions, tools and settings."""

    id: str
    object: Literal["assistant"] | str = "assistant"
    created_at: Seconds | None = None
    name: str | None = None
    description: str | None = None
    model: str | None = None
    instructions: str | None = None
    tools: tuple[AssistantTool, ...] = ()
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: AssistantResponseFormatOption | None = None


class AssistantDeleted(Model, frozen=True):
    """The answer to the deletion of an assistant."""

    id: str
    object: Literal["assistant.deleted"] | str = "assistant.deleted"
    deleted: bool = True
