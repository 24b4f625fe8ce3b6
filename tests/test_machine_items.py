"""Everything an engine may say: which deltas come of it, what they add up to, and what the store then holds."""

from typing import Any

import msgspec
import pytest
from machine_bench import CALLING, OPENING, Bench, outputs_in, refused, waiting

from aiorunstream.calls import without_contents
from aiorunstream.events import ErrorEvent, ThreadMessageDelta, ThreadRunStepDelta
from aiorunstream.intake import Paging
from aiorunstream.items import (
    BreakOff,
    CallTool,
    Cancel,
    Cite,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    Pause,
    PrintLogs,
    Refuse,
    RunCode,
    Say,
    SearchFiles,
    SendError,
    ShowImage,
)
from aiorunstream.models import (
    ErrorObject,
    FileCitation,
    FileCitationAnnotation,
    FilePath,
    FilePathAnnotation,
    FileSearchResult,
    FileSearchResultContent,
    TextContentBlock,
    Usage,
)

JSON = dict[str, Any]
ENDED_MESSAGE = ["thread.message.completed", "thread.run.step.completed"]
DELTA = "thread.run.step.delta"


def parts(bench: Bench) -> list[JSON]:
    """The one part of each message delta."""
    deltas = [kept(e.data.delta) for e in bench.events if isinstance(e, ThreadMessageDelta)]
    return [part for delta in deltas for part in delta["content"]]


def pieces(bench: Bench) -> list[JSON]:
    """The one tool call of each step delta."""
    deltas = [kept(e.data.delta) for e in bench.events if isinstance(e, ThreadRunStepDelta)]
    return [call for delta in deltas for call in delta["step_details"]["tool_calls"]]


def kept(thing: object) -> Any:
    """The thing as its JSON says."""
    return msgspec.json.decode(msgspec.json.encode(thing))


# -- messages --------------------------------------------------------------------------------------------------------


def test_plain_text_is_said() -> None:
    bench = Bench()
    assert bench.hear("Hel", Say("lo"), "") == [*OPENING, *["thread.message.delta"] * 2]
    bench.finish()
    assert bench.answers[0].text == "Hello"


def test_a_refusal_comes_in_pieces_and_is_one_part() -> None:
    bench = Bench()
    bench.hear(Refuse("I will "), Refuse(""), Refuse("not."))
    assert parts(bench) == [
        {"type": "refusal", "index": 0, "refusal": "I will "},
        {"type": "refusal", "index": 0, "refusal": "not."},
    ]
    bench.finish()
    assert kept(bench.answers[0].content) == [{"type": "refusal", "refusal": "I will not."}]


def test_parts_follow_each_other_as_they_are_said() -> None:
    bench = Bench()
    bench.hear("See ", "this", ShowImage("file_1", "low"), ShowImage("file_2"), "and that", Refuse("no"), "more")
    assert [(part["index"], part["type"]) for part in parts(bench)] == [
        (0, "text"),
        (0, "text"),
        (1, "image_file"),
        (2, "image_file"),
        (3, "text"),
        (4, "refusal"),
        (5, "text"),
    ]
    assert [part["text"].get("annotations") for part in parts(bench) if part["type"] == "text"] == [[], None, [], []]
    bench.finish()
    (message,) = bench.answers
    assert message.text == "See thisand thatmore"
    assert kept(message.content)[1:3] == [
        {"type": "image_file", "image_file": {"file_id": "file_1", "detail": "low"}},
        {"type": "image_file", "image_file": {"file_id": "file_2"}},
    ]


def test_annotations_say_where_their_text_stands() -> None:
    bench = Bench()
    bench.hear(
        "Größe 😀", Cite("【1】", "file_a", "so it is"), " and ", LinkFile("sandbox:/a.csv", "file_b"), ShowImage("i")
    )
    bench.hear(Cite("【2】", "file_c"))
    cited, linked, again = (
        part["text"] for part in parts(bench) if part["type"] == "text" and part["text"].get("annotations")
    )
    assert cited == {
        "value": "【1】",
        "annotations": [
            {
                "type": "file_citation",
                "index": 0,
                "text": "【1】",
                "file_citation": {"file_id": "file_a", "quote": "so it is"},
                "start_index": 7,
                "end_index": 10,
            }
        ],
    }
    assert linked["annotations"][0]["index"] == 1
    assert (again["annotations"][0]["index"], again["annotations"][0]["start_index"]) == (0, 0)
    bench.finish()
    first, _, last = bench.answers[0].content
    text = kept(first)["text"]
    for annotation in text["annotations"]:
        assert text["value"][annotation["start_index"] : annotation["end_index"]] == annotation["text"]
    assert isinstance(first, TextContentBlock)
    assert first.text.annotations == (
        FileCitationAnnotation("【1】", FileCitation("file_a"), 7, 10),
        FilePathAnnotation("sandbox:/a.csv", FilePath("file_b"), 15, 29),
    )
    assert kept(last)["text"]["annotations"][0]["file_citation"] == {"file_id": "file_c"}


