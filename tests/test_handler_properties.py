"""Whatever a run comes to, and however it is told: each thing is told to the handler once, in order, and adds up."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from finished_runs import FinishedRun, finished_runs
from heard import Heard, over, wire
from hypothesis import given
from hypothesis import strategies as st
from machine_bench import Bench, waiting
from run_deltas import call_fragments, message_events, mixed, part_fragments, run_events, step_events
from test_machine_properties import EACH, ENDS, GOING_ON

from aiorunstream.events import (
    REGISTRY,
    AssistantStreamEvent,
    ThreadMessageDelta,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
)
from aiorunstream.items import Item
from aiorunstream.models import (
    FunctionCall,
    FunctionToolCall,
    ImageFileContentBlock,
    ImageFileDeltaBlock,
    Message,
    MessageContent,
    MessageDelta,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    TextContentBlock,
    TextDeltaBlock,
    ToolCall,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)

Events = list[AssistantStreamEvent]


def heard(events: Events) -> tuple[Heard, Any]:
    """What a handler hears of these events, and their stream at its end."""
    handler = Heard()

    async def read() -> object:
        async with over(wire(events), handler=handler) as stream:
            seen = [event async for event in stream]
            assert [event.event for event in seen] == [event.event for event in events]
            await asyncio.sleep(0)
        return stream

    return handler, asyncio.run(read())


def id_of(item: Any) -> str:
    return str(item["id"] if isinstance(item, UnknownPart) else getattr(item, "id", ""))


def ids(items: Iterable[Any]) -> list[str]:
    return [id_of(item) for item in items]


def announced(events: Events, kind: type[Message] | type[RunStep], *ends: str) -> list[str]:
    """The ids of events whose name has one of these ends, in order."""
    return [event.data.id for event in events if isinstance(event.data, kind) and event.event.endswith(ends)]


def assert_each_message_and_step_is_told_once(handler: Heard, events: Events) -> None:
    assert ids(handler.of("on_message_created")) == announced(events, Message, "created")
    assert ids(handler.of("on_message_done")) == announced(events, Message, "completed", "incomplete")
    assert ids(handler.of("on_run_step_created")) == announced(events, RunStep, "created")
    ends = ("completed", "failed", "cancelled", "expired")
    assert ids(handler.of("on_run_step_done")) == announced(events, RunStep, *ends)
    for name in ("message_created", "message_done", "run_step_created", "run_step_done"):
        assert max(Counter(ids(handler.of(f"on_{name}"))).values(), default=1) == 1
    assert handler.names.count("message_delta") == sum(isinstance(event, ThreadMessageDelta) for event in events)
    assert handler.names.count("run_step_delta") == sum(isinstance(event, ThreadRunStepDelta) for event in events)
    assert [event.event for event in handler.of("on_event")] == [event.event for event in events]
    assert (handler.names.count("end"), handler.names[-1]) == (1, "end")


def told_parts(events: Events, kind: type[TextDeltaBlock] | type[ImageFileDeltaBlock]) -> set[tuple[str, int]]:
    """The parts of that kind that deltas tell of, by message and index."""
    deltas = [event.data for event in events if isinstance(event, ThreadMessageDelta)]
    return {(data.id, part.index) for data in deltas for part in data.delta.content if isinstance(part, kind)}


def calls_in(steps: Iterable[RunStep]) -> list[ToolCall]:
    details = [step.step_details for step in steps]
    return [call for one in details if isinstance(one, ToolCallsStepDetails) for call in one.tool_calls]


def parts_of(messages: Iterable[Message]) -> list[MessageContent]:
    return [part for message in messages for part in message.content]


@given(finished_runs())
def test_in_any_mixture_each_thing_is_told_once_and_the_deltas_add_up(finished: FinishedRun) -> None:
    events = run_events(finished)
    handler, stream = heard(events)
    assert_each_message_and_step_is_told_once(handler, events)
    assert stream.run == finished.run
    assert {message.id: message for message in stream.snapshot.messages} == {one.id: one for one in finished.messages}
    assert {step.id: step for step in stream.snapshot.run_steps} == {one.id: one for one in finished.steps}

    texts = told_parts(events, TextDeltaBlock)
    assert len(handler.of("on_text_created")) == len(texts)
    ended = set(announced(events, Message, "completed", "incomplete"))
    told_done = len(handler.of("on_text_done"))
    # Of a message that does not end, the part that came last is not over.
    assert len([1 for id, _ in texts if id in ended]) <= told_done <= len(texts)
    images = told_parts(events, ImageFileDeltaBlock)
    assert len([1 for id, _ in images if id in ended]) <= len(handler.of("on_image_file_done")) <= len(images)

    pieces = Counter(delta.value for delta in handler.of("on_text_delta") if delta.value)
    sent = [event.data for event in events if isinstance(event, ThreadMessageDelta)]
    parts = [part for data in sent for part in data.delta.content if isinstance(part, TextDeltaBlock)]
    assert pieces == Counter(part.text.value for part in parts if part.text is not None and part.text.value)


def in_turn(finished: FinishedRun) -> Events:
    """All events of the run, each part and each call whole before the next begins, a fragment an event."""
    rng, ways = finished.rng, list[Events]()
    for message in finished.messages:
        first, *_, last = message_events(rng, message)
        fragments = [one for n, part in enumerate(message.content) for one in part_fragments(rng, n, part)]
        deltas = [MessageDeltaEvent(message.id, delta=MessageDelta(None, (one,))) for one in fragments]
        ways.append([first, *map(ThreadMessageDelta, deltas), *([last] if last.data == message else [])])
    for step in finished.steps:
        first, *_, last = step_events(rng, step)
        pieces = [one for n, call in enumerate(calls_in([step])) for one in call_fragments(rng, n, call)]
        grown = [RunStepDeltaEvent(step.id, delta=RunStepDelta(ToolCallsDeltaObject((one,)))) for one in pieces]
        ways.append([first, *map(ThreadRunStepDelta, grown), *([last] if last.data == step else [])])
    begin = REGISTRY["thread.run.in_progress"].around(msgspec.structs.replace(finished.run, status="in_progress"))
    return [begin, *mixed(rng, ways), REGISTRY[f"thread.run.{finished.run.status}"].around(finished.run)]


@given(finished_runs())
def test_parts_and_calls_one_after_the_other_are_done_as_they_end(finished: FinishedRun) -> None:
    """As servers do it: a part, or a call, is whole before the next begins; messages and steps are mixed all the same."""
    events = in_turn(finished)
    handler, stream = heard(events)
    assert_each_message_and_step_is_told_once(handler, events)
    ended = [one for one in finished.messages if one.status in ("completed", "incomplete", None)]
    whole = [part.text for part in parts_of(ended) if isinstance(part, TextContentBlock)]
    assert contained(whole, handler.of("on_text_done"))
    assert contained([one.image_file for one in parts_of(ended) if isinstance(one, ImageFileContentBlock)],
                     handler.of("on_image_file_done"))  # fmt: skip
    steps = [step for step in finished.steps if step.status != "in_progress"]
    assert contained(calls_in(steps), handler.of("on_tool_call_done"))
    assert len(handler.of("on_tool_call_created")) == len(calls_in(finished.steps))
    assert len(handler.of("on_tool_call_done")) <= len(calls_in(finished.steps))
    assert {message.id: message for message in stream.snapshot.messages} == {one.id: one for one in finished.messages}
    assert stream.text == "".join(message.text for message in stream.snapshot.messages)


def contained(some: list[Any], all_of_them: list[Any]) -> bool:
    """Whether all of some are among others, each as often."""
    left = [msgspec.json.encode(one) for one in all_of_them]
    for one in some:
        encoded = msgspec.json.encode(one)
        if encoded not in left:
            return False
        left.remove(encoded)
    return True


ARGUMENTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=4)


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "all are 0"])
@given(arguments=ARGUMENTS, seed=st.randoms(use_true_random=False))
def test_the_arguments_of_each_call_are_told_piece_by_piece(*, arguments: list[str], seed: Any, numbered: bool) -> None:
    calls = tuple(FunctionToolCall(f"call_{n}", FunctionCall("get", text)) for n, text in enumerate(arguments))
    step = RunStep("step_1", type="tool_calls", status="in_progress", step_details=ToolCallsStepDetails())
    done = msgspec.structs.replace(step, status="completed", step_details=ToolCallsStepDetails(calls))
    events: Events = [REGISTRY["thread.run.created"].around(Run("run_1", status="queued")), ThreadRunStepCreated(step)]
    for n, call in enumerate(calls):
        for fragment in call_fragments(seed, n if numbered else 0, call):
            delta = RunStepDelta(ToolCallsDeltaObject((fragment,)))
            events.append(ThreadRunStepDelta(RunStepDeltaEvent("step_1", delta=delta)))
    events += [ThreadRunStepCompleted(done), REGISTRY["thread.run.completed"].around(Run("run_1", status="completed"))]
    handler, _ = heard(events)
    assert ids(handler.of("on_tool_call_created")) == ids(handler.of("on_tool_call_done")) == ids(calls)
    assert handler.of("on_tool_call_done") == list(calls)
    joined: list[str] = []
    for name, call_arguments in handler.calls:
        if name == "on_tool_call_created":
            joined.append(call_arguments[0].function.arguments)
        elif name == "on_tool_call_delta":
            delta, snapshot = call_arguments
            joined[-1] += delta.function.arguments or ""
            assert snapshot.function.arguments == joined[-1]
    assert joined == arguments


@given(st.lists(GOING_ON, max_size=8), st.none() | st.one_of([EACH[kind] for kind in ENDS]))
def test_whatever_the_embedded_server_tells_is_told_in_order(items: list[Item], end: Item | None) -> None:
    bench = Bench()
    for item in [*items, *([end] if end is not None else [])]:
        try:
            bench.hear(item)
        except ValueError:
            continue  # the engine's fault
    bench.finish()
    check_bench(bench, bench.events, bench.steps)
    if bench.run.status == "requires_action":
        bench.submit(*((id, "out") for id in waiting(bench.run)))
        bench.events += bench.machine.work()
        bench.hear("do", "ne")
        bench.finish()
        stops = [place for place, event in enumerate(bench.events) if event.event == "thread.run.requires_action"]
        handler, stream = heard(bench.events[stops[0] + 1 :])
        assert (stream.text, handler.of("on_text_done")[0].value) == ("done", "done")
        calls, outputs = handler.of("on_run_step_done")[0], handler.names.count("tool_call_done")
        assert (calls.status, outputs) == ("completed", 0)


def check_bench(bench: Bench, events: Events, steps: Iterable[RunStep]) -> None:
    events = [event for event in events if event.event != "error"]
    handler, stream = heard(events)
    assert_each_message_and_step_is_told_once(handler, events)
    parts = parts_of(bench.answers)
    texts = [part.text.value for part in parts if isinstance(part, TextContentBlock) and part.text.value]
    assert [text.value for text in handler.of("on_text_done") if text.value] == texts  # no delta tells of no text
    assert len(handler.of("on_text_created")) == len(handler.of("on_text_done"))
    assert "".join(delta.value or "" for delta in handler.of("on_text_delta")) == "".join(texts) == stream.text
    images = [part.image_file for part in parts if isinstance(part, ImageFileContentBlock)]
    assert handler.of("on_image_file_done") == images
    calls = ids(calls_in(steps))
    assert ids(handler.of("on_tool_call_created")) == ids(handler.of("on_tool_call_done")) == calls
    check_order(handler)


def check_order(handler: Heard) -> None:
    """Created before delta before done, for each thing; a text inside its message, a call inside its step."""
    open_now: set[tuple[str, str]] = set()
    for name, arguments in handler.calls:
        what, _, how = name.removeprefix("on_").rpartition("_")
        if how not in ("created", "delta", "done") or what == "image_file":
            continue
        thing = arguments[-1]  # it, or what it has come to
        key = (what, id_of(thing))
        assert (key in open_now) == (how != "created"), handler.names
        if how == "created":
            open_now.add(key)
        elif how == "done":
            open_now.remove(key)
        if what in ("text", "tool_call"):
            around = "message" if what == "text" else "run_step"
            assert any(kind == around for kind, _ in open_now)
