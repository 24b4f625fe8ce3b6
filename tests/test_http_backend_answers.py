"""Which answers are taken for an event stream or a result, and what the others become."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from raw_server import (
    CREATED,
    EVENT_STREAM,
    RUN_STREAM,
    STREAM_HEAD,
    RawServer,
    answer,
    answering,
    chunk,
    client_of,
    events_of,
    head,
    run_json,
    start,
)

from aiorunstream import (
    APIError,
    APIStatusError,
    Limits,
    NotFoundError,
    Run,
    RunStream,
    StreamProtocolError,
    StreamTruncatedError,
)

BODY = b"".join(RUN_STREAM)


def plain_stream(headers: dict[str, str], *, status: int = 200, body: bytes = BODY) -> bytes:
    return head(status, {**headers, "Content-Length": str(len(body))}) + body


# -- what is taken for a stream ----------------------------------------------------------------------------------------


async def outcome_of(wire: bytes) -> RunStream | APIError:
    async with RawServer(answering(wire)) as server, client_of(server) as client:
        try:
            async with start(client) as stream:
                await events_of(stream)
            return stream
        except APIError as error:
            return error
        finally:
            assert server.posts == 1


async def test_the_shared_http_vectors(shared: Path) -> None:
    vectors: list[dict[str, Any]] = json.loads((shared / "conformance" / "sse-vectors.json").read_text())[
        "http_vectors"
    ]
    assert len(vectors) == 21
    for vector in vectors:
        kind = vector.get("content_type", "text/event-stream")
        status = vector.get("status", 200)
        headers = {} if kind is None else {"Content-Type": kind}
        if status // 100 == 3:
            headers["Location"] = "/elsewhere"
        body = b"" if status in (204, 205) else BODY
        got = await outcome_of(plain_stream(headers, status=status, body=body))
        if vector["expect"].startswith("accept"):
            assert isinstance(got, RunStream), vector["name"]
            assert got.outcome == "completed"
        else:
            wanted = StreamProtocolError if status // 100 == 2 else APIStatusError
            assert isinstance(got, wanted), vector["name"]


@pytest.mark.parametrize(
    "kind",
    ["text/event-stream", "TEXT/EVENT-STREAM", "text/event-stream ;charset=latin-1", "text/event-stream; boundary=x"],
)
async def test_an_event_stream_is_one_whatever_its_parameters_say(kind: str) -> None:
    assert isinstance(await outcome_of(plain_stream({"Content-Type": kind})), RunStream)


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({"Content-Type": "text/event-streams"}, 200, BODY),
        ({"Content-Type": "application/json, text/event-stream"}, 200, BODY),
        ({}, 200, BODY),
        ({"Content-Type": "text/html"}, 200, b"<html>busy</html>"),
        ({"Content-Type": "text/html"}, 200, b'<html><p class="error">busy</p></html>'),
        ({"Content-Type": "application/json"}, 200, b"[]"),
        ({"Content-Type": "application/json"}, 200, b"{broken"),
        ({"Content-Type": "application/json"}, 200, b'{"x":' * 5000),
        ({"Content-Type": "text/event-stream"}, 201, BODY),
        ({"Content-Type": "text/event-stream"}, 202, b""),
        ({"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}, 200, gzip.compress(BODY)),
        ({"Content-Type": "text/event-stream", "Content-Encoding": "br"}, 200, BODY),
    ],
)
async def test_anything_else_that_is_a_success_is_a_protocol_error_with_the_facts(
    headers: dict[str, str], status: int, body: bytes
) -> None:
    found = await outcome_of(plain_stream({**headers, "X-Request-Id": "req_odd"}, status=status, body=body))
    assert type(found) is StreamProtocolError
    assert (found.status_code, found.request_id, found.thread_id) == (status, "req_odd", "thread_raw")
    assert b"busy" not in str(found).encode()


async def test_a_run_in_json_instead_of_a_stream_tells_its_id() -> None:
    found = await outcome_of(answer(200, {**run_json(), "metadata": {"error": "no"}}))
    assert isinstance(found, StreamProtocolError)
    assert found.run_id == "run_raw"


async def test_an_error_in_json_under_a_200_is_that_error() -> None:
    found = await outcome_of(answer(200, {"error": {"message": "model gone", "code": "m1"}}))
    assert isinstance(found, APIStatusError)
    assert (found.code, found.status_code) == ("m1", 200)
    assert "model gone" in str(found)


@pytest.mark.parametrize("body", [b"", b": nothing\n\n", b"<html>gateway</html>", b"\n\n"])
async def test_an_event_stream_without_a_run_is_truncated(body: bytes) -> None:
    assert type(await outcome_of(plain_stream(EVENT_STREAM, body=body))) is StreamTruncatedError


async def test_an_event_above_the_limit_ends_the_stream_and_the_connection() -> None:
    wire = STREAM_HEAD + chunk(CREATED) + chunk(b"data: " + b"x" * 5000)
    async with (
        RawServer(answering(wire)) as server,
        client_of(server, limits=Limits(max_event_bytes=2000)) as client,
    ):
        with pytest.raises(StreamProtocolError) as caught:
            async with start(client) as stream:
                await events_of(stream)
        assert caught.value.events_seen == 1
        assert await server.peers[0].closed_within(0.2)


# -- plain results -----------------------------------------------------------------------------------------------------


async def test_a_plain_result_is_decoded_leniently() -> None:
    odd = {**run_json("dreaming"), "created_at": 1710330640.5, "tools": [{"type": "moon"}], "metadata": None}
    async with RawServer(answering(answer(201, odd))) as server, client_of(server) as client:
        run = await client.threads.runs.create("thread_raw", assistant_id="a")
    assert isinstance(run, Run)
    assert (run.status, run.created_at) == ("dreaming", 1710330640)
    assert run.tools == ({"type": "moon"},)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"object": "thread.run"}', b"[" * 100_000, b"\xff"])
async def test_a_plain_result_that_cannot_be_one_is_an_error_of_ours(body: bytes) -> None:
    async with RawServer(answering(answer(200, body))) as server, client_of(server) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.threads.runs.retrieve("r", thread_id="t")
    assert caught.value.status_code == 200
    assert not isinstance(caught.value, NotFoundError)


async def test_a_plain_result_above_the_limit_is_refused() -> None:
    big = answer(200, {**run_json(), "instructions": "x" * 9000})[:-20]
    async with RawServer(answering(big)) as server, client_of(server, limits=Limits(max_event_bytes=2000)) as client:
        with pytest.raises(APIStatusError, match="max_event_bytes"):
            await client.threads.runs.retrieve("r", thread_id="t")
        assert await server.peers[0].closed_within(0.2)


@pytest.mark.parametrize("coding", ["none", "utf-8", "identity", "None, identity"])
async def test_a_coding_that_is_none_does_not_make_a_stream_unreadable(coding: str) -> None:
    found = await outcome_of(plain_stream({**EVENT_STREAM, "Content-Encoding": coding}))
    assert isinstance(found, RunStream)
    assert (found.outcome, found.events_seen) == ("completed", 4)


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "br", "identity, zstd", "deflate"])
async def test_a_compressed_answer_names_its_coding(coding: str) -> None:
    body = gzip.compress(b"{}")
    wire = head(200, {"Content-Type": "application/json", "Content-Encoding": coding, "Content-Length": str(len(body))})
    async with RawServer(answering(wire + body)) as server, client_of(server) as client:
        with pytest.raises(APIStatusError, match=coding):
            await client.threads.retrieve("thread_raw")
    assert "content encoding" in str(await outcome_of(plain_stream({**EVENT_STREAM, "Content-Encoding": coding})))


async def test_a_run_in_place_of_a_stream_can_be_found_by_what_the_error_says() -> None:
    async with RawServer(answering(answer(200, run_json("queued")))) as server, client_of(server) as client:
        with pytest.raises(StreamProtocolError) as caught:
            await client.threads.create_and_run_stream(assistant_id="asst_raw")
    assert (caught.value.thread_id, caught.value.run_id) == ("thread_raw", "run_raw")
