"""`if_active`: what becomes of a new run where the thread has one that is still active."""

import asyncio

import pytest
from raw_server import Peer, RawServer, answer, client_of, events_of, run_json, stream_answer
from server_client import until

from aiorunstream import AsyncClient, InvalidArgumentError, Run, ThreadBusyError
from aiorunstream.resources import _busy
from aiorunstream.server import AssistantsServer, CallTool, Pause, ScriptedEngine

BUSY = answer(400, {"error": {"message": "Thread thread_raw already has an active run run_old."}})
BUSY_NAMELESS = answer(400, {"error": {"message": "This thread already has an active run."}})


async def busy_thread(client: AsyncClient) -> tuple[str, str, Run]:
    assistant = await client.assistants.create(model="any")
    thread = await client.threads.create()
    return thread.id, assistant.id, await client.threads.runs.create(thread.id, assistant_id=assistant.id)


async def test_error_raises_at_once_and_names_the_run() -> None:
    engine = ScriptedEngine([[Pause(30)]], repeat=True)
    async with AssistantsServer(engine=engine) as server, AsyncClient(base_url=server.base_url) as client:
        thread_id, assistant_id, old = await busy_thread(client)
        with pytest.raises(ThreadBusyError) as caught:
            await client.threads.runs.create_stream(thread_id, assistant_id=assistant_id)
        assert caught.value.run_id == old.id
        assert len(server.store.record(thread_id).runs.all()) == 1


async def test_wait_waits_until_the_other_run_is_over() -> None:
    engine = ScriptedEngine([["old", Pause(0.4)], ["new"]])
    async with AssistantsServer(engine=engine) as server, AsyncClient(base_url=server.base_url) as client:
        thread_id, assistant_id, old = await busy_thread(client)
        runs = client.threads.runs
        async with runs.create_stream(thread_id, assistant_id=assistant_id, if_active="wait") as stream:
            await events_of(stream)
        assert stream.outcome == "completed"
        assert (await runs.retrieve(old.id, thread_id=thread_id)).status == "completed"
        assert len(server.store.record(thread_id).runs.all()) == 2


@pytest.mark.parametrize("reply", [[Pause(30)], [CallTool("look", "{}")]], ids=["at work", "waiting for tools"])
async def test_cancel_cancels_the_other_run_first(reply: list[object]) -> None:
    engine = ScriptedEngine([reply, ["new"]])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    async with AssistantsServer(engine=engine) as server, AsyncClient(base_url=server.base_url) as client:
        thread_id, assistant_id, old = await busy_thread(client)
        if reply[0] != Pause(30):
            await client.threads.runs.poll(old.id, thread_id=thread_id)
        run = await client.threads.runs.create(thread_id, assistant_id=assistant_id, if_active="cancel")
        assert run.id != old.id
        assert (await client.threads.runs.retrieve(old.id, thread_id=thread_id)).status == "cancelled"


async def test_a_run_the_server_does_not_name_is_looked_up() -> None:
    sent: list[bytes] = [BUSY_NAMELESS]

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST") and "/cancel" not in request.line:
                await peer.send(sent.pop() if sent else stream_answer())
            elif "?" in request.line:
                runs = [run_json("completed") | {"id": "run_older"}, run_json("in_progress") | {"id": "run_old"}]
                await peer.send(answer(200, {"object": "list", "data": runs, "has_more": False}))
            else:
                await peer.send(answer(200, run_json("cancelled") | {"id": "run_old"}))

    async with RawServer(script) as server, client_of(server) as client:
        runs = client.threads.runs
        async with runs.create_stream("thread_raw", assistant_id="asst_raw", if_active="cancel") as stream:
            await events_of(stream)
        lines = [request.line.split()[:2] for request in server.requests]
    assert [method for method, _ in lines] == ["POST", "GET", "POST", "GET", "POST"]
    assert lines[2][1].endswith("/runs/run_old/cancel")


