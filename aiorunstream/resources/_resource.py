"""What every resource has: a backend, and the two ways to use it."""

from collections.abc import Awaitable, Mapping, Sequence
from contextvars import ContextVar
from typing import TypeVar, cast

from msgspec import UNSET, UnsetType

from .. import checks
from ..backends import Answer, Backend
from ..errors import InvalidArgumentError
from ..models import Page
from ..operations import Call, Operation, make_call
from ..options import RequestOptions
from ..stream import StreamCall
from ._pages import ListCall

T = TypeVar("T")


_latest: ContextVar[list[Answer[object]] | None] = ContextVar("aiorunstream_latest_answer", default=None)


def keep_answer(answer: Answer[T]) -> None:
    """Shows an answer to `with_response`, if that is around."""
    kept = _latest.get()
    if kept is not None:
        kept.append(cast("Answer[object]", answer))


async def with_response(call: Awaitable[T]) -> Answer[T]:
    """Awaits any plain call of this package and returns its result with the answer's status, headers and request id.

        response = await with_response(client.threads.retrieve("thread_1"))
        response.data, response.request_id, response.headers["x-ratelimit-remaining-requests"]

    A stream has these itself, and so has every error.

    Args:
        call: what a method of `client.threads`, `client.assistants` and so on returned; not a task, whose answer is
            out of reach. Where it sends several requests, as `poll` does, the last answer counts.

    Raises:
        TypeError: no request of this package was sent while it was awaited.
    """
    if isinstance(call, StreamCall):
        call.close()
        raise TypeError("a stream has its status, headers and request id itself; with_response is for plain calls")
    kept: list[Answer[object]] = []
    token = _latest.set(kept)
    try:
        data = await call
    finally:
        _latest.reset(token)
    if not kept:
        raise TypeError("with_response takes an awaitable of this package that sends a request, and no task")
    return Answer(data, kept[-1].status_code, kept[-1].headers)


class Resource:
    """A noun of the protocol. `backend` carries its calls out."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def _call(
        self,
        operation: Operation[T],
        ids: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        options: RequestOptions | None = None,
    ) -> T:
        return await self._send(make_call(operation, ids, body=body, options=options))

    def _list(
        self,
        operation: Operation[Page[T]],
        ids: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str],
        include: Sequence[str] | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> ListCall[T]:
        included = include_query(include)
        make_call(operation, ids)  # a bad id is refused now, not when the list is awaited

        async def fetch(asked: Mapping[str, str]) -> Page[T]:
            return await self._send(make_call(operation, ids, query=[*asked.items(), *included], options=options))

        return ListCall(query, fetch)

    async def _send(self, call: Call[T]) -> T:
        return (await self._answer(call)).data

    async def _answer(self, call: Call[T]) -> Answer[T]:
        answer = await self._backend.call(call)
        keep_answer(answer)
        return answer


def include_query(include: Sequence[str] | UnsetType) -> list[tuple[str, str]]:
    """`include` as it stands in the query. Raises `InvalidArgumentError`."""
    if include is UNSET:
        return []
    checks.texts("include", include)
    return [("include[]", value) for value in include]


def must_stream(stream: object, *, instead: str) -> None:
    """Refuses `stream=False` on a method that streams, naming the one that does not."""
    if stream is not True:
        raise InvalidArgumentError(f"stream must be True here; for a plain answer call {instead}", argument="stream")


def must_not_stream(stream: object, *, instead: str) -> None:
    """Refuses `stream=True`, the commonest line of code that comes from the SDKs, naming the method that streams."""
    if stream:
        raise InvalidArgumentError(f"stream must not be True here; for a stream call {instead}", argument="stream")
