"""Runs that wait for their calls, in a thread that is kept outside of the process: how the next one goes on with them."""

import asyncio

import msgspec
import pytest
from bridge_client import asked, texts
from bridged import JSON, check_legal, names
from played_responses import SILENCE, Played, beginning, beside, playing, short
from response_events import called, message

from aiorunstream import AsyncClient, BadRequestError
from aiorunstream.backends.responses import MemoryThreadStore
from aiorunstream.models import FunctionToolCall, ToolCallsStepDetails, UnknownPart

SEARCHED: JSON = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
APPROVAL: JSON = {
    "type": "mcp_approval_request", "id": "mcpr_1", "name": "roll", "arguments": "{}", "server_label": "dice",
}  # fmt: skip
ANSWERED: JSON = {"type": "function_call_output", "id": "fco_1", "call_id": "call_2", "output": "sunny"}


class Counting(MemoryThreadStore):
    """A store that counts how often it saves, and lets others have their turn while it loads."""

    saves = 0

    async def load(self, thread_id: str) -> bytes | None:
        data = await super().load(thread_id)
        await asyncio.sleep(0)
        return data

    async def save(self, thread_id: str, data: bytes) -> None:
        self.saves += 1
        await super().save(thread_id, data)


async def waiting(client: AsyncClient) -> tuple[str, str]:
    """The ids of a thread, and of its run, which waits for its calls."""
    thread_id = await asked(client)
    async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
        events = [event async for event in stream]
    check_legal(events)
    assert names(events)[-1] == "thread.run.requires_action"
    return thread_id, stream.run_id or ""


# -- their calls -------------------------------------------------------------------------------------------------------


async def test_leave_can_be_given_in_another_process() -> None:
    store = MemoryThreadStore()
    server = Played(short("resp_1", SEARCHED, APPROVAL), short("resp_2", message("Four.")))
    async with playing(server, store=store) as (client, raw), beside(raw, store=store) as later:
        thread_id, run_id = await waiting(client)
        async with later.threads.runs.submit_tool_outputs_stream(
            run_id, thread_id=thread_id, tool_approvals=[{"tool_call_id": "mcpr_1", "approve": True}]
        ) as stream:
            check_legal([event async for event in stream])
        assert await texts(later, thread_id) == [("user", "Hello"), ("assistant", "Four.")]
        first = (await later.threads.runs.steps.list(run_id, thread_id=thread_id, order="asc")).data[0]
    assert isinstance(first.step_details, ToolCallsStepDetails)
    searched, rolled = first.step_details.tool_calls
    assert searched == UnknownPart(SEARCHED)
    assert isinstance(rolled, UnknownPart)
    assert (rolled.type, rolled["id"], first.status) == ("mcp", "mcpr_1", "completed")
    assert server.bodies[1]["input"][-1]["approve"] is True


async def test_calls_go_on_in_another_process_as_far_as_they_had_come() -> None:
    store = MemoryThreadStore()
    output = [called("call_1", ""), called("call_2", '{"a": 1}'), ANSWERED]
    server = Played(short("resp_1", *output), short("resp_2", message("Done.")))
    async with playing(server, store=store) as (client, raw), beside(raw, store=store) as later:
        thread_id, run_id = await waiting(client)
        async with later.threads.runs.submit_tool_outputs_stream(
            run_id, thread_id=thread_id, tool_outputs=[{"tool_call_id": "call_1", "output": "seen"}]
        ) as stream:
            check_legal([event async for event in stream])
        first = (await later.threads.runs.steps.list(run_id, thread_id=thread_id, order="asc")).data[0]
    assert isinstance(first.step_details, ToolCallsStepDetails)
    functions = [call.function for call in first.step_details.tool_calls if isinstance(call, FunctionToolCall)]
    assert [(one.arguments, one.output) for one in functions] == [("", "seen"), ('{"a": 1}', "sunny")]


@pytest.mark.parametrize("how", ["gone", "another"])
async def test_a_run_whose_calls_were_not_kept_takes_no_outputs_and_can_be_cancelled(how: str) -> None:
    store = MemoryThreadStore()
    async with playing(Played(short("resp_1", called())), store=store) as (client, raw):
        thread_id, run_id = await waiting(client)
        saved: JSON = msgspec.json.decode(store.threads[thread_id])
        creation = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
        saved["steps"] = [[{**saved["steps"][0][0], "step_details": creation}]] if how == "another" else []
        store.threads[thread_id] = msgspec.json.encode(saved)
        async with beside(raw, store=store) as later:
            with pytest.raises(BadRequestError, match="does not wait"):
                await later.threads.runs.submit_tool_outputs(
                    run_id, thread_id=thread_id, tool_outputs=[{"tool_call_id": "call_1", "output": "seen"}]
                )
            assert (await later.threads.runs.cancel(run_id, thread_id=thread_id)).status == "cancelled"


# -- when they are saved, and loaded -----------------------------------------------------------------------------------


async def test_a_thread_is_saved_only_where_something_has_changed() -> None:
    store = Counting()
    async with playing(Played(short("resp_1", called())), store=store) as (client, raw):
        thread_id, run_id = await waiting(client)
        before = store.saves
        async with beside(raw, store=store) as later:
            for one in (client, later):
                await one.threads.runs.retrieve(run_id, thread_id=thread_id)
            assert store.saves == before
            await later.threads.runs.update(run_id, thread_id=thread_id, metadata={"a": "b"})
            assert store.saves == before + 1


async def test_two_that_look_for_a_thread_at_once_work_with_the_same() -> None:
    store = Counting()
    async with playing(Played(), store=store) as (client, raw):
        thread_id = await asked(client)
        async with beside(raw, store=store) as later:
            create = later.threads.messages.create
            await asyncio.gather(*(create(thread_id, role="user", content=f"{number}") for number in range(3)))
            assert sorted(text for _, text in await texts(later, thread_id)) == ["0", "1", "2", "Hello"]


async def test_a_thread_whose_client_was_closed_before_its_stream_is_not_saved_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Counting()
    async with playing(Played([*beginning("resp_1"), SILENCE]), store=store) as (client, _):
        thread_id = await asked(client)
        stream = await client.threads.runs.create_stream(thread_id, assistant_id="asst_1")
        before = store.saves
        await client.aclose()
        await stream.aclose()
        assert "a thread was not saved: the client is closed" in caplog.text
        assert store.saves == before
