"""Requests as they come, made into what the store keeps: JSON objects to `params`, nested dicts to `models`.

Everything here raises `StoreError` for a request that cannot be meant, with a sentence and the name of the part it is
about. It is the server's side of `params`, which checks what a client is about to send.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from .errors import InvalidArgumentError
from .models import (
    Assistant,
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoice,
    AssistantToolChoiceOption,
    Attachment,
    FileSearchOptions,
    FileSearchTool,
    FunctionTool,
    ImageFileContentBlock,
    ImageURLContentBlock,
    MessageContent,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
    Run,
    Text,
    TextContentBlock,
    ToolResources,
    TruncationStrategy,
)
from .params import MessageCreateParams, Params, RunCreateParams, TextContentBlockParam, ThreadCreateAndRunParams


class StoreError(Exception):
    """A request that cannot be carried out.

    Attributes:
        kind: "not_found", "invalid" (the request is wrong), or "busy" (right, but not while a run is active).
        message: a sentence for whoever sent the request.
        param: the part of the request it is about, such as "messages[0].role".
        code: a word for programs.
    """

    def __init__(
        self,
        kind: Literal["not_found", "invalid", "busy"],
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.code = code


def invalid(message: str, param: str | None = None, *, code: str | None = None) -> StoreError:
    """The error for a request that is wrong."""
    return StoreError("invalid", message, param=param, code=code)


# -- reading requests ----------------------------------------------------------------------------------------------

T = TypeVar("T")
P = TypeVar("P", bound=Params)


def read_params(kind: type[P], body: Mapping[str, object], where: str = "") -> P:
    """Makes the parameters of a request from its JSON object.

    `where` is put before each name in an error. Nested objects stay as they are; the store reads them.

    Raises:
        StoreError: a name is missing or unknown, or a value cannot be meant.
    """
    fields = _fields(kind)
    for name in body:
        if name not in fields:
            raise invalid(f"Unknown parameter: '{where}{name:.64}'.", f"{where}{name:.64}", code="unknown_parameter")
    for name, required in fields.items():
        if required and name not in body:
            raise invalid(f"Missing required parameter: '{where}{name}'.", where + name, code="missing_parameter")
    try:
        return cast("Callable[..., P]", kind)(**body)
    except InvalidArgumentError as error:
        raise invalid(f"{where}{error}.", f"{where}{error.argument}", code="invalid_value") from None


@cache
def _fields(kind: type[Params]) -> Mapping[str, bool]:
    """The names of the parameters, and whether each must be given."""
    return {field.name: field.required for field in msgspec.structs.fields(kind)}


def typed(name: str, value: object, kind: type[tuple[T, ...]]) -> tuple[T, ...]:
    """Reads a list of nested objects, Structs or dicts alike. Raises `StoreError`, naming the place."""
    try:
        return msgspec.convert(msgspec.to_builtins(value), kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise invalid(f"{name}: {message:.200}.", name + place.rstrip("`"), code="invalid_value") from None


def typed_one(name: str, value: object, kind: type[tuple[T, ...]]) -> T:
    """Reads one nested object. Raises `StoreError`, naming the place."""
    try:
        return typed(name, [value], kind)[0]
    except StoreError as error:
        place = (error.param or "").replace(f"{name}[0]", name, 1)
        raise invalid(error.message, place, code=error.code) from None


def given(value: T | None | UnsetType, default: T) -> T:
    """The value, or the default where it was left out or is None."""
    return default if value is None or value is UNSET else value


_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read_tools(value: object) -> tuple[AssistantTool, ...]:
    """Reads a list of tools. Raises `StoreError`: a type nobody knows, or a setting out of its bounds."""
    tools = typed("tools", value, tuple[AssistantTool, ...])
    for place, tool in enumerate(tools):
        where = f"tools[{place}]"
        if isinstance(tool, FunctionTool) and not _FUNCTION_NAME.fullmatch(tool.function.name):
            where = f"{where}.function.name"
            raise invalid(f"{where} must be 1 to 64 letters, digits, underscores and dashes.", where)
        if isinstance(tool, FileSearchTool) and tool.file_search is not None:
            _check_search(tool.file_search, f"{where}.file_search")
    return tools


def _check_search(options: FileSearchOptions, where: str) -> None:
    most, ranking = options.max_num_results, options.ranking_options
    if most is not None and not 1 <= most <= 50:
        where = f"{where}.max_num_results"
        raise invalid(f"{where} must be from 1 to 50, not {most!r:.40}.", where)
    if ranking is None:
        return
    where = f"{where}.ranking_options"
    if ranking.score_threshold is None or not 0 <= ranking.score_threshold <= 1:
        raise invalid(f"{where}.score_threshold must be a number from 0 to 1.", f"{where}.score_threshold")
    if ranking.ranker not in (None, "auto", "default_2024_08_21"):
        raise invalid(f"{where}.ranker cannot be {ranking.ranker!r:.40}.", f"{where}.ranker")


_MOST_RESOURCES = {"code_interpreter": ("file_ids", 20), "file_search": ("vector_store_ids", 1)}


def read_tool_resources(value: object, where: str = "tool_resources") -> ToolResources:
    """Reads tool resources. Raises `StoreError`: too many, or vector stores to be made, of which there are none here."""
    given_parts = msgspec.to_builtins(value)
    resources = typed_one(where, given_parts, tuple[ToolResources, ...])
    if given_parts.get("file_search") and given_parts["file_search"].get("vector_stores") is not None:
        where = f"{where}.file_search.vector_stores"
        message = f"{where} is not supported: this server makes no vector stores; give vector_store_ids."
        raise invalid(message, where, code="unsupported_parameter")
    for tool, (name, most) in _MOST_RESOURCES.items():
        if (part := getattr(resources, tool)) is not None and len(getattr(part, name)) > most:
            where = f"{where}.{tool}.{name}"
            raise invalid(f"{where} must be a list of at most {most}.", where)
    return resources


_ResponseFormat = ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema


def read_response_format(value: object) -> AssistantResponseFormatOption:
    """Reads a response format. Raises `StoreError`: a word other than "auto", or an object of no known type."""
    if isinstance(value, str):
        if value != "auto":
            raise invalid(f"response_format must be 'auto' or an object, not {value!r:.40}.", "response_format")
        return value
    return typed_one("response_format", value, tuple[_ResponseFormat, ...])


def read_content(value: object, where: str = "") -> tuple[MessageContent, ...]:
    """Reads the content of a message, text or a list of parts. Raises `StoreError`."""
    name = where + "content"
    if isinstance(value, str):
        if not value:
            raise invalid("Message content must be non-empty.", name)
        return (TextContentBlock(Text(value)),)
    parts = typed(name, value, tuple[TextContentBlockParam | ImageFileContentBlock | ImageURLContentBlock, ...])
    for place, part in enumerate(parts):
        _check_detail(part, f"{name}[{place}]")
    return tuple(
        TextContentBlock(Text(part.text)) if isinstance(part, TextContentBlockParam) else part for part in parts
    )


def _check_detail(part: object, where: str) -> None:
    match part:
        case ImageFileContentBlock():
            where, detail = f"{where}.image_file.detail", part.image_file.detail
        case ImageURLContentBlock():
            where, detail = f"{where}.image_url.detail", part.image_url.detail
        case _:
            return
    if detail not in (None, "auto", "low", "high"):
        raise invalid(f"{where} must be 'auto', 'low' or 'high', not {detail!r:.40}.", where)


def read_messages(value: Sequence[object], name: str) -> list[MessageCreateParams]:
    """Reads messages that come inside another request. Raises `StoreError`, naming the place."""
    found: list[MessageCreateParams] = []
    for place, item in enumerate(value):
        where = f"{name}[{place}]."
        params = item
        if not isinstance(params, MessageCreateParams):
            params = read_params(MessageCreateParams, cast("Mapping[str, object]", msgspec.to_builtins(item)), where)
        check_message(params, where)
        found.append(params)
    return found


def check_message(params: MessageCreateParams, where: str = "") -> None:
    """Looks at all of a message. Raises `StoreError`: a role, a part or an attachment that cannot be meant."""
    if params.role not in ("user", "assistant"):
        raise invalid(f"{where}role must be 'user' or 'assistant', not {params.role!r:.40}.", f"{where}role")
    read_content(params.content, where)
    typed(f"{where}attachments", given(params.attachments, ()), tuple[Attachment, ...])


# -- runs ----------------------------------------------------------------------------------------------------------


def read_run(assistant: Assistant, params: RunCreateParams | ThreadCreateAndRunParams) -> Run:
    """A run as asked for, the assistant's settings where it was not; without ids and times. Raises `StoreError`."""
    tools = assistant.tools if params.tools in (UNSET, None) else read_tools(params.tools)
    texts = [given(params.instructions, assistant.instructions or "")]
    if isinstance(params, RunCreateParams):
        texts.append(given(params.additional_instructions, ""))
    resources = None
    if isinstance(params, ThreadCreateAndRunParams) and params.tool_resources not in (UNSET, None):
        resources = read_tool_resources(params.tool_resources)
    return Run(
        id="",
        assistant_id=assistant.id,
        status="queued",
        model=given(params.model, assistant.model),
        instructions="\n".join(filter(None, texts)),
        tools=tools,
        metadata=dict(given(params.metadata, {})),
        temperature=given(params.temperature, assistant.temperature),
        top_p=given(params.top_p, assistant.top_p),
        max_prompt_tokens=given(params.max_prompt_tokens, None),
        max_completion_tokens=given(params.max_completion_tokens, None),
        truncation_strategy=_read_truncation(given(params.truncation_strategy, {})),
        tool_choice=_read_tool_choice(given(params.tool_choice, "auto"), tools),
        parallel_tool_calls=given(params.parallel_tool_calls, default=True),
        response_format=read_response_format(given(params.response_format, assistant.response_format or "auto")),
        tool_resources=resources,
    )


