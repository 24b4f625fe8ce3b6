"""What becomes of errors on their way to a browser: a status before the headers, one event after them, fixed words always."""

import asyncio
import json
import logging
from typing import Any

import pytest
from raw_server import (
    CREATED,
    DELTA,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    answering,
    chunk,
    event,
    run_json,
    silent_after,
    start,
    stream_answer,
)
from relay_site import (
    KEY,
    Backend,
    page,
    raw,
    site,
    whole,
)
from scenarios import says
from starlette.responses import PlainTextResponse, Response

from aiorunstream import (
    AiorunstreamError,
    AssistantStream,
    AuthenticationError,
    Timeouts,
)
from aiorunstream.relay import RunStreamResponse

# -- errors before the headers -----------------------------------------------------------------------------------------

SHORT = Timeouts(connect=5, first_event=0.3, idle=0.3)
BUSY = "Thread thread_raw already has an active run run_other."


@pytest.mark.parametrize(
    ("status", "message", "expected", "code"),
    [
        (400, BUSY, 409, "thread_busy"),
        (400, "no such model", 400, "not_accepted"),
        (401, "wrong key", 401, "not_authorized"),
        (402, "pay", 502, "upstream_refused"),
        (403, "not for you", 403, "not_authorized"),
        (404, "nothing here", 404, "not_found"),
        (408, "late", 504, "upstream_timeout"),
        (409, "conflict", 409, "not_accepted"),
        (413, "too much", 413, "not_accepted"),
        (422, "cannot be", 422, "not_accepted"),
        (429, "slow down", 429, "rate_limited"),
        (500, "oh", 502, "upstream_failed"),
        (503, "later", 502, "upstream_failed"),
        (504, "late", 504, "upstream_timeout"),
    ],
)
async def test_a_refusal_is_a_status_with_fixed_words(
    anyio_backend: Backend, status: int, message: str, expected: int, code: str
) -> None:
    body = {"error": {"message": f"{message} {KEY}", "type": "x", "param": KEY, "code": KEY}}
    refused = answer(status, body, {"Retry-After": "7", "X-Leak": KEY})
    async with RawServer(answering(refused)) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        error = json.loads(got.body)["error"]
        assert (got.status, error["code"]) == (expected, code)
        assert got.headers["content-type"] == "application/json"
        assert got.headers["cache-control"] == "no-store"
        assert got.headers.get("retry-after") == ("7" if status == 429 else None)
        assert message not in str(got)
        assert KEY not in str(got)
        await at.quiet()


async def test_a_server_that_cannot_be_reached_or_is_silent_is_a_status(anyio_backend: Backend) -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.request()

    async def wait(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    async with RawServer(hang_up) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "outcome_unknown")
    async with site(whole, upstream.base_url, anyio_backend) as at:  # it listens no more
        got = await at.ask()
        assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "upstream_unreachable")
    async with RawServer(wait) as upstream, site(whole, upstream.base_url, anyio_backend, timeouts=SHORT) as at:
        got = await at.ask()
        assert (got.status, json.loads(got.body)["error"]["code"]) == (504, "outcome_unknown")
    plain = answer(200, b"<html>", {"Content-Type": "text/html"})
    async with RawServer(answering(plain)) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "bad_stream")


async def test_a_hook_may_make_the_answer(anyio_backend: Backend) -> None:
    def on_error(error: AiorunstreamError) -> Response:
        return PlainTextResponse(type(error).__name__, 418 if isinstance(error, AuthenticationError) else 500)

    async with (
        RawServer(answering(answer(401, {"error": {"message": "no"}}))) as upstream,
        site(page(on_error=on_error), upstream.base_url, anyio_backend) as at,
    ):
        got = await at.ask()
        assert (got.status, got.body) == (418, b"AuthenticationError")


async def test_an_error_that_is_not_ours_stays_one(anyio_backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    async def own() -> Any:
        raise LookupError(KEY)

    class Call(AssistantStream):
        async def __aenter__(self) -> Any:
            self._call.close()
            return await own()

    async with (
        raw() as upstream,
        site(lambda client: RunStreamResponse(Call(start(client))), upstream.base_url, anyio_backend) as at,
    ):
        got = await at.ask()
        assert (got.status, got.body) == (500, b"Internal Server Error")
        await at.quiet()
    assert LookupError in [record.exc_info[0] for record in caplog.records if record.exc_info]


# -- errors after the headers ------------------------------------------------------------------------------------------

ERROR = event("error", {"message": f"quota of {KEY}", "code": KEY, "type": "x"})


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (says(STREAM_HEAD + chunk(CREATED + DELTA)), "interrupted"),
        (says(STREAM_HEAD + chunk(CREATED + DELTA), 0.05, end="rst"), "interrupted"),
        (answering(stream_answer(CREATED, DELTA)), "interrupted"),
        (answering(stream_answer(CREATED, DELTA, event("done", b"[DONE]"))), "interrupted"),
        (silent_after(CREATED, DELTA), "timeout"),
        (silent_after(CREATED, DELTA, ERROR), "server_error"),
        (silent_after(CREATED, DELTA, event("thread.message.delta", b'{"id": "' + KEY.encode())), "bad_stream"),
        (silent_after(CREATED, DELTA, event(None, {"event": "a\ndata: evil", "data": {}})), "bad_stream"),
        (silent_after(CREATED, DELTA, event(None, {"event": "a\revent: done", "data": {}})), "bad_stream"),
        (silent_after(CREATED, DELTA, event(None, {"event": "a\0", "data": {}})), "bad_stream"),
    ],
    ids=["cut", "reset", "ended", "done too soon", "silent", "error", "bad JSON", "LF", "CR", "NUL"],
)
async def test_an_error_after_the_headers_is_one_event_with_fixed_words(
    anyio_backend: Backend, script: Any, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with RawServer(script) as upstream, site(whole, upstream.base_url, anyio_backend, timeouts=SHORT) as at:
        got = await at.ask()
        assert got.names == ["thread.run.created", "thread.message.delta", "error", "done"]
        assert got.error["code"] == code
        assert KEY not in str(got)
        assert KEY not in caplog.text
        assert b"evil" not in got.body
        await at.quiet()
        assert code == "interrupted" or await upstream.peers[0].closed_within(0.5)


@pytest.mark.parametrize("settings", [{}, {"text_only": True}, {"only": ["error"]}])
async def test_a_server_s_error_event_is_never_passed_on_in_its_own_words(
    anyio_backend: Backend, settings: dict[str, Any]
) -> None:
    async with (
        raw(CREATED, ERROR, ERROR) as upstream,
        site(page(**settings), upstream.base_url, anyio_backend, on_error_event="yield") as at,
    ):
        got = await at.ask()
        assert got.error["code"] == "server_error"
        assert KEY not in str(got)
        await at.quiet()


async def test_a_run_id_that_could_forge_an_id_is_left_out(anyio_backend: Backend) -> None:
    run = {**run_json(), "id": "run\ndata: evil\n\n"}
    frames = [event("thread.run.created", run), event("thread.run.completed", {**run, "status": "completed"})]
    async with raw(*frames) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        assert got.names == ["thread.run.created", "thread.run.completed", "done"]
        assert [message.id for message in got.messages] == ["1", "2", "2"]


async def test_the_relay_s_own_client_closed_under_it_is_told(anyio_backend: Backend) -> None:
    async with RawServer(silent_after(CREATED)) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await browser.until(b"thread.run.created")
        asyncio.run_coroutine_threadsafe(at.client.aclose(), at.loop)
        assert b'"code":"closed"' in await browser.rest()
        await browser.leave()
        await at.quiet()
