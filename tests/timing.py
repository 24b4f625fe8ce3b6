"""Deadlines in tests, by a clock that a busy machine does not hurry.

It counts beats of the event loop, so many a second. Where this process is not let run, or collects its garbage, for half a
second, that is one beat, as it is for the code under test; a deadline that passes while the loop turns is seen. What blocks
the loop itself is seen by the clock on the wall, which is less strict.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

BEAT = 0.01
"""Seconds between two beats of a loop that is let run."""
GRACE = 0.25
"""How many seconds later than its deadline a thing may happen."""
BUSY = 1.5
"""How many seconds a busy machine may add to that."""


class _Beats:
    """Counts the beats of the running loop until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.count = -1
        self._beat()

    def _beat(self) -> None:
        self.count += 1
        self._timer = self._loop.call_later(BEAT, self._beat)

    def stop(self) -> None:
        self._timer.cancel()


@contextmanager
def in_time(seconds: float, *, least: float = 0.0) -> Generator[None, None, None]:
    """Fails where the block takes more than these seconds of the loop and the grace, or less than the least of the wall."""
    began, beats = time.monotonic(), _Beats()
    try:
        yield
    finally:
        beats.stop()
    of_the_loop, took = beats.count * BEAT, time.monotonic() - began
    assert of_the_loop < seconds + GRACE, f"took {of_the_loop:.3f} s instead of {seconds:g} s"
    assert took < seconds + GRACE + BUSY, f"took {took:.3f} s instead of {seconds:g} s: something blocks the loop"
    assert took >= least, f"took {took:.3f} s instead of {least:g} s at least"


async def comes_true(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it is true now or within so many seconds of the loop."""
    beat = min(BEAT, seconds)
    for _ in range(round(seconds / beat)):
        if true():
            return True
        await asyncio.sleep(beat)
    return true()
