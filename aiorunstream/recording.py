r"""A run stream on paper: the bytes of its body with the times they came at, and how the body ended. No clock, no file.

A recording is lines of JSON in UTF-8, format 1:

    {"recording": 1, "aiorunstream": "0.1.0", "status": 200, "head_ms": 4.2, "headers": {"content-type": "..."}}
    {"ms": 0.3, "text": "event: thread.run.created\ndata: {}\n\n"}
    {"ms": 7.9, "base64": "/w=="}
    {"ms": 8.1, "end": "clean"}

- The first line says the format, this library's version, and of the answer its status, a few headers, and `head_ms`, the
  time from the request to the answer's head.
- Then comes a line for each read, with the milliseconds since the head: `text` where the bytes are UTF-8, else `base64`.
- The last line says how the body ended, one of `Ending`, with `reason` where there was one.

Nothing of the request is kept. Of the answer's headers only harmless ones are. Keys that were sent, and are quoted by the
server, become stars.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from .decode import UNDECODABLE

FORMAT = 1
KEPT_HEADERS = (
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "content-length",
    "cache-control",
    "connection",
    "date",
    "server",
    "via",
    "openai-version",
    "openai-processing-ms",
    "x-request-id",
)
"""All others are left out, since they may hold cookies and names."""

Ending = Literal["clean", "broken", "timeout", "left"]
"""The body ended as HTTP says; the connection broke; a clock of the reader ran out; the reader left before any of these."""

_STARS = b"***"


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line."""

    recording: int
    aiorunstream: str
    status: int = 200
    head_ms: float = 0.0
    headers: dict[str, str] = {}


class Piece(msgspec.Struct, frozen=True):
    """What one read brought: `ms` after the head, `data` as it came."""

    ms: float
    data: bytes


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last line."""

    ms: float
    end: Ending
    reason: str | None = None


class Answered(msgspec.Struct, frozen=True):
    """What an answer says before its body: its status, and its content type in lower case, without parameters; "" for none."""

    status: int
    content_type: str = ""


class Recording(msgspec.Struct, frozen=True):
    """A recording that was read.

    Attributes:
        head: its first line; None for bytes that are no recording but the body of an answer.
        pieces: in order.
        end: how the body ended; None where that is not known.
        problem: what is wrong with the recording, and in which line; None where nothing is. What stands before is in `pieces`.
        answered: how the server answered; None where that was not kept.
    """

    head: Head | None
    pieces: tuple[Piece, ...]
    end: End | None
    problem: str | None = None
    answered: Answered | None = None


class _Line(msgspec.Struct, omit_defaults=True):
    ms: float
    text: str | None = None
    base64: str | None = None
    end: Ending | None = None
    reason: str | None = None


# -- writing ---------------------------------------------------------------------------------------------------------


class RecordingWriter:
    """Makes the lines of one recording. Whoever has a clock and a file calls it in order, and writes what it returns.

    Args:
        secrets: bytes that must not be in it, such as keys; longest first.
    """

    def __init__(self, *, secrets: Sequence[bytes] = ()) -> None:
        self._secrets = tuple(secrets)
        self._held = b""  # may be the beginning of a secret

    def head(self, *, version: str, status: int, head_ms: float, headers: Mapping[str, str]) -> bytes:
        """The first line: this library's version, and the answer's head, `head_ms` milliseconds after its request."""
        found = {name.lower(): value for name, value in headers.items()}
        kept = {name: self._clean_text(found[name]) for name in KEPT_HEADERS if name in found}
        return _line(Head(FORMAT, version, status, _rounded(head_ms), kept))

    def piece(self, ms: float, data: bytes) -> bytes:
        """The line of a read, `ms` milliseconds after the head. Bytes that may begin a secret come with the next."""
        data = self._clean(self._held + data)
        kept = len(data) - self._secret_begun(data)
        data, self._held = data[:kept], data[kept:]
        return _piece(ms, data)

    def end(self, ms: float, how: Ending, reason: str | None = None) -> bytes:
        """The last lines."""
        held, self._held = self._held, b""
        return _piece(ms, held) + _line(End(_rounded(ms), how, None if reason is None else self._clean_text(reason)))

    def _clean(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, _STARS)
        return data

    def _clean_text(self, text: str) -> str:
        return self._clean(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _secret_begun(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret."""
        most = min(len(data), max(map(len, self._secrets), default=1) - 1)
        return next((size for size in range(most, 0, -1) if self._begins(data[-size:])), 0)

    def _begins(self, tail: bytes) -> bool:
        return any(len(secret) > len(tail) and secret.startswith(tail) for secret in self._secrets)


