"""`/v1/responses` and `/v1/conversations` of the embedded server over a real socket: what they stream, ask and keep."""

import asyncio

import msgspec
import pytest
from responses_site import FUNCTION, Slow, answers, created, first_word, read, streamed, text_of, types
from server_client import JSON, serving, until

from aiorunstream.models import (
    AssistantToolChoice,
    FileSearch,
    FileSearchToolCall,
    FunctionTool,
    FunctionToolCall,
    ImageURL,
    ImageURLContentBlock,
    RefusalContentBlock,
    ResponseFormatJSONObject,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.server import (
    BreakOff,
    CallTool,
    Fail,
    Item,
    RunCode,
    ScriptedEngine,
    SendError,
    Turn,
)

# -- streams ---------------------------------------------------------------------------------------------------------


async def test_a_response_streams_and_is_kept() -> None:
    async with serving() as (server, http):
        async with http.stream("/responses", {"model": "parrot", "input": "Hello"}) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            wire = await response.read()
        assert wire.startswith(b'event: response.created\ndata: {"type":"response.created",')
        assert b"[DONE]" not in wire
        last = read(wire)[-1]
        assert last["type"] == "response.completed"
        assert "“Hello”" in text_of(last["response"])
        assert await http.get(f"/responses/{last['response']['id']}") == last["response"]
        assert server.open_streams == 0


async def test_a_response_that_is_not_streamed_says_the_same() -> None:
    async with serving() as (_, http):
        plain = await created(http, input="Hello")
        told = (await streamed(http, input="Hello"))[-1]["response"]
        assert (plain["status"], text_of(plain), plain["usage"]) == ("completed", text_of(told), told["usage"])


async def test_a_response_that_is_not_to_be_stored_is_not_kept() -> None:
    async with serving() as (_, http):
        response = await created(http, input="Hello", store=False)
        status, error = await http.refused("GET", f"/responses/{response['id']}")
        assert (status, error["message"]) == (404, f"Response with id '{response['id']}' not found.")


async def test_a_client_that_leaves_ends_its_generation() -> None:
    engine = Slow()
    async with serving(engine=engine) as (server, http):
        async with http.stream("/responses", {"model": "parrot", "input": "Hello"}) as response:
            id = (await first_word(response))[0]["response"]["id"]
            response.close()
        await until(lambda: engine.has_left and server.open_streams == 0)
        assert (await http.get(f"/responses/{id}"))["status"] == "cancelled"


async def test_a_client_that_leaves_without_a_stream_ends_its_generation_too() -> None:
    engine = Slow()
    async with serving(engine=engine) as (_, http):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(created(http, input="Hello"), 0.1)
        await until(lambda: engine.has_left)


async def test_an_engine_that_raises_fails_its_response() -> None:
    def broken(turn: Turn) -> list[Item]:
        del turn
        raise RuntimeError("no")

    engine = ScriptedEngine([])
    engine.reply = broken  # type: ignore[method-assign]
    async with serving(engine=engine) as (_, http):
        events = await streamed(http, input="Hello")
        assert events[-1]["type"] == "response.failed"
        assert events[-1]["response"]["error"]["message"] == "The engine failed: RuntimeError."


async def test_an_error_event_is_the_last_of_its_stream() -> None:
    async with serving(engine=ScriptedEngine([["a", SendError("Overloaded."), "b"]])) as (_, http):
        events = await streamed(http, input="Hello")
        assert (types(events)[-1], events[-1]["message"]) == ("error", "Overloaded.")


# -- what the engine is asked ----------------------------------------------------------------------------------------


async def test_the_engine_is_given_the_request_as_a_turn() -> None:
    engine = ScriptedEngine(["Hello."])
    items: list[JSON] = [
        {"role": "developer", "content": "Be nice."},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "Look: "}, {"type": "input_image", "file_id": "f"}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Nice."}]},
        {"role": "user", "content": "And?"},
    ]
    async with serving(engine=engine) as (_, http):
        await created(
            http,
            input=items,
            instructions="Be brief.",
            tools=[FUNCTION, {"type": "web_search"}],
            tool_choice={"type": "function", "name": "get_weather"},
            text={"format": {"type": "json_schema", "name": "answer", "schema": {}}},
            max_output_tokens=16,
            temperature=0.5,
            parallel_tool_calls=False,
            metadata={"a": "b"},
        )
    (turn,) = engine.turns
    assert turn.user_text == "And?"
    assert [(message.role, message.text) for message in turn.messages] == [
        ("developer", "Be nice."),
        ("user", "Look: "),
        ("assistant", "Nice."),
        ("user", "And?"),
    ]
    run = turn.run
    assert (run.instructions, run.model, run.temperature, run.max_completion_tokens) == ("Be brief.", "parrot", 0.5, 16)
    assert (run.parallel_tool_calls, run.metadata) == (False, {"a": "b"})
    tool = run.tools[0]
    assert isinstance(tool, FunctionTool)
    assert tool.function.parameters == FUNCTION["parameters"]
    choice, shape = msgspec.to_builtins(run.tool_choice), msgspec.to_builtins(run.response_format)
    assert choice == {"type": "function", "function": {"name": "get_weather"}}
    assert shape == {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}, "strict": False}}


