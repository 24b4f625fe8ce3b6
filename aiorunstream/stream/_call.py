"""A request for a stream that has not been sent yet."""

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """What a call opens."""

    async def aclose(self) -> None:
        """Closes it."""
        ...


S_co = TypeVar("S_co", bound=Closable, covariant=True)


class StreamCall(Coroutine[Any, Any, S_co], Generic[S_co]):
    """A request that has not been sent: await it, or enter it with `async with`, and it is.

    It is a coroutine, so `asyncio.create_task(call)`, `gather` and `wait_for` take it too. It can be used once; one that
    is dropped gets Python's own "never awaited" warning.
    """

    __slots__ = ("_coroutine", "_stream")

    def __init__(self, coroutine: Coroutine[Any, Any, S_co]) -> None:
        self._coroutine = coroutine
        self._stream: S_co | None = None

    def send(self, value: Any, /) -> Any:  # the coroutine protocol's
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        return self._coroutine.throw(*args)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, S_co]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> S_co:
        self._stream = stream = await self._coroutine
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if self._stream is not None:
            await self._stream.aclose()
