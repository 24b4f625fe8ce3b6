"""What the embedded server refuses, in the protocol's words, and what it survives."""

import asyncio
import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
from server_client import PATIENCE, serving, stopped

from aiorunstream.errors import ConfigurationError
from aiorunstream.operations import OPERATIONS
from aiorunstream.server import AssistantsServer, CallTool, ScriptedEngine


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


@pytest.mark.parametrize(
    "hostile", ["x" * 2000, "..%2F..%2Fetc", "%00", "%FF%0A", "%F0%9F%98%80", "%7B%7D", "a%20b", "%25s"]
)
async def test_every_operation_refuses_a_hostile_id(hostile: str) -> None:
    async with serving() as (_, http):
        for operation in OPERATIONS:
            if "{" not in operation.path:
                continue
            path = re.sub(r"\{\w+\}", hostile, operation.path)
            status, _error = await http.refused(operation.method, path, {} if operation.method == "POST" else None)
            assert 400 <= status < 500, operation.name
        await http.post("/threads")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"7", b'{"a":' * 200 + b"1" + b"}" * 200, b'{"metadata": "\xff"}', b'{"\x00": 1}']
)
async def test_every_operation_with_a_body_refuses_one_that_cannot_be_meant(body: bytes) -> None:
    async with serving() as (server, http):
        path, made = await http.runs()
        thread_id = path.split("/")[2]
        run_id = (await http.post(path, made))["id"]
        message_id = (await http.get(f"/threads/{thread_id}/messages"))["first_id"]
        ids = {"thread_id": thread_id, "run_id": run_id, "message_id": message_id, **made}
        for operation in OPERATIONS:
            if operation.body is None:
                continue
            url = server.base_url + operation.path.format(**ids)
            headers = {"Content-Type": "application/json"}
            async with http.session.post(url, data=body, headers=headers) as response:
                answer = msgspec.json.decode(await response.read())
            assert (response.status, list(answer)) == (400, ["error"]), operation.name


async def test_a_request_line_without_end_is_refused_by_aiohttp_itself(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, "aiohttp.server"):
        async with serving() as (server, http):
            async with http.session.get(f"{server.base_url}/threads/{'x' * 9000}") as response:
                assert response.status == 400  # in plain text: no handler of ours sees such a request
                assert "8190" in await response.text()
            await http.post("/threads")


async def test_a_large_body_is_refused_also_when_its_size_is_not_said() -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(90):
            yield b" " * 65_536

    async with serving() as (server, http):
        headers = {"Content-Type": "application/json"}
        async with http.session.post(f"{server.base_url}/threads", data=drip(), headers=headers) as response:
            assert response.status == 413


BADLY_FRAMED = """
import asyncio
from aiorunstream.server import AssistantsServer

async def main():
    async with AssistantsServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /v1/threads HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        await asyncio.sleep(0.1)  # else aiohttp refuses the request before a handler has it
        writer.write(b"no length\\r\\n")
        print((await reader.read()).decode())  # all, to the end of the connection
        writer.close()

asyncio.run(main())
"""


def test_a_body_that_is_not_framed_as_its_head_says_is_refused_and_its_connection_closed() -> None:
    environment = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"}  # the parser in C tells no handler of it
    done = subprocess.run(
        [sys.executable, "-c", BADLY_FRAMED], env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.startswith("HTTP/1.1 400 ")
    assert "\nConnection: close\n" in done.stdout
    assert "The body broke off, or is not framed as its headers say." in done.stdout


async def test_stream_must_be_a_boolean() -> None:
    async with serving() as (_, http):
        path, body = await http.runs()
        status, error = await http.refused("POST", path, {**body, "stream": "yes"})
        assert (status, error["param"]) == (400, "stream")


@pytest.mark.parametrize(
    ("outputs", "param", "message"),
    [
        ([], "tool_outputs", "Outputs are missing for the tool calls a, b."),
        ([{"tool_call_id": "a", "output": "1"}], "tool_outputs", "Outputs are missing for the tool calls b."),
        ([{"tool_call_id": "x", "output": "1"}], "tool_outputs[0].tool_call_id", "The run waits for no tool call 'x'."),
        (
            [{"tool_call_id": "a", "output": "1"}, {"tool_call_id": "a", "output": "2"}],
            "tool_outputs[1].tool_call_id",
            "There are two outputs for the tool call 'a'.",
        ),
        ([{"output": "1"}], "tool_outputs[0]", "missing required field `tool_call_id`"),
        ([{"tool_call_id": "a", "output": 1}], "tool_outputs[0].output", "Expected `str`, got `int`"),
        ("a", "tool_outputs", "must be a list"),
    ],
)
async def test_tool_outputs_that_are_not_those_waited_for_are_refused(
    outputs: object, param: str, message: str
) -> None:
    engine = ScriptedEngine([[CallTool("f", id="a"), CallTool("f", id="b")], "done"])
    async with serving(engine=engine) as (_, http):
        path, body = await http.runs()
        run_path = f"{path}/{(await http.post(path, body))['id']}"
        await stopped(http, run_path)
        for stream in (False, True):
            sent = {"tool_outputs": outputs, "stream": stream}
            status, error = await http.refused("POST", f"{run_path}/submit_tool_outputs", sent)
            assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
            assert message in error["message"]
        right = {"tool_outputs": [{"tool_call_id": id, "output": ""} for id in ("b", "a")]}
        await http.post(f"{run_path}/submit_tool_outputs", right)
        assert (await stopped(http, run_path))["status"] == "completed"
        status, error = await http.refused("POST", f"{run_path}/submit_tool_outputs", right)
        assert (status, error["message"].endswith("its status is 'completed'.")) == (400, True)


async def test_tool_outputs_that_come_too_late_are_refused() -> None:
    async with serving(engine=ScriptedEngine([CallTool("f", id="a")]), expires_after=0.05) as (_, http):
        path, body = await http.runs()
        run = await http.post(path, body)
        async with asyncio.timeout(PATIENCE):
            while (await http.get(f"{path}/{run['id']}"))["status"] != "expired":
                await asyncio.sleep(0.01)
        sent = {"tool_outputs": [{"tool_call_id": "a", "output": "1"}]}
        status, error = await http.refused("POST", f"{path}/{run['id']}/submit_tool_outputs", sent)
        assert (status, error["message"]) == (400, f"Run {run['id']} has expired: its tool outputs come too late.")


async def test_vector_stores_are_not_made_in_secret_or_dropped_in_silence() -> None:
    resources = {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["file_1"]}]}}}
    async with serving() as (_, http):
        assistant_id = await http.assistant()
        for path, body, where in (
            ("/threads", resources, ""),
            ("/assistants", {"model": "parrot", **resources}, ""),
            ("/threads/runs", {"assistant_id": assistant_id, "thread": resources}, "thread."),
        ):
            status, error = await http.refused("POST", path, body)
            assert (status, error["code"]) == (400, "unsupported_parameter")
            assert error["param"] == f"{where}tool_resources.file_search.vector_stores"


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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_host_that_only_this_machine_reaches_needs_no_leave(host: str) -> None:
    AssistantsServer(host=host)


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
