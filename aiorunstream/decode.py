"""From an event's name and payload to one of the events, in every way that servers spell them.

Nothing is lost: a name nobody knows, or a payload that cannot be read as its type, becomes an `UnknownEvent` around the
wire's own JSON.
"""

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from .complaint import is_flat, read_complaint
from .events import FAST, REGISTRY, ErrorEvent, RunEvent, ThreadCreated, UnknownEvent
from .models import ErrorObject
from .plain_json import NotJSONError, as_object, has_surrogates, parse
from .repair import UnbuildableError, build

_NAMED_BY_OBJECT = {
    "thread.run": "thread.run.",
    "thread.run.step": "thread.run.step.",
    "thread.message": "thread.message.",
}
_NAMED_OUTRIGHT = {
    "thread": "thread.created",
    "thread.run.step.delta": "thread.run.step.delta",
    "thread.message.delta": "thread.message.delta",
}
_OF_AN_ERROR = frozenset({"message", "type", "code", "param"})
UNNAMED = "message"
"""What the SSE standard calls a message that has no `event` field."""


class _Envelope(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """LiteLLM and Astra name the event inside the data: an object of exactly these (`enabled` is in the schema)."""

    event: str
    data: msgspec.Raw
    enabled: bool | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_skim = msgspec.json.Decoder(msgspec.Raw).decode


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A message, decoded.

    `name` is the event's wire name, from wherever it came; `event` is None for the end mark `[DONE]`;
    `wire` is the payload's JSON as it came, or None where it had to be repaired.
    """

    name: str
    event: RunEvent | None
    wire: bytes | None


UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the fast decoder can raise; invalid UTF-8 is no MsgspecError."""


def decode(name: str, payload: bytes) -> Decoded:
    """Decodes any message of a run stream.

    Args:
        name: the SSE event name, "message" where the wire gave none.
        payload: its data, already known not to be nested too deep.

    Raises:
        NotJSONError: the payload is broken JSON, and its name is one of ours or none.
    """
    envelope = None
    if name == UNNAMED or name in REGISTRY:
        envelope = _open_envelope(payload)
    if envelope is None or name not in (UNNAMED, envelope.event):
        return _decode_named(name, payload)
    # Opened once only: an envelope in an envelope is a payload like any other.
    inner = _decode_named(envelope.event or UNNAMED, bytes(envelope.data))
    if envelope.enabled is not None and isinstance(inner.event, ThreadCreated):
        return Decoded(inner.name, msgspec.structs.replace(inner.event, enabled=envelope.enabled), None)
    return inner


def _open_envelope(payload: bytes) -> _Envelope | None:
    """The envelope that a payload is, or None where it is none."""
    with suppress(*UNDECODABLE):
        return _decode_envelope(payload)
    if has_surrogates(payload):  # half of a pair, of a model that cut an emoji, hides what is around it
        with suppress(NotJSONError, *UNDECODABLE):
            return _decode_envelope(msgspec.json.encode(parse(payload)))
    return None


def _decode_named(name: str, payload: bytes) -> Decoded:
    # LiteLLM gives the end mark no name; DashScope gives only the name; an envelope makes it a JSON string.
    if name == "done" or payload.strip() in (b"[DONE]", b'"[DONE]"'):
        return Decoded("done", None, payload)
    if (entry := FAST.get(name)) is not None:
        with suppress(*UNDECODABLE):
            return Decoded(name, entry.around(entry.decode(payload)), payload)
    return _decode_slowly(name, payload)


def _decode_slowly(name: str, payload: bytes) -> Decoded:
    try:
        value = parse(payload)
    except NotJSONError:
        text = payload.decode("utf-8", "replace")
        if name == "error":  # gateways write plain text there
            return Decoded(name, ErrorEvent(ErrorObject(message=text)), None)
        if name in REGISTRY or name == UNNAMED:
            raise
        return Decoded(name, UnknownEvent(name, msgspec.Raw(msgspec.json.encode(text))), None)
    if name == UNNAMED and (inferred := _inferred_name(value)) is not None:
        return _decode_named(inferred, payload)
    if name == "error":
        return Decoded(
            name, ErrorEvent(read_complaint(value)), payload if is_flat(value) and _is_read(payload) else None
        )
    if (entry := REGISTRY.get(name)) is not None:
        with suppress(UnbuildableError):
            return Decoded(name, entry.around(build(value, entry.payload)), None)
    wire = payload if is_utf8(payload) else msgspec.json.encode(value)
    return Decoded(name, UnknownEvent(name, msgspec.Raw(wire)), wire)


def _is_read(payload: bytes) -> bool:
    """Whether the fast decoder reads it, which refuses half of an escaped pair wherever it stands."""
    with suppress(*UNDECODABLE):
        _skim(payload)
        return True
    return False


def is_utf8(payload: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _inferred_name(value: object) -> str | None:
    """The name of a payload that came without one, from its `object` and `status`."""
    part = as_object(value)
    if part is None:
        return None
    kind, status = part.get("object"), part.get("status")
    if kind == "error":  # as vLLM says it
        return "error"
    if not isinstance(kind, str):
        return "error" if part.get("error") or _is_bare_error(part) else None
    if kind in _NAMED_OUTRIGHT:
        return _NAMED_OUTRIGHT[kind]
    if kind not in _NAMED_BY_OBJECT:
        return None
    name = f"{_NAMED_BY_OBJECT[kind]}{status}"
    return name if name in REGISTRY else None


def _is_bare_error(part: Mapping[str, object]) -> bool:
    # LiteLLM passes on an error that its upstream sent without `{"error": ...}` around it, and takes its name away.
    return is_flat(part) and part.keys() <= _OF_AN_ERROR


def run_facts(event: UnknownEvent) -> tuple[str | None, str | None]:
    """The run id and status of a `thread.run.*` event that could not be typed."""
    part = as_object(event.json())
    if part is None:
        return None, None
    run_id, status = part.get("id"), part.get("status")
    return run_id if isinstance(run_id, str) else None, status if isinstance(status, str) else None
