"""Bad input is named, and nothing leaves the process."""

import string
from collections.abc import Callable
from typing import Any

import pytest
from raw_server import (
    RawServer,
    answer,
    answering,
    client_of,
    run_json,
    start,
    stream_answer,
)
from yarl import URL

from aiorunstream import (
    AsyncClient,
    ConfigurationError,
    InvalidArgumentError,
    Limits,
    RequestOptions,
    RetryPolicy,
    Timeouts,
)

HOSTILE_IDS: list[object] = [
    "",
    ".",
    "..",
    "../..",
    "a/b",
    "/",
    "a\\b",
    "\\",
    "a?x=1",
    "?",
    "a#f",
    "#",
    "%2e%2e",
    "%2F",
    "a%00",
    "%",
    "x" * 513,
    "ü",
    "thread_ä",
    "\ud800",
    "\u0661",
    "\u2028",
    "\u202e",
    "\xa0",
    "\xad",
    "\ufeff",
    "\uff0f",
    "a\u0301",
    "🧵",
    None,
    0,
    1.5,
    True,
    b"thread_1",
    ["thread_1"],
    {"id": "thread_1"},
    *(chr(code) for code in range(33)),
    *(f"a{chr(code)}b" for code in range(33)),
    "\x7f",
    "\x80",
    "\x9f",
    " a",
    "a ",
    "a\r\nHost: evil",
    "../../v1/files",
    "thread_1/../../files",
    "http://evil.example/",
    "//evil.example",
]

HOSTILE_HEADERS: list[tuple[object, object]] = [
    ("", "x"),
    ("X Y", "x"),
    ("X:", "x"),
    ("X\r\nY", "x"),
    ("X\x00", "x"),
    ("Ü", "x"),
    (" X", "x"),
    (b"X", "x"),
    (7, "x"),
    ("X", ""),
    ("X", " x"),
    ("X", "x\n"),
    ("X", "a\r\nY: b"),
    ("X", "a\x00b"),
    ("X", "a\tb"),
    ("X", "\x7f"),
    ("X", "é"),
    ("X", "\ud800"),
    ("X", 7),
    ("X", b"x"),
]

HOSTILE_KEYS: list[object] = [
    "sk\r\nX: 1",
    "sk\n",
    "\nsk",
    " sk",
    "sk ",
    "s\tk",
    "s\x00k",
    "sk\x7f",
    "€",
    "sk-é",
    "\ud800",
    "sk\u2028",
    " ",
    b"sk",
    7,
    ["sk"],
]

BASE_URLS: list[object] = [
    "",
    " ",
    "127.0.0.1:80/v1",
    "//127.0.0.1/v1",
    "/v1",
    "ftp://127.0.0.1/v1",
    "file:///etc/passwd",
    "unix:///run/x",
    "javascript:alert(1)",
    "http:///v1",
    "http://",
    "http://user@127.0.0.1/v1",
    "http://user:hunter2@127.0.0.1/v1",
    "http://:hunter2@127.0.0.1/v1",
    "http://@127.0.0.1/v1",
    "http://127.0.0.1/v1?x=1",
    "http://127.0.0.1/v1?",
    "http://127.0.0.1/v1#f",
    "http://127.0.0.1/v1#",
    "http://127.0.0.1/a/../v1",
    "http://127.0.0.1/..",
    "http://127.0.0.1/./v1",
    "http://127.0.0.1/%2e%2e/v1",
    "http://127.0.0.1\\@evil.example/v1",
    "http://127.0.0.1:0/v1",
    "http://127.0.0.1:65536/v1",
    "http://127.0.0.1:-1/v1",
    "http://127.0.0.1:x/v1",
    "http://[::1/v1",
    "http://127.0.0.1/v 1",
    "http://127.0.0.1/v1\n",
    "http://127.0.0.1\r\nX: 1/v1",
    "http://127.0.0.1/\x00",
    "http://bücher.example/v1",
    b"http://127.0.0.1/v1",
    7,
]


async def test_hostile_ids_are_named_and_nothing_is_sent() -> None:
    assert len(HOSTILE_IDS) > 100
    async with RawServer(answering(answer(200, run_json()))) as server, client_of(server) as client:
        threads: Any = client.threads
        for value in HOSTILE_IDS:
            with pytest.raises(InvalidArgumentError, match="thread_id") as caught:
                threads.runs.create_stream(value, assistant_id="a")
            assert caught.value.argument == "thread_id"
            with pytest.raises(InvalidArgumentError, match="thread_id"):
                await threads.retrieve(value)
            with pytest.raises(InvalidArgumentError, match="run_id"):
                await threads.runs.cancel(value, thread_id="t")
            with pytest.raises(InvalidArgumentError, match="run_id"):
                threads.runs.submit_tool_outputs_stream(value, thread_id="t", tool_outputs=[])
        assert server.peers == []


async def test_every_visible_ascii_id_that_is_allowed_arrives_as_it_is() -> None:
    allowed = "".join(sorted(set(string.printable[:94]) - set("/\\?#%")))
    async with RawServer(answering(answer(200, {"id": "t"}))) as server, client_of(server) as client:
        for value in (allowed, "..a", "a..", "...", "x" * 512):
            await client.threads.retrieve(value)
            path = server.requests[-1].line.split()[1]
            assert URL(path, encoded=True).path == f"/v1/threads/{value}"


