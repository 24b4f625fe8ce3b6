"""Browsers that leave or stall: the run ends with them, or goes on, and nothing is left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    chunk,
    delta_event,
)
from relay_site import (
    CANCELLED,
    SILENT,
    Backend,
    cancels,
    left_in_time,
    page,
    site,
    streaming,
    whole,
)
from scenarios import nothing_left
from server_client import until
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from timing import in_time

from aiorunstream import AiorunstreamError, AssistantEventHandler, AsyncClient, RunEvent, ToolSet, function_tool
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import AssistantsServer, CallTool, ScriptedEngine

# -- leaving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("helper", [False, True])
@pytest.mark.parametrize("cancel_on_exit", [None, True])
async def test_a_browser_that_leaves_ends_the_run(
    anyio_backend: Backend, *, helper: bool, cancel_on_exit: bool | None
) -> None:
    made = page(helper=helper, cancel_on_exit=cancel_on_exit)
    async with (
        nothing_left(),
        streaming(CREATED, DELTA) as upstream,
        site(made, upstream.base_url, anyio_backend) as at,
    ):
        browser = await at.browser()
        await browser.until(b"lighthouse")
        await browser.leave()
        await left_in_time(at, upstream, cancelled=True)


@pytest.mark.parametrize("helper", [False, True])
@pytest.mark.parametrize("cancel_on_exit", [None, True])
@pytest.mark.parametrize("late", [{"events_after": 0.3}, {"head_after": 0.3}], ids=["no event yet", "no answer yet"])
async def test_so_does_one_that_leaves_before_the_first_event(
    anyio_backend: Backend, *, helper: bool, cancel_on_exit: bool | None, late: dict[str, float]
) -> None:
    made = page(helper=helper, cancel_on_exit=cancel_on_exit)
    async with streaming(CREATED, DELTA, **late) as upstream, site(made, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await until(lambda: upstream.posts == 1)
        await browser.leave()
        await left_in_time(at, upstream, cancelled=True)


async def test_a_request_that_nobody_answers_is_let_go(anyio_backend: Backend) -> None:
    async with (
        nothing_left(),
        streaming(head_after=SILENT) as upstream,
        site(whole, upstream.base_url, anyio_backend) as at,
    ):
        browser = await at.browser()
        await until(lambda: upstream.posts == 1)
        await browser.leave()
        await left_in_time(at, upstream, cancelled=False)


@pytest.mark.parametrize("cancel_on_exit", [None, True])
@pytest.mark.parametrize("late", [{}, {"events_after": 0.2}, {"head_after": 0.2}])
async def test_a_run_that_is_to_continue_is_left_alone(
    anyio_backend: Backend, *, cancel_on_exit: bool | None, late: dict[str, float]
) -> None:
    made = page(on_disconnect="continue", cancel_on_exit=cancel_on_exit)
    async with streaming(CREATED, DELTA, **late) as upstream, site(made, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await until(lambda: upstream.posts == 1)
        if not late:
            await browser.until(b"lighthouse")
        await browser.leave()
        await left_in_time(at, upstream, cancelled=False)


async def test_a_refusal_that_comes_after_the_browser_has_left_is_told_to_nobody(anyio_backend: Backend) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.2)
        await peer.send(answer(404, {"error": {"message": "no such thread"}}))

    told: list[object] = []

    def tell(error: AiorunstreamError) -> Response:
        told.append(error)
        return Response(status_code=404)

    made = page(on_disconnect="continue", on_error=tell)
    async with RawServer(script) as upstream, site(made, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await until(lambda: upstream.posts == 1)
        await browser.leave()
        await at.quiet()
        assert upstream.posts == 1
    assert told == []


@pytest.mark.parametrize("http", ["middleware", "none"])
async def test_it_is_seen_through_middleware_and_unread_bodies(anyio_backend: Backend, http: str) -> None:
    async def passes(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    middleware = (Middleware(BaseHTTPMiddleware, dispatch=passes),) if http == "middleware" else ()
    async with (
        streaming(CREATED, DELTA) as upstream,
        site(whole, upstream.base_url, anyio_backend, middleware=middleware) as at,
    ):
        browser = await at.browser("POST", "/", "Content-Length: 200000")
        browser.writer.write(b"x" * 200_000)
        await browser.until(b"lighthouse")
        await browser.leave()
        await left_in_time(at, upstream, cancelled=True)


async def test_a_site_that_shuts_down_ends_its_runs(anyio_backend: Backend) -> None:
    async with nothing_left(), streaming(CREATED, DELTA) as upstream:
        async with site(whole, upstream.base_url, anyio_backend) as at:
            browser = await at.browser()
            await browser.until(b"lighthouse")
        assert cancels(upstream) == 1
        assert await upstream.peers[0].closed_within(0.2)
        await browser.leave()


async def test_a_run_that_has_stopped_is_not_cancelled(anyio_backend: Backend) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM_HEAD + chunk(CREATED + COMPLETED))
        await peer.closed()

    async with RawServer(script) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await browser.until(b"[DONE]")
        await browser.leave()
        await at.quiet()
        assert upstream.posts == 1


# -- leaving while tools are called ------------------------------------------------------------------------------------


class Scene:
    """A run that calls one tool, which tells when it is called and waits until it may go on."""

    def __init__(self) -> None:
        self.called = 0
        self.ended: list[str] = []
        self.may_go_on = asyncio.Event()

    def page(self, thread: str, assistant: str, on_disconnect: Any) -> Callable[[AsyncClient], RunStreamResponse]:
        @function_tool
        async def look() -> str:
            """Looks."""
            self.called += 1
            while not self.may_go_on.is_set():  # it belongs to another loop
                await asyncio.sleep(0.01)
            return "seen"

        class Handler(AssistantEventHandler):
            def on_event(self, event: RunEvent) -> None:
                scene.ended.append(event.event)

        scene = self

        def make(client: AsyncClient) -> RunStreamResponse:
            stream = client.threads.runs.stream(
                thread, assistant_id=assistant, tools=ToolSet([look]), event_handler=Handler()
            )
            return RunStreamResponse(stream, on_disconnect=on_disconnect)

        return make


@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_tools_are_given_up_or_called_to_the_end(anyio_backend: Backend, on_disconnect: Any) -> None:
    scene = Scene()
    engine = ScriptedEngine([[CallTool("look", "{}")], ["It is there."]])
    async with AssistantsServer(engine=engine) as upstream:
        async with AsyncClient(base_url=upstream.base_url) as client:
            thread, assistant = await client.threads.create(), await client.assistants.create(model="any")
        made = scene.page(thread.id, assistant.id, on_disconnect)
        async with site(made, upstream.base_url, anyio_backend) as at:
            browser = await at.browser()
            await browser.until(b"requires_action")
            await until(lambda: scene.called == 1)
            await browser.leave()
            await asyncio.sleep(0.1)
            run = upstream.store.record(thread.id).runs
            if on_disconnect == "cancel":
                with in_time(0.9):
                    await until(lambda: run.all()[0].status == "cancelled")
            else:
                assert run.all()[0].status == "requires_action"
                scene.may_go_on.set()
                await until(lambda: run.all()[0].status == "completed")
                await until(lambda: scene.ended[-1] == "thread.run.completed")
            await at.quiet()
        assert scene.called == 1


# -- stalling ----------------------------------------------------------------------------------------------------------


async def test_a_browser_that_does_not_read_holds_the_server_up(anyio_backend: Backend) -> None:
    """So nothing piles up at the site: only the buffers of sockets fill."""
    big = chunk(delta_event("x" * 50_000))
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        request = await peer.request()
        assert request is not None
        if "/cancel " in request.line:
            await peer.send(CANCELLED)
            return
        await peer.send(STREAM_HEAD + chunk(CREATED))
        for _ in range(2_000):  # 100 MB
            if peer.closed_at is not None:
                return
            await peer.send(big)
            sent += 1

    async with RawServer(script) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await browser.until(b"thread.run.created")
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 600
        await browser.leave()
        with in_time(1):
            await upstream.peers[0].closed()
            await until(lambda: cancels(upstream) == 1)
        await at.quiet()
