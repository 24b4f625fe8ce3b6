"""Callbacks of users, plain or async, made one at a time."""

from ..handler import Call


async def made(call: Call) -> None:
    """Makes a callback, and waits for what it returned, if that is to be awaited."""
    try:
        told = call()
        if told is not None:
            await told
    except StopAsyncIteration as error:  # it would end the reader's loop, unseen
        raise RuntimeError("a handler raised StopAsyncIteration") from error
