"""A short answer cut at every one of its bytes, in three framings, by FIN and by RST: what arrived whole is handed out, a run
is complete only if the event that stops it was, nothing hangs, nothing is sent twice, and nothing is left over."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import pytest
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    DONE,
    EVENT_STREAM,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    RawServer,
    answering,
    chunk,
    event,
    head,
    start,
)
from server_client import until
from tcp_proxy import Plan, TcpProxy

from aiorunstream import (
    APIError,
    AsyncClient,
    RequestOptions,
    RetryPolicy,
    RunOutcomeUnknownError,
    StreamInterruptedError,
    Timeouts,
)

T = TypeVar("T")

EVENTS = (
    event("thread.run.created", b'{"id":"run_1","thread_id":"thread_1","status":"queued"}'),
    event(
        "thread.message.delta", b'{"id":"msg_1","delta":{"content":[{"index":0,"type":"text","text":{"value":"Hi"}}]}}'
    ),
    event("thread.run.completed", b'{"id":"run_1","thread_id":"thread_1","status":"completed"}'),
)
NAMES = ["thread.run.created", "thread.message.delta", "thread.run.completed"]
BODY = b"".join(EVENTS) + DONE
ANSWERS = {
    "chunked": STREAM_HEAD + b"".join(map(chunk, (*EVENTS, DONE))) + LAST_CHUNK,
    "length": head(200, {**EVENT_STREAM, "Content-Length": str(len(BODY))}) + BODY,
    "until-closed": CLOSE_DELIMITED_HEAD + BODY,
}
AT_ONCE = 12
PATIENCE = 2.0
"""Seconds that one try may take; its own clocks are set far above, so that they cannot help it to an end."""
NO_CLOCKS = Timeouts(connect=30, first_event=30, idle=30)


OFFSETS = {"chunked": (109, 319, 39), "length": (102, 303, 26), "until-closed": (100, 303, 26)}
"""How many places to cut there are: in the head, before the end of the event that stops the run, and after that."""


class Try(NamedTuple):
    """One cut: how, and after how many bytes of the answer."""

    framing: str
    how: str
    cut: int

    @property
    def events_whole(self) -> int:
        """How many events had every byte before the cut."""
        answer = ANSWERS[self.framing]
        return sum(answer.index(one) + len(one) <= self.cut for one in EVENTS)

    @property
    def in_head(self) -> bool:
        return self.cut < ANSWERS[self.framing].index(b"\r\n\r\n") + 4

    @property
    def due(self) -> str:
        """What the client must make of it."""
        if self.in_head:
            return "RunOutcomeUnknownError"
        if self.events_whole == len(EVENTS):
            return "completed"
        # Without a length and without chunks, every end of the connection is one of the body, for aiohttp even a reset.
        return "StreamTruncatedError" if self.framing == "until-closed" else "StreamInterruptedError"


async def read_to_the_end(client: AsyncClient, one: Try | None = None) -> tuple[str, list[str], APIError | None]:
    """Reads one answer: how it ended, the names of its events, and its error. Waits for the drain after a good end."""
    options = None if one is None else RequestOptions(extra_headers={"X-Try": f"{one.framing} {one.how} {one.cut}"})
    names: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            async with start(client, options) as stream:
                async for item in stream:
                    names.append(item.event)
            await until(lambda: stream.clean_close is not None)
    except APIError as error:
        return type(error).__name__, names, error
    return str(stream.outcome), names, None


async def ended(client: AsyncClient, one: Try) -> str:
    """Reads the answer of one try and checks what it knew; returns how it ended."""
    end, names, error = await read_to_the_end(client, one)
    assert names == NAMES[: one.events_whole], f"{one}: {names}"
    if isinstance(error, StreamInterruptedError):
        assert error.events_seen == one.events_whole, one
        assert error.run_id == ("run_1" if one.events_whole else None), one
    elif error is not None:
        assert isinstance(error, RunOutcomeUnknownError), one
        assert error.clock is None, one
    return end


def left_open() -> tuple[int, int]:
    """Descriptors of the process, and tasks of the loop."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


def client_for(server: RawServer | TcpProxy) -> AsyncClient:
    """A client that would try again, if it thought that it might."""
    return AsyncClient(base_url=server.base_url, api_key="", timeouts=NO_CLOCKS, retry=RetryPolicy(base_delay=0.01))


async def at_once(jobs: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs all of them, so many at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def run(job: Coroutine[Any, Any, T]) -> T:
        async with turns:
            return await job

    return await asyncio.gather(*map(run, jobs))


async def cut_as_asked(peer: Peer) -> None:
    """Cuts the answer as the request's header says."""
    request = await peer.request()
    assert request is not None
    framing, how, cut = (request.header("X-Try") or "").split()
    await peer.send(ANSWERS[framing][: int(cut)])
    peer.fin() if how == "fin" else peer.rst()


async def warm_up() -> None:
    """Opens what a loop opens once and keeps."""
    async with RawServer(cut_as_asked) as server, client_for(server) as client:
        await ended(client, Try("chunked", "fin", 0))


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("framing", ANSWERS)
async def test_a_cut_at_every_byte_is_told_as_what_it_is(framing: str, how: str) -> None:
    await warm_up()
    before = left_open()
    tries = [Try(framing, how, cut) for cut in range(len(ANSWERS[framing]))]
    async with RawServer(cut_as_asked) as server, client_for(server) as client:
        ends = await at_once(ended(client, one) for one in tries)
        assert server.posts == len(server.requests) == len(tries)
        assert len({request.header("X-Try") for request in server.requests}) == len(tries)
    wrong = [(one, end) for one, end in zip(tries, ends, strict=True) if end != one.due]
    assert not wrong, f"{len(wrong)} of {len(tries)} cuts, such as {wrong[:3]}"
    in_head, broken, complete = OFFSETS[framing]
    assert Counter(ends) == {"RunOutcomeUnknownError": in_head, tries[in_head].due: broken, "completed": complete}
    await until(lambda: left_open() == before)


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_a_cut_between_the_two_is_told_as_what_it_is(how: Literal["cut", "reset"]) -> None:
    await warm_up()
    before = left_open()
    size = len(ANSWERS["chunked"])
    async with (
        RawServer(answering(ANSWERS["chunked"])) as server,
        TcpProxy(server.port, to_client=lambda number: Plan(how, number)) as proxy,
        client_for(proxy) as client,
    ):
        found = await at_once(read_to_the_end(client) for _ in range(size))
        assert server.posts == len(server.requests) == len(proxy.connections) == size
    tries = [Try("chunked", how, cut) for cut in range(size)]
    # Which of them got which connection is not known, only that each place had its turn.
    assert Counter((end, len(names)) for end, names, _ in found) == Counter(
        (one.due, one.events_whole) for one in tries
    )
    await until(lambda: left_open() == before)


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_a_request_that_is_cut_on_its_way_is_of_unknown_outcome(how: Literal["cut", "reset"]) -> None:
    async with RawServer(answering(ANSWERS["chunked"])) as server:
        async with client_for(server) as client:
            await read_to_the_end(client)
        size = len(server.requests[0].head) + len(b"\r\n") + len(server.requests[0].body)
        server.requests.clear()
        async with TcpProxy(server.port, to_server=lambda number: Plan(how, number)) as proxy:
            size += len(str(proxy.port)) - len(str(server.port))  # the request names it
            async with client_for(proxy) as client:
                found = await at_once(read_to_the_end(client) for _ in range(size))
            assert len(proxy.connections) == size, "one was sent twice"
        assert Counter(end for end, _, _ in found) == {"RunOutcomeUnknownError": size}
        assert server.posts == 0
