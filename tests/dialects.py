"""One scripted talk with the server in each of its dialects, read in every way a client has."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiorunstream import (
    AssistantStream,
    AsyncClient,
    AzureBackend,
    RequestOptions,
    RetryPolicy,
    Run,
    RunSnapshot,
    RunStream,
    StreamCall,
    Timeouts,
    ToolOutput,
    ToolSet,
    Usage,
)
from aiorunstream.decode import decode
from aiorunstream.fanout import RunItem, RunRequest, RunResult, stream_many
from aiorunstream.models import (
    FunctionCall,
    FunctionToolCall,
    RequiredActionFunction,
    RequiredActionFunctionToolCall,
    RunStep,
    ToolCallsStepDetails,
)
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import AssistantsServer, CallTool, Fail, MoreArguments, ScriptedEngine
from aiorunstream.server._dialects import DialectName
from aiorunstream.sse import SSEDecoder

DIALECTS: tuple[DialectName, ...] = ("openai", "litellm", "open-assistant-api", "astra", "azure")

TEXT: list[list[Any]] = [["Grüße, ", "一二三 🙂", " \u2028 and\u2029", " no more.", Usage(7, 5, 12)]]
TOOLS: list[list[Any]] = [
    [
        CallTool("look", '{"where": ', id="call_1"),
        MoreArguments('"Tromsø\u2028"}'),
        CallTool("listen", '{"how": "gently"}', id="call_2"),
        Usage(3, 4, 7),
    ],
    ["It is dark ", "in Tromsø\u2028", ", and quiet.", Usage(11, 20, 31)],
]
FAILURE: list[list[Any]] = [["I was about to", " say ü", Usage(2, 3, 5), Fail("The model is gone.")]]
TALKS: dict[str, list[list[Any]]] = {"text": TEXT, "tools": TOOLS, "failure": FAILURE}

OUTPUTS = {"call_1": "dark ☾", "call_2": "quiet"}
COUNTED = RequestOptions(extra_body={"stream_options": {"include_usage": True}})


def look(where: str) -> str:
    """Looks there."""
    assert where == "Tromsø\u2028"
    return OUTPUTS["call_1"]


def listen(how: str) -> str:
    """Listens so."""
    assert how == "gently"
    return OUTPUTS["call_2"]


OWN_TOOLS = ToolSet([look, listen])


class Heard(NamedTuple):
    """What is to be the same whoever speaks and whoever listens."""

    text: str
    calls: tuple[tuple[str, str, str], ...]
    outcome: str | None
    usage: Usage | None


class At(NamedTuple):
    """A server, a client of it, and the ids to begin a run with."""

    server: AssistantsServer
    client: AsyncClient
    assistant_id: str
    thread_id: str
    options: RequestOptions | None

    def call(self, **manner: Any) -> StreamCall[RunStream]:
        """A run that was not begun yet."""
        runs = self.client.threads.runs
        return runs.create_stream(self.thread_id, assistant_id=self.assistant_id, options=self.options, **manner)


async def token() -> str:
    """For servers that let everybody in."""
    return "a.token"


def client_of(server: AssistantsServer, dialect: DialectName, **settings: Any) -> AsyncClient:
    """A client as a user of that server would make it; of LiteLLM, one of its route that passes everything on."""
    settings = {
        "timeouts": Timeouts(connect=5, first_event=5, idle=5),
        "retry": RetryPolicy(attempts=1),
        "api_key": "",
        **settings,
    }
    if dialect == "azure":
        return AsyncClient(backend=AzureBackend(server.base_url, credential=token), **settings)
    return AsyncClient(base_url=server.base_url, dialect="astra" if dialect == "astra" else None, **settings)


@asynccontextmanager
async def at(dialect: DialectName, talk: str, *, passed_on: bool = False, **settings: Any) -> AsyncGenerator[At]:
    """A server that says the talk in its dialect, and a client of it. `passed_on` is for LiteLLM's other route."""
    async with AssistantsServer(dialect=dialect, engine=ScriptedEngine(TALKS[talk])) as server:
        if passed_on:
            url = server.base_url.removesuffix("/v1") + "/openai"
            client = AsyncClient(base_url=url, api_key="", **settings)
        else:
            client = client_of(server, dialect, **settings)
        async with asyncio.timeout(20), client:
            assistant = await client.assistants.create(model="any", tools=OWN_TOOLS.definitions)
            thread = await client.threads.create(messages=[{"role": "user", "content": "Grüße"}])
            options = COUNTED if dialect == "open-assistant-api" else None
            yield At(server, client, assistant.id, thread.id, options)


