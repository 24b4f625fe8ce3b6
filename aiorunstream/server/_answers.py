"""Answers as OpenAI writes them: JSON, and errors in their envelope."""

import msgspec
from aiohttp import web

from ..intake import StoreError
from ..models import ErrorObject


class RequestError(Exception):
    """A request that is answered with an error of HTTP's, not of the protocol's.

    `closes` says that where the next request on its connection begins is not known.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, closes: bool = False
    ) -> None:
        super().__init__(message)
        self.closes = closes
        self.status = status
        self.message = message
        self.param = param
        self.code = code


def json_answer(value: object, status: int = 200) -> web.Response:
    """The value as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def error_answer(status: int, message: str, *, param: str | None = None, code: str | None = None) -> web.Response:
    """An error in the envelope."""
    type = "invalid_request_error" if status < 500 else "server_error"
    # Bytes of a hostile path may have come out as lone surrogates, which have no JSON.
    message, param = _sound(message), None if param is None else _sound(param)
    return json_answer({"error": ErrorObject(message, type, code, param)}, status)


def refusal(error: StoreError) -> web.Response:
    """What the store could not do, as an answer."""
    status = 404 if error.kind == "not_found" else 400
    return error_answer(status, error.message, param=error.param, code=error.code)


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
