"""The protocol's nouns as the official SDKs name them, each bound to a backend."""

from ._pages import AsyncPage, ListCall
from ._resource import with_response
from .assistants import AsyncAssistants
from .messages import AsyncMessages
from .runs import AsyncRuns
from .steps import AsyncRunSteps
from .threads import AsyncThreads

__all__ = [
    "AsyncAssistants",
    "AsyncMessages",
    "AsyncPage",
    "AsyncRunSteps",
    "AsyncRuns",
    "AsyncThreads",
    "ListCall",
    "with_response",
]
