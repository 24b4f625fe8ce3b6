"""The helper where a callback, a tool or `approve` ends in a way that nobody would expect of it."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from unittest.mock import AsyncMock, Mock

import pytest
from heard import call_over
from raw_server import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    answering,
    client_of,
    event,
    run_json,
    start,
    stream_answer,
)
from test_assistant_stream import TEXT, WORDS, Ends, place
from test_assistant_stream_tool_errors import rounds_that_raise
from test_assistant_stream_tools import calling, outputs, status
from test_stream import Bytes

from aiorunstream import (
    AssistantEventHandler,
    AssistantStream,
    Message,
    StreamClosedError,
    StreamError,
    StreamTruncatedError,
    Text,
    TextDelta,
    ToolSet,
    function_tool,
)

Tool = Callable[[], object]
Approve = Callable[[object], Awaitable[bool]]

# -- a tool ------------------------------------------------------------------------------------------------------------


async def cancels_itself() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "done"


async def cancels_itself_and_waits() -> str:
    await cancels_itself()
    await asyncio.sleep(0)
    return "done"


class MuteError(Exception):
    """Cannot even be told."""

    def __str__(self) -> str:
        raise ValueError("no words")


def mute() -> None:
    raise MuteError


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (cancels_itself, '{"error":"odd was cancelled from within"}'),
        (cancels_itself_and_waits, '{"error":"odd was cancelled from within"}'),
        (mute, '{"error":"odd failed: MuteError"}'),
    ],
)
async def test_a_tool_that_ends_oddly_is_told_to_the_model_and_the_others_go_on(tool: Tool, told: str) -> None:
    async def good() -> str:
        await asyncio.sleep(0.05)
        return "good"

    async with place([calling("odd", "good"), WORDS]) as at:
        async with at.stream(tools=ToolSet([function_tool(tool, name="odd"), good])) as stream:
            await stream.until_done()
        assert outputs(at) == [told, "good"]
        assert stream.text == TEXT


# -- approve -----------------------------------------------------------------------------------------------------------


async def stops(_: object) -> bool:
    raise StopAsyncIteration


async def waits_for_what_was_cancelled(_: object) -> bool:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return bool(await future)


async def cancels_its_task(_: object) -> bool:
    await cancels_itself()
    return True


ODD = [
    (stops, "approve raised StopAsyncIteration"),
    (waits_for_what_was_cancelled, "approve was cancelled from within"),
]


@pytest.mark.parametrize(("approve", "told"), [*ODD, (cancels_its_task, "approve was cancelled from within")])
async def test_an_approve_that_ends_oddly_is_an_error_and_the_run_is_cancelled(approve: Approve, told: str) -> None:
    async def odd_about_one(call: object) -> bool:
        return await approve(call) if "bad" in str(call) else True

    async with place([calling("other", "bad")]) as at:
        stream, error, handler = await rounds_that_raise(at, lambda: None, RuntimeError, approve=odd_about_one)
        assert str(error) == told
        assert await status(at, stream) == "cancelled"
        assert (handler.exceptions, handler.ends) == ([error], 1)


CALLS = [{"id": f"call_{n}", "type": "mcp", "server_label": "s", "name": "n", "arguments": "{}"} for n in (1, 2)]
ASKING = {"type": "submit_tool_approval", "submit_tool_approval": {"tool_calls": CALLS}}
ASKS = event("thread.run.requires_action", {**run_json("requires_action"), "required_action": ASKING})


async def asks_for_leave(peer: Peer) -> None:
    while (seen := await peer.request()) is not None:
        cancels = seen.line.split(" ")[1].endswith("/cancel")
        await peer.send(answer(200, run_json("cancelling")) if cancels else stream_answer(ASKS, DONE))


@pytest.mark.parametrize(("approve", "told"), ODD)
async def test_an_approve_of_a_call_at_the_server_that_ends_oddly_is_an_error(approve: Approve, told: str) -> None:
    async with RawServer(asks_for_leave) as server, client_of(server) as client:
        async with AssistantStream(start(client), approve=approve) as stream:
            for _ in range(2):
                with pytest.raises(RuntimeError, match=told):
                    await stream.until_done()
        assert [seen.line.split(" ")[1].rpartition("/")[2] for seen in server.requests] == ["runs", "cancel"]


async def test_a_cancel_while_approve_is_asked_about_a_call_at_the_server_is_the_readers() -> None:
    asked = asyncio.Event()

    async def approve(_: object) -> bool:
        asked.set()
        await asyncio.sleep(30)
        return True

    async with (
        RawServer(asks_for_leave) as server,
        client_of(server) as client,
        AssistantStream(start(client), approve=approve) as stream,
    ):
        reading = asyncio.create_task(stream.until_done())
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_closing_while_approve_is_asked_about_a_call_at_the_server_ends_it_and_answers_nothing() -> None:
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def approve(_: object) -> bool:
        asked.set()
        try:
            await asyncio.sleep(30)
        finally:
            given_up.set()
        return True

    async with RawServer(asks_for_leave) as server, client_of(server) as client:
        async with AssistantStream(start(client), approve=approve) as stream:
            reading = asyncio.create_task(stream.until_done())
            await asked.wait()
            await stream.aclose()
            with pytest.raises(StreamClosedError):
                await reading
            assert given_up.is_set()
        assert len(server.requests) == 1


def waits_for(*calls: dict[str, object]) -> bytes:
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    return event("thread.run.requires_action", {**run_json("requires_action"), "required_action": action})


LOOK: dict[str, object] = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


async def test_a_stream_that_has_nobody_to_send_its_outputs_to_says_so() -> None:
    async with AssistantStream(call_over(Bytes(waits_for(LOOK))), tools=ToolSet()) as stream:
        with pytest.raises(StreamError, match="outputs cannot be submitted"):
            await stream.until_done()


async def test_a_stream_that_goes_on_without_one_event_is_told_as_any_that_broke() -> None:
    handler = Ends()
    script = answering(stream_answer(waits_for(LOOK)), STREAM_HEAD + LAST_CHUNK)
    async with RawServer(script) as server, client_of(server) as client:
        async with AssistantStream(start(client), tools=ToolSet(), event_handler=handler) as stream:
            with pytest.raises(StreamTruncatedError) as caught:
                await stream.until_done()
        assert server.posts == 2
    assert (handler.exceptions, handler.ends) == ([caught.value], 1)


async def test_a_call_of_a_kind_that_nobody_knows_is_answered_with_that() -> None:
    drawing: dict[str, object] = {"id": "call_2", "type": "draw", "draw": {"what": "a lamp"}}
    async with RawServer(answering(stream_answer(waits_for(LOOK, drawing)), stream_answer())) as server:
        async with client_of(server) as client, AssistantStream(start(client), tools=ToolSet()) as stream:
            await stream.until_done()
        sent = json.loads(server.requests[1].body)["tool_outputs"]
    assert [output["tool_call_id"] for output in sent] == ["call_1", "call_2"]
    assert json.loads(sent[1]["output"]) == {"error": "a call of type 'draw' cannot be made here"}


# -- callbacks ---------------------------------------------------------------------------------------------------------


async def test_a_plain_callback_may_return_anything() -> None:
    written = io.StringIO()

    class Writer(AssistantEventHandler):
        def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
            return written.write(delta.value or "")  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    async with place() as at, at.stream(event_handler=Writer()) as stream:
        await stream.until_done()
    assert written.getvalue() == TEXT


@pytest.mark.parametrize("kind", [Mock, AsyncMock])
async def test_a_mock_can_be_the_handler(kind: type[Mock]) -> None:
    handler = kind(spec=AssistantEventHandler)
    async with place() as at, at.stream(event_handler=handler) as stream:
        await stream.until_done()
    assert [call.args[0].value for call in handler.on_text_delta.call_args_list] == WORDS
    assert handler.on_end.call_count == 1


@pytest.mark.parametrize("name", ["on_event", "on_message_created", "on_text_created", "on_text_delta"])
async def test_nothing_is_told_after_the_end(name: str) -> None:
    told: list[str] = []

    class Closing(Ends):
        def __getattribute__(self, wanted: str) -> object:
            found: object = super().__getattribute__(wanted)
            if not wanted.startswith("on_"):
                return found

            async def tell(*_: object) -> None:
                told.append(wanted)
                if wanted == name:
                    await stream.aclose()

            return tell

        def on_message_created(self, message: Message) -> None: ...

        def on_text_created(self, text: Text) -> None: ...

        def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None: ...

        def on_event(self, event: object) -> None: ...

    async with place() as at:
        stream = at.stream(event_handler=Closing())
        async with stream:
            with pytest.raises(StreamClosedError):
                await stream.until_done()
    assert told[-2:] == [name, "on_end"]
    assert told.count("on_end") == 1
