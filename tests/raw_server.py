"""A TCP server on loopback that does byte for byte what a script says, and remembers what it saw.

Each connection is a `Peer` in the hands of one script: an async function that reads requests, sends bytes, pauses, and
ends with a FIN, a reset, or by staying open. Nothing here knows HTTP beyond finding where a request ends, so that every
break of its rules can be served. The connection is read all the time, so `closed_at` is when the client's end was seen.
"""

import asyncio
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Self, cast

from timing import comes_true

from aiorunstream import AsyncClient, Limits, RequestOptions, RetryPolicy, RunEvent, RunStream, StreamCall, Timeouts

# -- bytes of answers --------------------------------------------------------------------------------------------------


def head(status: int = 200, headers: Mapping[str, str] | None = None, reason: str = "Whatever") -> bytes:
    """The head of an answer, with exactly these headers."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
EVENT_STREAM = {"Content-Type": "text/event-stream", "X-Request-Id": "req_raw"}
STREAM_HEAD = head(200, {**EVENT_STREAM, "Transfer-Encoding": "chunked"})
CLOSE_DELIMITED_HEAD = head(200, {**EVENT_STREAM, "Connection": "close"})


def answer(status: int, body: bytes | object, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer with a Content-Length; a body that is not bytes goes as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
    return head(status, {**kind, "Content-Length": str(len(data)), **(headers or {})}) + data


def event(name: str | None, payload: object) -> bytes:
    """One event; a payload of bytes goes as it is."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + data + b"\n\n"


def run_json(status: str = "queued") -> dict[str, object]:
    """A run as a server would send it."""
    return {"id": "run_raw", "object": "thread.run", "thread_id": "thread_raw", "status": status}


def delta_event(text: str) -> bytes:
    """A piece of the answer's text."""
    part = {"index": 0, "type": "text", "text": {"value": text}}
    payload = {"id": "msg_raw", "object": "thread.message.delta", "delta": {"content": [part]}}
    return event("thread.message.delta", payload)


CREATED = event("thread.run.created", run_json())
DELTA = delta_event("a lighthouse ")
COMPLETED = event("thread.run.completed", run_json("completed"))
DONE = event("done", b"[DONE]")
RUN_STREAM = (CREATED, DELTA, delta_event("keeper"), COMPLETED, DONE)
"""A short run, event by event: five frames, four events."""


def stream_answer(*events: bytes) -> bytes:
    """A whole, well-formed chunked stream, one event a chunk; the short run where none are named."""
    return STREAM_HEAD + b"".join(map(chunk, events or RUN_STREAM)) + LAST_CHUNK


# -- the server --------------------------------------------------------------------------------------------------------


class SeenRequest(NamedTuple):
    """One request as it came in."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """Method, target and version."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names as sent, in order."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines if line)]

    def header(self, wanted: str) -> str | None:
        """The first of that name, in any case."""
        return next((value for name, value in self.headers if name.lower() == wanted.lower()), None)


