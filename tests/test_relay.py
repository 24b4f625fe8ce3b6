"""A run passed on by `RunStreamResponse`, through a real uvicorn: what goes out."""

import asyncio
import json
from typing import Any

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    LAST_CHUNK,
    STREAM_HEAD,
    RawServer,
    chunk,
    event,
    events_of,
    run_json,
    start,
)
from relay_site import (
    DONE,
    Backend,
    page,
    raw,
    site,
    whole,
)
from scenarios import says

from aiorunstream import (
    AssistantEventHandler,
    AssistantStream,
    AsyncClient,
    Text,
    TextDelta,
    ToolSet,
    function_tool,
)
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import AssistantsServer, CallTool, Fault, ScriptedEngine


async def test_events_go_out_with_their_names_their_own_bytes_and_ids(anyio_backend: Backend) -> None:
    spaced = b'event: thread.weather\ndata: {"text" :  "\\u00fc\\u2028",\ndata: "n": 1e0}\n\n'
    async with raw(CREATED, DELTA, spaced, COMPLETED) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        numbered = [
            piece.replace(b"\n", b"\nid: run_raw:%d\n" % number, 1)
            for number, piece in enumerate([CREATED, DELTA, spaced, COMPLETED], 1)
        ]
        assert got.body == b": ping\n" + b"".join(numbered) + DONE
        assert got.status == 200
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["x-accel-buffering"] == "no"
        assert "content-length" not in got.headers
        await at.quiet()


async def test_events_before_the_run_is_known_are_numbered_alone(anyio_backend: Backend) -> None:
    first = event("thread.weather", {})
    async with raw(first, CREATED, COMPLETED) as upstream, site(whole, upstream.base_url, anyio_backend) as at:
        assert [message.id for message in (await at.ask()).messages] == ["1", "run_raw:2", "run_raw:3", "run_raw:3"]


