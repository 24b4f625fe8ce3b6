"""Whatever a server of responses says, in whatever pieces and with whatever left out: a legal run, with the same words."""

import itertools
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from bridged import JSON, Bridge, check_legal, text_of, wire
from conftest import NO_SHARED, SHARED
from hypothesis import given
from hypothesis import strategies as st
from machine_bench import Bench, waiting
from test_machine_properties import EACH, ENDS
from test_responses_machine import machine
from test_server_schema import description

from aiorunstream.backends.responses import TABLE
from aiorunstream.errors import StreamProtocolError, StreamTruncatedError
from aiorunstream.events import ErrorEvent, RunEvent, UnknownEvent
from aiorunstream.items import AskApproval, BreakOff, Cancel, CiteURL, Expire, Fail, Item, SendError, ShowImage, UseTool
from aiorunstream.models import (
    CodeInterpreterLogs,
    CodeInterpreterToolCall,
    FileSearchToolCall,
    FunctionToolCall,
    Message,
    RunStep,
    TextContentBlock,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.responses_machine import ResponseMachine

NOT_THE_SAME = (ShowImage, AskApproval, SendError, Cancel, Expire)
"""What responses have no word for, or what ends a stream otherwise."""
SAID = st.lists(
    st.one_of([strategy for kind, strategy in EACH.items() if kind not in (*ENDS, *NOT_THE_SAME)]), max_size=14
)
END: st.SearchStrategy[Item | None] = st.sampled_from([None, Fail("no"), BreakOff()])
FOLDED = (
    "response.output_text.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.refusal.done",
    "response.function_call_arguments.done",
    "response.code_interpreter_call_code.done",
    "response.code_interpreter_call.in_progress",
    "response.file_search_call.searching",
)


def sayable(items: list[Item]) -> tuple[list[Item], Bench, list[JSON]]:
    """Those of the items that can be said after each other, what a run makes of them, and the events of a response."""
    heard: list[Item] = []
    bench = Bench()
    response, events = begun([])
    for item in items:
        try:
            told_now = response.take(item)
        except ValueError:
            continue
        try:
            bench.hear(item)
        except ValueError:
            response, events = begun(heard)
            continue
        heard.append(item)
        events += told_now
    bench.finish()
    return heard, bench, events + response.finish()


def begun(items: list[Item]) -> tuple[ResponseMachine, list[JSON]]:
    """A response that has said those."""
    response = machine()
    events = [*response.start(), *response.work()]
    for item in items:
        events += response.take(item)
    return response, events


def mixed(events: list[JSON], choose: Callable[[int], int]) -> list[JSON]:
    """The events with the pieces of several items between each other; each item begins after those before it have."""
    ends = [event for event in events if "output_index" not in event]
    first = [event for event in ends if event["type"] in ("response.created", "response.in_progress")]
    items: dict[int, list[JSON]] = {}
    for event in events:
        if "output_index" in event:
            items.setdefault(event["output_index"], []).append(event)
    left, merged = dict(items), list[JSON]()
    begun = 0
    while left:
        may_go = [place for place in left if place <= begun]
        place = may_go[choose(len(may_go))]
        merged.append(left[place].pop(0))
        begun = max(begun, place + 1)
        if not left[place]:
            del left[place]
    found = [*first, *merged, *[event for event in ends if event not in first]]
    return [{**event, "sequence_number": number} for number, event in enumerate(found)]


def told(steps: tuple[RunStep, ...]) -> list[object]:
    """The tool calls of a run, without what responses cannot say of them."""
    found: list[object] = []
    for step in steps:
        for call in step.step_details.tool_calls if isinstance(step.step_details, ToolCallsStepDetails) else ():
            match call:
                case FunctionToolCall():
                    found.append((named(call.id), call.function.name, call.function.arguments))
                case CodeInterpreterToolCall():
                    logs = [one.logs for one in call.code_interpreter.outputs if isinstance(one, CodeInterpreterLogs)]
                    found.append((call.code_interpreter.input, logs, len(call.code_interpreter.outputs)))
                case FileSearchToolCall():
                    found.append([result.file_id for result in call.file_search.results or ()])
                case UnknownPart():
                    found.append({name: value for name, value in call.items() if name != "id"})
    return found


def named(id: str) -> str:
    """An id that the engine gave; each side makes the others itself."""
    return id if id in ("a", "b") else "made"


def words(messages: tuple[Message, ...]) -> list[list[str]]:
    """The parts of each message, as text."""
    return [
        [part.text.value if isinstance(part, TextContentBlock) else f"no: {part}" for part in one.content]
        for one in messages
    ]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[one:two] for one, two in itertools.pairwise(at)]


