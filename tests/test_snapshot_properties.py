"""Whatever a run comes to, and however its deltas are cut and mixed: they add up to it, and what is missing is found."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec
from finished_runs import FinishedRun, finished_runs
from hypothesis import given
from hypothesis import strategies as st
from machine_bench import Bench, waiting
from run_deltas import message_deltas, mixed, run_events, step_deltas
from test_machine_properties import EACH, ENDS, GOING_ON

from aiorunstream.events import AssistantStreamEvent, ThreadMessageDelta, ThreadRunStepDelta
from aiorunstream.items import (
    CallTool,
    Cite,
    DrawImage,
    EndStep,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    PrintLogs,
    Refuse,
    RunCode,
    SearchFiles,
    ShowImage,
)
from aiorunstream.models import (
    FileSearchResult,
    FunctionToolCall,
    FunctionToolCallDelta,
    Message,
    RefusalContentBlock,
    RefusalDeltaBlock,
    Run,
    RunStep,
    TextContentBlock,
    TextDeltaBlock,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    Usage,
)
from aiorunstream.scripted import ScriptedEngine
from aiorunstream.snapshot import RunSnapshot

Events = Sequence[AssistantStreamEvent]


def folded(events: Events) -> RunSnapshot:
    snapshot = RunSnapshot()
    for event in events:
        snapshot.add(event)
    return snapshot


def encoded(events: Events) -> list[bytes]:
    return [msgspec.json.encode(event) for event in events]


def told(events: Events) -> dict[tuple[str, int], str]:
    """The texts and refusals that the deltas tell, by message and index, and the arguments by step and index."""
    texts: defaultdict[tuple[str, int], str] = defaultdict(str)
    for event in events:
        if isinstance(event, ThreadMessageDelta):
            for part in event.data.delta.content:
                if isinstance(part, TextDeltaBlock) and part.text is not None:
                    texts[event.data.id, part.index] += part.text.value or ""
                elif isinstance(part, RefusalDeltaBlock):
                    texts[event.data.id, part.index] += part.refusal or ""
        elif isinstance(event, ThreadRunStepDelta):
            details = event.data.delta.step_details
            for call in details.tool_calls if isinstance(details, ToolCallsDeltaObject) else ():
                if isinstance(call, FunctionToolCallDelta) and call.function is not None:
                    texts[event.data.id, -1] += call.function.arguments or ""
    return texts


def argued(steps: Sequence[RunStep]) -> dict[tuple[str, int], str]:
    """The arguments of all calls of a step, joined."""
    found: dict[tuple[str, int], str] = {}
    for step in steps:
        if isinstance(step.step_details, ToolCallsStepDetails):
            calls = [call for call in step.step_details.tool_calls if isinstance(call, FunctionToolCall)]
            found[step.id, -1] = "".join(call.function.arguments for call in calls)
    return found


def written(messages: Sequence[Message]) -> dict[tuple[str, int], str]:
    texts: dict[tuple[str, int], str] = {}
    for message in messages:
        for place, part in enumerate(message.content):
            if isinstance(part, TextContentBlock):
                texts[message.id, place] = part.text.value
            elif isinstance(part, RefusalContentBlock):
                texts[message.id, place] = part.refusal
    return texts


@given(finished_runs())
def test_deltas_in_any_order_add_up_to_the_final_objects(finished: FinishedRun) -> None:
    deltas = [message_deltas(finished.rng, message) for message in finished.messages]
    deltas += [step_deltas(finished.rng, step) for step in finished.steps]
    events = mixed(finished.rng, deltas)
    before = encoded(events)
    snapshot = folded(events)
    for message in finished.messages:
        if message.content:
            grown = snapshot.message(message.id)
            assert grown is not None
            assert grown.content == message.content
            assert grown.text == message.text
    for step, way in zip(finished.steps, deltas[len(finished.messages) :], strict=True):
        if way:
            come = snapshot.run_step(step.id)
            assert come is not None
            assert come.step_details == step.step_details
    assert encoded(events) == before


@given(finished_runs())
def test_events_add_up_to_the_final_objects_before_and_after_these_come(finished: FinishedRun) -> None:
    events = run_events(finished)
    before = encoded(events)
    snapshot = RunSnapshot()
    seen: list[str] = []
    for event in events:
        data = event.data
        if isinstance(data, (Message, RunStep)):
            if data.id not in seen:
                seen.append(data.id)
            grown = snapshot.message(data.id) or snapshot.run_step(data.id)
            if data in (*finished.messages, *finished.steps) and data.status != "in_progress":
                assert isinstance(grown, (Message, RunStep))
                assert contents(grown) == contents(data)
        snapshot.add(event)
        assert snapshot.text == "".join(message.text for message in snapshot.messages)
    assert {message.id: message for message in snapshot.messages} == {one.id: one for one in finished.messages}
    assert {step.id: step for step in snapshot.run_steps} == {one.id: one for one in finished.steps}
    assert [message.id for message in snapshot.messages] == [id for id in seen if id.startswith("msg")]
    assert [step.id for step in snapshot.run_steps] == [id for id in seen if id.startswith("step")]
    assert snapshot.run == finished.run
    assert encoded(events) == before


def contents(grown: Message | RunStep) -> object:
    return grown.content if isinstance(grown, Message) else grown.step_details


def check_every_prefix(events: Events, run: Run, messages: Sequence[Message], steps: Sequence[RunStep]) -> None:
    """Wherever the events break off, what is missing makes them whole, and tells nothing twice."""
    before = encoded(events)
    for length in range(len(events) + 1):
        had = events[:length]
        snapshot = folded(had)
        missing = snapshot.missing_events(run, messages, steps)
        assert all(event.synthesized for event in missing)
        if length == len(events):
            assert missing == ()
            continue
        assert missing[-1].data is run
        names: list[str] = [event.event for event in missing]
        assert names.count(f"thread.run.{run.status}") == 1

        whole = [*had, *missing]
        texts = told(whole)
        for key, text in written(messages).items():
            assert texts.get(key, "") == text
        for key, text in argued(steps).items():
            assert sorted(texts.get(key, "")) == sorted(text)
        once = Counter((event.event, event.data.id) for event in whole if isinstance(event.data, (Message, RunStep)))
        assert all(count == 1 for (name, _), count in once.items() if not name.endswith("in_progress"))

        for event in missing:
            snapshot.add(event)
        assert snapshot.run == run
        assert {one.id: one for one in snapshot.messages} == {one.id: one for one in messages}
        assert {one.id: one for one in snapshot.run_steps} == {one.id: one for one in steps}
        assert snapshot.text == "".join(message.text for message in snapshot.messages)
        assert snapshot.missing_events(run, messages, steps) == ()
        assert [event.event for event in folded(whole[:-1]).missing_events(run, messages, steps)] == [whole[-1].event]
    assert encoded(events) == before


@given(finished_runs())
def test_wherever_events_break_off_what_is_missing_makes_them_whole(finished: FinishedRun) -> None:
    check_every_prefix(run_events(finished), finished.run, finished.messages, finished.steps)


@given(st.lists(GOING_ON, max_size=8), st.none() | st.one_of([EACH[kind] for kind in ENDS]))
def test_wherever_the_stream_of_a_server_breaks_off_what_is_missing_makes_it_whole(
    items: list[Item], end: Item | None
) -> None:
    bench = Bench()
    for item in [*items, *([end] if end is not None else [])]:
        try:
            bench.hear(item)
        except ValueError:
            continue  # the engine's fault
    bench.finish()
    check_bench(bench)
    if bench.run.status == "requires_action":
        bench.submit(*((id, "out") for id in waiting(bench.run)))
        bench.events += bench.machine.work()
        bench.hear("done")
        bench.finish()
        check_bench(bench)


def check_bench(bench: Bench) -> None:
    check_every_prefix(bench.events, bench.run, bench.answers, bench.steps)


def test_a_long_script_with_tools_is_made_whole_from_wherever_it_breaks_off() -> None:
    found = FileSearchResult("file_1", "a.txt", 0.5)
    engine = ScriptedEngine(
        [
            [
                "Let me ",
                Cite("look", "file_1", "so"),
                LinkFile("a.csv", "file_2"),
                ShowImage("file_3", "low"),
                Refuse("no"),
                Refuse("t that"),
                EndStep(),
                RunCode("1 +", id="code"),
                MoreCode(" 1"),
                PrintLogs("tw"),
                PrintLogs("o"),
                DrawImage("file_4"),
                SearchFiles((found,), id="search"),
                CallTool("f", '{"a":', id="call_a"),
                MoreArguments(" 1}"),
                CallTool("g", "{}", id="call_b"),
                Usage(1, 2, 3),
            ],
            ["It ", "is ", "done."],
        ]
    )
    bench = Bench()
    for turn in range(2):
        reply = engine.reply(bench.machine.turn())
        assert isinstance(reply, tuple)
        bench.hear(*reply)
        bench.finish()
        check_bench(bench)
        if turn == 0:
            bench.submit(("call_a", "one"), ("call_b", "two"))
            bench.events += bench.machine.work()
    assert bench.run.status == "completed"
    assert folded(bench.events).text == "Let me looka.csvIt is done."
