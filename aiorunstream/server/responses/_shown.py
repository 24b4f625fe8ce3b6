"""A response as it is shown at its beginning: what was asked for, with the defaults where nothing was said."""

from ...models import JSONObject
from ._requests import ResponseRequest, read_text, read_tool_choice, read_tools


def shown_at_first(asked: ResponseRequest, id: str, now: int, *, echoes: bool) -> JSONObject:
    """The response without status, output and ends. `echoes` its conversation, if it has one. Raises `StoreError`."""
    tools = read_tools(asked.tools or [])
    shown: JSONObject = {
        "id": id,
        "object": "response",
        "created_at": now,
        "background": asked.background is True,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "max_tool_calls": asked.max_tool_calls,
        "metadata": asked.metadata or {},
        "model": asked.model,
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "prompt_cache_key": asked.prompt_cache_key,
        "reasoning": {"effort": None, "summary": None, **(asked.reasoning or {})},
        "safety_identifier": asked.safety_identifier,
        "service_tier": "default",
        "store": asked.store is not False,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": read_text(asked.text),
        "tool_choice": read_tool_choice(asked.tool_choice, tools),
        "tools": tools,
        "top_logprobs": asked.top_logprobs or 0,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": asked.truncation or "disabled",
    }
    if asked.user is not None:
        shown["user"] = asked.user
    if echoes and asked.conversation_id is not None:
        shown["conversation"] = {"id": asked.conversation_id}
    return shown
