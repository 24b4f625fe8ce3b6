"""OpenAI's own package makes, reads, changes, lists and deletes what the embedded server keeps."""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from aiorunstream.server import DefaultEngine, Turn

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai_client import DEPRECATED, WEATHER, outputs_for, ready, strangers, talking, text_of

pytestmark = DEPRECATED


# -- objects ---------------------------------------------------------------------------------------------------------


async def test_an_assistant_is_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        made = await client.beta.assistants.create(
            model="parrot",
            name="Polly",
            description="says it back",
            instructions="Say it back.",
            tools=[WEATHER, {"type": "code_interpreter"}, {"type": "file_search"}],
            tool_resources={
                "code_interpreter": {"file_ids": ["file-1"]},
                "file_search": {"vector_store_ids": ["vs_1"]},
            },
            metadata={"a": "1"},
            temperature=0.5,
            top_p=0.25,
            response_format={"type": "json_object"},
        )
        assert not strangers(made)
        assert made.id.startswith("asst_")
        assert (made.name, made.description, made.temperature, made.top_p) == ("Polly", "says it back", 0.5, 0.25)
        assert [tool.type for tool in made.tools] == ["function", "code_interpreter", "file_search"]
        assert made.tools[0].to_dict() == WEATHER
        assert made.tool_resources is not None
        assert made.tool_resources.code_interpreter is not None
        assert made.tool_resources.code_interpreter.file_ids == ["file-1"]
        assert await client.beta.assistants.retrieve(made.id) == made

        changed = await client.beta.assistants.update(made.id, name="Jack", instructions=None, tools=[])
        assert changed == made.model_copy(update={"name": "Jack", "instructions": None, "tools": []})

        deleted = await client.beta.assistants.delete(made.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "assistant.deleted")
        with pytest.raises(openai.NotFoundError):
            await client.beta.assistants.retrieve(made.id)


async def test_a_thread_is_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        made = await client.beta.threads.create(
            messages=[
                {"role": "user", "content": "first", "metadata": {"n": "1"}},
                {"role": "assistant", "content": [{"type": "text", "text": "second"}]},
            ],
            metadata={"a": "1"},
            tool_resources={"code_interpreter": {"file_ids": ["file-1"]}},
        )
        assert not strangers(made)
        assert made.metadata == {"a": "1"}
        assert await client.beta.threads.retrieve(made.id) == made
        messages = await client.beta.threads.messages.list(made.id, order="asc")
        assert [(message.role, text_of(message)) for message in messages.data] == [
            ("user", "first"),
            ("assistant", "second"),
        ]
        changed = await client.beta.threads.update(made.id, metadata={"b": "2"})
        assert changed == made.model_copy(update={"metadata": {"b": "2"}})

        deleted = await client.beta.threads.delete(made.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "thread.deleted")
        for ask in (client.beta.threads.retrieve, client.beta.threads.delete):
            with pytest.raises(openai.NotFoundError):
                await ask(made.id)


async def test_a_message_is_made_read_changed_and_deleted() -> None:
    async with talking() as (_, client):
        thread = await client.beta.threads.create()
        messages = client.beta.threads.messages
        made = await messages.create(
            thread.id,
            role="user",
            content=[
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}},
                {"type": "image_file", "image_file": {"file_id": "file-1"}},
            ],
            attachments=[{"file_id": "file-2", "tools": [{"type": "code_interpreter"}]}],
            metadata={"a": "1"},
        )
        assert not strangers(made)
        assert [block.type for block in made.content] == ["text", "image_url", "image_file"]
        assert (made.thread_id, made.role, made.status) == (thread.id, "user", "completed")
        assert made.attachments is not None
        assert [item.file_id for item in made.attachments] == ["file-2"]
        assert await messages.retrieve(made.id, thread_id=thread.id) == made
        changed = await messages.update(made.id, thread_id=thread.id, metadata={"b": "2"})
        assert changed == made.model_copy(update={"metadata": {"b": "2"}})
        deleted = await messages.delete(made.id, thread_id=thread.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "thread.message.deleted")
        with pytest.raises(openai.NotFoundError):
            await messages.retrieve(made.id, thread_id=thread.id)
        assert (await messages.list(thread.id)).data == []


