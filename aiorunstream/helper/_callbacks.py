"""Callbacks of users, plain or async, made one at a time."""

import inspect
from collections.abc import Callable


async def made(call: Callable[[], object], *, whose: str = "a handler") -> object:
    """Makes a callback, and returns what it returned, waited for where that is to be awaited."""
    try:
        told = call()
        return await told if told is not None and inspect.isawaitable(told) else told
    except StopAsyncIteration as error:  # it would end the reader's loop, unseen
        raise RuntimeError(f"{whose} raised StopAsyncIteration") from error
