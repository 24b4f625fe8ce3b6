"""Responses in the background: they go on, are taken up where their stream broke off, polled, cancelled, forgotten."""

import asyncio
import contextlib

import aiohttp
import pytest
from conftest import LONG
from responses_site import Slow, created, first_word, read, resumed, streamed, text_of, types
from server_client import JSON, PATIENCE, Http, serving, until

from aiorunstream.server import CallTool, Fault, MoreArguments, ScriptedEngine

BACKGROUND: JSON = {"model": "parrot", "input": "Hello", "background": True}


async def test_a_response_in_the_background_goes_on_and_can_be_taken_up_at_every_event() -> None:
    engine = Slow()
    async with serving(engine=engine) as (server, http):
        async with http.stream("/responses", BACKGROUND) as response:
            seen = await first_word(response)
            response.close()
        await until(lambda: server.open_streams == 0)
        path = f"/responses/{seen[0]['response']['id']}"
        assert (await http.get(path))["status"] == "in_progress"

        waiting = asyncio.create_task(resumed(http, path, seen[-1]["sequence_number"]))
        await until(lambda: server.open_streams == 1)
        engine.goes_on.set()
        whole = [*seen, *await waiting]
        assert types(whole)[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
        assert text_of(whole[-1]["response"]) == "one two"
        for place in range(len(whole)):
            assert await resumed(http, path, place) == whole[place + 1 :]
        assert await resumed(http, path) == whole
        assert await resumed(http, path, 10_000) == []


async def test_a_response_in_the_background_can_be_polled() -> None:
    engine = Slow()
    async with serving(engine=engine) as (_, http):
        response = await created(http, input="Hello", background=True)
        assert response["status"] == "queued"
        engine.goes_on.set()
        async with asyncio.timeout(PATIENCE):
            while (response := await http.get(f"/responses/{response['id']}"))["status"] != "completed":
                await asyncio.sleep(0.001)
        assert text_of(response) == "one two"
        status, error = await http.refused("GET", f"/responses/{response['id']}?stream=true")
        assert (status, error["param"]) == (400, "stream")


async def test_a_response_in_the_background_is_cancelled_and_its_stream_ends_without_a_last_event() -> None:
    engine = Slow()
    async with serving(engine=engine) as (_, http):
        made = await http.post("/conversations")
        body: JSON = {"model": "parrot", "input": "Hello", "background": True, "conversation": made["id"]}
        async with http.stream("/responses", body) as stream:
            id = (await first_word(stream))[0]["response"]["id"]
            for _ in range(2):  # again is fine
                response = await http.post(f"/responses/{id}/cancel")
                assert response["status"] == "cancelled"
            assert await stream.read() == b""
        assert engine.has_left
        engine.goes_on.set()
        assert (await created(http, input="Again", conversation=made["id"]))["status"] == "completed"


async def test_only_responses_in_the_background_can_be_cancelled_or_taken_up() -> None:
    async with serving() as (_, http):
        plain = await created(http, input="Hello")
        assert (await http.refused("POST", f"/responses/{plain['id']}/cancel"))[0] == 400
        status, error = await http.refused("GET", f"/responses/{plain['id']}?stream=true")
        assert (status, error["message"]) == (404, f"Response with id '{plain['id']}' not found.")
        events = await streamed(http, input="Hello", background=True)
        status, error = await http.refused("POST", f"/responses/{events[0]['response']['id']}/cancel")
        assert (status, error["message"]) == (400, "Cannot cancel a response with status 'completed'.")


async def test_a_response_is_forgotten_and_stopped_if_it_is_in_the_background() -> None:
    engine = Slow()
    async with serving(engine=engine) as (_, http):
        id = (await created(http, input="Hello", background=True))["id"]
        status, answer = await http.ask("DELETE", f"/responses/{id}")
        assert (status, answer) == (200, {"id": id, "object": "response.deleted", "deleted": True})
        await until(lambda: engine.has_left)
        assert (await http.refused("GET", f"/responses/{id}"))[0] == 404


async def test_a_server_that_closes_cuts_streams_and_drops_what_is_in_the_background() -> None:
    engine = Slow()
    async with serving(engine=engine) as (server, http):
        async with http.stream("/responses", BACKGROUND) as response:
            await first_word(response)
            await server.aclose()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert engine.has_left


# -- faults ----------------------------------------------------------------------------------------------------------


async def test_a_stream_that_is_cut_anywhere_is_taken_up_without_a_loss() -> None:
    engine = ScriptedEngine([["Hel", "lo", CallTool("f", "{", "call_1"), MoreArguments("}")]], repeat=True)
    async with serving(engine=engine) as (server, http):
        async with http.stream("/responses", BACKGROUND) as response:
            wire = await response.read()
        first = wire.index(b"\n\n") + 2  # who has not had this has no id to ask with
        for place in range(first, len(wire), 1 if LONG else 211):
            server.inject(Fault("cut", at_byte=place, operation="create_response"))
            server.inject(Fault("cut", at_byte=(len(wire) - place) // 2, operation="retrieve_response"))
            whole = await _over_several_connections(http)
            assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
            assert types(whole) == types(read(wire))
            assert "".join(event["delta"] for event in whole if "delta" in event) == "Hello{}"
            server.clear_faults()


async def _over_several_connections(http: Http) -> list[JSON]:
    async with http.stream("/responses", BACKGROUND) as response:
        seen = await _until_cut(response)
    path = f"{http.base_url}/responses/{seen[0]['response']['id']}?stream=true&starting_after="
    for _ in range(2):
        async with http.session.get(path + str(seen[-1]["sequence_number"])) as response:
            seen += await _until_cut(response)
    return seen


async def _until_cut(response: aiohttp.ClientResponse) -> list[JSON]:
    wire = b""
    with contextlib.suppress(aiohttp.ClientPayloadError):
        while piece := await asyncio.wait_for(response.content.readany(), PATIENCE):
            wire += piece
    return read(wire)


async def test_a_stream_can_end_in_an_error_with_the_next_number() -> None:
    async with serving() as (server, http):
        server.inject(Fault("error_event", at_byte=1))
        events = await streamed(http, input="Hello")
        assert types(events) == ["response.created", "error"]
        assert [event["sequence_number"] for event in events] == [0, 1]


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("create_response", "POST", "/responses"),
        ("retrieve_response", "GET", "/responses/x"),
        ("cancel_response", "POST", "/responses/x/cancel"),
        ("create_conversation", "POST", "/conversations"),
        ("list_conversation_items", "GET", "/conversations/x/items"),
    ],
)
async def test_every_request_can_be_refused(operation: str, method: str, path: str) -> None:
    async with serving() as (server, http):
        server.inject(Fault("refuse", status=429, retry_after=1, operation=operation))
        assert (await http.refused(method, path, {} if method == "POST" else None))[0] == 429
