"""OpenAI's own package streams, polls, cancels and leaves runs of the embedded server."""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Never

import pytest

from aiorunstream.server import Turn

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai.types.beta import AssistantStreamEvent
from openai.types.beta.threads import Run
from openai_client import (
    DEPRECATED,
    WEATHER,
    Notes,
    all_of,
    fits,
    names,
    outputs_for,
    ready,
    said,
    strangers,
    talking,
    text_of,
)
from usual_events import A_TEXT_ANSWER

pytestmark = DEPRECATED


# -- to their end ----------------------------------------------------------------------------------------------------


async def test_a_run_streams_raw() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "Good morning")
        stream = await client.beta.threads.runs.create(
            thread_id,
            assistant_id=assistant_id,
            stream=True,
            instructions="Briefly.",
            additional_instructions="Very.",
            additional_messages=[{"role": "user", "content": "How are you?"}],
            metadata={"a": "1"},
            temperature=0.1,
            max_completion_tokens=1000,
            max_prompt_tokens=1000,
            truncation_strategy={"type": "last_messages", "last_messages": 5},
            parallel_tool_calls=False,
            tool_choice="none",
            response_format="auto",
        )
        events = await all_of(stream)
        assert names(events) == A_TEXT_ANSWER
        assert "How are you?" in said(events)
        last = events[-1]
        assert last.event == "thread.run.completed"
        assert last.data.instructions == "Briefly.\nVery."
        assert last.data.usage is not None
        assert last.data.usage.total_tokens == last.data.usage.prompt_tokens + last.data.usage.completion_tokens > 0
        run = await client.beta.threads.runs.retrieve(last.data.id, thread_id=thread_id)
        assert run == last.data
        assert not strangers(run)
        answer = (await client.beta.threads.messages.list(thread_id, run_id=run.id)).data
        assert [text_of(message) for message in answer] == [said(events)]


async def test_a_run_streams_through_the_helper() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "Good morning")
        notes = Notes()
        async with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, event_handler=notes
        ) as stream:
            run = await stream.get_final_run()
            (message,) = await stream.get_final_messages()
            (step,) = await stream.get_final_run_steps()
        assert run.status == "completed"
        assert "Good morning" in text_of(message)
        assert text_of(message) == notes.text == notes.whole_text
        assert step.id == notes.steps[0].id
        assert notes.steps[0].status == "completed"
        assert notes.problems == []
        assert notes.heard == [
            "step created: message_creation",
            "message created",
            "text created",
            "text done",
            "message done",
            "step done: message_creation",
            "end",
        ]
        assert [name for name in notes.events if name != "thread.message.delta"] == A_TEXT_ANSWER


async def test_the_helper_hands_out_text_as_it_comes() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "Good morning")
        async with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant_id) as stream:
            pieces = [piece async for piece in stream.text_deltas]
            (message,) = await stream.get_final_messages()
        assert len(pieces) > 5
        assert "".join(pieces) == text_of(message)


async def test_a_thread_and_its_run_stream_together() -> None:
    async with talking() as (_, client):
        assistant = await client.beta.assistants.create(model="parrot")
        raw = await all_of(
            await client.beta.threads.create_and_run(
                assistant_id=assistant.id,
                thread={"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "1"}},
                stream=True,
            )
        )
        assert names(raw) == ["thread.created", *A_TEXT_ANSWER]
        assert raw[0].event == "thread.created"
        assert raw[0].data.metadata == {"a": "1"}
        async with client.beta.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hi"}]}
        ) as stream:
            run = await stream.get_final_run()
        assert run.status == "completed"
        assert run.thread_id != raw[0].data.id


async def test_plain_runs_are_polled_to_their_end() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        assert run.status == "requires_action"
        assert not strangers(run)
        run = await runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread_id, tool_outputs=outputs_for(run), poll_interval_ms=1
        )
        assert run.status == "completed"
        both = await client.beta.threads.create_and_run_poll(assistant_id=assistant_id, poll_interval_ms=1)
        assert both.status == "completed"
        changed = await runs.update(both.id, thread_id=both.thread_id, metadata={"a": "1"})
        assert changed.metadata == {"a": "1"}


async def test_a_run_that_fails_says_so() -> None:
    class Broken:
        def reply(self, turn: Turn, /) -> Iterator[Never]:
            raise RuntimeError("out of order")

    async with talking(engine=Broken()) as (_, client):
        thread_id, assistant_id = await ready(client)
        notes = Notes()
        async with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, event_handler=notes
        ) as stream:
            run = await stream.get_final_run()
        assert run.status == "failed"
        assert run.last_error is not None
        assert run.last_error.code == "server_error"
        assert run.failed_at is not None
        assert notes.problems == []
        assert not strangers(run)


# -- before their end --------------------------------------------------------------------------------------------------


async def test_a_run_is_cancelled_while_it_streams() -> None:
    async with talking(delay=0.02) as (_, client):
        thread_id, assistant_id = await ready(client)
        runs = client.beta.threads.runs
        events: list[AssistantStreamEvent] = []
        async with await runs.create(thread_id, assistant_id=assistant_id, stream=True) as stream:
            async for event in stream:
                events.append(event)
                fits(event)
                if len(said(events).split()) == 2 and event.event == "thread.message.delta":
                    cancelling = await runs.cancel(run_of(events).id, thread_id=thread_id)
                    assert cancelling.status in ("cancelling", "cancelled")
        assert names(events)[-4:] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
        ]
        (broken_off,) = [event.data for event in events if event.event == "thread.message.incomplete"]
        assert broken_off.incomplete_details is not None
        assert broken_off.incomplete_details.reason == "run_cancelled"
        run = await runs.retrieve(run_of(events).id, thread_id=thread_id)
        assert run.status == "cancelled"
        assert run.cancelled_at is not None
        assert not strangers(run)


def run_of(events: Iterable[AssistantStreamEvent]) -> Run:
    return next(event.data for event in events if event.event == "thread.run.created")


async def test_a_run_that_waits_is_cancelled_and_cannot_be_again() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        await runs.cancel(run.id, thread_id=thread_id)
        while (run := await runs.retrieve(run.id, thread_id=thread_id)).status == "cancelling":
            await asyncio.sleep(0.001)
        assert run.status == "cancelled"
        with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
            await runs.cancel(run.id, thread_id=thread_id)
        again = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        assert again.status == "requires_action"


async def test_a_stream_that_is_left_early_leaves_the_run_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with talking(delay=0.001) as (server, client):
        for _ in range(8):  # what happens between the client's leaving and the server's knowing of it differs
            thread_id, assistant_id = await ready(client)
            runs = client.beta.threads.runs
            async with await runs.create(thread_id, assistant_id=assistant_id, stream=True) as stream:
                async for event in stream:
                    if event.event == "thread.message.delta":
                        break
            (run,) = (await runs.list(thread_id)).data
            while (run := await runs.retrieve(run.id, thread_id=thread_id)).status != "completed":
                await asyncio.sleep(0.002)
        while server.open_streams:
            await asyncio.sleep(0.002)
    # A client that leaves is no error of the server's.
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
