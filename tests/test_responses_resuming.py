"""Responses in the background whose reader leaves, or whose run is cancelled, while a stream is opened, or opened again."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
from bridge_client import ASSISTANTS, asked, bridged
from bridged import JSON, check_legal, names, text_of
from played_responses import BREAK, Played, beginning, end, playing
from raw_server import LAST_CHUNK, NO_RETRY, STREAM_HEAD, Peer, RawServer, SeenRequest, answer, chunk, events_of
from response_events import message
from server_client import until

from aiorunstream import AsyncClient, RunStream
from aiorunstream.backends.responses import ResponsesBackend
from aiorunstream.events import RunEvent
from aiorunstream.server import Fault
from aiorunstream.sse import encode

BEGINNING = [{**one, "sequence_number": place} for place, one in enumerate(beginning("resp_1"))]
END = {**end("resp_1", message("One.")), "sequence_number": 2}


class Breaking(Played):
    """A server whose stream breaks after its beginning. It goes on with that once it is let.

    Attributes:
        resumed: where the stream was asked for again.
    """

    def __init__(self) -> None:
        super().__init__([*BEGINNING, BREAK])
        self.arrived, self.goes_on = asyncio.Event(), asyncio.Event()
        self.resumed: list[Peer] = []

    async def look(self, peer: Peer, request: SeenRequest) -> None:
        if "stream=true" in request.line:
            self.resumed.append(peer)
            self.arrived.set()
            await self.goes_on.wait()
            await peer.send(STREAM_HEAD)
            await self.go_on(peer, [END])
        elif "/cancel" in request.line:
            await peer.send(answer(200, {"id": "resp_1", "status": "cancelled"}))
        else:
            await super().look(peer, request)

    async def go_on(self, peer: Peer, events: Sequence[JSON]) -> None:
        await peer.send(*(chunk(encode(msgspec.json.encode(event))) for event in events), LAST_CHUNK)


class Silent(Breaking):
    """One that says nothing where it goes on."""

    async def go_on(self, peer: Peer, events: Sequence[JSON]) -> None:
        del events
        await peer.closed()


@asynccontextmanager
async def being_resumed(
    server: Breaking,
) -> AsyncGenerator[tuple[AsyncClient, RunStream, asyncio.Task[list[RunEvent]]]]:
    """A stream that broke, whose reader waits until it is resumed; it is left when the block is."""
    async with playing(server, "previous_response_id", background=True) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            reading = asyncio.create_task(events_of(stream))
            await server.arrived.wait()
            yield client, stream, reading


async def test_a_reader_that_waits_for_its_stream_to_be_resumed_is_told_that_the_run_was_cancelled() -> None:
    server = Breaking()
    async with being_resumed(server) as (client, stream, reading):
        await client.threads.runs.cancel(stream.run_id or "", thread_id=stream.thread_id or "")
        events = await asyncio.wait_for(reading, 2)
        check_legal(events)
        assert names(events)[-1] == "thread.run.cancelled"
        await server.resumed[0].closed()


async def test_a_stream_that_was_resumed_for_nobody_is_closed_when_its_reader_leaves() -> None:
    server = Silent()
    async with being_resumed(server) as (_, _, reading):
        reading.cancel()
        await asyncio.wait({reading})
        server.goes_on.set()
        assert not await server.resumed[0].closed_within(0.1), "it is opened, for a reader that may come back"
    assert await server.resumed[0].closed_within(2)


async def test_what_the_giver_of_keys_raises_the_reader_is_told_and_can_read_on() -> None:
    server = Breaking()
    server.goes_on.set()
    keys = ["one", "", "two"]

    async def key() -> str:
        if not (given := keys.pop(0)):
            raise LookupError("no key today")
        return given

    async with RawServer(server) as raw:
        backend = ResponsesBackend(raw.base_url, threads="previous_response_id", assistants=ASSISTANTS, background=True)
        client = AsyncClient(backend=backend, retry=NO_RETRY, api_key=key)
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            events: list[RunEvent] = [await anext(stream) for _ in range(3)]
            with pytest.raises(LookupError, match="today"):
                await anext(stream)
            events += [event async for event in stream]
        check_legal(events)
        assert text_of(events) == "One."
        await client.aclose()
    assert [request.header("Authorization") for request in raw.requests] == ["Bearer one", "Bearer two"]


async def test_a_run_whose_asker_leaves_before_its_first_event_holds_no_connection() -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("stall", operation="create_response", at_byte=1))
        opening = asyncio.ensure_future(client.threads.runs.create(thread_id, assistant_id="asst_1"))
        await until(lambda: server.open_streams == 1)
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await until(lambda: server.open_streams == 0)
