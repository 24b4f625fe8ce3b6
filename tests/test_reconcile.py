"""`RetryPolicy(reconcile=True)`: a run whose creation was never answered is found and taken over, and nothing is sent twice."""

import json

import pytest
from raw_server import Peer, RawServer, Script, answer, events_of, run_json

from aiorunstream import (
    APIStatusError,
    AsyncClient,
    InvalidArgumentError,
    RequestOptions,
    RetryPolicy,
    RunOutcomeUnknownError,
    ThreadMessageDelta,
    Timeouts,
    with_response,
)
from aiorunstream.resources import _reconcile
from aiorunstream.server import AssistantsServer, CallTool, Fault, ScriptedEngine

TEXT = "The lighthouse is lit."
MARKER = "aiorunstream_marker"


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reconcile, "_BETWEEN_LOOKS", 0.05)


def a_client(base_url: str, **settings: object) -> AsyncClient:
    return AsyncClient(
        base_url=base_url,
        retry=RetryPolicy(reconcile=True, base_delay=0.01),
        timeouts=Timeouts(first_event=1),
        **settings,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )


def creations(server: AssistantsServer) -> int:
    return sum(method == "POST" and path.endswith("/runs") for method, path in server.requests)


@pytest.mark.parametrize("fault", [Fault("hang_up", operation="create_run"), Fault("silence", operation="create_run")])
async def test_a_stream_whose_request_was_never_answered_is_the_run_it_made(fault: Fault) -> None:
    async with AssistantsServer(engine=ScriptedEngine([[TEXT]])) as server, a_client(server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        server.inject(fault)
        mark = {"mine": "yes"}
        async with client.threads.runs.create_stream(thread.id, assistant_id=assistant.id, metadata=mark) as stream:
            assert (stream.run_id, stream.thread_id) == (server.store.record(thread.id).runs.all()[0].id, thread.id)
            assert (stream.request_id, stream.clean_close) == (None, False)
            events = await events_of(stream)
        assert "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta)) == TEXT
        assert all(event.synthesized for event in events)
        assert events[0].event == "thread.run.created"
        assert (events[-1].event, stream.outcome) == ("thread.run.completed", "completed")
        assert stream.run is not None
        assert stream.run.metadata is not None
        assert stream.run.metadata["mine"] == "yes"
        assert len(stream.run.metadata[MARKER]) == 32
        assert creations(server) == len(server.store.record(thread.id).runs.all()) == 1


async def test_a_plain_creation_returns_the_run_it_made() -> None:
    async with AssistantsServer() as server, a_client(server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        server.inject(Fault("hang_up", operation="create_run"))
        run = await client.threads.runs.create(thread.id, assistant_id=assistant.id)
        assert run.id == server.store.record(thread.id).runs.all()[0].id
        assert creations(server) == 1


async def test_a_run_that_was_found_has_its_answer_too() -> None:
    async with AssistantsServer() as server, a_client(server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        server.inject(Fault("hang_up", operation="create_run"))
        answered = await with_response(client.threads.runs.create(thread.id, assistant_id=assistant.id))
        assert answered.data.id == server.store.record(thread.id).runs.all()[0].id
        assert (answered.status_code, answered.request_id is None) == (200, False)


async def test_tool_outputs_whose_submission_was_never_answered_are_not_sent_again() -> None:
    engine = ScriptedEngine([[CallTool("look", "{}", id="call_1")], [TEXT]])
    async with AssistantsServer(engine=engine) as server, a_client(server.base_url, recover=True) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        async with client.threads.runs.create_stream(thread.id, assistant_id=assistant.id) as stream:
            first = await events_of(stream)
        assert stream.run_id is not None
        server.inject(Fault("hang_up", operation="submit_tool_outputs"))
        async with client.threads.runs.submit_tool_outputs_stream(
            stream.run_id, thread_id=thread.id, tool_outputs=[{"tool_call_id": "call_1", "output": "stars"}]
        ) as second:
            rest = await events_of(second)
        assert "".join(event.data.text for event in rest if isinstance(event, ThreadMessageDelta)) == TEXT
        assert second.outcome == "completed"
        assert [event.event for event in [*first, *rest]].count("thread.run.step.created") == 2
        assert sum(path.endswith("/submit_tool_outputs") for _, path in server.requests) == 1


def hanging_up(runs: list[object] | int, run: object = None) -> Script:
    """A server that answers no POST, lists these runs or answers with that status, and shows one run."""

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST"):
                return
            if "?" not in request.line:
                await peer.send(answer(200, run))
            elif isinstance(runs, int):
                await peer.send(answer(runs, {"error": {"message": "no such route"}}))
            else:
                await peer.send(answer(200, {"object": "list", "data": runs, "has_more": False}))

    return script


async def test_a_run_that_is_not_there_leaves_the_outcome_unknown_and_is_looked_for_twice() -> None:
    others = [run_json(), {**run_json(), "metadata": {MARKER: "of somebody else"}}]
    async with RawServer(hanging_up([*others])) as server, a_client(server.base_url) as client:
        with pytest.raises(RunOutcomeUnknownError) as caught:
            await client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw")
        assert caught.value.looked
        assert "nothing was found" in caught.value.__notes__[0]
        assert [request.line.split()[0] for request in server.requests] == ["POST", "GET", "GET"]


async def test_a_server_without_a_list_cannot_be_asked() -> None:
    async with RawServer(hanging_up(404)) as server, a_client(server.base_url) as client:
        with pytest.raises(RunOutcomeUnknownError) as caught:
            await client.threads.runs.create("thread_raw", assistant_id="asst_raw")
        assert not caught.value.looked
        assert "could not be asked" in caught.value.__notes__[0]
        assert server.posts == 1


async def test_outputs_a_run_still_waits_for_were_not_taken() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    waiting = {**run_json("requires_action"), "required_action": action}
    async with RawServer(hanging_up([], waiting)) as server, a_client(server.base_url) as client:
        with pytest.raises(RunOutcomeUnknownError) as caught:
            await client.threads.runs.submit_tool_outputs(
                "run_raw", thread_id="thread_raw", tool_outputs=[{"tool_call_id": "call_1", "output": "stars"}]
            )
        assert caught.value.looked
        assert server.posts == 1


async def test_an_error_status_that_says_nothing_of_the_outcome_is_looked_into_too() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST"):
                marker.append(json.loads(request.body)["metadata"][MARKER])
                await peer.send(answer(502, {}))
            else:
                found = {**run_json("completed"), "metadata": {MARKER: marker[0]}} if there else run_json()
                await peer.send(answer(200, {"object": "list", "data": [found], "has_more": False}))

    for there in (True, False):
        marker: list[str] = []
        async with RawServer(script) as server, a_client(server.base_url) as client:
            create = client.threads.runs.create("thread_raw", assistant_id="asst_raw")
            if there:
                assert (await create).id == "run_raw"
            else:
                with pytest.raises(APIStatusError, match="502") as caught:
                    await create
                assert "nothing was found" in caught.value.__notes__[0]
            assert server.posts == 1


async def test_what_is_known_to_have_failed_is_not_looked_into() -> None:
    async def script(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.send(answer(403, {}))

    async with RawServer(script) as server, a_client(server.base_url) as client:
        with pytest.raises(APIStatusError, match="403"):
            await client.threads.runs.create("thread_raw", assistant_id="asst_raw")
        assert len(server.requests) == 1


async def test_the_marker_needs_room_and_is_new_for_each_run() -> None:
    async with AssistantsServer() as server, a_client(server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        runs = client.threads.runs
        full = {f"pair {number}": "" for number in range(16)}
        with pytest.raises(InvalidArgumentError, match="room"):
            await runs.create(thread.id, assistant_id=assistant.id, metadata=full)
        with pytest.raises(InvalidArgumentError, match="extra_body"):
            await runs.create(
                thread.id, assistant_id=assistant.id, options=RequestOptions(extra_body={"metadata": {"a": "b"}})
            )
        assert creations(server) == 0
        full[MARKER] = full.pop("pair 0")
        first = await runs.create(thread.id, assistant_id=assistant.id, metadata=full)
        await runs.poll(first.id, thread_id=thread.id)
        markers: set[str] = set()
        for metadata in ({"a": "b"}, None):
            run = await runs.create(thread.id, assistant_id=assistant.id, metadata=metadata)
            assert run.metadata is not None
            assert set(run.metadata) == {MARKER, *(metadata or {})}
            markers.add(run.metadata[MARKER])
            await runs.poll(run.id, thread_id=thread.id)
        assert len(markers) == 2


async def test_without_it_no_marker_travels_and_nobody_looks() -> None:
    async with RawServer(hanging_up([])) as server:
        async with AsyncClient(base_url=server.base_url) as client:
            with pytest.raises(RunOutcomeUnknownError) as caught:
                await client.threads.runs.create("thread_raw", assistant_id="asst_raw")
        assert not caught.value.looked
        assert len(server.requests) == 1
        assert b"metadata" not in server.requests[0].body


async def test_a_new_thread_with_a_run_cannot_be_looked_for() -> None:
    async with RawServer(hanging_up([])) as server, a_client(server.base_url) as client:
        with pytest.raises(RunOutcomeUnknownError):
            await client.threads.create_and_run(assistant_id="asst_raw")
        assert len(server.requests) == 1


@pytest.mark.parametrize("answers", ["tool_outputs", "tool_approvals"])
@pytest.mark.parametrize("status", ["in_progress", "requires_action"])
async def test_answers_that_were_taken_are_seen_by_the_run_that_goes_on(answers: str, status: str) -> None:
    kind = {"tool_outputs": "submit_tool_outputs", "tool_approvals": "submit_tool_approval"}[answers]
    function = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    call = function if answers == "tool_outputs" else {"id": "call_1", "type": "mcp", "name": "look"}
    required = {"type": kind, kind: {"tool_calls": [call]}}
    run = {**run_json(status), "required_action": required if status == "requires_action" else None}
    given = {
        "tool_outputs": {"tool_call_id": "call_1", "output": "rain"},
        "tool_approvals": {"tool_call_id": "call_1", "approve": True},
    }

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST"):
                return
            await peer.send(answer(200, run))

    async with RawServer(script) as server, a_client(server.base_url) as client:
        submit = client.threads.runs.submit_tool_outputs
        sent = submit("run_raw", thread_id="thread_raw", **{answers: [given[answers]]})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        if status == "in_progress":
            assert (await sent).status == status
        else:
            with pytest.raises(RunOutcomeUnknownError) as caught:
                await sent
            assert caught.value.looked
        assert server.posts == 1
