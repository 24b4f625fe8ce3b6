"""Tokens spent."""

from ._base import Model


class Usage(Model, frozen=True):
    """Tokens a run or a step has spent. A run's sum and its steps' need not agree: servers differ."""

    completion_tokens: int = 0
    prompt_tokens: int = 0
    total_tokens: int = 0
