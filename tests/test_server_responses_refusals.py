"""What `/v1/responses` and `/v1/conversations` refuse, and in which words."""

import pytest
from responses_site import FUNCTION, created
from server_client import JSON, serving

from aiorunstream.server import CallTool, ScriptedEngine

BODY: JSON = {"model": "parrot", "input": "Hello"}
NESTED: JSON = {"type": "function", "function": {"name": "f"}}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}


REFUSED: list[tuple[JSON, str, str | None]] = [
    ({"surprise": 1}, "surprise", "unknown_parameter"),
    ({"model": 1}, "model", "invalid_value"),
    ({"input": 1}, "input", "invalid_value"),
    ({"input": None}, "input", "missing_required_parameter"),
    ({"temperature": 3}, "temperature", "invalid_value"),
    ({"max_output_tokens": 15}, "max_output_tokens", "invalid_value"),
    ({"metadata": {"a": 1}}, "metadata[...]", "invalid_value"),
    ({"include": ["everything"]}, "include[0]", "invalid_value"),
    ({"store": "yes"}, "store", "invalid_value"),
    ({"stream": "yes"}, "stream", None),
    ({"truncation": "last"}, "truncation", "invalid_value"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
    ({"background": True, "store": False}, "background", "invalid_value"),
    ({"conversation": "conv_1", "previous_response_id": "x"}, "conversation", "mutually_exclusive_parameters"),
    ({"previous_response_id": "resp_x"}, "previous_response_id", "previous_response_not_found"),
    ({"tools": [NESTED]}, "tools[0].name", "missing_required_parameter"),
    ({"tools": [{**FUNCTION, "name": "a b"}]}, "tools[0].name", None),
    ({"tools": [{**FUNCTION, "parameters": []}]}, "tools[0].parameters", "invalid_type"),
    ({"tools": [{"type": "crystal_ball"}]}, "tools[0].type", "invalid_value"),
    ({"tools": [{}]}, "tools[0].type", "missing_required_parameter"),
    ({"tools": [{"type": "code_interpreter"}]}, "tools[0].container", "missing_required_parameter"),
    ({"tools": [{"type": "file_search"}]}, "tools[0].vector_store_ids", "missing_required_parameter"),
    ({"tool_choice": "all"}, "tool_choice", "invalid_value"),
    ({"tool_choice": NESTED}, "tool_choice.name", "missing_required_parameter"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", None),
    ({"tool_choice": {"type": "crystal_ball"}}, "tool_choice.type", "invalid_value"),
    ({"text": {"format": {"type": "yaml"}}}, "text.format.type", "invalid_value"),
    ({"text": {"format": "text"}}, "text.format", "invalid_type"),
    (
        {"text": {"format": {"type": "json_schema", "json_schema": {"name": "a"}}}},
        "text.format.name",
        "missing_required_parameter",
    ),
    (
        {"text": {"format": {"type": "json_schema", "name": "a"}}},
        "text.format.schema",
        "missing_required_parameter",
    ),
    ({"input": [{"content": "?"}]}, "input[0].type", "missing_required_parameter"),
    ({"input": [{"type": "thought"}]}, "input[0].type", "invalid_value"),
    ({"input": [{"role": 7, "content": "?"}]}, "input[0].role", "invalid_type"),
    ({"input": [{"role": "owl", "content": "?"}]}, "input[0].role", "invalid_value"),
    ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
    ({"input": [{"role": "user", "content": ["?"]}]}, "input[0].content[0]", "invalid_type"),
    (
        {"input": [{"role": "user", "content": [{"type": "output_text", "text": "?"}]}]},
        "input[0].content[0].type",
        "invalid_value",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "input[0].content[0].image_url",
        "missing_required_parameter",
    ),
    ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id", "missing_required_parameter"),
    ({"input": [{**OUTPUT, "output": None}]}, "input[0].output", "missing_required_parameter"),
    ({"input": [{**OUTPUT, "output": [{"type": "text"}]}]}, "input[0].output[0].type", "invalid_value"),
    ({"input": [OUTPUT]}, "input", None),
    (
        {"input": [{"type": "mcp_approval_response", "request_id": "mcpr_1", "approve": True}]},
        "input[0].approval_request_id",
        "missing_required_parameter",
    ),
    (
        {"input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1"}]},
        "input[0].approve",
        "missing_required_parameter",
    ),
    (
        {"input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": "yes"}]},
        "input[0].approve",
        "invalid_type",
    ),
]


