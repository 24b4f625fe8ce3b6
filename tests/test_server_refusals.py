"""What the embedded server refuses, in the protocol's words, and what it survives."""

import io
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
from server_client import serving

from aiorunstream.errors import ConfigurationError
from aiorunstream.server import AssistantsServer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/threads/thread_x", 404),
        ("GET", "/threads/%FF%00%0A/messages", 404),
        ("GET", "/threads/" + "x" * 5000, 404),
        ("GET", "/threads/..%2F..%2Fetc", 404),
        ("PUT", "/threads", 405),
        ("GET", "/assistants?limit=many", 400),
        ("GET", "/assistants?after=asst_x", 400),
        ("POST", "/threads/thread_x/runs?include[]=everything", 400),
    ],
)
async def test_a_request_for_nothing_is_an_error_in_the_envelope(method: str, path: str, status: int) -> None:
    async with serving() as (_, http):
        assert (await http.refused(method, path))[0] == status


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"null", {}, 400),
        (b'{"metadata": 1e999}', {}, 400),
        (b'{"metadata": "\xff"}', {}, 400),
        (b'{"metadata": ' + b"9" * 5000 + b"}", {}, 400),
        (b'{"messages": ' + b"[" * 100_000, {}, 400),
        (b'{"messages": 3}', {}, 400),
        (b'{"metadata": {"a": 1}}', {}, 400),
        (b'{"surprise": 1}', {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 400),
        (b"hello", {"Content-Encoding": "gzip"}, 400),
        (b" " * (5 * 1024 * 1024 + 1), {}, 413),
    ],
)
async def test_a_body_that_cannot_be_meant_is_refused_and_the_server_lives_on(
    body: bytes, headers: Mapping[str, str], status: int
) -> None:
    async with serving() as (server, http):
        sent = {"Content-Type": "application/json", **headers}
        url = f"{server.base_url}/threads"
        async with http.session.post(url, data=io.BytesIO(body), headers=sent) as response:
            answer = msgspec.json.decode(await response.read())
        assert (response.status, list(answer)) == (status, ["error"])
        assert answer["error"]["message"]
        await http.post("/threads")


async def test_a_large_body_is_refused_also_when_its_size_is_not_said() -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(90):
            yield b" " * 65_536

    async with serving() as (server, http):
        headers = {"Content-Type": "application/json"}
        async with http.session.post(f"{server.base_url}/threads", data=drip(), headers=headers) as response:
            assert response.status == 413


async def test_stream_must_be_a_boolean() -> None:
    async with serving() as (_, http):
        path, body = await http.runs()
        status, error = await http.refused("POST", path, {**body, "stream": "yes"})
        assert (status, error["param"]) == (400, "stream")


async def test_without_the_right_key_nothing_is_done_and_the_key_is_not_repeated() -> None:
    async with serving(api_keys=["right"]) as (server, http):
        for headers in ({}, {"Authorization": "Bearer wr0ng"}, {"Authorization": "Basic right"}, {"api-key": "wr0ng"}):
            status, error = await http.refused("POST", "/threads", {}, **headers)
            assert (status, error["code"]) == (401, "invalid_api_key")
            assert "wr0ng" not in str(error)
        assert (await http.refused("GET", "/nowhere"))[0] == 401
        for headers in ({"Authorization": "Bearer right"}, {"authorization": "bearer right"}, {"api-key": "right"}):
            assert (await http.ask("POST", "/threads", {}, **headers))[0] == 200
        assert len(server.requests) == 8


async def test_a_bug_is_an_answer_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as (server, http):

        def bug(thread_id: str) -> None:
            raise ZeroDivisionError(thread_id)

        monkeypatch.setattr(server.store, "retrieve_thread", bug)
        status, error = await http.refused("GET", "/threads/thread_x")
        assert (status, error["type"]) == (500, "server_error")
        assert "ZeroDivision" not in str(error)
        assert "ZeroDivision" in caplog.text
        await http.post("/threads")


# -- where it listens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_a_host_that_others_reach_must_be_permitted(host: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_remote"):
        AssistantsServer(host=host)
    AssistantsServer(host=host, allow_remote=True)


@pytest.mark.parametrize("setting", ["delay", "expires_after"])
@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(setting: str, seconds: float) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        AssistantsServer(**{setting: seconds})  # type: ignore[arg-type]


async def test_the_base_url_is_where_it_listens() -> None:
    server = AssistantsServer(port=0)
    assert server.base_url == "http://127.0.0.1:0/v1"
    async with server:
        assert server.port > 0
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
        with pytest.raises(OSError, match=str(server.port)):
            await AssistantsServer(port=server.port).start()
