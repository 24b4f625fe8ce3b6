"""What a project of Azure is asked, and where the tokens come from that it is asked with."""

import asyncio
import time
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from raw_server import NO_RETRY, Peer, RawServer, SeenRequest, answer, stream_answer

from aiorunstream import AsyncClient, AuthenticationError, AzureBackend, ConfigurationError, InvalidArgumentError

ENDPOINT = "https://my.services.ai.azure.com/api/projects/mine"
LIST: dict[str, object] = {"object": "list", "data": [], "has_more": False}


class Token(NamedTuple):
    token: str
    expires_on: int


class Credential:
    """Counts what it is asked, and how many ask at once."""

    def __init__(self, seconds: float = 3600, pause: float = 0.0) -> None:
        self.seconds = seconds
        self.pause = pause
        self.scopes: list[str] = []
        self.at_once = self.most_at_once = 0

    async def get_token(self, *scopes: str) -> Token:
        self.scopes += scopes
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.pause)
        self.at_once -= 1
        return Token(f"token-{len(self.scopes)}", int(time.time() + self.seconds))


class PlainCredential:
    """One that is not async, as azure-identity's own usually are."""

    def __init__(self) -> None:
        self.loops: list[bool] = []

    def get_token(self, *scopes: str) -> Token:
        assert scopes == ("https://ai.azure.com/.default",)
        try:
            asyncio.get_running_loop()
            self.loops.append(True)
        except RuntimeError:
            self.loops.append(False)
        return Token("plain-token", int(time.time() + 3600))


class Project(NamedTuple):
    """A server below a project's path, and what it saw."""

    server: RawServer

    @property
    def endpoint(self) -> str:
        return self.server.base_url.removesuffix("/v1") + "/api/projects/mine"

    @property
    def keys(self) -> list[str | None]:
        return [seen.header("authorization") for seen in self.server.requests]

    def client(self, credential: Any, **settings: Any) -> AsyncClient:
        return AsyncClient(backend=AzureBackend(self.endpoint, credential=credential), retry=NO_RETRY, **settings)


@asynccontextmanager
async def project(reply: Callable[[SeenRequest], bytes] | None = None) -> AsyncGenerator[Project]:
    async def script(peer: Peer) -> None:
        while (seen := await peer.request()) is not None:
            await peer.send(answer(200, LIST) if reply is None else reply(seen))

    async with RawServer(script) as server:
        yield Project(server)


# -- requests ----------------------------------------------------------------------------------------------------------