def _piece(ms: float, data: bytes) -> bytes:
    if not data:
        return b""
    try:
        return _line(_Line(_rounded(ms), text=data.decode()))
    except UnicodeDecodeError:
        return _line(_Line(_rounded(ms), base64=b64encode(data).decode()))


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _rounded(ms: float) -> float:
    return round(ms, 3)


# -- reading ---------------------------------------------------------------------------------------------------------


def read_recording(data: bytes) -> Recording:
    """Reads a recording; never raises. What is none is taken as the body of an answer, with or without its HTTP head."""
    first = data.partition(b"\n")[0]
    if b'"recording"' not in first[:200] or not first.lstrip().startswith(b"{"):
        answered, body = _without_http_heads(data)
        return Recording(None, tuple(_by_line(body)), None, answered=answered)
    try:
        head = msgspec.json.decode(first, type=Head)
    except UNDECODABLE as error:
        return Recording(None, (), None, f"line 1 (byte 0) is not the first line of a recording: {error}")
    if head.recording != FORMAT:
        return Recording(head, (), None, f"line 1 (byte 0): this is format {head.recording}, and not {FORMAT}")
    return _read_lines(head, data, len(first) + 1)


def _read_lines(head: Head, data: bytes, at: int) -> Recording:
    pieces: list[Piece] = []
    end: End | None = None
    problem: str | None = None
    for number, line in enumerate(data[at:].split(b"\n"), start=2):
        if line and end is not None:
            problem = f"line {number} (byte {at}) comes after the end"
            break
        if line:
            found = _read_line(line)
            if isinstance(found, str):
                problem = f"line {number} (byte {at}) {found}"
                break
            if isinstance(found, End):
                end = found
            else:
                pieces.append(found)
        at += len(line) + 1
    if problem is None and end is None:
        problem = f"it breaks off at byte {len(data)}: there is no line that says how the stream ended"
    return Recording(head, tuple(pieces), end, problem, _answered(head.status, head.headers.items()))


def _read_line(line: bytes) -> Piece | End | str:
    """What a line holds, or what is wrong with it."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except UNDECODABLE as error:
        return f"cannot be read: {error}"
    if not 0 <= found.ms < float("inf"):
        return "has a time that is none"
    if found.end is not None:
        return End(found.ms, found.end, found.reason)
    if found.text is not None:
        return Piece(found.ms, found.text.encode("utf-8", "surrogatepass"))
    if found.base64 is None:
        return "holds neither text, nor base64, nor an end"
    try:
        return Piece(found.ms, b64decode(found.base64, validate=True))
    except ValueError:
        return "holds base64 that is none"


def _by_line(body: bytes) -> Iterator[Piece]:
    return (Piece(0.0, line) for line in body.splitlines(keepends=True))


def _without_http_heads(data: bytes) -> tuple[Answered | None, bytes]:
    """What `curl -i` writes has the answer's head before its body, and before that those of proxies and redirects."""
    answered: Answered | None = None
    while data.startswith(b"HTTP/"):
        head, body = _split_head(data)
        if body is None:
            break
        answered, data = _read_head(head), body
    return answered, data


def _split_head(data: bytes) -> tuple[bytes, bytes | None]:
    for blank in (b"\r\n\r\n", b"\n\n"):
        head, found, body = data.partition(blank)
        if found and b"data:" not in head:
            return head, body
    return data, None


def _read_head(head: bytes) -> Answered | None:
    first, *rest = head.decode("latin-1").splitlines()
    status = first.split()[1:2]
    if not status or not (status[0].isascii() and status[0].isdecimal()):
        return None
    fields = (line.partition(":") for line in rest)
    return _answered(int(status[0][:3]), ((name, value) for name, _, value in fields))


def _answered(status: int, headers: Iterable[tuple[str, str]]) -> Answered:
    kinds = (value for name, value in headers if name.strip().lower() == "content-type")
    return Answered(status, next(kinds, "").partition(";")[0].strip().lower())
