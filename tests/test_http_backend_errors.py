"""Answers that are errors: which exception, with what in it, how often the request is sent, and what is never followed."""

import asyncio
import copy
import email.utils
import pickle
import time
from typing import Any

import pytest
from raw_server import Peer, RawServer, answer, answering, client_of, events_of, head, run_json, start, stream_answer
from timing import in_time

from aiorunstream import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    EndpointRetiredError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ThreadBusyError,
    Timeouts,
    UnprocessableEntityError,
)
from aiorunstream.backends import _answers
from aiorunstream.operations import CREATE_RUN, RETRIEVE_THREAD, Call, make_call

QUICKLY = RetryPolicy(attempts=3, base_delay=0.001)
ERROR = {"error": {"message": "no luck", "type": "some_error", "param": "model", "code": "c1"}}


async def refused(wire: bytes) -> APIStatusError:
    async with RawServer(answering(wire)) as server, client_of(server, retry=QUICKLY) as client:
        with pytest.raises(APIStatusError) as caught:
            await start(client)
        assert server.posts == 1
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "unknown"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, APIStatusError, False),
        (403, PermissionDeniedError, False),
        (404, NotFoundError, False),
        (408, APIStatusError, True),
        (409, ConflictError, False),
        (413, APIStatusError, False),
        (418, APIStatusError, False),
        (422, UnprocessableEntityError, False),
        (500, InternalServerError, True),
        (502, InternalServerError, True),
        (503, InternalServerError, True),
        (504, InternalServerError, True),
        (529, InternalServerError, True),
    ],
)
async def test_each_status_has_its_class_and_a_create_is_posted_once(
    status: int, kind: type[APIStatusError], *, unknown: bool
) -> None:
    error = await refused(answer(status, ERROR, {"X-Request-Id": "req_9"}))
    assert type(error) is kind
    assert (error.status_code, error.outcome_unknown) == (status, unknown)
    assert (error.code, error.type, error.param, error.request_id) == ("c1", "some_error", "model", "req_9")
    assert "no luck" in str(error)
    assert str(status) in str(error)
    assert error.headers["x-request-id"] == "req_9"
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert str(again) == str(error)
        assert (again.status_code, again.code, again.request_id) == (status, "c1", "req_9")
        assert again.headers["x-request-id"] == "req_9"


ENVELOPES: dict[str, tuple[object, str, dict[str, Any]]] = {
    "OpenAI": (ERROR, "no luck", {"code": "c1", "type": "some_error", "param": "model"}),
    "Azure": ({"error": {"code": "x", "message": "m1", "innererror": {}, "status": 400}}, "m1", {"code": "x"}),
    "LiteLLM": ({"error": {"message": "m2", "type": "None", "param": None, "code": "400"}}, "m2", {"code": "400"}),
    "old LiteLLM": ({"error": {"message": "m3", "code": 400}}, "m3", {"code": 400}),
    "nulls": (
        {"error": {"code": "v", "message": "m4", "type": None, "param": None}},
        "m4",
        {"code": "v", "type": None},
    ),
    "detail text": ({"detail": "m5"}, "m5", {}),
    "detail list": ({"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "field required", {}),
    "detail object": ({"detail": {"error": {"message": "m6", "code": "d"}}}, "m6", {"code": "d"}),
    "OAuth": ({"error": "invalid_token", "error_description": "it expired"}, "it expired", {"code": "invalid_token"}),
    "bare text in error": ({"error": "m7"}, "m7", {}),
    "message at the top": ({"message": "m8", "code": "t"}, "m8", {"code": "t"}),
    "plain text": (b"upstream  gone\n", "upstream gone", {}),
    "page": (b"<html>" + b"x" * 5000, "<html>", {}),
    "empty": (b"", "400", {}),
    "a list": ([1], "400", {}),
    "no text at all": ({"error": {"message": ["a"]}}, "400", {}),
    "invalid UTF-8": (b'{"error": {"message": "m9\xff"}}', "m9", {}),
    "too deep": (b'{"error":' * 9000, "400", {}),
}


@pytest.mark.parametrize("name", ENVELOPES)
async def test_every_known_envelope_of_an_error_is_read(name: str) -> None:
    body, words, facts = ENVELOPES[name]
    error = await refused(answer(400, body))
    assert type(error) is BadRequestError
    assert words in str(error)
    assert {key: getattr(error, key) for key in facts} == facts
    assert len(str(error)) < 500
    if isinstance(body, bytes) and len(body) < 6000:
        assert error.body == body.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("message", "run_id"),
    [
        ("Thread thread_1 already has an active run run_abc.", "run_abc"),
        ("Can't add messages to thread_1 while a run run_xyz is active.", "run_xyz"),
        ("Thread already has an active run.", None),
        ("Thread already has an active run in progress.", None),
    ],
)
async def test_a_busy_thread_names_its_run(message: str, run_id: str | None) -> None:
    error = await refused(answer(400, {"error": {"message": message}}))
    assert type(error) is ThreadBusyError
    assert error.run_id == run_id
    assert pickle.loads(pickle.dumps(error)).run_id == run_id


@pytest.mark.parametrize(
    ("status", "kind"), [(400, ThreadBusyError), (409, ThreadBusyError), (422, UnprocessableEntityError)]
)
async def test_a_conversation_that_is_locked_is_a_busy_thread(status: int, kind: type[APIStatusError]) -> None:
    error = await refused(answer(status, {"error": {"message": "Try later.", "code": "conversation_locked"}}))
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, "conversation_locked")


