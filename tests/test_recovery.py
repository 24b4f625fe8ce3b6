"""`recover`: a stream whose connection failed goes on with what the server kept, and its reader misses and repeats nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from raw_server import CREATED, DELTA, DONE, STREAM_HEAD, Peer, RawServer, answer, chunk, events_of, run_json, start
from server_client import until
from timing import in_time

from aiorunstream import (
    AsyncClient,
    RecoverPolicy,
    RetryPolicy,
    RunEvent,
    RunStream,
    RunStreamError,
    StreamClosedError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTimeoutError,
    StreamTruncatedError,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunRequiresAction,
    Timeouts,
)
from aiorunstream.server import AssistantsServer, CallTool, Fault, Pause, ScriptedEngine

WORDS = ["The ", "keeper ", "of the ", "lighthouse ", "— ", "alone — ", "sleeps."]
TEXT = "".join(WORDS)


class Setting(NamedTuple):
    server: AssistantsServer
    client: AsyncClient
    assistant_id: str
    thread_id: str


@asynccontextmanager
async def setting(
    replies: Sequence[object] = (WORDS,), *, recover: RecoverPolicy | bool = True, idle: float = 0.3, delay: float = 0.0
) -> AsyncGenerator[Setting]:
    engine = ScriptedEngine(replies)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with (
        AssistantsServer(engine=engine, delay=delay) as server,
        AsyncClient(
            base_url=server.base_url,
            recover=recover,
            retry=RetryPolicy(attempts=1),
            timeouts=Timeouts(idle=idle, first_event=2),
        ) as client,
    ):
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        yield Setting(server, client, assistant.id, thread.id)


async def run_through(place: Setting, fault: Fault) -> tuple[RunStream, list[RunEvent]]:
    place.server.inject(fault)
    async with place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id) as stream:
        return stream, await events_of(stream)


def text_of(events: Sequence[RunEvent]) -> str:
    return "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta))


def posts(server: AssistantsServer) -> int:
    return sum(method == "POST" and path.endswith("/runs") for method, path in server.requests)


BREAKS = {
    "cut": Fault("cut", at_byte=6000),
    "reset": Fault("reset", at_byte=6000),
    "end": Fault("end", at_byte=6000),
    "stall": Fault("stall", at_byte=6000),
    "bad chunk": Fault("bad_chunk", at_byte=6000),
}


@pytest.mark.parametrize("fault", BREAKS)
async def test_a_broken_stream_goes_on_to_the_end_of_its_run(fault: str) -> None:
    async with setting() as place:
        stream, events = await run_through(place, BREAKS[fault])
        assert text_of(events) == TEXT
        assert isinstance(events[-1], ThreadRunCompleted)
        assert (stream.outcome, stream.events_seen, stream.clean_close) == ("completed", len(events), fault == "end")
        assert stream.run is not None
        assert stream.run.usage is not None or stream.run.status == "completed"
        made = [event.synthesized for event in events]
        assert not made[0]
        assert made[-1]
        assert made == sorted(made), "what was fetched comes after what came"
        assert posts(place.server) == 1
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@pytest.mark.parametrize("fault", BREAKS)
async def test_a_reader_that_takes_what_is_here_without_waiting_gets_past_the_break_too(fault: str) -> None:
    async with setting() as place:
        place.server.inject(BREAKS[fault])
        events: list[RunEvent] = []
        async with place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id) as stream:
            async for event in stream:
                events.append(event)
                while (more := stream.next_nowait()) is not None:
                    events.append(more)
        assert text_of(events) == TEXT
        assert isinstance(events[-1], ThreadRunCompleted)
        assert any(event.synthesized for event in events)


async def test_the_events_are_those_of_an_unbroken_stream_in_kind_and_content() -> None:
    async with setting() as place:
        _, whole = await run_through(place, Fault("late_end", seconds=0))
    async with setting() as place:
        _, broken = await run_through(place, Fault("cut", at_byte=6000))

    def shape(events: Sequence[RunEvent]) -> list[str]:
        return [event.event for event in events if not isinstance(event, ThreadMessageDelta)]

    assert shape(broken) == shape(whole)
    done = [event.data.text for event in broken if isinstance(event, ThreadMessageCompleted)]
    assert done == [TEXT]


async def test_frames_go_on_too() -> None:
    async with setting() as place:
        place.server.inject(Fault("cut", at_byte=6000))
        async with place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id) as stream:
            frames = [frame async for frame in stream.frames()]
    deltas = [json.loads(frame.data) for frame in frames if frame.event == "thread.message.delta"]
    assert "".join(delta["delta"]["content"][0]["text"]["value"] for delta in deltas) == TEXT
    assert frames[-1].event == "thread.run.completed"
    assert stream.outcome == "completed"


async def test_a_run_that_is_still_at_work_is_waited_for() -> None:
    async with setting([[*WORDS[:3], Pause(0.7), *WORDS[3:]]]) as place:
        stream, events = await run_through(place, Fault("cut", at_byte=4000))
    assert text_of(events) == TEXT
    assert stream.outcome == "completed"


async def test_an_outage_in_the_middle_of_it_is_waited_out() -> None:
    async with setting() as place:
        place.server.inject(Fault("hang_up", operation="retrieve_run"))
        place.server.inject(Fault("refuse", operation="retrieve_run", status=503))
        _, events = await run_through(place, Fault("cut", at_byte=4000))
    assert text_of(events) == TEXT


async def test_a_run_that_waits_for_tools_is_recovered_and_so_is_what_follows() -> None:
    async with setting([[CallTool("look", '{"where": "up"}', id="call_1")], WORDS]) as place:
        stream, events = await run_through(place, Fault("cut", at_byte=2500))
        assert stream.outcome == "requires_action"
        last = events[-1]
        assert isinstance(last, ThreadRunRequiresAction)
        assert last.data.tool_calls[0].type == "function"
        place.server.inject(Fault("cut", at_byte=3500, operation="submit_tool_outputs"))
        outputs = [{"tool_call_id": "call_1", "output": "stars"}]
        async with place.client.threads.runs.submit_tool_outputs_stream(
            last.data.id, thread_id=place.thread_id, tool_outputs=outputs
        ) as second:
            rest = await events_of(second)
        assert text_of(rest) == TEXT
        assert second.outcome == "completed"
        names = [event.event for event in [*events, *rest]]
        assert names.count("thread.run.step.created") == 2  # neither was made again in the second stream
        assert names.count("thread.run.step.completed") == 2
        assert names.count("thread.message.completed") == 1


async def test_a_cancelled_recovery_is_taken_up_again() -> None:
    async with setting([[*WORDS[:3], Pause(0.5), *WORDS[3:]]]) as place:
        place.server.inject(Fault("cut", at_byte=4000))
        async with place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id) as stream:
            events: list[RunEvent] = []
            timeouts = 0
            while True:
                try:
                    async with asyncio.timeout(0.05):
                        events.append(await anext(stream))
                except TimeoutError:
                    timeouts += 1
                except StopAsyncIteration:
                    break
    assert timeouts > 1
    assert text_of(events) == TEXT


async def test_closing_from_elsewhere_ends_a_recovery_at_once() -> None:
    async with setting([[*WORDS[:3], Pause(30), *WORDS[3:]]]) as place:
        place.server.inject(Fault("cut", at_byte=4000))
        stream = await place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id)
        reader = asyncio.create_task(events_of(stream))
        await until(lambda: any(method == "GET" for method, _ in place.server.requests))
        await stream.aclose()
        with in_time(0), pytest.raises(StreamClosedError):
            await reader


async def test_closing_the_client_ends_a_recovery() -> None:
    async with setting([[*WORDS[:3], Pause(30), *WORDS[3:]]]) as place:
        place.server.inject(Fault("cut", at_byte=4000))
        stream = await place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id)
        reader = asyncio.create_task(events_of(stream))
        await until(lambda: any(method == "GET" for method, _ in place.server.requests))
        await place.client.aclose()
        with pytest.raises(StreamClosedError):
            await reader


# -- what is not recovered ---------------------------------------------------------------------------------------------


async def notes_of(place: Setting, fault: Fault, kind: type[StreamInterruptedError] = StreamInterruptedError) -> str:
    place.server.inject(fault)
    async with place.client.threads.runs.create_stream(place.thread_id, assistant_id=place.assistant_id) as stream:
        with pytest.raises(kind) as caught:
            await events_of(stream)
        with pytest.raises(kind) as again:
            await anext(stream)
        assert again.value.__notes__ == caught.value.__notes__
        assert caught.value.run_id == stream.run_id
    return "\n".join(caught.value.__notes__)


async def test_where_the_run_cannot_be_retrieved_the_break_is_raised_with_a_note() -> None:
    async with setting() as place:
        place.server.inject(Fault("refuse", operation="retrieve_run", status=404, times=None))
        assert "404" in await notes_of(place, Fault("cut", at_byte=4000))
        assert sum(method == "GET" for method, _ in place.server.requests) == 1


async def test_a_deadline_ends_it() -> None:
    async with setting([[*WORDS[:3], Pause(30)]], recover=RecoverPolicy(timeout=0.2)) as place:
        assert "0.2 s" in await notes_of(place, Fault("cut", at_byte=4000))


async def test_a_run_nobody_knows_yet_cannot_be_recovered() -> None:
    async with setting() as place:
        assert "before its run was known" in await notes_of(place, Fault("end", at_byte=10), StreamTruncatedError)


async def test_without_it_a_break_is_raised_and_a_call_decides_for_itself() -> None:
    async with setting(recover=False) as place:
        with pytest.raises(StreamInterruptedError) as caught:
            await run_through(place, Fault("cut", at_byte=4000))
        assert not hasattr(caught.value, "__notes__")
    async with setting(recover=False) as place:
        place.server.inject(Fault("cut", at_byte=4000))
        runs = place.client.threads.runs
        async with runs.create_stream(place.thread_id, assistant_id=place.assistant_id, recover=True) as stream:
            assert text_of(await events_of(stream)) == TEXT


async def test_an_error_event_and_broken_json_and_the_total_clock_are_no_breaks() -> None:
    async with setting() as place:
        with pytest.raises(RunStreamError):
            await run_through(place, Fault("error_event", at_byte=4000))
        assert not any(method == "GET" for method, _ in place.server.requests)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD, chunk(CREATED), chunk(b"event: thread.run.queued\ndata: {\n\n"))
        await peer.closed()

    for timeouts, kind in ((Timeouts(), StreamProtocolError), (Timeouts(total=0.2), StreamTimeoutError)):
        async with RawServer(script if kind is StreamProtocolError else _quiet) as server:
            async with (
                AsyncClient(base_url=server.base_url, recover=True, timeouts=timeouts) as client,
                start(client) as stream,
            ):
                with pytest.raises(kind):
                    await events_of(stream)
            assert len(server.requests) == 1


async def _quiet(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD, chunk(CREATED))
    await peer.closed()


async def test_text_that_the_server_has_differently_is_not_delivered_again() -> None:
    message: dict[str, object] = {"id": "msg_raw", "role": "assistant", "run_id": "run_raw", "status": "completed"}
    message["content"] = [{"type": "text", "text": {"value": "Something else.", "annotations": ()}}]
    pages: dict[str, list[object]] = {"/messages?": [message], "/steps?": []}

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST"):
                await peer.send(STREAM_HEAD, chunk(CREATED), chunk(DELTA), chunk(DONE))
                continue
            page = next((page for part, page in pages.items() if part in request.line), None)
            body = run_json("completed") if page is None else {"object": "list", "data": page, "has_more": False}
            await peer.send(answer(200, body))

    async with (
        RawServer(script) as server,
        AsyncClient(base_url=server.base_url, recover=True) as client,
        start(client) as stream,
    ):
        events = await events_of(stream)
    assert text_of(events) == "a lighthouse "
    assert [event.event for event in events[-2:]] == ["thread.message.completed", "thread.run.completed"]


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), "1", True])
def test_a_policy_that_cannot_be_meant_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"RecoverPolicy\.timeout"):
        RecoverPolicy(timeout=timeout)
    assert RecoverPolicy(timeout=None).timeout is None
