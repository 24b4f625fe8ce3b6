"""The embedded server over a real socket: its streams, its operations, and what it notices."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator

import aiohttp
import msgspec
import pytest
from server_client import JSON, PATIENCE, events_of, names_of, next_events, serving, stopped, until
from usual_events import A_TEXT_ANSWER

import aiorunstream.server
from aiorunstream.errors import StreamError
from aiorunstream.events import RunEvent, ThreadMessageDelta
from aiorunstream.models import Run
from aiorunstream.operations import OPERATIONS
from aiorunstream.protocol import RunProtocol
from aiorunstream.server import AssistantsServer, CallTool, Item, Say, ScriptedEngine, Turn, _runs
from aiorunstream.server._handlers import handlers
from aiorunstream.sse import SSEDecoder

WEATHER = {"type": "function", "function": {"name": "get_weather"}}
SOON = 0.2
"""Seconds within which the server must see that a client has left; no other test here asks how fast anything is."""


class Slow:
    """Says one word, and the rest when it is let."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
        yield Say("one")
        await self.goes_on.wait()
        yield Say(" two")


# -- streams ---------------------------------------------------------------------------------------------------------


async def test_a_run_streams_in_order_and_ends_with_the_end_mark() -> None:
    async with serving() as (server, http):
        path, body = await http.runs("Hello")
        async with http.stream(path, body) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Accel-Buffering"] == "no"
            assert response.headers["x-request-id"].startswith("req_")
            wire = await response.read()
        protocol = RunProtocol()
        protocol.receive_data(wire)
        events: list[RunEvent] = list(iter(protocol.next_event, None))
        assert [event.event for event in events if not isinstance(event, ThreadMessageDelta)] == A_TEXT_ANSWER
        text = "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta))
        assert "“Hello”" in text
        assert protocol.outcome == "completed"
        last = SSEDecoder().feed(wire)[-1]
        assert (last.event, last.data) == ("done", b"[DONE]")
        assert wire.endswith(b"\n\n")
        await until(lambda: server.open_streams == 0)


async def test_a_stream_can_be_read_while_the_engine_thinks() -> None:
    engine = Slow()
    async with serving(engine=engine) as (server, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            protocol, texts = RunProtocol(), list[str]()
            async for event in next_events(response, protocol):
                if isinstance(event, ThreadMessageDelta):
                    texts.append(event.data.text)
                    assert server.open_streams == 1 or engine.goes_on.is_set()
                    engine.goes_on.set()
            assert texts == ["one", " two"]


async def test_a_tool_call_goes_there_and_back_over_two_streams() -> None:
    async with serving() as (_, http):
        path, body = await http.runs("get_weather please", tools=[WEATHER])
        async with http.stream(path, body) as response:
            protocol = RunProtocol()
            names = [event.event async for event in next_events(response, protocol)]
        assert names[-1] == "thread.run.requires_action"
        assert protocol.run is not None
        (call,) = msgspec.to_builtins(protocol.run.tool_calls)
        outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "sunny"}]}
        async with http.stream(f"{path}/{protocol.run_id}/submit_tool_outputs", outputs) as response:
            events = await events_of(response)
        assert [event.event for event in events][:3] == [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
        ]
        assert events[-1].event == "thread.run.completed"
        assert "“sunny”" in "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta))


async def test_a_thread_and_its_run_stream_together() -> None:
    async with serving() as (_, http):
        body: JSON = {
            "assistant_id": await http.assistant(),
            "thread": {"messages": [{"role": "user", "content": "x"}]},
        }
        async with http.stream("/threads/runs", body) as response:
            names = await names_of(response)
        assert names[:2] == ["thread.created", "thread.run.created"]
        assert names[-1] == "thread.run.completed"


async def test_a_plain_run_goes_on_by_itself() -> None:
    async with serving() as (_, http):
        path, body = await http.runs("get_weather please", tools=[WEATHER])
        made = await http.post(path, body)
        assert made["status"] == "queued"
        run = await stopped(http, f"{path}/{made['id']}")
        assert run["status"] == "requires_action"
        calls = msgspec.convert(run, Run).tool_calls
        outputs = [{"tool_call_id": call["id"], "output": "sunny"} for call in msgspec.to_builtins(calls)]
        again = await http.post(f"{path}/{made['id']}/submit_tool_outputs", {"tool_outputs": outputs, "stream": None})
        assert again["status"] == "queued"
        assert (await stopped(http, f"{path}/{made['id']}"))["status"] == "completed"
        steps = await http.get(f"{path}/{made['id']}/steps?order=asc")
        assert [step["type"] for step in steps["data"]] == ["tool_calls", "message_creation"]