async def test_a_project_is_asked_below_its_path_with_a_version_and_without_what_is_openais(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org_1")
    async with (
        project(lambda _: stream_answer()) as here,
        here.client(Credential(), default_query={"a": "b"}) as client,
    ):
        async with client.threads.runs.create_stream("thread_1", assistant_id="asst_1") as stream:
            async for _ in stream:
                pass
        (seen,) = here.server.requests
        assert seen.line == "POST /api/projects/mine/threads/thread_1/runs?api-version=v1&a=b HTTP/1.1"
        names = {name.lower() for name, _ in seen.headers}
        assert not names & {"openai-beta", "openai-organization", "openai-project", "api-key"}
        assert seen.header("authorization") == "Bearer token-1"
        assert b'"assistant_id":"asst_1"' in seen.body


async def test_what_is_to_be_included_is_joined_with_commas() -> None:
    async with project() as here, here.client(Credential()) as client:
        await client.threads.runs.steps.list("run_1", thread_id="t", include=["a[*].b", "c"], limit=3)
        assert here.server.requests[0].line.split()[1].endswith("?api-version=v1&limit=3&include=a%5B%2A%5D.b%2Cc")


async def test_the_callers_own_version_counts() -> None:
    async with (
        project() as here,
        here.client(Credential(), default_query={"api-version": "2025-05-15-preview"}) as client,
    ):
        await client.assistants.list()
        assert here.server.requests[0].line.split()[1].endswith("/assistants?api-version=2025-05-15-preview")


# -- tokens ------------------------------------------------------------------------------------------------------------


async def test_a_token_is_asked_for_once_and_kept() -> None:
    credential = Credential()
    async with project() as here, here.client(credential) as client:
        for _ in range(3):
            await client.assistants.list()
        assert here.keys == ["Bearer token-1"] * 3
        assert credential.scopes == ["https://ai.azure.com/.default"]


async def test_a_token_that_ends_soon_is_replaced() -> None:
    credential = Credential(seconds=299)
    async with project() as here, here.client(credential) as client:
        await client.assistants.list()
        credential.seconds = 400
        await client.assistants.list()
        await client.assistants.list()
        assert here.keys == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


async def test_many_requests_ask_for_one_token() -> None:
    credential = Credential(pause=0.02)
    async with project() as here, here.client(credential) as client:
        await asyncio.gather(*(client.assistants.list() for _ in range(20)))
        assert (len(credential.scopes), credential.most_at_once) == (1, 1)
        assert set(here.keys) == {"Bearer token-1"}


async def test_one_who_waits_for_a_token_may_be_cancelled_and_the_others_get_theirs() -> None:
    credential = Credential(pause=0.05)
    async with project() as here, here.client(credential) as client:
        first = asyncio.create_task(_listed(client))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(_listed(client))
        await asyncio.sleep(0.01)
        first.cancel()
        await second
        assert (here.keys, credential.most_at_once) == (["Bearer token-1"], 1)


async def _listed(client: AsyncClient) -> None:
    await client.assistants.list()


async def test_a_credential_that_is_not_async_is_asked_in_a_thread() -> None:
    credential = PlainCredential()
    async with project() as here, here.client(credential) as client:
        await client.assistants.list()
        await client.assistants.list()
        assert (here.keys, credential.loops) == (["Bearer plain-token"] * 2, [False])


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_function_is_asked_for_each_request(*, is_async: bool) -> None:
    given = iter(["one", "two"])

    async def later() -> str:
        return next(given)

    async with project() as here, here.client(later if is_async else lambda: next(given)) as client:
        await client.assistants.list()
        await client.assistants.list()
        assert here.keys == ["Bearer one", "Bearer two"]


# -- 401 ---------------------------------------------------------------------------------------------------------------


def admits(*tokens: str) -> Callable[[SeenRequest], bytes]:
    refusal = {"error": {"code": "401", "message": "Unauthorized. Access token is missing, invalid or expired."}}

    def reply(seen: SeenRequest) -> bytes:
        admitted = seen.header("authorization") in [f"Bearer {token}" for token in tokens]
        return (stream_answer() if seen.body else answer(200, LIST)) if admitted else answer(401, refusal)

    return reply


async def test_a_token_that_is_refused_is_replaced_once() -> None:
    async with project(admits("token-2")) as here, here.client(Credential()) as client:
        await client.assistants.list()
        async with client.threads.runs.create_stream("thread_1", assistant_id="asst_1") as stream:
            async for _ in stream:
                pass
        assert here.keys == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


async def test_many_requests_that_are_refused_ask_for_one_new_token() -> None:
    credential = Credential()
    async with project(admits("token-2")) as here, here.client(credential) as client:
        await asyncio.gather(*(client.assistants.list() for _ in range(10)))
        assert len(credential.scopes) == 2
        assert here.keys.count("Bearer token-2") == 10


async def test_a_token_that_is_refused_again_is_an_error() -> None:
    async with project(admits()) as here, here.client(Credential()) as client:
        with pytest.raises(AuthenticationError, match="Access token is missing") as caught:
            await client.threads.runs.create_stream("thread_1", assistant_id="asst_1")
        assert caught.value.code == "401"
        assert here.keys == ["Bearer token-1", "Bearer token-2"]


async def test_a_key_of_another_backend_is_not_tried_twice() -> None:
    async with project(admits()) as here, AsyncClient(base_url=here.endpoint, api_key="k", retry=NO_RETRY) as client:
        with pytest.raises(AuthenticationError):
            await client.assistants.list()
        assert here.keys == ["Bearer k"]


# -- what cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("endpoint", "match"), [
    ("https://my.services.ai.azure.com", "must be that of a project"),
    ("http://my.services.ai.azure.com/api/projects/mine", "must begin with https"),
    ("my.services.ai.azure.com/api/projects/mine", "must begin with http"),
    ("https://my.services.ai.azure.com/api/projects/mine?api-version=v1", "query"),
])  # fmt: skip
def test_an_endpoint_that_cannot_be_meant_is_refused(endpoint: str, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        AzureBackend(endpoint, credential=Credential())


def test_a_credential_that_gives_no_tokens_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not str"):
        AzureBackend(ENDPOINT, credential="a key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert repr(AzureBackend(ENDPOINT, credential=Credential())) == f"AzureBackend({ENDPOINT!r})"


@pytest.mark.parametrize("given", [None, 7, "", b"bytes"])
async def test_what_is_no_token_is_refused_before_anything_is_sent(given: Any) -> None:
    async def give() -> Any:
        return given

    async with project() as here, here.client(give) as client:
        with pytest.raises(InvalidArgumentError, match="credential must give a token"):
            await client.assistants.list()
        assert here.server.requests == []


async def test_what_a_credential_raises_is_raised() -> None:
    async def give() -> str:
        raise LookupError("no identity here")

    async with project() as here, here.client(give) as client:
        with pytest.raises(LookupError, match="no identity here"):
            await client.assistants.list()


async def test_no_token_is_in_any_traceback() -> None:
    async def give() -> str:
        return "tok\nplanted-in-a-traceback"

    async with project() as here, here.client(give) as client:
        with pytest.raises(InvalidArgumentError) as caught:
            await client.assistants.list()
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "planted" not in told.replace('return "tok\\nplanted-in-a-traceback"', "")


def test_a_backend_serves_one_client() -> None:
    backend = AzureBackend(ENDPOINT, credential=Credential())
    AsyncClient(backend=backend)
    with pytest.raises(ConfigurationError, match="another client"):
        AsyncClient(backend=backend)


@pytest.mark.parametrize("dialect", ["openai", "litellm", "", 7])
def test_only_astra_is_named_as_a_dialect(dialect: Any) -> None:
    with pytest.raises(ConfigurationError, match="dialect must be"):
        AsyncClient(base_url="http://127.0.0.1:1/v1", dialect=dialect)
