"""Azure's tool calls and citations, read as Structs; and what an engine may say of them."""

from typing import Any, get_args

import pytest
from machine_bench import Bench

from aiorunstream.azure import AzureToolCall, FabricDataAgentToolCall, azure_tool_call, url_citation
from aiorunstream.items import AskApproval, CallTool, UseTool
from aiorunstream.models import FunctionCall, FunctionToolCall, UnknownPart

KINDS: list[type[Any]] = list(get_args(AzureToolCall))
TWELVE = [
    "bing_grounding",
    "bing_custom_search",
    "azure_ai_search",
    "sharepoint_grounding",
    "fabric_dataagent",
    "openapi",
    "azure_function",
    "connected_agent",
    "deep_research",
    "mcp",
    "browser_automation",
    "computer_use_preview",
]


def test_there_are_twelve_kinds() -> None:
    assert [kind.type for kind in KINDS] == TWELVE


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_every_kind_is_read_also_from_a_delta_and_with_fields_of_tomorrow(kind: type[Any]) -> None:
    part = UnknownPart(
        {"type": kind.type, "id": "call_1", "index": 3, kind.type: {"later": 1, "output": "o"}, "more": [1]}
    )
    found: Any = azure_tool_call(part)
    assert type(found) is kind
    assert found.id == "call_1"
    if kind.type != "mcp":  # which lies flat
        inside: Any = getattr(found, kind.type)
        assert (inside["output"] if isinstance(inside, dict) else getattr(inside, "output", "o")) == "o"


@pytest.mark.parametrize(("type", "name"), [
    ("fabric_dataagent", "microsoft_fabric"), ("sharepoint_grounding", "share_point"), ("openapi", "open_api"),
])  # fmt: skip
def test_what_a_preview_has_put_elsewhere_is_found(type: str, name: str) -> None:
    for besides in ({}, {type: None}):
        found = azure_tool_call(UnknownPart({"type": type, "id": "c", **besides, name: {"input": "i"}}))
        assert getattr(found, type) == {"input": "i"}


def test_what_stands_in_its_own_place_counts() -> None:
    part = UnknownPart({"type": "openapi", "id": "c", "openapi": {}, "open_api": {"input": "i"}})
    assert getattr(azure_tool_call(part), "openapi", None) == {}


@pytest.mark.parametrize("part", [
    UnknownPart({"type": "hologram", "id": "c"}),
    UnknownPart({"id": "c", "mcp": {}}),
    UnknownPart({"type": "mcp", "id": "c", "name": ["no", "text"]}),
    UnknownPart({"type": "openapi", "id": "c", "openapi": "no object"}),
    UnknownPart({"type": "url_citation"}),
    FunctionToolCall("c", FunctionCall("f")),
    {"type": "mcp", "id": "c"},
    None,
])  # fmt: skip
def test_what_is_none_of_them_is_none(part: object) -> None:
    assert azure_tool_call(part) is None


def test_a_call_without_its_inside_is_one_all_the_same() -> None:
    assert azure_tool_call(UnknownPart({"type": "fabric_dataagent", "id": "c"})) == FabricDataAgentToolCall("c")


@pytest.mark.parametrize("part", [
    UnknownPart({"type": "mcp"}), UnknownPart({"type": "url_citation", "start_index": "soon"}), {"type": "url_citation"},
])  # fmt: skip
def test_what_is_no_citation_of_a_page_is_none(part: object) -> None:
    assert url_citation(part) is None


# -- what an engine may say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [{}, {"type": ""}, {"type": 7}, {"type": "function"}, {"type": "file_search"}])
def test_a_tool_of_another_kind_has_a_type_of_its_own(call: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a type of its own"):
        UseTool(call)


@pytest.mark.parametrize(("first", "then"), [
    (CallTool("f"), AskApproval("g")), (AskApproval("g"), CallTool("f")),
])  # fmt: skip
def test_a_turn_asks_for_leave_or_for_outputs(first: Any, then: Any) -> None:
    bench = Bench()
    bench.hear(first)
    with pytest.raises(ValueError, match="and not for both"):
        bench.hear(then)


def test_a_use_of_another_tool_ends_with_its_step_and_asks_for_nothing() -> None:
    bench = Bench()
    bench.hear(UseTool({"type": "openapi", "id": "c", "openapi": {"output": "o"}}))
    assert bench.finish()[-1] == "thread.run.completed"
    (step,) = bench.steps
    details: Any = step.step_details
    assert details.tool_calls == (UnknownPart({"type": "openapi", "id": "c", "openapi": {"output": "o"}}),)
