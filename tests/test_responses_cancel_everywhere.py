"""A cancel at every point of a run over responses: nothing is left open, and its thread can be used by whoever comes next."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import test_cancel_everywhere
from bridged import text_of
from conftest import LONG
from server_client import until
from test_cancel_everywhere import cancelled_at_every_point

from aiorunstream import AsyncClient, MemoryThreadStore, NotFoundError, ResponsesBackend, RunStream, ToolOutput
from aiorunstream.backends.responses import ThreadMode
from aiorunstream.server import CallTool, Item, Say, Turn
from aiorunstream.testing import ThreadedServer

WAYS = ("conversation", "background", *(("previous_response_id", "replay") if LONG else ()))
PLACES = [f"place {number} " for number in range(16)]


class Looks:
    """An engine that calls a function, and then talks."""

    async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
        if not turn.tool_outputs:
            yield Say("Let me see. ")
            yield CallTool("look", "{}")
            return
        for word in PLACES:
            await asyncio.sleep(0.002)
            yield Say(word)


class Far(MemoryThreadStore):
    """A store that takes its time."""

    async def load(self, thread_id: str) -> bytes | None:
        await asyncio.sleep(0)
        return await super().load(thread_id)

    async def save(self, thread_id: str, data: bytes) -> None:
        await asyncio.sleep(0)
        await super().save(thread_id, data)


def a_client(way: str, store: MemoryThreadStore, base_url: str, **settings: Any) -> AsyncClient:
    background = way == "background"
    threads: ThreadMode = "conversation" if background else way  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assistants = {"asst_1": {"model": "any"}}
    backend = ResponsesBackend(base_url, threads=threads, background=background, store=store, assistants=assistants)
    return AsyncClient(backend=backend, **settings)


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("twice", [False, True] if LONG else [False], ids=["once", "twice"] if LONG else ["once"])
async def test_whenever_a_program_is_cancelled_its_thread_goes_on(
    monkeypatch: pytest.MonkeyPatch, way: str, *, twice: bool, cancel_on_exit: bool
) -> None:
    store = Far()
    with ThreadedServer(engine=Looks()) as server:
        threads: list[str] = []

        async def program(client: AsyncClient) -> None:
            thread = await client.threads.create(messages=[{"role": "user", "content": "Where?"}])
            threads.append(thread.id)
            await client.threads.messages.create(thread.id, role="user", content="Now?")
            async with client.threads.runs.create_stream(thread.id, assistant_id="asst_1") as stream:
                async for _event in stream:
                    pass
            async with stream.submit_tool_outputs(outputs(stream)) as more:
                async for _event in more:
                    pass

        async def nothing_is_left() -> None:
            await until(lambda: server.open_streams == 0, 3)
            for thread_id in threads:
                async with a_client(way, store, server.base_url) as client, asyncio.timeout(3):
                    await goes_on(client, thread_id)
            threads.clear()

        monkeypatch.setattr(test_cancel_everywhere, "AsyncClient", partial(a_client, way, store))
        points = await cancelled_at_every_point(
            server.base_url, program, nothing_is_left, twice=twice, cancel_on_exit=cancel_on_exit
        )
        print(f"{points} points")
        assert points > 12  # a busy machine reads several pieces at once


async def goes_on(client: AsyncClient, thread_id: str) -> None:
    """Somebody else takes the thread up: what is still going on there ends or is cancelled, and a new run is made."""
    try:
        await client.threads.retrieve(thread_id)
    except NotFoundError:
        return  # it was never kept
    runs = client.threads.runs
    async with runs.create_stream(thread_id, assistant_id="asst_1", if_active="cancel") as stream:
        events = [event async for event in stream]
        if stream.outcome == "requires_action":
            async with stream.submit_tool_outputs(outputs(stream)) as more:
                events = [event async for event in more]
        # Else it was told that the call of the run before has no output.
        assert text_of(events) == "".join(PLACES)
    async for run in runs.list(thread_id):
        assert run.is_terminal or run.id == stream.run_id
    said = [message async for message in client.threads.messages.list(thread_id, order="asc")]
    assert [message.text for message in said if message.role == "user"] in (["Where?"], ["Where?", "Now?"])


def outputs(stream: RunStream) -> list[ToolOutput]:
    """An output for each call the run waits for."""
    assert stream.run is not None
    return [ToolOutput(tool_call_id=str(getattr(call, "id")), output="x") for call in stream.run.tool_calls]  # noqa: B009
