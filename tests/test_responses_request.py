"""What is asked of a server of responses: every parameter of a run mapped, or refused by its name; bodies as described."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import NO_SHARED, SHARED
from hypothesis import given
from hypothesis import strategies as st
from responses_site import published
from test_request_schema import METADATA, WORDS

from aiorunstream.backends.responses._input import message_item, message_of
from aiorunstream.backends.responses._modes import InputItem, Memory
from aiorunstream.backends.responses._request import going_on, is_spent, run_body
from aiorunstream.errors import UnsupportedParameterError
from aiorunstream.intake import read_messages, read_params, read_run
from aiorunstream.models import Assistant, Run, TruncationStrategy
from aiorunstream.operations import SEARCH_CONTENT
from aiorunstream.params import AssistantCreateParams, MessageCreateParams, RunCreateParams, ThreadCreateAndRunParams

JSON = dict[str, Any]
FUNCTION: JSON = {"name": "f", "description": "It does.", "parameters": {"type": "object"}, "strict": True}
STORES = {"file_search": {"vector_store_ids": ["vs_1"]}, "code_interpreter": {"file_ids": ["file_1"]}}


def body_of(
    asked: JSON | None = None,
    assistant: JSON | None = None,
    *,
    resources: tuple[object, ...] = (STORES,),
    include: tuple[str, ...] = (),
    replays: bool = False,
) -> JSON:
    """The body for a run with those parameters, of an assistant that was described so."""
    params = read_params(RunCreateParams, {"assistant_id": "asst_1", **(asked or {})})
    definition = read_params(AssistantCreateParams, {"model": "parrot", **(assistant or {})})
    shown = Assistant(
        "asst_1", model=definition.model, instructions=(assistant or {}).get("instructions"), temperature=1.0
    )
    run = read_run(shown, msgspec.structs.replace(params, tools=msgspec.UNSET, tool_choice=msgspec.UNSET))
    return run_body(run, params, definition, resources=resources, include=include, replays=replays)


# -- parameters ------------------------------------------------------------------------------------------------------


def test_what_nobody_has_said_is_not_sent() -> None:
    assert body_of() == {"model": "parrot"}


FIELDS: list[tuple[JSON, JSON]] = [
    ({"model": "other"}, {"model": "other"}),
    ({"temperature": 0}, {"temperature": 0}),
    ({"top_p": 0.5}, {"top_p": 0.5}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
    ({"instructions": "Be brief."}, {"instructions": "Be brief."}),
    ({"additional_instructions": "And kind."}, {"instructions": "And kind."}),
    ({"max_completion_tokens": 300}, {"max_output_tokens": 300}),
    ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    ({"truncation_strategy": {"type": "auto"}}, {"truncation": "auto"}),
    ({"tool_choice": "none"}, {"tool_choice": "none"}),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice": {"type": "function", "name": "f"}}),
    ({"tool_choice": {"type": "file_search"}}, {"tool_choice": {"type": "file_search"}}),
    ({"response_format": "auto"}, {}),
    ({"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
    ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
     {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": False}}}),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "description": "d", "strict": True}}},
     {"text": {"format": {"type": "json_schema", "name": "a", "description": "d", "schema": {}, "strict": True}}}),
    ({"tools": [{"type": "function", "function": FUNCTION}]}, {"tools": [{"type": "function", **FUNCTION}]}),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]},
     {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}]}),
    ({"tools": [{"type": "code_interpreter"}]},
     {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_1"]}}],
      "include": ["code_interpreter_call.outputs"]}),
    ({"tools": [{"type": "file_search", "file_search": {
        "max_num_results": 3, "ranking_options": {"ranker": "auto", "score_threshold": 0.5}}}]},
     {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 3,
                 "ranking_options": {"ranker": "auto", "score_threshold": 0.5}}],
      "include": ["file_search_call.results"]}),
    ({"tools": [{"type": "function", "defer_loading": True, "function": {"name": "f", "x": 1, "description": None}}]},
     {"tools": [{"type": "function", "defer_loading": True, "name": "f", "x": 1,
                 "parameters": {"type": "object", "properties": {}}, "strict": False}]}),
    ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g", "file_ids": ["f"]}}]},
     {"tools": [{"type": "code_interpreter",
                 "container": {"type": "auto", "memory_limit": "4g", "file_ids": ["f", "file_1"]}}],
      "include": ["code_interpreter_call.outputs"]}),
    ({"tools": [{"type": "file_search", "file_search": {
        "filters": {"type": "eq", "key": "a", "value": 1},
        "ranking_options": {"score_threshold": 0.5, "hybrid_search": {"text_weight": 1}}}}]},
     {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"],
                 "filters": {"type": "eq", "key": "a", "value": 1},
                 "ranking_options": {"score_threshold": 0.5, "hybrid_search": {"text_weight": 1}}}],
      "include": ["file_search_call.results"]}),
    ({"tool_choice": {"type": "function", "function": {"name": "f", "x": 1}}},
     {"tool_choice": {"type": "function", "name": "f", "x": 1}}),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "x": 1}}},
     {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "x": 1, "strict": False}}}),
    ({"tools": [{"type": "web_search", "user_location": None}]},
     {"tools": [{"type": "web_search", "user_location": None}]}),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "field"), FIELDS)
def test_a_parameter_becomes_its_field(asked: JSON, field: JSON) -> None:
    assert body_of(asked) == {"model": "parrot", **field}


def test_what_the_assistant_says_counts_where_the_run_says_nothing() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assistant = {"instructions": "Be brief.", "temperature": 0.5, "top_p": 1, "reasoning_effort": "low", "tools": tools}
    found = body_of({"temperature": 1, "additional_instructions": "And kind."}, assistant)
    assert (found["temperature"], found["top_p"], found["reasoning"]) == (1, 1, {"effort": "low"})
    assert found["instructions"] == "Be brief.\nAnd kind."
    assert [tool["name"] for tool in found["tools"]] == ["f"]
    assert "tools" not in body_of({"tools": []}, assistant)
    assert body_of({"temperature": None}, assistant)["temperature"] == 0.5


def test_tools_reach_what_assistant_thread_and_run_name_together() -> None:
    other = {"file_search": {"vector_store_ids": ["vs_2", "vs_1"], "vector_stores": None}}
    (tool,) = body_of({"tools": [{"type": "file_search"}]}, resources=(STORES, None, other))["tools"]
    assert tool["vector_store_ids"] == ["vs_1", "vs_2"]


@pytest.mark.parametrize(("asked", "argument", "instead"), [
    ({"max_prompt_tokens": 300}, "max_prompt_tokens", "truncation_strategy"),
    ({"truncation_strategy": {"type": "last_messages", "last_messages": 3}}, "truncation_strategy", "replay"),
    ({"tools": [{"type": "computer_use_preview"}]}, "tools[0]", "function"),
    ({"tools": [{"type": "file_search", "file_search": {"ranking_options": {"ranker": "default_2024_08_21"}}}]},
     "tools[0].file_search.ranking_options.ranker", "auto"),
])  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name_and_says_what_to_do(asked: JSON, argument: str, instead: str) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        body_of(asked)
    assert caught.value.argument == argument
    assert argument in str(caught.value)
    assert instead in str(caught.value)


def test_a_file_search_without_a_store_or_with_one_to_be_made_is_refused() -> None:
    with pytest.raises(UnsupportedParameterError, match="vector_store_ids"):
        body_of({"tools": [{"type": "file_search"}]}, resources=())
    made = {"file_search": {"vector_stores": [{"file_ids": ["file_1"]}]}}
    with pytest.raises(UnsupportedParameterError, match="vendor"):
        body_of({"tools": [{"type": "file_search"}]}, resources=(made,))


@pytest.mark.parametrize(
    ("resources", "argument"),
    [
        ({"azure_ai_search": {"indexes": []}}, "tool_resources.azure_ai_search"),
        ({"code_interpreter": {"vector_stores": []}}, "tool_resources.code_interpreter.vector_stores"),
        ({"code_interpreter": {"file_ids": [], "data_sources": []}}, "tool_resources.code_interpreter.data_sources"),
    ],
)
def test_what_responses_have_no_place_for_among_the_resources_is_refused_by_name(
    resources: JSON, argument: str
) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        body_of({"tools": [{"type": "code_interpreter"}]}, resources=(STORES, resources))
    assert caught.value.argument == argument


def test_a_container_of_its_own_takes_no_files_of_the_thread() -> None:
    own = {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}
    assert body_of(own, resources=())["tools"] == own["tools"]
    with pytest.raises(UnsupportedParameterError) as caught:
        body_of(own)
    assert caught.value.argument == "tools[0].container"


def test_every_parameter_of_a_run_has_been_thought_of() -> None:
    in_body = {
        "additional_instructions", "instructions", "max_completion_tokens", "metadata", "model", "parallel_tool_calls",
        "reasoning_effort", "response_format", "temperature", "tool_choice", "tools", "top_p", "truncation_strategy",
    }  # fmt: skip
    elsewhere = {
        "assistant_id",
        "additional_messages",
        "include",
        "max_prompt_tokens",
        "stream",
        "thread",
        "tool_resources",
    }
    known = {*RunCreateParams.__struct_fields__, *ThreadCreateAndRunParams.__struct_fields__}
    assert known == in_body | elsewhere


def test_what_is_to_be_included_is_said_in_the_words_of_responses() -> None:
    assert "include" not in body_of(include=(SEARCH_CONTENT,))
    assert body_of(include=("web_search_call.action.sources",))["include"] == ["web_search_call.action.sources"]
    for wrong in ("step_details.tool_calls[*].x", "everything"):
        with pytest.raises(UnsupportedParameterError, match="include"):
            body_of(include=(wrong,))


def test_thoughts_are_asked_for_where_nobody_else_keeps_them() -> None:
    assert "include" not in body_of({"reasoning_effort": "low"})
    assert body_of({"reasoning_effort": "low"}, replays=True)["include"] == ["reasoning.encrypted_content"]


def test_a_run_that_goes_on_has_less_to_spend_and_need_not_call_again() -> None:
    body = body_of({"max_completion_tokens": 300, "tool_choice": "required"})
    assert going_on(body, 100) == {"model": "parrot", "max_output_tokens": 200}
    assert going_on(body, 295)["max_output_tokens"] == 16
    assert (is_spent(body, 299), is_spent(body, 300)) == (False, True)
    assert going_on({"tool_choice": "none"}, 1) == {"tool_choice": "none"}
    assert not is_spent(going_on(body_of(), 10), 1 << 40)


# -- messages --------------------------------------------------------------------------------------------------------


def message(role: str, content: object, **more: object) -> MessageCreateParams:
    return read_messages([{"role": role, "content": content, **more}], "messages")[0]


IMAGES: list[JSON] = [
    {"type": "text", "text": "Look"},
    {"type": "image_file", "image_file": {"file_id": "file_1", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}},
]


def test_messages_become_items() -> None:
    assert message_item(message("user", "Hi")) == {"type": "message", "role": "user", "content": "Hi"}
    assert message_item(message("assistant", IMAGES[:1]))["content"] == "Look"
    assert message_item(message("user", IMAGES))["content"] == [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "file_id": "file_1", "detail": "low"},
        {"type": "input_image", "image_url": "https://a.example/a.png", "detail": "auto"},
    ]


def test_what_no_item_can_hold_is_refused_by_name() -> None:
    attached = message("user", "Hi", attachments=[{"file_id": "file_1", "tools": [{"type": "file_search"}]}])
    with pytest.raises(UnsupportedParameterError, match="vector_store_ids") as caught:
        message_item(attached, "messages[0].")
    assert caught.value.argument == "messages[0].attachments"
    with pytest.raises(UnsupportedParameterError, match="as the user's"):
        message_item(message("assistant", IMAGES))


def test_items_of_a_conversation_are_messages_again() -> None:
    item = {**message_item(message("user", IMAGES)), "id": "msg_1", "status": "completed"}
    found = message_of(item, "conv_1", 5)
    assert found is not None
    assert [part["type"] for part in msgspec.to_builtins(found.content)] == ["text", "image_file", "image_url"]
    assert (found.id, found.role, found.created_at, found.text) == ("msg_1", "user", 5, "Look")
    assert message_of({"type": "message", "role": "developer", "content": "x"}, "conv_1", 5) is None
    assert message_of({"type": "reasoning"}, "conv_1", 5) is None


# -- who remembers ---------------------------------------------------------------------------------------------------

RUN = Run("run_1", thread_id="thread_1")
ASKED = InputItem({"type": "message", "role": "user", "content": "Hi"}, "msg_1")
SAID: JSON = {"type": "message", "id": "msg_2", "role": "assistant", "status": "completed", "content": []}
CALL: JSON = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "f",
    "arguments": "{}",
    "status": "completed",
}
OUTPUT = InputItem({"type": "function_call_output", "call_id": "call_1", "output": "out"})


def test_a_conversation_is_told_only_what_it_does_not_know() -> None:
    memory = Memory([ASKED])
    assert memory.address("conversation", "conv_1", RUN) == {"conversation": "conv_1", "input": [ASKED.item]}
    memory.settle("conversation", [ASKED], [SAID], "resp_1")
    assert memory.address("conversation", "conv_1", RUN) == {"conversation": "conv_1", "input": []}


def test_a_chain_of_responses_goes_on_from_the_last() -> None:
    memory = Memory([ASKED])
    assert memory.address("previous_response_id", "t", RUN) == {"input": [ASKED.item], "store": True}
    memory.settle("previous_response_id", [ASKED], [SAID], "resp_1")
    memory.pending.append(OUTPUT)
    assert memory.address("previous_response_id", "t", RUN) == {
        "previous_response_id": "resp_1",
        "input": [OUTPUT.item],
        "store": True,
    }


def test_what_the_client_remembers_is_sent_whole_and_sound() -> None:
    memory = Memory([ASKED])
    thought: JSON = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    kept: JSON = {**thought, "id": "rs_2", "encrypted_content": "x"}
    memory.settle("replay", [ASKED], [thought, kept, CALL], "resp_1")
    assert memory.address("replay", "t", RUN) == {"input": [ASKED.item], "store": False}, (
        "no call without an answer, and no thoughts without what they led to"
    )
    memory.pending.append(OUTPUT)
    call = {
        name: value for name, value in CALL.items() if name != "id"
    }  # it would lead to the thought that is left out
    assert memory.address("replay", "t", RUN)["input"] == [ASKED.item, kept, call, OUTPUT.item]
    broken: JSON = {**CALL, "call_id": "call_2", "status": "incomplete"}
    memory.settle("replay", [OUTPUT], [broken, SAID], "resp_2")
    assert memory.address("replay", "t", RUN)["input"] == [ASKED.item, kept, call, OUTPUT.item, SAID]


def test_the_last_messages_are_those_and_what_followed_them() -> None:
    memory = Memory([], [ASKED, InputItem(SAID), ASKED, InputItem(CALL), OUTPUT, InputItem(SAID)])
    for last, left in ((1, 1), (2, 4), (3, 5), (9, 6)):
        run = msgspec.structs.replace(RUN, truncation_strategy=TruncationStrategy("last_messages", last))
        items = memory.address("replay", "t", run)["input"]
        assert isinstance(items, list)
        assert len(items) == left  # pyright: ignore[reportUnknownArgumentType]


def test_a_message_can_be_forgotten() -> None:
    memory = Memory([ASKED])
    assert memory.forget("msg_1")
    assert not memory.forget("msg_1")
    memory.settle("replay", [], [SAID], None)
    assert memory.forget("msg_2")


# -- as described ----------------------------------------------------------------------------------------------------

TOOL: st.SearchStrategy[Any] = st.sampled_from([
    {"type": "function", "function": FUNCTION},
    {"type": "function", "function": {"name": "g"}},
    {"type": "code_interpreter"},
    {"type": "file_search"},
    {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": {"score_threshold": 0.5}}},
    {"type": "web_search"},
])  # fmt: skip
FORMAT: st.SearchStrategy[Any] = st.sampled_from([
    "auto",
    {"type": "text"},
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": None}},
])  # fmt: skip
ASKS: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional={
    "model": WORDS,
    "instructions": st.none() | st.text(max_size=5),
    "additional_instructions": st.none() | st.text(max_size=5),
    "temperature": st.none() | st.floats(0, 2),
    "top_p": st.none() | st.floats(0, 1),
    "metadata": METADATA,
    "max_completion_tokens": st.none() | st.integers(256, 1 << 20),
    "parallel_tool_calls": st.booleans(),
    "reasoning_effort": st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "response_format": st.none() | FORMAT,
    "tool_choice": st.sampled_from([None, "none", "auto", "required", {"type": "function", "function": {"name": "f"}}]),
    "tools": st.none() | st.lists(TOOL, max_size=3),
    "truncation_strategy": st.sampled_from([None, {"type": "auto"}]),
})  # fmt: skip
CONTENT = WORDS | st.lists(st.sampled_from(IMAGES), min_size=1, max_size=3)
MESSAGES = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), CONTENT), max_size=3)


@pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
@given(ASKS, ASKS, MESSAGES, st.sampled_from(["conversation", "previous_response_id", "replay"]), st.integers(0, 400))
def test_every_body_is_as_described(asked: JSON, assistant: JSON, messages: Any, mode: Any, spent: int) -> None:
    described = published(Path(SHARED))
    of_assistant = ("instructions", "temperature", "top_p", "reasoning_effort", "response_format", "tools")
    known = {name: value for name, value in assistant.items() if name in of_assistant and value is not None}
    body = body_of(asked, known, replays=mode == "replay")
    items = [
        InputItem(message_item(message(role, content)))
        for role, content in messages
        if role == "user" or isinstance(content, str)
    ]
    memory = Memory([*items, InputItem(CALL), OUTPUT], [InputItem(SAID)], "resp_1")
    stream = {"stream": True, "stream_options": {"include_obfuscation": False}, "background": True}
    for one in (body, going_on(body, spent)):
        whole = {**one, **memory.address(mode, "conv_1", RUN), **stream}
        described.check(
            msgspec.json.decode(msgspec.json.encode(whole)), {"$ref": "#/components/schemas/CreateResponse"}
        )
