"""One run of many: what it has put down, what became of it, and when its connection is free."""

import asyncio

from ..errors import AiorunstreamError, StreamProtocolError
from ..helper import AssistantStream
from ._items import RunFailure, RunResult
from ._request import RunRequest

_DRAIN_LOOKS = 9
"""Looks at whether a connection is free yet: 1 ms apart at first, then twice as long each; 0.25 s are spent after eight."""


class Turn:
    """How much one run has put down that nobody has taken yet.

    Attributes:
        waiting: so many items.
        enough: so few that the run may go on, if it waits in `room`.
    """

    __slots__ = ("enough", "room", "waiting")

    def __init__(self) -> None:
        self.waiting = self.enough = 0
        self.room: asyncio.Future[None] | None = None

    async def until(self, enough: int) -> None:
        """Waits until no more than so many are left; there are more now."""
        self.enough = enough
        self.room = asyncio.get_running_loop().create_future()
        await self.room


def wake(future: "asyncio.Future[None]") -> None:
    """Ends a wait, if it was not cancelled."""
    if not future.done():
        future.set_result(None)


def result_of(key: str, stream: AssistantStream, seconds: float) -> RunResult:
    """What the run of a stream that has ended came to. Raises `StreamProtocolError` where nothing ever showed the run."""
    run, status = stream.run, stream.outcome
    if run is None or status is None:
        raise StreamProtocolError("the run stopped with an event that does not show it")
    return RunResult(
        key,
        run,
        status,
        text=stream.text,
        messages=stream.snapshot.messages,
        events=stream.events_seen,
        seconds=seconds,
        time_to_first_token=stream.time_to_first_token,
    )


def failure_of(request: RunRequest, stream: AssistantStream, error: Exception, seconds: float) -> RunFailure:
    """What is to be said of a run that failed."""
    if isinstance(error, AiorunstreamError):
        error.__traceback__ = None  # it leads nowhere but here, and would hold the stream for as long as it is kept
    return RunFailure(
        request.key,
        error,
        thread_id=stream.thread_id or request.thread_id,
        run_id=stream.run_id,
        text=stream.text,
        events=stream.events_seen,
        seconds=seconds,
    )


async def connection_is_free(stream: AssistantStream) -> None:
    """Waits until the connection is pooled or closed, which takes a quarter of a second at most."""
    if stream.segment == 0:
        return  # there is none
    for look in range(_DRAIN_LOOKS):
        if stream.run_stream.clean_close is not None:
            return
        await asyncio.sleep(0.001 * 2**look)
