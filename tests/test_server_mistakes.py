"""Engines that say what they cannot mean: their runs fail, their streams end, and the server can still tell of both."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import aiohttp
import msgspec
import pytest
from server_client import JSON, PATIENCE, Http, events_of, serving

from aiorunstream.items import (
    AskApproval,
    CallTool,
    Cite,
    Fail,
    MoreArguments,
    PrintLogs,
    RunCode,
    Say,
    SearchFiles,
    SendError,
    ShowImage,
    UseTool,
)
from aiorunstream.models import FileSearchResult
from aiorunstream.server import Item, Turn

HALF = "half a pair: \ud83d"


class Text(str):
    """Text that msgspec does not write."""

    __slots__ = ()


class Saying:
    """Says what it makes in each turn."""

    def __init__(self, items: Callable[[], Iterable[Any]]) -> None:
        self.items = items

    def reply(self, turn: Turn, /) -> Iterator[Item]:
        yield from self.items()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "aiorunstream.server")


def later(*items: Any) -> Iterator[Any]:
    """The items; those that are functions are made only when it is their turn."""
    for item in items:
        yield item() if callable(item) else item


def made_later(make: Callable[..., Item], *args: Any, **more: Any) -> Callable[[], Item]:
    return lambda: make(*args, **more)


MISTAKES: dict[str, tuple[Any, ...]] = {
    "a number": ("a", made_later(Say, 5)),
    "bytes": ("a", made_later(Say, b"bytes")),
    "nothing": ("a", made_later(Say, None)),
    "arguments as a dict": (made_later(CallTool, "f", {"city": "Oslo"}),),
    "no arguments": (CallTool("f"), made_later(MoreArguments, None)),
    "an id that is none": (made_later(CallTool, "f", id=7),),
    "logs": (RunCode("x"), made_later(PrintLogs, 5)),
    "an object": (made_later(UseTool, {"type": "bing", "x": object()}),),
    "half a pair in a tool": (made_later(UseTool, {"type": "bing", "x": HALF}),),
    "half a pair": ("a", made_later(Say, HALF)),
    "half a pair in plain text": ("a", HALF),
    "half a pair in a find": (made_later(SearchFiles, (FileSearchResult("f", HALF),)),),
    "half a pair in leave": (made_later(AskApproval, "f", HALF),),
    "odd text": ("a", made_later(ShowImage, Text("file"))),
    "odd plain text": ("a", Text("b")),
    "a failure": ("a", made_later(Fail, 5)),
    "an error": ("a", made_later(SendError, "m", code=HALF)),
    "a citation": ("a", made_later(Cite, "b", "f", HALF)),
}


@pytest.mark.parametrize("items", MISTAKES.values(), ids=MISTAKES)
async def test_a_run_whose_engine_says_what_it_cannot_mean_fails(items: tuple[Any, ...]) -> None:
    async with serving(engine=Saying(lambda: later(*items))) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            events = await events_of(response)
        run: Any = events[-1].data
        assert (events[-1].event, run.last_error.message) == ("thread.run.failed", "The engine failed: ValueError.")
        await look_at(http, path)


@pytest.mark.parametrize("items", MISTAKES.values(), ids=MISTAKES)
async def test_a_response_whose_engine_says_what_it_cannot_mean_fails(items: tuple[Any, ...]) -> None:
    async with serving(engine=Saying(lambda: later(*items))) as (server, _), aiohttp.ClientSession() as session:
        body = {"model": "any", "input": "Hello", "stream": True}
        async with session.post(f"{server.base_url}/responses", json=body) as response:
            told = [
                msgspec.json.decode(line[5:]) for line in (await response.text()).splitlines() if line[:5] == "data:"
            ]
        assert told[-1]["type"] == "response.failed"
        assert told[-1]["response"]["error"]["message"] == "The engine failed: ValueError."


async def look_at(http: Http, runs: str) -> JSON:
    """The one run at the path, which must have failed, with its steps and messages, which must be over."""
    (run,) = (await http.get(runs))["data"]
    assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
    steps = (await http.get(f"{runs}/{run['id']}/steps"))["data"]
    assert {step["status"] for step in steps} <= {"failed"}
    messages = (await http.get(runs.replace("/runs", "/messages")))["data"]
    assert [message["status"] for message in messages if message["role"] == "assistant"] in ([], ["incomplete"])
    return {"run": run, "steps": steps, "messages": messages}


def changed_afterwards() -> Iterator[Any]:
    """A call that is changed once it has been said."""
    call: dict[str, Any] = {"type": "bing", "bing": {"queries": ["dogs"]}}
    item = UseTool(call)
    call["x"] = object()
    call["bing"]["queries"].append(object())
    yield item


async def test_what_is_changed_in_a_call_after_it_was_said_is_not_said() -> None:
    async with serving(engine=Saying(changed_afterwards)) as (_, http):
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            assert b"thread.run.completed" in await asyncio.wait_for(response.read(), PATIENCE)
        (run,) = (await http.get(path))["data"]
        (step,) = (await http.get(f"{path}/{run['id']}/steps"))["data"]
        (call,) = step["step_details"]["tool_calls"]
        assert {name: call[name] for name in call if name != "id"} == {"type": "bing", "bing": {"queries": ["dogs"]}}
