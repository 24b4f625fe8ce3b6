"""A fan-out that is left from within: by a handler, a tool or `approve` of one of its own runs."""

import asyncio
from typing import Literal

import pytest
from fan import all_of, begin, request, requests, runs, silent
from raw_server import LAST_CHUNK, Peer, chunk, event
from scenarios import SLOW, scene

from aiorunstream import AssistantEventHandler, StreamClosedError, Text, TextDelta, ToolSet
from aiorunstream.fanout import gather_runs, stream_many

Who = Literal["tool", "approve"]
CALL = {"id": "call_1", "type": "function", "function": {"name": "leave", "arguments": "{}"}}
NEEDS = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}}


async def asks(peer: Peer, thread: str) -> None:
    """A run that wants its function called."""
    run = {"id": thread.replace("thread", "run"), "thread_id": thread, "status": "requires_action"}
    asking = event("thread.run.requires_action", {**run, "required_action": NEEDS})
    await peer.send(begin(thread) + chunk(asking) + LAST_CHUNK)


async def first_asks(peer: Peer, thread: str) -> None:
    """The first run wants its function called; the others go on."""
    await (asks if thread == "thread_0" else silent)(peer, thread)


async def test_a_handler_may_leave_the_fan_out_it_is_called_from() -> None:
    class Leaving(AssistantEventHandler):
        async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
            await many.aclose()

    async with scene(runs(), connection="any", posts=None, timeouts=SLOW) as at:
        many = stream_many(at.client.threads.runs, requests(3, event_handler=Leaving()))
        with pytest.raises(StreamClosedError):
            await all_of(many)


@pytest.mark.parametrize("who", ["tool", "approve"])
async def test_a_tool_or_approve_may_leave_the_fan_out_it_is_called_from(who: Who) -> None:
    left: list[int] = []

    async def leave() -> str:
        try:
            await many.aclose()
        finally:  # its own run is cut too, so this call is cancelled
            left.append(many.running)
        return "left"

    async def approve(_: object) -> bool:
        if who == "approve":
            await leave()
        return who == "tool"

    async with scene(runs(first_asks), connection="any", posts=None, timeouts=SLOW) as at:
        given = requests(3, tools=ToolSet([leave]), approve=approve)
        many = stream_many(at.client.threads.runs, given)
        async with asyncio.timeout(10):
            with pytest.raises(StreamClosedError):
                await all_of(many)
        assert left == [0]
        for peer in at.server.peers[1:]:
            assert await peer.closed_within(0.5)


async def test_a_run_of_a_fan_out_within_a_tool_may_leave_the_outer_one() -> None:
    async def leave() -> str:
        await outer.aclose()
        return "left"

    async def outside() -> str:
        await gather_runs(at.client.threads.runs, [request(0, tools=ToolSet([leave]))])
        return "done"

    async def act(peer: Peer, thread: str) -> None:
        if thread == "thread_1":
            renamed = {**CALL, "function": {"name": "outside", "arguments": "{}"}}
            needs = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [renamed]}}
            run = {"id": "run_1", "thread_id": thread, "status": "requires_action", "required_action": needs}
            await peer.send(begin(thread) + chunk(event("thread.run.requires_action", run)) + LAST_CHUNK)
        else:
            await asks(peer, thread)

    async with scene(runs(act), connection="any", posts=None, timeouts=SLOW) as at:
        outer = stream_many(at.client.threads.runs, [request(1, tools=ToolSet([outside]))])
        async with asyncio.timeout(10):
            with pytest.raises(StreamClosedError):
                await all_of(outer)
