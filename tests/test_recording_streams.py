"""Streams that are recorded stay as they are, and a recording is served as it was heard: the bytes, the times and the end."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from raw_server import (
    CREATED,
    DELTA,
    QUICK,
    RUN_STREAM,
    STREAM_HEAD,
    Peer,
    RawServer,
    Script,
    answer,
    answering,
    chunk,
    client_of,
    event,
    events_of,
    silent_after,
    start,
    stream_answer,
)

from aiorunstream import (
    AsyncClient,
    NotFoundError,
    RequestOptions,
    RetryPolicy,
    RunEvent,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
    StreamTruncatedError,
)
from aiorunstream.backends import HttpBackend
from aiorunstream.cli._record import RecordingBackend
from aiorunstream.recording import Ending, Recording, RecordingWriter, read_recording
from aiorunstream.server import AssistantsServer
from aiorunstream.server._replay import ReplayServer

KEY = "sk-quoted-by-a-rude-server"


@asynccontextmanager
async def recorded(base_url: str) -> AsyncGenerator[tuple[AsyncClient, Callable[[], Recording]]]:
    """A client whose first stream is recorded, and what reads the recording once the client is closed."""
    lines: list[bytes] = []
    backend = RecordingBackend(HttpBackend(base_url), lines.append)
    async with AsyncClient(backend=backend, api_key=KEY, timeouts=QUICK, retry=RetryPolicy(attempts=1)) as client:
        yield client, lambda: read_recording(b"".join(lines))
        await backend.finish()


def body_of(recording: Recording) -> bytes:
    return b"".join(piece.data for piece in recording.pieces)


def end_of(recording: Recording) -> str:
    assert recording.problem is None
    assert recording.end is not None
    return recording.end.end


async def read(client: AsyncClient) -> tuple[list[RunEvent], StreamError | None]:
    events: list[RunEvent] = []
    try:
        async with start(client) as stream:
            async for item in stream:
                events.append(item)
    except StreamError as error:
        return events, error
    return events, None


async def test_a_recorded_stream_is_the_same_stream() -> None:
    async with RawServer(answering(stream_answer())) as server:
        async with client_of(server) as client:
            plain, _ = await read(client)
        async with recorded(server.base_url) as (client, recording):
            events, error = await read(client)

    assert error is None
    assert events == plain
    assert body_of(recording()) == b"".join(RUN_STREAM)  # with the end mark, which no reader needs
    assert end_of(recording()) == "clean"


async def test_only_the_first_stream_is_recorded() -> None:
    script = answering(stream_answer(), stream_answer(CREATED))
    async with RawServer(script) as server, recorded(server.base_url) as (client, recording):
        await read(client)
        await read(client)

    assert body_of(recording()) == b"".join(RUN_STREAM)
    assert end_of(recording()) == "clean"


async def test_a_refused_stream_is_no_recording() -> None:
    refused = answer(404, {"error": {"message": "no such thread"}})
    script = answering(refused, stream_answer())
    async with RawServer(script) as server, recorded(server.base_url) as (client, recording):
        with pytest.raises(NotFoundError):
            await start(client)
        await read(client)

    assert body_of(recording()) == b"".join(RUN_STREAM)


async def cut(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED + DELTA))
    peer.fin()


@pytest.mark.parametrize(
    ("script", "ends", "raises"),
    [(cut, "broken", StreamInterruptedError), (silent_after(CREATED, DELTA), "timeout", StreamTimeoutError)],
    ids=["broken", "timeout"],
)
async def test_how_a_stream_went_wrong_is_recorded(script: Script, ends: str, raises: type[StreamError]) -> None:
    async with RawServer(script) as server, recorded(server.base_url) as (client, recording):
        events, error = await read(client)

    assert len(events) == 2
    assert type(error) is raises
    assert body_of(recording()) == CREATED + DELTA
    assert end_of(recording()) == ends


async def test_that_its_reader_left_is_recorded() -> None:
    script = silent_after(CREATED, DELTA)
    async with RawServer(script) as server, recorded(server.base_url) as (client, recording):
        stream = await start(client)
        await anext(stream)
        await anext(stream)
        await stream.aclose()

    assert body_of(recording()) == CREATED + DELTA
    assert end_of(recording()) == "left"


async def test_a_server_that_never_ends_a_body_keeps_nobody_waiting() -> None:
    async with RawServer(silent_after(*RUN_STREAM)) as server, recorded(server.base_url) as (client, recording):
        async with asyncio.timeout(3):
            _, error = await read(client)

    assert error is None
    assert end_of(recording()) == "left"


async def test_keys_that_a_server_quotes_are_stars_in_the_recording_and_not_in_the_stream() -> None:
    quoting = event("thread.message.delta", {"id": "msg_1", "object": KEY, "note": "x-secret-value"})
    # The key lies in two chunks.
    answered = stream_answer(quoting[:60], quoting[60:70], quoting[70:], *RUN_STREAM)
    options = RequestOptions(extra_headers={"X-Api-Key": "x-secret-value"})
    lines: list[bytes] = []
    async with RawServer(answering(answered)) as server:
        backend = RecordingBackend(HttpBackend(server.base_url), lines.append)
        async with AsyncClient(backend=backend, api_key=KEY) as client:
            async with start(client, options) as stream:
                events = await events_of(stream)
            await backend.finish()

    assert KEY in repr(events)
    written = b"".join(lines).decode()
    assert KEY not in written
    assert "x-secret-value" not in written
    assert written.count("***") == 2


# -- served ------------------------------------------------------------------------------------------------------------


def recording_of(*pieces: tuple[float, bytes], end: Ending | None = "clean") -> Recording:
    writer = RecordingWriter()
    head = writer.head(version="9", status=200, head_ms=0, headers={"content-type": "text/event-stream"})
    last = b"" if end is None else writer.end(pieces[-1][0], end)
    return read_recording(b"".join([head, *(writer.piece(ms, data) for ms, data in pieces), last]))


async def replayed(recording: Recording, *, speed: float = 1.0) -> tuple[list[RunEvent], StreamError | None, Recording]:
    """What a client hears of a recording that is served, and a recording of that."""
    async with ReplayServer(recording, speed=speed) as server, recorded(server.base_url) as (client, again):
        events, error = await read(client)
    return events, error, again()


async def test_a_recording_is_served_byte_for_byte_to_whoever_asks_for_a_run() -> None:
    odd = b"".join(RUN_STREAM[:2]) + 'event: thread.odd\ndata: "\u2028"\n\n'.encode() + b": \xff\n\n"
    recording = recording_of((0, odd[:50]), (1, odd[50:]), (2, b"".join(RUN_STREAM[2:])))
    events, error, again = await replayed(recording)

    assert error is None
    assert len(events) == 5
    assert body_of(again) == body_of(recording)
    assert end_of(again) == "clean"


async def test_bytes_that_are_no_recording_are_served_as_the_body_they_are() -> None:
    recording = read_recording(b"".join(RUN_STREAM))
    assert recording.head is None
    events, error, again = await replayed(recording)

    assert (len(events), error) == (4, None)
    assert body_of(again) == b"".join(RUN_STREAM)
    assert end_of(again) == "clean"


@pytest.mark.parametrize(
    ("end", "raises", "ends"),
    [
        ("clean", StreamTruncatedError, "clean"),
        ("broken", StreamInterruptedError, "broken"),
        ("timeout", StreamTimeoutError, "timeout"),
        ("left", StreamTimeoutError, "timeout"),
        (None, StreamInterruptedError, "broken"),
    ],
)
async def test_a_served_recording_ends_as_it_did(end: Ending | None, raises: type[StreamError], ends: Ending) -> None:
    events, error, again = await replayed(recording_of((0, CREATED), (0, DELTA), end=end))

    assert len(events) == 2
    assert type(error) is raises
    assert body_of(again) == CREATED + DELTA
    assert end_of(again) == ends


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_pieces_do_not_come_before_their_time(speed: float) -> None:
    pieces = [(200.0 * place, piece) for place, piece in enumerate(RUN_STREAM[:3])]
    _, _, again = await replayed(recording_of(*pieces, (600.0, RUN_STREAM[3])), speed=speed)

    assert again.head is not None
    assert len(again.pieces) == 4
    assert all(found.ms + again.head.head_ms >= 200 * place / speed for place, found in enumerate(again.pieces))


async def test_a_client_that_leaves_a_replay_is_let_go() -> None:
    recording = recording_of((0, CREATED), (60_000, DELTA))
    async with ReplayServer(recording) as server, AsyncClient(base_url=server.base_url) as client:
        async with start(client) as stream:
            await anext(stream)
            assert server.open_streams == 1
        async with asyncio.timeout(3):
            while server.open_streams:
                await asyncio.sleep(0.01)


async def test_what_is_no_run_stream_is_answered_as_ever() -> None:
    recording = recording_of((0, b"".join(RUN_STREAM)))
    async with ReplayServer(recording) as server, AsyncClient(base_url=server.base_url) as client:
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create()
        run = await client.threads.runs.create(thread.id, assistant_id=assistant.id)
        assert run.thread_id == thread.id
        call = client.threads.create_and_run_stream(assistant_id="asst_of_nobody")
        async with call as stream:
            assert len(await events_of(stream)) == 4
        assert stream.run_id == "run_raw"


async def test_a_run_of_the_embedded_server_is_heard_again_from_its_recording() -> None:
    async with AssistantsServer(delay=0.002) as server, recorded(server.base_url) as (client, recording):
        assistant = await client.assistants.create(model="any")
        thread = await client.threads.create(messages=[{"role": "user", "content": "Grüße \u2028 🙂"}])
        async with client.threads.runs.create_stream(thread.id, assistant_id=assistant.id) as stream:
            events = await events_of(stream)
    again, error, _ = await replayed(recording(), speed=1000)

    assert error is None
    assert again == events
    assert len(recording().pieces) > 3