async def test_an_answer_has_the_headers_that_the_package_reads() -> None:
    async with talking() as (_, client):
        response = await client.beta.threads.with_raw_response.create()
        thread = response.parse()
        assert (response.request_id or "").startswith("req_")
        assert response.request_id == thread._request_id
        assert int(response.headers["openai-processing-ms"]) >= 0


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_every_page_of_the_assistants_is_read() -> None:
    async with talking() as (server, client):
        made = [(await client.beta.assistants.create(model=f"m{number}")).id for number in range(7)]
        server.requests.clear()
        assert [item.id async for item in client.beta.assistants.list(limit=3, order="asc")] == made
        assert [path for _, path in server.requests] == ["/v1/assistants"] * 3
        assert [item.id async for item in client.beta.assistants.list(limit=3)] == made[::-1]
        assert [item.id async for item in client.beta.assistants.list(limit=2, order="asc", after=made[1])] == made[2:]
        page = await client.beta.assistants.list(limit=2, order="asc", before=made[4])
        assert [item.id for item in page.data] == made[2:4]
        assert not strangers(page.data)


async def test_every_page_of_the_messages_is_read() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "0")
        messages = client.beta.threads.messages
        for number in range(1, 5):
            await messages.create(thread_id, role="user", content=str(number))
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1
        )
        texts = [text_of(item) async for item in messages.list(thread_id, limit=2, order="asc")]
        assert texts[:-1] == ["0", "1", "2", "3", "4"]
        assert len(texts) == 6
        assert [text_of(item) async for item in messages.list(thread_id, limit=4)] == texts[::-1]
        assert [text_of(item) async for item in messages.list(thread_id, limit=1, run_id=run.id)] == texts[-1:]
        page = await messages.list(thread_id, limit=6)
        assert not page.has_next_page()
        assert not strangers(page.data)


async def test_every_page_of_the_runs_is_read() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client)
        runs = client.beta.threads.runs
        made = [
            (await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)).id
            for _ in range(5)
        ]
        assert [item.id async for item in runs.list(thread_id, limit=2)] == made[::-1]
        page = await runs.list(thread_id, limit=2, order="asc")
        assert [item.id for item in page.data] == made[:2]
        assert page.has_next_page()
        assert [item.id for item in (await page.get_next_page()).data] == made[2:4]


async def test_every_page_of_the_steps_is_read() -> None:
    class Insistent:
        """Calls the function in three turns, and answers in the fourth."""

        def reply(self, turn: Turn, /) -> Iterator[Any]:
            if len(turn.steps) < 3:
                turn = msgspec.structs.replace(turn, steps=())
            yield from DefaultEngine().reply(turn)

    async with talking(engine=Insistent()) as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        for _ in range(3):
            run = await runs.submit_tool_outputs_and_poll(
                run_id=run.id, thread_id=thread_id, tool_outputs=outputs_for(run), poll_interval_ms=1
            )
        assert run.status == "completed"
        steps = [step async for step in runs.steps.list(run.id, thread_id=thread_id, limit=1, order="asc")]
        assert [step.type for step in steps] == ["tool_calls"] * 3 + ["message_creation"]
        assert len({step.id for step in steps}) == 4
        page = await runs.steps.list(run.id, thread_id=thread_id, limit=3)
        assert page.data == steps[:0:-1]
        included = await runs.steps.retrieve(
            steps[0].id,
            thread_id=thread_id,
            run_id=run.id,
            include=["step_details.tool_calls[*].file_search.results[*].content"],
        )
        assert included == steps[0]
