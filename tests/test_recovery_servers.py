"""Recovery at servers that make it hard: outages at each request, messages that do not say whose they are, a herd of streams,
odd shapes; and what is around it: clocks, closing, memory."""

import asyncio
import gc
import weakref
from collections import Counter

import pytest
from raw_server import CREATED, DELTA, STREAM_HEAD, Peer, RawServer, Script, answer, chunk, event, events_of, run_json
from server_client import until
from timing import in_time

from aiorunstream import (
    AsyncClient,
    RecoverPolicy,
    RequestOptions,
    RetryPolicy,
    RunEvent,
    RunStream,
    StreamClosedError,
    StreamInterruptedError,
    ThreadMessageDelta,
    ThreadRunStepCreated,
    Timeouts,
)
from aiorunstream.resources import _control

FINAL = "a lighthouse keeper"


def message(text: str = FINAL, **fields: object) -> dict[str, object]:
    content = [{"type": "text", "text": {"value": text, "annotations": ()}}]
    return {"id": "msg_raw", "role": "assistant", "run_id": "run_raw", "content": content, **fields}


class Cut:
    """A server whose streams break after two events, and which knows how the run ended.

    `say` has other answers for the first requests of a route: "run", "messages", "steps" or "cancel".
    """

    def __init__(
        self,
        *messages: dict[str, object],
        steps: tuple[object, ...] = (),
        run: dict[str, object] | None = None,
        say: dict[str, list[bytes]] | None = None,
        events: tuple[bytes, ...] = (CREATED, DELTA),
    ) -> None:
        self.run = run or run_json("completed")
        self.pages = {"messages": messages or (message(),), "steps": steps}
        self.say = say or {}
        self.events = events
        self.asked: Counter[str] = Counter()

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            path = request.line.split()[1].partition("?")[0]
            route = path.rpartition("/")[2]
            if route == "runs" and request.line.startswith("POST"):
                await peer.send(STREAM_HEAD, *map(chunk, self.events))
                await asyncio.sleep(0.02)
                return
            route = route if route in ("messages", "steps", "cancel") else "run"
            self.asked[route] += 1
            await peer.send(self.say[route].pop(0) if self.say.get(route) else self._answer(route))

    def _answer(self, route: str) -> bytes:
        page = self.pages.get(route)
        return answer(200, self.run if page is None else {"object": "list", "data": page, "has_more": False})


def a_client(server: RawServer, *, policy: RecoverPolicy | bool = True, total: float | None = None) -> AsyncClient:
    return AsyncClient(
        base_url=server.base_url, recover=policy, timeouts=Timeouts(total=total), retry=RetryPolicy(attempts=1)
    )


async def read(client: AsyncClient) -> tuple[RunStream, list[RunEvent]]:
    runs = client.threads.runs
    stream = await runs.create_stream("thread_raw", assistant_id="asst_raw")
    async with stream:
        return stream, await events_of(stream)


def text_of(events: list[RunEvent]) -> str:
    return "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta))


async def recovered(server: Script) -> list[RunEvent]:
    async with RawServer(server) as listening, a_client(listening) as client:
        return (await read(client))[1]


async def note_of(script: Script, *, policy: RecoverPolicy | bool = True, total: float | None = None) -> str:
    async with RawServer(script) as server, a_client(server, policy=policy, total=total) as client:
        with pytest.raises(StreamInterruptedError) as caught:
            await read(client)
    return caught.value.__notes__[0]


# -- outages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["run", "messages", "steps"])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_outage_at_any_of_its_requests_is_waited_out(route: str, status: int) -> None:
    server = Cut(say={route: [answer(status, {})]})
    assert text_of(await recovered(server)) == FINAL
    assert server.asked[route] == 2


@pytest.mark.parametrize("route", ["run", "messages", "steps"])
@pytest.mark.parametrize("status", [404, 403, 501])
async def test_a_server_that_has_no_such_route_cannot_tell(route: str, status: int) -> None:
    server = Cut(say={route: [answer(status, {})]})
    assert str(status) in await note_of(server)
    assert server.asked[route] == 1


