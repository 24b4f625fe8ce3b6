"""What requests say, as Structs whose making is their checking.

Left out, None and a value are three different requests: a field that is `UNSET` is not sent, None is sent as null.
A limit that both published descriptions of the protocol state is checked here, before anything leaves, with an error
that names the parameter. Nested objects may be Structs of `models/` or plain dicts; what is inside a dict is the
server's business.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from . import checks
from .models import (
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoiceOption,
    Attachment,
    ImageFileContentBlock,
    ImageURLContentBlock,
    Metadata,
    ToolResources,
    TruncationStrategy,
)

JSONMapping = Mapping[str, object]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str

_NULLABLE_TEXT = checks.optional(checks.text())
_TEMPERATURE = checks.optional(checks.number(0, 2))
_TOP_P = checks.optional(checks.number(0, 1))
_TOKENS = checks.optional(checks.integer(256))
_METADATA = checks.optional(checks.metadata)
_OBJECT = checks.optional(checks.json_object)
_OPTION = checks.optional(checks.text_or_object)
_ID = checks.text(may_be_empty=False)


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """A request's parameters. Making one checks it.

    Raises:
        InvalidArgumentError: a parameter cannot be meant; `argument` names it.
    """

    _checks: ClassVar[Mapping[str, checks.Check]] = {}
    _not_in_body: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for name, check in self._checks.items():
            value = getattr(self, name)
            if value is not UNSET:
                check(name, value)

    def body(self) -> dict[str, object]:
        """The JSON body: every field that was given, in the order of the protocol's description."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__ if name not in self._not_in_body)
        return {name: value for name, value in fields if value is not UNSET}


class TextContentBlockParam(msgspec.Struct, frozen=True, tag="text"):
    """A text part of a message that is sent. (One that is received holds an object with annotations instead.)"""

    type: ClassVar[Literal["text"]] = "text"
    text: str


MessageContentParam = TextContentBlockParam | ImageFileContentBlock | ImageURLContentBlock | JSONMapping


class MessageCreateParams(Params, frozen=True, kw_only=True):
    """A message to be put on a thread."""

    role: Literal["user", "assistant"] | str
    content: str | Sequence[MessageContentParam]
    attachments: Sequence[Attachment | JSONMapping] | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {
        "role": _ID,
        "content": checks.text_or_objects,
        "attachments": checks.optional(checks.objects()),
        "metadata": _METADATA,
    }


class MessageUpdateParams(Params, frozen=True, kw_only=True):
    """What may change in a message."""

    metadata: Metadata | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {"metadata": _METADATA}


class ThreadCreateParams(Params, frozen=True, kw_only=True):
    """A thread, with its first messages."""

    messages: Sequence[MessageCreateParams | JSONMapping] | UnsetType = UNSET
    tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {
        "messages": checks.objects(),
        "tool_resources": _OBJECT,
        "metadata": _METADATA,
    }


class ThreadUpdateParams(Params, frozen=True, kw_only=True):
    """What may change in a thread."""

    tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {"tool_resources": _OBJECT, "metadata": _METADATA}


_RUN_CHECKS: Mapping[str, checks.Check] = {
    "assistant_id": _ID,
    "instructions": _NULLABLE_TEXT,
    "max_completion_tokens": _TOKENS,
    "max_prompt_tokens": _TOKENS,
    "metadata": _METADATA,
    "model": _NULLABLE_TEXT,
    "parallel_tool_calls": checks.boolean,
    "response_format": _OPTION,
    "temperature": _TEMPERATURE,
    "tool_choice": _OPTION,
    "tools": checks.optional(checks.objects(most=20)),
    "top_p": _TOP_P,
    "truncation_strategy": _OBJECT,
    "stream": checks.boolean,
}