@pytest.mark.parametrize(
    ("host", "status", "kind"),
    [
        ("api.openai.com", 404, EndpointRetiredError),
        ("api.openai.com:443", 404, EndpointRetiredError),
        ("mine.openai.azure.com", 404, EndpointRetiredError),
        ("API.OpenAI.com", 404, EndpointRetiredError),
        ("api.openai.com.evil.example", 404, NotFoundError),
        ("myapi.openai.com", 404, NotFoundError),
        ("localhost:8000", 404, NotFoundError),
        ("api.openai.com", 400, BadRequestError),
    ],
)
def test_a_404_of_a_host_that_retired_the_protocol_says_so(host: str, status: int, kind: type[APIStatusError]) -> None:
    calls: list[Call[Any]] = [make_call(CREATE_RUN, {"thread_id": "t"}), make_call(RETRIEVE_THREAD, {"thread_id": "t"})]
    for call in calls:
        error = _answers.status_error(call, host=host, status=status, headers={}, body="", retry_after=None)
        assert type(error) is kind
        assert ("ResponsesBackend" in str(error)) == (kind is EndpointRetiredError)


# -- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
async def test_a_redirect_is_an_error_and_the_other_server_sees_nothing(status: int) -> None:
    async with RawServer(answering(stream_answer())) as other:
        target = f"http://127.0.0.1:{other.port}/v1/threads/thread_raw/runs"
        error = await refused(answer(status, b"", {"Location": target}))
        assert type(error) is APIStatusError
        assert error.status_code == status
        async with (
            RawServer(answering(answer(status, b"", {"Location": target}))) as server,
            client_of(server, retry=QUICKLY, api_key="sk-1") as client,
        ):
            with pytest.raises(APIStatusError):
                await client.threads.retrieve("t")
        assert other.peers == []


# -- bodies that do not end --------------------------------------------------------------------------------------------


async def test_an_endless_error_body_is_read_to_64_kib_and_cut() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(500, {"Content-Type": "text/plain"}))
        while not await peer.closed_within(0.0005):
            await peer.send(b"y" * 8192)

    async with RawServer(script) as server, client_of(server) as client:
        with in_time(2), pytest.raises(InternalServerError) as caught:
            await start(client)
        assert len(caught.value.body) == 64 * 1024
        assert await server.peers[0].closed_within(0.2)


def test_an_error_body_that_drips_is_given_two_seconds() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(500, {"Content-Type": "text/plain", "Content-Length": "999"}) + b"half a sen")
        while not await peer.closed_within(0.1):
            await peer.send(b".")

    async def scenario() -> None:
        async with RawServer(script) as server, client_of(server, timeouts=Timeouts()) as client:
            with in_time(2, least=1.9), pytest.raises(InternalServerError, match="half a sen"):
                await start(client)
            assert await server.peers[0].closed_within(0.2)

    asyncio.run(scenario())


async def test_an_error_body_that_stalls_is_given_as_long_as_any_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(500, {"Content-Type": "text/plain", "Content-Length": "999"}) + b"half a sen")
        await peer.closed()

    async with RawServer(script) as server, client_of(server, timeouts=Timeouts(idle=0.2)) as client:
        with pytest.raises(InternalServerError, match="half a sen"):
            await start(client)
        assert await server.peers[0].closed_within(0.2)


async def test_an_error_body_that_breaks_off_is_used_as_far_as_it_came() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(head(429, {"Content-Length": "999"}) + b"slow down")

    async with RawServer(script) as server, client_of(server) as client:
        with pytest.raises(RateLimitError, match="slow down"):
            await start(client)


# -- retries -----------------------------------------------------------------------------------------------------------


