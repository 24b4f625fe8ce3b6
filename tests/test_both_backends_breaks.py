"""Streams over every backend that are left, cancelled, cut, silent or refused."""

import asyncio

import pytest
from both_backends import MANY_WORDS, MIDDLE, TEXT, WITH_EACH, Each, Opens
from bridged import check_legal, names, text_of
from raw_server import events_of, events_to_text
from server_client import until
from test_assistant_stream import Ends

from aiorunstream import (
    APIStatusError,
    RateLimitError,
    RequestOptions,
    RetryPolicy,
    StreamInterruptedError,
    StreamTimeoutError,
    StreamTruncatedError,
    Timeouts,
)
from aiorunstream.server import Pause

pytestmark = WITH_EACH


async def test_leaving_closes_the_connection(client_of_each: Opens) -> None:
    async with client_of_each([["one ", Pause(30)], ["two"]]) as at:
        runs = at.client.threads.runs
        async with runs.create_stream(at.thread_id, assistant_id=at.assistant_id) as stream:
            await events_to_text(stream)
        await until(lambda: at.server.open_streams == 0)
        run, _, _ = await at.kept(stream.run_id or "")
        assert run.status == ("cancelled" if at.differs("a run whose stream was left") else "in_progress")
        if not run.is_terminal:
            await runs.cancel(run.id, thread_id=at.thread_id)
            await at.stopped(run.id)
        assert text_of(await at.read()) == "two"


async def test_cancel_run_ends_the_run_and_its_stream(client_of_each: Opens) -> None:
    async with client_of_each([["one", Pause(30)]]) as at:
        async with at.client.threads.runs.create_stream(at.thread_id, assistant_id=at.assistant_id) as stream:
            events = await events_to_text(stream)
            assert (await stream.cancel_run()).status in ("cancelling", "cancelled")
            events += await events_of(stream)
        check_legal(events)
        assert (stream.outcome, names(events)[-1]) == ("cancelled", "thread.run.cancelled")
        run, messages, _ = await at.kept(stream.run_id or "")
        assert (run.status, [message.text for message in messages]) == ("cancelled", ["one"])


async def test_cancel_on_exit_leaves_no_run_behind(client_of_each: Opens) -> None:
    async with client_of_each([["one", Pause(30)]], cancel_on_exit=True) as at:
        async with at.client.threads.runs.create_stream(at.thread_id, assistant_id=at.assistant_id) as stream:
            await events_to_text(stream)
        run = await at.stopped(stream.run_id or "")
        assert run.status == "cancelled"
        await until(lambda: at.server.open_streams == 0)


async def test_a_task_that_is_cancelled_closes_its_connection(client_of_each: Opens) -> None:
    async with client_of_each([["one", Pause(30)]]) as at:
        reading = asyncio.create_task(at.read())
        await until(lambda: at.server.open_streams == 1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until(lambda: at.server.open_streams == 0)


def what_became_of_a_broken_run(at: Each) -> str:
    if at.differs("a run whose stream broke"):
        return "cancelled"
    return "failed" if at.differs("a run that nobody else remembers") else "completed"


@pytest.mark.parametrize(("fault", "error"), [("cut", StreamInterruptedError), ("end", StreamTruncatedError)])
async def test_a_stream_that_stops_in_the_middle_is_an_error_and_told_once(
    client_of_each: Opens, fault: str, error: type[Exception]
) -> None:
    handler = Ends()
    async with client_of_each([MANY_WORDS, ["again"]]) as at:
        at.break_run(fault, at_byte=MIDDLE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        async with at.stream(event_handler=handler) as stream:
            if at.differs("a stream that broke"):
                assert "".join([text async for text in stream.text_deltas()]) == "".join(MANY_WORDS)
                assert (handler.ends, handler.exceptions, stream.outcome) == (1, [], "completed")
                return
            with pytest.raises(error) as caught:
                async for _ in stream.text_deltas():
                    pass
        assert "".join(MANY_WORDS).startswith(stream.text)
        assert (handler.ends, handler.exceptions, stream.outcome) == (1, [caught.value], None)
        run = await at.stopped(stream.run_id or "")
        assert run.status == what_became_of_a_broken_run(at)
        async with at.stream() as after:
            await after.until_done()
        assert after.text == "again"


async def test_recover_has_the_text_once_or_says_that_it_is_lost(client_of_each: Opens) -> None:
    async with client_of_each([MANY_WORDS], recover=True) as at:
        at.break_run("cut", at_byte=MIDDLE)
        async with at.stream() as stream:
            text = "".join([text async for text in stream.text_deltas()])
        run, messages, steps = await at.kept(stream.run_id or "")
        assert (await stream.get_final_run(), await stream.get_final_messages()) == (run, tuple(messages))
        assert await stream.get_final_run_steps() == tuple(steps)
        assert text == stream.text == "".join(message.text for message in messages)
        assert stream.outcome == what_became_of_a_broken_run(at)
        if at.differs("recovering"):
            assert "".join(MANY_WORDS).startswith(text)
        else:
            assert text == "".join(MANY_WORDS)


async def test_a_silence_runs_out_the_clock(client_of_each: Opens) -> None:
    async with client_of_each([["one ", Pause(0.3), "two"]]) as at:
        options = RequestOptions(timeouts=Timeouts(idle=0.2))
        if at.differs("a stream that broke"):
            assert text_of(await at.read(options=options)) == "one two"
            return
        with pytest.raises(StreamTimeoutError) as caught:
            await at.read(options=options)
        assert (caught.value.clock, caught.value.thread_id) == ("idle", at.thread_id)
        assert caught.value.run_id is not None
        await until(lambda: at.server.open_streams == 0)


async def test_the_time_for_all_of_it_runs_out(client_of_each: Opens) -> None:
    async with client_of_each([["one ", Pause(30)]]) as at:
        with pytest.raises(StreamTimeoutError) as caught:
            await at.read(options=RequestOptions(timeouts=Timeouts(total=0.8)))
        assert caught.value.clock == "total"
        await until(lambda: at.server.open_streams == 0)


@pytest.mark.parametrize("status", [400, 500])
async def test_a_refused_run_is_no_run(client_of_each: Opens, status: int) -> None:
    async with client_of_each() as at:
        at.break_run("refuse", status=status)
        with pytest.raises(APIStatusError) as caught:
            await at.read(additional_messages=[{"role": "user", "content": "More"}])
        assert caught.value.status_code == status
        assert (await at.client.threads.runs.list(at.thread_id)).data == ()
        assert await at.talk() == [("user", "Hello")]
        assert text_of(await at.read()) == TEXT


async def test_a_refusal_that_passes_is_asked_again(client_of_each: Opens) -> None:
    async with client_of_each(retry=RetryPolicy(attempts=3, base_delay=0.001)) as at:
        at.break_run("refuse", status=429, retry_after=0, times=2)
        assert text_of(await at.read()) == TEXT
        at.break_run("refuse", status=429, retry_after=0, times=3)
        with pytest.raises(RateLimitError):
            await at.read()


async def test_events_byte_by_byte_are_the_same(client_of_each: Opens) -> None:
    async with client_of_each([["one ", "two"]]) as at:
        at.break_run("drip", seconds=0.0)
        events = await at.read()
        check_legal(events)
        assert text_of(events) == "one two"
