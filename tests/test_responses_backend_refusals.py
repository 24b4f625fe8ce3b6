"""What the bridge refuses, what its server refuses, and threads that are busy."""

import asyncio
from typing import Any

import pytest
from bridge_client import (
    ASSISTANTS,
    MODES,
    asked,
    bridged,
    read,
    texts,
)
from bridged import JSON, check_legal, names
from played_responses import beside
from raw_server import RawServer, answer, answering
from responses_site import Slow
from server_client import until

from aiorunstream import (
    AsyncClient,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    RateLimitError,
    RequestOptions,
    RunOutcomeUnknownError,
    ThreadBusyError,
    UnsupportedParameterError,
)
from aiorunstream.backends import _answers
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.operations import make_call
from aiorunstream.responses_operations import RETRIEVE_RESPONSE
from aiorunstream.server import (
    CallTool,
    Fault,
    ScriptedEngine,
)

# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_dialect_of_run_streams_is_refused() -> None:
    backend = ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants=ASSISTANTS)
    with pytest.raises(ConfigurationError, match="dialect"):
        AsyncClient(backend=backend, api_key="", dialect="astra")


async def test_what_cannot_be_mapped_is_refused_and_nothing_is_sent() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        before = len(server.requests)
        wrong: list[JSON] = [
            {"max_prompt_tokens": 300},
            {"truncation_strategy": {"type": "last_messages", "last_messages": 1}},
        ]
        for params in wrong:
            with pytest.raises(UnsupportedParameterError, match=next(iter(params))):
                await client.threads.runs.create(thread_id, assistant_id="asst_1", **params)
        with pytest.raises(UnsupportedParameterError, match="attachments"):
            await client.threads.messages.create(
                thread_id, role="user", content="Hi", attachments=[{"file_id": "file_1", "tools": []}]
            )
        assert len(server.requests) == before
        assert [run async for run in client.threads.runs.list(thread_id)] == []
        assert len(await texts(client, thread_id)) == 1
        await read(client, thread_id)  # nothing is in the way


@pytest.mark.parametrize(
    "name", ["input", "conversation", "previous_response_id", "store", "background", "stream", "stream_options"]
)
async def test_an_extra_body_cannot_say_what_the_backend_says(name: str) -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        before = len(server.requests)
        options = RequestOptions(extra_body={"service_tier": "flex", name: None})
        for call in (
            client.threads.runs.create(thread_id, assistant_id="asst_1", options=options),
            client.threads.create_and_run(assistant_id="asst_1", options=options),
        ):
            with pytest.raises(UnsupportedParameterError, match=f"extra_body cannot hold '{name}'"):
                await call
        assert len(server.requests) == before


@pytest.mark.parametrize("threads", MODES)
async def test_what_is_not_there_is_not_found(threads: ThreadMode) -> None:
    async with bridged(threads) as (client, _):
        thread_id = await asked(client)
        for call in (
            client.threads.retrieve("conv_nobody"),
            client.threads.runs.create("conv_nobody", assistant_id="asst_1"),
            client.threads.runs.create(thread_id, assistant_id="asst_nobody"),
            client.threads.runs.retrieve("run_nobody", thread_id=thread_id),
            client.threads.messages.retrieve("msg_nobody", thread_id=thread_id),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.status_code == 404


async def test_a_request_that_is_wrong_is_a_bad_request_with_its_parameter() -> None:
    async with bridged() as (client, _):
        thread_id = await asked(client)
        with pytest.raises(BadRequestError) as caught:
            await client.threads.runs.create(
                thread_id, assistant_id="asst_1", tool_choice={"type": "function", "function": {"name": "nobody"}}
            )
        assert caught.value.param == "tool_choice.function.name"


async def test_a_server_that_refuses_leaves_the_thread_as_it_was() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("refuse", status=429, operation="create_response", times=3))
        more: list[JSON] = [{"role": "user", "content": "And more"}]
        with pytest.raises(RateLimitError):
            await client.threads.runs.create(thread_id, assistant_id="asst_1", additional_messages=more)
        assert len(await texts(client, thread_id)) == 1
        assert [run async for run in client.threads.runs.list(thread_id)] == []
        await read(client, thread_id, additional_messages=more)
        assert [text for _, text in await texts(client, thread_id)][:2] == ["Hello", "And more"]


async def test_a_thread_that_was_made_for_a_run_goes_with_it() -> None:
    async with bridged() as (client, server):
        server.inject(Fault("refuse", status=400, operation="create_response"))
        with pytest.raises(BadRequestError):
            await client.threads.create_and_run(assistant_id="asst_1")
        await until(lambda: server.requests[-1][0] == "DELETE")
        assert server.requests[-1][1].startswith("/v1/conversations/conv_")


async def test_a_thread_whose_messages_were_refused_is_not_left_behind() -> None:
    async with bridged(add_messages="at_once") as (client, server):
        server.inject(Fault("refuse", status=400, operation="create_conversation_items"))
        with pytest.raises(BadRequestError):
            await asked(client)
        assert server.requests[-1][0] == "DELETE"
        assert server.requests[-1][1].startswith("/v1/conversations/conv_")