# -- the ways to listen ------------------------------------------------------------------------------------------------


def calls_of(run: Run | None, steps: Iterable[RunStep] = ()) -> tuple[tuple[str, str, str], ...]:
    """The functions a run has called, or waits for."""
    found: dict[str, FunctionCall | RequiredActionFunction] = {}
    for waiting in run.tool_calls if run else ():
        if isinstance(waiting, RequiredActionFunctionToolCall):
            found[waiting.id] = waiting.function
    for step in steps:
        if isinstance(step.step_details, ToolCallsStepDetails):
            for call in step.step_details.tool_calls:
                if isinstance(call, FunctionToolCall):
                    found[call.id] = call.function
    return tuple((id, called.name, called.arguments) for id, called in sorted(found.items()))


def heard(snapshot: RunSnapshot) -> Heard:
    """What the events have come to."""
    run = snapshot.run
    assert run is not None
    return Heard(snapshot.text, calls_of(run, snapshot.run_steps), run.status, run.usage)


async def by_raw_stream(here: At) -> Heard:
    """Event by event, with the tool outputs submitted by hand."""
    snapshot = RunSnapshot()
    stream = await here.call()
    while True:
        async with stream:
            async for event in stream:
                snapshot.add(event)
        if stream.outcome != "requires_action":
            break
        assert stream.run is not None
        ids = [call[0] for call in calls_of(stream.run)]
        stream = await stream.submit_tool_outputs([ToolOutput(tool_call_id=id, output=OUTPUTS[id]) for id in ids])
    assert snapshot.run is not None
    assert stream.outcome == snapshot.run.status
    return heard(snapshot)


async def by_helper(here: At) -> Heard:
    """With the functions called by the helper."""
    async with AssistantStream(here.call(), tools=OWN_TOOLS) as stream:
        pieces = [piece async for piece in stream.text_deltas()]
        await stream.until_done()
    assert "".join(pieces) == stream.text
    found = heard(stream.snapshot)
    assert (found.outcome, found.usage) == (stream.outcome, stream.usage)
    return found


async def by_fanout(here: At) -> Heard:
    """As one of many."""
    request = RunRequest("one", here.thread_id, assistant_id=here.assistant_id, tools=OWN_TOOLS, options=here.options)
    snapshot = RunSnapshot()
    async with stream_many(here.client.threads.runs, [request]) as many:
        async for item in many:
            if isinstance(item, RunItem):
                snapshot.add(item.event)
            else:
                assert isinstance(item, RunResult), item
                assert (item.text, item.status) == (snapshot.text, heard(snapshot).outcome)
                return heard(snapshot)._replace(usage=item.usage)
    raise AssertionError("no end of the run was told")


async def by_relay(here: At) -> Heard:
    """As a browser behind a site hears it."""
    body: list[bytes] = []
    left = asyncio.Event()

    async def send(message: Any) -> None:
        body.append(message.get("body", b""))

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    response = RunStreamResponse(AssistantStream(here.call(), tools=OWN_TOOLS))
    await response({"type": "http", "method": "GET", "headers": []}, receive, send)
    snapshot = RunSnapshot()
    messages = SSEDecoder().feed(b"".join(body))
    assert messages[-1].event == "done"
    for message in messages[:-1]:
        event = decode(message.event, message.data).event
        assert event is not None
        assert event.event != "error", message.text
        snapshot.add(event)
    return heard(snapshot)


Way = Callable[[At], Awaitable[Heard]]
WAYS: tuple[Way, ...] = (by_raw_stream, by_helper, by_fanout, by_relay)
