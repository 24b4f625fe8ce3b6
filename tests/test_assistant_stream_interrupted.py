"""The tool loop interrupted, by broken connections and by cancels at every point: nothing is done or told twice."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from server_client import until
from test_assistant_stream import TEXT, WORDS, assert_equals_what_is_kept, place
from test_assistant_stream_tools import SUBMIT, calling, outputs
from test_cancel_everywhere import cancelled_at_every_point, nothing_left

from aiorunstream import AssistantEventHandler, AsyncClient, Message, Run, RunStep, Text, TextDelta, ToolCall, ToolSet
from aiorunstream.server import AssistantsServer, CallTool, Fault, Pause, Reply, ScriptedEngine
from aiorunstream.testing import ThreadedServer


class Count(AssistantEventHandler):
    """Counts what is told of each thing."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str]] = Counter()
        self.text = ""

    def on_message_created(self, message: Message) -> None:
        self.told["message created", message.id] += 1

    async def on_message_done(self, message: Message) -> None:
        self.told["message done", message.id] += 1

    def on_text_created(self, text: Text) -> None:
        self.told["text created", text.value[:2]] += 1

    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        self.text += delta.value or ""
        await asyncio.sleep(0)

    def on_text_done(self, text: Text) -> None:
        self.told["text done", text.value] += 1

    def on_run_step_created(self, run_step: RunStep) -> None:
        self.told["step created", run_step.id] += 1

    def on_run_step_done(self, run_step: RunStep) -> None:
        self.told["step done", run_step.id] += 1

    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        self.told["call created", getattr(tool_call, "id", "")] += 1

    def on_tool_call_done(self, tool_call: ToolCall) -> None:
        self.told["call done", getattr(tool_call, "id", "")] += 1

    def on_exception(self, exception: Exception) -> None:
        self.told["exception", ""] += 1

    def on_end(self) -> None:
        self.told["end", ""] += 1


# -- broken connections ------------------------------------------------------------------------------------------------

FIRST, SECOND = "create_run", "submit_tool_outputs"


@pytest.mark.parametrize(
    "breaks",
    [{FIRST: 2500}, {FIRST: 7500}, {SECOND: 1000}, {SECOND: 6000}, {FIRST: 4500, SECOND: 4500}],
    ids=str,
)
async def test_a_broken_segment_is_recovered_and_nothing_is_told_twice(breaks: dict[Any, int]) -> None:
    handler, made = Count(), Counter[str]()

    def look(where: str) -> str:
        made[where] += 1
        return where

    script = [["Let me ", "see. ", *calling(("look", '{"where": "up"}'), ("look", '{"where": "down"}'))], WORDS]
    async with place(script, recover=True) as at:
        for operation, at_byte in breaks.items():
            at.server.inject(Fault("cut", operation=operation, at_byte=at_byte))
        synthesized: set[int] = set()
        async with at.stream(tools=ToolSet([look]), event_handler=handler) as stream:
            async for event in stream:
                if event.synthesized:
                    synthesized.add(stream.segment)
        await assert_equals_what_is_kept(at, stream)
    assert len(synthesized) == len(breaks), "the fault must have happened"
    assert handler.text == stream.text == "Let me see. " + TEXT
    assert made == {"up": 1, "down": 1}
    assert (at.requests(SUBMIT), at.requests("/runs")) == (1, 1)
    assert set(handler.told.values()) == {1}
    kinds = Counter(kind for kind, _ in handler.told)
    pairs = {"message": 2, "text": 2, "step": 3, "call": 2}
    assert kinds == {f"{what} {how}": n for what, n in pairs.items() for how in ("created", "done")} | {"end": 1}


# -- cancels -----------------------------------------------------------------------------------------------------------


async def test_a_cancelled_step_makes_only_the_calls_again_that_were_not_done() -> None:
    made: Counter[str] = Counter()
    both = asyncio.Event()

    async def quick() -> str:
        made["quick"] += 1
        return "quick"

    async def slow() -> str:
        made["slow"] += 1
        if made["slow"] == 1:
            both.set()
            await asyncio.sleep(30)
        return "slow"

    async with (
        place([calling("quick", "slow", "quick"), WORDS]) as at,
        at.stream(tools=ToolSet([quick, slow])) as stream,
    ):
        reader = asyncio.create_task(stream.until_done())
        await both.wait()
        await asyncio.sleep(0.01)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await stream.until_done()
        assert made == {"quick": 2, "slow": 2}
        assert outputs(at) == ["quick", "slow", "quick"]
        assert at.requests(SUBMIT) == 1
        assert stream.text == TEXT


