"""Scenarios that need a process of their own: what they do to theirs cannot be taken back. Each prints one word at its end."""

import asyncio
import errno
import inspect
import logging
import os
import resource
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator

import anyio
from raw_server import (
    CREATED,
    LAST_CHUNK,
    NO_RETRY,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    chunk,
    client_of,
    event,
    events_of,
    in_thread,
    read_whole,
    start,
)

from aiorunstream import (
    APIConnectionError,
    ClientClosedError,
    EventTooDeepError,
    RunProtocol,
    StreamClosedError,
)

# Development mode also says what took long, and on a busy machine that is anything.
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing "))

Child = Callable[[], Awaitable[None]] | Callable[[], None]


def run(function: Child, *, use_uvloop: bool) -> None:
    """Runs one of the functions below, in the loop that is asked for."""
    if inspect.iscoroutinefunction(function):
        anyio.run(function, backend_options={"use_uvloop": use_uvloop})
    else:
        function()


# -- 48 deep-json ------------------------------------------------------------------------------------------------------


def deep_payloads() -> Iterator[tuple[str | None, bytes]]:
    """Events that are nested far too deep: in fields of the models, in fields of any JSON, in unknown ones, everywhere."""
    for depth in (1000, 10**6):
        deep = b"[" * depth + b"]" * depth
        yield "thread.run.created", b'{"id":"run_1","tools":%b}' % deep
        yield "thread.run.created", b'{"id":"run_1","tools":[{"type":"function","function":{"parameters":%b}}]}' % deep
        yield "thread.run.created", b'{"id":"run_1","unheard_of":%b}' % deep
        yield "thread.message.delta", b'{"id":"msg_1","delta":%b' % (b'{"a":' * depth)  # and never closed
        yield "thread.weather", deep
        yield None, b'{"event":"thread.run.created","data":%b}' % deep


def hold_depth() -> None:
    """Where Python would recurse until the process crashes: no limit of recursion, and a small stack."""
    sys.setrecursionlimit(10**6)
    held: list[bool] = []

    def work() -> None:
        for name, payload in deep_payloads():
            protocol = RunProtocol()
            protocol.receive_data(event(name, payload))
            try:
                protocol.next_event()
            except EventTooDeepError:
                held.append(True)
            else:
                held.append(False)

    threading.stack_size(256 * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert held == [True] * 12
    print("held")


# -- 62 loop-shutdown --------------------------------------------------------------------------------------------------


async def close_all() -> None:
    """Closes a client whose streams are read, idle, draining and being opened, and ends the loop with them."""
    whole = b"".join(map(chunk, RUN_STREAM))
    left = [chunk(CREATED), chunk(CREATED), whole, None]

    async def script(peer: Peer) -> None:
        await peer.request()
        if (begins := left.pop(0)) is not None:
            await peer.send(STREAM_HEAD + begins)
        await peer.closed()

    with in_thread(script) as server:
        client = client_of(server)
        read, idle = await start(client), await start(client)
        await anext(read)
        reader = asyncio.create_task(anext(read))
        drained = await read_whole(client)
        opening = asyncio.create_task(start(client))
        await server_has(server, 4)
        await client.aclose()
        found = await asyncio.gather(reader, opening, return_exceptions=True)
        assert [type(error) for error in found] == [StreamClosedError, ClientClosedError]
        assert (idle.clean_close, drained.clean_close) == (False, False)
    print("closed")


async def server_has(server: RawServer, requests: int) -> None:
    """Waits until that many requests came."""
    async with asyncio.timeout(5):
        while len(server.requests) < requests:
            await asyncio.sleep(0.005)


# -- 67 fd-exhausted ---------------------------------------------------------------------------------------------------


async def run_out_of_descriptors() -> None:
    """Opens one stream too many where no descriptor is left, and reads those that it holds to their ends."""
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED))
        await go_on.wait()
        await peer.send(*map(chunk, RUN_STREAM[1:]), LAST_CHUNK)

    async with RawServer(script) as server, client_of(server, retry=NO_RETRY) as client:
        streams = [await start(client) for _ in range(10)]
        for stream in streams:
            await anext(stream)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            await start(client)
        except APIConnectionError as error:
            number = error.errno
        else:
            number = None
        assert number == errno.EMFILE
        go_on.set()
        assert [len(await events_of(stream)) for stream in streams] == [3] * 10
        assert server.posts == 10
    print("unharmed")
