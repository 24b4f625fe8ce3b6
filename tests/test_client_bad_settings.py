"""Settings and options that cannot be meant: an error of ours, never a claim that something may have been sent."""

from pathlib import Path
from typing import Any

import pytest
from raw_server import (
    NO_RETRY,
    QUICK,
    RawServer,
    answering,
    client_of,
    start,
    stream_answer,
)

from aiorunstream import (
    AiorunstreamError,
    AsyncClient,
    ConfigurationError,
    InvalidArgumentError,
    RequestOptions,
    RunOutcomeUnknownError,
)


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
async def test_a_header_that_would_break_the_framing_is_refused(name: str) -> None:
    value = "chunked" if name == "Transfer-Encoding" else "3"
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        with pytest.raises(InvalidArgumentError, match="(?i)" + name):
            async with start(client, RequestOptions(extra_headers={name: value})):
                pass
        assert server.peers == []


@pytest.mark.parametrize(
    "options",
    [
        {"extra_query": {"a": None}},
        {"extra_query": {"a": ["x"]}},
        {"extra_query": [("a", "b")]},
        {"extra_body": ["a"]},
        {"extra_body": {"a": object()}},
        {"extra_headers": [("A", "b")]},
        {"timeouts": 5},
        {"retry": 3},
    ],
    ids=str,
)
async def test_an_option_of_the_wrong_kind_is_an_error_of_ours(options: dict[str, Any]) -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        with pytest.raises((InvalidArgumentError, ConfigurationError)):
            async with start(client, RequestOptions(**options)):
                pass
        assert server.peers == []


@pytest.mark.parametrize(
    "settings", [{"proxy": "not a url"}, {"proxy": "http://[bad"}, {"proxy": 7}, {"ssl": "no"}], ids=str
)
async def test_a_proxy_or_ssl_that_cannot_be_meant_is_an_error_of_ours_and_no_unknown_outcome(
    settings: dict[str, Any],
) -> None:
    async with RawServer(answering(stream_answer())) as server:
        with pytest.raises(AiorunstreamError) as caught:
            async with AsyncClient(base_url=server.base_url, retry=NO_RETRY, **settings) as client, start(client):
                pass
        assert not isinstance(caught.value, RunOutcomeUnknownError)
        assert server.peers == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "a..b", "x" * 64 + ".invalid"])
async def test_a_host_that_nothing_can_be_sent_to_is_no_unknown_outcome(host: str) -> None:
    with pytest.raises(AiorunstreamError) as caught:
        async with AsyncClient(base_url=f"http://{host}:9/v1", retry=NO_RETRY, timeouts=QUICK) as client:
            await start(client)
    assert not isinstance(caught.value, RunOutcomeUnknownError)


async def test_a_login_in_netrc_beside_a_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password planted-word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with RawServer(answering(stream_answer())) as server:
        async with AsyncClient(base_url=server.base_url, api_key="sk-planted-key", trust_env=True) as client:
            with pytest.raises(ConfigurationError, match="netrc") as caught:
                await start(client)
        assert not any("planted" in text for text in (str(caught.value), repr(caught.value.__context__)))
        assert server.requests == []
