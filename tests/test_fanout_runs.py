"""The runs of a fan-out: begun when the server wants them, with their tools, handlers and recovery; and gathered."""

import asyncio
from typing import Literal

import pytest
from fan import (
    RETRIES,
    ForeignError,
    begin,
    of_kind,
    request,
    requests,
    rest,
    runs,
    silent,
    thread_of,
    together,
)
from raw_server import LAST_CHUNK, STREAM_HEAD, Peer, answer, chunk, delta_event, event
from scenarios import SLOW, scene

from aiorunstream import (
    AssistantEventHandler,
    AsyncClient,
    InvalidArgumentError,
    RateLimitError,
    RequestOptions,
    RetryPolicy,
    StreamProtocolError,
    Text,
    TextDelta,
    Timeouts,
    function_tool,
)
from aiorunstream.fanout import RunFailure, RunRequest, RunResult, gather_runs, stream_many
from aiorunstream.server import AssistantsServer, CallTool, Fault, ScriptedEngine
from aiorunstream.tools import ToolSet

# -- a server that wants less ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_that_the_server_asks_of_one_is_everybody_s(status: int) -> None:
    loop = asyncio.get_running_loop()
    came: list[float] = []
    refused_at = 0.0

    async def act(peer: Peer, thread: str) -> None:
        nonlocal refused_at
        came.append(loop.time())
        if len(came) == 3:
            refused_at = loop.time()
            await peer.send(answer(status, {"error": {"message": "slowly"}}, {"Retry-After-Ms": "400"}))
        else:
            await peer.send(begin(thread) + rest(thread))

    async with scene(runs(act), connection="any", posts=42, timeouts=SLOW) as at:
        results = await gather_runs(at.client.threads.runs, requests(20), max_concurrency=1)
        assert [type(result) for result in results] == [RunResult] * 20
        after = [moment - refused_at for moment in came if moment > refused_at]
        assert len(after) == 18
        assert min(after) >= 0.39

        came.clear()  # and where five are under way at the same time
        results = await gather_runs(at.client.threads.runs, requests(20), max_concurrency=5)
        assert [type(result) for result in results] == [RunResult] * 20
        under_way = [moment for moment in came if 0 < moment - refused_at < 0.39]
        assert len(under_way) <= 4  # they had been sent


async def test_attempts_are_as_the_request_has_them() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(answer(429, {"error": {"message": "slowly"}}, {"Retry-After": "0"}))

    async with scene(runs(act), connection="any", posts=8, timeouts=SLOW, retry=RETRIES) as at:
        given = [request(number, options=RequestOptions(retry=RetryPolicy(attempts=number))) for number in (1, 4)]
        results = await gather_runs(at.client.threads.runs, [*given, request(5)])
        assert [type(of_kind(RunFailure, result).error) for result in results] == [RateLimitError] * 3
        tries = [thread_of(seen) for seen in at.server.requests]
        assert {thread: tries.count(thread) for thread in tries} == {"thread_1": 1, "thread_4": 4, "thread_5": 3}


async def test_a_wait_that_is_too_long_is_raised_at_once() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(answer(429, {"error": {"message": "tomorrow"}}, {"Retry-After": "86400"}))

    async with scene(runs(act), connection="any", timeouts=SLOW) as at:
        (failure,) = await gather_runs(at.client.threads.runs, requests(1))
        assert of_kind(RateLimitError, of_kind(RunFailure, failure).error).retry_after == 86400


# -- tools, handlers, recovery -----------------------------------------------------------------------------------------


async def test_tools_are_called_and_each_run_has_its_own_options() -> None:
    asked: list[str] = []

    @function_tool
    def look_up(what: str) -> str:
        asked.append(what)
        return what.upper()

    engine = ScriptedEngine([[CallTool("look_up", '{"what": "lamp"}')], ["It is lit."]] * 3)
    async with AssistantsServer(engine=engine) as server, AsyncClient(base_url=server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        given: list[RunRequest] = []
        for key in ("called", "refused", "left"):
            thread = await client.threads.create(messages=[{"role": "user", "content": "Please."}])
            tools = ToolSet([look_up])
            given.append(
                RunRequest(
                    key,
                    thread.id,
                    assistant_id=assistant.id,
                    tools=tools.definitions if key == "left" else tools,
                    approve=(lambda _: False) if key == "refused" else None,
                )
            )
        found = {end.key: end for end in await gather_runs(client.threads.runs, given, max_concurrency=1)}
        assert [of_kind(RunResult, end).status for end in found.values()] == [
            "completed",
            "completed",
            "requires_action",
        ]
        assert of_kind(RunResult, found["called"]).text == "It is lit."
        assert asked == ["lamp"]


async def test_tool_outputs_are_sent_again_as_the_client_has_it() -> None:
    refused: list[str] = []
    call = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    needs = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}

    async def act(peer: Peer, thread: str) -> None:
        if not at.server.requests[-1].line.split(" ")[1].endswith("/submit_tool_outputs"):
            run = {"id": "run_1", "thread_id": thread, "status": "requires_action", "required_action": needs}
            await peer.send(begin(thread) + chunk(event("thread.run.requires_action", run)) + LAST_CHUNK)
        elif not refused:
            refused.append(thread)
            await peer.send(answer(429, {"error": {"message": "slowly"}}, {"Retry-After": "0"}))
        else:
            await peer.send(STREAM_HEAD + rest(thread))

    def clock() -> str:
        return "noon"

    async with scene(runs(act), connection="any", posts=3, timeouts=SLOW) as at:
        (result,) = await gather_runs(at.client.threads.runs, [request(1, tools=ToolSet([clock]))])
        assert of_kind(RunResult, result).status == "completed"
        assert refused == ["thread_1"]