def test_one_run_may_write_several_messages() -> None:
    bench = Bench()
    names = bench.hear("one", EndStep(), EndStep(), "two")
    assert names == [*OPENING, "thread.message.delta", *ENDED_MESSAGE, *OPENING, "thread.message.delta"]
    assert bench.finish() == [*ENDED_MESSAGE, "thread.run.completed"]
    assert [message.text for message in bench.answers] == ["one", "two"]
    assert len({message.id for message in bench.answers}) == len(bench.steps) == 2


# -- the server's own tools ------------------------------------------------------------------------------------------


def test_code_its_logs_and_its_images_come_in_pieces_and_are_one_call() -> None:
    bench = Bench()
    names = bench.hear(
        RunCode("1 +", id="call_a"),
        MoreCode(" 1"),
        PrintLogs("tw"),
        PrintLogs(""),
        PrintLogs("o"),
        DrawImage("file_1"),
        PrintLogs("done"),
    )
    assert names == [*CALLING, *[DELTA] * 7]
    called, *rest = pieces(bench)
    assert called == {"type": "code_interpreter", "index": 0, "id": "call_a", "code_interpreter": {"input": ""}}
    assert [piece["code_interpreter"] for piece in rest] == [
        {"input": "1 +"},
        {"input": " 1"},
        {"outputs": [{"type": "logs", "index": 0, "logs": "tw"}]},
        {"outputs": [{"type": "logs", "index": 0, "logs": "o"}]},
        {"outputs": [{"type": "image", "index": 1, "image": {"file_id": "file_1"}}]},
        {"outputs": [{"type": "logs", "index": 2, "logs": "done"}]},
    ]
    assert bench.hear("It is two.") == ["thread.run.step.completed", *OPENING, "thread.message.delta"]
    bench.finish()
    assert kept(bench.steps[0].step_details)["tool_calls"] == [
        {
            "type": "code_interpreter",
            "id": "call_a",
            "code_interpreter": {
                "input": "1 + 1",
                "outputs": [
                    {"type": "logs", "logs": "two"},
                    {"type": "image", "image": {"file_id": "file_1"}},
                    {"type": "logs", "logs": "done"},
                ],
            },
        }
    ]
    assert bench.run.status == "completed"


def test_a_file_search_shows_contents_only_to_those_who_ask() -> None:
    bench = Bench()
    found = FileSearchResult("file_1", "a.txt", 0.75, (FileSearchResultContent(text="so it is"),))
    bench.hear(SearchFiles((found, FileSearchResult("file_2")), id="call_s"), Usage(1, 2, 3))
    assert pieces(bench) == [{"type": "file_search", "index": 0, "id": "call_s", "file_search": {}}]
    assert bench.finish() == ["thread.run.step.completed", "thread.run.completed"]
    (step,) = bench.steps
    named = {"file_id": "file_1", "file_name": "a.txt", "score": 0.75}
    bare = {"file_id": "file_2", "file_name": "file_2", "score": 0.0}
    assert kept(step.step_details)["tool_calls"][0]["file_search"] == {"results": [named, bare]}
    assert step.usage == Usage(1, 2, 3)
    whole = bench.store.retrieve_run_step(bench.thread.id, bench.run.id, step.id, with_contents=True)
    assert kept(whole.step_details)["tool_calls"][0]["file_search"]["results"] == [
        {**named, "content": [{"text": "so it is"}]},
        bare,
    ]
    assert without_contents(whole) == step
    listed = bench.store.list_run_steps(bench.thread.id, bench.run.id, Paging(), with_contents=True)
    assert listed.data == (whole,)
    assert bench.store.list_run_steps(bench.thread.id, bench.run.id, Paging()).data == (step,)


def test_steps_that_searched_nothing_are_shown_as_they_are() -> None:
    bench = Bench()
    bench.hear("a", RunCode("b"))
    bench.finish()
    assert [without_contents(step) for step in bench.steps] == list(bench.steps)