@given(SAID, END, st.data())
def test_what_is_said_comes_out_as_if_a_run_had_said_it(
    items: list[Item], end: Item | None, data: st.DataObject
) -> None:
    heard, bench, events = sayable([*items, *([] if end is None else [end])])
    left_out = data.draw(st.sets(st.sampled_from(FOLDED)), "left out")
    is_mixed = data.draw(st.booleans(), "mixed")
    if is_mixed:
        events = mixed(events, lambda count: data.draw(st.integers(0, count - 1)))
    events = [event for event in events if event["type"] not in left_out]
    bridge = Bridge()
    seen: list[RunEvent] = []
    for piece in cut(wire(events), data.draw(st.lists(st.integers(0, 1 << 20), max_size=6), "cuts")):
        seen += bridge.feed(piece)

    check_legal(seen)
    assert bridge.run.status == bench.run.status == bridge.protocol.outcome
    assert bridge.run.usage == bench.run.usage
    assert bridge.run.last_error == bench.run.last_error
    assert bridge.run.incomplete_details == bench.run.incomplete_details
    assert words(bridge.messages) == words(bench.answers), heard
    assert [message.status for message in bridge.messages] == [message.status for message in bench.answers]
    assert text_of(seen) == "".join(message.text for message in bench.answers)
    # What runs do not know is told when it ends, and nothing waits for it: that may be later than it began.
    calls, known = (sorted(told(of.steps), key=repr if is_mixed else lambda _: "") for of in (bridge, bench))
    if is_mixed and end is not None:  # or never, where the run broke off before
        assert all(call in known for call in calls)
        calls, known = ([call for call in some if not isinstance(call, dict)] for some in (calls, known))
    assert calls == known
    assert list(map(named, waiting(bridge.run))) == list(map(named, waiting(bench.run)))


@given(SAID, st.data())
def test_a_stream_that_ends_anywhere_tells_so_and_its_response_tells_the_rest(
    items: list[Item], data: st.DataObject
) -> None:
    _, bench, events = sayable(items)
    bridge = Bridge()
    upto = data.draw(st.integers(1, len(events) - 1))
    seen = bridge.hear(*events[:upto])
    with pytest.raises(StreamTruncatedError):
        bridge.feed(b"")
    bridge.bridged.hear_whole(events[-1]["response"])
    assert bridge.run.status == bench.run.status
    assert words(bridge.messages) == words(bench.answers)
    assert told(bridge.steps) == told(bench.steps)
    assert bridge.run.usage == bench.run.usage
    assert text_of(seen) == "".join(message.text for message in bench.answers)[: len(text_of(seen))]


@pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
@given(SAID, END)
def test_every_payload_is_as_described(items: list[Item], end: Item | None) -> None:
    described = description(Path(SHARED) / "wire" / "openapi-assistants.nullfix.json")
    # Of those there is no description; and a file without an id is none.
    known = [item for item in items if not isinstance(item, (UseTool, CiteURL)) and getattr(item, "file_id", "f") != ""]
    _, _, events = sayable([*known, *([] if end is None else [end])])
    for event in Bridge().hear(*events):
        assert not isinstance(event, UnknownEvent)
        described.check(msgspec.json.decode(msgspec.json.encode(event.data)), described.events[event.event])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "text", "content", "name", "call_id", "item", "delta"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
STRANGE = st.fixed_dictionaries(
    {"type": st.sampled_from([*TABLE, "response.of_tomorrow"])},
    optional={
        "output_index": st.integers(0, 2) | ANYTHING,
        "content_index": st.integers(0, 1) | ANYTHING,
        "item_id": st.sampled_from(["a", "b"]) | ANYTHING,
        "delta": ANYTHING,
        "text": ANYTHING,
        "part": ANYTHING,
        "annotation": ANYTHING,
        "item": ANYTHING | st.fixed_dictionaries({
            "type": st.sampled_from([
                "message", "function_call", "custom_tool_call", "code_interpreter_call", "file_search_call", "reasoning",
                "mcp_approval_request", "function_call_output", "hologram",
            ]),
            "id": st.sampled_from(["a", "b", ""]),
        }, optional={"name": st.text(max_size=2), "call_id": st.sampled_from(["a", "b"]), "content": ANYTHING}),
        "response": ANYTHING | st.fixed_dictionaries(
            {"id": st.just("resp_1")},
            optional={"status": st.sampled_from(["completed", "failed", "incomplete", "cancelled", "queued"]), "output": ANYTHING},
        ),
    },
)  # fmt: skip


@given(st.lists(STRANGE, max_size=10))
def test_whatever_comes_ends_in_a_legal_run_or_in_an_error_of_the_stream(events: list[JSON]) -> None:
    bridge = Bridge(on_error_event="yield")
    seen: list[RunEvent] = []
    try:
        for event in events:
            seen += bridge.hear(event)
        seen += bridge.feed(b"")
    except StreamTruncatedError:
        assert bridge.protocol.outcome is None
        return
    except StreamProtocolError as error:
        assert "two tool calls have the id" in str(error) or "leave or for outputs" in str(error)  # noqa: PT017
        return
    check_legal([event for event in seen if not isinstance(event, ErrorEvent)])
