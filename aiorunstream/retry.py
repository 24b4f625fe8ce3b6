"""When a request may be sent again, and after how long: arithmetic only. Whoever asks sleeps, and rolls the dice.

Creating a run is not idempotent, and no server de-duplicates it. So a creating request is sent again only where
it surely did nothing: it could not connect, or the server said so (429, 503 with Retry-After, `x-should-retry: true`).
A request that may be repeated freely (GET, DELETE, cancel, update) is also sent again after a lost connection, which
is why those failures arrive here as `APIConnectionError` too. Nothing is ever sent again once a 200 has come.
"""

import email.utils
from collections.abc import Mapping
from datetime import UTC

import msgspec

from .errors import AiorunstreamError, APIConnectionError, APIStatusError, ConfigurationError

MAX_RETRY_AFTER = 120.0
"""The longest wait a server may ask for, in seconds; above it the error is raised at once."""


_NEVER_BETTER = frozenset(
    {"no free slot", "no token", "InvalidURL", "InvalidUrlClientError", "UnicodeError", "SSLCertVerificationError"}
)
"""Reasons that do not pass by themselves: another attempt meets them again, and should not spend the budget."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently a request is tried again.

    Args:
        attempts: how often a request is sent at most; 1 switches retries off.
        base_delay: seconds before the second attempt, doubled for each further one...
        max_delay: ...up to this many. The real delay is random between 0 and that (full jitter).
        budget: tokens a client has for all its retries (that of a single request's policy does not count); a retry
            spends 10, a success gives 1 back. Waits that a server asked for are free.
        reconcile: after a request to create a run, or to submit its tool outputs, had no known outcome, ask the server
            for the run, and take it over if it is there. For that a random marker travels in a new run's metadata, under
            "aiorunstream_marker". A run that is created together with its thread cannot be looked for.

    Raises:
        ConfigurationError: a number is out of its range.
    """

    attempts: int = 3
    base_delay: float = 0.5
    max_delay: float = 8.0
    budget: int = 500
    reconcile: bool = False

    def __post_init__(self) -> None:
        for name, least in (("attempts", 1), ("budget", 0)):
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigurationError(f"RetryPolicy.{name} must be a whole number of at least {least}")
        delays: tuple[object, ...] = (self.base_delay, self.max_delay)
        if not all(isinstance(delay, (int, float)) for delay in delays) or not (
            0 <= self.base_delay <= self.max_delay < float("inf")
        ):
            raise ConfigurationError("RetryPolicy needs seconds in 0 <= base_delay <= max_delay")
        reconcile: object = self.reconcile
        if not isinstance(reconcile, bool):
            raise ConfigurationError("RetryPolicy.reconcile must be True or False")


class RetryBudget:
    """The tokens of one client, so that a server that fails everything is not also asked everything thrice."""

    COST = 10

    def __init__(self, tokens: int) -> None:
        self._most = tokens
        self.tokens = tokens

    def spend(self) -> bool:
        """Takes the price of one retry; False, taking nothing, where there is too little left."""
        if self.tokens < self.COST:
            return False
        self.tokens -= self.COST
        return True

    def give_back(self) -> None:
        """Says that a request succeeded."""
        self.tokens = min(self._most, self.tokens + 1)


def is_retryable(error: AiorunstreamError) -> bool:
    """Whether a request that failed so may be sent again."""
    if isinstance(error, APIConnectionError):
        return error.reason not in _NEVER_BETTER
    if not isinstance(error, APIStatusError) or error.status_code < 400:
        return False
    should = error.headers.get("x-should-retry", "").strip().lower()
    if should in ("true", "false"):
        return should == "true"
    return error.status_code == 429 or (error.status_code == 503 and error.retry_after is not None)


def next_delay(
    policy: RetryPolicy, attempt: int, error: AiorunstreamError, roll: float, budget: RetryBudget
) -> float | None:
    """Seconds to wait before attempt `attempt + 1`, or None: raise the error.

    Args:
        attempt: how often the request has been sent, from 1.
        roll: a random number from 0 to 1.
        budget: is charged, unless the server named the wait itself.
    """
    if attempt >= policy.attempts or not is_retryable(error):
        return None
    asked = error.retry_after if isinstance(error, APIStatusError) else None
    if asked is not None:
        return asked if asked <= MAX_RETRY_AFTER else None
    if not budget.spend():
        return None
    return roll * min(policy.max_delay, policy.base_delay * 2.0 ** min(attempt - 1, 64))


MAX_POLL_DELAY = 5.0
MIN_POLL_DELAY = 0.1


def poll_delay(attempt: int, headers: Mapping[str, str], roll: float = 0.5) -> float:
    """Seconds until the next look at something that is not done yet.

    What the server asks for in `openai-poll-after-ms`, from 0.1 to 120 s; else half a second, growing by half each time
    up to 5 s, and up to a quarter more or less, so that many who wait do not all ask at once.

    Args:
        attempt: how often it was looked at, from 1.
        roll: a random number from 0 to 1.
    """
    asked = _number(headers.get("openai-poll-after-ms"))
    if asked is not None:
        return max(MIN_POLL_DELAY, min(asked / 1000, MAX_RETRY_AFTER))
    return (0.75 + roll / 2) * min(0.5 * 1.5 ** min(attempt - 1, 10), MAX_POLL_DELAY)


def is_outage(error: AiorunstreamError) -> bool:
    """Whether a look that failed so says nothing of what was looked at: later, the same look may succeed."""
    if isinstance(error, APIStatusError):
        return error.status_code in (408, 429) or (error.status_code >= 500 and error.status_code != 501)
    return isinstance(error, APIConnectionError)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds a server asks to wait: `retry-after-ms`, else `Retry-After` as seconds or as an HTTP date.

    Args:
        now: Unix time, to read a date against; a date gone by is 0 seconds.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(text)
        if date.tzinfo is None:  # HTTP dates are GMT, also where they do not say so
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