@pytest.mark.parametrize("on_error", ["collect", "raise"])
async def test_an_exception_of_a_handler_or_approve_comes_as_it_is(on_error: Literal["collect", "raise"]) -> None:
    problem = ForeignError("in the handler")

    class Handler(AssistantEventHandler):
        def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
            raise problem

    async with scene(runs(), connection="any", posts=None, timeouts=SLOW) as at:
        given = [request(1, event_handler=Handler()), request(2)]
        if on_error == "raise":
            with pytest.raises(ForeignError) as caught:
                await gather_runs(at.client.threads.runs, given, on_error="raise")
            assert caught.value is problem
            return
        failure, result = await gather_runs(at.client.threads.runs, given)
        assert of_kind(RunFailure, failure).error is problem
        assert (failure.key, of_kind(RunFailure, failure).run_id) == ("1", "run_1")
        assert type(result) is RunResult


async def test_what_is_meant_for_the_whole_program_ends_the_fan_out() -> None:
    class StopAllError(BaseException):
        """No `Exception`, as `KeyboardInterrupt` is none."""

    class Handler(AssistantEventHandler):
        def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
            raise StopAllError

    async with scene(runs(), connection="any", posts=None, timeouts=SLOW) as at:
        with pytest.raises(StopAllError):
            await gather_runs(at.client.threads.runs, [request(1, event_handler=Handler()), request(2)])


async def test_a_run_that_is_over_without_having_been_shown_is_a_failure() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(STREAM_HEAD + chunk(event("thread.run.completed", ["no run"])) + LAST_CHUNK)

    async with scene(runs(act), connection="any", posts=1, timeouts=SLOW) as at:
        (failure,) = await gather_runs(at.client.threads.runs, [request(1)])
        assert type(of_kind(RunFailure, failure).error) is StreamProtocolError


async def test_a_handler_that_stands_still_holds_up_its_own_run_and_no_other() -> None:
    flood = chunk(b"".join(map(delta_event, ["word " * 1000] * 40)))
    standing, go_on = asyncio.Event(), asyncio.Event()
    sent = 0

    async def act(peer: Peer, thread: str) -> None:
        nonlocal sent
        await peer.send(begin(thread))
        if thread == "thread_0":
            for _ in range(100):
                await peer.send(flood)
                sent += 1
        await peer.send(rest(thread))

    class Standing(AssistantEventHandler):
        async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
            standing.set()
            await go_on.wait()

    async with scene(runs(act), connection="any", posts=101, timeouts=SLOW) as at:
        given = [request(0, event_handler=Standing()), *(request(number) for number in range(1, 101))]
        async with stream_many(at.client.threads.runs, given, max_concurrency=20, events=False) as many:
            ended = [(await anext(many)).key for _ in range(100)]
            assert sorted(map(int, ended)) == list(range(1, 101))
            assert standing.is_set()
            assert (many.running, many.done) == (1, 100)
            assert sent < 100  # its socket is not read on
            go_on.set()
            last = of_kind(RunResult, await anext(many))
        assert (last.key, last.status, last.events) == ("0", "completed", 4_005)


async def test_each_run_recovers_or_not_as_its_request_says() -> None:
    words = ["The ", "lamp ", "is ", "lit."]
    engine = ScriptedEngine([words] * 2)
    clocks = Timeouts(connect=5, first_event=5, idle=0.3)
    async with (
        AssistantsServer(engine=engine) as server,
        AsyncClient(base_url=server.base_url, timeouts=clocks) as client,
    ):
        assistant = await client.assistants.create(model="any")
        given: list[RunRequest] = []
        for recover in (False, True):
            thread = await client.threads.create(messages=[{"role": "user", "content": "Please."}])
            given.append(RunRequest(str(recover), thread.id, assistant_id=assistant.id, recover=recover))
        server.inject(Fault("cut", at_byte=1500, times=2))
        broken, whole = await gather_runs(client.threads.runs, given, max_concurrency=1)
        assert type(of_kind(RunFailure, broken).error).__name__ == "StreamInterruptedError"
        assert of_kind(RunResult, whole).text == "".join(words)


# -- gathering ---------------------------------------------------------------------------------------------------------


async def test_results_come_in_the_order_of_the_requests() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await asyncio.sleep(0.01 * (10 - int(thread.rpartition("_")[2])))
        if thread == "thread_4":
            peer.fin()
            return
        await peer.send(rest(thread))

    async with scene(runs(act), connection="any", posts=20, timeouts=SLOW) as at:
        found = await gather_runs(at.client.threads.runs, requests(10))
        assert [end.key for end in found] == [str(number) for number in range(10)]
        assert [end.key for end in found if isinstance(end, RunFailure)] == ["4"]
        with pytest.raises(Exception, match=r"ended|closed|broke") as caught:
            await gather_runs(at.client.threads.runs, requests(10), on_error="raise")
        assert getattr(caught.value, "run_id", None) == "run_4"


async def test_a_list_has_no_key_twice() -> None:
    async with scene(runs(), connection="any", posts=1, timeouts=SLOW) as at:
        with pytest.raises(InvalidArgumentError, match="two requests have the key '1'"):
            await gather_runs(at.client.threads.runs, [request(1), request(1)], max_concurrency=1)


async def test_a_gathering_that_is_cancelled_leaves_nothing() -> None:
    async with scene(runs(silent), posts=5, timeouts=SLOW) as at:
        gathering = asyncio.create_task(gather_runs(at.client.threads.runs, requests(5)))
        await together(lambda: at.server.posts == 5)
        gathering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathering
        for peer in at.server.peers:
            assert await peer.closed_within(0.5)
