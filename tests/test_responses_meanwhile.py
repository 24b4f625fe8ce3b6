"""Runs of the bridge that two work with at once: looked at, or cancelled, while something else comes in between."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from bridge_client import asked, bridged, read, texts
from bridged import JSON, check_legal, names, text_of
from played_responses import BREAK, SILENCE, Played, beginning, playing, response, short
from raw_server import LAST_CHUNK, STREAM_HEAD, Peer, SeenRequest, answer, chunk, events_to_text
from response_events import called, message
from responses_site import Slow
from server_client import until

from aiorunstream import AsyncClient, BadRequestError, StreamInterruptedError, StreamProtocolError
from aiorunstream.models import Run
from aiorunstream.sse import encode

OUTPUTS: list[JSON] = [{"tool_call_id": "call_1", "output": "seen"}]


class Waiting(Played):
    """A server whose answer to the first look waits until it is let."""

    def __init__(self, *scripts: Sequence[JSON]) -> None:
        super().__init__(*scripts)
        self.arrived, self.goes_on = asyncio.Event(), asyncio.Event()

    async def look(self, peer: Peer, request: SeenRequest) -> None:
        if not self.arrived.is_set():
            self.arrived.set()
            await self.goes_on.wait()
        await super().look(peer, request)


async def broken_off(client: AsyncClient) -> tuple[str, str]:
    """The ids of a thread, and of its run, whose stream broke."""
    thread_id = await asked(client)
    with pytest.raises(StreamInterruptedError) as caught:
        await read(client, thread_id)
    assert caught.value.run_id is not None
    return thread_id, caught.value.run_id


# -- looking -----------------------------------------------------------------------------------------------------------


async def test_a_run_whose_response_the_server_knows_no_more_has_failed() -> None:
    async with playing(Played([*beginning("resp_1"), BREAK]), "previous_response_id") as (client, _):
        thread_id, run_id = await broken_off(client)
        run = await client.threads.runs.retrieve(run_id, thread_id=thread_id)
        assert run.last_error is not None
        assert (run.status, "broke" in run.last_error.message) == ("failed", True)


@pytest.mark.parametrize("second", ["resp_2", "resp_1", None])
async def test_an_answer_that_comes_late_does_not_bring_back_calls_that_were_answered_meanwhile(
    second: str | None,
) -> None:
    """Servers that call all responses the same are no exception; nor is a second response that breaks before its id."""
    server = Waiting([*beginning("resp_1"), BREAK], [BREAK] if second is None else [*beginning(second), SILENCE])
    server.kept["resp_1"] = response("resp_1", called())
    async with playing(server, "previous_response_id") as (client, _):
        thread_id, run_id = await broken_off(client)
        late = asyncio.ensure_future(client.threads.runs.retrieve(run_id, thread_id=thread_id))
        await server.arrived.wait()
        assert (await client.threads.runs.retrieve(run_id, thread_id=thread_id)).status == "requires_action"
        async with client.threads.runs.submit_tool_outputs_stream(
            run_id, thread_id=thread_id, tool_outputs=OUTPUTS
        ) as stream:
            if second is None:
                with pytest.raises(StreamInterruptedError):
                    [event async for event in stream]
            else:
                while (await anext(stream)).event != "thread.run.in_progress":
                    pass
            server.goes_on.set()
            assert (await late).status == ("queued" if second is None else "in_progress")
            assert len((await client.threads.runs.steps.list(run_id, thread_id=thread_id)).data) == 1


async def test_a_run_that_is_cancelled_while_it_is_looked_at_stays_so_and_has_said_nothing() -> None:
    server = Waiting([*beginning("resp_1"), BREAK], short("resp_2", message("Two.")))
    server.kept["resp_1"] = response("resp_1", status="in_progress")
    async with playing(server, "previous_response_id") as (client, _):
        thread_id, run_id = await broken_off(client)
        late = asyncio.ensure_future(client.threads.runs.retrieve(run_id, thread_id=thread_id))
        await server.arrived.wait()
        await client.threads.runs.cancel(run_id, thread_id=thread_id)
        server.kept["resp_1"] = response("resp_1", message("One."))
        server.goes_on.set()
        assert (await late).status == "cancelled"
        await read(client, thread_id)
    assert "previous_response_id" not in server.bodies[1]


@pytest.mark.parametrize("reader", ["reads", "has left"])
async def test_an_answer_that_makes_no_sense_locks_no_thread(reader: str) -> None:
    twice = short("resp_1", called(), called(name="other"))
    server = Played(twice if reader == "reads" else [*beginning("resp_1"), SILENCE], short("resp_2", message("Two.")))
    server.kept["resp_1"] = response("resp_1", called(), called(name="other"))
    async with playing(server, "previous_response_id", background=True) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            if reader == "reads":
                with pytest.raises(StreamProtocolError, match="call_1"):
                    [event async for event in stream]
        run = await client.threads.runs.retrieve(stream.run_id or "", thread_id=thread_id)
        assert run.last_error is not None
        assert (run.status, "call_1" in run.last_error.message) == ("failed", True)
        await client.threads.messages.create(thread_id, role="user", content="Next")
        assert text_of(await read(client, thread_id)) == "Two."


# -- cancelling and answering ------------------------------------------------------------------------------------------


async def test_a_run_that_ends_while_its_cancel_is_under_way_has_ended() -> None:
    is_cancelled, is_seen = asyncio.Event(), asyncio.Event()

    class Late(Played):
        async def stream(self, peer: Peer, events: Sequence[JSON]) -> None:
            frames = [chunk(encode(msgspec.json.encode(event))) for event in events]
            await peer.send(STREAM_HEAD, *frames[:2])
            await is_cancelled.wait()
            await peer.send(*frames[2:], LAST_CHUNK)

        async def look(self, peer: Peer, request: SeenRequest) -> None:
            if "/cancel" in request.line:
                is_cancelled.set()
                await is_seen.wait()
                await peer.send(answer(200, response("resp_1", message("One."))))
            else:
                await super().look(peer, request)

    async with playing(Late(short("resp_1", message("One."))), "previous_response_id", background=True) as (client, _):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            cancelling = asyncio.ensure_future(client.threads.runs.cancel(stream.run_id or "", thread_id=thread_id))
            events = [event async for event in stream]
            is_seen.set()
            assert (await cancelling).status == "completed"
        check_legal(events)
        assert names(events)[-1] == "thread.run.completed"
        assert await texts(client, thread_id) == [("user", "Hello"), ("assistant", "One.")]


async def test_a_run_can_be_cancelled_from_another_thread() -> None:
    engine = Slow()
    async with bridged("replay", engine=engine) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            events = await events_to_text(stream)

            async def cancel() -> Run:
                return await client.threads.runs.cancel(stream.run_id or "", thread_id=thread_id)

            next_one = asyncio.ensure_future(anext(stream))
            assert (await asyncio.to_thread(lambda: asyncio.run(cancel()))).status == "cancelled"
            events.append(await asyncio.wait_for(next_one, 2))
            events += [event async for event in stream]
        check_legal(events)
        await until(lambda: engine.has_left and server.open_streams == 0)


async def test_a_run_that_is_under_way_takes_no_outputs() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        with pytest.raises(BadRequestError, match="does not wait"):
            await client.threads.runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=OUTPUTS)
        engine.goes_on.set()
        assert (await client.threads.runs.poll(run.id, thread_id=thread_id)).status == "completed"
