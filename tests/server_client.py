"""The server for tests, and a client that knows paths and JSON and nothing of ours but the protocol."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from aiorunstream.events import RunEvent
from aiorunstream.protocol import RunProtocol
from aiorunstream.server import AssistantsServer

JSON = dict[str, Any]
PATIENCE = 5.0
"""Seconds until a wait is given up as a failure."""


class Http:
    """A client that knows paths and JSON, and no more."""

    def __init__(self, server: AssistantsServer, session: aiohttp.ClientSession) -> None:
        self.base_url = server.base_url
        self.session = session

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, JSON]:
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json", **headers}
        async with self.session.request(method, self.base_url + path, data=data, headers=headers) as response:
            assert response.content_type == "application/json"
            assert response.headers["x-request-id"].startswith("req_")
            assert int(response.headers["openai-processing-ms"]) >= 0
            return response.status, msgspec.json.decode(await response.read())

    async def get(self, path: str) -> JSON:
        status, answer = await self.ask("GET", path)
        assert status == 200, answer
        return answer

    async def post(self, path: str, body: object = None) -> JSON:
        status, answer = await self.ask("POST", path, {} if body is None else body)
        assert status == 200, answer
        return answer

    async def refused(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, JSON]:
        """The status and the error, which must be in its envelope."""
        status, answer = await self.ask(method, path, body, **headers)
        assert list(answer) == ["error"]
        error: JSON = answer["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        return status, error

    @asynccontextmanager
    async def stream(self, path: str, body: JSON) -> AsyncGenerator[aiohttp.ClientResponse]:
        async with self.session.post(self.base_url + path, json={**body, "stream": True}) as response:
            assert response.status == 200, await response.read()
            yield response

    async def assistant(self, **params: object) -> str:
        return str((await self.post("/assistants", {"model": "parrot", **params}))["id"])

    async def thread(self, text: str = "Hello") -> str:
        return str((await self.post("/threads", {"messages": [{"role": "user", "content": text}]}))["id"])

    async def runs(self, text: str = "Hello", **params: object) -> tuple[str, JSON]:
        """The path of a fresh thread's runs, and the body that starts one."""
        assistant_id = await self.assistant(**params)
        return f"/threads/{await self.thread(text)}/runs", {"assistant_id": assistant_id}


@asynccontextmanager
async def serving(**settings: object) -> AsyncGenerator[tuple[AssistantsServer, Http]]:
    async with (
        AssistantsServer(**settings) as server,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield server, Http(server, session)


async def next_events(response: aiohttp.ClientResponse, protocol: RunProtocol) -> AsyncIterator[RunEvent]:
    while protocol.outcome is None:
        protocol.receive_data(await asyncio.wait_for(response.content.readany(), PATIENCE))
        while (event := protocol.next_event()) is not None:
            yield event


async def events_of(response: aiohttp.ClientResponse) -> list[RunEvent]:
    return [event async for event in next_events(response, RunProtocol())]


async def names_of(response: aiohttp.ClientResponse) -> list[str]:
    events = await events_of(response)
    return [event.event for event in events]


async def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.001)


async def stopped(http: Http, path: str) -> JSON:
    """The run at the path, once it has stopped."""
    async with asyncio.timeout(PATIENCE):
        while (run := await http.get(path))["status"] in ("queued", "in_progress", "cancelling"):
            await asyncio.sleep(0.005)
    return run
