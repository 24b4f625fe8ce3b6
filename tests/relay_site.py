"""A web site under a real uvicorn, in a thread with a loop of its own, whose one page passes a run on to its browsers."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn
from raw_server import STREAM_HEAD, Peer, RawServer, answer, answering, chunk, run_json, start, stream_answer
from scenarios import Held, held
from server_client import until
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from timing import in_time

from aiorunstream import AssistantStream, AsyncClient, RetryPolicy, Timeouts
from aiorunstream.relay import RunStreamResponse
from aiorunstream.sse import SSEDecoder, SSEMessage

KEY = "sk-planted-0123456789abcdef"
"""The site's own key, which no browser may ever see."""

Backend = tuple[str, dict[str, bool]]
Page = Callable[[AsyncClient], RunStreamResponse]


class Browser:
    """One connection of a browser, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def until(self, text: bytes) -> bytes:
        """Reads until that comes."""
        async with asyncio.timeout(5):
            return await self.reader.readuntil(text)

    async def rest(self) -> bytes:
        """Reads until the site hangs up."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def leave(self) -> None:
        """Closes the connection."""
        self.writer.close()
        await self.writer.wait_closed()


class Answer(NamedTuple):
    """All that a browser got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def messages(self) -> list[SSEMessage]:
        """The body, read as a browser reads it."""
        decoder = SSEDecoder()
        messages = decoder.feed(self.body)
        decoder.end()
        return messages

    @property
    def names(self) -> list[str]:
        """The names of its events."""
        return [message.event for message in self.messages]

    @property
    def error(self) -> dict[str, Any]:
        """What its one error event says, which stands right before the end."""
        assert self.status == 200
        assert self.names[-2:] == ["error", "done"]
        assert self.names.count("error") == self.names.count("done") == 1
        assert self.messages[-1].data == b"[DONE]"
        told: dict[str, Any] = json.loads(self.messages[-2].data)
        assert set(told) == {"message", "type", "param", "code"}
        return told


class Site:
    """The site, as tests see it."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.loop: asyncio.AbstractEventLoop
        self.client: AsyncClient
        self.usual: frozenset[Any] = frozenset()
        self.port = 0

    @property
    def base_url(self) -> str:
        """For a client that takes the site for a server of the protocol."""
        return f"http://127.0.0.1:{self.port}"

    async def browser(self, method: str = "GET", path: str = "/", *headers: str, limit: int = 2**16) -> Browser:
        """A browser that has sent its request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        lines = [f"{method} {path} HTTP/1.1", "Host: site", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        return Browser(reader, writer)

    async def ask(self, method: str = "GET", path: str = "/", *headers: str) -> Answer:
        """A browser that waits until it has all."""
        browser = await self.browser(method, path, *headers)
        head = (await browser.until(b"\r\n\r\n")).decode().split("\r\n")
        body = await browser.rest()
        await browser.leave()
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        if fields.get("transfer-encoding") == "chunked" and method != "HEAD":
            body = _unchunked(body)
        return Answer(int(head[0].split()[1]), fields, body)

    async def quiet(self, seconds: float = 3.0) -> None:
        """Waits until nothing is left of any browser: no task in the site's loop, and nothing held by its client."""

        async def found() -> bool:
            return (
                asyncio.all_tasks() - {asyncio.current_task()} <= self.usual
                and held(self.client)._replace(pooled=0) == Held()
            )

        async def check() -> bool:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(found(), self.loop))

        async with asyncio.timeout(seconds):
            while not await check():
                await asyncio.sleep(0.01)


def _unchunked(body: bytes) -> bytes:
    pieces: list[bytes] = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(body[:length])
        assert body[length : length + 2] == b"\r\n"
        body = body[length + 2 :]
        if length == 0:
            return b"".join(pieces)
    raise AssertionError("the body was cut")


@asynccontextmanager
async def site(
    page: Page,
    upstream: str,
    backend: Backend,
    *,
    app: Callable[[Site], ASGIApp] | None = None,
    middleware: tuple[Middleware, ...] = (),
    **settings: Any,
) -> AsyncGenerator[Site]:
    """A site in front of that server.

    Args:
        page: what is answered to a request.
        app: in place of the site's own.
        settings: of its client.
    """

    async def respond(_: Request) -> Response:
        return page(at.client)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[None]:
        settings.setdefault("timeouts", Timeouts(connect=5, first_event=5, idle=5))
        settings.setdefault("retry", RetryPolicy(attempts=1))
        async with AsyncClient(base_url=upstream, api_key=KEY, **settings) as at.client:
            at.loop = asyncio.get_running_loop()
            yield

    routes = [Route("/{rest:path}", respond, methods=["GET", "POST"])]
    own = Starlette(routes=routes, middleware=list(middleware), lifespan=lifespan)

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await (own if other is None or scope["type"] == "lifespan" else other)(scope, receive, send)

    config = uvicorn.Config(
        asgi,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="on",
        loop="uvloop" if backend[1]["use_uvloop"] else "asyncio",
        backlog=2048,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    at = Site(server)
    other = None if app is None else app(at)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    await until(lambda: server.started or not thread.is_alive())
    try:
        at.port = server.servers[0].sockets[0].getsockname()[1]
        at.usual = frozenset(asyncio.all_tasks(at.loop))
        yield at
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()


# -- servers behind it -------------------------------------------------------------------------------------------------

DONE = b"event: done\ndata: [DONE]\n\n"
"""How each answer ends."""
SILENT = 600.0
"""Seconds that no test waits for."""
CANCELLED = answer(200, run_json("cancelling"))


def raw(*events: bytes) -> RawServer:
    """A server that gives every request this stream."""
    return RawServer(answering(stream_answer(*events)))


def streaming(*events: bytes, head_after: float = 0.0, events_after: float = 0.0) -> RawServer:
    """A server that streams these events and then says nothing, and lets runs be cancelled on other connections."""

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await peer.send(CANCELLED)
                continue
            await asyncio.sleep(head_after)
            await peer.send(STREAM_HEAD)
            await asyncio.sleep(events_after)
            await peer.send(*map(chunk, events))

    return RawServer(script)


def cancels(server: RawServer) -> int:
    """How often it was asked to cancel the run."""
    return sum("/threads/thread_raw/runs/run_raw/cancel " in request.line for request in server.requests)


async def left_in_time(at: Site, upstream: RawServer, *, cancelled: bool) -> None:
    """Within a second the stream's connection is closed, and the run cancelled if it is to be; then nothing is left."""
    with in_time(1):
        await upstream.peers[0].closed()
        await until(lambda: cancels(upstream) == cancelled)
    await at.quiet()
    assert cancels(upstream) == cancelled
    assert upstream.posts == 1 + cancelled


# -- pages -------------------------------------------------------------------------------------------------------------


def whole(client: AsyncClient) -> RunStreamResponse:
    """The page that passes on everything."""
    return RunStreamResponse(start(client))


def page(*, helper: bool = False, cancel_on_exit: bool | None = None, **settings: Any) -> Page:
    """A page with these settings of the relay, around a call that was made so."""

    def make(client: AsyncClient) -> RunStreamResponse:
        call = client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw", cancel_on_exit=cancel_on_exit)
        return RunStreamResponse(AssistantStream(call) if helper else call, **settings)

    return make
