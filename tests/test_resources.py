"""Lists, polling and the facts around a plain answer."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from raw_server import Peer, RawServer, answer, client_of, run_json

from aiorunstream import APITimeoutError, AsyncClient, InvalidArgumentError, NotFoundError, Thread, with_response
from aiorunstream.server import AssistantsServer


def run_in(status: str) -> dict[str, object]:
    return {**run_json(status), "id": "run_raw"}


def looks(server: RawServer) -> int:
    return sum(request.line.startswith("GET") for request in server.requests)


def telling(*answers: bytes) -> Iterator[bytes]:
    yield from answers
    while True:
        yield answers[-1]


async def serve_in_turn(peer: Peer, answers: Iterator[bytes]) -> None:
    while await peer.request() is not None:
        await peer.send(next(answers))


async def test_a_list_is_a_page_when_awaited_and_everything_when_iterated() -> None:
    async with AssistantsServer() as server, AsyncClient(base_url=server.base_url) as client:
        thread = await client.threads.create()
        said = [f"message {place}" for place in range(7)]
        for text in said:
            await client.threads.messages.create(thread.id, role="user", content=text)

        page = await client.threads.messages.list(thread.id, limit=3, order="asc")
        assert [message.text for message in page.data] == said[:3]
        assert page.has_next_page()
        assert repr(page) == "<AsyncPage of 3 items, has_more=True>", "nothing of what people wrote"
        assert [message.text for message in (await page.get_next_page()).data] == said[3:6]
        assert [message.text async for message in page] == said
        items = aiter(page)
        assert [(await anext(items)).text, *[message.text async for message in items]] == said
        newest_first = client.threads.messages.list(thread.id, limit=2)
        assert [message.text async for message in newest_first] == said[::-1]
        assert [message.text async for message in newest_first] == said[::-1]  # asked anew

        between = await client.threads.messages.list(
            thread.id, order="asc", after=page.data[0].id, before=page.data[2].id
        )
        assert [message.text for message in between.data] == said[1:2]


async def test_a_page_after_the_first_is_not_held_to_what_the_first_was_before() -> None:
    first = {"object": "list", "data": [{"id": "asst_1"}], "first_id": "asst_1", "last_id": "asst_1", "has_more": True}
    answers = telling(answer(200, first), answer(200, {"object": "list", "data": [{"id": "asst_2"}]}))

    async def script(peer: Peer) -> None:
        await serve_in_turn(peer, answers)

    async with RawServer(script) as server, client_of(server) as client:
        found = client.assistants.list(before="asst_9", limit=1)
        assert [assistant.id async for assistant in found] == ["asst_1", "asst_2"]
        queries = [request.line.split()[1].partition("?")[2] for request in server.requests]
    assert queries == ["limit=1&before=asst_9", "limit=1&after=asst_1"]


async def test_the_last_page_has_no_next_one() -> None:
    async with AssistantsServer() as server, AsyncClient(base_url=server.base_url) as client:
        page = await client.assistants.list()
        assert (page.data, page.has_next_page()) == ((), False)
        with pytest.raises(InvalidArgumentError, match="last page"):
            await page.get_next_page()


async def test_a_server_that_ignores_after_is_not_asked_for_ever() -> None:
    page = {"object": "list", "data": [{"id": "asst_1"}], "first_id": "asst_1", "last_id": "asst_1", "has_more": True}
    answers = telling(answer(200, page))

    async def script(peer: Peer) -> None:
        await serve_in_turn(peer, answers)

    async with RawServer(script) as server, client_of(server) as client:
        found = [assistant.id async for assistant in client.assistants.list()]
        assert found == ["asst_1", "asst_1"]
        assert looks(server) == 2


@pytest.mark.parametrize(
    ("given", "named"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"after": "a/b"}, "after")],
)
async def test_a_list_names_a_parameter_it_cannot_send(given: dict[str, object], named: str) -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        with pytest.raises(InvalidArgumentError, match=named):
            client.assistants.list(**given)  # type: ignore[arg-type, unused-awaitable]  # pyright: ignore[reportArgumentType]  # that is the point


@pytest.mark.parametrize("status", ["completed", "requires_action", "incomplete", "expired", "a status of tomorrow"])
async def test_polling_stops_at_any_status_that_is_not_known_to_go_on(status: str) -> None:
    soon = {"openai-poll-after-ms": "10"}
    answers = telling(*(answer(200, run_in(one), soon) for one in ("queued", "in_progress", "cancelling", status)))

    async def script(peer: Peer) -> None:
        await serve_in_turn(peer, answers)

    async with RawServer(script) as server, client_of(server) as client, asyncio.timeout(5):
        run = await client.threads.runs.poll("run_raw", thread_id="thread_raw")
        assert run.status == status
        assert looks(server) == 4


async def test_polling_waits_as_long_as_the_server_asks() -> None:
    answers = telling(
        answer(200, run_in("queued"), {"openai-poll-after-ms": "60000"}), answer(200, run_in("completed"))
    )

    async def script(peer: Peer) -> None:
        await serve_in_turn(peer, answers)

    async with RawServer(script) as server, client_of(server) as client:
        with pytest.raises(APITimeoutError, match=r"run_raw .* 0\.8 s"):  # by itself it would have looked again
            await client.threads.runs.poll("run_raw", thread_id="thread_raw", timeout=0.8)
        assert looks(server) == 1


async def test_with_response_tells_status_headers_and_request_id() -> None:
    async with AssistantsServer() as server, AsyncClient(base_url=server.base_url) as client:
        made = await with_response(client.threads.create(metadata={"who": "me"}))
        assert isinstance(made.data, Thread)
        assert made.status_code == 200
        assert made.request_id == made.headers["X-Request-ID"] != ""
        page = await with_response(client.assistants.list())
        assert page.data.data == ()
        with pytest.raises(TypeError):
            await with_response(asyncio.sleep(0))


async def test_every_plain_method_reaches_its_operation() -> None:
    """One round over what a thread can have done to it; the server knows all 23 operations."""
    async with AssistantsServer() as server, AsyncClient(base_url=server.base_url) as client:
        assistant = await client.assistants.create(model="m", name="first")
        assert (await client.assistants.update(assistant.id, name="second")).name == "second"
        assert (await client.assistants.retrieve(assistant.id)).name == "second"
        run = await client.threads.create_and_run(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hi"}]}
        )
        thread = await client.threads.update(run.thread_id, metadata={"a": "b"})
        assert (await client.threads.retrieve(thread.id)).metadata == {"a": "b"}
        done = await client.threads.runs.poll(run.id, thread_id=thread.id)
        assert done.status == "completed"
        assert (await client.threads.runs.update(run.id, thread_id=thread.id, metadata={"c": "d"})).metadata == {
            "c": "d"
        }
        assert [found.id async for found in client.threads.runs.list(thread.id)] == [run.id]
        steps = [step async for step in client.threads.runs.steps.list(run.id, thread_id=thread.id)]
        step = await client.threads.runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id)
        assert msgspec.json.encode(step) == msgspec.json.encode(steps[0])
        message = await anext(aiter(client.threads.messages.list(thread.id, run_id=run.id)))
        changed = await client.threads.messages.update(message.id, thread_id=thread.id, metadata={"e": "f"})
        assert (await client.threads.messages.retrieve(message.id, thread_id=thread.id)).metadata == changed.metadata
        assert (await client.threads.messages.delete(message.id, thread_id=thread.id)).deleted
        assert (await client.threads.delete(thread.id)).deleted
        assert (await client.assistants.delete(assistant.id)).deleted
        with pytest.raises(NotFoundError):
            await client.threads.retrieve(thread.id)
