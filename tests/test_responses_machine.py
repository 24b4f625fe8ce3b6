"""A response, item by item: numbers without a gap, deltas that add up, and an end that has all that was streamed."""

import itertools
from pathlib import Path
from typing import cast

import pytest
from conftest import NO_SHARED, SHARED
from responses_site import published, types
from server_client import JSON

from aiorunstream.items import (
    AskApproval,
    BreakOff,
    CallTool,
    Cancel,
    Cite,
    CiteURL,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    PrintLogs,
    Refuse,
    RunCode,
    Say,
    SearchFiles,
    SendError,
    ShowImage,
    UseTool,
)
from aiorunstream.models import FileSearchResult, FileSearchResultContent, Usage
from aiorunstream.responses_machine import ResponseMachine
from aiorunstream.responses_operations import CODE_OUTPUTS, SEARCH_RESULTS

ASKED: JSON = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "instructions": None,
    "model": "parrot",
    "tools": [],
    "parallel_tool_calls": True,
    "metadata": {},
    "tool_choice": "auto",
    "temperature": 1.0,
    "top_p": 1.0,
}
FOUND = FileSearchResult("file_1", "a.txt", 0.5, (FileSearchResultContent(text="so it is"),))


def machine(*, background: bool = False, include: tuple[str, ...] = (CODE_OUTPUTS, SEARCH_RESULTS)) -> ResponseMachine:
    numbers = itertools.count(1)
    return ResponseMachine(
        dict(ASKED),
        now=lambda: 5,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        background=background,
        include=include,
    )


def said(
    *items: Item, background: bool = False, include: tuple[str, ...] = (CODE_OUTPUTS, SEARCH_RESULTS)
) -> list[JSON]:
    """All events of a response in which the engine says these."""
    made = machine(background=background, include=include)
    events = [*made.start(), *made.work()]
    for item in items:
        events += made.take(item)
    return events + made.finish()


# -- in which order --------------------------------------------------------------------------------------------------


def test_text_is_told_as_openai_tells_it() -> None:
    events = said("Hel", Say("lo"))
    assert types(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[2]["item"] == {
        "id": "msg_2",
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    assert events[6]["text"] == "Hello"
    assert [event["sequence_number"] for event in events] == list(range(10))
    assert (events[0]["response"]["status"], events[0]["response"]["output"]) == ("in_progress", [])
    assert events[-1]["response"]["completed_at"] == 5


def test_a_response_in_the_background_is_queued_first() -> None:
    events = said("Hello", background=True)
    assert types(events)[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["response"]["status"] for event in events[:3]] == ["queued", "queued", "in_progress"]


def test_a_call_of_a_function_is_told_in_pieces_and_then_whole() -> None:
    events = said(CallTool("f", "{", "call_1"), MoreArguments("}"), EndStep(), MoreArguments(" "))
    assert types(events)[2:-1] == [
        "response.output_item.added",
        *["response.function_call_arguments.delta"] * 3,
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    done = {"type": "function_call", "status": "completed", "arguments": "{} ", "call_id": "call_1", "name": "f"}
    assert events[-2]["item"] == {"id": "fc_2", **done}
    assert events[-1]["response"]["output"] == [events[-2]["item"]]


def test_code_is_told_in_pieces_and_its_outputs_with_its_end() -> None:
    events = said(RunCode("1"), MoreCode("+1"), PrintLogs("2"), PrintLogs("\n"), DrawImage("file/1"), PrintLogs("3"))
    assert types(events)[2:-1] == [
        "response.output_item.added",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.delta",
        "response.code_interpreter_call_code.done",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.output_item.done",
    ]
    item = events[-2]["item"]
    assert (item["code"], item["container_id"]) == ("1+1", "cntr_1")
    assert item["outputs"] == [
        {"type": "logs", "logs": "2\n"},
        {"type": "image", "url": "https://files.invalid/file%2F1"},
        {"type": "logs", "logs": "3"},
    ]


def test_a_search_is_told_with_what_it_found() -> None:
    events = said(SearchFiles((FOUND, FileSearchResult("file_2"))))
    assert types(events)[2:-1] == [
        "response.output_item.added",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.output_item.done",
    ]
    first: JSON = {"attributes": {}, "file_id": "file_1", "filename": "a.txt", "score": 0.5, "text": "so it is"}
    second: JSON = {"attributes": {}, "file_id": "file_2", "filename": "file_2", "score": 0.0, "text": ""}
    assert events[-2]["item"]["results"] == [first, second]


def test_outputs_and_results_are_shown_to_those_who_asked_to_include_them() -> None:
    events = said(RunCode("1"), PrintLogs("2"), SearchFiles((FOUND,)), include=())
    assert [item.get("outputs", item.get("results")) for item in events[-1]["response"]["output"]] == [None, None]


def test_text_and_a_refusal_are_parts_of_one_message() -> None:
    events = said("Well. ", Refuse("I will"), Refuse(" not."), "Sorry.")
    assert [(event["content_index"], event["delta"]) for event in events if event["type"].endswith(".delta")] == [
        (0, "Well. "),
        (1, "I will"),
        (1, " not."),
        (2, "Sorry."),
    ]
    (message,) = events[-1]["response"]["output"]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal", "output_text"]
    assert message["content"][1]["refusal"] == "I will not."


def test_annotations_say_where_their_text_is() -> None:
    events = said("See ", Cite("【1】", "file_1", "so it is"), " and ", LinkFile("sandbox:/a/b.csv", "file_2"))
    found = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in found] == [0, 1]
    cited, linked = (event["annotation"] for event in found)
    (part,) = events[-1]["response"]["output"][0]["content"]
    assert part["annotations"] == [cited, linked]
    assert cited == {"type": "file_citation", "file_id": "file_1", "index": 4, "filename": "file_1"}
    assert part["text"][linked["start_index"] : linked["end_index"]] == "sandbox:/a/b.csv"
    assert (linked["filename"], linked["file_id"]) == ("b.csv", "file_2")


def test_an_image_in_a_message_is_a_citation_of_its_file() -> None:
    events = said(ShowImage("file_1"))
    (part,) = events[-1]["response"]["output"][0]["content"]
    assert part["text"] == ""
    assert [annotation["file_id"] for annotation in part["annotations"]] == ["file_1"]


def test_what_was_spent_is_told_at_the_end_only() -> None:
    made = machine()
    events: list[JSON] = [*made.start(), *made.work()]
    for item in ("a", Usage(1, 2, 3), "b", Usage(10, 20, 30)):
        events += made.take(item)
        assert made.response()["usage"] is None
    events += made.finish()
    assert [event["response"]["usage"] for event in events if "response" in event][:2] == [None, None]
    assert events[-1]["response"]["usage"] == {
        "input_tokens": 22,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 11,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 33,
    }


def test_a_citation_of_a_page_says_where_its_text_is() -> None:
    events = said("See ", CiteURL("【1】", "https://example.org/a", "A"), CiteURL("【2】", "https://example.org/b"))
    (part,) = events[-1]["response"]["output"][0]["content"]
    first: JSON = {
        "type": "url_citation",
        "url": "https://example.org/a",
        "start_index": 4,
        "end_index": 7,
        "title": "A",
    }
    assert part["annotations"][0] == first
    assert part["annotations"][1]["title"] == "https://example.org/b"


SEARCHED: JSON = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "?"},
}
THOUGHT: JSON = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "content": [{"type": "reasoning_text", "text": "So it is."}],
}
CALLED: JSON = {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "f", "arguments": "{}", "output": "ok"}
DRAWN: JSON = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk="}
LISTED: JSON = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [], "error": "It is away."}
NATIVE = [SEARCHED, THOUGHT, CALLED, DRAWN, LISTED]


