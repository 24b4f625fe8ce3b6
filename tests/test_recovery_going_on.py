"""Recovery of a stream in which a run goes on after its tool outputs: what of the run was told before, and what was not."""

import pytest
from raw_server import (
    CREATED,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    chunk,
    event,
    events_of,
    run_json,
)
from test_recovery_servers import FINAL, Cut, a_client, message, text_of

from aiorunstream import AsyncClient, RecoverPolicy, RunEvent, StreamInterruptedError, ToolOutput
from aiorunstream.snapshot import RunSnapshot
from aiorunstream.stream import _recovery
from aiorunstream.stream._delivered import Delivered

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
WAITING: dict[str, object] = {
    **run_json("requires_action"),
    "required_action": {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}},
}
QUEUED = event("thread.run.queued", run_json())
WAITS = answer(200, WAITING)


class GoingOn(Cut):
    """A server whose runs wait for tool outputs, and break after these events once they have them."""

    def __init__(self, *told: bytes, looks: tuple[bytes, ...] = (), run: dict[str, object] | None = None) -> None:
        super().__init__(message(), run=run, say={"run": list(looks)})
        self.told = told

    async def __call__(self, peer: Peer) -> None:
        head = await peer.request_head()
        if head.startswith(b"GET"):
            await super().__call__(peer)
            return
        if b"/submit_tool_outputs" not in head:
            await peer.request()
            waits = event("thread.run.requires_action", WAITING)
            await peer.send(STREAM_HEAD, chunk(CREATED), chunk(waits), LAST_CHUNK)
        await peer.request()  # with the outputs
        await peer.send(STREAM_HEAD, *map(chunk, self.told))


async def going_on(client: AsyncClient) -> list[RunEvent]:
    """The events of the second stream."""
    async with client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw") as stream:
        await events_of(stream)
    async with stream.submit_tool_outputs([ToolOutput(tool_call_id="call_1", output="stars")]) as second:
        return await events_of(second)


def names(events: list[RunEvent]) -> list[str]:
    return [event.event for event in events if event.event.startswith("thread.run.")]


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def soon(*_: object) -> float:
        return 0.005

    monkeypatch.setattr(_recovery, "poll_delay", soon)


@pytest.mark.usefixtures("_at_once")
async def test_a_server_slow_to_see_its_run_go_on_is_looked_at_again() -> None:
    script = GoingOn(looks=(WAITS,) * 4)
    async with RawServer(script) as server, a_client(server) as client:
        events = await going_on(client)
    assert (text_of(events), names(events)[-1]) == (FINAL, "thread.run.completed")


@pytest.mark.usefixtures("_at_once")
async def test_a_run_that_does_not_go_on_is_looked_at_five_times() -> None:
    script = GoingOn(run=WAITING)
    async with RawServer(script) as server, a_client(server, policy=RecoverPolicy(timeout=2)) as client:
        with pytest.raises(StreamInterruptedError) as caught:
            await going_on(client)
    assert caught.value.__notes__ == ["not recovered: the run has not moved on since its last stop"]
    assert script.asked["run"] == 5


async def test_that_a_run_works_again_is_told_where_it_was_queued_again() -> None:
    async with RawServer(GoingOn(QUEUED)) as server, a_client(server) as client:
        events = await going_on(client)
    assert names(events) == ["thread.run.queued", "thread.run.in_progress", "thread.run.completed"]
    assert [event.synthesized for event in events if event.event == "thread.run.in_progress"] == [True]


def test_of_more_runs_that_wait_than_a_thousand_the_oldest_are_forgotten() -> None:
    delivered = Delivered()
    kept = [RunSnapshot() for _ in range(1_001)]
    for number, snapshot in enumerate(kept):
        delivered.keep(f"run_{number}", snapshot)
    delivered.keep("run_1", kept[0])  # again, so that it is the newest
    assert delivered.take("run_0") is None
    assert delivered.take("run_1") is kept[0]
    assert delivered.take("run_1") is None, "it has gone on"
    assert delivered.take("run_1000") is kept[1_000]


async def test_the_beginning_of_a_run_is_not_told_where_another_program_had_it() -> None:
    async with RawServer(GoingOn()) as server, a_client(server) as client:
        call = client.threads.runs.submit_tool_outputs_stream(
            "run_raw", thread_id="thread_raw", tool_outputs=[ToolOutput(tool_call_id="call_1", output="stars")]
        )
        async with call as stream:
            events = await events_of(stream)
    assert (names(events), text_of(events)) == (["thread.run.completed"], FINAL)