def test_a_run_waits_for_functions_only_and_their_step_holds_all_calls() -> None:
    bench = Bench()
    bench.hear(RunCode("1", id="code"), CallTool("f", "{}", id="call_f"), SearchFiles(id="search"))
    assert bench.hear(EndStep()) == [], "what waits for an output is not over"
    assert bench.finish() == ["thread.run.requires_action"]
    assert waiting(bench.run) == ["call_f"]
    assert "code" in refused(bench, ("call_f", "x"), ("code", "y")).message
    assert bench.submit(("call_f", "out")) == ["thread.run.step.completed", "thread.run.queued"]
    (step,) = bench.steps
    assert [call["type"] for call in kept(step.step_details)["tool_calls"]] == [
        "code_interpreter",
        "function",
        "file_search",
    ]
    assert outputs_in(step) == ["out"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([MoreArguments("x")], "MoreArguments without the call"),
        ([MoreCode("x")], "MoreCode without the call"),
        ([PrintLogs("x")], "PrintLogs without the call"),
        ([DrawImage("x")], "DrawImage without the call"),
        ([RunCode("x"), MoreArguments("y")], "MoreArguments without a CallTool"),
        ([CallTool("f"), MoreCode("y")], "without a RunCode"),
        ([SearchFiles(), PrintLogs("y")], "without a RunCode"),
        ([RunCode("x"), EndStep(), MoreCode("y")], "MoreCode without the call"),
        ([CallTool("f"), "text", MoreArguments("y")], "MoreArguments without the call"),
        ([CallTool("f", id="a"), RunCode("x", id="a")], "two tool calls"),
        ([7], "cannot say a int"),
    ],
)
def test_what_does_not_go_on_from_what_was_said_is_the_engines_fault(items: list[Any], message: str) -> None:
    bench = Bench()
    with pytest.raises(ValueError, match=message):
        bench.hear(*items)
    bench.hear(Fail("so the server says"))
    assert {step.status for step in bench.steps} <= {"failed", "completed"}


def test_an_item_that_is_refused_changes_nothing() -> None:
    bench = Bench()
    bench.hear(CallTool("f", id="a"), "text")
    before = (bench.run, bench.steps, bench.answers)
    with pytest.raises(ValueError, match="two tool calls"):
        bench.hear(CallTool("g", id="a"))
    assert (bench.run, bench.steps, bench.answers) == before
    assert bench.finish() == [*ENDED_MESSAGE, "thread.run.requires_action"]


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_pause_has_an_end(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Pause(seconds)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_is_from_0_to_1(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        SearchFiles((FileSearchResult("file_1", score=score),))


# -- ends and interruptions ------------------------------------------------------------------------------------------


def test_an_error_event_leaves_the_run_going() -> None:
    bench = Bench()
    assert bench.hear("half", SendError("Overloaded.", code="busy"))[-1] == "error"
    error = bench.events[-1]
    assert isinstance(error, ErrorEvent)
    assert error.data == ErrorObject("Overloaded.", "server_error", "busy", None)
    bench.hear(" and whole")
    assert bench.finish()[-1] == "thread.run.completed"
    assert bench.answers[0].text == "half and whole"


def test_silence_is_no_event() -> None:
    assert Bench().hear(Pause(60)) == []


def test_an_engine_may_end_its_run_as_the_clock_or_somebody_else_would() -> None:
    bench = Bench()
    names = bench.hear("half", Expire(), "unheard")
    assert names[-3:] == ["thread.message.incomplete", "thread.run.step.expired", "thread.run.expired"]
    bench = Bench()
    names = bench.hear(CallTool("f"), Cancel(), "unheard")
    assert names[-3:] == ["thread.run.cancelling", "thread.run.step.cancelled", "thread.run.cancelled"]


@pytest.mark.parametrize(("item", "status"), [(RunCode("x"), "completed"), (CallTool("f"), "cancelled")])
def test_an_answer_that_breaks_off_has_used_its_tools_but_called_nobody(item: Item, status: str) -> None:
    bench = Bench()
    bench.hear(item, BreakOff())
    assert [step.status for step in bench.steps] == [status]
    assert bench.run.status == "incomplete"


def test_outputs_that_come_too_late_are_refused() -> None:
    bench = Bench()
    bench.hear(CallTool("f", id="a"))
    bench.finish()
    bench.time = 1_601
    assert "has expired" in refused(bench, ("a", "late")).message, "nobody has told the run so far"
    bench.machine.expire()
    error = refused(bench, ("a", "late"))
    assert (error.kind, error.message) == (
        "invalid",
        f"Run {bench.run.id} has expired: its tool outputs come too late.",
    )
