"""Responses in the background: a stream cut at every byte goes on where it was, and says everything once."""

import asyncio
import re
from collections import Counter
from typing import Any

import msgspec
import pytest
from bridge_client import ASSISTANTS, asked, bridged, read, texts
from bridged import JSON, check_legal, names, text_of
from conftest import LONG
from raw_server import LAST_CHUNK, STREAM_HEAD, Peer, RawServer, chunk, events_of, events_to_text
from response_events import added, done, message, said
from responses_site import Slow
from server_client import until
from test_cut_everywhere import NO_CLOCKS, at_once
from timing import in_time

from aiorunstream import (
    APIError,
    AsyncClient,
    BadRequestError,
    RequestOptions,
    RetryPolicy,
    StreamInterruptedError,
    Timeouts,
)
from aiorunstream.backends.responses import ResponsesBackend
from aiorunstream.events import RunEvent
from aiorunstream.server import CallTool, Fault, ResponsesSettings, ScriptedEngine
from aiorunstream.sse import encode

WHOLE = message("Hi — oh")
ANSWERED: JSON = {"id": "resp_1", "status": "completed", "output": [WHOLE]}
TOLD: list[JSON] = [
    {"type": "response.created", "response": {"id": "resp_1", "status": "queued"}},
    {"type": "response.in_progress", "response": {"id": "resp_1", "status": "in_progress"}},
    added(0, type="message", id="msg_1", content=[]),
    *(said(0, piece) for piece in ("Hi ", "— ", "oh")),
    done(0, **WHOLE),
    {"type": "response.completed", "response": ANSWERED},
]
FRAMES = [encode(msgspec.json.encode({**one, "sequence_number": place})) for place, one in enumerate(TOLD)]
BODY = b"".join(FRAMES)


async def cut_as_asked(peer: Peer) -> None:
    """Cuts each answer after so many bytes of its events; each goes on after the event it is asked for."""
    while (request := await peer.request()) is not None:
        how, cut = (request.header("X-Try") or "").split()
        after = re.search(r"starting_after=(\d+)", request.line)
        frames = FRAMES[0 if after is None else int(after[1]) + 1 :]
        if after is None:
            await peer.send(STREAM_HEAD + chunk(b"".join(frames)[: int(cut)]) if int(cut) else STREAM_HEAD)
            peer.fin() if how == "fin" else peer.rst()
            return
        await peer.send(STREAM_HEAD + b"".join(map(chunk, frames)) + LAST_CHUNK)


async def came_to(client: AsyncClient, thread_id: str, how: str, cut: int) -> str:
    options = RequestOptions(extra_headers={"X-Try": f"{how} {cut}"})
    try:
        events = await read(client, thread_id, options=options)
    except StreamInterruptedError as error:
        return "unknown" if error.events_seen == 0 else f"broke after {error.events_seen}"
    assert text_of(events) == "Hi — oh", cut
    assert Counter(names(events)).most_common(1)[0] == ("thread.message.delta", 3)
    assert (await texts(client, thread_id))[-1] == ("assistant", "Hi — oh")
    return "whole"


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_cut_at_every_byte_loses_and_repeats_nothing(
    how: str, anyio_backend: tuple[str, dict[str, bool]]
) -> None:
    every = LONG or (how == "fin" and not anyio_backend[1]["use_uvloop"])
    async with RawServer(cut_as_asked) as server:
        backend = ResponsesBackend(
            server.base_url, threads="previous_response_id", assistants=ASSISTANTS, background=True
        )
        retry = RetryPolicy(base_delay=0.01)
        async with AsyncClient(backend=backend, timeouts=NO_CLOCKS, retry=retry) as client:
            cuts = range(0, len(BODY) + 1, 1 if every else 9)
            tries = [came_to(client, await asked(client), how, cut) for cut in cuts]
            ends = Counter(await at_once(tries))
        assert server.posts == len(cuts), "a response was asked for twice"
    # Before the first event was whole, nobody can know which response it is.
    early = sum(cut < len(FRAMES[0]) for cut in cuts)
    assert ends == {"unknown": early, "whole": len(cuts) - early}


@pytest.mark.parametrize("kind", ["cut", "reset", "end"])
async def test_a_stream_of_the_embedded_server_is_resumed_as_often_as_it_breaks(kind: Any) -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault(kind, operation="create_response", at_byte=3000))
        for at_byte in (700, 900, 1500):
            server.inject(Fault(kind, operation="retrieve_response", at_byte=at_byte))
        events = await read(client, thread_id)
        assert text_of(events) == (await texts(client, thread_id))[-1][1]
        assert "“Hello”" in text_of(events)
        resumes = sum(method == "GET" and "/responses/" in path for method, path in server.requests)
        assert resumes == 4
        await read(client, thread_id)


