"""`/v1/responses` as other servers answer there: ids, end marks, what they leave out, refuse or ignore."""

from pathlib import Path

import pytest
from responses_site import FUNCTION, answers, created, read, streamed, types
from server_client import JSON, serving

from aiorunstream.errors import ConfigurationError
from aiorunstream.server import (
    AssistantsServer,
    CallTool,
    Item,
    MoreArguments,
    ResponsesSettings,
    ScriptedEngine,
)


async def test_a_server_may_write_data_only_and_an_end_mark() -> None:
    settings = ResponsesSettings(event_lines=False, done_mark=True, text_done=False)
    async with serving(responses=settings) as (_, http):
        async with http.stream("/responses", {"model": "parrot", "input": "Hello"}) as response:
            wire = await response.read()
        assert wire.startswith(b"data: {")
        assert b"event:" not in wire
        assert wire.endswith(b"\n\ndata: [DONE]\n\n")
        assert "response.output_text.done" not in types(read(wire))


async def test_long_ids_work_everywhere() -> None:
    async with serving(responses=ResponsesSettings(long_ids=True)) as (_, http):
        made = await http.post("/conversations", {"items": [{"role": "user", "content": "get_weather"}]})
        first = await created(http, input=[], conversation=made["id"], tools=[FUNCTION])
        for id in (first["id"], first["output"][0]["id"], made["id"]):
            assert (len(id), id[-1]) == (241, "=")
        assert len(first["output"][0]["call_id"]) <= 64
        await created(http, input=answers(first), conversation=made["id"])
        assert len((await http.get(f"/conversations/{made['id']}/items"))["data"]) == 4
        assert (await http.get(f"/responses/{first['id']}"))["id"] == first["id"]
        assert len((await http.get(f"/responses/{first['id']}/input_items"))["data"]) == 1


async def test_ogx_does_not_tell_the_conversation() -> None:
    async with serving(responses="ogx") as (_, http):
        made = await http.post("/conversations")
        assert "conversation" not in await created(http, input="Hello", conversation=made["id"])
        assert len((await http.get(f"/conversations/{made['id']}/items"))["data"]) == 2
        body: JSON = {"model": "parrot", "input": "Hello", "background": True}
        assert (await http.post("/responses", body))["status"] == "queued"
        assert (await http.refused("POST", "/responses", {**body, "stream": True}))[0] == 400


@pytest.mark.parametrize(
    ("capture", "items", "tools"),
    [
        ("ogx-resp.txt", ["Hello", " there", ", naïve", " world \u2028", "!"], []),
        ("ogx-tool.txt", [CallTool("get_weather", '{"city": '), MoreArguments('"Paris"}')], [FUNCTION]),
    ],
)
async def test_ogx_is_played_as_it_was_seen(shared: Path, capture: str, items: list[Item], tools: list[JSON]) -> None:
    """The same events with the same pieces, and nothing left out of them that OGX has in them but its own ids."""
    wire = (shared / "interop" / "captures" / capture).read_bytes()
    seen = read(wire[wire.index(b"data: ") :])
    async with serving(engine=ScriptedEngine([items]), responses="ogx") as (_, http):
        events = await streamed(http, input="Hello", tools=tools)
    assert types(events) == types(seen)
    assert [event.get("delta") for event in events] == [event.get("delta") for event in seen]
    assert [event["sequence_number"] for event in events] == [event["sequence_number"] for event in seen]
    for ours, theirs in zip(events, seen, strict=True):
        assert set(theirs) - set(ours) <= {"response_id"}


async def test_servers_without_state_refuse_or_ignore_it() -> None:
    body: JSON = {"model": "parrot", "input": "Hello"}
    async with serving(responses="openrouter") as (_, http):
        assert (await http.refused("POST", "/responses", {**body, "store": True}))[1]["param"] == "store"
        assert (await http.refused("POST", "/responses", {**body, "previous_response_id": "resp_1"}))[0] == 400
        assert (await http.refused("POST", "/responses", {**body, "conversation": "conv_1"}))[1][
            "param"
        ] == "conversation"
        assert (await http.refused("POST", "/conversations", {}))[0] == 404
    async with serving(responses="ollama") as (_, http):
        response = await created(http, **body, store=True, previous_response_id="resp_1")
        assert (response["store"], response["previous_response_id"]) == (False, None)
        assert (await http.refused("GET", f"/responses/{response['id']}"))[0] == 404


async def test_deltas_are_obfuscated_unless_the_request_declines() -> None:
    async with serving() as (_, http):
        shown = await streamed(http, input="Hello")
        assert all(("obfuscation" in event) == event["type"].endswith(".delta") for event in shown)
        hidden = await streamed(http, input="Hello", stream_options={"include_obfuscation": False})
        assert not any("obfuscation" in event for event in hidden)


def test_a_server_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="responses must be ResponsesSettings or one of openai, ogx"):
        AssistantsServer(responses="nobody")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
