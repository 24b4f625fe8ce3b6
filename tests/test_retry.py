"""When a request is sent again: a table of failures, and arithmetic. Nothing here sleeps. Also the settings."""

import sys
import time
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiorunstream import errors
from aiorunstream.errors import (
    AiorunstreamError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    InvalidArgumentError,
)
from aiorunstream.options import Limits, RequestOptions, Timeouts
from aiorunstream.retry import (
    MAX_POLL_DELAY,
    MAX_RETRY_AFTER,
    RetryBudget,
    RetryPolicy,
    is_outage,
    is_retryable,
    next_delay,
    poll_delay,
    retry_after,
)


def status(code: int, *, after: float | None = None, should: str | None = None) -> APIStatusError:
    headers = {} if should is None else {"x-should-retry": should}
    return APIStatusError("no", status_code=code, retry_after=after, headers=headers)


CASES: list[tuple[AiorunstreamError, bool]] = [
    (APIConnectionError("no"), True),
    (APITimeoutError("slow"), True),
    (APITimeoutError("full", reason="no free slot"), False),
    (APIConnectionError("nobody", reason="SSLCertVerificationError"), False),
    (status(429), True),
    (status(429, after=3), True),
    (status(429, should="false"), False),
    (status(503), False),
    (status(503, after=0.0), True),
    (status(503, after=3, should="false"), False),
    (status(500), False),
    (status(500, after=3), False),
    (status(502), False),
    (status(504), False),
    (status(408), False),
    (status(409), False),
    (status(400), False),
    (status(401), False),
    (status(404), False),
    (status(500, should="true"), True),
    (status(408, should=" True "), True),
    (errors.RunOutcomeUnknownError("lost"), False),
    (errors.StreamInterruptedError("cut"), False),
    (errors.StreamTruncatedError("cut"), False),
    (errors.StreamTimeoutError("slow", clock="idle", seconds=1), False),
    (errors.RunStreamError("no"), False),
    (errors.InvalidArgumentError("no"), False),
    (errors.ClientClosedError("no"), False),
]


@pytest.mark.parametrize(("error", "again"), CASES)
def test_only_what_surely_did_nothing_is_sent_again(error: AiorunstreamError, *, again: bool) -> None:
    assert is_retryable(error) is again
    delay = next_delay(RetryPolicy(), 1, error, 0.5, RetryBudget(500))
    assert (delay is not None) is again


def test_delays_double_up_to_the_most_and_are_rolled() -> None:
    policy, error = RetryPolicy(attempts=9, base_delay=0.5, max_delay=8), APIConnectionError("no")

    def delay(attempt: int, roll: float) -> float | None:
        return next_delay(policy, attempt, error, roll, RetryBudget(500))

    assert [delay(attempt, 1.0) for attempt in range(1, 10)] == [0.5, 1, 2, 4, 8, 8, 8, 8, None]
    assert [delay(3, roll) for roll in (0.0, 0.25, 0.5)] == [0, 0.5, 1]


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_no_more_attempts_than_asked_for(attempts: int) -> None:
    policy, budget = RetryPolicy(attempts=attempts), RetryBudget(500)
    sent = 1
    while next_delay(policy, sent, status(429), 0.5, budget) is not None:
        sent += 1
    assert sent == attempts


def test_very_many_attempts_are_only_arithmetic() -> None:
    policy = RetryPolicy(attempts=10_000)
    assert next_delay(policy, 5000, APIConnectionError("no"), 1.0, RetryBudget(500)) == 8


def test_a_wait_the_server_asked_for_replaces_ours_and_is_free() -> None:
    budget = RetryBudget(0)
    assert next_delay(RetryPolicy(), 1, status(429, after=7.25), 0.1, budget) == 7.25
    assert next_delay(RetryPolicy(), 2, status(503, after=0), 0.1, budget) == 0
    assert next_delay(RetryPolicy(), 1, status(429, after=MAX_RETRY_AFTER), 0.1, budget) == 120
    assert next_delay(RetryPolicy(), 1, status(429, after=120.01), 0.1, RetryBudget(500)) is None
    assert next_delay(RetryPolicy(), 3, status(429, after=1), 0.1, budget) is None
    assert budget.tokens == 0


def test_the_budget_pays_for_retries_and_is_refilled_by_successes() -> None:
    budget = RetryBudget(25)
    paid = [next_delay(RetryPolicy(), 1, status(429), 0.5, budget) is not None for _ in range(4)]
    assert paid == [True, True, False, False]
    assert budget.tokens == 5
    for _ in range(4):
        budget.give_back()
    assert next_delay(RetryPolicy(), 1, status(429), 0.5, budget) is None
    budget.give_back()
    assert next_delay(RetryPolicy(), 1, status(429), 0.5, budget) is not None
    for _ in range(100):
        budget.give_back()
    assert budget.tokens == 25


def test_what_is_not_sent_again_costs_nothing() -> None:
    budget = RetryBudget(25)
    assert next_delay(RetryPolicy(), 1, status(500), 0.5, budget) is None
    assert next_delay(RetryPolicy(), 3, status(429), 0.5, budget) is None
    assert budget.tokens == 25


@given(attempt=st.integers(1, 3), roll=st.floats(0, 1), base=st.floats(0, 5), most=st.floats(5, 50))
def test_a_delay_is_never_above_the_most(attempt: int, roll: float, base: float, most: float) -> None:
    policy = RetryPolicy(attempts=4, base_delay=base, max_delay=most)
    delay = next_delay(policy, attempt, APIConnectionError("no"), roll, RetryBudget(500))
    assert delay is not None
    assert 0 <= delay <= most


