"""Answers read: a status that is an error becomes the right exception, a body becomes the promised Struct."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TypeVar

import msgspec

from ..complaint import read_complaint, redacted
from ..depth import is_deeper
from ..errors import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    EndpointRetiredError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ThreadBusyError,
    UnprocessableEntityError,
)
from ..models import ErrorObject
from ..operations import Call
from ..plain_json import NotJSONError, parse
from ..repair import UnbuildableError, repair

T = TypeVar("T")

_BY_STATUS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
_BUSY = re.compile(r"already has an active run|while a run \S+ is active")
_BUSY_RUN = re.compile(r"active run ([\w-]+)\W*$|while a run ([\w-]+) is active")
_MAX_ERROR_DEPTH = 64
_COMPRESSED = frozenset({"gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd"})
_LOCKED = "conversation_locked"
"""The code for a conversation that another response is at work on; the status is 400, or 409."""
_RETIRED_HOST, _RETIRED_DOMAIN = "api.openai.com", ".openai.azure.com"
_RETIRED_PATHS = ("/threads", "/assistants")


def status_error(
    call: Call[T],
    *,
    host: str,
    status: int,
    headers: Mapping[str, str],
    body: str,
    retry_after: float | None,
    redact: Callable[[str], str] = str,
) -> APIStatusError:
    """The exception for an answer that is not the one asked for."""
    as_sent = error_object(body)  # what it means must not go by what the key happens to be
    kind = _class_of(status, as_sent, host, call.operation.path)
    said = redacted(as_sent, redact)
    message = f"{status} {_phrase(status)} from {call.operation.name}"
    if kind is EndpointRetiredError:
        message += (
            f": {host} no longer serves this protocol; point base_url at a server that does, or use "
            "backend=ResponsesBackend(...), as the page 'Your Assistants code after August 2026' shows"
        )
    elif said.message:
        message += f": {_shortened(said.message)}"
    error = kind(
        message,
        status_code=status,
        code=said.code,
        type=said.type,
        param=said.param,
        body=redact(body),
        request_id=headers.get("x-request-id"),
        headers=headers,
        retry_after=retry_after,
        outcome_unknown=call.operation.creates and (status >= 500 or status == 408),
    )
    if isinstance(error, ThreadBusyError) and (found := _BUSY_RUN.search(as_sent.message)):
        error.run_id = found[1] or found[2]
    return error


def _class_of(status: int, said: ErrorObject, host: str, path: str) -> type[APIStatusError]:
    if (status == 400 and _BUSY.search(said.message)) or (status in (400, 409) and said.code == _LOCKED):
        return ThreadBusyError
    name = host.partition(":")[0].lower()
    if status == 404 and path.startswith(_RETIRED_PATHS) and (name == _RETIRED_HOST or name.endswith(_RETIRED_DOMAIN)):
        return EndpointRetiredError
    return _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no such status)"


def error_object(body: str) -> ErrorObject:
    """Reads an error body of any server: OpenAI's and LiteLLM's envelope, OAuth's, FastAPI's `detail`, or plain text."""
    payload = body.encode("utf-8", "replace")
    if is_deeper(payload, _MAX_ERROR_DEPTH):
        return ErrorObject()
    try:
        value = parse(payload)
    except NotJSONError:
        return ErrorObject(message=_one_line(body))
    said = read_complaint(value)
    return msgspec.structs.replace(said, message=_one_line(said.message))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shortened(line: str) -> str:
    """A gateway's page of HTML is no message; its first words may be. Ids may be long, and at the end of what is said."""
    return line if len(line) <= 300 else line[:300] + "..."


def result(call: Call[T], body: bytes, *, max_depth: int) -> T | None:
    """The Struct that a plain answer holds, leniently; None where it holds none."""
    if is_deeper(body, max_depth):
        return None
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(body, type=call.operation.result)
    with suppress(NotJSONError, UnbuildableError):
        return repair(body, call.operation.result)
    return None


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Whether an event stream is announced, whatever charset it claims: the standard says UTF-8."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether JSON is announced."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether the body is compressed, although that was declined.

    Only codings that there are count: servers write `none` to keep proxies from compressing a stream.
    """
    codings = headers.get("content-encoding", "").lower().split(",")
    return any(coding.strip() in _COMPRESSED for coding in codings)


def content_of(headers: Mapping[str, str]) -> str:
    """What the body says it is, for a message."""
    if is_encoded(headers):
        return f"content encoding {headers['content-encoding']!r:.40}"
    return f"content type {headers.get('content-type')!r:.80}"
