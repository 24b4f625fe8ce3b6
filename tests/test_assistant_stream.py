"""`AssistantStream`: what a run comes to, read in every way, against the embedded server and what its GET routes say."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from server_client import until

from aiorunstream import (
    AssistantEventHandler,
    AssistantStream,
    AsyncClient,
    ConfigurationError,
    Message,
    NotFoundError,
    RetryPolicy,
    Run,
    RunStep,
    StreamBusyError,
    StreamClosedError,
    StreamInterruptedError,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunRequiresAction,
    Timeouts,
    Usage,
)
from aiorunstream.server import (
    AssistantsServer,
    BreakOff,
    CallTool,
    Cite,
    EndStep,
    Fail,
    Fault,
    MoreArguments,
    Pause,
    PrintLogs,
    Refuse,
    RunCode,
    ScriptedEngine,
    SearchFiles,
    ShowImage,
)

WORDS = ["The ", "keeper ", "of the ", "lighthouse ", "— ", "alone — ", "sleeps."]
TEXT = "".join(WORDS)


class Place(NamedTuple):
    """A server that plays a script, a client, and a thread to begin a run on."""

    server: AssistantsServer
    client: AsyncClient
    engine: ScriptedEngine
    assistant_id: str
    thread_id: str

    def stream(self, **settings: Any) -> AssistantStream:
        return self.client.threads.runs.stream(self.thread_id, assistant_id=self.assistant_id, **settings)

    async def kept(self, run_id: str) -> tuple[Run, list[Message], list[RunStep]]:
        """The run, its messages and its steps, as the server has them."""
        runs = self.client.threads.runs
        messages = self.client.threads.messages.list(self.thread_id, run_id=run_id, order="asc")
        steps = runs.steps.list(run_id, thread_id=self.thread_id, order="asc")
        run = await runs.retrieve(run_id, thread_id=self.thread_id)
        return run, [message async for message in messages], [step async for step in steps]

    def requests(self, ending: str) -> int:
        return sum(path.endswith(ending) for method, path in self.server.requests if method == "POST")


@asynccontextmanager
async def place(
    replies: Sequence[object] = (WORDS,), *, delay: float = 0.0, expires_after: float = 600.0, **settings: Any
) -> AsyncGenerator[Place]:
    engine = ScriptedEngine(replies)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    settings = {"retry": RetryPolicy(attempts=1), "timeouts": Timeouts(idle=2, first_event=2), **settings}
    async with (
        AssistantsServer(engine=engine, delay=delay, expires_after=expires_after) as server,
        AsyncClient(base_url=server.base_url, **settings) as client,
    ):
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        yield Place(server, client, engine, assistant.id, thread.id)


class Ends(AssistantEventHandler):
    """Counts the ends and keeps the exceptions."""

    def __init__(self) -> None:
        self.ends = 0
        self.exceptions: list[Exception] = []

    def on_exception(self, exception: Exception) -> None:
        assert self.ends == 0, "the end is told last"
        self.exceptions.append(exception)

    def on_end(self) -> None:
        self.ends += 1


async def assert_equals_what_is_kept(at: Place, stream: AssistantStream) -> None:
    run, messages, steps = await at.kept(stream.run_id or "")
    assert await stream.get_final_run() == run
    assert await stream.get_final_messages() == tuple(messages)
    assert await stream.get_final_run_steps() == tuple(steps)
    assert stream.text == "".join(message.text for message in messages)
    assert stream.usage == run.usage
    assert (stream.run, stream.outcome) == (run, run.status)


# -- what it comes to --------------------------------------------------------------------------------------------------

SCRIPTS: dict[str, list[object]] = {
    "text": [*WORDS, Usage(5, 7, 12)],
    "nothing": [],
    "two messages": ["One. ", EndStep(), "Two", "."],
    "all parts": ["See ", Cite("[1]", "file_1", "so"), ShowImage("file_2"), "and ", "more", Refuse("no"), Refuse("t")],
    "own tools": [RunCode("1 +"), PrintLogs("2"), SearchFiles(()), EndStep(), "Done", "."],
    "fails": ["Half ", Fail("out of order")],
    "breaks off": ["Half ", BreakOff("content_filter")],
    "waits": ["Let me see.", CallTool("look", '{"a"'), MoreArguments(": 1}"), CallTool("hear", "{}")],
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_what_it_comes_to_is_what_the_server_has(script: str) -> None:
    async with place([SCRIPTS[script]]) as at:
        async with at.stream() as stream:
            events = [event async for event in stream]
            assert stream.events_seen == len(events)
        await assert_equals_what_is_kept(at, stream)


async def test_the_pieces_of_text_join_to_the_text_of_all_messages() -> None:
    async with place([SCRIPTS["two messages"]]) as at, at.stream() as stream:
        pieces: list[str] = []
        async for text in stream.text_deltas():
            pieces.append(text)
            assert stream.text == "".join(pieces)
        assert pieces == ["One. ", "Two", "."]
        assert [message.text for message in await stream.get_final_messages()] == ["One. ", "Two."]


async def test_final_objects_can_be_had_without_iterating_and_again() -> None:
    async with place() as at:
        async with at.stream() as stream:
            messages = await stream.get_final_messages()
            asked = len(at.server.requests)
            assert await stream.get_final_messages() is not None
            await stream.until_done()
            assert (await stream.get_final_run()).status == "completed"
        assert [message.text for message in messages] == [TEXT]
        assert len(at.server.requests) == asked
        assert (await stream.get_final_run()).status == "completed"  # nor does it need to be open


async def test_what_the_snapshot_gave_out_never_changes() -> None:
    async with place() as at, at.stream() as stream:
        given: list[tuple[Message, str]] = []
        async for _ in stream:
            given += [(message, message.text) for message in stream.snapshot.messages]
        assert len({text for _, text in given}) > len(WORDS) / 2
        assert all(message.text == text for message, text in given)


async def test_the_facts_come_as_they_are_known() -> None:
    async with place([SCRIPTS["text"]]) as at:
        stream = at.stream()
        assert (stream.text, stream.segment, stream.events_seen) == ("", 0, 0)
        assert [stream.thread_id, stream.run_id, stream.run, stream.outcome, stream.usage] == [None] * 5
        with pytest.raises(StreamBusyError, match="async with"):
            await anext(stream)
        async with stream:
            assert (stream.thread_id, stream.run_id, stream.segment) == (at.thread_id, None, 1)
            first = await anext(stream)
            assert isinstance(first, ThreadRunCreated)
            assert (stream.run_id, stream.run, stream.outcome) == (first.data.id, first.data, None)
            await stream.until_done()
        assert stream.usage == Usage(5, 7, 12)
        assert (stream.outcome, stream.segment) == ("completed", 1)
        assert repr(stream) == f"<AssistantStream run_id={stream.run_id!r} segment=1 outcome='completed'>"


async def test_the_first_token_and_the_rate_are_measured() -> None:
    async with place([[Pause(0.05), "a", Pause(0.05), "b", Usage(5, 7, 12)]]) as at, at.stream() as stream:
        async for event in stream:
            if not stream.text:
                assert stream.time_to_first_token is None
            if isinstance(event, ThreadMessageDelta):
                assert stream.tokens_per_second is None
        assert stream.time_to_first_token is not None
        assert stream.time_to_first_token >= 0.04
        assert stream.tokens_per_second is not None
        assert 0 < stream.tokens_per_second <= 7 / 0.04


async def test_where_nobody_counted_there_is_no_rate() -> None:
    async with place() as at, at.stream() as stream:
        await stream.until_done()
        assert stream.usage is None
        assert stream.tokens_per_second is None
        assert stream.time_to_first_token is not None


# -- around any raw call -----------------------------------------------------------------------------------------------


async def test_it_goes_around_the_outputs_of_tools_that_were_called_by_hand() -> None:
    async with place([[CallTool("look", "{}", id="call_1")], WORDS]) as at:
        async with at.stream() as first:
            events = [event async for event in first]
            assert isinstance(events[-1], ThreadRunRequiresAction)
            assert first.outcome == "requires_action"
        outputs = [{"tool_call_id": "call_1", "output": "stars"}]
        call = at.client.threads.runs.submit_tool_outputs_stream(
            first.run_id or "", thread_id=at.thread_id, tool_outputs=outputs
        )
        async with AssistantStream(call) as second:
            assert second.run_id == first.run_id
            assert "".join([text async for text in second.text_deltas()]) == TEXT
        await assert_equals_what_is_kept(at, second)


async def test_it_goes_around_a_thread_and_its_run() -> None:
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    async with place([WORDS, WORDS]) as at:
        threads = at.client.threads
        call = threads.create_and_run_stream(assistant_id=at.assistant_id, thread=thread)
        for made in (AssistantStream(call), threads.stream(assistant_id=at.assistant_id, thread=thread)):
            async with made as stream:
                (message,) = await stream.get_final_messages()
            assert message.text == stream.text == TEXT
            assert stream.snapshot.thread is not None
            assert stream.thread_id == stream.snapshot.thread.id != at.thread_id


async def test_a_run_that_was_found_after_its_answer_was_lost_is_read_as_any_other() -> None:
    async with place(retry=RetryPolicy(attempts=1, reconcile=True)) as at:
        at.server.inject(Fault("hang_up", operation="create_run"))
        async with at.stream() as stream:
            assert "".join([text async for text in stream.text_deltas()]) == TEXT
        await assert_equals_what_is_kept(at, stream)


# -- leaving -----------------------------------------------------------------------------------------------------------


async def test_leaving_early_closes_the_connection_and_the_text_so_far_stays() -> None:
    handler = Ends()
    async with place([[*WORDS, Pause(30)]]) as at:
        async with at.stream(event_handler=handler) as stream:
            async for _ in stream.text_deltas():
                break
        await until(lambda: at.server.open_streams == 0)
        assert stream.text == WORDS[0]
        assert handler.ends == 1
        for _ in range(2):
            with pytest.raises(StreamClosedError):
                await anext(stream)
            await stream.aclose()
        with pytest.raises(StreamClosedError):
            await stream.get_final_run()
        assert (handler.ends, handler.exceptions) == (1, [])
        run, _, _ = await at.kept(stream.run_id or "")
        assert run.status == "in_progress"


async def test_closing_from_elsewhere_wakes_the_reader_and_is_no_failure() -> None:
    handler = Ends()
    for cancel_on_exit in (False, True):
        async with place([["a", Pause(30)]], cancel_on_exit=cancel_on_exit) as at:
            async with at.stream(event_handler=handler) as stream:
                reader = asyncio.create_task(stream.until_done())
                await until(lambda stream=stream: stream.text == "a")  # type: ignore[misc]
                await stream.aclose()
                with pytest.raises(StreamClosedError):
                    await reader
            run, _, _ = await at.kept(stream.run_id or "")
            assert run.status == "in_progress" or cancel_on_exit
    assert (handler.ends, handler.exceptions) == (2, [])


async def test_cancel_run_ends_the_run_and_the_stream_with_it() -> None:
    async with place([["a", Pause(30)]]) as at, at.stream() as stream:
        async for _ in stream.text_deltas():
            assert (await stream.cancel_run()).status in ("cancelling", "cancelled")
        assert stream.outcome == "cancelled"
        await assert_equals_what_is_kept(at, stream)


async def test_a_cancelled_step_loses_nothing() -> None:
    async with place(delay=0.02) as at, at.stream() as stream:
        pieces: list[str] = []
        timeouts = 0
        iterator = stream.text_deltas()
        while True:
            try:
                async with asyncio.timeout(0.005):
                    pieces.append(await anext(iterator))
            except TimeoutError:
                timeouts += 1
            except StopAsyncIteration:
                break
        assert timeouts > 3
        assert pieces == WORDS


async def test_two_readers_are_one_too_many_and_the_first_reads_on() -> None:
    handler = Ends()
    async with place([[Pause(0.5), *WORDS]]) as at, at.stream(event_handler=handler) as stream:
        reader = asyncio.create_task(stream.get_final_messages())
        await until(lambda: stream.events_seen == 3)
        with pytest.raises(StreamBusyError):
            await anext(stream)
        assert (handler.ends, handler.exceptions) == (0, [])
        assert [message.text for message in await reader] == [TEXT]
    assert (handler.ends, handler.exceptions) == (1, [])


# -- what goes wrong ---------------------------------------------------------------------------------------------------


async def test_a_break_is_raised_again_and_again_and_told_once() -> None:
    handler = Ends()
    async with place() as at:
        at.server.inject(Fault("cut", at_byte=6000))
        async with at.stream(event_handler=handler) as stream:
            with pytest.raises(StreamInterruptedError) as caught:
                async for _ in stream.text_deltas():
                    pass
            for read in (stream.until_done, stream.get_final_run, stream.get_final_run_steps):
                with pytest.raises(StreamInterruptedError):
                    await read()
    assert caught.value.events_seen == stream.events_seen
    assert TEXT.startswith(stream.text)
    assert stream.text
    assert (handler.ends, handler.exceptions) == (1, [caught.value])
    assert stream.outcome is None


async def test_with_recover_the_text_comes_once_and_the_final_objects_are_right() -> None:
    async with place(recover=True) as at:
        at.server.inject(Fault("cut", at_byte=6000))
        async with at.stream() as stream:
            pieces = [text async for text in stream.text_deltas()]
            assert "".join(pieces) == TEXT
        await assert_equals_what_is_kept(at, stream)


async def test_what_cannot_be_opened_raises_on_entering_and_tells_nobody() -> None:
    handler = Ends()
    async with place() as at:
        with pytest.raises(NotFoundError):
            async with at.client.threads.runs.stream("thread_of_nobody", assistant_id=at.assistant_id) as stream:
                raise AssertionError(stream)
    assert (handler.ends, handler.exceptions) == (0, [])


@pytest.mark.parametrize(
    "settings",
    [
        {"tool_timeout": 0},
        {"tool_timeout": "5"},
        {"max_concurrent_tools": 0},
        {"max_concurrent_tools": None},
        {"max_rounds": -1},
        {"on_tool_error": "ignore"},
        {"event_handler": AssistantEventHandler},
        {"event_handler": print},
        {"approve": True},
    ],
    ids=str,
)
async def test_a_setting_that_cannot_be_meant_is_refused_and_nothing_is_left_unsent(settings: dict[str, Any]) -> None:
    async with place() as at:
        with pytest.raises(ConfigurationError, match=next(iter(settings))):  # a warning would be an error
            at.stream(**settings)


async def test_a_run_that_ends_badly_is_no_exception() -> None:
    async with place([SCRIPTS["fails"]]) as at, at.stream() as stream:
        events = [event async for event in stream]
        assert not isinstance(events[-1], ThreadRunCompleted)
        run = await stream.get_final_run()
        assert run.last_error is not None
        assert (run.status, run.last_error.message) == ("failed", "out of order")
        assert stream.text == "Half "
