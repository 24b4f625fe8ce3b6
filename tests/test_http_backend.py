"""The request on the wire byte for byte. Answers are in test_http_backend_answers.py and test_http_backend_errors.py."""

import asyncio
import json
from typing import Any

import pytest
from raw_server import (
    NO_RETRY,
    QUICK,
    RawServer,
    answer,
    answering,
    client_of,
    event,
    events_of,
    run_json,
    start,
    stream_answer,
)

from aiorunstream import (
    AsyncClient,
    AsyncMessages,
    ConfigurationError,
    FunctionTool,
    HttpBackend,
    InvalidArgumentError,
    MessageCreateParams,
    RequestOptions,
    ToolOutput,
    __version__,
)

INCLUDE = "step_details.tool_calls[*].file_search.results[*].content"


async def sent(server: RawServer) -> tuple[str, list[tuple[str, str]], Any]:
    """The last request: its line, headers without Host, and its body read as JSON."""
    request = server.requests[-1]
    headers = [(name, value) for name, value in request.headers if name != "Host"]
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    return request.line, headers, json.loads(request.body) if request.body else None


# -- requests ----------------------------------------------------------------------------------------------------------


async def test_the_smallest_request_is_this_byte_for_byte() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server, api_key="sk-1") as client:
        async with start(client) as stream:
            await events_of(stream)
        request = server.requests[0]
        body = b'{"assistant_id":"asst_raw","stream":true}'
        assert request.body == body
        lines = [
            "POST /v1/threads/thread_raw/runs HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Accept: text/event-stream",
            "Accept-Encoding: identity",
            f"User-Agent: aiorunstream/{__version__}",
            "OpenAI-Beta: assistants=v2",
            "Content-Type: application/json",
            "Authorization: Bearer sk-1",
            f"Content-Length: {len(body)}",
            "",
        ]
        assert request.head == "\r\n".join(lines).encode()


async def test_ids_are_quoted_and_include_goes_into_the_query() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        call = client.threads.runs.create_stream(
            "thr:ead~1&x=[é]"[:11] + "$+", assistant_id="a", include=[INCLUDE, "b c"]
        )
        async with call as stream:
            await events_of(stream)
        line, headers, body = await sent(server)
    quoted = "step_details.tool_calls%5B%2A%5D.file_search.results%5B%2A%5D.content"
    assert line == f"POST /v1/threads/thr%3Aead~1%26x%24%2B/runs?include%5B%5D={quoted}&include%5B%5D=b+c HTTP/1.1"
    assert body == {"assistant_id": "a", "stream": True}
    assert "Authorization" not in dict(headers)


async def test_left_out_none_and_a_value_are_three_requests() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        call = client.threads.runs.create_stream(
            "t",
            assistant_id="a",
            instructions=None,
            model="",
            temperature=0,
            metadata={"k": "ü"},
            tools=[],
            additional_messages=[MessageCreateParams(role="user", content="hi"), {"role": "user", "content": "ho"}],
            tool_choice="none",
            truncation_strategy={"type": "last_messages", "last_messages": 3},
            parallel_tool_calls=False,
            max_prompt_tokens=256,
        )
        async with call as stream:
            await events_of(stream)
        request = server.requests[-1]
    assert "ü".encode() in request.body
    assert json.loads(request.body) == {
        "assistant_id": "a",
        "additional_messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "ho"}],
        "instructions": None,
        "max_prompt_tokens": 256,
        "metadata": {"k": "ü"},
        "model": "",
        "parallel_tool_calls": False,
        "temperature": 0,
        "tool_choice": "none",
        "tools": [],
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "stream": True,
    }


