"""The tool loop against the embedded server: what each call comes to, and the one sequence its reader sees."""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple

import pytest
from server_client import until
from test_assistant_stream import TEXT, WORDS, Ends, Place, assert_equals_what_is_kept, place

from aiorunstream import (
    AssistantStream,
    RetryPolicy,
    Run,
    StreamBusyError,
    ThreadRunCompleted,
    ThreadRunRequiresAction,
    ToolError,
    ToolSet,
    function_tool,
)
from aiorunstream.helper._tool_round import expiry
from aiorunstream.models import RequiredActionFunctionToolCall
from aiorunstream.server import (
    CallTool,
    Fault,
)

SUBMIT = "/submit_tool_outputs"


def calling(*calls: str | tuple[str, str]) -> list[CallTool]:
    """Calls of functions, with the arguments of each, numbered from 0."""
    pairs = [(call, "{}") if isinstance(call, str) else call for call in calls]
    return [CallTool(name, arguments, id=f"call_{place}") for place, (name, arguments) in enumerate(pairs)]


def outputs(at: Place) -> list[str | None]:
    """What came of the calls of the last round, as the engine sees it."""
    return [call.output for call in at.engine.turns[-1].tool_outputs]


async def status(at: Place, stream: AssistantStream) -> str | None:
    return (await at.kept(stream.run_id or ""))[0].status


# -- calls -------------------------------------------------------------------------------------------------------------


async def test_async_calls_of_a_round_overlap() -> None:
    together = asyncio.Barrier(3)

    async def meet(n: int) -> int:
        async with asyncio.timeout(2):
            await together.wait()
        return n

    script = [calling(*(("meet", f'{{"n": {n}}}') for n in range(3))), WORDS]
    async with place(script) as at, at.stream(tools=ToolSet([meet])) as stream:
        assert "".join([text async for text in stream.text_deltas()]) == TEXT
        assert outputs(at) == ["0", "1", "2"]
        assert stream.segment == 2


async def test_functions_that_block_overlap_in_threads_of_their_own() -> None:
    count = 48  # more than anyio's usual threads
    together = threading.Barrier(count)
    loop_thread = threading.get_ident()

    def meet() -> bool:
        together.wait(5)
        return threading.get_ident() != loop_thread

    async with place([calling(*["meet"] * count), WORDS]) as at:
        async with at.stream(tools=ToolSet([meet]), max_concurrent_tools=count) as stream:
            await stream.until_done()
        assert outputs(at) == ["true"] * count


async def test_no_more_calls_than_allowed_are_made_at_once() -> None:
    active: list[int] = []
    most = 0
    full, go = asyncio.Event(), asyncio.Event()

    async def work(n: int) -> None:
        nonlocal most
        active.append(n)
        most = max(most, len(active))
        if len(active) == 2:
            full.set()
        await go.wait()
        active.remove(n)

    script = [calling(*(("work", f'{{"n": {n}}}') for n in range(6))), WORDS]
    async with place(script) as at, at.stream(tools=ToolSet([work]), max_concurrent_tools=2) as stream:
        reader = asyncio.create_task(stream.until_done())
        async with asyncio.timeout(2):
            await full.wait()
        await asyncio.sleep(0.02)
        assert active == [0, 1]
        go.set()
        await reader
    assert (most, len(outputs(at))) == (2, 6)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_whatever_goes_wrong_with_a_call_the_others_and_the_run_go_on(*, is_async: bool) -> None:
    asked: list[str] = []

    def approve(call: RequiredActionFunctionToolCall) -> bool:
        asked.append(call.function.name)
        return call.function.name != "danger"

    async def approve_later(call: RequiredActionFunctionToolCall) -> bool:
        await asyncio.sleep(0)
        return approve(call)

    @function_tool(timeout=0.05)
    async def slow() -> None:
        await asyncio.sleep(30)

    blocked = threading.Event()

    @function_tool(timeout=0.05)
    def stuck() -> None:
        blocked.wait(5)

    def failing() -> None:
        raise OSError("no such file: \udcff")  # as the name of a file that is not UTF-8

    def danger() -> str:
        raise AssertionError("it was refused")

    async def stops() -> None:
        raise StopAsyncIteration

    async def cancelled() -> None:
        raise asyncio.CancelledError

    def good(n: int) -> int:
        return n + 1

    def unsayable() -> object:
        return object()

    tools = ToolSet([slow, stuck, failing, danger, stops, cancelled, good, unsayable])
    script = calling(
        "slow", "stuck", "failing", "danger", "unknown", "stops", "cancelled", "unsayable",
        ("good", '{"n": "x"}'), ("good", "{"), ("good", '{"n": 1}'),
    )  # fmt: skip
    async with place([script, WORDS]) as at:
        settings = {"tools": tools, "approve": approve_later if is_async else approve, "max_concurrent_tools": 20}
        async with at.stream(**settings) as stream:
            assert "".join([text async for text in stream.text_deltas()]) == TEXT
        blocked.set()
        said = [str(output) for output in outputs(at)]
        await assert_equals_what_is_kept(at, stream)
    wanted = [
        "slow was given up: it took longer than 0.05 s",
        "stuck was given up: it took longer than 0.05 s",
        "failing failed: OSError: no such file: \ufffd",
        "The user refused this call.",
        "there is no function 'unknown'; there is: slow, stuck, failing,",
        "stops failed: StopAsyncIteration",
        "cancelled was cancelled from within",
        "a result of type object cannot be written as JSON",
        "the arguments of good do not fit: Expected `int`, got `str`",
        "the arguments of good are not JSON",
        "2",
    ]
    assert len(said) == len(wanted)
    for found, want in zip(said, wanted, strict=True):
        assert want in found
    assert [text.startswith('{"error":') for text in said] == [want not in (wanted[3], "2") for want in wanted]
    assert sorted(asked) == sorted(call.name for call in script)


