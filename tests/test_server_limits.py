"""What the answers' headers say about rate limits."""

import pytest
from server_client import serving, stopped

from aiorunstream.models import Usage
from aiorunstream.scripted import ScriptedEngine
from aiorunstream.server._limits import MOST_REQUESTS, MOST_TOKENS, WINDOW, RateWindow, duration


@pytest.mark.parametrize(
    ("seconds", "spelt"),
    [
        (0, "0ms"),
        (0.0124, "12ms"),
        (0.9994, "999ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (61.25, "1m1.25s"),
    ],
)
def test_a_duration_is_spelt_as_openai_does(seconds: float, spelt: str) -> None:
    assert duration(seconds) == spelt


def test_a_window_counts_and_begins_again() -> None:
    now, tokens = 100.0, 5
    window = RateWindow(clock=lambda: now, tokens=lambda: tokens)
    window.count()
    now, tokens = 110.0, 30
    window.count()
    headers = window.headers()
    assert headers["x-ratelimit-remaining-requests"] == str(MOST_REQUESTS - 2)
    assert headers["x-ratelimit-remaining-tokens"] == str(MOST_TOKENS - 30)
    assert headers["x-ratelimit-reset-requests"] == headers["x-ratelimit-reset-tokens"] == "50s"
    now = 100 + WINDOW
    window.count()
    headers = window.headers()
    assert headers["x-ratelimit-remaining-requests"] == str(MOST_REQUESTS - 1)
    assert headers["x-ratelimit-remaining-tokens"] == str(MOST_TOKENS)
    assert headers["x-ratelimit-reset-tokens"] == "0s"


def test_what_is_left_is_never_less_than_nothing() -> None:
    window = RateWindow(clock=lambda: 0.0, tokens=lambda: MOST_TOKENS + 1)
    assert window.headers()["x-ratelimit-remaining-tokens"] == "0"


async def test_every_answer_says_what_is_left() -> None:
    async with serving(engine=ScriptedEngine([["hi", Usage(30, 12, 42)]])) as (server, http):
        path, body = await http.runs()
        run = await http.post(path, body)
        await stopped(http, f"{path}/{run['id']}")
        asked = len(server.requests)
        for number, method_path in enumerate(
            (("GET", "/assistants"), ("GET", "/threads/none"), ("PUT", "/nowhere")), 1
        ):
            method, path = method_path
            async with http.session.request(method, server.base_url + path) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
            kinds = ("limit", "remaining", "reset")
            told = {
                name: headers[f"x-ratelimit-{name}"]
                for name in [f"{k}-{of}" for k in kinds for of in ("requests", "tokens")]
            }
            assert told["limit-requests"] == str(MOST_REQUESTS)
            assert told["remaining-requests"] == str(MOST_REQUESTS - asked - number)
            assert told["remaining-tokens"] == str(MOST_TOKENS - 42)
            assert told["reset-requests"].endswith("s")
