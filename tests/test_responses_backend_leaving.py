"""Streams of the bridge that are left, cancelled or broken: what becomes of their runs, and of the thread."""

import asyncio
from collections.abc import Sequence
from typing import Any

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
from bridged import JSON, check_legal, names, text_of
from played_responses import Played, playing, short
from raw_server import Peer, events_of, events_to_text
from response_events import called, message
from responses_site import Slow
from server_client import until

from aiorunstream import (
    APIConnectionError,
    AsyncClient,
    BadRequestError,
    RequestOptions,
    RetryPolicy,
    RunStreamError,
    StreamClosedError,
    StreamInterruptedError,
    StreamProtocolError,
    Timeouts,
)
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.server import (
    CallTool,
    Fail,
    Fault,
    ScriptedEngine,
    SendError,
)

# -- leaving and cancelling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", MODES)
async def test_a_call_is_answered_once_where_its_run_is_cancelled_while_its_output_is_sent(threads: ThreadMode) -> None:
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    class Late(Played):
        async def stream(self, peer: Peer, events: Sequence[JSON]) -> None:
            if len(self.bodies) == 2:
                arrived.set()
                await goes_on.wait()
            await super().stream(peer, events)

    server = Late(*(short(f"resp_{number}", item) for number, item in enumerate((called(), message(), message()))))
    outputs: list[JSON] = [{"tool_call_id": "call_1", "output": "seen"}]
    async with playing(server, threads) as (client, _):
        thread_id = await asked(client)
        await read(client, thread_id)
        (run,) = [run async for run in client.threads.runs.list(thread_id)]
        submitting = asyncio.ensure_future(
            client.threads.runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=outputs)
        )
        await arrived.wait()
        assert (await client.threads.runs.cancel(run.id, thread_id=thread_id)).status == "cancelled"
        goes_on.set()
        with pytest.raises(BadRequestError, match="cancelled"):
            await submitting
        await client.threads.messages.create(thread_id, role="user", content="Next")
        await read(client, thread_id)
    answers = [item["output"] for item in server.bodies[2]["input"] if item["type"] == "function_call_output"]
    assert answers == ["The call was cancelled: it has no output."]


@pytest.mark.parametrize("threads", MODES)
async def test_leaving_a_stream_ends_its_generation_and_its_run(threads: ThreadMode) -> None:
    engine = Slow()
    async with bridged(threads, engine=engine) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            await events_to_text(stream)
        await until(lambda: engine.has_left and server.open_streams == 0)
        assert stream.run_id is not None
        assert (await client.threads.runs.retrieve(stream.run_id, thread_id=thread_id)).status == "cancelled"
        engine.goes_on.set()
        await read(client, thread_id)
        assert [text for _, text in await texts(client, thread_id)] == ["Hello", "one", "one two"]


async def test_a_reader_whose_stream_somebody_closes_is_told() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        stream = await client.threads.runs.create_stream(thread_id, assistant_id="asst_1")
        reading = asyncio.ensure_future(_outcome(stream))
        await until(lambda: stream.last_event == "thread.message.delta")
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(reading, 2)
        await until(lambda: engine.has_left and server.open_streams == 0)
        assert (await client.threads.runs.retrieve(stream.run_id or "", thread_id=thread_id)).status == "cancelled"


async def test_a_stream_that_is_dropped_ends_its_generation_and_its_run() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        stream = await client.threads.runs.create_stream(thread_id, assistant_id="asst_1")
        run_id = stream.run_id or ""
        with pytest.warns(ResourceWarning, match="dropped while open"):
            del stream
        await until(lambda: engine.has_left and server.open_streams == 0)
        assert (await client.threads.runs.retrieve(run_id, thread_id=thread_id)).status == "cancelled"


async def test_a_run_that_is_cancelled_tells_its_reader() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            events = await events_to_text(stream)
            assert (await stream.cancel_run()).status == "cancelled"
            events += await events_of(stream)
        check_legal(events)
        assert names(events)[-2:] == ["thread.run.step.cancelled", "thread.run.cancelled"]
        await until(lambda: engine.has_left and server.open_streams == 0)
        with pytest.raises(BadRequestError, match="cancelled"):
            await client.threads.runs.cancel(str(stream.run_id), thread_id=thread_id)


async def test_a_waiting_reader_of_a_cancelled_run_is_woken() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            reading = asyncio.ensure_future(_outcome(stream))
            await until(lambda: stream.last_event == "thread.message.delta")
            assert stream.run_id is not None
            await client.threads.runs.cancel(stream.run_id, thread_id=thread_id)
            assert await asyncio.wait_for(reading, 2) == "cancelled"


async def _outcome(stream: Any) -> str | None:
    async for _event in stream:
        pass
    return stream.outcome  # type: ignore[no-any-return]


@pytest.mark.parametrize("threads", MODES)
async def test_after_a_run_whose_calls_nobody_answered_the_thread_goes_on(threads: ThreadMode) -> None:
    engine = Seen(ScriptedEngine([[CallTool("get_weather", id="call_1")], ["Fine."]]))
    async with bridged(threads, engine=engine) as (client, _):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        run = await client.threads.runs.poll(run.id, thread_id=thread_id)
        assert (await client.threads.runs.cancel(run.id, thread_id=thread_id)).status == "cancelled"
        await read(client, thread_id, additional_messages=[{"role": "user", "content": "Never mind"}])
        assert (await texts(client, thread_id))[-1] == ("assistant", "Fine.")


async def test_cancel_on_exit_finds_the_run_cancelled() -> None:
    engine = Slow()
    async with bridged(engine=engine, cancel_on_exit=True) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            async for _event in stream:
                break
        assert stream.run_id is not None
        assert (await client.threads.runs.retrieve(stream.run_id, thread_id=thread_id)).status == "cancelled"
        await until(lambda: engine.has_left)


