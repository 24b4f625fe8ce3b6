"""A call as the bridge hears it: everything in it as plain JSON, its query as a dict; and refusals as the right errors."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ...errors import APIStatusError
from ...intake import Paging, StoreError, read_paging, read_params
from ...models import ErrorObject, JSONObject
from ...operations import SEARCH_CONTENT, Call
from ...options import RequestOptions
from ...params import Params
from .. import _answers
from ._assistants import plain

P = TypeVar("P", bound=Params)


class Asked:
    """One call.

    Attributes:
        name: of its operation.
        ids: of its path.
        body: plain JSON; empty where there is none.
        include: what is to be included.
        options: of the request.
    """

    def __init__(self, call: Call[Any]) -> None:
        self.name = call.operation.name
        self.ids = call.ids
        self.body: JSONObject = {} if call.body is None else plain(call.body)
        self.include = [value for name, value in call.query if name.startswith("include")]
        self.options: RequestOptions = call.options
        self._query: Mapping[str, str] = dict(call.query)

    def __getitem__(self, name: str) -> str:
        """An id of the path."""
        return self.ids[name]

    def params(self, kind: type[P]) -> P:
        """The body as parameters. Raises `StoreError`."""
        return read_params(kind, self.body)

    @property
    def paging(self) -> Paging:
        """Which part of a list is asked for. Raises `StoreError`."""
        return read_paging(self._query)

    @property
    def run_id(self) -> str | None:
        """The run whose messages are asked for."""
        return self._query.get("run_id")

    @property
    def with_contents(self) -> bool:
        """Whether what file searches found is to be shown."""
        return SEARCH_CONTENT in self.include


def refused(call: Call[Any], error: StoreError) -> APIStatusError:
    """What the store could not do, as the error that a server's answer would have been."""
    said = ErrorObject(error.message, "invalid_request_error", error.code, error.param)
    status = 404 if error.kind == "not_found" else 400
    body = msgspec.json.encode({"error": said}).decode()
    return _answers.status_error(call, host="", status=status, headers={}, body=body, retry_after=None)
