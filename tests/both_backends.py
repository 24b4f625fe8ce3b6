"""The same program over every backend: the protocol itself, and the Responses bridge in each of its modes.

`WITH_EACH` gives a test, as `client_of_each`, a client that is one of them, before the embedded server. What must be otherwise with one of
them is an entry of `DIFFERENCES`: a test asks `at.differs(name)`, and holds both sides.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, cast, get_args

import pytest

from aiorunstream import (
    AssistantStream,
    AsyncClient,
    Message,
    RetryPolicy,
    Run,
    RunEvent,
    RunStep,
    Timeouts,
)
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.backends.responses._backend import AddMessages
from aiorunstream.scripted import Reply
from aiorunstream.server import AssistantsServer, Fault, ResponsesSettings, ScriptedEngine
from aiorunstream.server._faults import FaultKind

JSON = dict[str, Any]
HTTP, CONVERSATION, CHAIN, REPLAY, BACKGROUND = (
    "http",
    "responses/conversation",
    "responses/previous_response_id",
    "responses/replay",
    "responses/background",
)
BACKENDS: Sequence[str] = (HTTP, CONVERSATION, CHAIN, REPLAY, BACKGROUND)
BRIDGED = frozenset(BACKENDS) - {HTTP}
SERVERS: Mapping[str, Any] = {
    HTTP: "openai",
    CONVERSATION: "openai",
    CHAIN: "litellm",
    REPLAY: "openrouter",
    BACKGROUND: ResponsesSettings(long_ids=True, echoes_conversation=False),
}
"""Which server of responses the embedded one is behind each of them."""

DIFFERENCES: Mapping[str, tuple[frozenset[str], str]] = {
    "max_prompt_tokens": (BRIDGED, "a response cannot be asked for it: refused by name"),
    "last_messages": (BRIDGED - {REPLAY}, "only who holds the history can leave some of it out: refused by name"),
    "file_search without a vector store": (BRIDGED, "a response must be told where to search: refused by name"),
    "where a citation stands": (BRIDGED, "a response tells one place in the text, and not which text it is"),
    "images in messages": (BRIDGED, "a message of a response has no images: the server links to the file"),
    "images that code draws": (BRIDGED, "a response tells where an image is to be had, and no file"),
    "an error event": (BRIDGED, "a response ends with an error, and with it the run; a run may go on unseen"),
    "deleting what was heard": (frozenset({CHAIN}), "a chain of responses keeps all of them: refused by name"),
    "headers of a plain answer": (BRIDGED, "no single answer of the server is behind it"),
    "threads of another client": (frozenset({CHAIN, REPLAY}), "threads are kept here, unless a store is given"),
    "runs of another client": (
        frozenset({CONVERSATION, BACKGROUND}),
        "runs are kept here; a conversation has messages",
    ),
    "a run whose stream was left": (BRIDGED - {BACKGROUND}, "closing the connection ends a response"),
    "a stream that broke": (frozenset({BACKGROUND}), "a response in the background is read on where it broke"),
    "a run whose stream broke": (frozenset({CONVERSATION, CHAIN}), "closing the connection ends a response"),
    "a run that nobody else remembers": (frozenset({REPLAY}), "nobody can be asked how it went on: it has failed"),
    "how long a run has": (BRIDGED, "responses do not expire"),
    "recovering": (
        frozenset({CONVERSATION, CHAIN, REPLAY}),
        "what was not sent yet when the connection broke, is lost",
    ),
}
"""By name: with which backends it is otherwise than with the first, and why."""

WORDS = ["The ", "keeper ", "of the ", "lighthouse ", "— ", "alone — ", "sleeps."]
TEXT = "".join(WORDS)
MANY_WORDS = [f"word {n} of many, " for n in range(100)]
"""Enough that the wire is in the middle of them at `MIDDLE`, whatever it is."""
MIDDLE = 15_000
WEATHER: JSON = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


class Each(NamedTuple):
    """A backend by its name, the server behind it, a client, and a thread with a message to begin a run on."""

    name: str
    server: AssistantsServer
    client: AsyncClient
    engine: ScriptedEngine
    assistant_id: str
    thread_id: str

    def differs(self, difference: str) -> bool:
        """Whether that is one of the differences, with this backend."""
        return self.name in DIFFERENCES[difference][0]

    @property
    def is_bridged(self) -> bool:
        return self.name in BRIDGED

    async def read(self, **params: Any) -> list[RunEvent]:
        """A whole run."""
        async with self.client.threads.runs.create_stream(
            self.thread_id, assistant_id=self.assistant_id, **params
        ) as stream:
            return [event async for event in stream]

    def stream(self, **settings: Any) -> AssistantStream:
        """A run by the helper."""
        return self.client.threads.runs.stream(self.thread_id, assistant_id=self.assistant_id, **settings)

    async def kept(self, run_id: str) -> tuple[Run, list[Message], list[RunStep]]:
        """The run, its messages and its steps, as they can be had afterwards."""
        runs = self.client.threads.runs
        messages = self.client.threads.messages.list(self.thread_id, run_id=run_id, order="asc")
        steps = runs.steps.list(run_id, thread_id=self.thread_id, order="asc")
        run = await runs.retrieve(run_id, thread_id=self.thread_id)
        return run, [message async for message in messages], [step async for step in steps]

    async def talk(self) -> list[tuple[str | None, str]]:
        """What was said on the thread, oldest first."""
        listed = self.client.threads.messages.list(self.thread_id, order="asc")
        return [(message.role, message.text) async for message in listed]

    async def stopped(self, run_id: str) -> Run:
        """The run once it has stopped; asked for more often than `poll` does."""
        async with asyncio.timeout(5):
            while True:
                run = await self.client.threads.runs.retrieve(run_id, thread_id=self.thread_id)
                if run.is_terminal or run.status == "requires_action":
                    return run
                await asyncio.sleep(0.005)

    def another_client(self) -> AsyncClient:
        """One that knows nothing of what this one has done."""
        return client_over(self.name, self.server)

    def break_run(self, kind: FaultKind, **fields: Any) -> None:
        """Has the server do that in the next stream of a run."""
        operation = "create_response" if self.is_bridged else "create_run"
        self.server.inject(Fault(kind, operation=operation, **fields))


class Opens(Protocol):
    """Opens a place in which the engine plays that script."""

    def __call__(
        self, replies: Sequence[Reply] = (), *, delay: float = 0.0, repeat: bool = False, **settings: Any
    ) -> AbstractAsyncContextManager[Each]: ...


@asynccontextmanager
async def _opened(
    name: str, replies: Sequence[Reply] = (), *, delay: float = 0.0, repeat: bool = False, **settings: Any
) -> AsyncGenerator[Each]:
    engine = ScriptedEngine(replies or [WORDS], repeat=repeat)
    settings = {"retry": RetryPolicy(attempts=1), "timeouts": Timeouts(idle=2, first_event=2), **settings}
    async with (
        AssistantsServer(engine=engine, delay=delay, responses=SERVERS[name]) as server,
        client_over(name, server, **settings) as client,
    ):
        assistant = await client.assistants.create(model="any", instructions="Be brief.", tools=[WEATHER])
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        yield Each(name, server, client, engine, assistant.id, thread.id)


def client_over(name: str, server: AssistantsServer, **settings: Any) -> AsyncClient:
    """A client of that server, over the backend of that name. The last one also puts each message at once where it belongs."""
    if name == HTTP:
        return AsyncClient(base_url=server.base_url, **settings)
    mode = name.rpartition("/")[2]
    threads: ThreadMode = cast("ThreadMode", mode) if mode in get_args(ThreadMode) else "conversation"
    background = name == BACKGROUND
    add_messages: AddMessages = "at_once" if background else "with_run"
    backend = ResponsesBackend(server.base_url, threads=threads, background=background, add_messages=add_messages)
    return AsyncClient(backend=backend, **settings)


WITH_EACH = pytest.mark.parametrize("client_of_each", [partial(_opened, name) for name in BACKENDS], ids=BACKENDS)
"""A test with it is run with each backend in turn. `settings` of what it is given are the client's."""
