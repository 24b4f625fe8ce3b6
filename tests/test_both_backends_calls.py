"""Plain calls over every backend: runs without a stream, lists, what can be looked up, and a thread that is busy."""

import asyncio

import pytest
from both_backends import JSON, TEXT, WITH_EACH, WORDS, Each, Opens
from bridged import check_legal, names
from test_assistant_stream_tools import calling

from aiorunstream import (
    BadRequestError,
    NotFoundError,
    ThreadBusyError,
    ThreadRunCreated,
    UnsupportedParameterError,
    with_response,
)
from aiorunstream.server import Pause

pytestmark = WITH_EACH


# -- runs without a stream ---------------------------------------------------------------------------------------------


async def test_a_run_is_polled_through_its_calls_to_its_end(client_of_each: Opens) -> None:
    async with client_of_each([calling("look"), WORDS]) as at:
        runs = at.client.threads.runs
        run = await runs.create(at.thread_id, assistant_id=at.assistant_id)
        assert run.status == "queued"
        run = await runs.poll(run.id, thread_id=at.thread_id)
        assert run.status == "requires_action"
        outputs: list[JSON] = [{"tool_call_id": "call_0", "output": "x"}]
        run = await runs.submit_tool_outputs(run.id, thread_id=at.thread_id, tool_outputs=outputs)
        assert run.status == "queued"
        run = await runs.poll(run.id, thread_id=at.thread_id)
        assert run.status == "completed"
        assert (await at.talk())[-1] == ("assistant", TEXT)


async def test_a_run_on_a_new_thread(client_of_each: Opens) -> None:
    async with client_of_each([WORDS, WORDS]) as at:
        threads = at.client.threads
        thread: JSON = {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}}
        async with threads.create_and_run_stream(assistant_id=at.assistant_id, thread=thread) as stream:
            events = [event async for event in stream]
        assert names(events)[0] == "thread.created"
        check_legal(events[1:])
        assert stream.thread_id is not None
        assert (await threads.retrieve(stream.thread_id)).metadata == {"a": "b"}
        run = await threads.create_and_run(assistant_id=at.assistant_id, thread=thread)
        assert run.thread_id not in (stream.thread_id, at.thread_id)
        assert (await at._replace(thread_id=run.thread_id).stopped(run.id)).status == "completed"
        assert await at._replace(thread_id=run.thread_id).talk() == [("user", "Hi"), ("assistant", TEXT)]


async def test_each_run_is_shown_all_that_was_said_before(client_of_each: Opens) -> None:
    async with client_of_each([["One."], ["Two."]]) as at:
        await at.read()
        await at.client.threads.messages.create(at.thread_id, role="user", content="And then?")
        await at.read(additional_messages=[{"role": "user", "content": "Well?"}])
        assert [message.text for message in at.engine.turns[1].messages] == ["Hello", "One.", "And then?", "Well?"]
        assert [text for _, text in await at.talk()] == ["Hello", "One.", "And then?", "Well?", "Two."]


# -- what can be looked up ---------------------------------------------------------------------------------------------


async def test_lists_have_pages_and_one_thing_can_be_had(client_of_each: Opens) -> None:
    async with client_of_each([WORDS], repeat=True) as at:
        threads = at.client.threads
        for _ in range(3):
            await at.read()
        page = await threads.messages.list(at.thread_id, limit=2, order="asc")
        assert [message.role for message in page.data] == ["user", "assistant"]
        assert page.has_next_page()
        assert len([message async for message in page]) == 4
        runs = [run async for run in threads.runs.list(at.thread_id, limit=1)]
        assert len(runs) == len({run.id for run in runs}) == 3
        (newest,) = (await threads.runs.list(at.thread_id, limit=1)).data
        assert newest == runs[0]
        assert await threads.runs.retrieve(newest.id, thread_id=at.thread_id) == newest
        (step,) = [step async for step in threads.runs.steps.list(newest.id, thread_id=at.thread_id)]
        assert await threads.runs.steps.retrieve(step.id, run_id=newest.id, thread_id=at.thread_id) == step
        (message,) = [one async for one in threads.messages.list(at.thread_id, run_id=newest.id)]
        assert await threads.messages.retrieve(message.id, thread_id=at.thread_id) == message
        assert (message.text, message.run_id) == (TEXT, newest.id)