async def test_a_stall_is_resumed_too() -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("stall", operation="create_response", at_byte=3000))
        events = await read(client, thread_id, options=RequestOptions(timeouts=Timeouts(idle=0.1)))
        assert text_of(events) == (await texts(client, thread_id))[-1][1]


async def test_a_server_that_brings_nothing_new_is_given_up() -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=3000))
        server.inject(Fault("end", operation="retrieve_response", at_byte=0, times=None))
        with in_time(20), pytest.raises(StreamInterruptedError):
            await read(client, thread_id)
        server.clear_faults()
        run = (await client.threads.runs.list(thread_id)).data[0]
        assert run.status == "completed"
        assert (await texts(client, thread_id))[-1][1].startswith("You wrote")


async def test_a_server_that_cannot_resume_says_so_once() -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=3000))
        server.inject(Fault("refuse", status=404, operation="retrieve_response", times=None))
        with pytest.raises(StreamInterruptedError) as caught:
            await read(client, thread_id)
        assert ["404" in note for note in caught.value.__notes__] == [True]
        assert caught.value.run_id is not None


@pytest.mark.parametrize("responses", ["ogx", ResponsesSettings(background="refused")])
async def test_a_server_without_background_refuses_the_run(responses: Any) -> None:
    async with bridged(background=True, responses=responses) as (client, _):
        thread_id = await asked(client)
        with pytest.raises(BadRequestError, match="background"):
            await read(client, thread_id)
        assert [run async for run in client.threads.runs.list(thread_id)] == []


async def test_leaving_lets_the_run_go_on() -> None:
    engine = Slow()
    async with bridged(background=True, engine=engine) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            await events_to_text(stream)
        await until(lambda: server.open_streams == 0)
        assert stream.run_id is not None
        assert (await client.threads.runs.retrieve(stream.run_id, thread_id=thread_id)).status == "in_progress"
        engine.goes_on.set()
        run = await client.threads.runs.poll(stream.run_id, thread_id=thread_id)
        assert (run.status, (await texts(client, thread_id))[-1]) == ("completed", ("assistant", "one two"))
        await read(client, thread_id)


async def test_a_cancel_reaches_the_server() -> None:
    engine = Slow()
    async with bridged(background=True, engine=engine) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            events = await events_to_text(stream)
            await stream.cancel_run()
            events += await events_of(stream)
        check_legal(events)
        assert names(events)[-1] == "thread.run.cancelled"
        assert any(path.endswith("/cancel") for _, path in server.requests)
        await until(lambda: engine.has_left)


async def test_cancel_on_exit_reaches_the_server_even_before_the_first_event_was_read() -> None:
    engine = Slow()
    async with bridged(background=True, engine=engine, cancel_on_exit=True) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1"):
            pass
        assert any(path.endswith("/cancel") for _, path in server.requests)
        await until(lambda: engine.has_left)


async def test_a_cancelled_reader_of_a_resumed_stream_can_go_on() -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=3000))
        server.inject(Fault("silence", operation="retrieve_response", seconds=0.3))
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            events: list[RunEvent] = []
            while stream.outcome is None:
                try:
                    async with asyncio.timeout(0.05):
                        events.append(await anext(stream))
                except TimeoutError:
                    continue
        check_legal(events)
        assert text_of(events) == (await texts(client, thread_id))[-1][1]


async def test_leaving_while_a_stream_is_being_resumed_is_leaving_at_once() -> None:
    async with bridged(background=True) as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("cut", operation="create_response", at_byte=3000))
        server.inject(Fault("silence", operation="retrieve_response"))
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:

            async def read_on() -> None:
                async for _event in stream:
                    pass

            reading = asyncio.ensure_future(read_on())
            await until(lambda: ("GET", "/v1/responses") in [(m, p[:13]) for m, p in server.requests])
            await stream.aclose()
            with pytest.raises(APIError, match="closed"):
                await asyncio.wait_for(reading, 2)


async def test_calls_are_answered_in_the_background_too() -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1")], ["Sunny."]])
    async with bridged(background=True, engine=engine) as (client, server):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        run = await client.threads.runs.poll(run.id, thread_id=thread_id)
        server.inject(Fault("cut", operation="create_response", at_byte=2000))
        outputs: list[JSON] = [{"tool_call_id": "call_1", "output": "x"}]
        async with client.threads.runs.submit_tool_outputs_stream(
            run.id, thread_id=thread_id, tool_outputs=outputs
        ) as stream:
            events = [event async for event in stream]
        check_legal(events)
        assert text_of(events) == "Sunny."
