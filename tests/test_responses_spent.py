"""What a run may spend: each of its responses is given what those before it have left."""

from bridge_client import asked, bridged
from raw_server import events_of

from aiorunstream import Usage
from aiorunstream.server import CallTool, ScriptedEngine


async def test_what_a_run_has_spent_is_not_there_for_its_next_response() -> None:
    engine = ScriptedEngine([[CallTool("get_weather", id="call_1"), Usage(100, 1, 101)], ["Sunny."]])
    async with bridged(engine=engine) as (client, _):
        thread_id = await asked(client)
        runs = client.threads.runs
        async with runs.create_stream(thread_id, assistant_id="asst_1", max_completion_tokens=300) as stream:
            await events_of(stream)
            async with stream.submit_tool_outputs([{"tool_call_id": "call_1", "output": "Kyiv"}]) as more:
                await events_of(more)
    assert [turn.run.max_completion_tokens for turn in engine.turns] == [300, 200]
