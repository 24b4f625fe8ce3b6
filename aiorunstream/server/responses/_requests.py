"""The bodies of requests to `/v1/responses`, read with suspicion. Everything here raises `StoreError`."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar, cast

import msgspec

from ...intake import StoreError, invalid
from ...models import JSONObject

T = TypeVar("T")

Metadata = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=64)], Annotated[str, msgspec.Meta(max_length=512)]],
    msgspec.Meta(max_length=16),
]
Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class ConversationRef(msgspec.Struct, frozen=True):
    """A conversation by its id."""

    id: str


class StreamOptions(msgspec.Struct, frozen=True):
    """How a stream is written."""

    include_obfuscation: bool | None = None


class ResponseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /responses` may say, without `stream`. Null means the same as left out."""

    model: str
    input: str | list[JSONObject] | None = None
    instructions: str | None = None
    tools: list[JSONObject] | None = None
    tool_choice: str | JSONObject | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=16)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    text: JSONObject | None = None
    reasoning: JSONObject | None = None
    truncation: Literal["auto", "disabled"] | None = None
    include: list[Include] | None = None
    metadata: Metadata | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationRef | None = None
    store: bool | None = None
    background: bool | None = None
    stream_options: StreamOptions | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: JSONObject | None = None
    prompt: JSONObject | None = None
    moderation: JSONObject | None = None
    context_management: list[JSONObject] | None = None

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation it goes on."""
        return self.conversation.id if isinstance(self.conversation, ConversationRef) else self.conversation


class ConversationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /conversations` may say."""

    metadata: Metadata | None = None
    items: list[JSONObject] | None = None


class ConversationUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /conversations/{id}` may say."""

    metadata: Metadata | None


class ItemsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /conversations/{id}/items` may say."""

    items: list[JSONObject]


def read_body(kind: type[T], body: Mapping[str, object]) -> T:
    """Makes the parameters of a request from its JSON object."""
    fields = {field.name: field for field in msgspec.structs.fields(cast("type[msgspec.Struct]", kind))}
    for name in body:
        if name not in fields:
            raise invalid(f"Unknown parameter: '{name:.64}'.", f"{name:.64}", code="unknown_parameter")
    for name, field in fields.items():
        if field.required and name not in body:
            raise missing(name)
    try:
        return msgspec.convert(dict(body), kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        where = place.rstrip("`").removeprefix(".")
        raise invalid(f"Invalid value for '{where}': {message:.200}.", where or None, code="invalid_value") from None


def missing(where: str) -> StoreError:
    """The error for a part of a request that is not there."""
    return invalid(f"Missing required parameter: '{where}'.", where, code="missing_required_parameter")


def unknown_type(value: object, where: str, known: frozenset[str]) -> StoreError:
    """The error for a `type` that nobody knows."""
    supported = ", ".join(f"'{name}'" for name in sorted(known))
    return invalid(f"Invalid value: {value!r:.80}. Supported values are: {supported}.", where, code="invalid_value")


def text_at(part: Mapping[str, object], name: str, where: str) -> str:
    """A part's field that must be text."""
    if name not in part:
        raise missing(f"{where}.{name}")
    if not isinstance(value := part[name], str):
        raise invalid(f"Invalid type for '{where}.{name}': expected a string.", f"{where}.{name}", code="invalid_type")
    return value


# -- tools -----------------------------------------------------------------------------------------------------------

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OWN_TOOLS = frozenset({"function", "code_interpreter", "file_search"})
_NATIVE_TOOLS = frozenset(
    {
        "apply_patch",
        "computer",
        "computer_use_preview",
        "custom",
        "image_generation",
        "local_shell",
        "mcp",
        "namespace",
        "programmatic_tool_calling",
        "shell",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    }
)


def read_tools(tools: list[JSONObject]) -> list[JSONObject]:
    """The tools as a response shows them: functions with all of their fields, the others as they were given."""
    return [_read_tool(tool, f"tools[{place}]") for place, tool in enumerate(tools)]


def _read_tool(tool: JSONObject, where: str) -> JSONObject:
    kind = text_at(tool, "type", where)
    if kind not in _OWN_TOOLS | _NATIVE_TOOLS:
        raise unknown_type(kind, f"{where}.type", _OWN_TOOLS | _NATIVE_TOOLS)
    if kind == "function":
        return _read_function(tool, where)
    if kind == "code_interpreter" and not isinstance(tool.get("container"), (str, dict)):
        raise missing(f"{where}.container")
    if kind == "file_search" and not _is_texts(tool.get("vector_store_ids")):
        raise missing(f"{where}.vector_store_ids")
    return tool


def _read_function(tool: JSONObject, where: str) -> JSONObject:
    if not _FUNCTION_NAME.fullmatch(text_at(tool, "name", where)):
        raise invalid(f"{where}.name must be 1 to 64 letters, digits, underscores and dashes.", f"{where}.name")
    filled: JSONObject = {"description": None, "parameters": None, "strict": True, **tool}
    for name, kind in (("description", str), ("parameters", dict), ("strict", bool)):
        if not isinstance(filled[name], (kind, type(None))):
            raise invalid(f"Invalid type for '{where}.{name}'.", f"{where}.{name}", code="invalid_type")
    return filled


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))


def read_tool_choice(choice: str | JSONObject | None, tools: list[JSONObject]) -> str | JSONObject:
    """Which tool is to be used."""
    name = "tool_choice"
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise unknown_type(choice, name, frozenset({"none", "auto", "required"}))
        return choice
    kind = text_at(choice, "type", name)
    if kind not in _OWN_TOOLS | _NATIVE_TOOLS | {"allowed_tools"}:
        raise unknown_type(kind, f"{name}.type", _OWN_TOOLS | _NATIVE_TOOLS | {"allowed_tools"})
    if kind == "function":
        wanted = text_at(choice, "name", name)
        if not any(tool["type"] == "function" and tool["name"] == wanted for tool in tools):
            raise invalid(f"Tool choice 'function' with name '{wanted:.64}' not found in 'tools' parameter.", name)
    return choice


# -- the shape of the answer -----------------------------------------------------------------------------------------

_FORMATS = frozenset({"text", "json_object", "json_schema"})


def read_text(text: JSONObject | None) -> JSONObject:
    """The shape that the answer's text must take."""
    given = text or {}
    format: object = given.get("format") or {"type": "text"}
    where = "text.format"
    if not isinstance(format, dict):
        raise invalid(f"Invalid type for '{where}': expected an object.", where, code="invalid_type")
    shape = cast("JSONObject", format)
    kind = text_at(shape, "type", where)
    if kind not in _FORMATS:
        raise unknown_type(kind, f"{where}.type", _FORMATS)
    if kind == "json_schema":
        text_at(shape, "name", where)
        if not isinstance(shape.get("schema"), dict):
            raise missing(f"{where}.schema")
        shape = {"strict": False, **shape}
    return {"verbosity": "medium", **given, "format": shape}
