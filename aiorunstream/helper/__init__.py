"""The helper stream: the text of a run, its final objects, and its tool calls made. Imported at the first `stream(...)`."""

from ._answering import problem_of
from ._assistant_stream import AssistantStream
from ._text_deltas import TextDeltas
from ._tool_round import Approve, OnToolError

__all__ = ["Approve", "AssistantStream", "OnToolError", "TextDeltas", "problem_of"]