async def test_a_plain_function_around_an_async_one_is_awaited() -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return "later"

    def now() -> Awaitable[str]:
        return later()

    async with place([calling("now"), WORDS]) as at:
        async with at.stream(tools=ToolSet([now])) as stream:
            await stream.until_done()
        assert outputs(at) == ["later"]


@pytest.mark.parametrize("what", ["call", "approval", "turn"])
async def test_nothing_of_a_round_goes_on_after_the_run_expires(what: str) -> None:
    async def wait() -> None:
        await asyncio.sleep(30 if what != "approval" else 0)

    async def approve(_: object) -> bool:
        await asyncio.sleep(30 if what == "approval" else 0)
        return True

    settings: dict[str, Any] = {"tools": ToolSet([wait]), "tool_timeout": None, "approve": approve}
    script = [calling("wait", "wait"), WORDS]
    async with place(script, expires_after=2) as at:
        async with at.stream(**settings, max_concurrent_tools=1 if what == "turn" else 2) as stream:
            await stream.until_done()
        assert stream.outcome == "completed"
        assert ["the run expires" in str(output) for output in outputs(at)] == [True, True]


# -- one sequence ------------------------------------------------------------------------------------------------------


async def test_the_reader_sees_one_sequence_over_several_rounds() -> None:
    made: list[int] = []

    def count(n: int) -> int:
        made.append(n)
        return n

    script = [["Let me see. ", *calling(("count", '{"n": 1}'))], calling(("count", '{"n": 2}')), WORDS]
    script[1] = [CallTool("count", '{"n": 2}', id="call_9")]
    async with place(script) as at:
        segments: list[int] = []
        names: list[str] = []
        async with at.stream(tools=ToolSet([count])) as stream:
            async for event in stream:
                segments.append(stream.segment)
                names.append(event.event)
                assert stream.outcome == ("completed" if isinstance(event, ThreadRunCompleted) else None)
                assert stream.events_seen == len(names)
        await assert_equals_what_is_kept(at, stream)
        assert stream.text == "Let me see. " + TEXT
    assert made == [1, 2]
    assert segments == sorted(segments)
    assert set(segments) == {1, 2, 3}
    assert names.count("thread.run.requires_action") == 2
    assert names.count("thread.run.completed") == 1
    assert at.requests(SUBMIT) == 2
    assert at.requests("/runs") == 1


async def test_the_definitions_are_sent_with_the_run() -> None:
    def look(where: str) -> str:
        """Looks somewhere."""
        return where

    tools = ToolSet([look])
    async with place() as at:
        async with at.stream(tools=tools) as stream:
            run = await stream.get_final_run()
        assert run.tools == tools.definitions
        async with at.client.threads.stream(assistant_id=at.assistant_id, tools=tools) as other:
            assert (await other.get_final_run()).tools == tools.definitions


