"""A run as it is asked for, made into the body of a request for a response.

| parameter of a run | field of the response |
|---|---|
| `model`, `temperature`, `top_p`, `parallel_tool_calls`, `metadata` | the same |
| `instructions`, `additional_instructions` | `instructions`, in two lines |
| `additional_messages` | items of `input` |
| `tools`, with `tool_resources` | `tools`, flat; ids of files and vector stores in them |
| `tool_choice` | `tool_choice`, flat; only until the run's first calls are answered |
| `response_format` | `text.format`, flat; nothing for "auto" |
| `max_completion_tokens` | `max_output_tokens`, less what the run has spent |
| `reasoning_effort` | `reasoning.effort` |
| `truncation_strategy` | `truncation` for "auto"; "last_messages" only where the client holds the history |
| `include` | `include`, in the words of responses |
| `max_prompt_tokens` | refused |

What a run and its assistant leave open is not sent: some models refuse even the values that are usual elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from ...errors import UnsupportedParameterError
from ...intake import given
from ...models import JSONObject, Run, TruncationStrategy
from ...operations import SEARCH_CONTENT
from ...params import AssistantCreateParams, RunCreateParams, ThreadCreateAndRunParams
from ...responses_operations import CODE_OUTPUTS, SEARCH_RESULTS
from . import _tools

LEAST_OUTPUT_TOKENS = 16
"""Servers refuse a smaller limit. A run that may spend less, but something, is given so many."""

RunParams = RunCreateParams | ThreadCreateAndRunParams

_SAID_BY_THE_BACKEND = (
    "input",
    "conversation",
    "previous_response_id",
    "store",
    "background",
    "stream",
    "stream_options",
)
"""Who remembers the thread, and how the answer comes: different in each request, or needed as it is."""


def check_extra(extra: Mapping[str, object] | None) -> None:
    """Looks at what is to be added to a body. Raises `UnsupportedParameterError`: it would change what must stay."""
    for name in _SAID_BY_THE_BACKEND:
        if name in (extra or {}):
            raise UnsupportedParameterError(
                f"extra_body cannot hold {name!r} with ResponsesBackend, which says that itself: leave it out; "
                "ResponsesBackend(threads=..., background=...) chooses who remembers the thread, and what goes on by itself",
                argument="extra_body",
            )


def run_body(
    run: Run,
    asked: RunParams,
    assistant: AssistantCreateParams,
    *,
    resources: Sequence[object],
    include: Sequence[str],
    replays: bool,
) -> JSONObject:
    """The body of all responses of a run, without what changes from one to the next.

    Args:
        run: as the store has it, with what the assistant adds.
        asked: the parameters of the request, nested objects as plain JSON.
        assistant: as its maker has described it.
        resources: the tool resources of the assistant, the thread and the run, as plain JSON.
        include: what the query asks to include.
        replays: whether the client holds the history.

    Raises:
        UnsupportedParameterError: something that a response cannot be asked for; the message says what to do instead.
    """
    _refuse(asked, replays=replays)
    body: JSONObject = {"model": run.model}
    if run.instructions:
        body["instructions"] = run.instructions
    tools = cast("list[JSONObject]", list(given(asked.tools, given(assistant.tools, ()))))
    if tools:
        reach = _tools.reachable(*resources)
        body["tools"] = [_tools.tool(tool, reach, f"tools[{place}]") for place, tool in enumerate(tools)]
    if (choice := given(asked.tool_choice, None)) is not None:
        body["tool_choice"] = _tools.tool_choice(choice)
    if (parallel := given(asked.parallel_tool_calls, None)) is not None:
        body["parallel_tool_calls"] = parallel
    for name in ("temperature", "top_p"):
        if (number := given(getattr(asked, name), given(getattr(assistant, name), None))) is not None:
            body[name] = number
    if (format := _tools.text_format(given(asked.response_format, given(assistant.response_format, None)))) is not None:
        body["text"] = {"format": format}
    if run.max_completion_tokens is not None:
        body["max_output_tokens"] = run.max_completion_tokens
    effort = given(asked.reasoning_effort, None) if isinstance(asked, RunCreateParams) else None
    if (effort := effort or given(assistant.reasoning_effort, None)) is not None:
        body["reasoning"] = {"effort": effort}
    if _strategy(asked) == "auto":
        body["truncation"] = "auto"
    if run.metadata:
        body["metadata"] = run.metadata
    if included := _include(include, tools, thinks=replays and effort is not None):
        body["include"] = included
    return body


def _refuse(asked: RunParams, *, replays: bool) -> None:
    if given(asked.max_prompt_tokens, None) is not None:
        raise UnsupportedParameterError(
            "max_prompt_tokens has no counterpart at /responses: leave it out, and bound the history with "
            'truncation_strategy (last_messages, in threads="replay")',
            argument="max_prompt_tokens",
        )
    if _strategy(asked) == "last_messages" and not replays:
        raise UnsupportedParameterError(
            'truncation_strategy "last_messages" cannot be had where the server holds the history: '
            'use ResponsesBackend(threads="replay"), or "auto"',
            argument="truncation_strategy",
        )


def _strategy(asked: RunParams) -> str | None:
    strategy = given(asked.truncation_strategy, None)
    if strategy is None:
        return None
    return strategy.type if isinstance(strategy, TruncationStrategy) else str(strategy.get("type"))


def _include(include: Sequence[str], tools: Sequence[JSONObject], *, thinks: bool) -> list[str]:
    """What runs show without being asked is asked for here; and what thoughts a model needs to go on, where nobody keeps them."""
    kinds = [tool.get("type") for tool in tools]
    wanted: dict[str, None] = {}
    if "file_search" in kinds:
        wanted[SEARCH_RESULTS] = None
    if "code_interpreter" in kinds:
        wanted[CODE_OUTPUTS] = None
    if thinks:
        wanted["reasoning.encrypted_content"] = None
    for name in include:
        if name != SEARCH_CONTENT and (name.startswith("step_details") or "." not in name):
            raise UnsupportedParameterError(
                f"include cannot be {name!r:.80} at /responses: use {SEARCH_CONTENT!r}, or one of its own words",
                argument="include",
            )
        if name != SEARCH_CONTENT:
            wanted[name] = None
    return list(wanted)


def going_on(body: JSONObject, spent: int) -> JSONObject:
    """The same body for the next response of a run that has spent so many completion tokens.

    A tool that must be called was called already: asked for again and again, the run would never end.
    """
    body = dict(body)
    if body.get("tool_choice") not in ("auto", "none"):
        body.pop("tool_choice", None)
    if isinstance(limit := body.get("max_output_tokens"), int):
        body["max_output_tokens"] = max(LEAST_OUTPUT_TOKENS, limit - spent)
    return body


def is_spent(body: JSONObject, spent: int) -> bool:
    """Whether a run may spend no more."""
    limit = body.get("max_output_tokens")
    return isinstance(limit, int) and spent >= limit
