"""What the chat of `docs/examples/chat` shows to a page that comes while an answer is still being written."""

import asyncio
import json
import urllib.request

from chat_site import Site, until

from aiorunstream import AsyncClient
from aiorunstream.items import Pause

pytest_plugins = ["chat_fixtures"]


async def begun(site: Site) -> str:
    """A thread on which an answer has been begun by somebody else; its id."""
    async with AsyncClient(base_url=site.server.base_url) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        await client.threads.runs.create(thread.id, assistant_id=site.server.create_assistant().id)
        return thread.id


def messages(site: Site, thread_id: str) -> list[str | None]:
    """How the messages of a thread stand at the server."""
    return site.server.call(lambda it: [message.status for message in it.store.record(thread_id).messages.all()])


def shown(site: Site, thread_id: str) -> list[str]:
    """The texts that the page is given, oldest first."""
    with urllib.request.urlopen(f"{site.url}api/threads/{thread_id}", timeout=20) as answer:
        return [part["text"]["value"] for message in json.load(answer) for part in message["content"]]


def test_an_answer_that_is_soon_over_is_shown_whole(site: Site) -> None:
    site.server.script([["Half of it", Pause(0.7), " and the rest"]])
    thread_id = asyncio.run(begun(site))
    until(lambda: "in_progress" in messages(site, thread_id))
    assert shown(site, thread_id) == ["Hello", "Half of it and the rest"]


def test_an_answer_that_takes_long_is_not_waited_for(site: Site) -> None:
    site.server.script([["Half of it", Pause(30)]])
    thread_id = asyncio.run(begun(site))
    until(lambda: "in_progress" in messages(site, thread_id))
    assert shown(site, thread_id)[:1] == ["Hello"]
    assert "in_progress" in messages(site, thread_id)
