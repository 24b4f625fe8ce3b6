"""Our own ways of reading a run, and the floors that none can go below.

A side is an async context manager of a base URL that gives a function: it reads the run on a thread and returns how many
events it had (a floor that decodes nothing: how many bytes). Texts are appended to `words`, where that is given, to be checked.
"""

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import msgspec

from aiorunstream import AsyncClient, RunProtocol, ThreadMessageDelta, ToolSet, models

from .helper import helper, raw
from .plain import aiohttp_json
from .workloads import workload

Words = list[str] | None
Read = Callable[[str, Words], Awaitable[int]]
Side = Callable[[str], AbstractAsyncContextManager[Read]]


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


# -- over the wire -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def ours(base_url: str) -> AsyncGenerator[Read]:
    """The raw stream."""
    async with AsyncClient(base_url=base_url, api_key="") as client:

        async def read(thread: str, words: Words) -> int:
            events = 0
            async with client.threads.runs.create_stream(thread, assistant_id="asst_b") as stream:
                async for event in stream:
                    events += 1
                    if words is not None and isinstance(event, ThreadMessageDelta):
                        words.append(event.data.text)
            return events

        yield read


@asynccontextmanager
async def ours_helper(base_url: str) -> AsyncGenerator[Read]:
    """The helper, which keeps the message as it grows and calls the run's tools."""
    tools = ToolSet([add])
    async with AsyncClient(base_url=base_url, api_key="") as client:

        async def read(thread: str, words: Words) -> int:
            events = 0
            async with client.threads.runs.stream(thread, assistant_id="asst_b", tools=tools) as stream:
                async for _ in stream:
                    events += 1
                assert stream.snapshot.messages
                if words is not None:
                    words.append(stream.text)
            return events

        yield read


@asynccontextmanager
async def throwing_away(base_url: str) -> AsyncGenerator[Read]:
    """The floor of the wire: aiohttp reads the bytes, and nobody looks at them."""
    async with aiohttp.ClientSession(read_bufsize=16 * 1024) as session:

        async def read(thread: str, words: Words) -> int:
            del words
            size = 0
            async with session.post(f"{base_url}/threads/{thread}/runs", json={"stream": True}) as response:
                while data := await response.content.readany():
                    size += len(data)
            return size

        yield read


@asynccontextmanager
async def bare_socket(base_url: str) -> AsyncGenerator[Read]:
    """How fast the server is: a blocking socket takes what comes. It returns bytes with those of HTTP."""
    url = urlsplit(base_url)
    assert url.hostname is not None
    assert url.port is not None
    buffer = bytearray(256 * 1024)
    with socket.create_connection((url.hostname, url.port)) as connection:

        async def read(thread: str, words: Words) -> int:
            del words
            connection.sendall(f"POST {url.path}/threads/{thread}/runs HTTP/1.1\r\n\r\n".encode())
            size, end = 0, b""
            while not end.endswith(b"\r\n0\r\n\r\n"):
                got = connection.recv_into(buffer)
                size += got
                end = end[-7:] + buffer[max(0, got - 7) : got]
            return size

        yield read


# -- in memory ---------------------------------------------------------------------------------------------------------


def in_memory(work: Callable[[str, Words], int]) -> Side:
    """A side of a function that needs no connection."""

    @asynccontextmanager
    async def side(base_url: str) -> AsyncGenerator[Read]:
        del base_url

        async def read(thread: str, words: Words) -> int:
            return work(thread, words)

        yield read

    return side


def _decode(thread: str, words: Words) -> int:
    protocol = RunProtocol()
    events = 0
    for chunk in workload(thread).chunks:
        protocol.receive_data(chunk)
        while (event := protocol.next_event()) is not None:
            events += 1
            if words is not None and isinstance(event, ThreadMessageDelta):
                words.append(event.data.text)
    return events


def _msgspec_floor(thread: str, words: Words) -> int:
    decode = msgspec.json.Decoder(models.MessageDeltaEvent).decode
    events = 0
    for payload in workload(thread).payloads:
        event = ThreadMessageDelta(decode(payload))
        events += 1
        if words is not None:
            words.append(event.data.text)
    return events


@asynccontextmanager
async def helper_in_memory(base_url: str) -> AsyncGenerator[Read]:
    """The helper over bytes that are there already."""
    del base_url
    yield helper


@asynccontextmanager
async def raw_in_memory(base_url: str) -> AsyncGenerator[Read]:
    """The raw stream over bytes that are there already."""
    del base_url
    yield raw


SIDES: dict[str, Side] = {
    "aiorunstream": ours,
    "aiorunstream helper": ours_helper,
    "aiohttp + json": aiohttp_json,
    "aiohttp, thrown away": throwing_away,
    "bare socket": bare_socket,
    "decode": in_memory(_decode),
    "msgspec floor": in_memory(_msgspec_floor),
    "helper in memory": helper_in_memory,
    "raw in memory": raw_in_memory,
}
RELAY = ("relay", "msgspec, decoded and encoded", "json, decoded and encoded")
"""Sides of `relay_sides`."""
BYTES = frozenset({"aiohttp, thrown away"})
"""Sides that count bytes."""
