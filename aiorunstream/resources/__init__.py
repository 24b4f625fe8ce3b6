"""The protocol's nouns as the official SDKs name them, each bound to a backend."""

from .assistants import AsyncAssistants
from .messages import AsyncMessages
from .runs import AsyncRuns
from .threads import AsyncThreads

__all__ = ["AsyncAssistants", "AsyncMessages", "AsyncRuns", "AsyncThreads"]
