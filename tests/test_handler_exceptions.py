"""`AssistantEventHandler`: whose its exceptions are, what it may do inside, and that the end is told once."""

import asyncio
from collections.abc import Awaitable

import pytest
from heard import NAMES, Heard, over
from raw_server import CREATED, RUN_STREAM
from test_assistant_stream import SCRIPTS, TEXT, WORDS, place
from test_assistant_stream_tools import calling
from test_handler import hearing

from aiorunstream import (
    AssistantEventHandler,
    Message,
    RunEvent,
    StreamBusyError,
    StreamClosedError,
    StreamTruncatedError,
    Text,
    ToolError,
    ToolSet,
)
from aiorunstream.server import CallTool, Fault, Pause, ShowImage

# -- its exceptions ----------------------------------------------------------------------------------------------------


class Failing(Heard):
    """Fails in one method, each time."""

    def __init__(self, method: str, error: BaseException, *, later: bool) -> None:
        super().__init__()

        def fail(*arguments: object) -> Awaitable[None] | None:
            self.calls.append((method, arguments))
            if later:
                return fail_later()
            raise error

        async def fail_later() -> None:
            await asyncio.sleep(0)
            raise error

        setattr(self, method, fail)


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("method", [name for name in NAMES if name != "on_exception"])
async def test_an_exception_of_a_method_is_the_readers_and_nothing_is_lost(method: str, *, later: bool) -> None:
    script: list[object] = ["a", "b", ShowImage("file_1"), CallTool("look", "{}")]
    async with hearing(script, tools=ToolSet([])) as (_, usual, stream):
        events = [event.event async for event in stream]
    error = ValueError("mine")
    handler = Failing(method, error, later=later)
    raised: list[ValueError] = []
    seen: list[str] = []
    async with place([script, WORDS]) as at, at.stream(event_handler=handler, tools=ToolSet([])) as stream:
        while True:
            try:
                seen.append((await anext(stream)).event)
            except StopAsyncIteration:
                break
            except ValueError as caught:
                raised.append(caught)
    assert raised == [error] * [name for name, _ in usual.calls].count(method) != []
    assert seen == events
    assert handler.names == usual.names


async def test_an_exception_on_hearing_of_an_exception_comes_first_and_the_other_after_it() -> None:
    handler = Failing("on_exception", ValueError("mine"), later=True)
    async with over(CREATED, handler=handler) as stream:
        await anext(stream)
        with pytest.raises(ValueError, match="mine") as caught:
            await anext(stream)
        assert isinstance(caught.value.__context__, StreamTruncatedError)
        with pytest.raises(StreamTruncatedError):
            await anext(stream)
    assert handler.names == ["exception", "end"]


async def test_an_exception_that_would_end_the_loop_does_not() -> None:
    for later in (False, True):
        handler = Failing("on_text_delta", StopAsyncIteration(), later=later)
        async with over(*RUN_STREAM, handler=handler) as stream:
            with pytest.raises(RuntimeError, match="StopAsyncIteration"):
                await stream.until_done()


async def test_a_callback_that_was_cancelled_was_made_and_the_rest_follows() -> None:
    class Slow(Heard):
        async def on_text_created(self, text: Text) -> None:
            self.calls.append(("on_text_created", (text,)))
            await asyncio.sleep(30 if len(self.of("on_text_created")) == 1 else 0)

    handler = Slow()
    async with over(*RUN_STREAM, handler=handler) as stream:
        assert (await anext(stream)).event == "thread.run.created"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(stream)
        assert (await anext(stream)).event == "thread.message.delta"
        assert handler.names == ["text_created", "text_delta", "message_delta"]
        await stream.until_done()


async def test_nothing_is_told_after_the_end() -> None:
    handler = Failing("on_text_created", ValueError("mine"), later=False)
    stream = over(*RUN_STREAM, handler=handler)
    with pytest.raises(ValueError, match="mine"):
        async with stream:
            await stream.until_done()
    with pytest.raises(StreamClosedError):
        await stream.until_done()
    assert handler.names == ["text_created", "end"]


# -- inside a callback, and the end ------------------------------------------------------------------------------------


async def test_a_callback_cannot_read_and_can_close() -> None:
    class Curious(Heard):
        async def on_message_delta(self, delta: object, snapshot: Message) -> None:
            with pytest.raises(StreamBusyError):
                await anext(stream)
            await stream.aclose()

    handler = Curious()
    async with over(*RUN_STREAM, handler=handler) as stream:
        await anext(stream)
        assert (await anext(stream)).event == "thread.message.delta"
        with pytest.raises(StreamClosedError):
            await anext(stream)
    assert handler.names == ["text_created", "text_delta", "end"]


async def test_nobody_else_can_read_while_a_callback_is_being_made() -> None:
    go = asyncio.Event()

    class Waiting(AssistantEventHandler):
        async def on_event(self, event: RunEvent) -> None:
            await go.wait()

    async with over(*RUN_STREAM, handler=Waiting()) as stream:
        reader = asyncio.create_task(stream.get_final_messages())
        await asyncio.sleep(0.01)
        with pytest.raises(StreamBusyError):
            await anext(stream)
        go.set()
        assert [message.text for message in await reader] == ["a lighthouse keeper"]


@pytest.mark.parametrize(
    "end", ["whole", "left", "closed before the first", "broken", "error event", "failed run", "tool", "body", "cancel"]
)
async def test_the_end_is_told_once_and_last_whatever_it_is(end: str) -> None:
    handler = Heard()
    scripts: dict[str, list[object]] = {
        "failed run": SCRIPTS["fails"],
        "tool": [*calling("look")],
        "cancel": ["a", Pause(30)],
    }
    async with place([scripts.get(end, [*WORDS])], delay=0.005) as at:
        if end in ("broken", "error event"):
            at.server.inject(Fault("cut" if end == "broken" else "error_event", at_byte=6000))
        error: BaseException | None = None
        stream = at.stream(event_handler=handler, tools=ToolSet([]), on_tool_error="raise")
        try:
            async with stream:
                if end == "cancel":
                    async with asyncio.timeout(0.01):
                        await stream.until_done()
                elif end != "closed before the first":
                    async for _ in stream.text_deltas():
                        if end == "left":
                            break
                        if end == "body":
                            raise ZeroDivisionError
        except Exception as caught:
            error = caught
        await stream.aclose()
    assert handler.names.count("end") == 1
    assert handler.names[-1] == "end"
    told = handler.of("on_exception")
    assert told == ([error] if end in ("broken", "error event", "tool") else [])
    kinds = {"tool": ToolError, "body": ZeroDivisionError, "cancel": TimeoutError}
    assert isinstance(error, kinds.get(end, Exception if told else type(None)))
    if end == "whole":
        assert "".join(delta.value for delta in handler.of("on_text_delta")) == TEXT
