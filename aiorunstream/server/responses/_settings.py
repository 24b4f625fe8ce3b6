"""In what the servers of `/v1/responses` differ, as settings; and how each of them writes ids and events."""

import secrets
from typing import Literal, get_args

import msgspec

from ...errors import ConfigurationError
from ...models import JSONObject
from ...sse import encode

ResponsesServerName = Literal["openai", "ogx", "litellm", "vllm", "openrouter", "ollama"]

_LONG = 241
_PADDING = "Qk3vX8ZpT1bR6yWd"
"""Deltas are padded to a multiple of its length, the same way every time: nothing is hidden, only filled."""


class ResponsesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the embedded server answers on `/v1/responses`; as OpenAI does where nothing else is said.

    Args:
        event_lines: whether a stream's events have an `event:` line, besides the `type` in their JSON.
        done_mark: whether a stream ends with `data: [DONE]`.
        text_done: whether `response.output_text.done` is sent.
        long_ids: whether ids of responses, items and conversations have 241 characters and end in `=`.
        obfuscation: whether each delta carries an `obfuscation`, unless the request declines.
        conversations: whether there are conversations.
        echoes_conversation: whether a response tells which conversation it belongs to.
        background: what becomes of `background`: it streams and resumes, it may only be polled, or it is refused.
        state: what becomes of `store` and `previous_response_id`: they are kept to, ignored in silence, or refused.
    """

    event_lines: bool = True
    done_mark: bool = False
    text_done: bool = True
    long_ids: bool = False
    obfuscation: bool = False
    conversations: bool = True
    echoes_conversation: bool = True
    background: Literal["streams", "polled", "refused"] = "streams"
    state: Literal["kept", "ignored", "refused"] = "kept"

    def new_id(self, prefix: str) -> str:
        """The id of a new object. Those of calls stay short everywhere: what is sent for a call is at most 64 long."""
        if self.long_ids and prefix != "call":
            return f"{prefix}_{secrets.token_hex(_LONG)}"[: _LONG - 1] + "="
        return f"{prefix}_{secrets.token_hex(24)}"

    @property
    def untold(self) -> tuple[str, ...]:
        """The types of events that are not sent."""
        return () if self.text_done else ("response.output_text.done",)

    def spell(self, event: JSONObject, *, obfuscated: bool = False) -> bytes:
        """An event as bytes."""
        name = str(event["type"])
        if obfuscated and self.obfuscation and name.endswith(".delta"):
            event = {**event, "obfuscation": _PADDING[len(str(event["delta"])) % len(_PADDING) :]}
        return encode(msgspec.json.encode(event), event=name if self.event_lines else None)

    def end(self) -> bytes:
        """The end mark; `b""` where there is none."""
        return encode("[DONE]") if self.done_mark else b""


_SERVERS: dict[ResponsesServerName, ResponsesSettings] = {
    "openai": ResponsesSettings(obfuscation=True),
    "ogx": ResponsesSettings(event_lines=False, text_done=False, echoes_conversation=False, background="polled"),
    "litellm": ResponsesSettings(event_lines=False, done_mark=True, long_ids=True, conversations=False),
    "vllm": ResponsesSettings(conversations=False),
    "openrouter": ResponsesSettings(conversations=False, background="refused", state="refused"),
    "ollama": ResponsesSettings(conversations=False, background="refused", state="ignored"),
}


def settings_of(server: ResponsesSettings | ResponsesServerName) -> ResponsesSettings:
    """The settings of a server, by its name where they are not given themselves.

    Raises:
        ConfigurationError: there is no such server.
    """
    if isinstance(server, ResponsesSettings):
        return server
    if (found := _SERVERS.get(server)) is None:
        known = ", ".join(get_args(ResponsesServerName))
        raise ConfigurationError(f"responses must be ResponsesSettings or one of {known}, not {server!r:.40}")
    return found
