"""A request for a stream that has not been sent yet."""

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from ..errors import StreamBusyError


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

    Raises:
        StreamBusyError: it was used already.
    """

    __slots__ = ("_coroutine", "_stream", "_used")

    def __init__(self, coroutine: Coroutine[Any, Any, S_co]) -> None:
        self._coroutine = coroutine
        self._stream: S_co | None = None
        self._used = False

    def send(self, value: Any, /) -> Any:  # the coroutine protocol's
        self._used = True
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        return self._coroutine.throw(*args)

    def close(self) -> None:
        self._used = True
        self._coroutine.close()

    def _taken(self) -> Coroutine[Any, Any, S_co]:
        """What sends it, for its one use."""
        if self._used:
            raise StreamBusyError("this call was used already: make a new one")
        self._used = True
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, S_co]:
        return self._taken().__await__()

    async def __aenter__(self) -> S_co:
        self._stream = stream = await self._taken()
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if self._stream is not None:
            await self._stream.aclose()

    if not TYPE_CHECKING:  # type checkers have a better place for this error

        def __aiter__(self) -> NoReturn:
            self.close()  # else Python warns of a request that was never sent, too
            raise StreamBusyError("this stream is not open: enter it with `async with`")
