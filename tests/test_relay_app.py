"""A `RunStreamResponse` in its application: arguments, middleware, background tasks, and requests that start nothing."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from raw_server import (
    COMPLETED,
    CREATED,
    LAST_CHUNK,
    STREAM_HEAD,
    RawServer,
    answer,
    answering,
    chunk,
    start,
    stream_answer,
)
from relay_site import DONE, Backend, Site, left_in_time, page, raw, site, streaming, whole
from scenarios import says
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from timing import in_time

from aiorunstream import (
    AssistantStream,
    AsyncClient,
    InvalidArgumentError,
    StreamBusyError,
)
from aiorunstream.relay import RunStreamResponse

# -- requests that start nothing ---------------------------------------------------------------------------------------


async def test_an_eventsource_that_comes_back_starts_no_second_run(anyio_backend: Backend) -> None:
    async with raw() as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        got = await at.ask("GET", "/", "Last-Event-ID: run_raw:2")
        assert (got.status, got.body) == (204, b"")
        assert got.headers["cache-control"] == "no-store"
        assert upstream.posts == 0


@pytest.mark.parametrize("helper", [False, True])
async def test_a_head_request_starts_no_run(anyio_backend: Backend, *, helper: bool) -> None:
    def either(client: AsyncClient) -> RunStreamResponse:
        return RunStreamResponse(AssistantStream(start(client)) if helper else start(client), status_code=201)

    async with raw() as upstream, site(either, upstream.base_url, anyio_backend) as at:
        got = await at.ask("HEAD")
        assert (got.status, got.body) == (201, b"")
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert upstream.posts == 0


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"only": "thread.run.created"}, "only"),
        ({"only": []}, "only"),
        ({"only": ["a*b"]}, "only"),
        ({"only": [""]}, "only"),
        ({"only": [1]}, "only"),
        ({"only": ["a"], "text_only": True}, "only"),
        ({"ping": 0}, "ping"),
        ({"ping": "1"}, "ping"),
        ({"on_disconnect": "stop"}, "on_disconnect"),
        ({"status_code": 204}, "status_code"),
        ({"status_code": 404}, "status_code"),
        ({"headers": {"a": "b\r\nSet-Cookie: x=1"}}, "headers"),
        ({"headers": {"a\n": "b"}}, "headers"),
        ({"headers": {"a": "é"}}, "headers"),
        ({"headers": {"Content-Length": "3"}}, "headers"),
        ({"headers": {"X-N": 5}}, "headers"),
        ({"headers": [("a", "b")]}, "headers"),
        ({"only": iter(["thread.run.created"])}, "only"),
    ],
)
@pytest.mark.parametrize("helper", [False, True])
async def test_an_argument_that_cannot_be_meant_is_refused_and_the_call_closed(
    settings: dict[str, Any], argument: str, *, helper: bool
) -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        call = start(client)
        with pytest.raises(InvalidArgumentError) as caught:
            RunStreamResponse(AssistantStream(call) if helper else call, **settings)
        assert caught.value.argument == argument
        with pytest.raises(StreamBusyError, match="used already"):
            await call


async def test_what_is_no_call_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="call must be"):
        RunStreamResponse(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# -- in an application -------------------------------------------------------------------------------------------------


async def test_headers_status_and_background_task_are_the_handler_s(anyio_backend: Backend) -> None:
    done: list[int] = []
    given = {"Cache-Control": "private", "X-Mine": "1"}

    def mine(client: AsyncClient) -> RunStreamResponse:
        task = BackgroundTask(done.append, 1)
        response = RunStreamResponse(start(client), headers=given, status_code=201, background=task)
        response.set_cookie("seen", "yes")
        return response

    refused = answer(404, {"error": {"message": "no"}})
    async with (
        RawServer(answering(stream_answer(), refused)) as upstream,
        site(mine, upstream.base_url, anyio_backend) as at,
    ):
        got = await at.ask()
        assert got.status == 201
        assert got.headers["cache-control"] == "private"
        assert got.headers["x-mine"] == "1"
        assert got.headers["x-accel-buffering"] == "no"
        assert got.headers["set-cookie"].startswith("seen=yes")
        await at.quiet()
        assert done == [1]
        assert (await at.ask()).status == 404
        await at.quiet()
        assert done == [1, 1]


async def test_the_background_task_runs_also_when_the_browser_has_left(anyio_backend: Backend) -> None:
    done: list[int] = []
    made = page(background=BackgroundTask(done.append, 1))
    async with streaming(CREATED) as upstream, site(made, upstream.base_url, anyio_backend) as at:
        browser = await at.browser()
        await browser.until(b"thread.run.created")
        assert done == []
        await browser.leave()
        await left_in_time(at, upstream, cancelled=True)
        assert done == [1]


async def test_it_is_the_answer_of_a_fastapi_handler(anyio_backend: Backend) -> None:
    done: list[str] = []

    def app(at: Site) -> FastAPI:
        api = FastAPI()

        @api.post("/threads/{thread_id}")
        async def run(thread_id: str, tasks: BackgroundTasks) -> RunStreamResponse:  # pyright: ignore[reportUnusedFunction]
            tasks.add_task(done.append, thread_id)
            return RunStreamResponse(at.client.threads.runs.create_stream(thread_id, assistant_id="asst_raw"))

        return api

    async with raw() as upstream, site(whole, upstream.base_url, anyio_backend, app=app) as at:
        got = await at.ask("POST", "/threads/thread_raw")
        assert got.names[-2:] == ["thread.run.completed", "done"]
        await at.quiet()
        assert done == ["thread_raw"]


async def _passes(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


@pytest.mark.parametrize(
    "middleware",
    [Middleware(BaseHTTPMiddleware, dispatch=_passes), Middleware(GZipMiddleware)],
    ids=["http", "gzip"],
)
async def test_it_goes_through_middleware_event_by_event(anyio_backend: Backend, middleware: Middleware) -> None:
    script = says(STREAM_HEAD + chunk(CREATED), 0.5, chunk(COMPLETED) + LAST_CHUNK)
    async with (
        RawServer(script) as upstream,
        site(whole, upstream.base_url, anyio_backend, middleware=(middleware,)) as at,
    ):
        browser = await at.browser("GET", "/", "Accept-Encoding: gzip")
        with in_time(0.3):
            await browser.until(b"thread.run.created")
        assert (await browser.rest()).endswith(DONE + b"\r\n0\r\n\r\n")
        await browser.leave()
        await at.quiet()


def test_a_missing_starlette_is_told_in_one_line() -> None:
    code = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name == "starlette":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import aiorunstream.relay
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last == 'ModuleNotFoundError: aiorunstream.relay needs starlette: pip install "aiorunstream[starlette]"'
