"""How fast the runs of one fan-out are begun: all at once, until the server puts one of them off."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import APIError, APIStatusError
from ..retry import MAX_RETRY_AFTER, is_retryable
from ._turn import wake

T = TypeVar("T")

LONG_SECONDS = 5.0
"""After so long a request does not keep others back: it may be waiting for a thread that is busy, `if_active="wait"`."""


class Pace:
    """Sends the requests that begin runs.

    Where the server puts one off for a time, nothing is sent until that is over, and then half as many at a time for each
    that was put off; one more for each that succeeds. Where none has succeeded between two such waits, it is not about how
    many: twice as many are sent after each, so that all have soon had their attempts at a server that takes nothing.

    Attributes:
        succeeded: how many requests have, so far.
    """

    def __init__(self) -> None:
        self.succeeded = 0
        self._under_way = 0
        self._most = math.inf
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before = 0.0  # on the loop's clock
        self._waits = 0  # how often the server has made all of them wait
        self._succeeded_then = -1  # when the last wait began
        self._in_vain = False  # nothing had succeeded since the wait before that

    async def send(self, request: Callable[[], Awaitable[T]]) -> T:
        """Sends a request when its turn has come, and returns or raises what comes of it."""
        await self._place()
        has_left = False

        def leave() -> None:
            nonlocal has_left
            if not has_left:
                has_left = True
                self._leave()

        try:
            await self._until_wanted()
            waits = self._waits
            too_long = asyncio.get_running_loop().call_later(LONG_SECONDS, leave)
            try:
                found = await request()
            except APIError as error:
                if (seconds := wait_asked(error)) is not None:
                    self._slow_down(seconds, is_first=waits == self._waits)
                raise
            finally:
                too_long.cancel()
            self.succeeded += 1
            self._most += 1
            return found
        finally:
            leave()

    def _slow_down(self, seconds: float, *, is_first: bool) -> None:
        """A request was put off; `is_first`: no other was since it was sent."""
        until = asyncio.get_running_loop().time() + min(seconds, MAX_RETRY_AFTER)
        self._not_before = max(self._not_before, until)
        if is_first:
            self._waits += 1
            self._in_vain = self.succeeded == self._succeeded_then
            self._succeeded_then = self.succeeded
        if not self._in_vain:
            self._most = max(1, min(self._most, self._under_way) // 2)
        elif is_first:
            self._most *= 2

    async def _until_wanted(self) -> None:
        now = asyncio.get_running_loop().time
        while (left := self._not_before - now()) > 0:  # noqa: ASYNC110  # it sleeps for as long as it takes, not to look
            await asyncio.sleep(left)

    async def _place(self) -> None:
        if self._under_way < self._most:
            self._under_way += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled():  # it was given one just then
                self._leave()
            raise

    def _leave(self) -> None:
        self._under_way -= 1
        while self._waiting and self._under_way < self._most:
            place = self._waiting.popleft()
            if not place.done():  # else who waited for it was cancelled
                self._under_way += 1  # here, so that nobody comes between
                wake(place)


def wait_asked(error: APIError) -> float | None:
    """The seconds for which a server has put a request off; None where it has not."""
    return error.retry_after if isinstance(error, APIStatusError) and is_retryable(error) else None
