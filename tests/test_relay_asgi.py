"""ASGI servers that are slow to say that a browser has left, or say it otherwise; and a cancel at any point."""

import asyncio

import pytest
from heard import Heard
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    LAST_CHUNK,
    STREAM_HEAD,
    RawServer,
    chunk,
)
from relay_site import (
    SILENT,
    cancels,
    page,
    streaming,
    whole,
)
from scenarios import nothing_left, says
from server_client import until
from starlette.responses import Response
from starlette.types import Message
from test_cancel_everywhere import PIECES, cancelled_at_every_point, runs_of
from timing import in_time

from aiorunstream import AssistantStream, AsyncClient
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import Pause, ScriptedEngine
from aiorunstream.testing import ThreadedServer


class Asgi:
    """A server that never says that the browser has left, and raises where something is sent to one that has."""

    def __init__(self, error: type[Exception], *, leaves_after: float = SILENT) -> None:
        self.error = error
        self.leaves_after = leaves_after
        self.sent: list[Message] = []
        self.left_after: int | None = None

    async def receive(self) -> Message:
        await asyncio.sleep(self.leaves_after)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.left_after is not None and len(self.sent) >= self.left_after:
            raise self.error("it has left")
        self.sent.append(message)
        await asyncio.sleep(0)

    async def ask(self, response: Response) -> None:
        await response({"type": "http", "method": "GET", "headers": []}, self.receive, self.send)


@pytest.mark.parametrize("left_after", [0, 1, 2, 3])
async def test_a_send_that_fails_is_a_browser_that_has_left(left_after: int) -> None:
    server = Asgi(ConnectionResetError)
    server.left_after = left_after
    async with (
        nothing_left(),
        streaming(CREATED, DELTA, DELTA) as upstream,
        AsyncClient(base_url=upstream.base_url) as client,
    ):
        with in_time(1):
            await server.ask(whole(client))
        assert cancels(upstream) == 1


class Stuck(Asgi):
    """A server whose browser takes the head and one part, no more, and then leaves."""

    def __init__(self) -> None:
        super().__init__(ConnectionResetError)
        self.is_stuck = asyncio.Event()

    async def receive(self) -> Message:
        await self.is_stuck.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await super().send(message)
        if len(self.sent) > 2:
            self.is_stuck.set()
            await asyncio.sleep(SILENT)


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_run_whose_tools_are_called_here_is_read_on_where_a_browser_left_that_took_nothing(
    caplog: pytest.LogCaptureFixture, *, breaks: bool
) -> None:
    handler, server = Heard(), Stuck()
    script = says(STREAM_HEAD + chunk(CREATED + DELTA), 0.1, b"" if breaks else chunk(DELTA + COMPLETED) + LAST_CHUNK)
    async with nothing_left(), RawServer(script) as upstream, AsyncClient(base_url=upstream.base_url) as client:
        call = client.threads.runs.create_stream("thread_raw", assistant_id="asst_raw")
        stream = AssistantStream(call, event_handler=handler)
        with in_time(0.1):
            await server.ask(RunStreamResponse(stream, on_disconnect="continue", ping=None))
        assert handler.names[-1] == "end"
        assert [event.event for event in handler.of("on_event")][2:] == (
            [] if breaks else ["thread.message.delta", "thread.run.completed"]
        )
        assert ("relay broken off" in caplog.text) == breaks
        assert cancels(upstream) == 0


async def test_pings_find_out_that_a_browser_has_left() -> None:
    server = Asgi(BrokenPipeError)
    async with nothing_left(), streaming(CREATED) as upstream, AsyncClient(base_url=upstream.base_url) as client:
        asking = asyncio.create_task(server.ask(page(ping=0.05)(client)))
        await until(lambda: len(server.sent) >= 3)
        server.left_after = 0
        with in_time(0.5):
            await asking
        assert cancels(upstream) == 1


async def test_pings_end_with_the_browser_while_the_run_is_read_on() -> None:
    server = Asgi(RuntimeError, leaves_after=0.1)
    script = says(STREAM_HEAD + chunk(CREATED), 0.3, chunk(COMPLETED) + LAST_CHUNK)
    async with nothing_left(), RawServer(script) as upstream, AsyncClient(base_url=upstream.base_url) as client:
        with in_time(1):
            await server.ask(page(helper=True, on_disconnect="continue", ping=0.02)(client))
        assert all(b"completed" not in message.get("body", b"") for message in server.sent)


@pytest.mark.parametrize("left_after", [0, 1, 2, 3])
async def test_any_other_error_of_the_server_is_raised_and_the_run_ended(left_after: int) -> None:
    server = Asgi(RuntimeError)
    server.left_after = left_after
    async with (
        nothing_left(),
        streaming(CREATED, DELTA, DELTA) as upstream,
        AsyncClient(base_url=upstream.base_url) as client,
    ):
        with pytest.raises(RuntimeError, match="it has left"):
            await server.ask(whole(client))
        assert cancels(upstream) == 1


async def test_a_server_whose_receive_fails_is_heard() -> None:
    server = Asgi(RuntimeError)

    async def receive() -> Message:
        await asyncio.sleep(0.05)
        raise RuntimeError("no more")

    server.receive = receive  # type: ignore[method-assign]
    async with nothing_left(), streaming(CREATED) as upstream, AsyncClient(base_url=upstream.base_url) as client:
        with pytest.raises(RuntimeError, match="no more"):
            await server.ask(whole(client))
        assert cancels(upstream) == 1


@pytest.mark.parametrize("helper", [False, True])
@pytest.mark.parametrize(("cancel_on_exit", "twice"), [(None, False), (True, False), (True, True)])
async def test_a_cancel_at_any_point_ends_the_run_and_leaves_nothing(
    *, helper: bool, cancel_on_exit: bool | None, twice: bool
) -> None:
    threads: list[str] = []
    with ThreadedServer(engine=ScriptedEngine([[*PIECES[:8], Pause(SILENT)]], repeat=True), delay=0.005) as upstream:
        async with AsyncClient(base_url=upstream.base_url) as client:
            assistant = await client.assistants.create(model="any")

        async def program(client: AsyncClient) -> None:
            thread = await client.threads.create()
            threads.append(thread.id)
            runs = client.threads.runs
            call = runs.create_stream(thread.id, assistant_id=assistant.id, cancel_on_exit=cancel_on_exit)
            server = Asgi(RuntimeError, leaves_after=0.1)
            await server.ask(RunStreamResponse(AssistantStream(call) if helper else call, ping=0.01))

        async def check() -> None:
            await until(lambda: all(run.is_terminal for run in upstream.call(lambda server: runs_of(server, threads))))
            await until(lambda: upstream.open_streams == 0)
            threads.clear()

        points = await cancelled_at_every_point(upstream.base_url, program, check, twice=twice)
        assert points > 15
