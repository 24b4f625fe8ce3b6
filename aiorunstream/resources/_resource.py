"""What every resource has: a backend, and the two ways to use it."""

from collections.abc import Mapping
from typing import TypeVar

from ..backends import Backend
from ..errors import InvalidArgumentError
from ..operations import Call, Operation, make_call
from ..options import RequestOptions
from ..protocol import OnErrorEvent
from ..stream import RunStream

T = TypeVar("T")


class Resource:
    """A noun of the protocol.

    Args:
        backend: carries the calls out.
        on_error_event: what a stream does with a server's error event, unless its call says otherwise.
    """

    def __init__(self, backend: Backend, *, on_error_event: OnErrorEvent = "raise") -> None:
        self._backend = backend
        self._on_error_event: OnErrorEvent = on_error_event

    async def _call(
        self,
        operation: Operation[T],
        ids: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        options: RequestOptions | None = None,
    ) -> T:
        return await self._backend.call(make_call(operation, ids, body=body, options=options))

    async def _stream(self, call: Call[T], on_error_event: OnErrorEvent | None) -> RunStream:
        opened = await self._backend.open(call, on_error_event=on_error_event or self._on_error_event)
        ids = call.ids
        return RunStream(opened.body, opened.protocol, thread_id=ids.get("thread_id"), run_id=ids.get("run_id"))


def must_stream(stream: object, *, instead: str) -> None:
    """Refuses `stream=False` on a method that streams, naming the one that does not."""
    if stream is not True:
        raise InvalidArgumentError(f"stream must be True here; for a plain answer call {instead}", argument="stream")


def must_not_stream(stream: object, *, instead: str) -> None:
    """Refuses `stream=True`, the commonest line of code that comes from the SDKs, naming the method that streams."""
    if stream:
        raise InvalidArgumentError(f"stream must not be True here; for a stream call {instead}", argument="stream")
