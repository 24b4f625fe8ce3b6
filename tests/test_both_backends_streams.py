"""Raw streams over every backend: what they tell, and how they end."""

from typing import Any

import msgspec
import pytest
from both_backends import JSON, TEXT, WITH_EACH, WORDS, Opens
from bridged import check_legal, names, text_of
from usual_events import USUAL

from aiorunstream import (
    ErrorEvent,
    Message,
    RunEvent,
    RunStreamError,
    StreamTruncatedError,
    ThreadMessageDelta,
    ThreadRunStepDelta,
    UnsupportedParameterError,
    Usage,
)
from aiorunstream.models import (
    CodeInterpreterToolCall,
    FilePathAnnotation,
    FileSearchResult,
    FileSearchToolCall,
    FunctionToolCall,
    ImageFileContentBlock,
    RefusalContentBlock,
    RequiredActionFunctionToolCall,
    RunStep,
    SubmitToolOutputsAction,
    TextContentBlock,
    ToolCallsStepDetails,
)
from aiorunstream.server import (
    BreakOff,
    CallTool,
    Cite,
    DrawImage,
    EndStep,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    PrintLogs,
    Refuse,
    RunCode,
    SearchFiles,
    SendError,
    ShowImage,
)

pytestmark = WITH_EACH


def last_message(events: list[RunEvent]) -> Message:
    return [event.data for event in events if isinstance(event.data, Message)][-1]


def calls_of(events: list[RunEvent]) -> list[Any]:
    """The tool calls of all steps, as they ended."""
    steps = {event.data.id: event.data for event in events if isinstance(event.data, RunStep)}
    details = [step.step_details for step in steps.values()]
    return [call for one in details if isinstance(one, ToolCallsStepDetails) for call in one.tool_calls]


# -- text --------------------------------------------------------------------------------------------------------------


async def test_events_come_in_the_order_of_the_protocol_and_the_text_whole(client_of_each: Opens) -> None:
    async with client_of_each([[*WORDS, Usage(5, 7, 12)]]) as at:
        runs = at.client.threads.runs
        async with runs.create_stream(at.thread_id, assistant_id=at.assistant_id) as stream:
            events = [event async for event in stream]
        check_legal(events)
        assert list(dict.fromkeys(names(events))) == USUAL
        assert text_of(events) == last_message(events).text == TEXT
        assert names(events).count("thread.message.delta") == len(WORDS)
        assert (stream.outcome, stream.events_seen, stream.clean_close) == ("completed", len(events), True)
        assert stream.run is not None
        assert (stream.run.status, stream.run.usage) == ("completed", Usage(5, 7, 12))
        assert (stream.run_id, stream.thread_id) == (stream.run.id, at.thread_id)
        assert stream.status_code == 200
        assert not any(event.synthesized for event in events)


async def test_a_run_that_says_nothing_completes(client_of_each: Opens) -> None:
    async with client_of_each([[]]) as at:
        events = await at.read()
        check_legal(events)
        assert names(events) == USUAL[:3] + USUAL[-1:]


async def test_two_messages_are_two_steps(client_of_each: Opens) -> None:
    async with client_of_each([["One. ", EndStep(), "Two", "."]]) as at:
        events = await at.read()
        check_legal(events)
        assert names(events).count("thread.message.completed") == 2
        run_id = last_message(events).run_id or ""
        _, messages, steps = await at.kept(run_id)
        assert [message.text for message in messages] == ["One. ", "Two."]
        assert [step.type for step in steps] == ["message_creation"] * 2


async def test_text_beyond_ascii_and_line_ends_arrive_as_they_are(client_of_each: Opens) -> None:
    said = ["Ґанок ", "🙂\u2028", "a\r\nb\n\n", "data: x", '"\\']
    async with client_of_each([said]) as at:
        assert text_of(await at.read()) == "".join(said)


