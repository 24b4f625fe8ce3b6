"""Azure's dialect through Microsoft's own client and through ours: the same events, also of Azure's own tools."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The package leaves the type parameter of its event handlers out of its own signatures.

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

pytest.importorskip("azure.ai.agents", reason="needs the official azure-ai-agents package")

from azure.ai.agents.aio import AgentsClient
from azure.core.exceptions import HttpResponseError
from azure_client import Notes, ready, talking
from dialects import OUTPUTS, OWN_TOOLS, TALKS, client_of

from aiorunstream import AssistantStream, AsyncClient, BadRequestError, Run, RunEvent, RunSnapshot, Usage
from aiorunstream.azure import (
    AzureToolCall,
    BingGroundingToolCall,
    ConnectedAgent,
    ConnectedAgentToolCall,
    MCPToolCall,
    OpenAPIToolCall,
    azure_tool_call,
    url_citation,
)
from aiorunstream.models import (
    RequiredActionMCPToolCall,
    SubmitToolApprovalAction,
    TextContentBlock,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.server import AskApproval, AssistantsServer, CiteURL, EndStep, Fail, ScriptedEngine, UseTool

JSON = dict[str, Any]
MCP: JSON = {
    "id": "call_m",
    "type": "mcp",
    "name": "find",
    "arguments": '{"q": "ü"}',
    "output": "3",
    "server_label": "docs",
}
BING: JSON = {
    "id": "call_b",
    "type": "bing_grounding",
    "bing_grounding": {"requesturl": "https://b/?q=ü", "response_metadata": "{}"},
}
OPEN_API: JSON = {"id": "call_o", "type": "openapi", "openapi": {"name": "weather", "arguments": "{}", "output": "dry"}}
AGENT = {"name": "poet", "arguments": "a verse", "output": "Ü", "run_id": "run_x", "thread_id": "t", "agent_id": "a"}
CONNECTED: JSON = {"id": "call_c", "type": "connected_agent", "connected_agent": AGENT}

SCRIPTS: dict[str, list[list[Any]]] = {
    **{f"the talk of {name}": script for name, script in TALKS.items()},
    "MCP, Bing, OpenAPI and a connected agent": [
        [
            UseTool(MCP),
            UseTool(BING),
            EndStep(),
            UseTool(OPEN_API),
            UseTool(CONNECTED),
            "Found\u2028",
            " it.",
            Usage(1, 2, 3),
        ]
    ],
    "a citation of a page": [["So it says ", CiteURL("【1†ü】", "https://b/1", "One"), "."]],
    "a code of Azure's own": [["I ", Fail("Too many.", cast(Any, "too_many_requests_at_model"))]],
}
ASKS: list[list[Any]] = [
    [
        AskApproval("find", '{"q": "ü"}', "docs", "3 found", id="call_1"),
        AskApproval("drop", "{}", "docs", "gone", id="call_2"),
    ],
    ["One was allowed.", Usage(1, 1, 2)],
]
CALLED: list[JSON] = [{"tool_call_id": id, "output": output} for id, output in OUTPUTS.items()]
APPROVALS: list[JSON] = [{"tool_call_id": "call_1", "approve": True}, {"tool_call_id": "call_2", "approve": False}]

_ID = re.compile(r"\b(run|msg|step|thread|asst|call)_[0-9a-f]{24}\b")
_NOT_SENT_ON = {"agent_id", "assistant_id", "expired_at", "expires_at"}
"""What the package renames."""


def without_ids(value: object) -> Any:
    """The same with ids numbered in the order in which they come, and without times: two runs differ in these."""
    numbers: dict[str, str] = {}
    text = _ID.sub(lambda found: numbers.setdefault(found[0], f"{found[1]}_{len(numbers)}"), json.dumps(value))
    return without_nothing(json.loads(text))


def without_nothing(value: Any) -> Any:
    """The same without what is null or empty, which the two leave out at different places, and without times."""
    if isinstance(value, dict):
        items = {
            name: without_nothing(item)
            for name, item in value.items()
            if not name.endswith("_at") and name not in _NOT_SENT_ON
        }
        return {name: item for name, item in items.items() if item not in (None, [], {}, "")}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def ours(events: list[RunEvent]) -> Any:
    return without_ids([[event.event, msgspec.to_builtins(event.data)] for event in events])


async def theirs(client: AgentsClient, thread_id: str, agent_id: str, approvals: object = None) -> Any:
    """What Microsoft's client gets out of a run; it must take all of it for events that it knows.

    A run that waits for leave goes on with `approvals`, one that waits for outputs with those of the talk.
    """
    notes = Notes()
    found: list[object] = []
    async with await client.runs.stream(thread_id, agent_id=agent_id, event_handler=notes) as stream:
        async for name, data, _ in stream:
            if name == "done":
                continue
            found.append([str(getattr(name, "value", name)), cast(Any, data).as_dict()])
            if name == "thread.run.requires_action":
                answers = {"tool_outputs": CALLED} if approvals is None else {"tool_approvals": approvals}
                body = {**answers, "stream": True}
                await client.runs.submit_tool_outputs_stream(
                    thread_id, cast(Any, data).id, cast(Any, body), event_handler=notes, stream=True
                )
    assert notes.is_done
    assert notes.strange == []
    return without_ids(found)


def same(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where what we have, the other, differs from or lacks what they have; a list must have all of the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() - other.keys():
            yield f"{where}: ours has no {name}"
        for name in one.keys() & other.keys():
            yield from same(one[name], other[name], f"{where}.{name}")
        if where.endswith(("tool_calls", "annotations", "required_action")) and one.keys() != other.keys():
            yield f"{where}: {one.keys() ^ other.keys()}"
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield f"{where}: {len(one)} and {len(other)} of them"
        for place, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from same(left, right, f"{where}[{place}]" if where[-10:] != "tool_calls" else where)
    elif one != other:
        yield f"{where}: {one!r} and {other!r}"


async def all_of(client: AsyncClient, thread_id: str, agent_id: str, approvals: Any = None) -> list[RunEvent]:
    found: list[RunEvent] = []
    stream = await client.threads.runs.create_stream(thread_id, assistant_id=agent_id)
    while True:
        async with stream:
            found += [event async for event in stream]
        if stream.outcome != "requires_action":
            return found
        answers: Any = {"tool_outputs": CALLED} if approvals is None else {"tool_approvals": approvals}
        stream = await stream.submit_tool_outputs(**answers)


@pytest.mark.parametrize("script", SCRIPTS)
async def test_both_clients_get_the_same_events(script: str) -> None:
    engine = ScriptedEngine(SCRIPTS[script], repeat=True)
    async with talking(dialect="azure", engine=engine) as (server, client), client_of(server, "azure") as our_client:
        got = await theirs(client, *await ready(client, "Hi"))
        our = ours(await all_of(our_client, *await ready(client, "Hi")))
        assert list(same(got, our)) == []
        assert [name for name, _ in got] == [name for name, _ in our]
        assert not [data for name, data in our if name == "message"]


async def test_both_clients_get_the_same_events_of_a_run_that_asks_for_leave() -> None:
    engine = ScriptedEngine(ASKS, repeat=True)
    async with talking(dialect="azure", engine=engine) as (server, client), client_of(server, "azure") as our_client:
        got = await theirs(client, *await ready(client, "Hi"), approvals=APPROVALS)
        our = ours(await all_of(our_client, *await ready(client, "Hi"), approvals=APPROVALS))
        assert [name for name, _ in got] == [name for name, _ in our]
        assert list(same(got, our)) == []
        (done,) = [data for name, data in our if name == "thread.run.step.completed" and data["type"] == "tool_calls"]
        outputs = [call.get("output") for call in done["step_details"]["tool_calls"]]
        assert outputs == ["3 found", None]


# -- ours alone --------------------------------------------------------------------------------------------------------


async def ask(server: AssistantsServer, client: AsyncClient) -> tuple[str, str]:
    agent = await client.assistants.create(model="any")
    thread = await client.threads.create(messages=[{"role": "user", "content": "Hi"}])
    assert server.base_url.endswith("/api/projects/demo")
    return thread.id, agent.id


def calls_in(snapshot: RunSnapshot) -> list[AzureToolCall | None]:
    steps = [step.step_details for step in snapshot.run_steps]
    return [
        azure_tool_call(c) for details in steps if isinstance(details, ToolCallsStepDetails) for c in details.tool_calls
    ]


async def test_azures_tool_calls_are_read_as_structs() -> None:
    engine = ScriptedEngine(SCRIPTS["MCP, Bing, OpenAPI and a connected agent"])
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        thread_id, agent_id = await ask(server, client)
        async with client.threads.runs.stream(thread_id, assistant_id=agent_id) as stream:
            await stream.until_done()
        assert calls_in(stream.snapshot) == [
            MCPToolCall("call_m", "find", '{"q": "ü"}', "3", "docs"),
            BingGroundingToolCall("call_b", BING["bing_grounding"]),
            OpenAPIToolCall("call_o", OPEN_API["openapi"]),
            ConnectedAgentToolCall("call_c", ConnectedAgent("poet", "a verse", "Ü", "a", "t", "run_x")),
        ]
        assert stream.text == "Found\u2028 it."


async def test_a_citation_of_a_page_is_read_as_a_struct() -> None:
    engine = ScriptedEngine(SCRIPTS["a citation of a page"])
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        thread_id, agent_id = await ask(server, client)
        async with client.threads.runs.stream(thread_id, assistant_id=agent_id) as stream:
            (message,) = await stream.get_final_messages()
        (part,) = message.content
        assert isinstance(part, TextContentBlock)
        cited = url_citation(part.text.annotations[0])
        assert cited is not None
        assert (cited.url_citation.url, cited.url_citation.title) == ("https://b/1", "One")
        assert message.text[cited.start_index : cited.end_index] == cited.text == "【1†ü】"


async def test_a_free_code_of_an_error_is_kept() -> None:
    engine = ScriptedEngine(SCRIPTS["a code of Azure's own"])
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        thread_id, agent_id = await ask(server, client)
        async with client.threads.runs.stream(thread_id, assistant_id=agent_id) as stream:
            run = await stream.get_final_run()
        assert run.last_error is not None
        assert run.last_error.code == "too_many_requests_at_model"


# -- leave -------------------------------------------------------------------------------------------------------------


async def asked(approve: Any, tools: Any = None, *, script: Any = None) -> tuple[RunSnapshot, str | None]:
    engine = ScriptedEngine(script or ASKS)
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        thread_id, agent_id = await ask(server, client)
        runs = client.threads.runs
        async with runs.stream(thread_id, assistant_id=agent_id, tools=tools, approve=approve) as stream:
            await stream.until_done()
        return stream.snapshot, stream.outcome


@pytest.mark.parametrize("tools", [None, OWN_TOOLS], ids=["without tools", "with tools"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_the_helper_asks_for_leave_call_by_call(*, is_async: bool, tools: Any) -> None:
    seen: list[tuple[str, str]] = []

    def approve(call: Any) -> bool:
        seen.append((call.function.name, call.function.arguments))
        return bool(call.function.name == "docs.find")

    async def approve_later(call: Any) -> bool:
        return approve(call)

    snapshot, outcome = await asked(approve_later if is_async else approve, tools)
    assert seen == [("docs.find", '{"q": "ü"}'), ("docs.drop", "{}")]
    assert (snapshot.text, outcome) == ("One was allowed.", "completed")
    made = [call.output for call in calls_in(snapshot) if isinstance(call, MCPToolCall)]
    assert made == ["3 found", None]


@pytest.mark.parametrize("tools", [None, OWN_TOOLS], ids=["without tools", "with tools"])
async def test_without_anybody_to_ask_the_run_is_handed_to_the_caller(tools: Any) -> None:
    snapshot, outcome = await asked(None, tools)
    assert outcome == "requires_action"
    assert snapshot.run is not None
    assert isinstance(snapshot.run.required_action, SubmitToolApprovalAction)
    assert [call.id for call in snapshot.run.calls_to_approve if not isinstance(call, UnknownPart)] == [
        "call_1",
        "call_2",
    ]
    assert snapshot.run.tool_calls == ()


def always(_: object) -> bool:
    return True


async def test_leave_and_outputs_may_be_asked_for_in_turn() -> None:
    script = [ASKS[0], TALKS["tools"][0], ["All done.", Usage(1, 1, 2)]]
    snapshot, outcome = await asked(always, OWN_TOOLS, script=script)
    assert (snapshot.text, outcome) == ("All done.", "completed")


async def test_what_the_one_who_is_asked_raises_is_raised_and_the_run_is_cancelled() -> None:
    def approve(_: object) -> bool:
        raise LookupError("nobody knows")

    engine = ScriptedEngine(ASKS)
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        thread_id, agent_id = await ask(server, client)
        stream = AssistantStream(client.threads.runs.create_stream(thread_id, assistant_id=agent_id), approve=approve)
        with pytest.raises(LookupError, match="nobody knows"):
            async with stream:
                await stream.until_done()
        assert stream.run_id is not None
        run = await client.threads.runs.retrieve(stream.run_id, thread_id=thread_id)
        assert run.status in ("cancelling", "cancelled")


async def test_outputs_for_a_run_that_asks_for_leave_are_refused_and_the_other_way_round() -> None:
    engine = ScriptedEngine([ASKS[0], TALKS["tools"][0]])
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        runs = client.threads.runs
        for given, match in (
            ({"tool_outputs": [{"tool_call_id": "call_1", "output": "o"}]}, "waits for tool_approvals"),
            ({"tool_approvals": APPROVALS}, "waits for tool_outputs"),
        ):
            thread_id, agent_id = await ask(server, client)
            async with runs.create_stream(thread_id, assistant_id=agent_id) as stream:
                async for _ in stream:
                    pass
            assert stream.run_id is not None
            with pytest.raises(BadRequestError, match=match):
                await runs.submit_tool_outputs(stream.run_id, thread_id=thread_id, **cast(Any, given))


async def test_approvals_that_are_not_exactly_those_asked_for_are_refused() -> None:
    engine = ScriptedEngine(ASKS)
    async with AssistantsServer(dialect="azure", engine=engine) as server, client_of(server, "azure") as client:
        thread_id, agent_id = await ask(server, client)
        runs = client.threads.runs
        run: Run = await runs.create(thread_id, assistant_id=agent_id)
        run = await runs.poll(run.id, thread_id=thread_id)
        assert all(isinstance(call, RequiredActionMCPToolCall) for call in run.calls_to_approve)
        for approvals, match in (
            (APPROVALS[:1], "missing for the tool calls call_2"),
            ([*APPROVALS, APPROVALS[0]], "two approvals for the tool call 'call_1'"),
            ([*APPROVALS, {"tool_call_id": "x", "approve": True}], "no tool call 'x'"),
            ([{"tool_call_id": "call_1", "approve": "yes"}], "bool"),
        ):
            with pytest.raises(BadRequestError, match=match):
                await runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_approvals=approvals)
        done = await runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_approvals=APPROVALS)
        assert (await runs.poll(done.id, thread_id=thread_id)).status == "completed"


async def test_microsofts_client_is_refused_as_it_expects() -> None:
    async with talking(dialect="azure") as (_, client):
        with pytest.raises(HttpResponseError) as caught:
            await client.runs.get("thread_none", "run_none")
        assert caught.value.status_code == 404