async def test_options_and_defaults_are_added_and_win_in_turn() -> None:
    options = RequestOptions(
        extra_headers={"x-one": "from options", "OpenAI-Beta": None, "authorization": "Basic abc"},
        extra_query={"q": "2&3", "p": "9"},
        extra_body={"model": "theirs", "new_thing": [1]},
        idempotency_key="once",
    )
    async with (
        RawServer(answering(stream_answer())) as server,
        AsyncClient(
            base_url=server.base_url + "/sub/",
            api_key="sk-1",
            organization="org_1",
            project="proj_1",
            default_headers={"X-One": "from client", "X-Two": "2"},
            default_query={"api-version": "v1", "p": "1"},
            retry=NO_RETRY,
            timeouts=QUICK,
        ) as client,
    ):
        call = client.threads.runs.create_stream("t", assistant_id="a", model="ours", options=options)
        async with call as stream:
            await events_of(stream)
        line, headers, body = await sent(server)
    assert line == "POST /v1/sub/threads/t/runs?api-version=v1&p=9&q=2%263 HTTP/1.1"
    assert body == {"assistant_id": "a", "model": "theirs", "stream": True, "new_thing": [1]}
    named = {name.lower(): value for name, value in headers}
    assert len(named) == len(headers)
    assert named["x-one"] == "from options"
    assert named["x-two"] == "2"
    assert named["authorization"] == "Basic abc"
    assert named["openai-organization"] == "org_1"
    assert named["openai-project"] == "proj_1"
    assert named["idempotency-key"] == "once"
    assert "openai-beta" not in named


@pytest.mark.parametrize(
    "name",
    ["User-Agent", "Accept", "Accept-Encoding", "OpenAI-Beta", "Authorization", "openai-beta", "authorization"],
)
async def test_a_header_left_out_on_purpose_does_not_come_back_from_below(name: str) -> None:
    options = RequestOptions(extra_headers={name: None})
    async with RawServer(answering(stream_answer())) as server, client_of(server, api_key="sk-1") as client:
        async with start(client, options) as stream:
            await events_of(stream)
        assert server.requests[0].header(name) is None
        default: dict[str, str | None] = {name: None}
        async with (
            AsyncClient(base_url=server.base_url, api_key="sk-1", default_headers=default) as other,
            start(other) as stream,
        ):
            await events_of(stream)
        assert server.requests[1].header(name) is None


async def test_a_cookie_of_the_server_is_not_sent_back() -> None:
    cookie = answer(200, {"id": "t"}, {"Set-Cookie": "session=planted; Path=/"})
    async with RawServer(answering(cookie)) as server:
        url = server.base_url.replace("127.0.0.1", "localhost")
        async with AsyncClient(base_url=url, retry=NO_RETRY, timeouts=QUICK) as client:
            for _ in range(2):
                await client.threads.retrieve("t")
        assert [request.header("cookie") for request in server.requests] == [None, None]


async def test_each_plain_call_sends_its_method_path_and_body() -> None:
    runs = {"object": "thread.run", "id": "r", "thread_id": "t"}
    async with RawServer(answering(answer(200, runs))) as server, client_of(server) as client:
        await client.threads.runs.retrieve("r", thread_id="t")
        assert (await sent(server))[0] == "GET /v1/threads/t/runs/r HTTP/1.1"
        names = {name.lower(): value for name, value in (await sent(server))[1]}
        assert names["accept"] == "application/json"
        assert "content-type" not in names
        await client.threads.runs.cancel("r", thread_id="t")
        assert (await sent(server))[0] == "POST /v1/threads/t/runs/r/cancel HTTP/1.1"
        assert (await sent(server))[2] is None
        await client.threads.runs.update("r", thread_id="t", metadata=None)
        assert (await sent(server))[0::2] == ("POST /v1/threads/t/runs/r HTTP/1.1", {"metadata": None})
        await client.threads.runs.create("t", assistant_id="a")
        assert (await sent(server))[0::2] == ("POST /v1/threads/t/runs HTTP/1.1", {"assistant_id": "a"})
        outputs = [ToolOutput(tool_call_id="c", output="42")]
        await client.threads.runs.submit_tool_outputs("r", thread_id="t", tool_outputs=outputs)
        assert (await sent(server))[0::2] == (
            "POST /v1/threads/t/runs/r/submit_tool_outputs HTTP/1.1",
            {"tool_outputs": [{"tool_call_id": "c", "output": "42"}]},
        )
        await client.threads.delete("t")
        assert (await sent(server))[0] == "DELETE /v1/threads/t HTTP/1.1"