async def test_frames_carry_the_events_of_the_protocol(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        runs = at.client.threads.runs
        async with runs.create_stream(at.thread_id, assistant_id=at.assistant_id) as stream:
            frames = [frame async for frame in stream.frames()]
        assert list(dict.fromkeys(frame.event for frame in frames if frame.event != "done")) == USUAL
        said = [msgspec.json.decode(frame.data) for frame in frames if frame.event == "thread.message.delta"]
        assert "".join(part["text"]["value"] for one in said for part in one["delta"]["content"]) == TEXT


# -- other contents ----------------------------------------------------------------------------------------------------


async def test_a_refusal_is_a_part_of_its_own(client_of_each: Opens) -> None:
    async with client_of_each([[Refuse("I "), Refuse("will not.")]]) as at:
        events = await at.read()
        check_legal(events)
        (part,) = last_message(events).content
        assert isinstance(part, RefusalContentBlock)
        assert part.refusal == "I will not."
        assert text_of(events) == ""


async def test_citations_stand_in_the_text_and_name_their_file(client_of_each: Opens) -> None:
    async with client_of_each([["See ", Cite("[1]", "file_1"), " and ", LinkFile("sandbox:/a.csv", "file_2")]]) as at:
        events = await at.read()
        check_legal(events)
        message = last_message(events)
        assert message.text == "See [1] and sandbox:/a.csv"
        (part,) = message.content
        assert isinstance(part, TextContentBlock)
        found = [msgspec.to_builtins(one) for one in part.text.annotations]
        assert [one["type"] for one in found] == ["file_citation", "file_path"]
        assert [one[one["type"]]["file_id"] for one in found] == ["file_1", "file_2"]
        told = [(one["text"], one["start_index"], one["end_index"]) for one in found]
        if at.differs("where a citation stands"):
            assert told == [("", 4, 4), ("sandbox:/a.csv", 12, 26)]
        else:
            assert told == [("[1]", 4, 7), ("sandbox:/a.csv", 12, 26)]


async def test_an_image_in_a_message(client_of_each: Opens) -> None:
    async with client_of_each([["See ", ShowImage("file_2")]]) as at:
        events = await at.read()
        check_legal(events)
        text, *images = last_message(events).content
        assert isinstance(text, TextContentBlock)
        if at.differs("images in messages"):
            (link,) = text.text.annotations
            assert isinstance(link, FilePathAnnotation)
            assert (link.file_path.file_id, images) == ("file_2", [])
        else:
            (image,) = images
            assert isinstance(image, ImageFileContentBlock)
            assert (image.image_file.file_id, text.text.annotations) == ("file_2", ())


# -- tools of the server -----------------------------------------------------------------------------------------------


async def test_code_and_its_logs(client_of_each: Opens) -> None:
    async with client_of_each([[RunCode("1 "), MoreCode("+ 1"), PrintLogs("2"), "Two."]]) as at:
        events = await at.read(tools=[{"type": "code_interpreter"}])
        check_legal(events)
        (call,) = calls_of(events)
        assert isinstance(call, CodeInterpreterToolCall)
        assert call.code_interpreter.input == "1 + 1"
        assert msgspec.to_builtins(call.code_interpreter.outputs) == ({"type": "logs", "logs": "2"},)
        assert text_of(events) == "Two."


async def test_code_that_draws(client_of_each: Opens) -> None:
    async with client_of_each([[RunCode("draw()"), DrawImage("file_1"), "There."]]) as at:
        events = await at.read(tools=[{"type": "code_interpreter"}])
        check_legal(events)
        (call,) = calls_of(events)
        (image,) = msgspec.to_builtins(call.code_interpreter.outputs)
        where = "https://files.invalid/file_1" if at.differs("images that code draws") else "file_1"
        assert image == {"type": "image", "image": {"file_id": where}}


async def test_a_search_of_files_and_what_it_found(client_of_each: Opens) -> None:
    found = FileSearchResult("file_1", "a.txt", 0.5)
    async with client_of_each([[SearchFiles((found,)), "There."]]) as at:
        thread = await at.client.threads.create(tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}})
        events = await at._replace(thread_id=thread.id).read(tools=[{"type": "file_search"}])
        check_legal(events)
        (call,) = calls_of(events)
        assert isinstance(call, FileSearchToolCall)
        assert [(one.file_id, one.file_name, one.score) for one in call.file_search.results or ()] == [
            ("file_1", "a.txt", 0.5)
        ]
        assert text_of(events) == "There."


