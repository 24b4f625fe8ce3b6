"""The tool loop left while it goes on: by whoever closes the stream, the task that reads it, or the client."""

import asyncio
import threading
from typing import Any

import pytest
from server_client import until
from test_assistant_stream import WORDS, Ends, place
from test_assistant_stream_tools import SUBMIT, calling, status
from test_cancel_everywhere import nothing_left

from aiorunstream import StreamClosedError, StreamError, Timeouts, ToolSet, function_tool
from aiorunstream.server import CallTool, Fault, Pause


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("where", ["call", "approval", "submission"])
async def test_closing_from_elsewhere_ends_the_loop_where_it_is(where: str, *, cancel_on_exit: bool) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(*, here: bool) -> bool:
        if here:
            begun.set()
            try:
                await asyncio.sleep(30)
            finally:
                cancelled.set()
        return True

    async def approve(_: object) -> bool:
        return await wait(here=where == "approval")

    async def look() -> None:
        await wait(here=where == "call")

    handler = Ends()
    settings: dict[str, Any] = {"cancel_on_exit": cancel_on_exit, "timeouts": Timeouts(first_event=30)}
    async with nothing_left(), place([calling("look"), ["a", Pause(30)]], **settings) as at:
        at.server.inject(Fault("silence", operation="submit_tool_outputs"))
        async with at.stream(tools=ToolSet([look]), approve=approve, event_handler=handler) as stream:
            reader = asyncio.create_task(stream.until_done())
            if where == "submission":
                await until(lambda: at.requests(SUBMIT) == 1)
                await asyncio.sleep(0.01)
            else:
                await begun.wait()
            async with asyncio.timeout(5):
                await stream.aclose()
                with pytest.raises(StreamClosedError) as caught:
                    await reader
            assert caught.value.run_id == stream.run_id
            assert cancelled.is_set() or where == "submission"
            with pytest.raises(StreamClosedError):
                await anext(stream)
        assert (handler.ends, handler.exceptions) == (1, [])
        assert at.requests(SUBMIT) == (where == "submission")
        if cancel_on_exit:
            await until(lambda: at.requests("/cancel") > 0)
            assert await status(at, stream) == "cancelled"
        else:
            assert await status(at, stream) != "cancelled"
            assert at.requests("/cancel") == 0


async def test_leaving_while_the_run_waits_calls_nothing_afterwards() -> None:
    made = 0

    def look() -> None:
        nonlocal made
        made += 1

    for cancel_on_exit in (False, True):
        async with place([calling("look"), WORDS], cancel_on_exit=cancel_on_exit) as at:
            async with at.stream(tools=ToolSet([look])) as stream:
                async for event in stream:
                    if event.event == "thread.run.requires_action":
                        break
                assert stream.outcome is None
            with pytest.raises(StreamClosedError):
                await anext(stream)
            assert made == 0
            assert await status(at, stream) == ("cancelled" if cancel_on_exit else "requires_action")


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
async def test_a_stream_that_was_opened_while_nobody_waited_is_closed_too(*, cancel_on_exit: bool) -> None:
    script = [calling("look"), ["a", Pause(30)]]
    async with nothing_left(), place(script, cancel_on_exit=cancel_on_exit) as at:
        async with at.stream(tools=ToolSet()) as stream:
            at.server.inject(Fault("silence", operation="submit_tool_outputs", seconds=0.05))
            reader = asyncio.create_task(stream.until_done())
            await until(lambda: at.requests(SUBMIT) == 1)
            reader.cancel()
            await asyncio.wait({reader})
            await asyncio.sleep(0.2)
            assert at.server.open_streams == 1
            assert stream.segment == 1
        await until(lambda: at.server.open_streams == 0)
        assert await status(at, stream) == ("cancelled" if cancel_on_exit else "in_progress")


async def test_a_thread_that_cannot_be_stopped_does_not_hold_the_reader_up() -> None:
    go, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @function_tool
    def stuck() -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(5)

    try:
        async with place([[CallTool("stuck", "{}")], WORDS]) as at, at.stream(tools=ToolSet([stuck])) as stream:
            reader = asyncio.create_task(stream.until_done())
            await begun.wait()
            reader.cancel()
            async with asyncio.timeout(1):
                await asyncio.wait({reader})
            assert reader.cancelled()
    finally:
        go.set()


async def test_a_client_that_is_closed_while_tools_are_called_cancels_the_run_nobody_will_answer() -> None:
    asked = asyncio.Event()

    @function_tool
    async def think() -> str:
        asked.set()
        await asyncio.sleep(30)
        return "done"

    async with place([[CallTool("think", "{}")], WORDS], cancel_on_exit=True) as at:
        runs = at.client.threads.runs
        async with runs.stream(at.thread_id, assistant_id=at.assistant_id, tools=ToolSet([think])) as stream:
            reader = asyncio.create_task(stream.until_done())
            await asked.wait()
            await at.client.aclose()
            await until(lambda: at.server.store.record(at.thread_id).runs.all()[0].is_terminal)
            reader.cancel()
            await asyncio.wait({reader})
        assert at.server.store.record(at.thread_id).runs.all()[0].status == "cancelled"
        assert sum(path.endswith("/cancel") for _, path in at.server.requests) == 1


async def test_a_stream_that_is_closed_before_it_was_entered_sends_nothing_and_stays_closed() -> None:
    async with place(["a"]) as at:
        before = len(at.server.requests)
        stream = at.stream()
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            async with stream:
                pass
        assert len(at.server.requests) == before


async def test_a_run_is_not_cancelled_before_its_stream_was_entered() -> None:
    async with place(["a"]) as at:
        stream = at.stream()
        with pytest.raises(StreamError, match="not entered yet"):
            await stream.cancel_run()
        async with stream:
            await stream.until_done()
