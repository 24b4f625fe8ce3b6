"""Conversations that hold what this process does not know, or otherwise: which message is which, and what is shown."""

import asyncio

import msgspec
import pytest
from bridge_client import asked, read, texts
from bridged import JSON
from played_responses import SILENCE, Played, beginning, beside, end, playing, short
from raw_server import Peer, RawServer, SeenRequest
from response_events import message, said

from aiorunstream import AsyncClient, UnsupportedParameterError

BROKEN: list[JSON] = [*beginning("resp_1"), said(0, "Half"), end("resp_1", status="failed", error={"message": "no"})]


async def four_messages(client: AsyncClient, server: Played) -> list[str]:
    """Their ids, of a thread whose second message only this process has: its response failed."""
    thread_id = await asked(client)
    await read(client, thread_id)
    await client.threads.messages.create(thread_id, role="user", content="Delete me")
    await read(client, thread_id)
    given = [{**item, "id": f"msg_there_{place}"} for place, item in enumerate(server.bodies[1]["input"])]
    server.items = [*given, message("Two.", id="msg_2")]
    assert [text for _, text in await texts(client, thread_id)] == ["Hello", "Half", "Delete me", "Two."]
    return [one.id async for one in client.threads.messages.list(thread_id, order="asc")]


@pytest.mark.parametrize("more", [0, 1])
async def test_a_message_that_cannot_be_told_from_another_is_not_deleted(more: int) -> None:
    server = Played(BROKEN, short("resp_2", message("Two.", id="msg_2")))
    async with playing(server, "conversation") as (client, _):
        ids = await four_messages(client, server)
        # As many as are known here, and still not the same.
        server.items += [{**message("Elsewhere.", id="msg_elsewhere"), "role": "user"}] * more
        with pytest.raises(UnsupportedParameterError, match="told from another"):
            await client.threads.messages.delete(ids[2], thread_id="conv_1")
        assert server.deleted == []
        assert (await client.threads.messages.delete("msg_2", thread_id="conv_1")).deleted
        assert server.deleted == ["msg_2"]


async def test_a_message_whose_id_differs_is_known_by_its_place_where_all_are_the_same() -> None:
    server = Played(short("resp_1", message("One.", id="msg_1")))
    async with playing(server, "conversation") as (client, _):
        thread_id = await asked(client)
        await read(client, thread_id)
        server.items = [{**server.bodies[0]["input"][0], "id": "msg_there"}, message("One.", id="msg_1")]
        first = (await client.threads.messages.list(thread_id, order="asc")).data[0]
        assert (await client.threads.messages.delete(first.id, thread_id=thread_id)).deleted
        assert server.deleted == ["msg_there"]


async def test_a_message_that_the_server_has_is_kept_whatever_run_has_begun_meanwhile() -> None:
    arrived, goes_on = asyncio.Event(), asyncio.Event()

    class Late(Played):
        async def list_or_add(self, peer: Peer, request: SeenRequest) -> None:
            if b"Late" in request.body:
                arrived.set()
                await goes_on.wait()
            await super().list_or_add(peer, request)

    server = Late([*beginning("resp_1"), SILENCE])
    async with playing(server, "conversation", add_messages="at_once") as (client, _):
        thread_id = await asked(client)
        adding = asyncio.ensure_future(client.threads.messages.create(thread_id, role="user", content="Late"))
        await arrived.wait()
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            await anext(stream)
            goes_on.set()
            added = await adding
            assert [item["id"] for item in server.items] == ["msg_there_0", added.id]
        assert await texts(client, thread_id) == [("user", "Hello"), ("user", "Late")]


async def test_messages_of_a_conversation_that_was_made_elsewhere_have_their_annotations() -> None:
    server = Played()
    told = message("see [1]")
    told["content"][0]["annotations"] = [
        {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 4, "end_index": 7},
        {"type": "file_citation", "file_id": "file_1", "filename": "a", "index": 4},
    ]
    server.items = [told]
    async with RawServer(server) as raw, beside(raw, "conversation") as client:
        (found,) = (await client.threads.messages.list("conv_1")).data
    (part,) = msgspec.to_builtins(found)["content"]
    assert part["text"]["annotations"] == (
        {"type": "url_citation", "text": "[1]", "start_index": 4, "end_index": 7,
         "url_citation": {"url": "https://a.example", "title": "A"}},
        {"type": "file_citation", "text": "", "file_citation": {"file_id": "file_1"}, "start_index": 4, "end_index": 4},
    )  # fmt: skip