# -- what the server asked for -----------------------------------------------------------------------------------------

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None),
    ({"retry-after": "5"}, 5),
    ({"retry-after": " 5 "}, 5),
    ({"retry-after": "0"}, 0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
    ({"retry-after-ms": "-1", "retry-after": "9"}, 9),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"}, 30),
    ({"retry-after": "Sun, 06 Nov 1994 08:49:07 GMT"}, 0),
    ({"retry-after": "Sunday, 06-Nov-94 08:50:07 GMT"}, 30),
    ({"retry-after": "Sun, 06 Nov 1994 09:50:07 +0100"}, 30),
    ({"retry-after": "Sun, 06 Nov 99999 08:49:37 GMT"}, None),
    ({"retry-after": "Sun, 99 Nov 1994 08:49:37 GMT"}, None),
])  # fmt: skip
def test_a_wait_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot change its time zone within a process")
@pytest.mark.parametrize("date", ["Sun Nov  6 08:50:07 1994", "Sun, 06 Nov 1994 08:50:07 -0000"])
def test_a_date_without_a_zone_is_utc_wherever_the_client_runs(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest form of an HTTP date, which a reader must take, has no zone in it."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert retry_after({"retry-after": date}, NOW) == 30
    finally:
        monkeypatch.undo()
        time.tzset()


@given(
    text=st.text(max_size=40)
    | st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{2,6} [0-9:]{5,9}( GMT| [+-][0-9]{4})?", fullmatch=True
    )
)
def test_any_header_is_read_or_ignored(text: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after({name: text}, NOW)
        assert seconds is None or 0 <= seconds < float("inf")


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [
    {"attempts": 0}, {"attempts": -1}, {"base_delay": -0.1}, {"base_delay": 9}, {"max_delay": 0.1}, {"budget": -1},
    {"base_delay": float("nan")}, {"max_delay": float("nan")}, {"reconcile": 1}, {"reconcile": None},
])  # fmt: skip
def test_a_policy_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="|".join(wrong)):
        RetryPolicy(**wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_policy_may_say_never() -> None:
    assert next_delay(RetryPolicy(attempts=1), 1, status(429, after=1), 0.5, RetryBudget(500)) is None


@pytest.mark.parametrize("name", ["connect", "first_event", "idle", "progress", "total"])
def test_a_clock_is_positive_or_off(name: str) -> None:
    assert getattr(Timeouts(**{name: None}), name) is None
    assert getattr(Timeouts(**{name: 0.001}), name) == 0.001
    for wrong in (0, -1, float("nan"), True):
        with pytest.raises(ConfigurationError, match=name):
            Timeouts(**{name: wrong})


@pytest.mark.parametrize("name", ["max_event_bytes", "max_depth", "max_streams", "keepalive"])
def test_a_limit_is_positive(name: str) -> None:
    for wrong in (0, -1):
        with pytest.raises(ConfigurationError, match=name):
            Limits(**{name: wrong})


def test_the_settings_are_as_documented() -> None:
    assert Timeouts() == Timeouts(connect=5, first_event=60, idle=300, progress=None, total=None)
    assert Limits() == Limits(max_event_bytes=2**24, max_depth=128)
    assert Limits().keepalive < 5
    assert RetryPolicy() == RetryPolicy(attempts=3, base_delay=0.5, max_delay=8)


def test_options_never_show_what_they_hold() -> None:
    options = RequestOptions(
        extra_headers={"authorization": "sk-planted"}, extra_body={"a": "sk-planted"}, idempotency_key="sk-planted"
    )
    assert "planted" not in repr(options)
    assert "planted" not in str(options)


@pytest.mark.parametrize("value", [5, None, "\ud800"], ids=["number", "none", "half-a-pair"])
def test_a_query_is_text_that_has_bytes(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^extra_query\['page'\] must be text"):
        RequestOptions(extra_query=cast("dict[str, str]", {"page": value}))
    RequestOptions(extra_query={"page": "\u00e9"})


@pytest.mark.parametrize(
    ("attempt", "delay"), [(1, 0.5), (2, 0.75), (3, 1.125), (9, MAX_POLL_DELAY), (10**9, MAX_POLL_DELAY)]
)
def test_the_wait_between_two_looks_grows_to_five_seconds(attempt: int, delay: float) -> None:
    assert poll_delay(attempt, {}) == delay
    assert poll_delay(attempt, {"openai-poll-after-ms": "soon"}) == delay


@pytest.mark.parametrize(("header", "delay"), [("250", 0.25), ("0", 0.1), ("999999999", MAX_RETRY_AFTER)])
def test_the_wait_between_two_looks_is_the_servers_where_it_has_one(header: str, delay: float) -> None:
    assert poll_delay(5, {"openai-poll-after-ms": header}) == delay


@pytest.mark.parametrize(("roll", "share"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_the_looks_of_many_are_spread_and_a_servers_wish_is_not(roll: float, share: float) -> None:
    assert poll_delay(1, {}, roll) == 0.5 * share
    assert poll_delay(9, {}, roll) == MAX_POLL_DELAY * share
    assert poll_delay(1, {"openai-poll-after-ms": "250"}, roll) == 0.25


@pytest.mark.parametrize(
    ("status", "outage"), [(400, False), (404, False), (408, True), (429, True), (500, True), (501, False), (503, True)]
)
def test_what_passes_by_itself_is_an_outage(status: int, outage: bool) -> None:  # noqa: FBT001
    assert is_outage(APIStatusError("x", status_code=status)) is outage
    assert is_outage(APIConnectionError("x"))
    assert not is_outage(errors.StreamClosedError("x"))
