"""Fan-out and relay over every backend."""

import asyncio
import json

import pytest
from both_backends import MANY_WORDS, MIDDLE, TEXT, WITH_EACH, WORDS, Each, Opens
from fan import all_of, of_kind, outcomes
from server_client import until
from starlette.types import Message
from test_assistant_stream_tools import calling

from aiorunstream import RetryPolicy, ToolSet, Usage
from aiorunstream.fanout import RunFailure, RunItem, RunRequest, RunResult, gather_runs, stream_many
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import Pause
from aiorunstream.sse import SSEDecoder, SSEMessage

pytestmark = WITH_EACH


async def requests(at: Each, many: int, **params: object) -> list[RunRequest]:
    """So many, each on a thread of its own."""
    threads = [await at.client.threads.create(messages=[{"role": "user", "content": str(n)}]) for n in range(many)]
    return [
        RunRequest(str(n), thread.id, assistant_id=at.assistant_id, **params)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for n, thread in enumerate(threads)
    ]


async def test_fifty_runs_keep_to_themselves_and_each_ends_once(client_of_each: Opens) -> None:
    async with client_of_each([[*WORDS, Usage(5, 7, 12)]], repeat=True) as at:
        given = await requests(at, 50)
        many = stream_many(at.client.threads.runs, given, max_concurrency=20)
        items = await all_of(many)
        found = outcomes(items)
        assert found.keys() == {request.key for request in given}
        for request in given:
            result = of_kind(RunResult, found[request.key])
            assert (result.text, result.status, result.run.thread_id) == (TEXT, "completed", request.thread_id)
            assert result.usage == Usage(5, 7, 12)
            assert result.events == sum(isinstance(item, RunItem) and item.key == request.key for item in items)
        assert (many.done, many.failed, many.running, many.tokens) == (50, 0, 0, 600)


async def test_results_are_gathered_in_order_and_a_broken_one_is_a_failure(client_of_each: Opens) -> None:
    async with client_of_each([MANY_WORDS], repeat=True) as at:
        given = await requests(at, 4)
        at.break_run("cut", at_byte=MIDDLE)
        found = await gather_runs(at.client.threads.runs, given, max_concurrency=1)
        assert [one.key for one in found] == ["0", "1", "2", "3"]
        if at.differs("a stream that broke"):
            assert [of_kind(RunResult, one).text for one in found] == ["".join(MANY_WORDS)] * 4
        else:
            assert type(of_kind(RunFailure, found[0]).error).__name__ == "StreamInterruptedError"
            assert [of_kind(RunResult, one).text for one in found[1:]] == ["".join(MANY_WORDS)] * 3


async def test_tools_are_called_in_a_fan_out(client_of_each: Opens) -> None:
    def look() -> str:
        return "stars"

    async with client_of_each([calling("look"), WORDS] * 3) as at:
        given = await requests(at, 3, tools=ToolSet([look]))
        found = await gather_runs(at.client.threads.runs, given, max_concurrency=1)
        assert [of_kind(RunResult, one).text for one in found] == [TEXT] * 3


async def test_a_refusal_for_now_is_waited_out(client_of_each: Opens) -> None:
    async with client_of_each([WORDS], repeat=True, retry=RetryPolicy(attempts=3, base_delay=0.001)) as at:
        given = await requests(at, 6)
        at.break_run("refuse", status=429, retry_after=0.05, times=2)
        found = await gather_runs(at.client.threads.runs, given, max_concurrency=3)
        assert [of_kind(RunResult, one).text for one in found] == [TEXT] * 6


# -- relay -------------------------------------------------------------------------------------------------------------


class Browser:
    """What an ASGI server hands to a response, and gets of it."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leaves = asyncio.Event()

    async def ask(self, response: RunStreamResponse) -> None:
        await response({"type": "http", "method": "GET", "headers": []}, self._receive, self._send)

    async def _receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        await asyncio.sleep(0)

    @property
    def messages(self) -> list[SSEMessage]:
        return SSEDecoder().feed(b"".join(message.get("body", b"") for message in self.sent))


def said(messages: list[SSEMessage]) -> str:
    deltas = [json.loads(message.data) for message in messages if message.event == "thread.message.delta"]
    return "".join(part["text"]["value"] for delta in deltas for part in delta["delta"]["content"])


@pytest.mark.parametrize("helper", [False, True])
async def test_a_browser_gets_the_events_of_the_protocol(client_of_each: Opens, *, helper: bool) -> None:
    browser = Browser()
    async with client_of_each() as at:
        runs = at.client.threads.runs
        call = at.stream() if helper else runs.create_stream(at.thread_id, assistant_id=at.assistant_id)
        await browser.ask(RunStreamResponse(call))
        assert browser.sent[0]["status"] == 200
        told = [message.event for message in browser.messages]
        assert (told[0], told[-2:]) == ("thread.run.created", ["thread.run.completed", "done"])
        assert said(browser.messages) == TEXT
        assert (await at.talk())[-1] == ("assistant", TEXT)


async def test_a_browser_that_leaves_ends_the_run(client_of_each: Opens) -> None:
    browser = Browser()
    async with client_of_each([["one", Pause(30)]]) as at:
        runs = at.client.threads.runs
        asking = asyncio.create_task(
            browser.ask(RunStreamResponse(runs.create_stream(at.thread_id, assistant_id=at.assistant_id)))
        )
        await until(lambda: said(browser.messages) == "one")
        browser.leaves.set()
        await asyncio.wait_for(asking, 2)
        await until(lambda: at.server.open_streams == 0)
        (run,) = (await runs.list(at.thread_id)).data
        assert (await at.stopped(run.id)).status == "cancelled"


async def test_a_break_is_an_error_event_for_the_browser(client_of_each: Opens) -> None:
    browser = Browser()
    async with client_of_each([MANY_WORDS]) as at:
        at.break_run("cut", at_byte=MIDDLE)
        runs = at.client.threads.runs
        await browser.ask(RunStreamResponse(runs.create_stream(at.thread_id, assistant_id=at.assistant_id)))
        told = [message.event for message in browser.messages]
        assert told[-1] == "done"
        if at.differs("a stream that broke"):
            assert ("error" in told, said(browser.messages)) == (False, "".join(MANY_WORDS))
        else:
            assert told[-2:] == ["error", "done"]


async def test_only_the_text_for_a_browser(client_of_each: Opens) -> None:
    browser = Browser()
    async with client_of_each() as at:
        runs = at.client.threads.runs
        call = runs.create_stream(at.thread_id, assistant_id=at.assistant_id)
        await browser.ask(RunStreamResponse(call, text_only=True))
        told = [(message.event, message.data) for message in browser.messages if message.event != "message"]
        assert [json.loads(data) for event, data in told if event == "text"] == WORDS
        assert {event for event, _ in told} == {"text", "done"}
