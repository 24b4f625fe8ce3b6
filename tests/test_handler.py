"""`AssistantEventHandler`: what is told, in which order, how often; and whose its exceptions are."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from heard import NAMES, Heard, over
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    RUN_STREAM,
    RawServer,
    answering,
    client_of,
    delta_event,
    event,
    run_json,
    stream_answer,
)
from test_assistant_stream import SCRIPTS, WORDS, Place, place
from test_assistant_stream_tools import calling

from aiorunstream import (
    AssistantEventHandler,
    AssistantStream,
    Text,
    TextDelta,
    ToolSet,
)
from aiorunstream.server import CallTool, EndStep, MoreArguments, PrintLogs, RunCode, ShowImage


@asynccontextmanager
async def hearing(script: Sequence[object], **settings: Any) -> AsyncGenerator[tuple[Place, Heard, AssistantStream]]:
    handler = Heard()
    async with place([script, WORDS]) as at, at.stream(event_handler=handler, **settings) as stream:
        yield at, handler, stream


def text_part(index: int, value: str) -> dict[str, object]:
    return {"index": index, "type": "text", "text": {"value": value}}


def message_event(kind: str, id: str, *parts: dict[str, object]) -> bytes:
    message: dict[str, object] = {"id": id, "object": "thread.message", "role": "assistant", "content": parts}
    return event(f"thread.message.{kind}", message)


def message_delta(id: str, *parts: dict[str, object]) -> bytes:
    return event("thread.message.delta", {"id": id, "object": "thread.message.delta", "delta": {"content": parts}})


# -- order and counts --------------------------------------------------------------------------------------------------


async def test_a_text_is_told_from_its_beginning_to_its_end() -> None:
    async with hearing(["Hel", "lo"]) as (_, handler, stream):
        events = [event async for event in stream]
    assert handler.of("on_event") == events
    assert handler.names == [
        "run_step_created",
        "message_created",
        *("text_created", "text_delta", "message_delta"),
        *("text_delta", "message_delta"),
        *("text_done", "message_done"),
        "run_step_done",
        "end",
    ]
    arguments = dict(handler.calls)
    delta, snapshot = arguments["on_text_delta"]
    assert (delta, snapshot) == (TextDelta("lo"), Text("Hello"))
    assert handler.of("on_text_created") == [Text("Hel")]
    assert handler.of("on_text_done") == [Text("Hello")]
    (message,) = handler.of("on_message_done")
    assert (message.text, message.status) == ("Hello", "completed")
    assert arguments["on_message_delta"][1].text == "Hello"
    (step,) = handler.of("on_run_step_done")
    assert step.status == "completed"


async def test_calls_are_told_to_the_point_where_their_outputs_are_wanted_and_no_further() -> None:
    script = [CallTool("look", "{", id="a"), MoreArguments("}"), CallTool("hear", "{}", id="b")]
    async with hearing(script, tools=ToolSet([])) as (_, handler, stream):
        await stream.until_done()
    first = handler.names[: handler.names.index("message_created")]
    assert first == [
        "run_step_created",
        *("tool_call_created", "run_step_delta"),
        *("tool_call_delta", "run_step_delta") * 2,
        *("tool_call_done", "tool_call_created", "run_step_delta"),
        *("tool_call_delta", "run_step_delta"),
        "tool_call_done",
        "run_step_done",
        "run_step_created",
    ]
    assert [(call.id, call.function.arguments) for call in handler.of("on_tool_call_done")] == [
        ("a", "{}"),
        ("b", "{}"),
    ]
    assert [call.function.name for call in handler.of("on_tool_call_created")] == ["look", "hear"]
    outputs = [call.function.output for call in handler.of("on_run_step_done")[0].step_details.tool_calls]
    assert all("there is no function" in output for output in outputs)


async def test_each_part_of_each_message_and_each_call_of_each_step_is_told_of_once() -> None:
    script: list[object] = ["a", ShowImage("file_1"), ShowImage("file_2"), "b", "c", EndStep(), "d", EndStep()]
    script += [RunCode("1"), PrintLogs("1"), RunCode("2"), EndStep(), RunCode("3")]
    async with hearing(script) as (_, handler, stream):
        await stream.until_done()
    assert [text.value for text in handler.of("on_text_created")] == ["a", "b", "d"]
    assert [text.value for text in handler.of("on_text_done")] == ["a", "bc", "d"]
    assert [image.file_id for image in handler.of("on_image_file_done")] == ["file_1", "file_2"]
    assert [message.text for message in handler.of("on_message_done")] == ["abc", "d"]
    begun, done = handler.of("on_tool_call_created"), handler.of("on_tool_call_done")
    assert [call.id for call in begun] == [call.id for call in done]
    assert [call.code_interpreter.input for call in done] == ["1", "2", "3"]
    parts = [name for name in handler.names if name.startswith(("text_", "image_")) and name != "text_delta"]
    assert parts == ["text_created", "text_done", *["image_file_done"] * 2, *["text_created", "text_done"] * 2]


async def test_a_message_that_breaks_off_is_done_too() -> None:
    async with hearing(SCRIPTS["breaks off"]) as (_, handler, stream):
        await stream.until_done()
    assert handler.names[-5:] == ["message_delta", "text_done", "message_done", "run_step_done", "end"]
    assert handler.of("on_message_done")[0].status == "incomplete"


async def test_two_messages_in_turns_are_not_mixed_up() -> None:
    pieces = [message_delta(id, text_part(0, f"{id}{n}")) for n in range(3) for id in ("a", "b")]
    ends = [message_event("completed", id, {"type": "text", "text": {"value": f"{id}0{id}1{id}2"}}) for id in "ab"]
    handler = Heard()
    begins = [message_event("created", id) for id in "ab"]
    async with over(CREATED, *begins, *pieces, *ends, COMPLETED, handler=handler) as stream:
        await stream.until_done()
    assert [text.value for text in handler.of("on_text_created")] == ["a0", "b0"]
    assert [text.value for text in handler.of("on_text_done")] == ["a0a1a2", "b0b1b2"]
    assert [message.id for message in handler.of("on_message_done")] == ["a", "b"]
    snapshots = [arguments[1].value for name, arguments in handler.calls if name == "on_text_delta"]
    assert snapshots == ["a0", "b0", "a0a1", "b0b1", "a0a1a2", "b0b1b2"]


async def test_parts_that_come_in_another_order_than_they_stand_are_told_of_as_they_are() -> None:
    handler = Heard()
    deltas = [message_delta("a", text_part(2, "two")), message_delta("a", text_part(1, "one"))]
    deltas += [message_delta("a", text_part(0, "zero"), text_part(0, "!"))]
    async with over(CREATED, message_event("created", "a"), *deltas, COMPLETED, handler=handler) as stream:
        await stream.until_done()
        assert [message.text for message in stream.snapshot.messages] == ["zero!onetwo"]
    assert [text.value for text in handler.of("on_text_created")] == ["two", "one", "zero!"]
    assert [text.value for text in handler.of("on_text_done")] == ["two", "one"]  # the last is not over
    assert "".join(delta.value for delta in handler.of("on_text_delta")) == "twoonezero!"


async def test_a_call_that_is_told_of_again_once_its_run_goes_on_is_not_told_of_twice() -> None:
    def step(kind: str, data: dict[str, object]) -> bytes:
        details = {"type": "tool_calls", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", **data}]}
        base = {"id": "step_1", "object": "thread.run.step", "type": "tool_calls"}
        return event(f"thread.run.step.{kind}", {**base, "delta": {"step_details": details}, "step_details": details})

    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    waits = event("thread.run.requires_action", {**run_json("requires_action"), "required_action": action})
    begun: dict[str, object] = {"function": {"name": "look", "arguments": "{}"}}
    first = stream_answer(CREATED, step("delta", begun), waits)
    second = stream_answer(CREATED, step("delta", {"function": {"output": "up"}}), COMPLETED)
    handler = Heard()
    async with RawServer(answering(first, second)) as server, client_of(server) as client:
        runs = client.threads.runs
        async with runs.stream("thread_raw", assistant_id="a", tools=ToolSet(), event_handler=handler) as stream:
            await stream.until_done()
    assert server.posts == 2
    assert [name for name in handler.names if "call" in name] == [
        "tool_call_created",
        "tool_call_done",
        "tool_call_delta",
    ]


async def test_what_comes_after_a_message_is_done_is_told_of_as_an_event_only() -> None:
    handler = Heard()
    late = [message_delta("a", text_part(0, "late")), message_event("completed", "a"), message_event("created", "a")]
    begin = [CREATED, message_event("created", "a"), message_event("completed", "a")]
    async with over(*begin, *late, COMPLETED, handler=handler) as stream:
        await stream.until_done()
    assert handler.names == ["message_created", "message_done", "end"]
    assert len(handler.of("on_event")) == 7


async def test_a_step_that_is_told_of_again_is_told_of_once() -> None:
    def step(kind: str) -> bytes:
        return event(f"thread.run.step.{kind}", {"id": "step_1", "object": "thread.run.step", "type": "tool_calls"})

    handler = Heard()
    async with over(
        CREATED, *[step(kind) for kind in ("created", "created", "completed", "completed")], COMPLETED, handler=handler
    ) as stream:
        await stream.until_done()
    assert handler.names == ["run_step_created", "run_step_done", "end"]


async def test_a_call_in_a_step_that_writes_a_message_is_none() -> None:
    creation = {"type": "message_creation", "message_creation": {"message_id": "a"}}
    begun = {"id": "step_1", "object": "thread.run.step", "type": "message_creation", "step_details": creation}
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look"}}
    delta = {"id": "step_1", "delta": {"step_details": {"type": "tool_calls", "tool_calls": [call]}}}
    events = [event("thread.run.step.created", begun), event("thread.run.step.delta", delta)]
    handler = Heard()
    async with over(CREATED, *events, COMPLETED, handler=handler) as stream:
        await stream.until_done()
    assert handler.names == ["run_step_created", "run_step_delta", "end"]


async def test_a_text_that_begins_without_a_word_is_told_to_begin_and_no_piece_of_it() -> None:
    handler = Heard()
    deltas = [message_delta("a", {"index": 0, "type": "text"}), message_delta("a", text_part(0, "late"))]
    async with over(CREATED, message_event("created", "a"), *deltas, COMPLETED, handler=handler) as stream:
        await stream.until_done()
    told = ["message_created", "text_created", "message_delta", "text_delta", "message_delta", "end"]
    assert handler.names == told
    assert handler.of("on_text_created") == [Text("")]


# -- any method --------------------------------------------------------------------------------------------------------


async def test_nothing_has_to_be_overridden() -> None:
    async with over(*RUN_STREAM, handler=AssistantEventHandler()) as stream:
        assert "".join([text async for text in stream.text_deltas()]) == "a lighthouse keeper"


async def test_each_method_alone_is_told_the_same_as_all_together() -> None:
    script: list[object] = ["a", ShowImage("file_1"), *calling("look")]
    async with hearing(script, tools=ToolSet([])) as (_, everything, stream):
        await stream.until_done()
    for name in NAMES:
        heard: list[object] = []

        def hear(*arguments: object, heard: list[object] = heard) -> None:
            heard.append(arguments)

        handler = AssistantEventHandler()
        setattr(handler, name, hear)  # on the object itself
        async with place([script, WORDS]) as at, at.stream(event_handler=handler, tools=ToolSet([])) as stream:
            await stream.until_done()
        assert len(heard) == [called for called, _ in everything.calls].count(name)
        assert heard or name == "on_exception"


async def test_one_handler_may_serve_many_streams() -> None:
    handler = Heard()
    for _ in range(2):
        async with over(*RUN_STREAM, handler=handler) as stream:
            await stream.until_done()
    half = len(handler.names) // 2
    assert handler.names[:half] == handler.names[half:]
    assert handler.names.count("end") == 2


async def test_deltas_of_a_message_nobody_announced_are_told() -> None:
    handler = Heard()
    async with over(
        event("thread.run.queued", run_json()), DELTA, delta_event("."), COMPLETED, handler=handler
    ) as stream:
        await stream.until_done()
    assert handler.names == ["text_created", *["text_delta", "message_delta"] * 2, "end"]