# -- streams that go wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", MODES)
async def test_a_stream_that_broke_off_is_told_and_its_run_does_not_stay_in_the_way(threads: ThreadMode) -> None:
    async with bridged(threads) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=4000))
        with pytest.raises(StreamInterruptedError) as caught:
            await read(client, thread_id)
        run_id = caught.value.run_id
        assert run_id is not None
        await until(lambda: server.open_streams == 0)
        run = await client.threads.runs.retrieve(run_id, thread_id=thread_id)
        assert run.status in ("failed", "cancelled", "completed")
        await read(client, thread_id)


async def test_a_stream_that_breaks_the_rules_of_http_is_told_and_its_run_has_failed() -> None:
    async with bridged("replay") as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("bad_chunk", operation="create_response", at_byte=4000))
        with pytest.raises(StreamProtocolError) as caught:
            await read(client, thread_id)
        run = await client.threads.runs.retrieve(caught.value.run_id or "", thread_id=thread_id)
        assert run.status == "failed"
        await read(client, thread_id)


async def test_a_break_of_a_stream_that_nobody_reads_is_logged_and_found(caplog: pytest.LogCaptureFixture) -> None:
    async with bridged("replay") as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=4000))
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        assert (await client.threads.runs.poll(run.id, thread_id=thread_id)).status == "failed"
        (record,) = [one for one in caplog.records if "stream failed" in one.message]
        assert run.id in record.getMessage()
        assert "StreamInterruptedError" in record.getMessage()


@pytest.mark.parametrize("threads", ["conversation", "previous_response_id"])
async def test_recovering_gets_what_the_server_has_kept(threads: ThreadMode) -> None:
    said = "So much. " * 2_000
    async with bridged(threads, recover=True, engine=ScriptedEngine([[said], ["And more."]])) as (client, server):
        thread_id = await asked(client)
        # All of it is said, and told once, by the time that the connection breaks.
        server.inject(Fault("cut", operation="create_response", at_byte=2 * len(said)))
        events = await read(client, thread_id)
        assert names(events)[-1] == "thread.run.completed"
        assert text_of(events) == said
        assert (events[-1].synthesized, events[5].synthesized) == (True, False)
        await read(client, thread_id)


async def test_recovering_from_a_break_ends_with_the_run_that_failed() -> None:
    async with bridged("replay", recover=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=4000))
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            events = [event async for event in stream]
        assert names(events)[-1] == "thread.run.failed"
        assert stream.run is not None
        assert stream.run.last_error is not None
        assert "broke" in stream.run.last_error.message


async def test_errors_of_the_server_are_raised_or_handed_out() -> None:
    engine = ScriptedEngine([["Half", SendError("Oh no.", code="boom")], [Fail("No.", "rate_limit_exceeded")]])
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        with pytest.raises(RunStreamError, match="Oh no") as caught:
            await read(client, thread_id)
        assert (caught.value.code, caught.value.thread_id) == ("boom", thread_id)
        events = await read(client, thread_id)
        assert names(events)[-1] == "thread.run.failed"


async def test_a_clock_that_runs_out_is_the_streams_own() -> None:
    async with bridged(engine=Slow()) as (client, server):
        thread_id = await asked(client)
        options = RequestOptions(timeouts=Timeouts(idle=0.1))
        with pytest.raises(Exception, match="idle"):
            await read(client, thread_id, options=options)
        await until(lambda: server.open_streams == 0)


async def test_a_server_that_is_not_there_is_a_connection_error() -> None:
    backend = ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants=ASSISTANTS)
    async with AsyncClient(backend=backend, retry=RetryPolicy(attempts=1)) as client:
        thread_id = await asked(client)
        with pytest.raises(APIConnectionError):
            await client.threads.runs.create(thread_id, assistant_id="asst_1")


async def test_a_run_that_is_cancelled_while_it_is_being_asked_for_does_not_begin() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("silence", operation="create_response", seconds=0.3))
        beginning = asyncio.ensure_future(client.threads.runs.create(thread_id, assistant_id="asst_1"))
        await until(lambda: ("POST", "/v1/responses") in server.requests)
        (run,) = (await client.threads.runs.list(thread_id)).data
        assert (await client.threads.runs.cancel(run.id, thread_id=thread_id)).status == "cancelled"
        with pytest.raises(BadRequestError, match="before the server had begun"):
            await beginning
        await until(lambda: engine.has_left and server.open_streams == 0)
        assert (await client.threads.runs.retrieve(run.id, thread_id=thread_id)).status == "cancelled"


async def test_outputs_of_a_run_that_is_cancelled_meanwhile_are_refused() -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1")], ["Sunny."], ["Fine."]])
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        run = await client.threads.runs.poll(run.id, thread_id=thread_id)
        server.inject(Fault("silence", operation="create_response", seconds=0.3))
        outputs: list[JSON] = [{"tool_call_id": "call_1", "output": "sunny"}]
        posts = len(server.requests)
        submit = client.threads.runs.submit_tool_outputs
        answering = asyncio.ensure_future(submit(run.id, thread_id=thread_id, tool_outputs=outputs))
        await until(lambda: len(server.requests) > posts)
        with pytest.raises(BadRequestError, match="another request"):
            await submit(run.id, thread_id=thread_id, tool_outputs=outputs)
        await client.threads.runs.cancel(run.id, thread_id=thread_id)
        with pytest.raises(BadRequestError, match="does not wait"):
            await answering
        await until(lambda: server.open_streams == 0)
        assert (await client.threads.runs.retrieve(run.id, thread_id=thread_id)).status == "cancelled"
