"""What open-assistant-api writes: CRLF, no end mark, and a few things that are not so."""

import secrets
from collections.abc import Mapping
from typing import cast

import msgspec

from ..models import JSONObject, Message, MessageDeltaEvent, Run, Usage
from ._spelling import Spelling, objects_in, plain

_TIMES = ("created_at", "updated_at", "started_at", "expires_at", "cancelled_at", "failed_at", "completed_at")
_FAILS = frozenset({"thread.run.failed", "thread.run.step.failed", "error"})
_NO_TEXT_YET = [{"type": "text", "text": {"value": ""}}]


def hears_usage(body: Mapping[str, object]) -> bool:
    """Whether a request asks to be told of usage."""
    options = body.get("stream_options")
    return isinstance(options, dict) and cast("JSONObject", options).get("include_usage") is True


class OpenAssistantSpelling(Spelling):
    """The events of one stream.

    Args:
        goes_on: it is the stream in which a run goes on with its tool outputs, which tells nothing of what came before.
        counted: the ids of the runs whose usage is told, to which the one of this stream is added; None tells nothing.
    """

    def __init__(self, *, goes_on: bool, counted: set[str] | None) -> None:
        self._has_begun = not goes_on
        self._counted = counted
        self._spent_before: Usage | None = None
        self._is_first = True

    def event(self, name: str, data: object, spent: Usage | None) -> bytes:
        if self._is_first:
            self._is_first, self._spent_before = False, spent
        if self._counted is not None and isinstance(data, Run):
            self._counted.add(data.id)
        self._has_begun = self._has_begun or name == "thread.run.in_progress"
        if not self._has_begun:
            return b""
        if name in _FAILS or (isinstance(data, Message) and _failed(data)):
            self.broke_off = True
            return b""
        payload = self._payload(name, data)
        if not isinstance(data, Run) or name not in ("thread.run.requires_action", "thread.run.completed"):
            return _frame(name, payload)
        said = self._usage(spent) + _frame(name, payload)
        return said if name == "thread.run.completed" else said + _frame("thread.run.completed", payload)

    def end(self) -> bytes:
        return b""

    def _payload(self, name: str, data: object) -> object:
        payload = described(data)
        if isinstance(data, Run):
            payload.pop("usage")
        elif name == "thread.message.created":
            payload["content"] = _NO_TEXT_YET
        elif name == "thread.message.completed":
            payload["status"] = "in_progress"
        elif isinstance(data, MessageDeltaEvent):
            payload["delta"] = _delta(cast("JSONObject", payload["delta"]))
        return payload

    def _usage(self, spent: Usage | None) -> bytes:
        """What was spent in this stream, in a message that is none."""
        if self._counted is None or spent is None:
            return b""
        before = self._spent_before or Usage()
        usage = Usage(
            spent.completion_tokens - before.completion_tokens,
            spent.prompt_tokens - before.prompt_tokens,
            spent.total_tokens - before.total_tokens,
        )
        text = msgspec.json.encode(usage).decode()
        message = Message(
            f"chatcmpl-{secrets.token_hex(12)}",
            created_at=0,
            status="in_progress",
            role="assistant",
            metadata={"usage": text},
        )
        return _frame("thread.message.in_progress", described(message))


def described(value: object) -> JSONObject:
    """An object as this server describes it, with fields of its own and without some that others have."""
    found = plain(value)
    for item in objects_in(found):
        if item.get("object") in ("thread.run", "thread.message"):
            item.update(updated_at=None, file_ids=[])
        if item.get("object") == "thread.run":
            item.update(
                tool_choice=None,
                truncation_strategy=None,
                response_format="auto",
                extra_body={},
                stream_options=None,
                additional_instructions=None,
            )
    return found


def in_fractions(value: object) -> object:
    """Plain JSON with its times as fractions of seconds."""
    if isinstance(value, list):
        return [in_fractions(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("JSONObject", value).items()
    return {
        name: float(item) if name in _TIMES and isinstance(item, int) else in_fractions(item) for name, item in items
    }


def _failed(message: Message) -> bool:
    return message.incomplete_details is not None and message.incomplete_details.reason == "run_failed"


def _delta(delta: JSONObject) -> JSONObject:
    parts: list[JSONObject] = []
    for part in cast("list[JSONObject]", delta["content"]):
        text = part.get("text")
        whole = {"annotations": None, **cast("JSONObject", text)} if isinstance(text, dict) else text
        if isinstance(whole, dict) and not whole["annotations"]:
            whole["annotations"] = None
        parts.append({**part, "index": 0, "text": whole})
    return {"role": None, "content": parts}


def _frame(name: str, payload: object) -> bytes:
    return b"event: %s\r\ndata: %s\r\n\r\n" % (name.encode(), msgspec.json.encode(payload))
