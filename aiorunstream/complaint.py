"""An error as any server writes it, read into one shape.

OpenAI's is flat inside a stream and wrapped in `{"error": ...}` outside; LiteLLM wraps both; FastAPI says `detail`, as text or
as a list of what did not validate; OAuth puts a code under `error` and words under `error_description`; gateways write
text. Nothing here fails: an error that cannot be read is still an error. What becomes an exception has lost its secrets.
"""

from collections.abc import Callable
from typing import cast

from .errors import RunStreamError
from .models import ErrorObject
from .plain_json import as_object

_DEEPEST_WRAPPER = 8


def read_complaint(value: object) -> ErrorObject:
    """Reads parsed JSON as an error; whatever has no words gives an empty message."""
    for _ in range(_DEEPEST_WRAPPER):
        part = as_object(value)
        if part is None:
            break
        inner = part.get("error") if part.get("error") is not None else part.get("detail")
        described = part.get("error_description")
        if isinstance(described, str):
            return ErrorObject(message=described, code=_text(inner))
        if inner is None:
            return _flat(part)
        value = inner
    if isinstance(value, list):
        return ErrorObject(message="; ".join(_validation(item) for item in cast("list[object]", value)))
    return ErrorObject(message=_text(value) or "")


def redacted(error: ErrorObject, redact: Callable[[str], str]) -> ErrorObject:
    """The same without secrets. It is done after parsing: JSON can spell a key in ways that its text does not show."""
    return ErrorObject(
        message=redact(error.message),
        type=None if error.type is None else redact(error.type),
        code=redact(error.code) if isinstance(error.code, str) else error.code,
        param=None if error.param is None else redact(error.param),
    )


def server_said(error: ErrorObject, redact: Callable[[str], str]) -> RunStreamError:
    """The exception for a server's error event."""
    said = redacted(error, redact)
    words = said.message or "the server sent an error event"
    return RunStreamError(words, code=said.code, param=said.param, type=said.type)


def is_flat(value: object) -> bool:
    """Whether an error is written as the protocol's schema has it: nothing of it has to be changed."""
    part = as_object(value)
    return part is not None and isinstance(part.get("message"), str) and not part.keys() & {"error", "detail"}


def _flat(part: dict[str, object]) -> ErrorObject:
    code = part.get("code")
    return ErrorObject(
        message=_text(part.get("message")) or "",
        type=_text(part.get("type")),
        code=code if isinstance(code, int) and not isinstance(code, bool) else _text(code),
        param=_text(part.get("param")),
    )


def _validation(item: object) -> str:
    """FastAPI's way to say what did not validate: `{"loc": ["body", "x"], "msg": "..."}`."""
    part = as_object(item)
    if part is None:
        return _text(item) or ""
    place = part.get("loc")
    where = ".".join(str(step) for step in cast("list[object]", place)) + ": " if isinstance(place, list) else ""
    return where + (_text(part.get("msg")) or _text(part.get("message")) or "")


def _text(value: object) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None
