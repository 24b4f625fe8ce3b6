"""Every request the client can build is one that the protocol's published description allows."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiorunstream.json_writing import encode_body
from aiorunstream.models import (
    AssistantToolChoice,
    AssistantToolChoiceFunction,
    Attachment,
    CodeInterpreterTool,
    FileSearchOptions,
    FileSearchRankingOptions,
    FileSearchTool,
    FunctionDefinition,
    FunctionTool,
    ImageFile,
    ImageFileContentBlock,
    ImageURL,
    ImageURLContentBlock,
    JSONSchema,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
    TruncationStrategy,
)
from aiorunstream.params import (
    AssistantCreateParams,
    AssistantUpdateParams,
    MessageCreateParams,
    MessageUpdateParams,
    Params,
    RunCreateParams,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    TextContentBlockParam,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ThreadUpdateParams,
    ToolOutput,
)

jsonschema: Any = pytest.importorskip("jsonschema")

DESCRIPTION = Path(__file__).parents[2] / "shared" / "wire" / "openapi-assistants.nullfix.json"

pytestmark = pytest.mark.skipif(not DESCRIPTION.is_file(), reason="the published description is not in this checkout")

SCHEMAS: dict[type[Params], str] = {
    AssistantCreateParams: "CreateAssistantRequest",
    AssistantUpdateParams: "ModifyAssistantRequest",
    MessageCreateParams: "CreateMessageRequest",
    MessageUpdateParams: "ModifyMessageRequest",
    RunCreateParams: "CreateRunRequest",
    RunUpdateParams: "ModifyRunRequest",
    RunSubmitToolOutputsParams: "SubmitToolOutputsRunRequest",
    ThreadCreateParams: "CreateThreadRequest",
    ThreadCreateAndRunParams: "CreateThreadAndRunRequest",
    ThreadUpdateParams: "ModifyThreadRequest",
}

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
METADATA = st.none() | st.dictionaries(WORDS, WORDS, max_size=3)
FUNCTIONS = st.builds(
    FunctionDefinition,
    name=st.just("look_up"),
    description=st.none() | WORDS,
    parameters=st.none() | st.just({"type": "object"}),
    strict=st.none() | st.booleans(),
)
SEARCHES = st.builds(
    FileSearchOptions,
    max_num_results=st.none() | st.integers(1, 50),
    ranking_options=st.none() | st.builds(FileSearchRankingOptions, score_threshold=st.floats(0, 1)),
)
TOOLS = st.lists(
    st.builds(FunctionTool, function=FUNCTIONS)
    | st.builds(CodeInterpreterTool)
    | st.builds(FileSearchTool, file_search=st.none() | SEARCHES),
    max_size=4,
)
PARTS = (
    st.builds(TextContentBlockParam, text=WORDS)
    | st.builds(
        ImageFileContentBlock, image_file=st.builds(ImageFile, file_id=WORDS, detail=st.sampled_from([None, "low"]))
    )
    | st.builds(ImageURLContentBlock, image_url=st.builds(ImageURL, url=st.just("http://127.0.0.1/a.png")))
)
ATTACHMENTS = st.lists(
    st.builds(Attachment, file_id=WORDS, tools=st.sampled_from([(CodeInterpreterTool(),), (FileSearchTool(),)])),
    max_size=2,
)
MESSAGES = st.builds(
    MessageCreateParams,
    role=st.sampled_from(["user", "assistant"]),
    content=WORDS | st.lists(PARTS, min_size=1, max_size=3),
    attachments=st.none() | ATTACHMENTS,
    metadata=METADATA,
)
RESOURCES = st.none() | st.just({"code_interpreter": {"file_ids": ["file_1"]}})
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "assistant_id": WORDS,
    "model": WORDS,
    "name": st.none() | WORDS,
    "description": st.none() | WORDS,
    "instructions": st.none() | WORDS,
    "additional_instructions": st.none() | WORDS,
    "additional_messages": st.none() | st.lists(MESSAGES, max_size=2),
    "messages": st.lists(MESSAGES, max_size=2),
    "role": st.sampled_from(["user", "assistant"]),
    "content": WORDS | st.lists(PARTS, min_size=1, max_size=3),
    "attachments": st.none() | ATTACHMENTS,
    "metadata": METADATA,
    "max_completion_tokens": st.none() | st.integers(256, 10**6),
    "max_prompt_tokens": st.none() | st.integers(256, 10**6),
    "parallel_tool_calls": st.booleans(),
    "reasoning_effort": st.sampled_from([None, "low", "high"]),
    "response_format": st.sampled_from(
        [
            None,
            "auto",
            ResponseFormatText(),
            ResponseFormatJSONObject(),
            ResponseFormatJSONSchema(json_schema=JSONSchema(name="answer", schema={"type": "object"}, strict=True)),
        ]
    ),
    "temperature": st.none() | st.floats(0, 2),
    "top_p": st.none() | st.floats(0, 1),
    "thread": st.builds(ThreadCreateParams, messages=st.lists(MESSAGES, max_size=2), metadata=METADATA),
    "tool_choice": st.sampled_from(
        [None, "auto", "required", AssistantToolChoice("function", AssistantToolChoiceFunction("look_up"))]
    ),
    "tool_resources": RESOURCES,
    "tools": TOOLS,
    "tool_outputs": st.lists(st.builds(ToolOutput, tool_call_id=WORDS, output=st.text(max_size=5)), max_size=3),
    "truncation_strategy": st.sampled_from(
        [None, TruncationStrategy(), TruncationStrategy(type="last_messages", last_messages=3)]
    ),
    "include": st.lists(WORDS, max_size=1),
    "stream": st.booleans(),
}


@cache
def validator(schema: str) -> Any:
    document = json.loads(DESCRIPTION.read_text("utf-8"))
    reference = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return jsonschema.Draft202012Validator(reference)


def complaints(schema: str, body: object) -> Iterator[str]:
    for error in validator(schema).iter_errors(body):
        yield f"{error.json_path}: {error.message}"


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_whatever_the_parameters_the_body_is_allowed(kind: type[Params], data: st.DataObject) -> None:
    required = {
        "assistant_id",
        "role",
        "content",
        "tool_outputs",
        *(("model",) if kind is AssistantCreateParams else ()),
    }
    given_names = [
        name for name in kind.__struct_fields__ if name in required or data.draw(st.booleans(), label=f"give {name}")
    ]
    params = kind(**{name: data.draw(VALUES[name], label=name) for name in given_names})
    body = json.loads(encode_body(params.body()))
    assert list(complaints(SCHEMAS[kind], body)) == []
    assert set(body) == {name for name in given_names if name != "include"}


def test_the_check_can_fail() -> None:
    assert list(complaints("CreateRunRequest", {"assistant_id": 1}))
    assert list(complaints("CreateRunRequest", {"assistant_id": "a", "include": []}))
