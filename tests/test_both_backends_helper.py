"""The helper and the tool loop over every backend."""

import asyncio

import pytest
from both_backends import TEXT, WITH_EACH, WORDS, Each, Opens
from test_assistant_stream import Ends
from test_assistant_stream_tools import calling

from aiorunstream import (
    AssistantEventHandler,
    AssistantStream,
    BadRequestError,
    Message,
    RunStep,
    Text,
    TextDelta,
    ToolError,
    ToolSet,
    Usage,
    function_tool,
)
from aiorunstream.models import RequiredActionFunctionToolCall
from aiorunstream.server import CallTool, Cite, EndStep, Fail, Fault, PrintLogs, Refuse, RunCode

pytestmark = WITH_EACH


async def assert_equals_what_is_kept(at: Each, stream: AssistantStream) -> None:
    run, messages, steps = await at.kept(stream.run_id or "")
    assert await stream.get_final_run() == run
    assert await stream.get_final_messages() == tuple(messages)
    assert await stream.get_final_run_steps() == tuple(steps)
    assert stream.text == "".join(message.text for message in messages)
    assert (stream.usage, stream.run, stream.outcome) == (run.usage, run, run.status)


# -- what it comes to --------------------------------------------------------------------------------------------------

SCRIPTS: dict[str, list[object]] = {
    "text": [*WORDS, Usage(5, 7, 12)],
    "nothing": [],
    "two messages": ["One. ", EndStep(), "Two", "."],
    "parts": ["See ", Cite("[1]", "file_1"), Refuse("no"), Refuse("t")],
    "own tools": [RunCode("1 +"), PrintLogs("2"), EndStep(), "Done", "."],
    "fails": ["Half ", Fail("out of order")],
    "waits": ["Let me see.", CallTool("get_weather", '{"a": 1}'), CallTool("hear", "{}")],
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_what_it_comes_to_is_what_is_kept(client_of_each: Opens, script: str) -> None:
    async with client_of_each([SCRIPTS[script]]) as at:  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        async with at.stream() as stream:
            events = [event async for event in stream]
            assert stream.events_seen == len(events)
        await assert_equals_what_is_kept(at, stream)


async def test_the_pieces_of_text_join_to_the_text_and_final_objects_come_again(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        async with at.stream() as stream:
            pieces = [text async for text in stream.text_deltas()]
            assert pieces == WORDS
            asked = len(at.server.requests)
            (message,) = await stream.get_final_messages()
            assert (message.text, stream.text) == (TEXT, TEXT)
            await stream.until_done()
        assert (await stream.get_final_run()).status == "completed"
        assert len(at.server.requests) == asked


class Told(AssistantEventHandler):
    """Writes down which callback came, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.text = ""

    def on_text_created(self, text: Text) -> None:
        self.told.append("text created")

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        self.text += delta.value or ""
        assert snapshot.value == self.text

    def on_text_done(self, text: Text) -> None:
        self.told.append(f"text done: {text.value}")

    def on_message_created(self, message: Message) -> None:
        self.told.append("message created")

    def on_message_done(self, message: Message) -> None:
        self.told.append("message done")

    def on_run_step_created(self, run_step: RunStep) -> None:
        self.told.append("step created")

    def on_run_step_done(self, run_step: RunStep) -> None:
        self.told.append("step done")

    def on_end(self) -> None:
        self.told.append("end")


async def test_a_handler_is_told_each_thing_once_and_in_order(client_of_each: Opens) -> None:
    handler = Told()
    async with client_of_each() as at, at.stream(event_handler=handler) as stream:
        await stream.until_done()
    assert handler.told == [
        "step created", "message created", "text created", f"text done: {TEXT}", "message done", "step done", "end",
    ]  # fmt: skip
    assert handler.text == TEXT


async def test_a_thread_and_its_run(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        thread = {"messages": [{"role": "user", "content": "Hi"}]}
        async with at.client.threads.stream(assistant_id=at.assistant_id, thread=thread) as stream:
            assert "".join([text async for text in stream.text_deltas()]) == TEXT
        assert stream.snapshot.thread is not None
        assert stream.thread_id == stream.snapshot.thread.id != at.thread_id
        await assert_equals_what_is_kept(at._replace(thread_id=stream.thread_id or ""), stream)


# -- the tool loop -----------------------------------------------------------------------------------------------------


async def test_several_rounds_of_calls_are_one_sequence(client_of_each: Opens) -> None:
    heard: list[int] = []

    @function_tool
    async def add(n: int) -> int:
        heard.append(n)
        return n + 1

    handler = Ends()
    script = [["a ", *calling(("add", '{"n": 1}'))], calling(("add", '{"n": 2}'), ("add", '{"n": 3}')), ["b"]]
    async with client_of_each(script) as at:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        async with at.stream(tools=ToolSet([add]), event_handler=handler) as stream:
            assert "".join([text async for text in stream.text_deltas()]) == "a b"
        assert (sorted(heard), stream.segment, stream.outcome) == ([1, 2, 3], 3, "completed")
        assert (handler.ends, handler.exceptions) == (1, [])
        await assert_equals_what_is_kept(at, stream)
        assert [call.output for call in at.engine.turns[-1].tool_outputs][-2:] == ["3", "4"]


async def test_calls_of_a_round_overlap(client_of_each: Opens) -> None:
    together = asyncio.Barrier(3)

    async def meet() -> str:
        async with asyncio.timeout(2):
            await together.wait()
        return "met"

    async with client_of_each([calling("meet", "meet", "meet"), WORDS]) as at:
        async with at.stream(tools=ToolSet([meet])) as stream:
            await stream.until_done()
        assert [call.output for call in at.engine.turns[-1].tool_outputs] == ["met"] * 3


async def test_what_goes_wrong_with_a_call_is_told_to_the_model(client_of_each: Opens) -> None:
    def bad() -> None:
        raise OSError("no such file")

    async with client_of_each([calling("bad", "unknown"), WORDS]) as at:
        async with at.stream(tools=ToolSet([bad])) as stream:
            await stream.until_done()
        bad_output, unknown = [call.output or "" for call in at.engine.turns[-1].tool_outputs]
        assert "no such file" in bad_output
        assert "unknown" in unknown
        assert stream.outcome == "completed"


async def test_raise_names_the_call_and_cancels_the_run(client_of_each: Opens) -> None:
    def bad() -> None:
        raise OSError("no such file")

    async with client_of_each([calling("bad"), WORDS]) as at:
        async with at.stream(tools=ToolSet([bad]), on_tool_error="raise") as stream:
            with pytest.raises(ToolError) as caught:
                await stream.until_done()
        assert (caught.value.tool, caught.value.call_id) == ("bad", "call_0")
        assert (await at.kept(stream.run_id or ""))[0].status == "cancelled"
        async with at.stream() as after:
            await after.until_done()
        assert after.text == TEXT


async def test_a_call_that_is_refused_is_not_made(client_of_each: Opens) -> None:
    def danger() -> str:
        raise AssertionError("it was refused")

    def approve(call: RequiredActionFunctionToolCall) -> bool:
        return call.function.name != "danger"

    async with client_of_each([calling("danger"), WORDS]) as at:
        async with at.stream(tools=ToolSet([danger]), approve=approve) as stream:
            await stream.until_done()
        assert [call.output for call in at.engine.turns[-1].tool_outputs] == ["The user refused this call."]


async def test_without_its_tools_iteration_ends_and_the_outputs_are_given_by_hand(client_of_each: Opens) -> None:
    async with client_of_each([calling("look"), WORDS]) as at:
        async with at.stream() as first:
            await first.until_done()
        assert first.outcome == "requires_action"
        outputs = [{"tool_call_id": "call_0", "output": "stars"}]
        runs = at.client.threads.runs
        call = runs.submit_tool_outputs_stream(first.run_id or "", thread_id=at.thread_id, tool_outputs=outputs)
        async with AssistantStream(call) as second:
            assert "".join([text async for text in second.text_deltas()]) == TEXT
        assert second.run_id == first.run_id
        await assert_equals_what_is_kept(at, second)


async def test_outputs_of_no_call_and_outputs_twice_are_refused(client_of_each: Opens) -> None:
    async with client_of_each([calling("look"), WORDS]) as at:
        async with at.stream() as stream:
            await stream.until_done()
        runs, run_id = at.client.threads.runs, stream.run_id or ""
        for outputs in ([], [{"tool_call_id": "call_9", "output": "x"}]):
            with pytest.raises(BadRequestError):
                await runs.submit_tool_outputs(run_id, thread_id=at.thread_id, tool_outputs=outputs)
        right = [{"tool_call_id": "call_0", "output": "x"}]
        await runs.submit_tool_outputs(run_id, thread_id=at.thread_id, tool_outputs=right)
        assert (await at.stopped(run_id)).status == "completed"
        with pytest.raises(BadRequestError):
            await runs.submit_tool_outputs(run_id, thread_id=at.thread_id, tool_outputs=right)


async def test_outputs_that_are_not_taken_leave_the_run_waiting(client_of_each: Opens) -> None:
    async with client_of_each([calling("look"), WORDS]) as at:
        operation = "create_response" if at.is_bridged else "submit_tool_outputs"
        async with at.stream() as stream:
            await stream.until_done()
        at.server.inject(Fault("refuse", status=400, operation=operation))
        runs, run_id = at.client.threads.runs, stream.run_id or ""
        outputs = [{"tool_call_id": "call_0", "output": "x"}]
        with pytest.raises(BadRequestError):
            await runs.submit_tool_outputs(run_id, thread_id=at.thread_id, tool_outputs=outputs)
        assert (await runs.retrieve(run_id, thread_id=at.thread_id)).status == "requires_action"
        async with runs.submit_tool_outputs_stream(run_id, thread_id=at.thread_id, tool_outputs=outputs) as more:
            async for _ in more:
                pass
        assert more.outcome == "completed"
