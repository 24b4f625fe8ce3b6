"""Read by mypy and pyright as part of the tests, never executed: the front door has the types that users rely on."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import assert_never, assert_type

from aiorunstream import (
    AsyncClient,
    AsyncRuns,
    ErrorEvent,
    Frame,
    Message,
    MessageDeltaEvent,
    Run,
    RunEvent,
    RunStep,
    RunStepDeltaEvent,
    RunStream,
    StreamCall,
    Thread,
    ThreadCreated,
    ThreadMessageCompleted,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunFailed,
    ThreadRunRequiresAction,
    ThreadRunStepCompleted,
    ThreadRunStepDelta,
    UnknownEvent,
    Usage,
)


async def the_ways_in(client: AsyncClient) -> RunStream:
    runs = client.threads.runs
    assert_type(runs, AsyncRuns)
    assert_type(client.beta.threads.runs, AsyncRuns)
    call = runs.create_stream("thread_1", assistant_id="asst_1")
    call = assert_type(call, StreamCall[RunStream])
    async with call as entered:
        assert_type(entered, RunStream)
    awaited = await runs.create_stream("thread_1", assistant_id="asst_1", stream=True)
    assert_type(awaited, RunStream)
    async with await runs.create_stream("thread_1", assistant_id="asst_1") as both:
        assert_type(both, RunStream)
    task = asyncio.create_task(runs.create_stream("thread_1", assistant_id="asst_1"))
    task = assert_type(task, asyncio.Task[RunStream])
    await task
    assert_type(await asyncio.wait_for(runs.create_stream("thread_1", assistant_id="asst_1"), 5), RunStream)
    first, second = await asyncio.gather(
        runs.create_stream("thread_1", assistant_id="asst_1"), runs.create_stream("thread_2", assistant_id="asst_1")
    )
    assert_type(first, RunStream)
    assert_type(second, RunStream)
    async with asyncio.TaskGroup() as group:
        in_group = group.create_task(client.threads.create_and_run_stream(assistant_id="asst_1"))
    assert_type(in_group.result(), RunStream)
    async with AsyncExitStack() as stack:
        pushed = await stack.enter_async_context(
            runs.submit_tool_outputs_stream("run_1", thread_id="thread_1", tool_outputs=[])
        )
        assert_type(pushed, RunStream)
    async with AsyncClient(base_url="http://127.0.0.1:8787/v1") as again:
        assert_type(again, AsyncClient)
        async with again.threads.runs.create_stream("thread_1", assistant_id="asst_1") as stream:
            return stream  # leaving inside the blocks is no missing return
    raise AssertionError


async def plain_calls(client: AsyncClient) -> None:
    assert_type(await client.threads.create(), Thread)
    assert_type(await client.threads.runs.create("thread_1", assistant_id="asst_1", stream=False), Run)
    assert_type(await client.threads.runs.retrieve("run_1", thread_id="thread_1"), Run)
    assert_type(await client.threads.messages.create("thread_1", role="user", content="hi"), Message)


async def by_isinstance(stream: RunStream) -> str:
    text = ""
    async for event in stream:
        assert_type(event, RunEvent)
        if isinstance(event, ThreadRunCompleted):
            assert_type(event.data, Run)
            assert_type(event.data.usage, Usage | None)
        elif isinstance(event, ThreadMessageDelta):
            assert_type(event.data, MessageDeltaEvent)
            text += event.data.text
        elif isinstance(event, (ThreadRunStepCompleted, ThreadRunStepDelta)):
            assert_type(event.data, RunStep | RunStepDeltaEvent)
    return text


async def by_match(stream: RunStream) -> None:
    async for event in stream:
        match event:
            case ThreadMessageDelta(data=delta):
                assert_type(delta.text, str)
            case ThreadRunCompleted(run) | ThreadRunFailed(run):
                assert_type(run, Run)
            case ThreadRunRequiresAction(data=run):
                assert_type(run, Run)
            case ThreadMessageCompleted(data=message):
                assert_type(message, Message)
            case ThreadCreated(data=thread):
                assert_type(thread.id, str)
            case ErrorEvent(data=error):
                assert_type(error.message, str)
            case UnknownEvent():
                assert_type(event.event, str)
            case _:
                pass


def known_or_not(event: ThreadRunCompleted | UnknownEvent) -> str:
    match event:
        case ThreadRunCompleted():
            return event.data.id
        case UnknownEvent():
            return event.event
        case _:
            assert_never(event)


async def facts(stream: RunStream) -> None:
    assert_type(stream.run, Run | None)
    assert_type(stream.run_id, str | None)
    assert_type(stream.thread_id, str | None)
    assert_type(stream.outcome, str | None)
    assert_type(stream.last_event, str | None)
    assert_type(stream.events_seen, int)
    assert_type(stream.status_code, int)
    assert_type(stream.request_id, str | None)
    assert_type(stream.headers, Mapping[str, str])
    assert_type(stream.clean_close, bool | None)
    async for frame in stream.frames():
        assert_type(frame, Frame)
        assert_type(frame.data, bytes)
