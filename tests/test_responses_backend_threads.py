"""Threads of the bridge: found again, changed, forgotten, and kept outside of the process."""

import asyncio
from typing import Any

import msgspec
import pytest
from bridge_client import (
    ASSISTANTS,
    MODES,
    Seen,
    asked,
    bridged,
    read,
    texts,
)
from bridged import JSON, check_legal
from played_responses import Played, playing, short
from raw_server import events_to_text
from response_events import message
from responses_site import Slow
from server_client import until

from aiorunstream import (
    AsyncClient,
    BadRequestError,
    NotFoundError,
    UnsupportedParameterError,
)
from aiorunstream.backends.responses import MemoryThreadStore, ResponsesBackend, ThreadMode
from aiorunstream.server import (
    AssistantsServer,
    CallTool,
    Fault,
    ScriptedEngine,
)

# -- threads and messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("add_messages", ["with_run", "at_once"])
async def test_a_conversation_is_found_again_by_another_program(add_messages: Any) -> None:
    async with bridged(add_messages=add_messages) as (client, server):
        thread_id = await asked(client, "First")
        await read(client, thread_id)
        other = ResponsesBackend(
            server.base_url, threads="conversation", assistants=ASSISTANTS, add_messages=add_messages
        )
        async with AsyncClient(backend=other) as elsewhere:
            assert await texts(elsewhere, thread_id) == await texts(client, thread_id)
            ids = [message.id async for message in elsewhere.threads.messages.list(thread_id)]
            known = [message.id async for message in client.threads.messages.list(thread_id)]
            assert (ids[0], ids == known) == (known[0], add_messages == "at_once")
            await elsewhere.threads.messages.create(thread_id, role="user", content="Second")
            await read(elsewhere, thread_id)
            assert len(await texts(elsewhere, thread_id)) == 4


async def test_a_conversation_that_was_made_otherwise_is_read_as_it_is() -> None:
    server = Played()
    refused = {"type": "refusal", "refusal": "No."}
    server.items = [
        {"type": "message", "id": "msg_1", "role": "user", "content": "Please"},
        {"type": "message", "id": "msg_2", "role": "assistant", "content": [refused]},
    ]
    async with playing(server, "conversation") as (client, _):
        page = await client.threads.messages.list("conv_1", order="asc")
    assert [msgspec.to_builtins(one.content) for one in page.data] == [
        ({"type": "text", "text": {"value": "Please", "annotations": ()}},),
        (refused,),
    ]


async def test_what_two_first_say_on_a_conversation_at_once_is_all_said() -> None:
    server = Played(short("resp_1", message("Hi.")))
    async with playing(server, "conversation") as (client, _):
        create = client.threads.messages.create
        await asyncio.gather(*(create("conv_1", role="user", content=f"{number}") for number in range(3)))
        await read(client, "conv_1")
    assert sorted(item["content"] for item in server.bodies[0]["input"]) == ["0", "1", "2"]


async def test_a_message_that_waits_elsewhere_is_missed_before_a_run_is_begun_without_it() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client, "First")
        other = ResponsesBackend(server.base_url, threads="conversation", assistants=ASSISTANTS)
        async with AsyncClient(backend=other) as elsewhere:
            before = sum(method == "POST" for method, _ in server.requests)
            with pytest.raises(BadRequestError, match="at_once"):
                await elsewhere.threads.runs.create(thread_id, assistant_id="asst_1")
            assert sum(method == "POST" for method, _ in server.requests) == before
            more: list[JSON] = [{"role": "user", "content": "Second"}]
            await read(elsewhere, thread_id, additional_messages=more)


async def test_messages_that_go_at_once_are_items_before_there_is_a_run() -> None:
    async with bridged(add_messages="at_once") as (client, server):
        thread_id = await asked(client, "First")
        await client.threads.messages.create(thread_id, role="user", content="Second")
        posted = [path for method, path in server.requests if method == "POST"]
        items = f"/v1/conversations/{thread_id}/items"
        assert posted == ["/v1/conversations", items, items]
        await read(client, thread_id)


@pytest.mark.parametrize("threads", MODES)
async def test_more_messages_than_a_conversation_takes_at_once_all_arrive(threads: ThreadMode) -> None:
    engine = Seen(ScriptedEngine([["Hi"]]))
    async with bridged(threads, engine=engine) as (client, _):
        many = [{"role": "user", "content": f"{number}"} for number in range(45)]
        thread = await client.threads.create(messages=many)
        await read(client, thread.id)
    assert [message.text for message in engine.turns[0].messages] == [str(number) for number in range(45)]


