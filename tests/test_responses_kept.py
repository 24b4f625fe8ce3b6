"""Threads that are kept outside of the process: what the next process finds, however this one was left."""

import asyncio
from typing import Any

import msgspec
import pytest
from bridge_client import asked, read, texts
from bridged import JSON, check_legal, names
from played_responses import BREAK, SILENCE, Played, beginning, beside, playing, response, short
from response_events import called, message
from server_client import until

from aiorunstream import AsyncClient, RunStreamError, StreamInterruptedError
from aiorunstream.backends.responses import MemoryThreadStore, ThreadMode

CHAINED: list[ThreadMode] = ["conversation", "previous_response_id"]
OUTPUTS: list[JSON] = [{"tool_call_id": "call_1", "output": "seen"}]


class SlowStore(MemoryThreadStore):
    """A store that takes its time to save, and fails when it is told to."""

    fails = False

    async def save(self, thread_id: str, data: bytes) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        if self.fails:
            raise OSError("the disk is full")
        await super().save(thread_id, data)


def copied(store: MemoryThreadStore) -> MemoryThreadStore:
    """What is there if the process dies now."""
    copy = MemoryThreadStore()
    copy.threads = dict(store.threads)
    return copy


def kept_runs(store: MemoryThreadStore, thread_id: str) -> list[str]:
    """How the runs are that are kept of a thread."""
    kept: JSON = msgspec.json.decode(store.threads[thread_id])
    return [run["status"] for run in kept["runs"]]


def works_with_nothing(client: AsyncClient) -> bool:
    """Whether each thread is only where it is kept."""
    backend: Any = getattr(client, "_backend")  # noqa: B009
    return not backend._threads.working_set


async def answered(client: AsyncClient, thread_id: str, run_id: str) -> list[str]:
    """The names of the events after the outputs."""
    async with client.threads.runs.submit_tool_outputs_stream(
        run_id, thread_id=thread_id, tool_outputs=OUTPUTS
    ) as stream:
        return names([event async for event in stream])


# -- which response is under way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", CHAINED)
@pytest.mark.parametrize("stored", [False, True])
async def test_a_break_before_the_second_response_has_begun_does_not_bring_the_first_back(
    threads: ThreadMode,
    stored: bool,  # noqa: FBT001
) -> None:
    server = Played(short("resp_1", called()), [BREAK])
    server.kept["resp_1"] = response("resp_1", called())
    async with playing(server, threads, store=MemoryThreadStore() if stored else None) as (client, _):
        thread_id = await asked(client)
        run_id = getattr((await read(client, thread_id))[-1].data, "id")  # noqa: B009
        with pytest.raises(StreamInterruptedError):
            await answered(client, thread_id, run_id)
        if stored:
            await until(lambda: works_with_nothing(client))
        run = await client.threads.runs.retrieve(run_id, thread_id=thread_id)
        assert run.status == "failed", "its calls would be made twice"
        steps = [step async for step in client.threads.runs.steps.list(run_id, thread_id=thread_id)]
        assert [step.status for step in steps] == ["completed"]


@pytest.mark.parametrize("threads", CHAINED)
async def test_a_process_that_dies_after_the_outputs_were_taken_leaves_no_run_that_asks_again(
    threads: ThreadMode,
) -> None:
    store = MemoryThreadStore()
    server = Played(short("resp_1", called()), beginning("resp_2"))
    server.kept |= {"resp_1": response("resp_1", called()), "resp_2": response("resp_2", message("Done."))}
    async with playing(server, threads, store=store) as (client, raw):
        thread_id = await asked(client)
        run_id = getattr((await read(client, thread_id))[-1].data, "id")  # noqa: B009
        stream = await client.threads.runs.submit_tool_outputs_stream(run_id, thread_id=thread_id, tool_outputs=OUTPUTS)
        async with beside(raw, threads, store=copied(store)) as later:
            assert (await later.threads.runs.retrieve(run_id, thread_id=thread_id)).status == "failed"
        await stream.aclose()


async def test_a_run_in_the_background_that_an_earlier_version_has_saved_is_found_again() -> None:
    store = MemoryThreadStore()
    server = Played(beginning("resp_1"))
    server.kept["resp_1"] = response("resp_1", message("Done."))
    async with playing(server, "previous_response_id", store=store, background=True) as (client, raw):
        thread_id = await asked(client)
        stream = await client.threads.runs.create_stream(thread_id, assistant_id="asst_1")
        kept = copied(store)
        saved: dict[str, Any] = msgspec.json.decode(kept.threads[thread_id])
        assert saved["going_on"][0].pop("response_id") == "resp_1"
        kept.threads[thread_id] = msgspec.json.encode(saved)
        async with beside(raw, "previous_response_id", store=kept, background=True) as later:
            run = await later.threads.runs.retrieve(stream.run_id or "", thread_id=thread_id)
            assert run.status == "completed"
        await stream.aclose()


