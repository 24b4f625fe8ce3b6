"""What goes into a fan-out: requests and their keys, and a source of them that goes wrong."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest
from fan import (
    all_of,
    begin,
    events_by_key,
    of_kind,
    outcomes,
    request,
    requests,
    rest,
    runs,
)
from raw_server import Peer
from scenarios import SLOW, scene

from aiorunstream import (
    AssistantEventHandler,
    AsyncClient,
    InvalidArgumentError,
    RequestOptions,
    ThreadCreated,
)
from aiorunstream.fanout import RunRequest, RunResult, gather_runs, stream_many
from aiorunstream.server import AssistantsServer

# -- keys and requests -------------------------------------------------------------------------------------------------


async def test_two_runs_at_a_time_may_not_have_one_key() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await asyncio.sleep(0.05)
        await peer.send(rest(thread))

    twice = [request(1), request(2), RunRequest("1", "thread_3", assistant_id="asst_1"), request(4)]
    async with scene(runs(act), connection="any", posts=2, timeouts=SLOW) as at:
        seen: list[object] = []
        async with stream_many(at.client.threads.runs, twice) as many:
            with pytest.raises(InvalidArgumentError, match="two requests have the key '1'") as caught:
                seen.extend([item async for item in many])
            assert caught.value.argument == "key"
            with pytest.raises(InvalidArgumentError):
                await anext(many)
            assert (many.done, many.failed) == (2, 0)  # those that were begun had their end first


async def test_a_key_may_come_again_once_its_run_is_over() -> None:
    async with scene(runs(), connection="any", posts=3, timeouts=SLOW) as at:
        again = [request(1), request(1), request(1)]
        items = await all_of(stream_many(at.client.threads.runs, again, max_concurrency=1))
        assert [item.key for item in items if isinstance(item, RunResult)] == ["1"] * 3


async def test_what_is_no_request_is_refused() -> None:
    async with scene(runs(), connection="any", posts=0) as at:
        threads, wrong = at.client.threads, [request(1)]
        given: Any
        for given in (request(1), "requests", 5, None):
            with pytest.raises(InvalidArgumentError, match="requests must be an iterable"):
                stream_many(threads.runs, given)
        for given in ({"key": "a"}, "thread_1", None):
            with pytest.raises(InvalidArgumentError, match="requests must be RunRequests, not"):
                await all_of(stream_many(threads.runs, [given]))
        for given in (at.client, threads.messages, None):
            with pytest.raises(InvalidArgumentError, match=r"first argument must be client\.threads"):
                stream_many(given, wrong)
        for name, given in (("max_concurrency", 0), ("buffer", 0), ("on_error", "stop"), ("events", None)):
            arguments: dict[str, Any] = {name: given}
            with pytest.raises(InvalidArgumentError) as caught:
                stream_many(threads.runs, wrong, **arguments)
            assert caught.value.argument == name


async def test_a_run_on_a_new_thread_needs_the_threads() -> None:
    async with AssistantsServer() as server, AsyncClient(base_url=server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        given = [
            RunRequest("there", thread.id, assistant_id=assistant.id),
            RunRequest("new", thread={"messages": [{"role": "user", "content": "Hi"}]}, assistant_id=assistant.id),
        ]
        items = await all_of(stream_many(client.threads, given))
        found = {key: of_kind(RunResult, end).run.thread_id for key, end in outcomes(items).items()}
        assert found["there"] == thread.id
        assert type(events_by_key(items)["new"][0]) is ThreadCreated
        with pytest.raises(InvalidArgumentError, match=r"'new' makes a thread: give client.threads in place"):
            await gather_runs(client.threads.runs, given)


@pytest.mark.parametrize(
    ("parameters", "argument"),
    [
        ({}, "thread_id"),
        ({"thread_id": "a/b"}, "thread_id"),
        ({"thread_id": "t", "thread": {}}, "thread"),
        ({"thread_id": "t", "tool_resources": {}}, "tool_resources"),
        ({"thread": {}, "additional_messages": []}, "additional_messages"),
        ({"thread": {}, "if_active": "wait"}, "if_active"),
        ({"thread": "thread_1"}, "thread"),
        ({"thread_id": "t", "assistant_id": ""}, "assistant_id"),
        ({"thread_id": "t", "temperature": 3}, "temperature"),
        ({"thread_id": "t", "tools": "search"}, "tools"),
        ({"thread_id": "t", "on_error_event": "ignore"}, "on_error_event"),
        ({"thread_id": "t", "cancel_on_exit": "yes"}, "cancel_on_exit"),
        ({"thread_id": "t", "recover": 5}, "recover"),
        ({"thread_id": "t", "if_active": "stop"}, "if_active"),
        ({"thread_id": "t", "options": {}}, "options"),
        ({"thread_id": "t", "on_tool_error": "ignore"}, "on_tool_error"),
        ({"thread_id": "t", "tool_timeout": 0}, "tool_timeout"),
        ({"thread_id": "t", "tool_timeout": "5"}, "tool_timeout"),
        ({"thread_id": "t", "max_concurrent_tools": 0}, "max_concurrent_tools"),
        ({"thread_id": "t", "max_rounds": -1}, "max_rounds"),
        ({"thread_id": "t", "event_handler": AssistantEventHandler}, "event_handler"),
        ({"thread_id": "t", "event_handler": print}, "event_handler"),
        ({"thread_id": "t", "approve": True}, "approve"),
    ],
    ids=str,
)
def test_a_request_is_checked_when_it_is_made(parameters: dict[str, Any], argument: str) -> None:
    given: dict[str, Any] = {"assistant_id": "asst_1", **parameters}
    with pytest.raises(InvalidArgumentError) as caught:
        RunRequest("ticket 17", **given)
    assert caught.value.argument == argument
    assert str(caught.value).startswith("request 'ticket 17': ")
    assert argument in str(caught.value)


@pytest.mark.parametrize("key", ["", 17, None])
def test_a_request_needs_a_key(key: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RunRequest(key, "thread_1", assistant_id="asst_1")
    assert caught.value.argument == "key"


def test_a_request_shows_nothing_of_what_people_wrote() -> None:
    secret = RunRequest("1", "thread_1", assistant_id="asst_1", instructions="secret", metadata={"a": "secret"})
    assert repr(secret) == "<RunRequest '1' on thread thread_1>"


async def test_the_parameters_of_a_request_are_sent_and_no_others() -> None:
    async with scene(runs(), connection="any", posts=2, timeouts=SLOW) as at:
        given = [
            request(1),
            request(
                2,
                instructions=None,
                temperature=0.5,
                tools=[{"type": "code_interpreter"}],
                include=["x"],
                options=RequestOptions(extra_headers={"X-Ticket": "17"}, extra_body={"priority": 1}),
            ),
        ]
        await gather_runs(at.client.threads.runs, given, max_concurrency=1)
        plain, full = at.server.requests
        assert plain.body == b'{"assistant_id":"asst_1","stream":true}'
        assert b'"instructions":null' in full.body
        assert b'"temperature":0.5' in full.body
        assert b'"tools":[{"type":"code_interpreter"}]' in full.body
        assert b'"priority":1' in full.body
        assert (full.line.split(" ")[1], full.header("x-ticket")) == ("/v1/threads/thread_2/runs?include%5B%5D=x", "17")


# -- the source of the requests goes wrong -----------------------------------------------------------------------------


def failing() -> Iterator[RunRequest]:
    yield from requests(3)
    raise KeyError("the list is broken")


async def failing_later() -> AsyncIterator[RunRequest]:
    for one in requests(3):
        yield one
    raise KeyError("the list is broken")


@pytest.mark.parametrize("source", [failing, failing_later])
async def test_an_exception_of_the_requests_comes_as_it_is_after_the_runs(source: Any) -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await asyncio.sleep(0.05)
        await peer.send(rest(thread))

    async with scene(runs(act), connection="any", posts=3, timeouts=SLOW) as at:
        many = stream_many(at.client.threads.runs, source())
        with pytest.raises(KeyError, match="the list is broken"):
            await all_of(many)
        assert many.done == 3


async def test_with_raise_an_exception_of_the_requests_comes_at_once() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await peer.closed()

    async with scene(runs(act), posts=None, timeouts=SLOW) as at:
        with pytest.raises(KeyError, match="the list is broken"):
            await gather_runs(at.client.threads.runs, failing(), on_error="raise")


async def from_a_generator(closed: list[str]) -> AsyncGenerator[RunRequest]:
    try:
        for one in requests(100):
            yield one
    finally:
        await asyncio.sleep(0)
        closed.append("closed")


class FromAClass:
    """Makes a generator each time it is iterated, which nobody else has."""

    def __init__(self, closed: list[str]) -> None:
        self._closed = closed

    def __aiter__(self) -> AsyncGenerator[RunRequest]:
        return from_a_generator(self._closed)


@pytest.mark.parametrize("source", [from_a_generator, FromAClass])
async def test_all_requests_of_an_async_generator_are_made(source: Any) -> None:
    closed: list[str] = []
    async with scene(runs(), connection="any", posts=100, timeouts=SLOW) as at:
        results = await gather_runs(at.client.threads.runs, source(closed))
        assert [result.key for result in results] == [str(number) for number in range(100)]
        assert {type(result) for result in results} == {RunResult}
    assert closed == ["closed"]


@pytest.mark.parametrize("source", [from_a_generator, FromAClass])
async def test_an_async_generator_of_requests_is_closed_when_it_is_left_early(source: Any) -> None:
    closed: list[str] = []
    async with scene(runs(), connection="any", posts=None, timeouts=SLOW) as at:
        async with stream_many(at.client.threads.runs, source(closed), max_concurrency=2) as many:
            await anext(many)
        assert closed == ["closed"]