async def test_a_step_cancelled_while_the_outputs_are_sent_sends_them_once() -> None:
    made = 0

    def look() -> None:
        nonlocal made
        made += 1

    async with place([calling("look"), WORDS]) as at, at.stream(tools=ToolSet([look])) as stream:
        at.server.inject(Fault("silence", operation="submit_tool_outputs", seconds=0.5))
        for _ in range(3):
            reader = asyncio.create_task(stream.until_done())
            await until(lambda: at.requests(SUBMIT) == 1)
            await asyncio.sleep(0.01)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
        assert "".join([text async for text in stream.text_deltas()]) == TEXT
        assert (made, at.requests(SUBMIT)) == (1, 1)


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_a_cancel_at_every_point_of_the_loop_leaves_nothing(*, twice: bool, cancel_on_exit: bool) -> None:
    script: list[Reply] = [["a", "b", *calling("think", "block", "think")], [*WORDS, Pause(60)]]
    with ThreadedServer(delay=0.001, engine=ScriptedEngine(script, repeat=True)) as server:
        assistant = server.create_assistant()
        threads: list[str] = []
        handlers: list[Count] = []

        async def think() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        def block() -> str:
            return "blocked"

        async def approve(_: object) -> bool:
            await asyncio.sleep(0)
            return True

        async def program(client: AsyncClient) -> None:
            server.script(script)
            thread = await client.threads.create()
            threads.append(thread.id)
            handler = Count()
            async with client.threads.runs.stream(
                thread.id,
                assistant_id=assistant.id,
                tools=ToolSet([think, block]),
                approve=approve,
                event_handler=handler,
            ) as stream:
                handlers.append(handler)
                async for _ in stream.text_deltas():
                    if stream.text == "ab" + TEXT:
                        return

        def going(owner: AssistantsServer) -> list[Run]:
            runs = [run for thread in threads for run in owner.store.record(thread).runs.all()]
            return [run for run in runs if not run.is_terminal]

        async def nothing_is_left_at_the_server() -> None:
            await until(lambda: server.open_streams == 0, 3)
            if cancel_on_exit:
                await until(lambda: not server.call(going), 3)

        points = await cancelled_at_every_point(
            server.base_url, program, nothing_is_left_at_the_server, twice=twice, cancel_on_exit=cancel_on_exit
        )
        print(f"{points} points")
        assert points > 20
        assert all(handler.told["end", ""] == 1 for handler in handlers)


async def test_a_cancel_at_every_point_of_the_calls_and_then_on() -> None:
    """The reader is cancelled at the first point of approvals and calls, at the second, and so on, and reads on."""
    script: list[Reply] = [
        ["a", CallTool("think", '{"id": "1"}'), CallTool("block", "{}"), CallTool("think", '{"id": "2"}')],
        WORDS,
    ]
    done: Counter[str] = Counter()
    passed, at_point = 0, 1
    reader: asyncio.Task[Run] | None = None

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == at_point and reader is not None:
            reader.cancel()

    async def think(id: str) -> None:
        point()
        await asyncio.sleep(0)
        point()
        await asyncio.sleep(0)
        done[id] += 1
        point()

    def block() -> None:
        loop.call_soon_threadsafe(point)

    async def approve(_: object) -> bool:
        point()
        await asyncio.sleep(0)
        point()
        return True

    loop = asyncio.get_running_loop()
    tools = ToolSet([think, block])
    while True:
        async with place(script) as at, nothing_left():
            passed = 0
            done.clear()
            async with at.stream(tools=tools, approve=approve) as stream:
                reader = asyncio.create_task(stream.get_final_run())
                await asyncio.wait({reader})
                was_cancelled = reader.cancelled()
                run = await stream.get_final_run()
            assert (run.status, at.requests(SUBMIT), stream.text) == ("completed", 1, "a" + TEXT)
            assert outputs(at) == ["null"] * 3
            assert all(1 <= times <= 2 for times in done.values())
        if not was_cancelled:
            break
        at_point += 1
    assert at_point > 10