# -- whose run it is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["answered", "cancelled"])
async def test_a_saved_run_whose_assistant_is_gone_locks_nothing(ends: str) -> None:
    store = MemoryThreadStore()
    server = Played(short("resp_1", called()), short("resp_2", message("Done.")))
    async with playing(server, store=store) as (client, raw):
        assistant = await client.assistants.create(model="parrot", instructions="Be brief.")
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id=assistant.id) as stream:
            check_legal([event async for event in stream])
        run_id = stream.run_id or ""
        async with beside(raw, store=store) as later:
            assert await texts(later, thread_id) == [("user", "Hello")]
            assert (await later.threads.runs.retrieve(run_id, thread_id=thread_id)).assistant_id == assistant.id
            if ends == "cancelled":
                run = await later.threads.runs.cancel(run_id, thread_id=thread_id)
                assert run.status == "cancelled"
            else:
                assert (await answered(later, thread_id, run_id))[-1] == "thread.run.completed"
                assert server.bodies[1]["instructions"] == "Be brief."
            assert (await later.threads.delete(thread_id)).deleted


# -- when it is saved --------------------------------------------------------------------------------------------------


async def test_whoever_is_told_that_a_run_waits_can_answer_it_from_another_process() -> None:
    store = SlowStore()
    server = Played(short("resp_1", called()), short("resp_2", message("Done.")))
    async with playing(server, store=store) as (client, raw), beside(raw, store=store) as elsewhere:
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            async for event in stream:
                if event.event == "thread.run.requires_action":
                    assert (await answered(elsewhere, thread_id, stream.run_id or ""))[-1] == "thread.run.completed"


async def test_whoever_is_told_that_a_run_is_over_can_go_on_in_another_process() -> None:
    store = SlowStore()
    server = Played(short("resp_1", message("One.")), short("resp_2", message("Two.")))
    async with playing(server, store=store) as (client, raw), beside(raw, store=store) as elsewhere:
        thread_id = await asked(client)
        await read(client, thread_id)
        await elsewhere.threads.messages.create(thread_id, role="user", content="Next")
        await read(elsewhere, thread_id)
        assert [text for _, text in await texts(client, thread_id)] == ["Hello", "One.", "Next", "Two."]


async def test_whoever_is_told_of_an_error_finds_a_run_that_has_failed_in_another_process() -> None:
    store = SlowStore()
    failing: list[JSON] = [*beginning("resp_1"), {"type": "error", "code": "server_error", "message": "boom"}]
    async with playing(Played(failing), store=store) as (client, raw), beside(raw, store=store) as elsewhere:
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            with pytest.raises(RunStreamError, match="boom"):
                [event async for event in stream]
            assert stream.events_seen == 3
        run = await elsewhere.threads.runs.retrieve(stream.run_id or "", thread_id=thread_id)
        assert run.last_error is not None
        assert run.last_error.message == "boom"


async def test_only_the_last_event_waits_until_the_thread_is_saved() -> None:
    may_save = asyncio.Event()
    may_save.set()

    class Stuck(MemoryThreadStore):
        async def save(self, thread_id: str, data: bytes) -> None:
            await may_save.wait()
            await super().save(thread_id, data)

    store = Stuck()
    async with playing(Played(short("resp_1", message("One."))), store=store) as (client, _), asyncio.timeout(5):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            may_save.clear()
            while (await anext(stream)).event != "thread.run.step.completed":
                pass
            last = asyncio.ensure_future(anext(stream))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not last.done()
            may_save.set()
            assert (await last).event == "thread.run.completed"


async def test_a_reader_that_is_cancelled_while_the_thread_is_saved_loses_no_event() -> None:
    store = SlowStore()
    async with playing(Played(short("resp_1", message("One."))), store=store) as (client, _):
        thread_id = await asked(client)
        seen: list[str] = []
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            for turns in range(400):
                task = asyncio.create_task(anext(stream))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    seen.append(task.result().event)
                    if stream.outcome is not None:
                        break
        assert seen[-2:] == ["thread.run.step.completed", "thread.run.completed"]
        assert kept_runs(store, thread_id) == ["completed"]


async def test_a_store_that_fails_keeps_nobody_from_the_end_of_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    store = SlowStore()
    async with playing(Played(short("resp_1", message("One."))), store=store) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            await anext(stream)
            store.fails = True
            assert names([event async for event in stream])[-1] == "thread.run.completed"
        await until(lambda: "a thread was not saved" in caplog.text)


@pytest.mark.parametrize("how", ["left", "cancelled"])
async def test_a_stream_that_does_not_come_to_its_end_is_saved_too(how: str) -> None:
    store = SlowStore()
    async with playing(Played([*beginning("resp_1"), SILENCE]), store=store) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            await anext(stream)
            if how == "cancelled":
                await client.threads.runs.cancel(stream.run_id or "", thread_id=thread_id)
                assert names([event async for event in stream])[-1] == "thread.run.cancelled"
        await until(lambda: kept_runs(store, thread_id) == ["cancelled"])
