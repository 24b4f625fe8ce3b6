"""A client whose backend is the bridge, before the embedded server; and how a run is read with it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bridged import JSON, check_legal

from aiorunstream import (
    AsyncClient,
    RetryPolicy,
)
from aiorunstream.backends.responses import MemoryThreadStore, ResponsesBackend, ThreadMode
from aiorunstream.events import RunEvent
from aiorunstream.server import (
    AssistantsServer,
    Engine,
    ResponsesSettings,
)

WEATHER: JSON = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "default": "Kyiv"}}},
    },
}
ASSISTANTS: Mapping[str, Mapping[str, object]] = {
    "asst_1": {"model": "parrot", "instructions": "Be brief.", "tools": [WEATHER]},
    "asst_bare": {"model": "parrot"},
}
MODES: Sequence[ThreadMode] = ("conversation", "previous_response_id", "replay")
SERVERS: Sequence[tuple[ThreadMode, Any]] = (
    ("conversation", "openai"),
    ("conversation", "ogx"),
    ("conversation", ResponsesSettings(long_ids=True, echoes_conversation=False)),
    ("previous_response_id", "litellm"),
    ("previous_response_id", "vllm"),
    ("replay", "openrouter"),
    ("replay", "ollama"),
)
NO_WAIT = RetryPolicy(base_delay=0.001)


class Seen:
    """An engine that remembers what it was asked."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.turns: list[Any] = []

    def reply(self, turn: Any, /) -> Any:
        self.turns.append(turn)
        return self.engine.reply(turn)


@asynccontextmanager
async def bridged(
    threads: ThreadMode = "conversation",
    *,
    engine: Engine | None = None,
    responses: Any = "openai",
    store: MemoryThreadStore | None = None,
    background: bool = False,
    add_messages: Any = "with_run",
    **settings: Any,
) -> AsyncGenerator[tuple[AsyncClient, AssistantsServer]]:
    async with AssistantsServer(engine=engine, responses=responses) as server:
        backend = ResponsesBackend(
            server.base_url,
            threads=threads,
            assistants=ASSISTANTS,
            store=store,
            background=background,
            add_messages=add_messages,
        )
        async with AsyncClient(backend=backend, retry=NO_WAIT, **settings) as client:
            yield client, server


async def asked(client: AsyncClient, text: str = "Hello") -> str:
    thread = await client.threads.create(messages=[{"role": "user", "content": text}])
    return thread.id


async def read(client: AsyncClient, thread_id: str, **params: Any) -> list[RunEvent]:
    """A whole run, which must be legal."""
    async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1", **params) as stream:
        events = [event async for event in stream]
    check_legal(events)
    return events


async def texts(client: AsyncClient, thread_id: str) -> list[tuple[str | None, str]]:
    return [(message.role, message.text) async for message in client.threads.messages.list(thread_id, order="asc")]