BAD_PARAMETERS: list[tuple[str, dict[str, object]]] = [
    ("assistant_id", {"assistant_id": ""}),
    ("assistant_id", {"assistant_id": None}),
    ("assistant_id", {"assistant_id": 7}),
    ("temperature", {"temperature": 3}),
    ("temperature", {"temperature": -0.1}),
    ("temperature", {"temperature": float("nan")}),
    ("temperature", {"temperature": True}),
    ("top_p", {"top_p": 1.1}),
    ("max_prompt_tokens", {"max_prompt_tokens": 255}),
    ("max_completion_tokens", {"max_completion_tokens": 256.5}),
    ("metadata", {"metadata": {str(number): "x" for number in range(17)}}),
    ("metadata", {"metadata": {"k" * 65: "x"}}),
    ("metadata", {"metadata": {"k": "x" * 513}}),
    ("metadata", {"metadata": {"k": 1}}),
    ("metadata", {"metadata": ["k"]}),
    ("tools", {"tools": [{"type": "function"}] * 21}),
    ("tools", {"tools": "code_interpreter"}),
    ("tools", {"tools": ["code_interpreter"]}),
    ("include", {"include": "step_details"}),
    ("include", {"include": None}),
    ("instructions", {"instructions": 7}),
    ("parallel_tool_calls", {"parallel_tool_calls": None}),
    ("additional_messages", {"additional_messages": {"role": "user"}}),
    ("truncation_strategy", {"truncation_strategy": "auto"}),
    ("stream", {"stream": False}),
    ("stream", {"stream": None}),
    ("stream", {"stream": 1}),
]


@pytest.mark.parametrize(("name", "given"), BAD_PARAMETERS)
async def test_a_parameter_that_cannot_be_meant_is_named_at_the_call(name: str, given: dict[str, object]) -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        runs: Any = client.threads.runs
        with pytest.raises(InvalidArgumentError, match=name) as caught:
            runs.create_stream("t", **{"assistant_id": "a", **given})
        assert (caught.value.argument or "").partition("[")[0] == name
        assert server.peers == []


async def test_stream_false_and_stream_true_name_the_method_that_is_meant() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        threads: Any = client.threads
        with pytest.raises(InvalidArgumentError, match=r"runs\.create\b(?!_)"):
            threads.runs.create_stream("t", assistant_id="a", stream=False)
        with pytest.raises(InvalidArgumentError, match=r"runs\.create_stream"):
            await threads.runs.create("t", assistant_id="a", stream=True)
        with pytest.raises(InvalidArgumentError, match=r"create_and_run_stream"):
            await threads.create_and_run(assistant_id="a", stream=True)
        with pytest.raises(InvalidArgumentError, match=r"submit_tool_outputs_stream"):
            await threads.runs.submit_tool_outputs("r", thread_id="t", tool_outputs=[], stream=True)
        with pytest.raises(TypeError, match="assistent_id"):
            threads.runs.create_stream("t", assistant_id="a", assistent_id="a")
        assert server.peers == []


async def test_what_has_no_json_is_named_and_not_sent() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        runs: Any = client.threads.runs
        for value in ({"x": object()}, loop, {"x": "\ud800"}, {1: 2, (1,): 3}):
            with pytest.raises(InvalidArgumentError, match="response_format"):
                await runs.create_stream("t", assistant_id="a", response_format=value)
        assert server.peers == []


@pytest.mark.parametrize(("name", "value"), HOSTILE_HEADERS)
async def test_hostile_headers_are_named_and_nothing_is_sent(name: object, value: object) -> None:
    headers: Any = {name: value}
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        with pytest.raises(InvalidArgumentError, match="header"):
            await start(client, RequestOptions(extra_headers=headers))
        with pytest.raises(InvalidArgumentError, match="header"):
            AsyncClient(base_url=server.base_url, default_headers=headers)
        assert server.peers == []


async def test_other_options_that_cannot_be_meant_are_refused() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        with pytest.raises(InvalidArgumentError, match="stream"):
            await start(client, RequestOptions(extra_body={"stream": False}))
        with pytest.raises(InvalidArgumentError, match="idempotency_key"):
            await start(client, RequestOptions(idempotency_key="a\r\nb"))
        for name in ("on_error_event", "cancel_on_exit"):
            given: Any = {name: "sometimes"}
            with pytest.raises(InvalidArgumentError, match=name):
                _ = client.threads.runs.create_stream("thread_1", assistant_id="asst_1", **given)
        assert server.peers == []


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_key_that_no_header_can_carry_is_refused_without_being_quoted(key: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="api_key") as caught:
        AsyncClient(base_url="http://127.0.0.1:9/v1", api_key=key)
    text = str(caught.value)
    assert not isinstance(key, str) or len(key.strip()) < 2 or key.strip() not in text


@pytest.mark.parametrize("url", BASE_URLS)
def test_a_base_url_that_cannot_be_meant_is_refused_and_its_password_not_quoted(
    url: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        AsyncClient(base_url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Timeouts(connect=0),
        lambda: Timeouts(idle=-1),
        lambda: Timeouts(total=float("nan")),
        lambda: Limits(max_streams=0),
        lambda: Limits(max_event_bytes=-5),
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(base_delay=9, max_delay=1),
    ],
)
def test_settings_that_cannot_work_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        build()