async def test_a_server_slow_to_see_that_its_run_is_over_is_asked_again() -> None:
    sent = [BUSY, BUSY, BUSY]

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("GET"):
                await peer.send(answer(200, run_json("completed")))
            else:
                await peer.send(sent.pop() if sent else stream_answer())

    async with RawServer(script) as server, client_of(server) as client:
        runs = client.threads.runs
        async with runs.create_stream("thread_raw", assistant_id="asst_raw", if_active="wait") as stream:
            await events_of(stream)
        assert server.posts == 4


async def test_a_run_that_is_over_before_it_is_cancelled_is_no_error() -> None:
    sent = [BUSY]

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel" in request.line:
                await peer.send(answer(400, {"error": {"message": "Cannot cancel run with status 'completed'."}}))
            elif request.line.startswith("GET"):
                await peer.send(answer(200, run_json("completed")))
            else:
                await peer.send(sent.pop() if sent else stream_answer())

    async with RawServer(script) as server, client_of(server) as client:
        runs = client.threads.runs
        async with runs.create_stream("thread_raw", assistant_id="asst_raw", if_active="cancel") as stream:
            await events_of(stream)
    assert stream.outcome == "completed"


async def test_where_the_other_run_cannot_be_seen_the_thread_stays_busy() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await peer.send(BUSY if request.line.startswith("POST") else answer(404, {}))

    async with RawServer(script) as server, client_of(server) as client:
        with pytest.raises(ThreadBusyError) as caught:
            await client.threads.runs.create("thread_raw", assistant_id="asst_raw", if_active="wait")
        assert "404" in caught.value.__notes__[0]
        assert server.posts == 1


async def test_the_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_busy, "BUSY_SECONDS", 0.2)
    engine = ScriptedEngine([[Pause(30)]], repeat=True)
    async with AssistantsServer(engine=engine) as server, AsyncClient(base_url=server.base_url) as client:
        thread_id, assistant_id, old = await busy_thread(client)
        with pytest.raises(ThreadBusyError) as caught:
            await client.threads.runs.create_stream(thread_id, assistant_id=assistant_id, if_active="wait")
        assert "waited 0.2 s" in caught.value.__notes__[0]
        assert caught.value.run_id == old.id


async def test_a_cancel_of_the_wait_sends_nothing_more() -> None:
    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await peer.send(BUSY if request.line.startswith("POST") else answer(200, run_json("in_progress")))

    async with RawServer(script) as server, client_of(server) as client:
        runs = client.threads.runs
        for cancel_on_exit in (False, True):
            server.requests.clear()
            call = runs.create_stream(
                "thread_raw", assistant_id="asst_raw", if_active="wait", cancel_on_exit=cancel_on_exit
            )
            task = asyncio.create_task(call)
            await until(lambda: len(server.requests) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.6)
            assert server.posts == 1


async def test_a_key_that_is_not_told_in_time_is_no_end_of_the_wait() -> None:
    asked = 0

    async def key() -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise TimeoutError("the keeper of keys is silent")
        return "key"

    async def script(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.send(BUSY)

    async with RawServer(script) as server, AsyncClient(base_url=server.base_url, api_key=key) as client:
        runs = client.threads.runs
        with pytest.raises(TimeoutError, match="keeper of keys"):
            await runs.create_stream("thread_raw", assistant_id="asst_raw", if_active="wait")
        with pytest.raises(TimeoutError, match="keeper of keys"):
            await runs.poll("run_old", thread_id="thread_raw")


async def test_another_word_is_refused_before_anything_is_sent() -> None:
    async with RawServer(lambda peer: peer.closed()) as server, client_of(server) as client:
        with pytest.raises(InvalidArgumentError, match="if_active"):
            _ = client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw", if_active="queue")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(InvalidArgumentError, match="if_active"):
            await client.threads.runs.create("thread_raw", assistant_id="asst_raw", if_active="queue")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert server.requests == []
