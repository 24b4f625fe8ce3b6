"""The embedded server, and what its engine may be made of."""

from ..engine import Arguments, DefaultEngine, Engine, Failure, Incomplete, Item, Text, ToolCall, Turn
from ._server import AssistantsServer

__all__ = [
    "Arguments",
    "AssistantsServer",
    "DefaultEngine",
    "Engine",
    "Failure",
    "Incomplete",
    "Item",
    "Text",
    "ToolCall",
    "Turn",
]