async def test_the_engine_is_given_the_other_choices_shapes_and_items_too() -> None:
    engine = ScriptedEngine(["Hello."] * 2)
    items: list[JSON] = [
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://a.invalid/b.png"}]},
        {"type": "file_search_call", "id": "fs_1", "queries": ["b"], "status": "completed"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]
    async with serving(engine=engine) as (_, http):
        await created(http, input=items, tool_choice={"type": "web_search"}, text={"format": {"type": "json_object"}})
        chosen = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
        await created(http, input="Hello", tool_choice=chosen)
    turn, other = engine.turns
    assert turn.run.tool_choice == AssistantToolChoice("web_search")
    assert turn.run.response_format == ResponseFormatJSONObject()
    assert [message.content for message in turn.messages] == [
        (ImageURLContentBlock(ImageURL("https://a.invalid/b.png")),),
        (RefusalContentBlock("No."),),
    ]
    used, _ = turn.steps
    assert isinstance(used.step_details, ToolCallsStepDetails)
    assert used.step_details.tool_calls == (FileSearchToolCall("fs_1", FileSearch()), UnknownPart(items[2]))
    assert other.run.tool_choice == "required"


async def test_the_outputs_of_calls_reach_the_engine_with_their_calls() -> None:
    engine = ScriptedEngine([[CallTool("f", '{"a":1}', "call_1"), CallTool("g", "{}", "call_2")], "Sunny."])
    async with serving(engine=engine) as (_, http):
        first = await created(http, input="Hello")
        back: list[JSON] = [
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "two"}]},
            {"type": "function_call_output", "call_id": "call_1", "output": "one"},
        ]
        last = await created(http, input=back, previous_response_id=first["id"])
        assert text_of(last) == "Sunny."
    turn = engine.turns[1]
    assert turn.user_text == "Hello"
    assert [(call.name, call.output) for call in turn.tool_outputs] == [("f", "one"), ("g", "two")]


async def test_calls_before_the_users_last_message_are_not_of_this_turn() -> None:
    engine = ScriptedEngine([[RunCode("1"), "One.", CallTool("f", id="call_1")], "Sunny."])
    async with serving(engine=engine) as (_, http):
        first = await created(http, input="Hello")
        back = [*answers(first), {"role": "user", "content": "And now?"}]
        await created(http, input=back, previous_response_id=first["id"])
        assert engine.turns[1].steps == ()
        assert engine.turns[1].tool_outputs == ()


async def test_steps_are_what_was_done_since_the_user_spoke() -> None:
    engine = ScriptedEngine([[RunCode("1"), "One.", CallTool("f", id="call_1")], "Sunny."])
    async with serving(engine=engine) as (_, http):
        first = await created(http, input="Hello")
        await created(http, input=answers(first), previous_response_id=first["id"])
    steps = engine.turns[1].steps
    assert [step.type for step in steps] == ["tool_calls", "message_creation", "tool_calls"]
    details = steps[-1].step_details
    assert isinstance(details, ToolCallsStepDetails)
    assert [call.id for call in details.tool_calls if isinstance(call, FunctionToolCall)] == ["call_1"]


# -- state -----------------------------------------------------------------------------------------------------------


async def test_a_chain_of_responses_remembers_and_forgets_its_instructions() -> None:
    engine = ScriptedEngine(["One.", "Two.", "Three."])
    async with serving(engine=engine) as (_, http):
        first = await created(http, input="1?", instructions="Be brief.")
        second = await created(http, input="2?", previous_response_id=first["id"])
        third = await created(http, input="3?", previous_response_id=second["id"])
        assert [message.text for message in engine.turns[2].messages] == ["1?", "One.", "2?", "Two.", "3?"]
        assert (third["instructions"], third["previous_response_id"]) == (None, second["id"])
        listed = await http.get(f"/responses/{third['id']}/input_items?order=asc&limit=2")
        assert ([item["content"][0]["text"] for item in listed["data"]], listed["has_more"]) == (["1?", "One."], True)
        rest = await http.get(f"/responses/{third['id']}/input_items?order=asc&after={listed['last_id']}")
        assert [item["content"][0]["text"] for item in rest["data"]] == ["2?", "Two.", "3?"]


async def test_a_call_that_broke_off_needs_no_output() -> None:
    async with serving(engine=ScriptedEngine([[CallTool("f", "{"), BreakOff()], "Sorry."])) as (_, http):
        first = await created(http, input="Hello")
        assert (first["status"], first["output"][0]["status"]) == ("incomplete", "incomplete")
        assert text_of(await created(http, input="Go on.", previous_response_id=first["id"])) == "Sorry."


