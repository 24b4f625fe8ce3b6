"""What the bytes of a run stream tell of the server that wrote them. Nothing here decides how a stream is read."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import msgspec

from ..decode import UNDECODABLE, UNNAMED
from ..errors import EventTooLargeError
from ..events import REGISTRY
from ..models import MAX_SECONDS, JSONObject
from ..sse import SSEDecoder, SSEMessage

"""A time above this is none in seconds: the year 5138."""
_KNOWN_FIELDS = (b"event", b"data", b"id", b"retry", b"")
_PREFIXES = {"thread.run": "run_", "thread.message": "msg_", "thread.run.step": "step_"}
_STANDARD = "openai"


class Seen(msgspec.Struct, frozen=True):
    """What was seen in a stream.

    Attributes:
        dialect: the name of the dialect it most likely is, or "openai" for the protocol as it is described, or "unknown".
        marks: a word for each deviation.
        told: a sentence for each of them, in the same order.
    """

    dialect: str
    marks: tuple[str, ...]
    told: tuple[str, ...]


_SENTENCES = {
    "crlf": "ends lines with CRLF",
    "comments": "sends comments between events",
    "fields": "adds lines of its own to events",
    "envelope_data_first": "names the event inside the data, which comes first",
    "envelope_event_first": "names the event inside the data, which comes last",
    "unnamed": "names some events neither in a line nor in the data",
    "unnamed_done": "ends with a [DONE] that has no name",
    "no_done": "sends no end mark",
    "no_stop": "does not say that the run came to a stop",
    "no_nulls": "leaves out what is null",
    "milliseconds": "counts times in milliseconds",
    "fractions": "counts times in fractions of seconds",
    "growing_index": "numbers the pieces of one text as if they were many",
    "content_object": "has an object where a list of content belongs",
    "no_object": "leaves out what kind of object it sends",
    "bare_ids": "has ids without a prefix",
    "step_deadline": "has expires_at in steps, in place of expired_at",
    "status_differs": "names an event otherwise than the status of its run",
    "unknown_events": "sends events that this version does not know",
    "error": "sent an error event",
}

# Each with what only it does, as far as is known; the first that fits is it.
_DIALECTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("litellm", frozenset({"envelope_data_first"})),
    ("astra", frozenset({"envelope_event_first"})),
    ("dashscope", frozenset({"content_object"})),
    ("open-assistant-api", frozenset({"bare_ids", "no_done"})),
    ("astra or cogitator", frozenset({"growing_index"})),
    ("azure", frozenset({"step_deadline"})),
    ("supercompat", frozenset({"no_object", "no_done"})),
)
_NO_DIALECT = frozenset({"comments", "crlf", "error", "no_nulls", "no_stop", "unknown_events"})
"""Marks that leave the protocol as it is described."""


def seen_in(body: bytes) -> Seen:
    """Looks at a stream's bytes; never raises."""
    marks = set(_in_lines(body))
    messages = list(_messages(body))
    marks.update(_in_ends(messages))
    payloads = [(name, payload) for name, payload in map(_opened, messages) if payload is not None]
    marks.update(mark for message in messages for mark in _in_envelope(message))
    marks.update(mark for name, payload in payloads for mark in _in_payload(name, payload))
    marks.update(_in_order(payloads))
    ordered = tuple(mark for mark in _SENTENCES if mark in marks)
    return Seen(_dialect(marks) if messages else "unknown", ordered, tuple(_SENTENCES[mark] for mark in ordered))


def _dialect(marks: set[str]) -> str:
    for name, needed in _DIALECTS:
        if needed <= marks:
            return name
    return "unknown" if marks - _NO_DIALECT else _STANDARD


def _messages(body: bytes) -> list[SSEMessage]:
    decoder = SSEDecoder()
    found = decoder.feed(body)
    with suppress(EventTooLargeError):
        decoder.end()
    return found


def _in_lines(body: bytes) -> Iterator[str]:
    if b"\r\n" in body:
        yield "crlf"
    for line in body.splitlines():
        field = line.partition(b":")[0]
        if line.startswith(b":"):
            yield "comments"
        elif field not in _KNOWN_FIELDS:
            yield "fields"