async def test_the_other_streams_go_to_their_own_paths() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        outputs = [{"tool_call_id": "c", "output": "42"}]
        call = client.threads.runs.submit_tool_outputs_stream("r", thread_id="t", tool_outputs=outputs)
        async with call as stream:
            assert (stream.thread_id, stream.run_id) == ("t", "r")
            await events_of(stream)
        assert (await sent(server))[0::2] == (
            "POST /v1/threads/t/runs/r/submit_tool_outputs HTTP/1.1",
            {"tool_outputs": outputs, "stream": True},
        )
        async with client.threads.create_and_run_stream(assistant_id="a", thread={"messages": []}) as stream:
            await events_of(stream)
        expected: dict[str, Any] = {"assistant_id": "a", "thread": {"messages": []}, "stream": True}
        assert (await sent(server))[0::2] == ("POST /v1/threads/runs HTTP/1.1", expected)


async def test_what_a_run_was_created_with_is_not_sent_with_its_tool_outputs_again() -> None:
    waits = stream_answer(event("thread.run.requires_action", run_json("requires_action")))
    options = RequestOptions(
        extra_body={"new_thing": 1}, extra_headers={"Idempotency-Key": "a", "X-One": "1"}, idempotency_key="b"
    )
    async with RawServer(answering(waits, stream_answer())) as server, client_of(server) as client:
        async with start(client, options) as stream:
            await events_of(stream)
        assert (await sent(server))[2]["new_thing"] == 1
        async with stream.submit_tool_outputs([ToolOutput(tool_call_id="c", output="42")]) as goes_on:
            await events_of(goes_on)
        line, headers, body = await sent(server)
    assert line == "POST /v1/threads/thread_raw/runs/run_raw/submit_tool_outputs HTTP/1.1"
    assert body == {"tool_outputs": [{"tool_call_id": "c", "output": "42"}], "stream": True}
    assert dict(headers)["X-One"] == "1"
    assert "Idempotency-Key" not in dict(headers)


async def test_a_struct_in_a_request_is_sent_as_its_json() -> None:
    tool = FunctionTool(function={"name": "look", "parameters": {"type": "object"}})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        async with client.threads.runs.create_stream("t", assistant_id="a", tools=[tool]) as stream:
            await events_of(stream)
        (written,) = (await sent(server))[2]["tools"]
    assert written["type"] == "function"
    assert written["function"]["name"] == "look"


# -- the backend itself ------------------------------------------------------------------------------------------------


async def test_a_backend_belongs_to_one_client() -> None:
    backend = HttpBackend("http://127.0.0.1:9/v1/")
    assert backend.base_url == "http://127.0.0.1:9/v1"
    async with AsyncClient(backend=backend):
        with pytest.raises(ConfigurationError):
            AsyncClient(backend=backend)
    with pytest.raises(ConfigurationError):
        AsyncClient(backend=HttpBackend("http://127.0.0.1:9"), base_url="http://127.0.0.1:9")


async def test_a_backend_without_a_client_says_what_it_is_used_through() -> None:
    messages = AsyncMessages(HttpBackend("http://127.0.0.1:9/v1"))
    with pytest.raises(ConfigurationError, match=r"AsyncClient\(backend=\.\.\.\)"):
        await messages.retrieve("msg_1", thread_id="thread_1")


async def test_a_key_from_a_callable_is_asked_for_before_each_request() -> None:
    asked = 0

    async def key() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return f"sk-{asked}" if asked < 3 else "sk-\n"

    async with (
        RawServer(answering(answer(200, run_json()))) as server,
        AsyncClient(base_url=server.base_url, api_key=key, retry=NO_RETRY) as client,
    ):
        for number in (1, 2):
            await client.threads.runs.retrieve("r", thread_id="t")
            assert server.requests[-1].header("authorization") == f"Bearer sk-{number}"
        with pytest.raises(InvalidArgumentError, match="api_key"):
            await client.threads.runs.retrieve("r", thread_id="t")
        assert len(server.requests) == 2
