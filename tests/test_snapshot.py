"""Events in, models out: what a snapshot makes of the deltas that servers send, and of those they should not send."""

import msgspec

from aiorunstream.events import (
    ErrorEvent,
    RunEvent,
    ThreadCreated,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageInProgress,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepInProgress,
    UnknownEvent,
)
from aiorunstream.models import (
    AnnotationDelta,
    CodeInterpreter,
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    ErrorObject,
    FileCitationAnnotation,
    FileCitationDelta,
    FileCitationDeltaAnnotation,
    FileSearch,
    FileSearchResult,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionCall,
    FunctionCallDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFile,
    ImageFileContentBlock,
    ImageFileDelta,
    ImageFileDeltaBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageCreation,
    MessageCreationDelta,
    MessageCreationDeltaObject,
    MessageCreationStepDetails,
    MessageDelta,
    MessageDeltaEvent,
    RefusalContentBlock,
    RefusalDeltaBlock,
    Run,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    StepDetails,
    StepDetailsDelta,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    Thread,
    ToolCall,
    ToolCallDelta,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)
from aiorunstream.snapshot import RunSnapshot


def says(*parts: MessageContentDelta | str, id: str = "m", role: str | None = None) -> ThreadMessageDelta:
    """A delta of a message; text alone goes to its first part."""
    content = tuple(TextDeltaBlock(0, TextDelta(part)) if isinstance(part, str) else part for part in parts)
    return ThreadMessageDelta(MessageDeltaEvent(id, delta=MessageDelta(role, content)))


def calls(*parts: ToolCallDelta) -> ThreadRunStepDelta:
    return details(ToolCallsDeltaObject(parts))


def details(delta: StepDetailsDelta | None) -> ThreadRunStepDelta:
    return ThreadRunStepDelta(RunStepDeltaEvent("s", delta=RunStepDelta(delta)))


def function(index: int, arguments: str | None = None, id: str | None = None, name: str | None = None) -> ToolCallDelta:
    return FunctionToolCallDelta(index, id, FunctionCallDelta(name, arguments))


def folded(*events: RunEvent) -> RunSnapshot:
    snapshot = RunSnapshot()
    for event in events:
        before = msgspec.json.encode(event)
        snapshot.add(event)
        assert msgspec.json.encode(event) == before
    return snapshot


def content(*events: RunEvent) -> tuple[MessageContent, ...]:
    message = folded(*events).message("m")
    assert message is not None
    return message.content


def step_details(*events: RunEvent) -> StepDetails | None:
    step = folded(*events).run_step("s")
    assert step is not None
    return step.step_details


def tool_calls(*events: RunEvent) -> tuple[ToolCall, ...]:
    found = step_details(*events)
    assert isinstance(found, ToolCallsStepDetails)
    return found.tool_calls


def text(value: str) -> TextContentBlock:
    return TextContentBlock(Text(value))


# -- objects ---------------------------------------------------------------------------------------------------------


def test_a_new_snapshot_holds_nothing() -> None:
    snapshot = RunSnapshot()
    assert (snapshot.run, snapshot.thread, snapshot.messages, snapshot.run_steps, snapshot.text) == (
        None,
        None,
        (),
        (),
        "",
    )
    assert snapshot.message("m") is None
    assert snapshot.run_step("s") is None


def test_the_run_and_the_thread_are_the_latest() -> None:
    first, last = Run("r", status="queued"), Run("r", status="completed")
    snapshot = folded(ThreadCreated(Thread("t")), ThreadRunCreated(first), ThreadRunCompleted(last))
    assert (snapshot.run, snapshot.thread) == (last, Thread("t"))


def test_errors_and_unknown_events_change_nothing() -> None:
    snapshot = folded(says("a"), ErrorEvent(ErrorObject("no")), UnknownEvent("thread.tomorrow", msgspec.Raw(b"{}")))
    assert (snapshot.text, len(snapshot.messages), snapshot.run) == ("a", 1, None)


def test_deltas_go_to_the_object_they_name() -> None:
    snapshot = folded(says("a", id="m1"), says("b", id="m2"), says("c", id="m1"), says("d", id="m2"))
    assert [message.text for message in snapshot.messages] == ["ac", "bd"]
    assert snapshot.text == "acbd"