def _read_truncation(value: object) -> TruncationStrategy:
    name = "truncation_strategy"
    strategy = typed_one(name, value, tuple[TruncationStrategy, ...])
    if strategy.type not in ("auto", "last_messages"):
        raise invalid(f"{name}.type must be 'auto' or 'last_messages', not {strategy.type!r:.40}.", f"{name}.type")
    last = strategy.last_messages
    if (last is None and strategy.type == "last_messages") or (last is not None and last < 1):
        raise invalid(f"{name}.last_messages must be at least 1.", f"{name}.last_messages")
    return strategy


def _read_tool_choice(value: object, tools: Sequence[AssistantTool]) -> AssistantToolChoiceOption:
    name = "tool_choice"
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise invalid(f"{name} must be 'none', 'auto', 'required' or an object, not {value!r:.40}.", name)
        return value
    choice = typed_one(name, value, tuple[AssistantToolChoice, ...])
    if choice.type not in ("function", "code_interpreter", "file_search"):
        raise invalid(f"{name}.type must be the type of a tool, not {choice.type!r:.40}.", f"{name}.type")
    if choice.type != "function":
        return choice
    if choice.function is None:
        raise invalid(f"{name}.function must name a function.", f"{name}.function")
    if not any(isinstance(tool, FunctionTool) and tool.function.name == choice.function.name for tool in tools):
        raise invalid(f"{name}: the run has no function '{choice.function.name:.64}'.", f"{name}.function.name")
    return choice


# -- lists ---------------------------------------------------------------------------------------------------------


class Paging(msgspec.Struct, frozen=True):
    """Which part of a list is asked for."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None


def read_paging(query: Mapping[str, str]) -> Paging:
    """Reads a list's query. Raises `StoreError`: `limit` is not from 1 to 100, or `order` is not a direction."""
    limit, order = query.get("limit", "20"), query.get("order", "desc")
    # Decimal digits of any script pass isdecimal(); three of them are a number all the same.
    if not limit.isdecimal() or len(limit) > 3 or not 1 <= int(limit) <= 100:
        raise invalid(f"limit must be a whole number from 1 to 100, not {limit!r:.40}.", "limit")
    if order not in ("asc", "desc"):
        raise invalid(f"order must be 'asc' or 'desc', not {order!r:.40}.", "order")
    direction: Literal["asc", "desc"] = "asc" if order == "asc" else "desc"
    return Paging(int(limit), direction, query.get("after") or None, query.get("before") or None)