class RunCreateParams(Params, frozen=True, kw_only=True):
    """A run on a thread that is there.

    `include` travels in the query; its one value so far is
    "step_details.tool_calls[*].file_search.results[*].content".
    """

    assistant_id: str
    additional_instructions: str | None | UnsetType = UNSET
    additional_messages: Sequence[MessageCreateParams | JSONMapping] | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    max_completion_tokens: int | None | UnsetType = UNSET
    max_prompt_tokens: int | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    model: str | None | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET
    temperature: float | None | UnsetType = UNSET
    tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET
    tools: Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET
    top_p: float | None | UnsetType = UNSET
    truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET
    include: Sequence[str] | UnsetType = UNSET
    stream: bool | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {
        **_RUN_CHECKS,
        "additional_instructions": _NULLABLE_TEXT,
        "additional_messages": checks.optional(checks.objects()),
        "reasoning_effort": _NULLABLE_TEXT,
        "include": checks.texts,
    }
    _not_in_body: ClassVar[frozenset[str]] = frozenset({"include"})


class ThreadCreateAndRunParams(Params, frozen=True, kw_only=True):
    """A run on a thread that is made with it."""

    assistant_id: str
    instructions: str | None | UnsetType = UNSET
    max_completion_tokens: int | None | UnsetType = UNSET
    max_prompt_tokens: int | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    model: str | None | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET
    temperature: float | None | UnsetType = UNSET
    thread: ThreadCreateParams | JSONMapping | UnsetType = UNSET
    tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET
    tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET
    tools: Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET
    top_p: float | None | UnsetType = UNSET
    truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET
    stream: bool | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {
        **_RUN_CHECKS,
        "thread": checks.json_object,
        "tool_resources": _OBJECT,
    }


class RunUpdateParams(Params, frozen=True, kw_only=True):
    """What may change in a run."""

    metadata: Metadata | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {"metadata": _METADATA}


class ToolOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool call came to: `output` is text, whatever the tool returned."""

    tool_call_id: str
    output: str


class RunSubmitToolOutputsParams(Params, frozen=True, kw_only=True):
    """The outputs of all calls a run waits for."""

    tool_outputs: Sequence[ToolOutput | JSONMapping]
    stream: bool | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {"tool_outputs": checks.objects(), "stream": checks.boolean}


class ToolApproval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a call that waits for leave is to be made; `headers` go to the server of the tool with it. Only at Azure."""

    tool_call_id: str
    approve: bool
    headers: Mapping[str, str] | None = None


class RunSubmitToolApprovalsParams(Params, frozen=True, kw_only=True):
    """What is decided of all calls that wait for leave, and the outputs of those that wait for outputs. Only at Azure."""

    tool_approvals: Sequence[ToolApproval | JSONMapping] | UnsetType = UNSET
    tool_outputs: Sequence[ToolOutput | JSONMapping] | UnsetType = UNSET
    stream: bool | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {
        "tool_approvals": checks.objects(),
        "tool_outputs": checks.objects(),
        "stream": checks.boolean,
    }


_ASSISTANT_CHECKS: Mapping[str, checks.Check] = {
    "name": checks.optional(checks.text(most=256)),
    "description": checks.optional(checks.text(most=512)),
    "instructions": checks.optional(checks.text(most=256_000)),
    "reasoning_effort": _NULLABLE_TEXT,
    "tools": checks.objects(most=128),
    "tool_resources": _OBJECT,
    "metadata": _METADATA,
    "temperature": _TEMPERATURE,
    "top_p": _TOP_P,
    "response_format": _OPTION,
}


class AssistantCreateParams(Params, frozen=True, kw_only=True):
    """An assistant."""

    model: str
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    tools: Sequence[AssistantTool | JSONMapping] | UnsetType = UNSET
    tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    temperature: float | None | UnsetType = UNSET
    top_p: float | None | UnsetType = UNSET
    response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {"model": _ID, **_ASSISTANT_CHECKS}


class AssistantUpdateParams(Params, frozen=True, kw_only=True):
    """What may change in an assistant."""

    model: str | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    tools: Sequence[AssistantTool | JSONMapping] | UnsetType = UNSET
    tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    temperature: float | None | UnsetType = UNSET
    top_p: float | None | UnsetType = UNSET
    response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET

    _checks: ClassVar[Mapping[str, checks.Check]] = {"model": _ID, **_ASSISTANT_CHECKS}
