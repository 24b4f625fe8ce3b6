"""Fault scenarios 65 to 70: many streams at once, streams passed on to somebody else, and a long silence."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from conftest import LONG
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    answering,
    chunk,
    delta_event,
    event,
    events_of,
    run_json,
    silent_after,
    start,
    stream_answer,
)
from scenario_children import run_out_of_descriptors
from scenarios import Left, child, says, scene
from timing import in_time

from aiorunstream import (
    AsyncClient,
    InvalidArgumentError,
    RunStream,
    StreamError,
    StreamInterruptedError,
    Timeouts,
)
from aiorunstream.sse import SSEDecoder

MANY = 1000 if LONG else 200
PATIENT = Timeouts(connect=10, first_event=30, idle=30)


async def read_thread(client: AsyncClient, number: int) -> RunStream:
    """Reads the run on that thread to its end."""
    stream = await client.threads.runs.create_stream(f"thread_{number}", assistant_id="asst_raw")
    async with stream:
        await events_of(stream)
    return stream


# -- many streams ------------------------------------------------------------------------------------------------------


async def test_65_fan_out_one_fails() -> None:
    all_there = asyncio.Event()

    async def script(peer: Peer) -> None:
        request = await peer.request()
        assert request is not None
        thread = request.line.split("/")[3]
        run = {**run_json(), "id": thread.replace("thread", "run"), "thread_id": thread}
        await peer.send(STREAM_HEAD + chunk(event("thread.run.created", run)))
        if len(at.server.requests) == MANY:
            all_there.set()
        await all_there.wait()
        if thread == "thread_77":
            await asyncio.sleep(0.1)
            peer.rst()
            return
        await peer.send(chunk(DELTA))
        await asyncio.sleep(0.2)
        await peer.send(chunk(event("thread.run.completed", {**run, "status": "completed"})), LAST_CHUNK)

    async with scene(script, posts=MANY, timeouts=PATIENT) as at:
        found = await asyncio.gather(*(read_thread(at.client, n) for n in range(MANY)), return_exceptions=True)
        failed = found.pop(77)
        assert type(failed) is StreamInterruptedError
        assert (failed.thread_id, failed.run_id, failed.events_seen) == ("thread_77", "run_77", 1)
        streams = [item for item in found if isinstance(item, RunStream)]
        assert [stream.outcome for stream in streams] == ["completed"] * (MANY - 1)


async def test_66_fan_out_server_dies() -> None:
    async with scene(silent_after(CREATED), posts=MANY, timeouts=PATIENT) as at:
        readers = [asyncio.create_task(read_thread(at.client, number)) for number in range(MANY)]
        async with asyncio.timeout(15):
            while at.server.posts < MANY:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        with in_time(2):
            for peer in at.server.peers:
                peer.fin()
            found = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(error) for error in found] == [StreamInterruptedError] * MANY
        assert {error.run_id for error in found if isinstance(error, StreamError)} == {"run_raw"}
        await asyncio.sleep(0.1)
        assert len(at.server.peers) == MANY  # nobody came back


async def test_67_fd_exhausted(anyio_backend: tuple[str, dict[str, bool]]) -> None:
    assert await child(run_out_of_descriptors, anyio_backend) == (0, "unharmed\n", "")


# -- streams passed on -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def relay_of(client: AsyncClient) -> AsyncGenerator[int, None]:
    """A web server that passes a run on to whoever asks; gives its port."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        async with start(client) as stream:
            await response.prepare(request)
            async for frame in stream.frames():
                await response.write(frame.sse())
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_68_relay_client_gone() -> None:
    before = Left.now()
    async with scene(silent_after(CREATED, DELTA), timeouts=PATIENT) as at, relay_of(at.client) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"lighthouse")
        assert at.server.peers[0].closed_at is None
        writer.close()
        with in_time(1):
            await at.server.peers[0].closed()
        await writer.wait_closed()
    await before.nothing_more()


async def test_69_relay_inject() -> None:
    evil = "x\ndata: evil\r\n\r\nevent: thread.run.completed\rdata: {}\u2028\0"
    frames = [
        *(CREATED, delta_event(evil)),
        b'event: thread.weather\ndata: {"text":\ndata: "in lines"}\n\n',
        event(None, {"event": "thread.weather", "data": {"text": evil}}),
        COMPLETED,
    ]
    forged = [event(None, {"event": f"thread{char}weather", "data": {}}) for char in "\r\n\0"]
    script = answering(stream_answer(*frames), *(stream_answer(CREATED, frame, COMPLETED) for frame in forged))
    async with scene(script, posts=1 + len(forged), connection="pooled") as at:
        async with start(at.client) as stream:
            passed = [frame async for frame in stream.frames()]
        assert len(passed) == len(frames)
        for frame in passed:
            (message,) = SSEDecoder().feed(frame.sse())
            assert (message.event, message.data) == (frame.event, frame.data)
        for _ in forged:
            async with start(at.client) as stream:
                _, frame, _ = [frame async for frame in stream.frames()]
            with pytest.raises(InvalidArgumentError):
                frame.sse()


# -- silence -----------------------------------------------------------------------------------------------------------


async def test_70_silent_180s() -> None:
    clocks, default = Timeouts(idle=1), Timeouts().idle
    assert default is not None
    assert default > 180
    quiet = 0.7  # a larger share than 180 s are of the default
    script = says(STREAM_HEAD + chunk(CREATED), quiet, chunk(DELTA), quiet, chunk(COMPLETED) + LAST_CHUNK, end="open")
    async with scene(script, connection="pooled", timeouts=clocks) as at, start(at.client) as stream:
        assert len(await events_of(stream)) == 3
        assert stream.outcome == "completed"
