"""Requests as data: what is checked before sending, what is left out, and what the body says. Also the checks themselves."""

import json
from collections.abc import Callable
from types import MappingProxyType
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from aiorunstream import checks, params
from aiorunstream.errors import AiorunstreamError, InvalidArgumentError
from aiorunstream.json_writing import encode_body
from aiorunstream.models import FunctionDefinition, FunctionTool, ImageURL, ImageURLContentBlock, TruncationStrategy
from aiorunstream.params import (
    AssistantCreateParams,
    AssistantUpdateParams,
    MessageContentParam,
    MessageCreateParams,
    Params,
    RunCreateParams,
    RunSubmitToolOutputsParams,
    TextContentBlockParam,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ToolOutput,
)

Make = Callable[..., Params]
ALL = [
    kind for kind in vars(params).values() if isinstance(kind, type) and issubclass(kind, Params) and kind is not Params
]
NEEDED: dict[str, object] = {"assistant_id": "asst_1", "model": "m", "role": "user", "content": "x", "tool_outputs": []}


def made(kind: type[Params], **fields: object) -> Params:
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    needed = {name: NEEDED[name] for name in required if name not in fields}
    return cast(Make, kind)(**needed, **fields)


def sent(given: Params) -> object:
    return json.loads(encode_body(given.body()))


# -- left out, null, and a value ---------------------------------------------------------------------------------------


