"""OpenAI's own helper beside ours, on one server and script: what they tell is the same, but for its defects, named here."""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from heard import NAMES, Heard
from raw_server import COMPLETED, CREATED, DONE, RawServer, answering, event, stream_answer
from test_assistant_stream import place

from aiorunstream import AsyncClient, RunEvent
from aiorunstream.server import (
    BreakOff,
    CallTool,
    Cite,
    EndStep,
    Fail,
    MoreArguments,
    PrintLogs,
    RunCode,
    SearchFiles,
    ShowImage,
)

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai import AsyncAssistantEventHandler, AsyncOpenAI

# The package warns on every call of this protocol, which is all that is called here; for assistants in one bare word.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The Assistants API is deprecated in favor of the Responses API:DeprecationWarning",
    "ignore:deprecated$:DeprecationWarning",
)

PATIENCE = 10.0
Told = list[tuple[str, object]]


def essence(thing: Any) -> object:
    """What matters of an argument, as it is now: theirs are changed later."""
    if hasattr(thing, "event"):
        return str(thing.event)
    if hasattr(thing, "content"):
        return [essence(part) for part in thing.content or ()]
    for kind in ("text", "image_file", "function", "code_interpreter"):
        if hasattr(thing, kind):
            return essence(getattr(thing, kind))
    if hasattr(thing, "step_details"):
        return [essence(call) for call in getattr(thing.step_details, "tool_calls", None) or ()]
    names = ("value", "file_id", "name", "arguments", "output", "input", "refusal")
    found = {name: getattr(thing, name) for name in names if getattr(thing, name, None)}
    outputs = [getattr(output, "logs", None) for output in getattr(thing, "outputs", None) or ()]
    return {**found, "outputs": outputs} if outputs else found


class Theirs(AsyncAssistantEventHandler):
    """Writes down what the package tells."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Told = []


class Ours(Heard):
    """Writes down what we tell, in the same way."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Told = []


def telling(name: str) -> Callable[..., Coroutine[None, None, None]]:
    async def method(self: Theirs | Ours, *arguments: Any) -> None:
        self.told.append((name, [essence(argument) for argument in arguments]))

    return method


for name in NAMES:
    setattr(Theirs, name, telling(name))
    setattr(Ours, name, telling(name))


class Both(NamedTuple):
    """What both made of the same script."""

    theirs: Theirs
    ours: Ours
    their_events: list[Any]
    our_events: list[RunEvent]
    their_steps: list[Any]
    our_steps: Sequence[Any]


@asynccontextmanager
async def their_client(base_url: str) -> AsyncGenerator[AsyncOpenAI]:
    async with (
        asyncio.timeout(PATIENCE),
        AsyncOpenAI(
            base_url=base_url,
            api_key="sk-any",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        ) as client,
    ):
        yield client


async def both(*script: object) -> Both:
    """Plays the script to their helper, and again to ours."""
    theirs, ours = Theirs(), Ours()
    async with place([script, script]) as at, their_client(at.server.base_url) as client:
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        async with client.beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=at.assistant_id, event_handler=theirs
        ) as stream:
            their_events = [event async for event in stream]
            try:
                their_steps = await stream.get_final_run_steps()
            except RuntimeError:  # "No run steps found"
                their_steps = []
        async with at.stream(event_handler=ours) as our_stream:
            our_events = [event async for event in our_stream]
            our_steps = await our_stream.get_final_run_steps()
    return Both(theirs, ours, their_events, our_events, their_steps, our_steps)


PLAIN: dict[str, list[object]] = {
    "text": ["The ", "keeper ", "sleeps."],
    "nothing": [],
    "text that cites": ["See ", Cite("[1]", "file_1"), "."],
    "text and an image": ["See ", "this.", ShowImage("file_1")],
    "images": [ShowImage("file_1"), ShowImage("file_2")],
    "two messages": ["One", ".", EndStep(), "Two", "."],
    "a call": [CallTool("look", '{"a"', id="call_1"), MoreArguments(": 1}")],
    "calls": [CallTool(name, "{}", id=name) for name in ("look", "hear", "feel")],
    "text and a call": ["Let me see.", CallTool("look", "{}")],
    "a search": [SearchFiles(())],
    "fails": ["Half ", Fail("out of order")],
    "breaks off": ["Half ", BreakOff()],
}


@pytest.mark.parametrize("script", PLAIN)
async def test_of_a_plain_sequence_both_tell_the_same(script: str) -> None:
    found = await both(*PLAIN[script])
    # After a call of the server's own its end is told twice: see below.
    theirs = found.theirs.told if script != "a search" else without_doubles(found.theirs.told)
    assert found.ours.told == theirs
    assert found.ours.told[-1] == ("on_end", [])
    assert [event.event for event in found.our_events] == [event.event for event in found.their_events]
    assert [step.type for step in found.our_steps] == [step.type for step in found.their_steps]


