"""A client's settings and lifetime. Bad input is in test_client_bad_input.py, secrets in test_client_secrets.py."""

import asyncio

import aiohttp
import pytest
from raw_server import (
    NO_RETRY,
    QUICK,
    RawServer,
    answer,
    answering,
    client_of,
    events_of,
    start,
    stream_answer,
)

from aiorunstream import (
    AiorunstreamError,
    AsyncClient,
    ClientClosedError,
    ConfigurationError,
    HttpBackend,
    InvalidArgumentError,
)

# -- the environment ---------------------------------------------------------------------------------------------------

VARIABLES = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_a_server_to_speak_to_the_error_names_the_ways_out() -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        AsyncClient(api_key="sk-1")
    assert "OPENAI_BASE_URL" in str(caught.value)
    assert "backend" in str(caught.value)


async def test_the_environment_is_used_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(answering(answer(200, {"id": "t"}))) as server:
        values = ["sk-env", server.base_url, "org_env", "proj_env"]
        for name, value in zip(VARIABLES, values, strict=True):
            monkeypatch.setenv(name, value)
        async with AsyncClient() as client:
            await client.threads.retrieve("t")
        async with AsyncClient(api_key="sk-arg", organization="org_arg", project="proj_arg") as client:
            await client.threads.retrieve("t")
        for request, kind in zip(server.requests, ["env", "arg"], strict=True):
            assert request.header("authorization") == f"Bearer sk-{kind}"
            assert request.header("openai-organization") == f"org_{kind}"
            assert request.header("openai-project") == f"proj_{kind}"


@pytest.mark.parametrize("key", [None, ""])
async def test_without_a_key_no_authorization_is_sent(key: str | None) -> None:
    async with RawServer(answering(answer(200, {"id": "t"}))) as server, client_of(server, api_key=key) as client:
        await client.threads.retrieve("t")
        assert server.requests[0].header("authorization") is None


async def test_an_empty_key_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    async with RawServer(answering(answer(200, {"id": "t"}))) as server, client_of(server, api_key="") as client:
        await client.threads.retrieve("t")
        assert server.requests[0].header("authorization") is None


def test_bad_values_of_the_environment_are_refused_as_arguments_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env\n")
    with pytest.raises(InvalidArgumentError, match="api_key"):
        AsyncClient(base_url="http://127.0.0.1:9")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://u:p@127.0.0.1")
    with pytest.raises(ConfigurationError):
        AsyncClient()


# -- lifetime ----------------------------------------------------------------------------------------------------------


async def test_a_client_opens_nothing_before_its_first_request_and_closes_twice() -> None:
    async with RawServer(answering(stream_answer())) as server:
        client = AsyncClient(base_url=server.base_url, retry=NO_RETRY, timeouts=QUICK)
        assert client.beta.threads.runs is client.threads.runs
        await asyncio.sleep(0.02)
        assert server.peers == []
        async with start(client) as stream:
            await events_of(stream)
        await client.aclose()
        await client.close()
        with pytest.raises(ClientClosedError) as caught:
            await client.threads.retrieve("t")
        assert isinstance(caught.value, AiorunstreamError)
        await asyncio.sleep(0.02)
        assert await server.peers[0].closed_within(0.2)


async def test_a_closed_session_of_the_caller_is_said_to_be_closed() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    async with AsyncClient(base_url="http://127.0.0.1:9", session=session, retry=NO_RETRY) as client:
        with pytest.raises(ClientClosedError):
            await start(client)


def test_a_client_says_where_it_goes() -> None:
    assert repr(AsyncClient(base_url="http://127.0.0.1:9/v1")) == "AsyncClient(HttpBackend('http://127.0.0.1:9/v1'))"
    assert "9/v1" in repr(HttpBackend("http://127.0.0.1:9/v1"))