def test_a_delta_of_an_object_nobody_announced_makes_one_with_its_id() -> None:
    snapshot = folded(says("a"), details(None))
    assert snapshot.message("m") == Message("m", content=(text("a"),))
    assert snapshot.run_step("s") == RunStep("s")


def test_the_role_comes_with_any_delta() -> None:
    snapshot = folded(says("a"), says("b", role="assistant"), says("c", role="assistant"))
    assert snapshot.message("m") == Message("m", role="assistant", content=(text("abc"),))


def test_the_text_is_of_the_assistant_only() -> None:
    user = Message("u", role="user", content=(text("Hello"),))
    snapshot = folded(ThreadMessageCreated(user), says("a"))
    assert snapshot.text == "a"
    assert len(snapshot.messages) == 2


def test_the_text_is_read_again_whenever_something_came() -> None:
    snapshot = RunSnapshot()
    read: list[str] = []
    for event in (
        says("a"),
        says("b"),
        says(TextDeltaBlock(1, TextDelta("x"))),
        says("c"),
        says(TextDeltaBlock(1, TextDelta("y"))),
        says("z", id="n"),
        says("d"),
        says("!", id="n"),
        ThreadMessageCompleted(Message("m", content=(text("whole"),))),
        says("?", id="n"),
        ThreadMessageCompleted(Message("n", content=(text("end"),))),
    ):
        snapshot.add(event)
        read.append(snapshot.text)
        assert snapshot.text is read[-1], "nothing came, so nothing is joined"
    assert read[:6] == ["a", "ab", "abx", "abcx", "abcxy", "abcxyz"]
    assert read[6:] == ["abcdxyz", "abcdxyz!", "wholez!", "wholez!?", "wholeend"]


def test_a_message_that_was_read_is_the_same_until_more_comes() -> None:
    snapshot = folded(says("a"))
    first = snapshot.message("m")
    assert snapshot.message("m") is first
    snapshot.add(says("b"))
    assert (first, snapshot.message("m")) == (Message("m", content=(text("a"),)), Message("m", content=(text("ab"),)))
    snapshot.add(calls(function(0, "{", "call", "f")))
    step = snapshot.run_step("s")
    assert snapshot.run_step("s") is step
    snapshot.add(calls(function(0, "}")))
    assert snapshot.run_step("s") != step


# -- beginnings and ends ---------------------------------------------------------------------------------------------


def test_an_emptier_event_keeps_what_is_known() -> None:
    known = Message("m", created_at=7, thread_id="t", status="in_progress", role="assistant", metadata={"a": "b"})
    bare = Message("m", created_at=0, status="in_progress", metadata={})
    assert folded(ThreadMessageCreated(known), ThreadMessageInProgress(bare)).message("m") == known
    call = FunctionToolCall("call", FunctionCall("f"))
    step = RunStep("s", created_at=7, run_id="r", step_details=ToolCallsStepDetails((call,)))
    emptier = RunStep("s", status="in_progress", step_details=ToolCallsStepDetails())
    grown = folded(ThreadRunStepCreated(step), ThreadRunStepInProgress(emptier)).run_step("s")
    assert grown == msgspec.structs.replace(step, status="in_progress")


def test_the_usage_that_open_assistant_api_sends_as_a_message_is_none() -> None:
    for told in ("{}", "nobody can read this"):
        usage = Message("foreign", created_at=0, status="in_progress", metadata={"usage": told})
        assert folded(ThreadMessageInProgress(usage)).messages == ()
    assert folded(ThreadMessageInProgress(Message("m"))).messages == (Message("m"),)


def test_the_content_of_a_beginning_counts_until_the_first_delta() -> None:
    begun = Message("m", role="assistant", content=(text("a"),))
    assert content(ThreadMessageCreated(begun), says("b")) == (text("ab"),)
    assert content(says("b"), ThreadMessageCreated(begun)) == (text("b"),)
    call = FunctionToolCall("call", FunctionCall("f", "{"))
    step = RunStep("s", step_details=ToolCallsStepDetails((call,)))
    whole = FunctionToolCall("call", FunctionCall("f", "{}"))
    assert tool_calls(ThreadRunStepCreated(step), calls(function(0, "}"))) == (whole,)
    assert tool_calls(calls(function(0, "}")), ThreadRunStepCreated(step)) == (
        FunctionToolCall("", FunctionCall("", "}")),
    )


