"""A thread: the conversation that messages and runs belong to."""

from typing import Literal

from ._base import Metadata, Model, Seconds
from .tool import ToolResources


class Thread(Model, frozen=True):
    """A conversation."""

    id: str
    object: Literal["thread"] | str = "thread"
    created_at: Seconds | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None


class ThreadDeleted(Model, frozen=True):
    """The answer to the deletion of a thread."""

    id: str
    object: Literal["thread.deleted"] | str = "thread.deleted"
    deleted: bool = True