async def test_history_that_the_client_holds_can_be_replayed() -> None:
    engine = ScriptedEngine([[CallTool("f", "{}")], "Sunny."])
    async with serving(engine=engine) as (_, http):
        first = await created(http, input="Hello", store=False)
        whole = [{"role": "user", "content": "Hello"}, *first["output"], *answers(first)]
        assert text_of(await created(http, input=whole, store=False)) == "Sunny."
        assert [call.output for call in engine.turns[1].tool_outputs] == ["sunny"]


async def test_a_conversation_has_what_was_put_and_what_was_said() -> None:
    engine = ScriptedEngine([[CallTool("f", "{}")], "Sunny."])
    async with serving(engine=engine) as (_, http):
        made = await http.post(
            "/conversations", {"items": [{"role": "user", "content": "Hello"}], "metadata": {"a": "b"}}
        )
        first = await created(http, conversation=made["id"], input=[])
        assert first["conversation"] == {"id": made["id"]}
        await created(http, conversation={"id": made["id"]}, input=answers(first))
        listed = await http.get(f"/conversations/{made['id']}/items?order=asc")
        assert [item["type"] for item in listed["data"]] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert listed["data"][3]["content"][0]["text"] == "Sunny."


async def test_a_conversation_is_locked_while_a_response_is_at_work_on_it() -> None:
    engine = Slow()
    async with serving(engine=engine) as (_, http):
        made = await http.post("/conversations")
        body: JSON = {"model": "parrot", "input": "Hello", "conversation": made["id"]}
        path = f"/conversations/{made['id']}/items"
        async with http.stream("/responses", body) as response:
            await first_word(response)
            for refused, asked in (("/responses", body), (path, {"items": [{"role": "user", "content": "?"}]})):
                status, error = await http.refused("POST", refused, asked)
                assert (status, error["code"], error["param"]) == (400, "conversation_locked", "conversation")
            engine.goes_on.set()
            await response.read()
        assert len((await http.get(path))["data"]) == 2
        assert (await created(http, **{**body, "input": "Again"}))["status"] == "completed"


@pytest.mark.parametrize(("end", "kept"), [(BreakOff(), 2), (Fail("no"), 0)])
async def test_a_conversation_has_nothing_of_a_response_that_failed(end: Item, kept: int) -> None:
    async with serving(engine=ScriptedEngine([["half", end]])) as (_, http):
        made = await http.post("/conversations")
        await created(http, input="Hello", conversation=made["id"])
        assert len((await http.get(f"/conversations/{made['id']}/items"))["data"]) == kept


async def test_items_of_a_conversation_are_kept_listed_and_forgotten() -> None:
    async with serving() as (_, http):
        made = await http.post("/conversations", {"metadata": {"a": "b"}})
        path = f"/conversations/{made['id']}"
        put = await http.post(f"{path}/items", {"items": [{"role": "user", "content": str(n)} for n in range(3)]})
        ids = [item["id"] for item in put["data"]]
        assert (put["first_id"], put["last_id"], put["has_more"]) == (ids[0], ids[2], False)
        page = await http.get(f"{path}/items?limit=2")
        assert ([item["id"] for item in page["data"]], page["has_more"]) == ([ids[2], ids[1]], True)
        assert (await http.get(f"{path}/items/{ids[1]}"))["content"][0]["text"] == "1"
        status, answer = await http.ask("DELETE", f"{path}/items/{ids[1]}")
        assert (status, answer) == (200, made)
        assert (await http.refused("GET", f"{path}/items/{ids[1]}"))[0] == 404
        assert (await http.post(path, {"metadata": {"c": "d"}}))["metadata"] == {"c": "d"}
        assert await http.get(path) == {**made, "metadata": {"c": "d"}}
        gone: JSON = {"id": made["id"], "object": "conversation.deleted", "deleted": True}
        assert await http.ask("DELETE", path) == (200, gone)
        assert (await http.refused("GET", path))[0] == 404


async def test_an_item_can_be_put_again_by_its_id() -> None:
    engine = ScriptedEngine(["One.", "Two.", "Three."])
    async with serving(engine=engine) as (_, http):
        first = await created(http, input="1?")
        again = [{"type": "item_reference", "id": first["output"][0]["id"]}, {"role": "user", "content": "2?"}]
        await created(http, input=again)
        assert [message.text for message in engine.turns[1].messages] == ["One.", "2?"]
        talk = await http.post("/conversations", {"items": [{"role": "user", "content": "0?"}]})
        (item,) = (await http.get(f"/conversations/{talk['id']}/items"))["data"]
        await created(http, input=[{"type": "item_reference", "id": item["id"]}])
        assert [message.text for message in engine.turns[2].messages] == ["0?"]