async def test_a_servers_wish_to_be_asked_at_once_is_no_storm() -> None:
    at_work = answer(200, run_json("in_progress"), {"openai-poll-after-ms": "0"})
    server = Cut(say={"run": [at_work] * 1000})
    assert "0.5 s" in await note_of(server, policy=RecoverPolicy(timeout=0.5))
    assert server.asked["run"] <= 6


async def test_many_streams_that_break_at_once_ask_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_control, "MOST_LOOKS", 5)
    asking = most = 0
    plain = Cut()

    async def script(peer: Peer) -> None:
        nonlocal asking, most
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST"):
                await peer.send(STREAM_HEAD, chunk(CREATED), chunk(DELTA))
                return
            asking += 1
            most = max(most, asking)
            await asyncio.sleep(0.01)
            asking -= 1
            route = next((route for route in ("messages", "steps") if route in request.line), "run")
            await peer.send(plain._answer(route))

    async with RawServer(script) as server, a_client(server) as client:
        found = await asyncio.gather(*(read(client) for _ in range(40)))
        assert server.posts == 40
    assert {text_of(events) for _, events in found} == {FINAL}
    assert most <= 5


# -- whose a message is ------------------------------------------------------------------------------------------------


async def test_messages_that_name_no_run_are_taken_where_they_can_be_told_apart() -> None:
    old = message("Something old.", id="msg_old", run_id=None, created_at=1)
    user = message("Hello", id="msg_user", run_id=None, role="user")
    late = message(" And more.", id="msg_late", run_id=None, created_at=7)
    run = {**run_json("completed"), "created_at": 5}
    events = await recovered(Cut(old, user, message(run_id=None), late, run=run))
    assert text_of(events) == FINAL + " And more."


async def test_a_message_that_only_its_step_names_is_taken() -> None:
    details = {"type": "message_creation", "message_creation": {"message_id": "msg_new"}}
    step = {"id": "step_1", "type": "message_creation", "status": "completed", "step_details": details}
    events = await recovered(Cut(message("Said so.", id="msg_new", run_id=None), steps=(step,), events=(CREATED,)))
    assert text_of(events) == "Said so."


async def test_messages_that_cannot_be_told_apart_are_not_guessed_at() -> None:
    assert "of which run" in await note_of(Cut(message(id="msg_any", run_id=None)))


# -- odd shapes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [[1], ["x", {"type": "mystery", "id": "call_1"}], [None], [[]]], ids=repr)
@pytest.mark.parametrize("told", [[1], [{"index": 0, "type": "mystery", "id": "call_1"}]], ids=repr)
async def test_steps_with_bare_values_where_calls_belong_end_no_stream_in_a_riddle(
    told: list[object], calls: list[object]
) -> None:
    def step(status: str, calls: list[object]) -> dict[str, object]:
        return {
            "id": "step_1",
            "object": "thread.run.step",
            "type": "tool_calls",
            "status": status,
            "step_details": {"type": "mystery_calls", "tool_calls": calls},
        }

    delta = {"id": "step_1", "delta": {"step_details": {"type": "mystery_calls", "tool_calls": told}}}
    events = (CREATED, event("thread.run.step.created", step("in_progress", [])), event("thread.run.step.delta", delta))
    found = await recovered(Cut(steps=(step("completed", calls),), events=events))
    assert isinstance(found[1], ThreadRunStepCreated)
    assert found[-1].event == "thread.run.completed"


async def test_a_status_nobody_knows_and_an_id_nobody_can_ask_for_are_told_apart() -> None:
    assert "does not know" in await note_of(Cut(run=run_json("exploded")))
    odd = event("thread.run.created", {**run_json(), "id": "run/1"})
    assert "run_id" in await note_of(Cut(events=(odd,)))


# -- clocks, closing, memory -------------------------------------------------------------------------------------------


async def test_the_clock_of_all_of_the_stream_bounds_its_recovery_too() -> None:
    server = Cut(say={"run": [answer(200, run_json("in_progress"))] * 100})
    with in_time(0.4):
        assert "Timeouts.total" in await note_of(server, policy=RecoverPolicy(timeout=None), total=0.4)