async def test_a_search_of_files_where_there_is_nothing_to_search(client_of_each: Opens) -> None:
    async with client_of_each([[SearchFiles(()), "Nothing."]]) as at:
        if at.differs("file_search without a vector store"):
            with pytest.raises(UnsupportedParameterError, match="vector_store_ids"):
                await at.read(tools=[{"type": "file_search"}])
            assert len(at.engine.turns) == 0
        else:
            assert text_of(await at.read(tools=[{"type": "file_search"}])) == "Nothing."


# -- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
async def test_calls_wait_for_their_outputs_and_the_run_goes_on(client_of_each: Opens, count: int) -> None:
    calls: list[Item] = [CallTool("get_weather", '{"city"', id="call_0"), MoreArguments(': "Oslo"}')]
    calls += [CallTool("get_weather", '{"city": "Bergen"}', id="call_1")][: count - 1]
    async with client_of_each([["Let me see.", *calls], ["Rain."]]) as at:
        runs = at.client.threads.runs
        async with runs.create_stream(at.thread_id, assistant_id=at.assistant_id) as stream:
            events = [event async for event in stream]
        check_legal(events)
        assert stream.outcome == "requires_action"
        assert stream.run is not None
        assert isinstance(stream.run.required_action, SubmitToolOutputsAction)
        waiting = [
            call
            for call in stream.run.required_action.submit_tool_outputs.tool_calls
            if isinstance(call, RequiredActionFunctionToolCall)
        ]
        cities = ["Oslo", "Bergen"][:count]
        assert [(call.id, call.function.name, msgspec.json.decode(call.function.arguments)) for call in waiting] == [
            (f"call_{place}", "get_weather", {"city": city}) for place, city in enumerate(cities)
        ]
        pieces = [event for event in events if isinstance(event, ThreadRunStepDelta)]
        assert len(pieces) > count
        outputs: list[JSON] = [{"tool_call_id": f"call_{place}", "output": f"rain {place}"} for place in range(count)]
        async with stream.submit_tool_outputs(outputs) as more:
            rest = [event async for event in more]
        check_legal(rest)
        assert (more.run_id, more.outcome, text_of(rest)) == (stream.run_id, "completed", "Rain.")
        run, messages, steps = await at.kept(stream.run_id or "")
        assert (run.status, [message.text for message in messages]) == ("completed", ["Let me see.", "Rain."])
        assert [step.status for step in steps] == ["completed"] * 3
        done = calls_of([*events, *rest])
        assert all(isinstance(call, FunctionToolCall) for call in done)
        assert [call.function.output for call in done] == [f"rain {place}" for place in range(count)]
        assert [call.output for call in at.engine.turns[1].tool_outputs] == [f"rain {place}" for place in range(count)]


# -- bad ends ----------------------------------------------------------------------------------------------------------


async def test_a_run_that_fails_says_why_and_what_it_had_said_stays(client_of_each: Opens) -> None:
    async with client_of_each([["Half ", Fail("out of order", "rate_limit_exceeded")]]) as at:
        events = await at.read()
        check_legal(events)
        assert names(events)[-3:] == ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed"]
        run, messages, _ = await at.kept(last_message(events).run_id or "")
        assert run.last_error is not None
        assert (run.status, run.last_error.code, run.last_error.message) == (
            "failed", "rate_limit_exceeded", "out of order",
        )  # fmt: skip
        assert [(message.text, message.status) for message in messages] == [("Half ", "incomplete")]


@pytest.mark.parametrize("reason", ["max_completion_tokens", "content_filter"])
async def test_a_run_that_breaks_off_says_why(client_of_each: Opens, reason: Any) -> None:
    async with client_of_each([["Half ", BreakOff(reason)]]) as at:
        events = await at.read()
        check_legal(events)
        run, messages, _ = await at.kept(last_message(events).run_id or "")
        assert (run.status, messages[0].status) == ("incomplete", "incomplete")
        assert run.incomplete_details is not None
        # The description knows no other reason, so that the model has none.
        assert run.incomplete_details.reason == (reason if reason == "max_completion_tokens" else None)