async def test_a_run_that_asks_too_often_is_cancelled() -> None:
    made = 0

    def again() -> None:
        nonlocal made
        made += 1

    for most in (0, 2):
        handler, made = Ends(), 0
        async with place([[CallTool("again", "{}")]] * 5) as at:
            async with at.stream(tools=ToolSet([again]), max_rounds=most, event_handler=handler) as stream:
                with pytest.raises(ToolError, match=f"more than {most} times") as caught:
                    await stream.until_done()
                await until(lambda at=at: at.requests("/cancel") == 1)  # type: ignore[misc]
            assert await status(at, stream) == "cancelled"
        assert (made, handler.exceptions, handler.ends) == (most, [caught.value], 1)


# -- in between -----------------------------------------------------------------------------------------------------


async def test_nobody_else_can_read_while_calls_are_made() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    made = 0

    async def look() -> None:
        nonlocal made
        made += 1
        begun.set()
        await go.wait()

    async with place([calling("look"), WORDS]) as at, at.stream(tools=ToolSet([look])) as stream:
        reader = asyncio.create_task(stream.get_final_run())
        await begun.wait()
        with pytest.raises(StreamBusyError):
            await anext(stream)
        go.set()
        assert (await reader).status == "completed"
        assert (made, at.requests(SUBMIT)) == (1, 1)


async def test_without_functions_a_run_that_asks_for_them_ends_there() -> None:
    definition = ToolSet([function_tool(lambda: None, name="look")]).definitions
    async with place([calling("look")]) as at, at.stream(tools=definition) as stream:
        events = [event async for event in stream]
        assert isinstance(events[-1], ThreadRunRequiresAction)
        assert (stream.outcome, stream.segment) == ("requires_action", 1)
        assert stream.run is not None
        assert stream.run.tools == definition


@pytest.mark.parametrize("recover", [False, True])
async def test_outputs_whose_answer_was_lost_are_not_sent_again_and_nothing_is_told_again(*, recover: bool) -> None:
    async with place([["a ", *calling("look")], WORDS], retry=RetryPolicy(attempts=1, reconcile=True)) as at:
        at.server.inject(Fault("hang_up", operation="submit_tool_outputs"))
        async with at.stream(tools=ToolSet(), recover=recover) as stream:
            assert "".join([text async for text in stream.text_deltas()]) == "a " + TEXT
        assert at.requests(SUBMIT) == 1
        await assert_equals_what_is_kept(at, stream)


async def test_a_slow_answer_does_not_move_the_time_at_which_the_run_expires() -> None:
    async def wait() -> None:
        await asyncio.sleep(30)

    async with place([calling("wait"), WORDS], expires_after=4) as at:
        at.server.inject(Fault("silence", operation="create_run", seconds=1.5))
        async with at.stream(tools=ToolSet([wait])) as stream:
            await stream.until_done()
        assert stream.outcome == "completed"
        assert "the run expires" in str(outputs(at)[0])


class Times(NamedTuple):
    """What a server says of time, and where the tools must then be done: the stream was opened at 100."""

    expires_at: int | None
    date: str | None
    done_by: float


HALF_PAST = "Thu, 01 Jan 1970 00:30:00 GMT"


@pytest.mark.parametrize(
    "times",
    [
        Times(None, HALF_PAST, math.inf),
        Times(1860, HALF_PAST, 100 + 60 - 1),
        Times(1860, None, 100 + 260 - 1),
        Times(1860, "yesterday", 100 + 260 - 1),
        Times(1700, HALF_PAST, 100 + 100 - 1),  # what was recorded is over for long
    ],
    ids=str,
)
def test_the_servers_clock_says_when_a_run_expires(times: Times) -> None:
    run = Run("run_1", created_at=1600, expires_at=times.expires_at)
    headers = {} if times.date is None else {"date": times.date}
    assert expiry(run, headers, opened_at=100.0, began_at=100.0) == times.done_by


async def test_where_the_server_shows_no_clock_ours_counts() -> None:
    run = Run("run_1", created_at=1600, expires_at=int(time.time()) + 60)
    left = expiry(run, {}, opened_at=100.0, began_at=None) - asyncio.get_running_loop().time()
    assert 50 < left < 60
