"""What a batch does with runs that an earlier process began, and of which there is only the note in the journal."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_site import Fields, batch, results_in, runs_of, write_requests

from aiorunstream import AsyncClient
from aiorunstream.cli._batch_requests import MARKER, marker
from aiorunstream.models import Run
from aiorunstream.server import CallTool, Fault
from aiorunstream.testing import ThreadedServer

SAID = "You wrote “{}”, and here it comes back to you one word at a time, with no model behind it."
LONG_TEXT = " ".join("a" * 50)  # seconds, where pieces come slowly
WEATHER: dict[str, object] = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
TOOLS = """
from aiorunstream import ToolSet

def get_weather(city: str) -> str:
    return f"rain in {city}"

tools = ToolSet([get_weather])
"""


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer() as running:
        yield running


class Before:
    """What an earlier process has left: runs at the server, and a journal."""

    def __init__(self, client: AsyncClient, assistant_id: str, output: Path) -> None:
        self.client = client
        self.assistant_id = assistant_id
        self.runs: dict[str, Run] = {}
        self._journal = output.with_name(f"{output.name}.journal")
        self._journal.write_text(json.dumps({"batch": "b1"}) + "\n")

    def note(self, key: str, thread_id: str) -> None:
        with self._journal.open("a") as file:
            file.write(json.dumps({"key": key, "thread_id": thread_id}) + "\n")

    async def thread(self, key: str, content: str | None = None) -> str:
        said: list[dict[str, object]] = [] if content is None else [{"role": "user", "content": content}]
        thread = await self.client.threads.create(messages=said)
        self.note(key, thread.id)
        return thread.id

    async def run(self, key: str, thread_id: str, **more: Any) -> Run:
        metadata = {MARKER: marker("b1", key)}
        run = await self.client.threads.runs.create(
            thread_id, assistant_id=self.assistant_id, metadata=metadata, **more
        )
        self.runs[key] = run
        return run

    async def cancelled(self, key: str, thread_id: str, **more: Any) -> None:
        run = await self.run(key, thread_id, **more)
        await self.client.threads.runs.cancel(run.id, thread_id=thread_id)

    async def finished(self, key: str, thread_id: str, **more: Any) -> Run:
        run = await self.run(key, thread_id, **more)
        return await self.client.threads.runs.poll(run.id, thread_id=thread_id)


def before(server: ThreadedServer, output: Path, leave: Callable[[Before], Awaitable[None]]) -> Before:
    """Has an earlier process leave that."""

    async def act() -> Before:
        async with AsyncClient(base_url=server.base_url, api_key="") as client:
            left = Before(client, server.create_assistant().id, output)
            await leave(left)
            return left

    return asyncio.run(act())


def go_on(
    server: ThreadedServer, left: Before, output: Path, requests: list[Fields], *more: str
) -> "subprocess.CompletedProcess[str]":
    """The next process."""
    file = write_requests(output.with_name("requests.jsonl"), requests)
    at = ["--base-url", server.base_url, "-a", left.assistant_id]
    return batch(file, "-o", output, *at, "--resume", *more, cwd=output.parent)


def said_on(server: ThreadedServer, thread_id: str) -> list[str]:
    """What the user has said there."""

    async def read() -> list[str]:
        async with AsyncClient(base_url=server.base_url, api_key="") as client:
            messages = [message async for message in client.threads.messages.list(thread_id)]
            return [message.text for message in messages if message.role == "user"]

    return asyncio.run(read())


def by_key(output: Path) -> dict[str, Fields]:
    found = {str(result["key"]): result for result in results_in(output)}
    assert len(found) == len(results_in(output))
    return found


def runs_for(server: ThreadedServer, key: str) -> list[Run]:
    return [run for run in runs_of(server) if (run.metadata or {}).get(MARKER) == marker("b1", key)]


def test_runs_of_an_earlier_process_are_taken_over_and_none_is_made_twice(tmp_path: Path) -> None:
    with ThreadedServer(delay=0.05) as slow:
        _take_over(slow, tmp_path)


def _take_over(server: ThreadedServer, tmp_path: Path) -> None:
    threads: dict[str, str] = {}

    async def leave(left: Before) -> None:
        for key, content in said.items():
            threads[key] = await left.thread(key, None if key.startswith("on mine") else content)
        await left.finished("finished", threads["finished"])
        await left.finished("on mine", threads["on mine"], additional_messages=[{"role": "user", "content": "Six"}])
        await left.client.threads.delete(threads["gone"])
        await left.cancelled("cancelled", threads["cancelled"])
        eight = [{"role": "user", "content": "Eight"}]
        await left.cancelled("on mine, cancelled", threads["on mine, cancelled"], additional_messages=eight)
        await left.run("under way", threads["under way"])

    said = {
        "finished": "One",
        "under way": LONG_TEXT,
        "cancelled": "Three",
        "never begun": "Four",
        "gone": "Five",
        "on mine": "Six",
        "on mine, never begun": "Seven",
        "on mine, cancelled": "Eight",
    }
    output = tmp_path / "results.jsonl"
    left = before(server, output, leave)
    requests: list[Fields] = [
        {"key": key, "content": content, **({"thread_id": threads[key]} if key.startswith("on mine") else {})}
        for key, content in said.items()
    ]
    ended = go_on(server, left, output, requests)

    assert ended.returncode == 0, ended.stderr
    results = by_key(output)
    assert {key: result["text"] for key, result in results.items()} == {
        key: SAID.format(content) for key, content in said.items()
    }
    found = {key for key, result in results.items() if result["found"]}
    assert found == {"finished", "under way", "on mine"}
    assert all(results[key]["run_id"] == left.runs[key].id for key in found)
    assert {key: len(runs_for(server, key)) for key in said} == {key: 1 + key.endswith("cancelled") for key in said}
    assert results["never begun"]["thread_id"] == threads["never begun"]
    assert (
        results["cancelled"]["thread_id"] != threads["cancelled"]
    )  # the second run is not to read what the first said
    for key in ("on mine", "on mine, never begun", "on mine, cancelled"):
        assert said_on(server, threads[key]) == [said[key]]  # nothing was said twice on a thread of somebody's own


def test_where_runs_cannot_be_looked_for_the_outcome_is_unknown_until_somebody_says_retry(
    server: ThreadedServer, tmp_path: Path
) -> None:
    async def leave(left: Before) -> None:
        await left.finished("a", await left.thread("a", "One"))

    output = tmp_path / "results.jsonl"
    left = before(server, output, leave)
    server.inject(Fault("refuse", status=405, operation="list_runs", times=None))
    ended = go_on(server, left, output, [{"key": "a", "content": "One"}])
    (result,) = results_in(output)
    assert (ended.returncode, result["status"], result["thread_id"]) == (1, None, left.runs["a"].thread_id)
    assert '"type":"RunOutcomeUnknownError"' in output.read_text()
    assert "--retry-failed makes again what failed" in ended.stderr
    assert len(runs_for(server, "a")) == 1

    again = go_on(server, left, output, [{"key": "a", "content": "One"}], "--retry-failed")
    assert again.returncode == 0, again.stderr
    (result,) = results_in(output)
    assert (result["status"], result["found"]) == ("completed", False)
    assert result["thread_id"] != left.runs["a"].thread_id
    assert len(runs_for(server, "a")) == 2


def test_a_run_that_waits_for_its_functions_has_them_called_by_the_next_process(
    server: ThreadedServer, tmp_path: Path
) -> None:
    async def leave(left: Before) -> None:
        waiting = await left.finished("a", await left.thread("a", "Weather?"), tools=[WEATHER])
        assert waiting.status == "requires_action"

    output = tmp_path / "results.jsonl"
    (tmp_path / "mine.py").write_text(TOOLS)
    server.script([[CallTool("get_weather", '{"city": "Oslo"}')], ["It rains."]])
    left = before(server, output, leave)
    ended = go_on(server, left, output, [{"key": "a", "content": "Weather?"}], "--tools", "mine:tools")
    assert ended.returncode == 0, ended.stderr
    (result,) = results_in(output)
    assert (result["run_id"], result["text"], result["found"]) == (left.runs["a"].id, "It rains.", True)
    assert len(runs_for(server, "a")) == 1