def test_a_final_object_replaces_all_and_nothing_stray_changes_it() -> None:
    final = Message("m", status="completed", content=(text("final"),))
    strays = (
        says("stray"),
        says(RefusalDeltaBlock(1, "x")),
        ThreadMessageInProgress(Message("m", status="in_progress")),
    )
    snapshot = folded(says("draft"), ThreadMessageCompleted(final), *strays)
    assert (snapshot.message("m"), snapshot.text) == (final, "final")
    ended = RunStep("s", status="completed", step_details=ToolCallsStepDetails())
    stray_step = ThreadRunStepInProgress(RunStep("s", status="in_progress"))
    assert folded(
        calls(function(0, "x", "call")), ThreadRunStepCompleted(ended), calls(function(0, "y")), stray_step
    ).run_steps == (ended,)


def test_a_later_final_object_replaces_the_first() -> None:
    first, last = Message("m", content=(text("1"),)), Message("m", content=(text("2"),))
    assert folded(ThreadMessageCompleted(first), ThreadMessageCompleted(last)).messages == (last,)


# -- lists -----------------------------------------------------------------------------------------------------------


def test_parts_stand_by_index_whatever_comes_first_and_gaps_are_closed() -> None:
    parts = content(says(TextDeltaBlock(7, TextDelta("c"))), says(RefusalDeltaBlock(3, "b")), says("a"))
    assert parts == (text("a"), RefusalContentBlock("b"), text("c"))


def test_fragments_of_one_index_in_one_delta_all_count() -> None:
    assert content(says("a", "b", RefusalDeltaBlock(1, "c"), "d", RefusalDeltaBlock(1, "e"))) == (
        text("abd"),
        RefusalContentBlock("ce"),
    )


def test_another_type_at_a_place_that_is_taken_is_a_part_of_its_own() -> None:
    parts = content(says("a"), says(RefusalDeltaBlock(0, "b")), says("c"), says(RefusalDeltaBlock(0, "d")))
    assert parts == (text("ac"), RefusalContentBlock("bd"))


def test_annotations_come_in_fragments_too() -> None:
    def note(*notes: AnnotationDelta) -> ThreadMessageDelta:
        return says(TextDeltaBlock(0, TextDelta(annotations=notes)))

    first = FileCitationDeltaAnnotation(1, "[", FileCitationDelta("f", "so "), 1)
    more = FileCitationDeltaAnnotation(1, "2]", FileCitationDelta("f", "it is"), 2, 4)
    unknown = UnknownPart({"type": "tomorrow", "index": 0, "file_id": "g"})
    (part,) = content(says("a"), note(first), note(more, unknown), says("b"))
    assert isinstance(part, TextContentBlock)
    assert part.text.value == "ab"
    assert msgspec.json.decode(msgspec.json.encode(part.text.annotations)) == [
        {"type": "tomorrow", "file_id": "g"},
        {
            "type": "file_citation",
            "text": "[2]",
            "file_citation": {"file_id": "f", "quote": "so it is"},
            "start_index": 2,
            "end_index": 4,
        },
    ]
    assert isinstance(part.text.annotations[1], FileCitationAnnotation)


def test_parts_that_begin_with_nothing_are_there() -> None:
    assert tool_calls(calls(CodeInterpreterToolCallDelta(0))) == (CodeInterpreterToolCall("", CodeInterpreter()),)
    assert content(says(TextDeltaBlock(0), RefusalDeltaBlock(1))) == (text(""), RefusalContentBlock())
    assert content(says(TextDeltaBlock(0)), says("a"), says("b")) == (text("ab"),)
    assert folded(says(TextDeltaBlock(0))).text == ""


def test_an_image_is_set_and_one_without_its_file_keeps_what_it_has() -> None:
    low, whole = (
        ImageFileDeltaBlock(0, ImageFileDelta(detail="low")),
        ImageFileDeltaBlock(0, ImageFileDelta("f", "low")),
    )
    assert content(says(low)) == (UnknownPart({"type": "image_file", "image_file": {"detail": "low"}}),)
    assert content(says(low), says(whole), says(whole)) == (ImageFileContentBlock(ImageFile("f", "low")),)