def test_what_is_left_out_is_not_sent_and_none_is_null() -> None:
    assert sent(RunCreateParams(assistant_id="asst_1")) == {"assistant_id": "asst_1"}
    given_none = RunCreateParams(assistant_id="asst_1", temperature=None, stream=False, tools=(), instructions="")
    assert sent(given_none) == {
        "assistant_id": "asst_1", "instructions": "", "temperature": None, "tools": [], "stream": False,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_every_parameter_can_be_left_out_and_every_one_but_the_needed_starts_so(kind: type[Params]) -> None:
    body = made(kind).body()
    assert set(body) == {field.name for field in msgspec.structs.fields(kind) if field.required}
    assert UNSET not in body.values()


@pytest.mark.parametrize("kind", ALL)
def test_every_parameter_has_a_check_or_is_unchecked_on_purpose(kind: type[Params]) -> None:
    assert set(kind.__struct_fields__) == set(kind._checks)


def test_include_is_not_in_the_body() -> None:
    given = RunCreateParams(assistant_id="asst_1", include=["a", "b"])
    assert sent(given) == {"assistant_id": "asst_1"}


def test_every_parameter_of_a_run_reaches_the_body() -> None:
    tool = FunctionTool(FunctionDefinition(name="f"))
    given = RunCreateParams(
        assistant_id="asst_1", additional_instructions="more", instructions="do", model="m",
        additional_messages=[MessageCreateParams(role="user", content="hi"), {"role": "user", "content": "yo"}],
        max_completion_tokens=256, max_prompt_tokens=None, metadata={"a": "b"}, parallel_tool_calls=False,
        reasoning_effort="low", response_format={"type": "json_object"}, stream=True, temperature=0, tool_choice="auto",
        tools=[tool, {"type": "later"}], top_p=1.0, truncation_strategy=TruncationStrategy("last_messages", 3),
    )  # fmt: skip
    assert sent(given) == {
        "assistant_id": "asst_1", "additional_instructions": "more", "instructions": "do", "model": "m",
        "additional_messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "yo"}],
        "max_completion_tokens": 256, "max_prompt_tokens": None, "metadata": {"a": "b"}, "parallel_tool_calls": False,
        "reasoning_effort": "low", "response_format": {"type": "json_object"}, "stream": True, "temperature": 0,
        "tool_choice": "auto", "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "later"}], "top_p": 1.0,
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
    }  # fmt: skip


def test_the_parts_of_a_message_are_structs_or_dicts() -> None:
    content: list[MessageContentParam] = [
        TextContentBlockParam("hi"),
        ImageURLContentBlock(ImageURL("http://a")),
        {"type": "text", "text": "x"},
    ]
    assert sent(MessageCreateParams(role="user", content=content)) == {
        "role": "user",
        "content": [
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": "http://a"}},
            {"type": "text", "text": "x"},
        ],
    }


def test_nested_parameters_leave_out_what_was_not_given() -> None:
    thread = ThreadCreateParams(messages=[MessageCreateParams(role="user", content="x")])
    given = ThreadCreateAndRunParams(assistant_id="a", thread=thread)
    assert sent(given) == {"assistant_id": "a", "thread": {"messages": [{"role": "user", "content": "x"}]}}
    outputs = RunSubmitToolOutputsParams(tool_outputs=[ToolOutput(tool_call_id="c", output="o")], stream=True)
    assert sent(outputs) == {"tool_outputs": [{"tool_call_id": "c", "output": "o"}], "stream": True}


# -- limits ------------------------------------------------------------------------------------------------------------

PAIRS_16 = {str(n): "v" for n in range(16)}


RUN_LIMITS: list[tuple[str, list[object], list[object]]] = [
    ("assistant_id", ["a", "x y"], ["", None, 5, b"a"]),
    ("temperature", [0, 2, 0.0, 1.5, None], [-0.001, 2.001, "1", True, float("nan"), float("inf"), []]),
    ("top_p", [0, 1, 0.5, None], [-1, 1.0001, "1", False, float("nan")]),
    ("max_completion_tokens", [256, 10**9, None], [255, 0, -1, 256.0, "256", True]),
    ("max_prompt_tokens", [256, None], [255, 300.5]),
    ("metadata", [{}, PAIRS_16, {"k" * 64: "v" * 512}, None],
     [{**PAIRS_16, "more": "v"}, {"k" * 65: "v"}, {"k": "v" * 513}, {"k": 5}, {5: "v"}, {"k": None}, [], "x"]),
    ("tools", [[], [{}] * 20, ({},), None], [[{}] * 21, {}, "x", ["x"], [None], 5, b"x"]),
    ("tool_choice", ["auto", {"type": "function"}, None], [5, ["auto"]]),
    ("response_format", ["auto", {"type": "text"}, None], [5, []]),
    ("instructions", ["", "x" * 300_000, None], [5, b"x", ["x"]]),
    ("additional_messages", [[], [{"role": "user", "content": "x"}], None], ["x", [5], {}]),
    ("parallel_tool_calls", [True, False], [None, 1, "true"]),
    ("stream", [True, False], [None, 1, "true"]),
    ("include", [[], ["a"], ("a", "b")], ["a", [5], None, {"a": 1}]),
    ("truncation_strategy", [{"type": "auto"}, None], ["auto", []]),
    ("reasoning_effort", ["low", "later", None], [5]),
    ("model", ["m", None], [5]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "bad"), RUN_LIMITS)
def test_a_limit_of_a_run_holds_at_its_edge_and_the_error_names_the_parameter(
    name: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        body = made(RunCreateParams, **{name: value}).body()
        assert name == "include" or body[name] == value
    for value in bad:
        with pytest.raises(InvalidArgumentError) as caught:
            made(RunCreateParams, **{name: value})
        assert str(caught.value).startswith(name), value
        assert caught.value.argument is not None
        assert caught.value.argument.startswith(name)
        assert isinstance(caught.value, ValueError)
        assert len(str(caught.value)) < 250


OTHER_LIMITS: list[tuple[type[Params], str, list[object], list[object]]] = [
    (AssistantCreateParams, "name", ["n" * 256, None], ["n" * 257]),
    (AssistantCreateParams, "description", ["n" * 512, None], ["n" * 513]),
    (AssistantCreateParams, "instructions", ["n" * 256_000, None], ["n" * 256_001]),
    (AssistantCreateParams, "tools", [[{}] * 128], [[{}] * 129, None]),
    (AssistantCreateParams, "model", ["m"], ["", None, 5]),
    (AssistantUpdateParams, "model", ["m"], ["", None, 5]),
    (MessageCreateParams, "content", ["", "x", [{}]], [[], 5, None, [5], {}]),
    (MessageCreateParams, "role", ["user", "later"], ["", None]),
    (MessageCreateParams, "attachments", [None, [{}]], ["x", [1]]),
    (ThreadCreateParams, "messages", [[], [{}]], [None, "x"]),
    (ThreadCreateAndRunParams, "thread", [{}], [None, "x", []]),
    (ThreadCreateAndRunParams, "temperature", [2], [2.1]),
    (RunSubmitToolOutputsParams, "tool_outputs", [[], [{}]], [None, "x", {}]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "good", "bad"), OTHER_LIMITS)
def test_the_other_requests_have_limits_too(
    kind: type[Params], name: str, good: list[object], bad: list[object]
) -> None:
    for value in good:
        assert made(kind, **{name: value}).body()[name] == value
    for value in bad:
        with pytest.raises(InvalidArgumentError, match=rf"^{name}"):
            made(kind, **{name: value})


@pytest.mark.parametrize("kind", [kind for kind in ALL if "metadata" in kind.__struct_fields__])
def test_metadata_is_checked_wherever_it_is_sent(kind: type[Params]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^metadata"):
        made(kind, metadata={**PAIRS_16, "more": "v"})


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(TypeError, match="temprature"):
        made(RunCreateParams, temprature=1)


def test_an_element_that_is_wrong_is_named_by_its_place() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        made(RunCreateParams, tools=[{"type": "x"}, "x"])
    assert caught.value.argument == "tools[1]"


def test_parameters_cannot_be_changed_past_their_check() -> None:
    given = RunCreateParams(assistant_id="a")
    with pytest.raises(AttributeError):
        given.temperature = 9  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(InvalidArgumentError):
        msgspec.structs.replace(given, temperature=9)


# -- the body as JSON --------------------------------------------------------------------------------------------------

CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("value", [object(), {1j}, "\ud800", CIRCLE, {"a": [object()]}, {("a", "b"): 1}])
def test_what_has_no_json_is_named_and_not_quoted(value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        encode_body({"model": "m", "metadata": value})
    assert caught.value.argument == "metadata"
    assert str(caught.value) == "metadata cannot be written as JSON"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_a_number_without_json_is_refused_and_never_sent_as_null(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^response_format"):
        encode_body({"response_format": value})


def test_any_mapping_that_was_accepted_can_be_sent() -> None:
    given = RunCreateParams(assistant_id="a", metadata=cast("dict[str, str]", MappingProxyType({"k": "v"})))
    assert sent(given) == {"assistant_id": "a", "metadata": {"k": "v"}}
    nested = RunCreateParams(assistant_id="a", response_format=MappingProxyType({"type": "text"}))
    assert sent(nested) == {"assistant_id": "a", "response_format": {"type": "text"}}


def test_true_is_no_number() -> None:
    for check in (checks.integer(0), checks.number(0, 2)):
        check("n", 1)
        with pytest.raises(InvalidArgumentError):
            check("n", True)


# -- ids and headers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "quoted"), [
    ("run_1", "run_1"), ("a.b-c~d", "a.b-c~d"), ("...", "..."), ("a:b@c", "a%3Ab%40c"), ("a&b=c;d", "a%26b%3Dc%3Bd"),
    ("x" * 512, "x" * 512), ("!", "%21"), ("65f0c0ffee", "65f0c0ffee"), ('"', "%22"),
])  # fmt: skip
def test_an_id_becomes_one_path_segment(value: str, quoted: str) -> None:
    assert checks.path_id("run_id", value) == quoted


@pytest.mark.parametrize("value", [
    "", ".", "..", "/", "a/b", "a\\b", "a?b", "a#b", "a%2Fb", "%2e%2e", " ", "a b", "a\n", "\r\n", "\0", "\x7f", "é", "\u2028",
    "x" * 513, None, 5, b"run_1", ["run_1"],
])  # fmt: skip
def test_an_id_that_could_change_the_path_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.path_id("run_id", value)
    assert caught.value.argument == "run_id"
    assert str(caught.value).startswith("run_id must be ")
    assert len(str(caught.value)) < 250


@given(value=st.text(max_size=30))
def test_an_id_is_quoted_to_harmless_characters_or_refused(value: str) -> None:
    try:
        quoted = checks.path_id("id", value)
    except InvalidArgumentError:
        return
    assert quoted
    assert quoted not in (".", "..")
    assert not set(quoted) & set("/\\?#\r\n ")


@pytest.mark.parametrize("value", ["sk-1", "a b", "~!@", "x" * 9000])
def test_a_header_value_of_visible_ascii_is_fine(value: str) -> None:
    assert checks.header_value("api_key", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " sk-planted",
        "sk-planted\n",
        "sk-\r\nplanted",
        "sk-\0planted",
        "sk-plantéd",
        "\tsk",
        None,
        b"sk-planted",
    ],
)
def test_a_header_value_that_could_forge_a_header_is_refused_and_never_quoted(value: object) -> None:
    with pytest.raises(AiorunstreamError) as caught:
        checks.header_value("api_key", value)
    assert "api_key" in str(caught.value)
    assert "plant" not in str(caught.value)
    assert "plant" not in repr(caught.value)
