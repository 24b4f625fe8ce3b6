"""Messages out, in bytes."""

import re

from ..errors import InvalidArgumentError

_LINE_END = re.compile(rb"\r\n|\r|\n")


def encode(data: bytes | str, *, event: str | None = None, id: str | None = None, retry: int | None = None) -> bytes:
    """Writes one message, with LF line ends. Data with line ends of any kind becomes several `data` lines.

    Raises:
        InvalidArgumentError: `event` or `id` holds CR, LF or NUL, which could forge another message; or
            `retry` is negative.
    """
    lines: list[bytes] = []
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            if any(char in value for char in "\r\n\0"):
                raise InvalidArgumentError(f"{name} must not contain CR, LF or NUL", argument=name)
            lines.append(f"{name}: {value}".encode("utf-8", "replace"))
    if retry is not None:
        if retry < 0:
            raise InvalidArgumentError("retry must not be negative", argument="retry")
        lines.append(b"retry: %d" % retry)
    payload = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if b"\n" in payload or b"\r" in payload:
        lines.extend(b"data: " + line for line in _LINE_END.split(payload))
    else:
        lines.append(b"data: " + payload)
    return b"\n".join(lines) + b"\n\n"