async def statuses_to_success(*answers: bytes, attempts: int = 3, least: float = 0.0, within: float = 0.25) -> int:
    """Runs through answers that should be tried again, in time; how many POSTs it took."""
    policy = RetryPolicy(attempts=attempts, base_delay=0.001)
    async with RawServer(answering(*answers, stream_answer())) as server, client_of(server, retry=policy) as client:
        with in_time(within, least=least):
            async with start(client) as stream:
                await events_of(stream)
        assert len(server.peers) == 1
        return server.posts


async def test_a_429_is_tried_again() -> None:
    assert await statuses_to_success(answer(429, ERROR), answer(429, ERROR)) == 3


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"Retry-After": "0.15"}, 0.15),
        ({"retry-after-ms": "150", "Retry-After": "100"}, 0.15),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": email.utils.formatdate(1000, usegmt=True)}, 0.0),
        ({"Retry-After": "nonsense"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "nan"}, 0.0),
    ],
)
async def test_the_wait_that_the_server_asks_for_is_kept(headers: dict[str, str], least: float) -> None:
    assert await statuses_to_success(answer(429, ERROR, headers), least=least, within=least + 0.25) == 2


def test_a_date_ahead_is_waited_for() -> None:
    date = email.utils.formatdate(time.time() + 2, usegmt=True)  # whole seconds: 1 to 2 from now
    assert asyncio.run(statuses_to_success(answer(503, ERROR, {"Retry-After": date}), least=0.5, within=2.25)) == 2


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "3600"}, 3600.0), ({"retry-after-ms": "120001"}, 120.001)]
)
async def test_a_wait_above_two_minutes_is_an_error_at_once(headers: dict[str, str], seconds: float) -> None:
    error = await refused(answer(429, ERROR, headers))
    assert error.retry_after == seconds


async def test_a_503_is_tried_again_only_where_it_names_a_wait() -> None:
    assert await statuses_to_success(answer(503, ERROR, {"Retry-After": "0"})) == 2
    assert (await refused(answer(503, ERROR))).outcome_unknown


async def test_the_server_may_say_itself_whether_to_try_again() -> None:
    assert await statuses_to_success(answer(500, ERROR, {"x-should-retry": "true"})) == 2
    assert type(await refused(answer(429, ERROR, {"x-should-retry": "false"}))) is RateLimitError


async def test_the_last_attempt_raises_the_error() -> None:
    async with RawServer(answering(answer(429, ERROR))) as server, client_of(server, retry=QUICKLY) as client:
        with pytest.raises(RateLimitError):
            await start(client)
        assert server.posts == 3


@pytest.mark.parametrize("status", [500, 502, 504, 408])
async def test_a_get_that_fails_at_the_server_is_not_tried_again_either(status: int) -> None:
    async with RawServer(answering(answer(status, ERROR))) as server, client_of(server, retry=QUICKLY) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.threads.runs.retrieve("r", thread_id="t")
        assert len(server.requests) == 1
        assert not caught.value.outcome_unknown


async def test_a_get_is_tried_again_as_a_create_is() -> None:
    answers = answer(429, ERROR), answer(503, ERROR, {"Retry-After": "0"}), answer(200, run_json())
    async with RawServer(answering(*answers)) as server, client_of(server, retry=QUICKLY) as client:
        assert (await client.threads.runs.retrieve("r", thread_id="t")).id == "run_raw"
        assert len(server.requests) == 3


async def test_nothing_is_sent_again_once_the_stream_has_begun() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_answer()[:-300])

    async with RawServer(script) as server, client_of(server, retry=QUICKLY) as client:
        with pytest.raises(Exception, match="broke"):
            async with start(client) as stream:
                await events_of(stream)
        assert server.posts == 1


@pytest.mark.parametrize("key", ["x", "run", "e", "sk-1234"])
async def test_a_key_that_is_only_a_word_changes_nothing_that_the_server_says(key: str) -> None:
    message = "Thread thread_raw already has an active run run_Zx."
    wire = answer(400, {"error": {"message": message, "code": "rate_limit_exceeded"}})
    async with RawServer(answering(wire)) as server, client_of(server, api_key=key) as client:
        with pytest.raises(ThreadBusyError, match=message) as caught:
            await start(client)
    assert (caught.value.run_id, caught.value.code) == ("run_Zx", "rate_limit_exceeded")


async def test_a_key_inside_what_a_server_says_does_not_change_what_it_means() -> None:
    wire = answer(400, {"error": {"message": "Thread thread_raw already has an active run run_secretkey."}})
    async with RawServer(answering(wire)) as server, client_of(server, api_key="secretkey") as client:
        with pytest.raises(ThreadBusyError) as caught:
            await start(client)
    assert caught.value.run_id == "run_secretkey"
    assert "secretkey" not in str(caught.value)