class Peer(asyncio.Protocol):
    """One connection of the server, for its script."""

    def __init__(self, server: "RawServer") -> None:
        self._server, self._loop = server, asyncio.get_running_loop()
        self._script: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._received = bytearray()
        self._closed, self._may_write = asyncio.Event(), asyncio.Event()
        self._may_write.set()
        self.closed_at: float | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._server.peers.append(self)
        self._script = self._loop.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._news.set()

    def eof_received(self) -> bool:
        self._note_end()
        return not self._server.tls  # half-open: the script decides

    def connection_lost(self, exc: Exception | None) -> None:
        self._note_end()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def _note_end(self) -> None:
        if self.closed_at is None:
            self.closed_at = self._loop.time()
        self._closed.set()
        self._news.set()

    async def _run(self) -> None:
        try:
            await self._server.script(self)
        finally:
            self.transport.close()

    # -- what scripts call --

    async def request(self) -> SeenRequest | None:
        """The next request, head and body, or None where the client left."""
        while (found := self._take_request()) is None:
            if self.closed_at is not None:
                return None
            self._news.clear()
            await self._news.wait()
        self._server.requests.append(found)
        return found

    async def request_head(self) -> bytes:
        """As much as the head of the next request, which stays unread."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            self._news.clear()
            await self._news.wait()
        return bytes(self._received[:end])

    def _take_request(self) -> SeenRequest | None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        before = bytes(self._received[: end + 2])
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", before)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < whole:
            return None
        found = SeenRequest(before, bytes(self._received[end + 4 : whole]))
        del self._received[:whole]
        return found

    async def send(self, *pieces: bytes) -> None:
        """Sends each piece in a packet of its own, as far as TCP allows."""
        for piece in pieces:
            if self.transport.is_closing():
                return
            self.transport.write(piece)
            await self._may_write.wait()
            await asyncio.sleep(0)

    async def closed(self) -> None:
        """Stays open until the client leaves."""
        await self._closed.wait()

    def stop_reading(self) -> None:
        """Takes no more bytes, as a server that hangs."""
        self.transport.pause_reading()

    def fin(self) -> None:
        """Ends the connection in order."""
        self.transport.close()

    def rst(self) -> None:
        """Resets the connection, unless the client has just closed it."""
        if self.transport.is_closing():
            return
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def closed_within(self, seconds: float) -> bool:
        """Whether the client ends the connection within that time from now."""
        return await comes_true(self._closed.is_set, seconds)


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """Listens on loopback while it is entered; every connection is given to `script`."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.tls = tls
        self.peers: list[Peer] = []
        self.requests: list[SeenRequest] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [peer._script for peer in self.peers if peer._script is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in self.peers:
            peer.transport.abort()
        for _ in range(2):  # aborted transports close a turn later
            await asyncio.sleep(0)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error  # a script that is wrong must not look like a client that is

    @property
    def base_url(self) -> str:
        """For a client of it."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    @property
    def posts(self) -> int:
        """How many whole POSTs came in."""
        return sum(request.head.startswith(b"POST ") for request in self.requests)

    async def seen(self, connections: int) -> Peer:
        """Waits for that many connections and returns the last of them."""
        async with asyncio.timeout(5):
            while len(self.peers) < connections:
                await asyncio.sleep(0.005)
        return self.peers[connections - 1]


def answering(*answers: bytes) -> Script:
    """A script that gives the first answer to the first request of all connections, and so on; the last one repeats."""
    left = list(answers)

    async def script(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def silent_after(*events: bytes) -> Script:
    """A script that begins a stream with these events and then says nothing."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + b"".join(map(chunk, events)))
        await peer.closed()

    return script


@contextmanager
def in_thread(script: Script) -> Generator[RawServer, None, None]:
    """A server with a loop and thread of its own, for tests that run several loops or block theirs."""
    server = RawServer(script)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with server:
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(5)
        loop.close()


# -- a client of it ----------------------------------------------------------------------------------------------------

NO_RETRY = RetryPolicy(attempts=1)
QUICK = Timeouts(connect=2, first_event=2, idle=0.5)


def client_of(
    server: RawServer,
    *,
    timeouts: Timeouts = QUICK,
    retry: RetryPolicy = NO_RETRY,
    limits: Limits | None = None,
    api_key: str | None = None,
) -> AsyncClient:
    """A client of the server, to be entered: no retries unless asked, and short clocks."""
    return AsyncClient(base_url=server.base_url, timeouts=timeouts, retry=retry, limits=limits, api_key=api_key)


def start(client: AsyncClient, options: RequestOptions | None = None) -> StreamCall[RunStream]:
    """A run on the thread that the canonical stream is about."""
    return client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw", options=options)


async def events_of(stream: RunStream) -> list[RunEvent]:
    """All events to the end."""
    return [item async for item in stream]


async def events_to_text(stream: RunStream) -> list[RunEvent]:
    """The events up to the first piece of text; what comes behind it is still to be read."""
    events: list[RunEvent] = []
    async for event in stream:
        events.append(event)
        if event.event == "thread.message.delta":
            break
    return events


async def read_whole(client: AsyncClient) -> RunStream:
    """Reads the canonical run to its end, and returns the stream for its facts."""
    async with start(client) as stream:
        await events_of(stream)
    return stream