def test_a_tool_of_another_kind_is_told_whole_with_how_far_it_is() -> None:
    events = said(*(UseTool(call) for call in NATIVE), UseTool({"type": "openapi"}))
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"][:5] == NATIVE
    assert [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"][5] == "it_2"
    names = [event["type"].removeprefix("response.") for event in events if "item_id" in event]
    assert names == [
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.completed",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.failed",
    ]
    thinks = next(event["item"] for event in events if event.get("item", {}).get("id") == "rs_1")
    assert thinks == {"type": "reasoning", "id": "rs_1", "summary": []}


def test_leave_is_asked_for_with_a_request_for_approval() -> None:
    events = said(AskApproval("f", "{}", "s", "ok", "mcpr_1"))
    asked: JSON = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "f", "arguments": "{}", "server_label": "s"}
    assert events[-1]["response"]["output"] == [asked]


@pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
def test_tools_of_another_kind_are_told_as_described() -> None:
    described = published(Path(SHARED))
    for event in said(*(UseTool(call) for call in NATIVE), AskApproval("f")):
        described.check_event(event)


# -- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "status", "shown"),
    [
        (Fail("It broke.", "invalid_prompt"), "failed", {"code": "invalid_prompt", "message": "It broke."}),
        (Expire(), "failed", {"code": "server_error", "message": "The response took longer than it may."}),
        (BreakOff(), "incomplete", {"reason": "max_output_tokens"}),
        (BreakOff("max_prompt_tokens"), "incomplete", {"reason": "max_output_tokens"}),
        (BreakOff("content_filter"), "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_bad_end_has_its_reason_and_leaves_nothing_open(item: Item, status: str, shown: JSON) -> None:
    events = said("half", CallTool("f", "{"), item, "unheard")
    assert types(events)[-2:] == ["response.output_item.done", f"response.{status}"]
    response = events[-1]["response"]
    assert response["status"] == status
    assert (response["error"] if status == "failed" else response["incomplete_details"]) == shown
    assert [part["status"] for part in response["output"]] == ["completed", "incomplete"]
    assert response["completed_at"] is None


def test_a_cancelled_response_ends_without_a_last_event() -> None:
    made = machine()
    told = [
        *made.start(),
        *made.work(),
        *made.take("half"),
        *made.take(Cancel()),
        *made.take("unheard"),
        *made.finish(),
    ]
    assert types(told)[-1] == "response.output_text.delta"
    assert (made.status, made.is_over) == ("cancelled", True)
    made.cancel()
    assert made.work() == []
    assert [item["status"] for item in made.output] == ["incomplete"]


def test_an_error_is_an_event_of_its_own() -> None:
    events = said("a", SendError("Overloaded.", code="slow"), "b")
    (error,) = [event for event in events if event["type"] == "error"]
    told = {"type": "error", "code": "slow", "message": "Overloaded.", "param": None, "sequence_number": 5}
    assert error == told


@pytest.mark.parametrize(
    "items",
    [
        [MoreArguments("}")],
        [CallTool("f"), "a", MoreArguments("}")],
        [RunCode(), MoreArguments("}")],
        [CallTool("f"), MoreCode("1")],
        [RunCode(), EndStep(), PrintLogs("1")],
        [DrawImage("file_1")],
        [CallTool("f", id="a"), RunCode(id="a")],
        [cast("Item", 5)],
    ],
)
def test_what_an_engine_cannot_say_is_an_error(items: list[Item]) -> None:
    with pytest.raises(ValueError, match=r"without the call|the id 'a'|cannot say a int"):
        said(*items)