async def test_a_conversation_without_an_id_is_no_thread() -> None:
    async with (
        RawServer(answering(answer(200, {"object": "conversation"}))) as server,
        beside(server, "conversation") as client,
    ):
        with pytest.raises(BadRequestError, match="without an id"):
            await asked(client)


async def test_a_refusal_is_told_where_nobody_can_say_what_could_be_mended() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("refuse", status=400, operation="create_response"))
        server.inject(Fault("refuse", status=403, operation="list_conversation_items"))
        with pytest.raises(BadRequestError):
            await read(client, thread_id)
        assert server.requests[-1] == ("GET", f"/v1/conversations/{thread_id}/items")
        await read(client, thread_id)


async def test_whose_client_is_closed_while_a_run_on_a_new_thread_is_begun_is_told_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bridged("replay") as (client, server):
        server.inject(Fault("silence", operation="create_response"))
        beginning = asyncio.ensure_future(client.threads.create_and_run(assistant_id="asst_1"))
        await until(lambda: ("POST", "/v1/responses") in server.requests)
        await client.aclose()
        with pytest.raises(ClientClosedError, match="under way"):
            await beginning
        assert "the client is closed" in caplog.text


async def test_outputs_that_the_server_refused_can_be_submitted_again() -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1")], ["Sunny."]])
    async with bridged(engine=engine) as (client, server):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        run = await client.threads.runs.poll(run.id, thread_id=thread_id)
        outputs: list[JSON] = [{"tool_call_id": "call_1", "output": "sunny"}]
        server.inject(Fault("refuse", status=500, operation="create_response"))
        with pytest.raises(Exception, match="500"):
            await client.threads.runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=outputs)
        assert (await client.threads.runs.retrieve(run.id, thread_id=thread_id)).status == "requires_action"
        wrong: list[JSON] = [{"tool_call_id": "call_2", "output": "sunny"}]
        with pytest.raises(BadRequestError, match="call_2"):
            await client.threads.runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=wrong)
        async with client.threads.runs.submit_tool_outputs_stream(
            run.id, thread_id=thread_id, tool_outputs=outputs
        ) as stream:
            check_legal([event async for event in stream])
        with pytest.raises(BadRequestError, match="does not wait"):
            await client.threads.runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=outputs)


async def test_a_request_that_was_never_answered_is_of_unknown_outcome() -> None:
    async with bridged() as (client, server):
        thread_id = await asked(client)
        server.inject(Fault("hang_up", operation="create_response"))
        with pytest.raises(RunOutcomeUnknownError):
            await client.threads.runs.create(thread_id, assistant_id="asst_1")
        await until(lambda: server.open_streams == 0)
        await read(client, thread_id)


async def test_a_server_without_conversations_says_what_to_use() -> None:
    async with bridged("conversation", responses="litellm") as (client, _):
        with pytest.raises(NotFoundError) as caught:
            await client.threads.create()
        assert "previous_response_id" in caught.value.__notes__[0]


async def test_a_404_of_the_bridge_is_not_the_end_of_the_protocol() -> None:
    call = make_call(RETRIEVE_RESPONSE, {"response_id": "resp_1"})
    error = _answers.status_error(call, host="api.openai.com", status=404, headers={}, body="{}", retry_after=None)
    assert type(error) is NotFoundError


# -- busy threads ----------------------------------------------------------------------------------------------------


async def test_a_thread_takes_one_run_at_a_time_and_no_message_meanwhile() -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        with pytest.raises(ThreadBusyError) as caught:
            await client.threads.runs.create(thread_id, assistant_id="asst_1")
        assert caught.value.run_id == run.id
        with pytest.raises(ThreadBusyError):
            await client.threads.messages.create(thread_id, role="user", content="Hi")
        engine.goes_on.set()
        assert (await client.threads.runs.poll(run.id, thread_id=thread_id)).status == "completed"


@pytest.mark.parametrize(("if_active", "first"), [("wait", "completed"), ("cancel", "cancelled")])
async def test_what_is_in_the_way_is_waited_for_or_cancelled(if_active: Any, first: str) -> None:
    engine = Slow()
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        run = await client.threads.runs.create(thread_id, assistant_id="asst_1")
        asyncio.get_running_loop().call_later(0.1, engine.goes_on.set)
        events = await read(client, thread_id, if_active=if_active)
        assert names(events)[-1] == "thread.run.completed"
        assert (await client.threads.runs.retrieve(run.id, thread_id=thread_id)).status == first


async def test_a_conversation_that_another_program_works_on_is_a_busy_thread() -> None:
    engine = Slow()
    async with bridged(engine=engine, add_messages="at_once") as (client, server):
        thread_id = await asked(client)
        other = ResponsesBackend(server.base_url, threads="conversation", assistants=ASSISTANTS, add_messages="at_once")
        async with AsyncClient(backend=other) as elsewhere:
            run = await elsewhere.threads.runs.create(thread_id, assistant_id="asst_1")
            with pytest.raises(ThreadBusyError) as caught:
                await client.threads.runs.create(thread_id, assistant_id="asst_1")
            assert (caught.value.run_id, caught.value.code) == (None, "conversation_locked")
            engine.goes_on.set()
            assert (await elsewhere.threads.runs.poll(run.id, thread_id=thread_id)).status == "completed"
            await read(client, thread_id)
