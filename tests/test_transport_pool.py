"""What one request must not do to the next: leftovers on a pooled connection, places, slots, loops that have ended."""

import asyncio
import gc
import weakref

import anyio
import pytest
from raw_server import Peer, RawServer, answer, answering, client_of, read_whole, silent_after, start, stream_answer
from timing import in_time

from aiorunstream import (
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    ClientClosedError,
    Limits,
    RetryPolicy,
    Timeouts,
    with_response,
)
from aiorunstream.transport import _loop_session

FORGED = answer(408, {"error": {"message": "idle for too long"}})


@pytest.mark.parametrize("leftover", [FORGED, stream_answer(), b"x"], ids=["a 408", "a whole stream", "a byte"])
async def test_what_comes_on_an_idle_connection_is_not_the_answer_to_the_next_request(leftover: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_answer())
        await asyncio.sleep(0.05)
        await peer.send(leftover)
        if await peer.request() is not None:
            raise AssertionError("the connection was used again")

    served: list[Peer] = []

    async def by_turns(peer: Peer) -> None:
        served.append(peer)
        await (script(peer) if len(served) == 1 else answering(stream_answer())(peer))

    async with RawServer(by_turns) as server, client_of(server) as client:
        await read_whole(client)
        await asyncio.sleep(0.15)
        assert (await read_whole(client)).outcome == "completed"
        assert len(server.peers) == 2


async def test_slow_requests_without_a_body_do_not_hold_back_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop_session, "MAX_OPENING", 2)

    async def script(peer: Peer) -> None:
        request = await peer.request()
        if request is not None and request.line.startswith("GET"):
            await peer.closed()
        else:
            await peer.send(stream_answer())

    async with RawServer(script) as server, client_of(server) as client, anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(client.threads.retrieve, "thread_1")
        await server.seen(4)
        with anyio.fail_after(2):
            assert (await read_whole(client)).outcome == "completed"
        group.cancel_scope.cancel()


async def test_a_call_that_waits_for_a_slot_is_not_sent_once_the_client_is_closed() -> None:
    clocks = Timeouts(connect=5)
    async with RawServer(silent_after()) as server:
        client = client_of(server, limits=Limits(max_streams=1), timeouts=clocks)
        holder = await start(client)
        waiter = asyncio.ensure_future(start(client))
        await asyncio.sleep(0.05)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await waiter
        assert server.posts == 1
        del holder  # its client ended it, so nobody is told that it was forgotten


async def test_waiting_for_a_slot_is_tried_once_and_costs_no_budget() -> None:
    policy = RetryPolicy(attempts=3, base_delay=0, max_delay=0)
    async with (
        RawServer(silent_after()) as server,
        client_of(server, limits=Limits(max_streams=1), timeouts=Timeouts(connect=0.2), retry=policy) as client,
    ):
        holder = await start(client)
        with in_time(0.2), pytest.raises(APITimeoutError, match="max_streams"):
            await start(client)
        await holder.aclose()


@pytest.mark.parametrize("should", ["true", "false"])
async def test_a_create_is_never_sent_again_after_a_200_whatever_the_server_advises(should: str) -> None:
    refusal = answer(200, {"error": {"message": "no"}}, {"x-should-retry": should})
    policy = RetryPolicy(attempts=3, base_delay=0, max_delay=0)
    async with RawServer(answering(refusal, refusal, refusal)) as server, client_of(server, retry=policy) as client:
        with pytest.raises(APIStatusError, match="no"):
            await start(client)
        assert server.posts == 1


async def test_with_response_refuses_a_stream_before_anything_is_sent() -> None:
    async with RawServer(answering(stream_answer())) as server, client_of(server) as client:
        with pytest.raises(TypeError, match="stream"):
            await with_response(start(client))
        assert server.posts == 0


def test_a_loop_that_has_ended_is_let_go_when_the_next_one_begins() -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def use(client: AsyncClient) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        client._transport._session()

    client = AsyncClient(base_url="http://127.0.0.1:9/v1")
    for _ in range(4):
        asyncio.run(use(client))
    gc.collect()
    alive = [loop for loop in loops[:-1] if loop() is not None]
    asyncio.run(client.aclose())
    assert alive == []