async def test_a_client_that_is_closed_wakes_a_recovery_that_sleeps() -> None:
    server = Cut(say={"run": [answer(200, run_json("in_progress"), {"openai-poll-after-ms": "60000"})]})
    async with RawServer(server) as listening:
        client = a_client(listening)
        reader = asyncio.create_task(read(client))
        await until(lambda: server.asked["run"] == 1)
        await asyncio.sleep(0.05)
        with in_time(0), pytest.raises(StreamClosedError):
            await client.aclose()
            await reader


@pytest.mark.parametrize("say", [{}, {"run": [answer(404, {})]}], ids=["recovered", "not recovered"])
async def test_a_stream_that_recovered_is_freed_without_the_collector(say: dict[str, list[bytes]]) -> None:
    async with RawServer(Cut(say=say)) as server, a_client(server) as client:
        gc.collect()
        gc.disable()
        try:
            stream = await client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw")
            async with stream:
                try:
                    await events_of(stream)
                except StreamInterruptedError as error:
                    error.with_traceback(None)
            gone = weakref.ref(stream)
            del stream
            await asyncio.sleep(0)
            assert gone() is None
        finally:
            gc.enable()


async def test_leaving_while_what_was_missed_is_handed_out_cancels_nothing() -> None:
    server = Cut()
    async with RawServer(server) as listening, a_client(listening) as client:
        runs = client.threads.runs
        async with runs.create_stream("thread_raw", assistant_id="asst_raw", cancel_on_exit=True) as stream:
            async for item in stream:
                if item.synthesized:
                    break
    assert stream.outcome is None
    assert server.asked["cancel"] == 0


async def test_a_look_sends_no_idempotency_key() -> None:
    async with RawServer(Cut()) as server, a_client(server) as client:
        options = RequestOptions(extra_headers={"idempotency-KEY": "once", "X-Trace": "42"})
        async with client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw", options=options) as stream:
            await events_of(stream)
        post, *looks = server.requests
    assert post.header("Idempotency-Key") == "once"
    assert [look.header("Idempotency-Key") for look in looks] == [None] * 3
    assert {look.header("X-Trace") for look in looks} == {"42"}


@pytest.mark.parametrize("turns", range(8))
async def test_nothing_is_handed_out_after_closing_even_in_the_turn_of_the_last_answer(turns: int) -> None:
    asked = asyncio.Event()
    cut = Cut(steps=({"id": "step_1", "run_id": "run_raw", "type": "message_creation", "status": "completed"},))

    async def script(peer: Peer) -> None:
        task = asyncio.create_task(cut(peer))
        while not task.done():
            await asyncio.sleep(0)
            if cut.asked["steps"]:
                asked.set()

    async with RawServer(script) as server, a_client(server) as client:
        stream = await client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw")
        heard: list[str] = []

        async def read() -> None:
            async for event in stream:
                heard.append(event.event)

        reading = asyncio.create_task(read())
        await asked.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        before, over = len(heard), reading.done()
        await stream.aclose()
        if over:
            await reading
        else:
            with pytest.raises(StreamClosedError):
                await reading
            assert len(heard) == before


async def test_a_message_whose_run_is_an_empty_text_is_looked_at_as_one_that_names_none() -> None:
    run = {**run_json("completed"), "created_at": 100}
    mine = message(run_id="", created_at=101)
    assert text_of(await recovered(Cut(mine, run=run))) == FINAL


async def test_a_list_that_gives_the_same_page_again_tells_of_nothing_twice() -> None:
    step = {"id": "step_1", "run_id": "run_raw", "type": "message_creation", "status": "completed"}
    pages = {
        "messages": [answer(200, {"object": "list", "data": [message()], "has_more": True})],
        "steps": [answer(200, {"object": "list", "data": [step], "has_more": True})],
    }
    events = await recovered(Cut(steps=(step,), say=pages))
    assert text_of(events) == FINAL
    assert sum(isinstance(event, ThreadRunStepCreated) for event in events) == 1
