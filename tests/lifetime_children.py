"""Ends of clients and loops that need a process of their own, so that all it says at its exit is seen. Each prints one line."""

import asyncio
import gc
import logging
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from raw_server import (
    CREATED,
    DELTA,
    LAST_CHUNK,
    NO_RETRY,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    chunk,
    events_of,
    in_thread,
)
from scenarios import Held, held

from aiorunstream import AsyncClient, ClientClosedError, RunStream, StreamClosedError, Timeouts

T = TypeVar("T")

# Development mode also says what took long, and on a busy machine that is anything.
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing "))

SLOW = Timeouts(connect=10, first_event=10, idle=10)


def new_loop(*, use_uvloop: bool) -> asyncio.AbstractEventLoop:
    """A loop of that kind."""
    if not use_uvloop:
        return asyncio.SelectorEventLoop()
    import uvloop  # noqa: PLC0415  # not everybody has it

    return uvloop.new_event_loop()


def run(name: str, *, use_uvloop: bool) -> None:
    """Runs one of the functions below, in the loop that is asked for."""
    child: Coroutine[Any, Any, None] = CHILDREN[name]()
    anyio.run(lambda: child, backend_options={"use_uvloop": use_uvloop})


async def goes_wrong(peer: Peer) -> None:
    """Streams begin and go on no more; the whole ones have no last chunk; cancels are not answered. It is asked by thread."""
    while (request := await peer.request()) is not None:
        if "/cancel " in request.line:
            continue
        if "/thread_silent/" in request.line:
            continue
        await peer.send(STREAM_HEAD)
        await peer.send(b"".join(map(chunk, RUN_STREAM if "/thread_whole/" in request.line else (CREATED, DELTA))))
        if "/thread_pooled/" in request.line:
            await peer.send(b"".join(map(chunk, RUN_STREAM[2:])) + LAST_CHUNK)


async def opened(client: AsyncClient, thread: str, *, cancel_on_exit: bool = False) -> RunStream:
    return await client.threads.runs.create_stream(thread, assistant_id="asst_1", cancel_on_exit=cancel_on_exit)


async def with_everything(base_url: str) -> tuple[AsyncClient, list[RunStream], list["asyncio.Task[Any]"]]:
    """A client with streams open, read, draining and being opened, a pooled connection, and cancels that are not answered."""
    client = AsyncClient(base_url=base_url, api_key="", timeouts=SLOW, retry=NO_RETRY)
    await events_of(await opened(client, "thread_pooled"))
    drains = [await opened(client, "thread_whole") for _ in range(3)]
    for stream in drains:
        await events_of(stream)
    read = [await opened(client, f"thread_{number}", cancel_on_exit=True) for number in range(3)]
    idle = [await opened(client, f"thread_idle_{number}", cancel_on_exit=number == 0) for number in range(3)]
    readers: list[asyncio.Task[Any]] = [asyncio.create_task(events_of(stream)) for stream in read]
    opening = [asyncio.ensure_future(opened(client, "thread_silent")) for _ in range(2)]
    left = await opened(client, "thread_left", cancel_on_exit=True)
    await anext(left)
    await anext(idle[0])
    leaving = asyncio.create_task(left.aclose())  # waits for an answer to its cancel
    await asyncio.sleep(0.05)
    return client, [*drains, *read, *idle, left], [*readers, *opening, leaving]


async def closes_everything() -> None:
    """Closes a client that has everything under way."""
    with in_thread(goes_wrong) as server:
        client, streams, tasks = await with_everything(server.base_url)
        began = time.monotonic()
        await client.aclose()
        took = time.monotonic() - began
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in found[:3]] == [StreamClosedError] * 3, found
        assert [type(error) for error in found[3:]] == [ClientClosedError] * 2 + [type(None)], found
        assert held(client) == Held()
        assert all(stream.clean_close is not None for stream in streams)
        assert len(asyncio.all_tasks()) == 1
        assert sum("/cancel " in request.line for request in server.requests) == 5
        assert took < 3, took
        await asyncio.sleep(0.1)
        assert all(peer.closed_at is not None for peer in server.peers)
    print("closed")


async def closes_while_it_is_cancelled() -> None:
    """Cancels the closing of such a client in the middle, and closes it again."""
    with in_thread(goes_wrong) as server:
        client, streams, tasks = await with_everything(server.base_url)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0.2)
        closing.cancel()
        await asyncio.wait({closing}, timeout=3)
        assert closing.cancelled(), closing
        await client.aclose()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert held(client) == Held()
        assert all(stream.clean_close is not None for stream in streams)
        assert len(asyncio.all_tasks()) == 1
        await asyncio.sleep(0.1)
        assert all(peer.closed_at is not None for peer in server.peers)
    print("closed")


async def closes_twice_at_once() -> None:
    """Closes such a client from two tasks at once."""
    with in_thread(goes_wrong) as server:
        client, _, tasks = await with_everything(server.base_url)
        began = time.monotonic()
        await asyncio.gather(client.aclose(), client.aclose(), client.close())
        assert time.monotonic() - began < 3
        await asyncio.gather(*tasks, return_exceptions=True)
        assert held(client) == Held()
        assert len(asyncio.all_tasks()) == 1
    print("closed")


CHILDREN = {
    function.__name__: function for function in (closes_everything, closes_while_it_is_cancelled, closes_twice_at_once)
}


# -- a loop that ends first --------------------------------------------------------------------------------------------


def end_with_the_loop(*, use_uvloop: bool) -> None:
    """Ends a loop with everything under way, and closes the client in the next one."""

    def timed(work: Coroutine[Any, Any, T], at_most: float) -> T:
        began = time.monotonic()
        with asyncio.Runner(loop_factory=lambda: new_loop(use_uvloop=use_uvloop)) as runner:
            result = runner.run(work)
        assert time.monotonic() - began < at_most
        return result

    with in_thread(goes_wrong) as server:
        client, streams, tasks = timed(with_everything(server.base_url), 2)
        assert all(task.done() for task in tasks)
        timed(client.aclose(), 1)
        assert all(stream.clean_close is False for stream in streams)
        timed(all_fail([events_of(stream) for stream in streams[3:]], StreamClosedError), 1)
        timed(all_fail([opened(client, "thread_late")], ClientClosedError), 1)
        assert all(task.cancelled() or task.exception() is None for task in tasks)
        del client, streams, tasks
        gc.collect()
        ends = time.monotonic() + 2
        while any(peer.closed_at is None for peer in server.peers) and time.monotonic() < ends:
            time.sleep(0.01)
        assert all(peer.closed_at is not None for peer in server.peers)
    print("ended")


async def all_fail(works: list[Coroutine[Any, Any, Any]], kind: type[Exception]) -> None:
    """Does all of it; each must fail so."""
    found = await asyncio.gather(*works, return_exceptions=True)
    assert [type(error) for error in found] == [kind] * len(works), found
