"""The protocol's nouns as the official SDKs name them, each bound to a backend."""

from ._pages import AsyncPage, ListCall
from ._resource import with_response
from ._text_deltas import TextDeltas
from ._tool_round import Approve, OnToolError
from .assistant_stream import AssistantStream
from .assistants import AsyncAssistants
from .messages import AsyncMessages
from .runs import AsyncRuns
from .steps import AsyncRunSteps
from .threads import AsyncThreads

__all__ = [
    "Approve",
    "AssistantStream",
    "AsyncAssistants",
    "AsyncMessages",
    "AsyncPage",
    "AsyncRunSteps",
    "AsyncRuns",
    "AsyncThreads",
    "ListCall",
    "OnToolError",
    "TextDeltas",
    "with_response",
]