@pytest.mark.parametrize(
    ("threads", "can"), [("conversation", True), ("previous_response_id", False), ("replay", True)]
)
async def test_a_message_is_forgotten_where_that_can_be_done(threads: ThreadMode, can: bool) -> None:  # noqa: FBT001
    engine = Seen(ScriptedEngine([["One."], ["Two."]]))
    async with bridged(threads, engine=engine) as (client, _):
        thread_id = await asked(client, "Secret")
        await read(client, thread_id)
        page = await client.threads.messages.list(thread_id, order="asc")
        first = page.data[0]
        await client.threads.messages.create(thread_id, role="user", content="Now")
        if not can:
            with pytest.raises(UnsupportedParameterError, match="chain"):
                await client.threads.messages.delete(first.id, thread_id=thread_id)
            return
        assert (await client.threads.messages.delete(first.id, thread_id=thread_id)).deleted
        await read(client, thread_id)
        assert [message.text for message in engine.turns[1].messages] == ["One.", "Now"]


async def test_a_message_that_the_server_has_forgotten_already_is_forgotten() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        await read(client, thread_id)
        server.inject(Fault("refuse", status=404, operation="delete_conversation_item"))
        first = (await client.threads.messages.list(thread_id, order="asc")).data[0]
        assert (await client.threads.messages.delete(first.id, thread_id=thread_id)).deleted
        assert [role for role, _ in await texts(client, thread_id)] == ["assistant"]


async def test_what_was_said_of_an_answer_that_was_left_can_be_forgotten() -> None:
    async with bridged("replay", engine=Slow()) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            while (await anext(stream)).event != "thread.message.delta":
                pass
        assert await texts(client, thread_id) == [("user", "Hello"), ("assistant", "one")]
        last = (await client.threads.messages.list(thread_id)).data[0]
        assert (await client.threads.messages.delete(last.id, thread_id=thread_id)).deleted
        assert await texts(client, thread_id) == [("user", "Hello")]


async def test_threads_are_changed_and_deleted() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        await client.threads.update(thread_id, metadata={"a": "b"})
        assert (await client.threads.retrieve(thread_id)).metadata == {"a": "b"}
        assert (await client.threads.delete(thread_id)).deleted
        assert ("DELETE", f"/v1/conversations/{thread_id}") in server.requests
        with pytest.raises(NotFoundError):
            await client.threads.retrieve(thread_id)


async def test_metadata_of_messages_and_runs_is_kept_here() -> None:
    async with bridged() as (client, _):
        thread_id = await asked(client)
        await read(client, thread_id)
        page = await client.threads.messages.list(thread_id)
        changed = await client.threads.messages.update(page.data[0].id, thread_id=thread_id, metadata={"a": "b"})
        assert (await client.threads.messages.retrieve(changed.id, thread_id=thread_id)).metadata == {"a": "b"}
        runs = await client.threads.runs.list(thread_id)
        await client.threads.runs.update(runs.data[0].id, thread_id=thread_id, metadata={"c": "d"})
        assert (await client.threads.runs.retrieve(runs.data[0].id, thread_id=thread_id)).metadata == {"c": "d"}


# -- a store ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", MODES)
async def test_a_talk_goes_on_in_another_process_that_has_the_same_store(threads: ThreadMode) -> None:
    store = MemoryThreadStore()
    engine = Seen(ScriptedEngine([["One."], [CallTool("get_weather", '{"a": 1}', id="call_1")], ["Sunny."]]))
    async with AssistantsServer(engine=engine) as server:

        def another() -> AsyncClient:
            backend = ResponsesBackend(server.base_url, threads=threads, assistants=ASSISTANTS, store=store)
            return AsyncClient(backend=backend)

        async with another() as client:
            thread_id = await asked(client, "First")
            await read(client, thread_id)
        async with another() as client:
            await client.threads.messages.create(thread_id, role="user", content="Second")
            run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
            run = await client.threads.runs.poll(run.id, thread_id=thread_id)
            assert run.status == "requires_action"
        async with another() as client:
            outputs: list[JSON] = [{"tool_call_id": "call_1", "output": "sunny"}]
            async with client.threads.runs.submit_tool_outputs_stream(
                run.id, thread_id=thread_id, tool_outputs=outputs
            ) as stream:
                check_legal([event async for event in stream])
        async with another() as client:
            assert [text for _, text in await texts(client, thread_id)] == ["First", "One.", "Second", "Sunny."]
            steps = [step async for step in client.threads.runs.steps.list(run.id, thread_id=thread_id, order="asc")]
            assert [step.type for step in steps] == ["tool_calls", "message_creation"]
            assert (await client.threads.runs.retrieve(run.id, thread_id=thread_id)).status == "completed"
            await client.threads.delete(thread_id)
    assert store.threads == {}
    assert [message.text for message in engine.turns[2].messages] == ["First", "One.", "Second"]
    assert [call.output for call in engine.turns[2].tool_outputs] == ["sunny"]


