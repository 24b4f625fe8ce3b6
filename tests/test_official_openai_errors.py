"""What the embedded server refuses comes as the exceptions of OpenAI's own package, and they say what is wrong."""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

from typing import cast

import pytest

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai_client import DEPRECATED, WEATHER, ready, talking

pytestmark = DEPRECATED


async def test_what_is_not_there_is_a_not_found_error() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client)
        threads = client.beta.threads
        asking = [
            client.beta.assistants.retrieve("asst_none"),
            client.beta.assistants.update("asst_none", name="x"),
            threads.retrieve("thread_none"),
            threads.update("thread_none", metadata={}),
            threads.messages.create("thread_none", role="user", content="x"),
            threads.messages.retrieve("msg_none", thread_id=thread_id),
            threads.runs.create("thread_none", assistant_id=assistant_id),
            threads.runs.create(thread_id, assistant_id="asst_none"),
            threads.runs.create(thread_id, assistant_id="asst_none", stream=True),
            threads.runs.retrieve("run_none", thread_id=thread_id),
            threads.runs.cancel("run_none", thread_id=thread_id),
            threads.runs.submit_tool_outputs("run_none", thread_id=thread_id, tool_outputs=[]),
            threads.runs.steps.retrieve("step_none", run_id="run_none", thread_id=thread_id),
        ]
        for ask in asking:
            with pytest.raises(openai.NotFoundError, match="_none") as caught:
                await ask
            assert caught.value.type == "invalid_request_error"
            assert caught.value.request_id is not None
        with pytest.raises(openai.NotFoundError, match="thread_none"):
            await threads.messages.list("thread_none")


async def test_what_cannot_be_meant_is_a_bad_request_error_that_names_the_parameter() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client)
        threads = client.beta.threads
        asking = [
            (client.beta.assistants.create(model="parrot", temperature=9.0), "temperature"),
            (client.beta.assistants.create(model="parrot", extra_body={"modle": "x"}), "modle"),
            (client.beta.assistants.create(model="parrot", extra_body={"model": None}), "model"),
            (threads.create(metadata={"a": "x" * 513}), "metadata['a']"),
            (threads.messages.create(thread_id, role="user", content=""), "content"),
            (threads.messages.create(thread_id, role="user", content="x", extra_body={"role": "boss"}), "role"),
            (threads.runs.create(thread_id, assistant_id=assistant_id, top_p=-1.0), "top_p"),
            (threads.runs.create(thread_id, assistant_id=assistant_id, extra_body={"stream": "yes"}), "stream"),
            (
                threads.create_and_run(
                    assistant_id=assistant_id, thread={"messages": [{"role": "user", "content": ""}]}
                ),
                "thread.messages[0].content",
            ),
        ]
        for ask, param in asking:
            with pytest.raises(openai.BadRequestError) as caught:
                await ask
            error = caught.value
            assert error.param == param
            assert error.type == "invalid_request_error"
            body = cast("dict[str, str]", error.body)
            assert body["message"]
            assert body["message"] in error.message
        for query in ({"limit": 0}, {"limit": 101}, {"after": "msg_none"}, {"before": "msg_none"}):
            with pytest.raises(openai.BadRequestError) as caught:
                await threads.messages.list(thread_id, extra_query=query)
            assert caught.value.param == next(iter(query))


async def test_a_wrong_key_is_an_authentication_error() -> None:
    async with talking(api_keys=["sk-right", "sk-other"]) as (_, client):
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key") as caught:
            await client.beta.threads.create()
        assert caught.value.code == "invalid_api_key"
        thread = await client.with_options(api_key="sk-other").beta.threads.create()
        with pytest.raises(openai.AuthenticationError):
            await client.beta.threads.runs.create(thread.id, assistant_id="asst_1", stream=True)


async def test_a_thread_with_an_active_run_takes_neither_a_run_nor_a_message() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        for stream in (False, True):
            with pytest.raises(
                openai.BadRequestError, match=f"Thread {thread_id} already has an active run {run.id}"
            ) as caught:
                await runs.create(thread_id, assistant_id=assistant_id, stream=stream)
            assert caught.value.type == "invalid_request_error"
        with pytest.raises(
            openai.BadRequestError, match=f"Can't add messages to {thread_id} while a run {run.id} is active"
        ):
            await client.beta.threads.messages.create(thread_id, role="user", content="x")
        assert len((await client.beta.threads.messages.list(thread_id)).data) == 1
