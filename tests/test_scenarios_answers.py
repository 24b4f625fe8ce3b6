"""Fault scenarios 17 to 25: the server answers, and not with a run stream."""

import asyncio
import email.utils
import time

import pytest
from raw_server import (
    EVENT_STREAM,
    LAST_CHUNK,
    STREAM_HEAD,
    answer,
    answering,
    head,
    read_whole,
    run_json,
    stream_answer,
)
from scenarios import Scene, by_thread, fails, repeats, scene
from timing import in_time

from aiorunstream import (
    APIStatusError,
    InternalServerError,
    RateLimitError,
    StreamProtocolError,
    StreamTruncatedError,
    ThreadBusyError,
    Timeouts,
)
from aiorunstream.backends import _sending

ERROR = {"error": {"message": "no luck", "type": "some_error", "param": None, "code": "c1"}}


async def body_of(at: Scene, thread: str) -> str:
    """The body of the error that a run on that thread meets, in the time that such a body has."""
    with in_time(_sending.ERROR_BODY_SECONDS), pytest.raises(InternalServerError) as caught:
        async with at.client.threads.runs.create_stream(thread, assistant_id="asst_raw"):
            pass
    return caught.value.body


# -- a wait that the server asks for -----------------------------------------------------------------------------------


async def test_17_status_429_ra() -> None:
    refusal = answer(429, ERROR, {"Retry-After": "1"})
    async with scene(answering(refusal, stream_answer()), posts=2, connection="pooled") as at:
        began = time.monotonic()
        with in_time(1.0):
            assert (await read_whole(at.client)).outcome == "completed"
        assert time.monotonic() - began >= 0.99


async def test_18_status_429_ra_date() -> None:
    def refusal(seconds: float) -> bytes:
        return answer(429, ERROR, {"Retry-After": email.utils.formatdate(time.time() + seconds, usegmt=True)})

    # A date has no fractions: what is meant is up to a second earlier.
    script = answering(refusal(-100), stream_answer(), refusal(1.5), stream_answer(), refusal(300))
    async with scene(script, posts=5, connection="pooled") as at:
        began = time.monotonic()
        with in_time(0.1):
            await read_whole(at.client)
        with in_time(1.5):
            await read_whole(at.client)
        assert time.monotonic() - began > 0.45
        error = await fails(at, RateLimitError)
        assert error.retry_after is not None
        assert 290 < error.retry_after <= 300


async def test_19_status_429_ra_huge() -> None:
    async with scene(answering(answer(429, ERROR, {"Retry-After": "3600"})), connection="pooled") as at:
        error = await fails(at, RateLimitError)
        assert (error.retry_after, error.code, error.outcome_unknown) == (3600, "c1", False)


# -- errors ------------------------------------------------------------------------------------------------------------


async def test_20_status_500() -> None:
    async with scene(answering(answer(500, ERROR, {"X-Request-Id": "req_5"})), connection="pooled") as at:
        error = await fails(at, InternalServerError)
        assert (error.status_code, error.request_id, error.outcome_unknown) == (500, "req_5", True)


async def test_21_status_400_active_run() -> None:
    words = {"error": {"message": "Thread thread_raw already has an active run run_abc."}}
    async with scene(answering(answer(400, words)), connection="pooled") as at:
        error = await fails(at, ThreadBusyError)
        assert (error.run_id, error.status_code) == ("run_abc", 400)


async def test_22_error_body_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _sending.ERROR_BODY_SECONDS == 2
    monkeypatch.setattr(_sending, "ERROR_BODY_SECONDS", 0.5)
    begins = head(500, {"Content-Type": "text/plain"})
    script = by_thread({"flood": repeats(b"y" * 8192, 0.0005, begins), "drip": repeats(b".", 0.1, begins)})
    async with scene(script, posts=2, timeouts=Timeouts()) as at:
        flood, drip = await asyncio.gather(body_of(at, "flood"), body_of(at, "drip"))
        assert flood == "y" * 64 * 1024
        assert set(drip) == {"."}


# -- successes that are no stream --------------------------------------------------------------------------------------


async def test_23_200_json() -> None:
    script = answering(answer(200, run_json()), answer(200, ERROR), answer(200, [run_json()]))
    async with scene(script, posts=3, connection="pooled") as at:
        await fails(at, StreamProtocolError, run="run_raw")
        error = await fails(at, APIStatusError)
        assert (error.status_code, error.code) == (200, "c1")
        await fails(at, StreamProtocolError)


async def test_24_200_html() -> None:
    page = b"<html><body>upstream busy</body></html>\n"
    script = answering(
        answer(200, page, {"Content-Type": "text/html"}),
        answer(200, page, EVENT_STREAM),
    )
    async with scene(script, posts=2, connection="pooled") as at:
        error = await fails(at, StreamProtocolError)
        assert "busy" not in str(error)
        await fails(at, StreamTruncatedError, events=0)


async def test_25_empty_200() -> None:
    script = answering(STREAM_HEAD + LAST_CHUNK, stream_answer(b": nothing\n\n"), stream_answer())
    async with scene(script, posts=3, connection="pooled") as at:
        for _ in range(2):
            error = await fails(at, StreamTruncatedError, events=0)
            assert (error.done_seen, error.clean_close) == (False, True)
        assert (await read_whole(at.client)).outcome == "completed"