class Failing(MemoryThreadStore):
    """A store that fails when it is told to."""

    fails = False
    left = 0
    """How often it does not."""

    async def save(self, thread_id: str, data: bytes) -> None:
        self.left -= 1
        if self.fails and self.left < 0:
            raise OSError("the disk is full")
        await super().save(thread_id, data)


async def test_what_a_store_raises_the_request_raises_and_nothing_stays_open() -> None:
    store = Failing()
    engine = Slow()
    async with bridged(engine=engine, store=store) as (client, server):
        thread_id = await asked(client)
        store.fails = True
        with pytest.raises(OSError, match="disk"):
            await client.threads.runs.create(thread_id, assistant_id="asst_1")
        await until(lambda: engine.has_left and server.open_streams == 0)
        engine.has_left, store.left = False, 1
        with pytest.raises(OSError, match="disk"):
            await client.threads.create_and_run(assistant_id="asst_1")
        await until(lambda: engine.has_left and server.open_streams == 0 and set(store.threads) == {thread_id})
        store.fails = False
        engine.goes_on.set()
        await read(client, thread_id)


async def test_a_thread_that_is_kept_elsewhere_is_not_kept_here_too() -> None:
    store = MemoryThreadStore()
    async with AssistantsServer() as server:
        backend = ResponsesBackend(server.base_url, threads="replay", assistants=ASSISTANTS, store=store)
        async with AsyncClient(backend=backend) as client:
            threads = [await asked(client) for _ in range(3)]
            for thread_id in threads:
                await read(client, thread_id)
                await client.threads.messages.create(thread_id, role="user", content="More")
            await until(lambda: not backend._threads.working_set)  # pyright: ignore[reportPrivateUsage]
        assert set(store.threads) == set(threads)


async def test_a_long_conversation_is_found_again_whole() -> None:
    async with bridged(add_messages="at_once") as (client, server):
        many = [{"role": "user", "content": f"{number}"} for number in range(230)]
        thread = await client.threads.create(messages=many)
        other = ResponsesBackend(server.base_url, threads="conversation", assistants=ASSISTANTS)
        async with AsyncClient(backend=other) as elsewhere:
            assert [text for _, text in await texts(elsewhere, thread.id)] == [str(number) for number in range(230)]


async def test_calls_that_another_program_has_left_open_are_not_in_the_way() -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1")], ["Fine."]])
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        assert (await client.threads.runs.poll(run.id, thread_id=thread_id)).status == "requires_action"
        other = ResponsesBackend(server.base_url, threads="conversation", assistants=ASSISTANTS)
        async with AsyncClient(backend=other) as elsewhere:
            more: list[JSON] = [{"role": "user", "content": "Never mind"}]
            await read(elsewhere, thread_id, additional_messages=more)
            assert (await texts(elsewhere, thread_id))[-1] == ("assistant", "Fine.")


async def test_a_run_in_the_background_is_found_again_by_the_next_process() -> None:
    store = MemoryThreadStore()
    engine = Slow()
    async with bridged("previous_response_id", engine=engine, store=store, background=True) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            await events_to_text(stream)
        await until(lambda: server.open_streams == 0)
        assert stream.run_id is not None
        other = ResponsesBackend(
            server.base_url, threads="previous_response_id", assistants=ASSISTANTS, store=store, background=True
        )
        async with AsyncClient(backend=other) as later:
            assert (await later.threads.runs.retrieve(stream.run_id, thread_id=thread_id)).status == "in_progress"
            engine.goes_on.set()
            run = await later.threads.runs.poll(stream.run_id, thread_id=thread_id)
            assert run.status == "completed"
            assert await texts(later, thread_id) == [("user", "Hello"), ("assistant", "one two")]
            steps = [step async for step in later.threads.runs.steps.list(run.id, thread_id=thread_id)]
            assert [step.status for step in steps] == ["completed"]
            await read(later, thread_id)