async def test_a_run_goes_on_when_its_reader_leaves_and_the_server_sees_it_leave() -> None:
    engine = Slow()
    async with serving(engine=engine) as (server, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            protocol = RunProtocol()
            async for event in next_events(response, protocol):
                if isinstance(event, ThreadMessageDelta):
                    break
            assert server.open_streams == 1
            response.close()
            await until(lambda: server.open_streams == 0, SOON)  # while the engine is silent
        engine.goes_on.set()
        assert (await stopped(http, f"{path}/{protocol.run_id}"))["status"] == "completed"


async def test_a_client_that_leaves_while_the_server_writes_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(engine=ScriptedEngine([["and "] * 50], repeat=True), delay=0.001) as (server, http):
        for _ in range(8):
            path, body = await http.runs()
            async with http.stream(path, body) as response:
                await response.content.readuntil(b"thread.message.delta")
                response.close()
            run = (await http.get(path))["data"][0]
            assert (await stopped(http, f"{path}/{run['id']}"))["status"] == "completed"
        await until(lambda: server.open_streams == 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_busy_thread_says_so() -> None:
    async with serving(engine=Slow()) as (_, http):
        path, body = await http.runs()
        run = await http.post(path, body)
        thread_id = run["thread_id"]
        for again in (body, {**body, "stream": True}):
            status, error = await http.refused("POST", path, again)
            assert (status, error["type"]) == (400, "invalid_request_error")
            assert error["message"] == f"Thread {thread_id} already has an active run {run['id']}."
        status, error = await http.refused("POST", f"/threads/{thread_id}/messages", {"role": "user", "content": "x"})
        assert status == 400
        assert error["message"] == f"Can't add messages to {thread_id} while a run {run['id']} is active."


async def test_cancelling_ends_the_stream_of_the_run() -> None:
    async with serving(engine=Slow()) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            protocol, names = RunProtocol(), list[str]()
            async for event in next_events(response, protocol):
                names.append(event.event)
                if isinstance(event, ThreadMessageDelta):
                    answer = await http.post(f"{path}/{protocol.run_id}/cancel")
                    assert answer["status"] == "cancelling"
        assert names[-4:] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
        ]
        status, error = await http.refused("POST", f"{path}/{protocol.run_id}/cancel")
        assert (status, error["message"]) == (400, "Cannot cancel run with status 'cancelled'.")


async def test_a_run_that_waits_for_outputs_can_be_cancelled() -> None:
    async with serving() as (_, http):
        path, body = await http.runs("get_weather please", tools=[WEATHER])
        run = await http.post(path, body)
        await stopped(http, f"{path}/{run['id']}")
        await http.post(f"{path}/{run['id']}/cancel")
        assert (await stopped(http, f"{path}/{run['id']}"))["status"] == "cancelled"


async def test_a_run_expires() -> None:
    async with serving(engine=Slow(), expires_after=0.02) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            assert (await names_of(response))[-3:] == [
                "thread.message.incomplete",
                "thread.run.step.expired",
                "thread.run.expired",
            ]


async def test_an_engine_that_raises_fails_its_run_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def reply(self, turn: Turn, /) -> Iterator[Item]:
            yield Say("one")
            raise ZeroDivisionError

    with caplog.at_level(logging.CRITICAL, "aiorunstream.server"):
        async with serving(engine=Broken()) as (_, http):
            for _ in range(2):
                path, body = await http.runs()
                async with http.stream(path, body) as response:
                    names = await names_of(response)
                assert names[-3:] == ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed"]


async def test_a_thousand_runs_stream_at_once_and_in_order() -> None:
    all_open = asyncio.Event()

    class Chorus:
        async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
            yield Say("This")
            await all_open.wait()
            for word in (" is ", turn.user_text, "."):
                yield Say(word)

    async with serving(engine=Chorus()) as (server, http):
        assistant_id = await http.assistant()

        async def one(number: int) -> tuple[list[str], list[str]]:
            thread = {"messages": [{"role": "user", "content": f"number {number}"}]}
            async with http.stream("/threads/runs", {"assistant_id": assistant_id, "thread": thread}) as response:
                events = await events_of(response)
            texts = [event.data.text for event in events if isinstance(event, ThreadMessageDelta)]
            return texts, [event.event for event in events]

        reading = asyncio.gather(*(one(number) for number in range(1000)))
        await until(lambda: server.open_streams == 1000, 30)
        all_open.set()
        answers = await reading
        assert [texts for texts, _ in answers] == [["This", " is ", f"number {number}", "."] for number in range(1000)]
        assert {tuple(names) for _, names in answers} == {
            (
                "thread.created",
                "thread.run.created",
                "thread.run.queued",
                "thread.run.in_progress",
                "thread.run.step.created",
                "thread.run.step.in_progress",
                "thread.message.created",
                "thread.message.in_progress",
                *["thread.message.delta"] * 4,
                "thread.message.completed",
                "thread.run.step.completed",
                "thread.run.completed",
            )
        }
        await until(lambda: server.open_streams == 0)


async def test_closing_cuts_streams_off_without_an_end_mark() -> None:
    async with serving(engine=Slow()) as (server, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            protocol = RunProtocol()
            with pytest.raises((StreamError, aiohttp.ClientError)):
                async for event in next_events(response, protocol):
                    if isinstance(event, ThreadMessageDelta):
                        await server.aclose()
            assert not protocol.done_seen
        await server.aclose()


async def test_a_call_that_is_said_in_one_piece_comes_as_two_deltas() -> None:
    class Careful:
        async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
            yield CallTool("f", '{"a": 1}')

    async with serving(engine=Careful()) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            assert (await names_of(response))[-3:] == [
                "thread.run.step.delta",
                "thread.run.step.delta",
                "thread.run.requires_action",
            ]


async def test_a_paced_answer_comes_piece_by_piece() -> None:
    async with serving(delay=0.002) as (_, http):
        path, body = await http.runs()
        reads = 0
        async with http.stream(path, body) as response:
            async for _chunk in response.content.iter_any():
                reads += 1
        assert reads > 5


async def test_a_server_can_be_closed_twice_but_not_started_twice() -> None:
    server = AssistantsServer()
    async with server:
        with pytest.raises(RuntimeError, match="started"):
            await server.start()
    await server.aclose()


async def test_closing_does_not_wait_for_an_engine_that_will_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_runs, "_LEAVE_WITHIN", 0.01)
    released = asyncio.Event()

    class Stubborn:
        async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
            yield Say("one")
            while not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()

    async with serving(engine=Stubborn()) as (server, http):
        path, body = await http.runs()
        await http.post(path, body)
        async with asyncio.timeout(PATIENCE):
            await server.aclose()
        assert not released.is_set()
        released.set()
        await until(lambda: not server._runs._tasks)


# -- other operations ------------------------------------------------------------------------------------------------


def test_no_name_of_the_server_is_one_of_the_client_too() -> None:
    assert not set(aiorunstream.server.__all__) & set(aiorunstream.__all__)
    for name in aiorunstream.server.__all__:
        assert getattr(aiorunstream.server, name).__doc__, name


def test_every_operation_has_a_handler_and_no_handler_is_without_one() -> None:
    server = AssistantsServer()
    assert set(handlers(server.store, server._runs)) == {operation.name for operation in OPERATIONS}


async def test_the_other_operations_do_what_they_say() -> None:
    async with serving() as (server, http):
        assistant_id = await http.assistant()
        assert (await http.post(f"/assistants/{assistant_id}", {"name": "Polly"}))["name"] == "Polly"
        assert (await http.get(f"/assistants/{assistant_id}"))["name"] == "Polly"
        assert len((await http.get("/assistants"))["data"]) == 1
        path, body = await http.runs()
        thread = path.removesuffix("/runs")
        assert (await http.post(thread, {"metadata": {"a": "b"}}))["metadata"] == {"a": "b"}
        message = await http.post(f"{thread}/messages", {"role": "user", "content": "more"})
        message_path = f"{thread}/messages/{message['id']}"
        assert (await http.post(message_path, {"metadata": {"c": "d"}}))["metadata"] == {"c": "d"}
        assert await http.get(message_path) == {**message, "metadata": {"c": "d"}}
        run = await http.post(path, body)
        assert (await http.post(f"{path}/{run['id']}", {"metadata": {"e": "f"}}))["metadata"] == {"e": "f"}
        await stopped(http, f"{path}/{run['id']}")
        assert (await http.get(path))["first_id"] == run["id"]
        written = await http.get(f"{thread}/messages?run_id={run['id']}&limit=1")
        assert written["has_more"] is False
        steps = await http.get(f"{path}/{run['id']}/steps")
        step_path = f"{path}/{run['id']}/steps/{steps['first_id']}"
        assert (await http.get(step_path))["status"] == "completed"
        for gone in (message_path, thread, f"/assistants/{assistant_id}"):
            assert (await http.ask("DELETE", gone))[1]["deleted"] is True
            assert (await http.refused("GET", gone))[0] == 404
        assert server.requests[-1] == ("GET", f"/v1/assistants/{assistant_id}")


async def test_a_request_without_a_body_is_one_with_an_empty_object() -> None:
    async with serving() as (_, http):
        status, thread = await http.ask("POST", "/threads")
        assert (status, thread["object"], thread["metadata"]) == (200, "thread", {})
