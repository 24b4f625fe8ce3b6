"""An engine's items at the pace of a model, with the loop's other tasks getting their turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable

from ..items import PIECES, Item, Pause

_ITEMS_BETWEEN_BREATHS = 16
"""Without a pace, the items an engine says before others get their turn, and the reader one write."""


async def paced(items: Iterable[Item] | AsyncIterable[Item], delay: float) -> AsyncGenerator[Item, None]:
    """The items, each piece of an answer `delay` seconds after what came before; closes the engine's generator."""
    try:
        said = 0
        async for item in _each(items):
            said += 1
            if isinstance(item, Pause):
                await asyncio.sleep(item.seconds)
            elif delay > 0 and isinstance(item, PIECES):
                await asyncio.sleep(delay)
            elif said % _ITEMS_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
        elif isinstance(items, Generator):
            items.close()


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