async def test_a_client_of_the_protocol_reads_what_goes_out(anyio_backend: Backend) -> None:
    async with (
        raw() as upstream,
        site(whole, upstream.base_url, anyio_backend) as at,
        AsyncClient(base_url=at.base_url) as client,
        start(client) as stream,
    ):
        assert [item.event for item in await events_of(stream)] == [
            "thread.run.created",
            "thread.message.delta",
            "thread.message.delta",
            "thread.run.completed",
        ]
        assert (stream.outcome, stream.run_id) == ("completed", "run_raw")


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (["thread.message.delta"], ["thread.message.delta", "thread.message.delta"]),
        (("thread.run.*",), ["thread.run.created", "thread.run.completed"]),
        ({"thread.message.*", "thread.run.completed"}, ["thread.message.delta"] * 2 + ["thread.run.completed"]),
        (["*"], ["thread.run.created", "thread.message.delta", "thread.message.delta", "thread.run.completed"]),
        (["thread.message"], []),
    ],
)
async def test_only_the_named_events_go_out_and_keep_their_numbers(
    anyio_backend: Backend, only: Any, names: list[str]
) -> None:
    async with raw() as upstream, site(page(only=only), upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        assert got.names == [*names, "done"]
        numbers = {"thread.run.created": [1], "thread.message.delta": [2, 3], "thread.run.completed": [4]}
        expected = sorted({number for name in names for number in numbers[name]})
        assert [message.id for message in got.messages[:-1]] == [f"run_raw:{number}" for number in expected]


async def test_text_only_sends_text_as_json_strings(anyio_backend: Backend) -> None:
    evil = 'x"\n\ndata: \r\nevent: done\u2028\0é'
    delta = event(
        "thread.message.delta",
        {
            "id": "m",
            "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": evil}}]},
        },
    )
    async with (
        raw(CREATED, DELTA, delta, COMPLETED) as upstream,
        site(page(text_only=True), upstream.base_url, anyio_backend) as at,
    ):
        got = await at.ask()
        assert got.names == ["text", "text", "done"]
        assert [json.loads(message.data) for message in got.messages[:-1]] == ["a lighthouse ", evil]
        assert [message.id for message in got.messages[:-1]] == ["run_raw:2", "run_raw:3"]


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "expired", "incomplete", "requires_action"])
@pytest.mark.parametrize("shown", [True, False])
async def test_a_stop_that_is_filtered_out_is_told_all_the_same(
    anyio_backend: Backend, outcome: str, *, shown: bool
) -> None:
    stop = event(f"thread.run.{outcome}", run_json(outcome))
    settings: dict[str, Any] = {"only": [f"thread.run.{outcome}"]} if shown else {"text_only": True}
    async with raw(CREATED, DELTA, stop) as upstream, site(page(**settings), upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        if shown:
            assert got.names == [f"thread.run.{outcome}", "done"]
        else:
            assert got.error["code"] == f"run_{outcome}"


async def test_silence_is_filled_with_comments_and_not_with_events(anyio_backend: Backend) -> None:
    script = says(STREAM_HEAD + chunk(CREATED), 0.5, chunk(COMPLETED) + LAST_CHUNK)
    async with RawServer(script) as upstream, site(page(ping=0.1), upstream.base_url, anyio_backend) as at:
        got = await at.ask()
        assert 3 <= got.body.count(b": ping\n") <= 6
        assert got.names == ["thread.run.created", "thread.run.completed", "done"]
        async with site(page(ping=None), upstream.base_url, anyio_backend) as quiet:
            assert b": ping" not in (await quiet.ask()).body


async def test_a_stream_that_broke_and_recovered_goes_out_whole(anyio_backend: Backend) -> None:
    async with AssistantsServer(engine=ScriptedEngine([["one ", "two ", "three"]])) as upstream:
        upstream.inject(Fault("cut", at_byte=1500))
        async with AsyncClient(base_url=upstream.base_url) as client:
            thread = await client.threads.create()
            assistant = await client.assistants.create(model="any")

        def recovering(client: AsyncClient) -> RunStreamResponse:
            call = client.threads.runs.create_stream(thread.id, assistant_id=assistant.id, recover=True)
            return RunStreamResponse(call, text_only=True)

        async with site(recovering, upstream.base_url, anyio_backend) as at:
            got = await at.ask()
            assert "".join(json.loads(message.data) for message in got.messages[:-1]) == "one two three"
            assert got.names[-1] == "done"
            assert "error" not in got.names


# -- a helper's stream -------------------------------------------------------------------------------------------------


async def test_tools_run_at_the_site_and_all_segments_go_out(anyio_backend: Backend) -> None:
    calls: list[str] = []

    @function_tool
    async def weather(city: str) -> str:
        """Says it."""
        await asyncio.sleep(0.3)  # longer than pings are apart: they must not interrupt it
        calls.append(city)
        return "rain"

    engine = ScriptedEngine([[CallTool("weather", '{"city": "Oslo"}')], ["It ", "rains."]])
    async with AssistantsServer(engine=engine) as upstream:
        async with AsyncClient(base_url=upstream.base_url) as client:
            thread = await client.threads.create()
            assistant = await client.assistants.create(model="any")

        def helper(client: AsyncClient) -> RunStreamResponse:
            stream = client.threads.runs.stream(thread.id, assistant_id=assistant.id, tools=ToolSet([weather]))
            return RunStreamResponse(stream, ping=0.05)

        async with site(helper, upstream.base_url, anyio_backend) as at:
            got = await at.ask()
            assert calls == ["Oslo"]
            assert got.names.count("thread.run.requires_action") == 1
            assert got.names[-2:] == ["thread.run.completed", "done"]
            assert got.body.count(b": ping\n") > 2
            run_id = upstream.store.record(thread.id).runs.all()[0].id
            assert [message.id for message in got.messages[:-1]] == [f"{run_id}:{n}" for n in range(1, len(got.names))]
            await at.quiet()


async def test_a_helper_s_events_keep_the_wire_s_own_bytes(anyio_backend: Backend) -> None:
    odd = b'event: thread.message.delta\ndata: {"delta":{"content":[]} , "id":"m","object":"thread.message.delta", "new":1}\n\n'
    async with (
        raw(CREATED, odd, COMPLETED) as upstream,
        site(lambda client: RunStreamResponse(AssistantStream(start(client))), upstream.base_url, anyio_backend) as at,
    ):
        assert odd.partition(b"\n")[2] in (await at.ask()).body


async def test_a_handler_that_raises_is_told_as_an_error_and_raised(
    anyio_backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(AssistantEventHandler):
        def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
            raise LookupError("my secret words")

    async with (
        raw() as upstream,
        site(
            lambda client: RunStreamResponse(AssistantStream(start(client), event_handler=Handler())),
            upstream.base_url,
            anyio_backend,
        ) as at,
    ):
        got = await at.ask()
        assert got.error["code"] == "internal_error"
        assert b"secret" not in got.body
        await at.quiet()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]
