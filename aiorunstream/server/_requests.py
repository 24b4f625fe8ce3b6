"""Requests as they come over HTTP, read with suspicion."""

from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec
from aiohttp import web
from aiohttp.http import HttpProcessingError

from ..depth import is_deeper
from ..intake import Paging, read_paging, read_params
from ..operations import SEARCH_CONTENT, Operation
from ..params import Params
from ._answers import RequestError
from ._spelling import Spelling

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 128

P = TypeVar("P", bound=Params)


class Asked(msgspec.Struct, frozen=True):
    """One request: the ids in its path, its query, and its JSON body with `stream` taken out.

    `with_contents` says that it asks to include the contents of what file searches found; `spelling` writes its stream.
    """

    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, object]
    stream: bool = False
    with_contents: bool = False
    spelling: Spelling | None = None

    def params(self, kind: type[P]) -> P:
        """The body as parameters. Raises `StoreError`."""
        return read_params(kind, self.body)

    def paging(self) -> Paging:
        """Which part of a list is asked for. Raises `StoreError`."""
        return read_paging(self.query)

    def __getitem__(self, name: str) -> str:
        return self.ids[name]


async def read_request(operation: Operation[object], request: web.Request) -> Asked:
    """Reads a request for an operation.

    Raises:
        RequestError: its body is no JSON object, too large, too deep or not said to be JSON; or `include[]` or
            `stream` is not what it may be.
    """
    included = _read_includes(request) if "include[]" in operation.query else []
    body = {} if operation.body is None else _read_json(await _read_body(request), request.content_type)
    stream = body.pop("stream", None) if operation.streams else None
    if not isinstance(stream, (bool, type(None))):
        raise RequestError(400, "stream must be true, false or null.", param="stream")
    return Asked(dict(request.match_info), dict(request.query), body, bool(stream), bool(included))


def _read_includes(request: web.Request) -> list[str]:
    # OpenAI repeats `include[]`; Azure joins the values of `include` with commas.
    joined = [value for values in request.query.getall("include", []) for value in values.split(",")]
    found = [*request.query.getall("include[]", []), *joined]
    for value in found:
        if value != SEARCH_CONTENT:
            raise RequestError(400, f"include[] cannot be {value!r:.80}.", param="include[]")
    return found


async def _read_body(request: web.Request) -> bytes:
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":  # unpacked, a few bytes could be gigabytes
        raise RequestError(400, f"The Content-Encoding {encoding!r:.40} is not understood.")
    too_large = RequestError(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise too_large
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except (web.RequestPayloadError, HttpProcessingError):  # the second while it is waited for
        raise RequestError(400, "The body broke off, or is not framed as its headers say.", closes=True) from None


def _read_json(body: bytes, content_type: str) -> dict[str, object]:
    if not body:
        return {}
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise RequestError(400, f"The Content-Type must be application/json, not {content_type:.80}.")
    if is_deeper(body, MAX_DEPTH):
        raise RequestError(400, f"The body is nested deeper than {MAX_DEPTH}.")
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError):  # the second is invalid UTF-8, or a number of thousands of digits
        raise RequestError(400, "The body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise RequestError(400, "The body must be a JSON object.", code="invalid_json")
    return cast("dict[str, object]", value)
