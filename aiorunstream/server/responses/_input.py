"""The items of a response's input, made into what is kept and listed: each with an id, a status and content in parts.

Everything here raises `StoreError` for an item that cannot be meant. Items of tools that this server does not have are
taken as they come: whoever replays what another server said must not fail here.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from ...intake import StoreError, invalid
from ...models import JSONObject
from ._requests import missing, text_at, unknown_type

_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "code_interpreter_call": "ci",
    "file_search_call": "fs",
    "reasoning": "rs",
    "web_search_call": "ws",
    "mcp_call": "mcp",
    "image_generation_call": "ig",
}
_OTHERS = """apply_patch_call apply_patch_call_output compaction computer_call computer_call_output custom_tool_call
custom_tool_call_output local_shell_call local_shell_call_output mcp_approval_request mcp_approval_response
mcp_list_tools shell_call shell_call_output tool_search_call tool_search_output"""
_REFERENCE = "item_reference"
_TYPES = frozenset(_PREFIXES) | frozenset(_OTHERS.split()) | {_REFERENCE}
_ROLES = frozenset({"user", "assistant", "system", "developer"})
_INPUT_PARTS = frozenset({"input_text", "input_image", "input_file"})
_OUTPUT_PARTS = frozenset({"output_text", "refusal"})

NewId = Callable[[str], str]
Find = Callable[[str], JSONObject | None]


def read_input(
    value: str | list[JSONObject] | None, new_id: NewId, find: Find, where: str = "input"
) -> list[JSONObject]:
    """The items of an input; plain text is a message of the user. `find` looks up items that are referred to."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    return [_read_item(item, new_id, find, f"{where}[{place}]") for place, item in enumerate(value or [])]


def _read_item(item: JSONObject, new_id: NewId, find: Find, where: str) -> JSONObject:
    # Messages may leave their type out, and so may references.
    kind = item.get("type") or ("message" if "role" in item else _REFERENCE if set(item) == {"id"} else None)
    if not isinstance(kind, str):
        raise missing(f"{where}.type")
    if kind not in _TYPES:
        raise unknown_type(kind, f"{where}.type", _TYPES)
    if kind == _REFERENCE:
        id = text_at(item, "id", where)
        if (found := find(id)) is None:
            raise StoreError("not_found", f"Item with id '{id:.128}' not found.", param=where)
        return found
    given = item.get("id")
    kept: JSONObject = {
        **item,
        "type": kind,
        "id": given if isinstance(given, str) and given else new_id(_PREFIXES.get(kind, "it")),
    }
    match kind:
        case "message":
            return {"status": "completed", **kept, **_read_message(item, where)}
        case "function_call":
            for name in ("call_id", "name", "arguments"):
                text_at(item, name, where)
            return {**kept, "status": item.get("status") or "completed"}
        case "function_call_output":
            text_at(item, "call_id", where)
            _check_output(item, where)
            return {**kept, "status": item.get("status") or "completed"}
        case "mcp_approval_response":
            text_at(item, "approval_request_id", where)
            _check_decision(item, where)
            return kept
        case _:
            return kept


def _read_message(item: JSONObject, where: str) -> JSONObject:
    role = text_at(item, "role", where)
    if role not in _ROLES:
        raise unknown_type(role, f"{where}.role", _ROLES)
    content = item.get("content")
    if isinstance(content, str):
        plain: JSONObject = {"type": "output_text" if role == "assistant" else "input_text", "text": content}
        content = [plain]
    if not isinstance(content, list):
        raise missing(f"{where}.content")
    allowed = _OUTPUT_PARTS if role == "assistant" else _INPUT_PARTS
    parts = [
        _read_part(part, allowed, f"{where}.content[{place}]")
        for place, part in enumerate(cast("list[object]", content))
    ]
    return {"role": role, "content": parts}


def _read_part(part: object, allowed: frozenset[str], where: str) -> JSONObject:
    if not isinstance(part, dict):
        raise invalid(f"Invalid type for '{where}': expected an object.", where, code="invalid_type")
    kept = cast("JSONObject", part)
    kind = text_at(kept, "type", where)
    if kind not in allowed:
        raise unknown_type(kind, f"{where}.type", allowed)
    match kind:
        case "input_text":
            text_at(kept, "text", where)
        case "output_text":
            text_at(kept, "text", where)
            return {"annotations": [], "logprobs": [], **kept}
        case "refusal":
            text_at(kept, "refusal", where)
        case "input_image":
            if not kept.get("image_url") and not kept.get("file_id"):
                raise missing(f"{where}.image_url")
            return {"detail": "auto", "file_id": None, "image_url": None, **kept}
        case _:  # input_file
            pass
    return kept


def _check_output(item: JSONObject, where: str) -> None:
    output = item.get("output")
    if isinstance(output, str):
        return
    if not isinstance(output, list):
        raise missing(f"{where}.output")
    for place, part in enumerate(cast("list[object]", output)):
        _read_part(part, _INPUT_PARTS, f"{where}.output[{place}]")


def _check_decision(item: JSONObject, where: str) -> None:
    if item.get("approve") is None:
        raise missing(f"{where}.approve")
    if not isinstance(item["approve"], bool):
        raise invalid(
            f"Invalid type for '{where}.approve': expected a boolean.", f"{where}.approve", code="invalid_type"
        )


def check_calls(items: Sequence[JSONObject]) -> None:
    """Looks whether each call of a function in a conversation has its output, and each output its call."""
    called = _ids(item for item in items if item["type"] == "function_call" and item.get("status") != "incomplete")
    known = _ids(item for item in items if item["type"] == "function_call")
    answered = _ids(item for item in items if item["type"] == "function_call_output")
    for id in called:
        if id not in answered:
            raise invalid(f"No tool output found for function call {id:.128}.", "input")
    for id in answered:
        if id not in known:
            raise invalid(f"No tool call found for function call output with call_id {id:.128}.", "input")


def _ids(items: Iterable[JSONObject]) -> dict[str, None]:
    return {str(item["call_id"]): None for item in items}