async def test_an_error_event_is_raised_or_handed_out(client_of_each: Opens) -> None:
    async with client_of_each([["Half", SendError("Oh no.", code="boom")]] * 2) as at:
        runs = at.client.threads.runs
        with pytest.raises(RunStreamError, match="Oh no") as caught:
            await at.read()
        assert (caught.value.code, caught.value.thread_id) == ("boom", at.thread_id)
        assert caught.value.run_id is not None
        again = await runs.poll(caught.value.run_id, thread_id=at.thread_id)
        assert again.is_terminal
        events: list[RunEvent] = []
        async with runs.create_stream(at.thread_id, assistant_id=at.assistant_id, on_error_event="yield") as stream:
            if at.differs("an error event"):
                events += [event async for event in stream]
                check_legal([event for event in events if event.event != "error"])
                assert stream.outcome == "failed"
            else:
                with pytest.raises(StreamTruncatedError):
                    while True:
                        events.append(await anext(stream))
        (error,) = [event for event in events if isinstance(event, ErrorEvent)]
        assert (error.data.message, error.data.code) == ("Oh no.", "boom")


# -- parameters --------------------------------------------------------------------------------------------------------


async def test_what_is_asked_for_is_what_the_engine_is_told(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        shape: JSON = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
        await at.read(
            model="other",
            temperature=0.5,
            top_p=0.25,
            max_completion_tokens=300,
            additional_instructions="And kind.",
            additional_messages=[{"role": "user", "content": "More"}, {"role": "assistant", "content": "Ok"}],
            metadata={"a": "b"},
            parallel_tool_calls=False,
            response_format=shape,
            tool_choice={"type": "function", "function": {"name": "get_weather"}},
            tools=[{"type": "function", "function": {"name": "get_weather"}}],
        )
        (turn,) = at.engine.turns
        run = turn.run
        assert (run.model, run.temperature, run.top_p, run.max_completion_tokens) == ("other", 0.5, 0.25, 300)
        assert (run.metadata, run.parallel_tool_calls) == ({"a": "b"}, False)
        assert "Be brief." in (run.instructions or "")
        assert "And kind." in (run.instructions or "")
        assert msgspec.to_builtins(run.response_format)["json_schema"]["name"] == "a"
        assert msgspec.to_builtins(run.tool_choice)["function"]["name"] == "get_weather"
        assert [message.text for message in turn.messages] == ["Hello", "More", "Ok"]
        kept = [one async for one in at.client.threads.runs.list(at.thread_id)]
        assert [(one.model, one.metadata, one.temperature) for one in kept] == [("other", {"a": "b"}, 0.5)]
        assert await at.talk() == [("user", "Hello"), ("user", "More"), ("assistant", "Ok"), ("assistant", TEXT)]


async def test_instructions_take_the_place_of_the_assistants(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        await at.read(instructions="Sing.")
        assert at.engine.turns[0].run.instructions == "Sing."


@pytest.mark.parametrize(
    ("name", "value", "difference"),
    [
        ("max_prompt_tokens", 300, "difference: max_prompt_tokens"),
        ("truncation_strategy", {"type": "last_messages", "last_messages": 1}, "difference: last_messages"),
    ],
)
async def test_a_bound_of_the_prompt(client_of_each: Opens, name: str, value: object, difference: str) -> None:
    async with client_of_each() as at:
        if not at.differs(difference.removeprefix("difference: ")):
            await at.read(**{name: value})
            return
        with pytest.raises(UnsupportedParameterError) as caught:
            await at.read(**{name: value})
        assert caught.value.argument == name
        assert len(at.engine.turns) == 0


async def test_the_deltas_of_a_message_are_of_that_message(client_of_each: Opens) -> None:
    async with client_of_each() as at:
        events = await at.read()
        deltas = [event.data for event in events if isinstance(event, ThreadMessageDelta)]
        assert {one.id for one in deltas} == {last_message(events).id}
