"""The engine that plays a script: turn by turn without a server, and all 24 events over a socket with one."""

import asyncio
from typing import Any

import pytest
from machine_bench import Bench
from server_client import JSON, Http, events_of, next_events, serving, stopped

from aiorunstream.engine import DefaultEngine, Turn
from aiorunstream.events import REGISTRY, ErrorEvent, ThreadMessageDelta
from aiorunstream.items import (
    BreakOff,
    CallTool,
    Cancel,
    EndStep,
    Expire,
    Fail,
    Item,
    Pause,
    RunCode,
    Say,
    SendError,
)
from aiorunstream.models import Usage
from aiorunstream.protocol import RunProtocol
from aiorunstream.scripted import ScriptedEngine
from aiorunstream.sse import SSEDecoder


def said(engine: ScriptedEngine, turn: Turn) -> list[Item]:
    reply = engine.reply(turn)
    assert isinstance(reply, tuple)
    return list(reply)


TURN = Bench("Hello").machine.turn()


def test_replies_are_played_one_a_turn() -> None:
    engine = ScriptedEngine(["one", ["two", Usage(1, 2, 3)], Say("three"), []])
    assert engine.left == 4
    assert [said(engine, TURN) for _ in range(4)] == [["one"], ["two", Usage(1, 2, 3)], [Say("three")], []]
    assert engine.left == 0
    assert list(engine.turns) == [TURN] * 4


def test_a_run_beyond_the_script_fails_and_says_so() -> None:
    engine = ScriptedEngine(["one"])
    said(engine, TURN)
    assert said(engine, TURN) == [Fail("The script is over: it has 1 replies, and this turn wants one more.")]


def test_something_else_may_answer_when_the_script_is_over() -> None:
    engine = ScriptedEngine(["one"], then=DefaultEngine())
    said(engine, TURN)
    assert len(list(engine.reply(TURN))) > 5  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_script_may_begin_again() -> None:
    engine = ScriptedEngine(["one", "two"], repeat=True)
    assert [said(engine, TURN) for _ in range(5)] == [["one"], ["two"], ["one"], ["two"], ["one"]]


@pytest.mark.parametrize(
    ("replies", "settings", "message"),
    [
        ("Hello", {}, "not text"),
        ([["one", 2]], {}, "reply 0 has a int"),
        ([7], {}, "reply 0 has a int"),
        ([], {"repeat": True}, "repeated"),
        (["one"], {"repeat": True, "then": DefaultEngine()}, "repeated"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused_at_once(replies: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScriptedEngine(replies, **settings)


# -- over a socket ---------------------------------------------------------------------------------------------------


async def names(http: Http, path: str, body: JSON) -> list[str]:
    """The wire's own names of a stream's events, without the end mark."""
    async with http.stream(path, body) as response:
        messages = SSEDecoder().feed(await response.read())
    return [message.event for message in messages if message.event != "done"]


SCRIPT: list[list[Item]] = [
    [RunCode("1"), "Let me see.", CallTool("get_weather", "{}", id="call_1")],
    ["It rains."],
    ["half", BreakOff()],
    ["half", Fail("It broke.")],
    ["half", Cancel()],
    ["half", Expire()],
    ["half", SendError("Overloaded.")],
]


async def test_a_script_reaches_all_24_events() -> None:
    seen: set[str] = set()
    async with serving(engine=ScriptedEngine(SCRIPT)) as (_, http):
        new: JSON = {"assistant_id": await http.assistant()}
        async with http.stream("/threads/runs", new) as response:
            events = await events_of(response)
        seen |= {event.event for event in events}
        assert events[-1].event == "thread.run.requires_action"
        run: Any = events[-1].data
        path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"
        seen |= set(await names(http, path, {"tool_outputs": [{"tool_call_id": "call_1", "output": "rain"}]}))
        for end in ("run.incomplete", "run.failed", "run.cancelled", "run.expired"):
            found = await names(http, "/threads/runs", new)
            assert found[-1] == f"thread.{end}"
            assert "thread.message.incomplete" in found
            seen |= set(found)
        found = await names(http, "/threads/runs", new)
        assert found[-1] == "error"
        seen |= set(found)
    assert seen == set(REGISTRY)
    assert len(seen) == 24


async def test_an_error_event_ends_the_stream_without_an_end_mark_and_not_the_run() -> None:
    script: list[Item] = ["half", SendError("Overloaded.", code="busy"), Pause(0.01), " and whole"]
    async with serving(engine=ScriptedEngine([script])) as (server, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            wire = await response.read()
        messages = SSEDecoder().feed(wire)
        assert messages[-1].event == "error"
        assert b"[DONE]" not in wire
        protocol = RunProtocol(on_error_event="yield")
        protocol.receive_data(wire)
        *_, last = iter(protocol.next_event, None)
        assert isinstance(last, ErrorEvent)
        assert (last.data.message, last.data.code) == ("Overloaded.", "busy")
        assert (await stopped(http, f"{path}/{protocol.run_id}"))["status"] == "completed"
        written = await http.get(f"{path.removesuffix('/runs')}/messages?limit=1")
        assert written["data"][0]["content"][0]["text"]["value"] == "half and whole"
        assert server.open_streams == 0


async def test_an_error_event_of_a_run_that_nobody_reads_is_no_matter() -> None:
    async with serving(engine=ScriptedEngine([[SendError("Overloaded."), "whole"]])) as (_, http):
        path, body = await http.runs()
        run = await http.post(path, body)
        assert (await stopped(http, f"{path}/{run['id']}"))["status"] == "completed"


async def test_a_reader_may_come_back_after_an_error_event() -> None:
    async with serving(engine=ScriptedEngine([[CallTool("f", id="a"), SendError("Overloaded.")], ["whole"]])) as (
        _,
        http,
    ):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            run_id = (await response.content.readuntil(b"\n\n")).partition(b'"id":"')[2].partition(b'"')[0].decode()
            await response.read()
        assert (await stopped(http, f"{path}/{run_id}"))["status"] == "requires_action"
        outputs = {"tool_outputs": [{"tool_call_id": "a", "output": "x"}]}
        found = await names(http, f"{path}/{run_id}/submit_tool_outputs", outputs)
        assert found[-1] == "thread.run.completed"


async def test_a_run_can_be_cancelled_in_a_pause() -> None:
    async with serving(engine=ScriptedEngine([["one", Pause(3600), "two"]])) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            protocol, found = RunProtocol(), list[str]()
            async for event in next_events(response, protocol):
                found.append(event.event)
                if isinstance(event, ThreadMessageDelta):
                    await http.post(f"{path}/{protocol.run_id}/cancel")
        assert found[-1] == "thread.run.cancelled"
        assert found.count("thread.message.delta") == 1


async def test_a_pause_is_as_long_as_it_says() -> None:
    async with serving(engine=ScriptedEngine([["one", Pause(0.05), "two"]])) as (_, http):
        path, body = await http.runs()
        began = asyncio.get_running_loop().time()
        assert (await names(http, path, body))[-1] == "thread.run.completed"
        assert asyncio.get_running_loop().time() - began >= 0.05


async def test_replies_may_be_of_several_messages() -> None:
    async with serving(engine=ScriptedEngine([["one", EndStep(), "two"]])) as (_, http):
        path, body = await http.runs()
        found = await names(http, path, body)
        assert found.count("thread.message.completed") == found.count("thread.run.step.completed") == 2