def without_doubles(told: Told) -> Told:
    """Without the ends of tool calls that had ended before."""
    ends = [place for place, (name, _) in enumerate(told) if name == "on_tool_call_done"]
    return [one for place, one in enumerate(told) if place not in ends[1:]]


def told_of(told: Told, name: str) -> list[object]:
    return [arguments for called, arguments in told if called == name]


# -- its defects -------------------------------------------------------------------------------------------------------


async def test_defect_a_delta_goes_to_the_message_that_began_last() -> None:
    def message(kind: str, id: str, *content: dict[str, object]) -> bytes:
        base = {"id": id, "object": "thread.message", "role": "assistant", "status": "in_progress", "created_at": 1}
        return event(f"thread.message.{kind}", {**base, "thread_id": "thread_raw", "content": content})

    def text(id: str, value: str) -> bytes:
        part: dict[str, object] = {"index": 0, "type": "text", "text": {"value": value}}
        return event("thread.message.delta", {"id": id, "object": "thread.message.delta", "delta": {"content": [part]}})

    def whole(value: str) -> dict[str, object]:
        return {"type": "text", "text": {"value": value, "annotations": []}}

    events = [message("created", "a"), message("created", "b"), text("a", "A1"), text("b", "B1"), text("a", "A2")]
    ends = [message("completed", "a", whole("A1A2")), message("completed", "b", whole("B1"))]
    theirs, ours = Theirs(), Ours()
    script = answering(stream_answer(CREATED, *events, *ends, COMPLETED, DONE))
    async with RawServer(script) as server, their_client(server.base_url) as client:
        async with client.beta.threads.runs.stream(
            thread_id="thread_raw", assistant_id="asst_raw", event_handler=theirs
        ) as stream:
            await stream.until_done()
        async with (
            AsyncClient(base_url=server.base_url) as our_client,
            our_client.threads.runs.stream("thread_raw", assistant_id="asst_raw", event_handler=ours) as our_stream,
        ):
            await our_stream.until_done()
    snapshots = [
        [{"value": delta}, {"value": so_far}] for delta, so_far in (("A1", "A1"), ("B1", "B1"), ("A2", "A1A2"))
    ]
    assert told_of(ours.told, "on_text_delta") == snapshots
    mixed = [
        [{"value": delta}, {"value": so_far}] for delta, so_far in (("A1", "A1"), ("B1", "A1B1"), ("A2", "A1B1A2"))
    ]
    assert told_of(theirs.told, "on_text_delta") == mixed


async def test_defect_final_steps_are_still_in_progress() -> None:
    found = await both("Hello")
    assert [step.status for step in found.our_steps] == ["completed"]
    assert [step.status for step in found.their_steps] == ["in_progress"]


async def test_defect_the_first_call_of_a_second_step_does_not_begin() -> None:
    found = await both(RunCode("1"), EndStep(), RunCode("2"))
    assert len(told_of(found.ours.told, "on_tool_call_created")) == 2
    assert len(told_of(found.theirs.told, "on_tool_call_created")) == 1


async def test_defect_a_call_is_done_again_with_each_step_and_with_the_run() -> None:
    found = await both(RunCode("1"), PrintLogs("1"), EndStep(), "One.")
    assert told_of(found.ours.told, "on_tool_call_done") == [[{"input": "1", "outputs": ["1"]}]]
    assert len(told_of(found.theirs.told, "on_tool_call_done")) == 3
    assert found.ours.told == without_doubles(found.theirs.told)


async def test_defect_events_that_were_handed_out_are_changed_afterwards() -> None:
    found = await both("Hel", "lo")
    (ours,) = [event for event in found.our_events if event.event == "thread.message.created"]
    (theirs,) = [event for event in found.their_events if event.event == "thread.message.created"]
    assert essence(ours.data) == []
    assert essence(theirs.data) == [{"value": "Hello"}]


async def test_defect_a_text_begins_before_the_part_in_front_of_it_is_done() -> None:
    found = await both(ShowImage("file_1"), "This.")
    ends = ("on_image_file_done", "on_text_created", "on_text_delta")
    assert [name for name, _ in found.ours.told if name in ends] == list(ends)
    assert [name for name, _ in found.theirs.told if name in ends] == [ends[1], ends[2], ends[0]]
    assert sorted(found.ours.told, key=repr) == sorted(found.theirs.told, key=repr)