# -- tool calls ------------------------------------------------------------------------------------------------------


def test_arguments_are_joined_and_names_are_set() -> None:
    events = (calls(function(0, "", "call", "f")), calls(function(0, "{")), calls(function(0, "}", "call", "f")))
    assert tool_calls(*events) == (FunctionToolCall("call", FunctionCall("f", "{}")),)
    repeated = calls(FunctionToolCallDelta(0, "", FunctionCallDelta("", None, "out")))
    assert tool_calls(*events, repeated, calls(FunctionToolCallDelta(0, None, FunctionCallDelta(output="put")))) == (
        FunctionToolCall("call", FunctionCall("f", "{}", "output")),
    )


def test_mixed_calls_stand_by_index() -> None:
    events = [
        function(1, "b", "b"),
        function(0, "a", "a"),
        function(1, "B"),
        function(0, "A"),
        FunctionToolCallDelta(0),
    ]
    found = tool_calls(*(calls(call) for call in events))
    assert found == (FunctionToolCall("a", FunctionCall("", "aA")), FunctionToolCall("b", FunctionCall("", "bB")))


def test_calls_that_are_all_numbered_0_are_told_apart_by_their_ids() -> None:
    events = [function(0, "a", "a"), function(0, "A"), function(0, "b", "b"), function(0, "B"), function(0, "!", "a")]
    found = tool_calls(*(calls(call) for call in [*events, function(0, "?")]))
    assert found == (FunctionToolCall("a", FunctionCall("", "aA!")), FunctionToolCall("b", FunctionCall("", "bB?")))


def test_a_call_may_be_named_after_it_began() -> None:
    found = tool_calls(calls(function(0, "{"), function(0, "}", "a")), calls(function(0, "!", "b")))
    assert found == (FunctionToolCall("a", FunctionCall("", "{}")), FunctionToolCall("b", FunctionCall("", "!")))


def test_a_call_of_another_type_at_a_place_that_is_taken_is_one_of_its_own() -> None:
    search = FileSearchToolCallDelta(0, {}, "s")
    found = tool_calls(calls(function(0, "{", "f"), search), calls(function(0, "}"), search))
    assert found == (FunctionToolCall("f", FunctionCall("", "{}")), FileSearchToolCall("s", FileSearch()))


def test_a_file_search_is_built_of_open_json() -> None:
    one, two = {"file_id": "a", "file_name": "a.txt", "score": 1}, {"file_id": "b"}
    events = [FileSearchToolCallDelta(0, {"results": [found]}, "s") for found in (one, two)]
    assert tool_calls(*(calls(event) for event in events)) == (
        FileSearchToolCall("s", FileSearch(results=(FileSearchResult("a", "a.txt", 1.0), FileSearchResult("b")))),
    )
    (broken,) = tool_calls(calls(FileSearchToolCallDelta(0, {"results": [{"no": "file"}]}, "s")))
    assert broken == UnknownPart({"type": "file_search", "id": "s", "file_search": {"results": [{"no": "file"}]}})


def test_what_a_file_search_found_already_is_gone_on_from() -> None:
    begun = ToolCallsStepDetails((FileSearchToolCall("s", FileSearch(results=(FileSearchResult("a", "x", 0.5),))),))
    (call,) = tool_calls(
        ThreadRunStepCreated(RunStep("s", step_details=begun)),
        calls(FileSearchToolCallDelta(0, {"results": [{"file_id": "b"}]})),
    )
    assert isinstance(call, FileSearchToolCall)
    assert [found.file_id for found in call.file_search.results or ()] == ["a", "b"]


def test_a_step_names_its_message() -> None:
    named = details(MessageCreationDeltaObject(MessageCreationDelta("m")))
    assert step_details(details(MessageCreationDeltaObject()), named, named) == MessageCreationStepDetails(
        MessageCreation("m")
    )
    assert step_details(details(MessageCreationDeltaObject())) == MessageCreationStepDetails(MessageCreation())
    assert step_details(details(ToolCallsDeltaObject())) == ToolCallsStepDetails()