async def test_metadata_can_be_changed(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        threads = at.client.threads
        await at.read()
        (run,) = (await threads.runs.list(at.thread_id)).data
        (newest, _) = (await threads.messages.list(at.thread_id)).data
        told: JSON = {"a": "b"}
        assert (await threads.update(at.thread_id, metadata=told)).metadata == told
        assert (await threads.runs.update(run.id, thread_id=at.thread_id, metadata=told)).metadata == told
        assert (await threads.messages.update(newest.id, thread_id=at.thread_id, metadata=told)).metadata == told
        assert (await threads.retrieve(at.thread_id)).metadata == told
        assert (await threads.runs.retrieve(run.id, thread_id=at.thread_id)).metadata == told


async def test_a_message_is_deleted_and_not_shown_again(client_of_each: Opens) -> None:
    async with client_of_each([["One."], ["Two."]]) as at:
        messages = at.client.threads.messages
        unheard = await messages.create(at.thread_id, role="user", content="Never mind")
        assert (await messages.delete(unheard.id, thread_id=at.thread_id)).deleted
        await at.read()
        (_, first) = (await messages.list(at.thread_id)).data
        if at.differs("deleting what was heard"):
            with pytest.raises(UnsupportedParameterError, match="chain"):
                await messages.delete(first.id, thread_id=at.thread_id)
            return
        assert (await messages.delete(first.id, thread_id=at.thread_id)).deleted
        await messages.create(at.thread_id, role="user", content="And?")
        await at.read()
        assert [[message.text for message in turn.messages] for turn in at.engine.turns] == [
            ["Hello"], ["One.", "And?"],
        ]  # fmt: skip


async def test_what_is_not_there_is_not_found(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        threads = at.client.threads
        with pytest.raises(NotFoundError):
            await threads.retrieve("thread_none")
        with pytest.raises(NotFoundError):
            await threads.runs.retrieve("run_none", thread_id=at.thread_id)
        with pytest.raises(NotFoundError):
            await threads.runs.create(at.thread_id, assistant_id="asst_none")
        with pytest.raises(NotFoundError):
            await at.client.assistants.retrieve("asst_none")
        assert (await threads.delete(at.thread_id)).deleted
        with pytest.raises(NotFoundError):
            await threads.runs.create(at.thread_id, assistant_id=at.assistant_id)


async def test_assistants_are_made_listed_changed_and_deleted(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        assistants = at.client.assistants
        made = await assistants.create(model="m", instructions="Sing.", temperature=0.5, metadata={"a": "b"})
        assert (await assistants.retrieve(made.id)) == made
        assert {one.id async for one in assistants.list()} == {made.id, at.assistant_id}
        changed = await assistants.update(made.id, instructions="Hum.")
        assert (changed.instructions, changed.model, changed.temperature) == ("Hum.", "m", 0.5)
        await at._replace(assistant_id=made.id).read()
        run = at.engine.turns[0].run
        assert (run.model, run.instructions, run.temperature) == ("m", "Hum.", 0.5)
        assert (await assistants.delete(made.id)).deleted
        with pytest.raises(NotFoundError):
            await assistants.retrieve(made.id)


async def test_facts_around_a_plain_answer(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        told = await with_response(at.client.threads.retrieve(at.thread_id))
        assert (told.data.id, told.status_code) == (at.thread_id, 200)
        if at.differs("headers of a plain answer"):
            assert told.headers == {}
        else:
            assert told.headers["content-type"].startswith("application/json")


async def test_when_a_run_expires(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        (created, *_) = await at.read()
        assert isinstance(created, ThreadRunCreated)
        assert (created.data.expires_at is None) == at.differs("how long a run has")


async def test_another_client_finds_the_thread(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        await at.read()
        async with at.another_client() as other:
            if at.differs("threads of another client"):
                with pytest.raises(NotFoundError):
                    await other.threads.retrieve(at.thread_id)
                return
            assert (await other.threads.retrieve(at.thread_id)).id == at.thread_id
            listed = other.threads.messages.list(at.thread_id, order="asc")
            assert [(one.role, one.text) async for one in listed] == await at.talk()
            runs = [run async for run in other.threads.runs.list(at.thread_id)]
            assert len(runs) == (0 if at.differs("runs of another client") else 1)


# -- cancelling, and busy threads --------------------------------------------------------------------------------------


async def begin_slowly(at: Each) -> str:
    run = await at.client.threads.runs.create(at.thread_id, assistant_id=at.assistant_id)
    return run.id


async def test_a_run_is_cancelled_once(client_of_each: Opens) -> None:
    async with client_of_each([["one", Pause(30)], ["two"]]) as at:
        runs, run_id = at.client.threads.runs, await begin_slowly(at)
        assert (await runs.cancel(run_id, thread_id=at.thread_id)).status in ("cancelling", "cancelled")
        assert (await at.stopped(run_id)).status == "cancelled"
        with pytest.raises(BadRequestError, match="cancel"):
            await runs.cancel(run_id, thread_id=at.thread_id)
        await at.read()
        assert (await at.talk())[-1] == ("assistant", "two")


async def test_a_run_that_waits_is_cancelled_and_the_thread_goes_on(client_of_each: Opens) -> None:
    async with client_of_each([calling("look"), ["two"]]) as at:
        runs, run_id = at.client.threads.runs, await begin_slowly(at)
        await at.stopped(run_id)
        assert (await runs.cancel(run_id, thread_id=at.thread_id)).status in ("cancelling", "cancelled")
        await at.client.threads.messages.create(at.thread_id, role="user", content="Never mind")
        await at.read()
        assert (await at.talk())[-1] == ("assistant", "two")


async def test_a_busy_thread_takes_no_second_run_and_names_the_first(client_of_each: Opens) -> None:
    async with client_of_each([["one", Pause(30)]]) as at:
        runs, run_id = at.client.threads.runs, await begin_slowly(at)
        with pytest.raises(ThreadBusyError) as caught:
            await runs.create_stream(at.thread_id, assistant_id=at.assistant_id)
        assert caught.value.run_id == run_id
        with pytest.raises(BadRequestError):
            await at.client.threads.messages.create(at.thread_id, role="user", content="More")
        assert len((await runs.list(at.thread_id)).data) == 1
        await runs.cancel(run_id, thread_id=at.thread_id)  # or the client would wait for it when it is closed


async def test_who_waits_comes_after_the_other_run(client_of_each: Opens) -> None:
    async with client_of_each([["old", Pause(0.1)], ["new"]]) as at:
        runs, run_id = at.client.threads.runs, await begin_slowly(at)
        async with runs.create_stream(at.thread_id, assistant_id=at.assistant_id, if_active="wait") as stream:
            async for _ in stream:
                pass
        assert stream.outcome == "completed"
        assert (await runs.retrieve(run_id, thread_id=at.thread_id)).status == "completed"
        assert [text for _, text in await at.talk()] == ["Hello", "old", "new"]


async def test_who_cancels_comes_instead_of_the_other_run(client_of_each: Opens) -> None:
    async with client_of_each([["old", Pause(30)], ["new"]]) as at:
        runs, run_id = at.client.threads.runs, await begin_slowly(at)
        await asyncio.sleep(0.05)
        new = await runs.create(at.thread_id, assistant_id=at.assistant_id, if_active="cancel")
        assert (await runs.retrieve(run_id, thread_id=at.thread_id)).status == "cancelled"
        assert (await at.stopped(new.id)).status == "completed"
