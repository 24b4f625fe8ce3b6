"""The tool calls of a step while they are made: which of them still wait, once a server has answered some itself."""

from aiorunstream.calls import CallsDraft
from aiorunstream.models import (
    CodeInterpreter,
    CodeInterpreterToolCall,
    FunctionCall,
    FunctionToolCall,
    RequiredActionMCPToolCall,
    UnknownPart,
)


def test_a_call_whose_output_has_come_is_not_waited_for_and_the_others_are() -> None:
    draft = CallsDraft("step_1")
    draft.run("code")
    for id in ("a", "b"):
        draft.call(id, "look")
    draft.answer("b", "up")
    draft.answer("c", "of a call that nobody made")
    assert draft.waiting == ["a"]
    assert draft.details({"a": "down"}).tool_calls == (
        CodeInterpreterToolCall("code", CodeInterpreter("", ())),
        FunctionToolCall("a", FunctionCall("look", "", "down")),
        FunctionToolCall("b", FunctionCall("look", "", "up")),
    )


def test_leave_that_is_asked_for_no_more_is_only_shown_and_the_other_calls_stay() -> None:
    draft = CallsDraft("step_1")
    draft.run("code")
    draft.ask(RequiredActionMCPToolCall("m", "delete", "{}", "files"), "gone")
    assert (draft.waiting, draft.asks) == (["m"], True)
    draft.ask_no_more()
    assert (draft.waiting, draft.asks) == ([], False)
    code, shown = draft.details().tool_calls
    assert code == CodeInterpreterToolCall("code", CodeInterpreter("", ()))
    assert isinstance(shown, UnknownPart)
    assert (shown["type"], shown["id"]) == ("mcp_approval_request", "m")
