"""Read by mypy and pyright, never executed: the helper stream, its handlers and its tools. Marked lines are mistakes."""

# ruff: noqa: B018

from typing import assert_type

from aiorunstream import (
    AssistantEventHandler,
    AssistantStream,
    AsyncClient,
    CallableTool,
    Message,
    MessageDelta,
    Run,
    RunEvent,
    RunSnapshot,
    RunStep,
    RunStream,
    Text,
    TextDelta,
    ThreadMessageDelta,
    ThreadRunRequiresAction,
    ToolCall,
    ToolCallDelta,
    ToolSet,
    Usage,
    function_tool,
)
from aiorunstream.models import FunctionToolCall, RequiredActionFunctionToolCall


@function_tool(timeout=5)
async def weather(city: str, *, days: int = 1) -> list[str]:
    return [city] * days


def clock() -> str:
    return "noon"


class Sync(AssistantEventHandler):
    def on_event(self, event: RunEvent) -> None:
        assert_type(event, RunEvent)

    def on_message_delta(self, delta: MessageDelta, snapshot: Message) -> None:
        assert_type(snapshot.text, str)

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        assert_type(delta.value, str | None)

    def on_exception(self, exception: Exception) -> None:
        raise exception


class Async(AssistantEventHandler):
    async def on_text_done(self, text: Text) -> None:
        assert_type(text.value, str)

    async def on_run_step_done(self, run_step: RunStep) -> None:
        assert_type(run_step.usage, Usage | None)

    async def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        if snapshot.type == "function":
            assert_type(snapshot, FunctionToolCall)

    async def on_end(self) -> None:
        pass


def approve(call: RequiredActionFunctionToolCall) -> bool:
    return call.function.name != "rm"


async def approve_later(call: RequiredActionFunctionToolCall) -> bool:
    return approve(call)


async def reading(client: AsyncClient) -> Run:
    tools = ToolSet([weather, clock])
    assert_type(await weather("Oslo", days=2), list[str])
    assert_type(tools["clock"], CallableTool[..., object])
    runs = client.threads.runs
    made = runs.stream("thread_1", assistant_id="asst_1", tools=tools, event_handler=Async(), approve=approve_later)
    made = assert_type(made, AssistantStream)
    async with made as stream:
        assert_type(stream, AssistantStream)
        async for event in stream:
            assert_type(event, RunEvent)
            match event:
                case ThreadMessageDelta(data=delta):
                    assert_type(delta.text, str)
                case ThreadRunRequiresAction(run):
                    assert_type(run, Run)
                case _:
                    pass
        async for text in stream.text_deltas():
            assert_type(text, str)
        assert_type(await anext(stream), RunEvent)
        assert_type(await stream.get_final_messages(), tuple[Message, ...])
        assert_type(await stream.get_final_run_steps(), tuple[RunStep, ...])
        assert_type(await stream.cancel_run(), Run)
        return await stream.get_final_run()
    raise AssertionError


async def facts(stream: AssistantStream) -> None:
    assert_type(stream.text, str)
    assert_type(stream.segment, int)
    assert_type(stream.snapshot, RunSnapshot)
    assert_type(stream.run_stream, RunStream)
    assert_type(stream.run, Run | None)
    assert_type(stream.run_id, str | None)
    assert_type(stream.thread_id, str | None)
    assert_type(stream.outcome, str | None)
    assert_type(stream.usage, Usage | None)
    assert_type(stream.events_seen, int)
    assert_type(stream.time_to_first_token, float | None)
    assert_type(stream.tokens_per_second, float | None)


async def ways_in(client: AsyncClient) -> None:
    threads = client.threads
    assert_type(threads.stream(assistant_id="asst_1", tools=ToolSet([clock]), approve=approve), AssistantStream)
    threads.runs.stream("thread_1", assistant_id="asst_1", tools=ToolSet([clock]).definitions, event_handler=Sync())
    AssistantStream(threads.runs.create_stream("thread_1", assistant_id="asst_1"), event_handler=Sync())
    AssistantStream(threads.create_and_run_stream(assistant_id="asst_1"), on_tool_error="raise", tool_timeout=None)
    AssistantStream(threads.runs.submit_tool_outputs_stream("run_1", thread_id="thread_1", tool_outputs=[]))


class Wrong(AssistantEventHandler):
    def on_text_done(self, text: str) -> None:  # type: ignore[override]
        pass


async def mistakes(client: AsyncClient, stream: AssistantStream, raw: RunStream) -> None:
    runs = client.threads.runs
    await runs.stream("thread_1", assistant_id="asst_1")  # type: ignore[misc]
    runs.stream("thread_1", assistant_id="asst_1", tols=ToolSet())  # type: ignore[call-arg]
    runs.stream("thread_1", assistant_id="asst_1", on_tool_error="ignore")  # type: ignore[arg-type]
    runs.stream("thread_1", assistant_id="asst_1", event_handler=Sync)  # type: ignore[arg-type]
    runs.stream("thread_1", assistant_id="asst_1", approve=clock)  # type: ignore[arg-type]
    AssistantStream(raw)  # type: ignore[arg-type]
    AssistantStream(runs.create_stream("thread_1", assistant_id="asst_1"), tools=[clock])  # type: ignore[arg-type]
    stream.txt  # type: ignore[attr-defined]
    for _ in stream:  # type: ignore[attr-defined]
        pass
    async for text in stream.text_deltas():
        text.value  # type: ignore[attr-defined]