@pytest.mark.parametrize(("changes", "param", "code"), REFUSED)
async def test_a_request_that_cannot_be_meant_is_refused_by_the_name_of_its_part(
    changes: JSON, param: str, code: str | None
) -> None:
    async with serving() as (_, http):
        status, error = await http.refused("POST", "/responses", {**BODY, **changes})
        assert (status, error["param"], error["code"]) == (400, param, code)
        assert error["type"] == "invalid_request_error"


async def test_a_call_without_its_output_is_told_by_its_id() -> None:
    async with serving(engine=ScriptedEngine([[CallTool("f", id="call_1"), CallTool("f", id="call_2")]])) as (_, http):
        first = await created(http, input="Hello")
        body = {**BODY, "previous_response_id": first["id"]}
        status, error = await http.refused("POST", "/responses", body)
        told = "No tool output found for function call call_1."
        assert (status, error["message"], error["param"]) == (400, told, "input")
        _, error = await http.refused("POST", "/responses", {**body, "input": [OUTPUT]})
        assert error["message"] == "No tool output found for function call call_2."
        _, error = await http.refused("POST", "/responses", {**BODY, "input": [OUTPUT]})
        assert error["message"] == "No tool call found for function call output with call_id call_1."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/responses/resp_x"),
        ("DELETE", "/responses/resp_x"),
        ("POST", "/responses/resp_x/cancel"),
        ("GET", "/responses/resp_x/input_items"),
        ("GET", "/responses/resp_x?stream=true"),
        ("GET", "/conversations/conv_x"),
        ("POST", "/conversations/conv_x"),
        ("DELETE", "/conversations/conv_x"),
        ("POST", "/conversations/conv_x/items"),
        ("GET", "/conversations/conv_x/items"),
        ("GET", "/conversations/conv_x/items/msg_x"),
        ("DELETE", "/conversations/conv_x/items/msg_x"),
    ],
)
async def test_what_is_not_there_is_not_found(method: str, path: str) -> None:
    bodies: dict[str, JSON] = {"/conversations/conv_x": {"metadata": {}}, "/conversations/conv_x/items": {"items": []}}
    async with serving() as (_, http):
        body = bodies.get(path, {}) if method == "POST" else None
        status, error = await http.refused(method, path, body)
        assert (status, error["code"]) == (404, None)


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "/conversations", {"items": [{"role": "user", "content": "?"}] * 21}, "items"),
        ("POST", "/conversations", {"surprise": 1}, "surprise"),
        ("POST", "/conversations", {"metadata": {"a": "b" * 513}}, "metadata[...]"),
        ("POST", "/conversations/{}", {}, "metadata"),
        ("POST", "/conversations/{}/items", {}, "items"),
        ("POST", "/conversations/{}/items", {"items": [{"type": "thought"}]}, "items[0].type"),
        ("GET", "/conversations/{}/items?limit=101", None, "limit"),
        ("GET", "/conversations/{}/items?order=up", None, "order"),
        ("GET", "/conversations/{}/items?after=msg_x", None, "after"),
        ("GET", "/conversations/{}/items?include=everything", None, "include"),
        ("GET", "/responses/x?stream=maybe", None, "stream"),
    ],
)
async def test_a_wrong_request_for_a_conversation_is_refused_by_the_name_of_its_part(
    method: str, path: str, body: JSON | None, param: str
) -> None:
    async with serving() as (_, http):
        made = await http.post("/conversations")
        status, error = await http.refused(method, path.format(made["id"]), body)
        assert (status, error["param"]) == (400, param)


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "٣", "9" * 20])
async def test_a_place_to_start_after_is_a_number(value: str) -> None:
    async with serving() as (_, http):
        response = await created(http, **BODY, background=True)
        path = f"/responses/{response['id']}?stream=true&starting_after={value}"
        status, error = await http.refused("GET", path)
        assert (status, error["param"]) == (400, "starting_after")


async def test_an_item_that_is_referred_to_must_be_there() -> None:
    async with serving() as (_, http):
        body = {**BODY, "input": [{"type": "item_reference", "id": "msg_x"}]}
        status, error = await http.refused("POST", "/responses", body)
        assert (status, error["message"]) == (404, "Item with id 'msg_x' not found.")


async def test_a_response_that_is_not_over_cannot_be_gone_on() -> None:
    async with serving(delay=10) as (_, http):
        first = await created(http, **BODY, background=True)
        status, error = await http.refused("POST", "/responses", {**BODY, "previous_response_id": first["id"]})
        assert (status, error["param"]) == (400, "previous_response_id")
