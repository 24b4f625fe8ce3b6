"""The engine that needs no model: what it says to a turn, and that it always says the same."""

import itertools
from collections.abc import Iterable

import msgspec
import pytest

from aiorunstream.engine import DefaultEngine, Turn
from aiorunstream.intake import read_params
from aiorunstream.items import CallTool, Item, MoreArguments, Say
from aiorunstream.machine import RunMachine
from aiorunstream.models import RequiredActionFunctionToolCall, Usage
from aiorunstream.params import (
    AssistantCreateParams,
    MessageCreateParams,
    RunCreateParams,
    RunSubmitToolOutputsParams,
    ThreadCreateParams,
)
from aiorunstream.store import Store

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "kelvin"]},
                "days": {"type": "integer"},
                "tags": {"type": "array"},
                "note": {"type": ["null", "string"]},
                "mode": {"type": "string", "default": "brief"},
                "deep": {"type": "object", "properties": {"yes": {"type": "boolean"}}},
            },
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}


def machine_for(text: str, **params: object) -> RunMachine:
    """A run that is being worked on, of a thread with one message."""
    numbers = itertools.count(1)
    store = Store(clock=lambda: 1_000, new_id=lambda prefix: f"{prefix}_{next(numbers)}")
    assistant = store.create_assistant(AssistantCreateParams(model="parrot"))
    thread = store.create_thread(ThreadCreateParams(messages=[MessageCreateParams(role="user", content=text)]))
    build = read_params(RunCreateParams, {"assistant_id": assistant.id, **params})
    machine = RunMachine(store, store.create_run(thread.id, build))
    machine.work()
    return machine


def said(items: Iterable[Item]) -> str:
    return "".join(item.text for item in items if isinstance(item, Say))


def calls(items: Iterable[Item]) -> list[str]:
    return [item.name for item in items if isinstance(item, CallTool)]


def reply(turn: Turn) -> list[Item]:
    items = list(DefaultEngine().reply(turn))
    assert items == list(DefaultEngine().reply(turn)), "the same conversation, the same answer"
    return items


def test_the_default_engine_says_the_message_back_in_words() -> None:
    items = reply(machine_for("Good  morning").turn())
    assert "“Good morning”" in said(items)
    assert sum(isinstance(item, Say) for item in items) > 5
    usage = items[-1]
    assert isinstance(usage, Usage)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_default_engine_keeps_a_long_message_short() -> None:
    assert len(said(reply(machine_for("word " * 1_000).turn()))) < 400


def test_the_default_engine_calls_the_function_that_is_named() -> None:
    items = reply(machine_for("Call Get_Weather, please", tools=[WEATHER, TIME]).turn())
    assert calls(items) == ["get_weather"]
    arguments = "".join(item.text for item in items if isinstance(item, MoreArguments))
    assert msgspec.json.decode(arguments) == {
        "city": "Call Get_Weather, please",
        "unit": "celsius",
        "days": 1,
        "tags": [],
        "note": None,
        "mode": "brief",
        "deep": {"yes": True},
    }
    assert calls(reply(machine_for("forget_weather", tools=[WEATHER]).turn())) == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"tool_choice": "none"}, []),
        ({"tool_choice": "required"}, ["get_weather", "get_time"]),
        ({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, ["get_time"]),
        ({"parallel_tool_calls": False}, ["get_weather"]),
    ],
)
def test_the_default_engine_heeds_the_runs_tool_settings(params: dict[str, object], expected: list[str]) -> None:
    machine = machine_for("get_weather and get_time", tools=[WEATHER, TIME], **params)
    assert calls(reply(machine.turn())) == expected


def test_a_function_that_must_be_called_need_not_be_named() -> None:
    assert calls(reply(machine_for("Hello", tools=[TIME], tool_choice="required").turn())) == ["get_time"]


def test_the_default_engine_quotes_the_outputs() -> None:
    machine = machine_for("get_time now", tools=[TIME])
    for item in reply(machine.turn()):
        machine.take(item)
    machine.finish()
    (call,) = machine.run.tool_calls
    assert isinstance(call, RequiredActionFunctionToolCall)
    machine.submit(RunSubmitToolOutputsParams(tool_outputs=[{"tool_call_id": call.id, "output": "noon"}]))
    answer = said(reply(machine.turn()))
    assert "get_time" in answer
    assert "“noon”" in answer


def test_a_question_is_taken_as_one() -> None:
    assert said(reply(machine_for("Who are you?").turn())).startswith("You asked: “Who are you?”")


def test_a_thread_without_text_of_the_user_is_answered_too() -> None:
    machine = machine_for("x")
    turn = msgspec.structs.replace(machine.turn(), messages=())
    assert turn.user_text == ""
    assert said(reply(turn)) != ""
