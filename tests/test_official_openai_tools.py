"""OpenAI's own package hands tool outputs to runs of the embedded server, in each of its ways."""
# pyright: reportDeprecated=false
# Every method under test is marked as deprecated: the hosted service is gone, the protocol is not.

import json

import pytest

pytest.importorskip("openai", reason="needs the official openai package")

import openai
from openai.types.beta.threads.run_submit_tool_outputs_params import ToolOutput
from openai_client import (
    DEPRECATED,
    TIME,
    WEATHER,
    Notes,
    all_of,
    calls_of,
    names,
    outputs_for,
    ready,
    said,
    strangers,
    talking,
    text_of,
)
from usual_events import A_TEXT_ANSWER

pytestmark = DEPRECATED


async def test_a_tool_call_goes_there_and_back_over_two_raw_streams() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather and get_time please", WEATHER, TIME)
        runs = client.beta.threads.runs
        first = await all_of(await runs.create(thread_id, assistant_id=assistant_id, stream=True))
        asked = first[-1]
        assert asked.event == "thread.run.requires_action"
        assert sorted(calls_of(asked.data).values()) == ["get_time", "get_weather"]
        assert names(first) == [*A_TEXT_ANSWER[:5], "thread.run.requires_action"]

        run_id = asked.data.id
        second = await all_of(
            await runs.submit_tool_outputs(
                run_id, thread_id=thread_id, tool_outputs=outputs_for(asked.data), stream=True
            )
        )
        assert names(second) == [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
            *A_TEXT_ANSWER[3:],
        ]
        assert said(second).count("sunny") == 2
        steps = await runs.steps.list(run_id, thread_id=thread_id, order="asc")
        assert [(step.type, step.status) for step in steps.data] == [
            ("tool_calls", "completed"),
            ("message_creation", "completed"),
        ]
        assert not strangers(steps.data)
        details = steps.data[0].step_details
        assert details.type == "tool_calls"
        assert {call.function.output for call in details.tool_calls if call.type == "function"} == {"sunny"}


async def test_a_tool_call_goes_there_and_back_through_the_helpers() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        notes = Notes()
        async with client.beta.threads.runs.stream(
            thread_id=thread_id, assistant_id=assistant_id, event_handler=notes
        ) as stream:
            run = await stream.get_final_run()
        assert run.status == "requires_action"
        assert notes.heard == ["step created: tool_calls", "call created", "call done", "end"]
        (call,) = notes.calls
        assert call.type == "function"
        assert {call.id: call.function.name} == calls_of(run) == {call.id: "get_weather"}
        assert json.loads(call.function.arguments) == {"city": "Kyiv"}
        assert call.function.arguments.endswith(notes.arguments)

        more = Notes()
        async with client.beta.threads.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=thread_id, tool_outputs=outputs_for(run, "rain"), event_handler=more
        ) as stream:
            (message,) = await stream.get_final_messages()
            run = await stream.get_final_run()
        assert run.status == "completed"
        assert "rain" in text_of(message)
        assert [step.type for step in more.steps] == ["tool_calls", "message_creation"]
        assert notes.problems == more.problems == []


async def test_wrong_tool_outputs_are_refused_and_the_run_waits_on() -> None:
    async with talking() as (_, client):
        thread_id, assistant_id = await ready(client, "get_weather please", WEATHER)
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=1)
        right = outputs_for(run)
        wrong: list[tuple[list[ToolOutput], str]] = [
            ([{"tool_call_id": "call_of_nobody", "output": "x"}], "call_of_nobody"),
            ([], "missing"),
            (right + right, "two outputs"),
        ]
        for outputs, word in wrong:
            for stream in (False, True):
                with pytest.raises(openai.BadRequestError, match=word) as caught:
                    await runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=outputs, stream=stream)
                assert (caught.value.param or "").startswith("tool_outputs")
        run = await runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread_id, tool_outputs=right, poll_interval_ms=1
        )
        assert run.status == "completed"
        with pytest.raises(openai.BadRequestError, match="'completed'"):
            await runs.submit_tool_outputs(run.id, thread_id=thread_id, tool_outputs=right)