def _in_ends(messages: list[SSEMessage]) -> Iterator[str]:
    done = [message for message in messages if message.event == "done" or message.data.strip() == b"[DONE]"]
    if not done:
        yield "no_done"
    elif done[-1].event == UNNAMED:
        yield "unnamed_done"


def _in_envelope(message: SSEMessage) -> Iterator[str]:
    value = _object(message.data)
    if message.event != UNNAMED or value is None:
        return
    if value.keys() == {"event", "data"} and isinstance(value["event"], str):
        yield "envelope_data_first" if next(iter(value)) == "data" else "envelope_event_first"
    elif "error" not in value:
        yield "unnamed"


def _opened(message: SSEMessage) -> tuple[str, JSONObject | None]:
    """A message's name and payload, out of its envelope."""
    value = _object(message.data)
    if message.event == UNNAMED and value is not None and isinstance(value.get("event"), str) and "data" in value:
        data = value["data"]
        return str(value["event"]), cast("JSONObject", data) if isinstance(data, dict) else None
    if message.event == UNNAMED and value is not None and "error" in value:
        return "error", value
    return message.event, value


def _in_payload(name: str, payload: JSONObject) -> Iterator[str]:
    if name == "error":
        yield "error"
        return
    if name not in REGISTRY and name not in (UNNAMED, "done"):
        yield "unknown_events"
    kind, is_delta = payload.get("object"), name.endswith(".delta")
    if name.startswith("thread.") and not isinstance(kind, str):
        yield "no_object"
    yield from _in_times(payload)
    prefix, id = _PREFIXES.get(str(kind)), payload.get("id")
    if prefix is not None and isinstance(id, str) and not id.startswith(prefix):
        yield "bare_ids"
    if kind == "thread.run" and not is_delta:
        yield from _in_run(name, payload)
    if kind == "thread.run.step" and "failed_at" in payload and "expires_at" in payload and "expired_at" not in payload:
        yield "step_deadline"
    delta = payload.get("delta")
    if isinstance(delta, dict) and isinstance(cast("JSONObject", delta).get("content"), dict):
        yield "content_object"


def _in_times(payload: JSONObject) -> Iterator[str]:
    created = payload.get("created_at")
    if isinstance(created, float):
        yield "fractions"
    if isinstance(created, (int, float)) and created > MAX_SECONDS:
        yield "milliseconds"


def _in_run(name: str, run: JSONObject) -> Iterator[str]:
    if "last_error" not in run and "required_action" not in run:
        yield "no_nulls"
    named, status = name.rpartition(".")[2], run.get("status")
    if name.startswith("thread.run.") and isinstance(status, str) and named not in (status, "created"):
        yield "status_differs"


def _in_order(payloads: list[tuple[str, JSONObject]]) -> Iterator[str]:
    if not any((entry := REGISTRY.get(name)) is not None and entry.stops is not None for name, _ in payloads):
        yield "no_stop"
    indexes: Counter[str] = Counter()
    pieces: Counter[str] = Counter()
    for name, payload in payloads:
        if name == "thread.message.delta" and (index := _only_index(payload)) is not None:
            key = str(payload.get("id"))
            indexes[key] += index == pieces[key]
            pieces[key] += 1
    if any(count > 2 and indexes[key] == count for key, count in pieces.items()):
        yield "growing_index"


def _only_index(payload: JSONObject) -> int | None:
    """The index of a delta's only part."""
    delta = payload.get("delta")
    content = cast("JSONObject", delta).get("content") if isinstance(delta, dict) else None
    parts = cast("list[object]", content) if isinstance(content, list) else []
    if len(parts) != 1 or not isinstance(parts[0], dict):
        return None
    index = cast("JSONObject", parts[0]).get("index")
    return index if isinstance(index, int) else None


def _object(data: bytes) -> JSONObject | None:
    try:
        value: object = msgspec.json.decode(data)
    except UNDECODABLE:
        return None
    return cast("JSONObject", value) if isinstance(value, dict) else None
