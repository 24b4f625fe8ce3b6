"""Rate limits as they are told in headers. Nobody is refused for them: they let clients practise reading them."""

from collections.abc import Callable, Mapping

WINDOW = 60.0
MOST_REQUESTS = 10_000
MOST_TOKENS = 2_000_000


class RateWindow:
    """What was asked and spent in the minute that is running.

    Args:
        clock: returns seconds that only grow.
        tokens: returns the tokens spent since the beginning.
    """

    def __init__(self, *, clock: Callable[[], float], tokens: Callable[[], int]) -> None:
        self._clock = clock
        self._tokens = tokens
        self._began = clock()
        self._tokens_before = 0
        self._requests = 0

    def count(self) -> None:
        """Counts a request."""
        now = self._clock()
        if now - self._began >= WINDOW:
            self._began, self._requests, self._tokens_before = now, 0, self._tokens()
        self._requests += 1

    def headers(self) -> Mapping[str, str]:
        """What the limits are, what is left, and when all of it is there again."""
        reset = duration(max(0.0, WINDOW - (self._clock() - self._began)))
        asked, spent = self._requests, self._tokens() - self._tokens_before
        return {
            "x-ratelimit-limit-requests": str(MOST_REQUESTS),
            "x-ratelimit-limit-tokens": str(MOST_TOKENS),
            "x-ratelimit-remaining-requests": str(max(0, MOST_REQUESTS - asked)),
            "x-ratelimit-remaining-tokens": str(max(0, MOST_TOKENS - spent)),
            "x-ratelimit-reset-requests": reset if asked else "0s",
            "x-ratelimit-reset-tokens": reset if spent else "0s",
        }


def duration(seconds: float) -> str:
    """Seconds in the spelling of OpenAI's headers: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, seconds = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{seconds:g}s" if minutes else f"{seconds:g}s"
