"""The official client lists and removes, as people clean up."""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

import pytest

from aiorunstream.testing import ThreadedServer

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai_client import DEPRECATED

pytestmark = DEPRECATED


def test_the_official_client_removes_everything_it_lists() -> None:
    with (
        ThreadedServer() as server,
        openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client,
    ):
        assistants, threads = client.beta.assistants, client.beta.threads
        for _ in range(45):
            assistants.create(model="m")
        for assistant in assistants.list():
            assistants.delete(assistant.id)
        assert list(assistants.list()) == []
        thread = threads.create(messages=[{"role": "user", "content": "m"} for _ in range(12)])
        for message in threads.messages.list(thread.id, limit=5):
            threads.messages.delete(message.id, thread_id=thread.id)
        assert list(threads.messages.list(thread.id)) == []
