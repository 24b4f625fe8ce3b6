"""What a run has spent, where a server tells of it in a way of its own.

open-assistant-api has no usage in its runs: it tells of it, once for each answer of the model, in a message that is none.
"""

from contextlib import suppress

import msgspec

from .models import Message, Usage

_decode = msgspec.json.Decoder(Usage).decode


def is_telling(message: Message) -> bool:
    """Whether what says that it is a message in progress is none, and only tells of usage."""
    return not message.thread_id and not message.created_at and bool((message.metadata or {}).get("usage"))


def told_usage(message: Message) -> Usage | None:
    """The usage that such a message tells of; None for a real message, and for one that cannot be read."""
    if is_telling(message):
        with suppress(msgspec.MsgspecError, UnicodeError):
            return _decode((message.metadata or {})["usage"])
    return None


def add_usage(one: Usage | None, two: Usage) -> Usage:
    """Both together."""
    one = one or Usage()
    return Usage(
        one.completion_tokens + two.completion_tokens,
        one.prompt_tokens + two.prompt_tokens,
        one.total_tokens + two.total_tokens,
    )
