"""Many runs in one iterator.

Each run has a task, which reads its stream and puts what comes into one queue; whoever iterates takes from it. A run that
has put down `buffer` items waits until half of them are taken, so memory is bounded and no run crowds out another. It keeps
its slot until all it has put down is taken and its connection is pooled or closed.

The tasks are this object's own, and no task group: no cancel scope stands around the body, so the body's exceptions leave
as they are, and it may be left from any task.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Literal, Self, cast

from .. import checks
from ..errors import InvalidArgumentError, StreamBusyError, StreamClosedError
from ..helper import AssistantStream
from ..resources import AsyncRuns, AsyncThreads
from ._items import RunFailure, RunItem, RunResult
from ._opening import Opening
from ._request import RunRequest
from ._turn import Turn, connection_is_free, failure_of, result_of, wake

Item = RunItem | RunResult | RunFailure
Requests = Iterable[RunRequest] | AsyncIterable[RunRequest]

_runs_here: "ContextVar[frozenset[asyncio.Task[None]]]" = ContextVar("_runs_here", default=frozenset())
"""The runs whose tools and handlers this is: what is done in here cannot wait for them."""
_CANCELLED = "a task of these runs was cancelled by somebody else"


class stream_many(AsyncIterator[RunItem | RunResult | RunFailure]):  # noqa: N801  # it is read as a function
    """Makes many runs at the same time, and iterates over all that happens in them.

        async with stream_many(client.threads.runs, requests, max_concurrency=200) as many:
            async for item in many:
                match item:
                    case RunItem(key, event): ...
                    case RunResult(key, run): ...
                    case RunFailure(key, error): ...

    Each request ends with exactly one `RunResult` or `RunFailure`; before it come the run's events, in their order. A result
    says how the run stopped, which need not be well: look at its `status`.

    Args:
        runs: `client.threads.runs`; or `client.threads`, which requests that make a thread need.
        requests: any iterable or async iterable. A request is asked for when there is a slot for it, and none before.
        max_concurrency: how many runs are under way. A slot is free again once all of its run was taken from here, and its
            connection is pooled or closed.
        on_error: "collect" hands failures out, and goes on; "raise" raises the first as it is, and ends the other runs.
        buffer: how many items of one run are kept for a reader who is slower; then that run's socket is not read.
        events: False hands out no events, only results and failures.

    Raises:
        InvalidArgumentError: at once, for an argument that cannot be meant. When iterating, for something among the requests
            that is none, for one that needs `client.threads`, and for one whose key another run has that is under way.
        StreamBusyError: it is not entered, or somebody else is reading.
        StreamClosedError: it was left.

    An exception of `requests` itself, and those of the line above about them, are raised as they are: with "collect" once the
    runs that were begun have ended, with "raise" at once. A cancelled step loses nothing.

    When the server answers a request with a time to wait (429 or 503 with `Retry-After`), no request for a run is sent until
    it is over, 120 s at most; then fewer at a time, and one more with each that gets through. Retries are as the client or
    the request's options have them; their budget is this object's. A request that is put off while others get through has
    not used up an attempt. Waiting for one of `Limits.max_streams` is no failure here.

    Leaving ends the runs that are left: their connections are closed within two turns of the loop, and those with
    `cancel_on_exit` are cancelled at the server, which takes at most 2 s for all of them.

    Attributes:
        started: how many requests were begun.
        done, failed: how many runs came to a result or a failure, whether that was taken yet or not.
        events: how many events came.
        tokens: how many tokens the runs have spent that are done, as far as the server said so.
    """

    def __init__(
        self,
        runs: AsyncRuns | AsyncThreads,
        requests: Iterable[RunRequest] | AsyncIterable[RunRequest],
        *,
        max_concurrency: int = 100,
        on_error: Literal["collect", "raise"] = "collect",
        buffer: int = 32,
        events: bool = True,
    ) -> None:
        self._opening = Opening(runs)
        self._requests = _checked(requests)
        checks.integer(1)("max_concurrency", max_concurrency)
        checks.integer(1)("buffer", buffer)
        checks.one_of("collect", "raise")("on_error", on_error)
        checks.boolean("events", events)
        self._raises = on_error == "raise"
        self._buffer = buffer
        self._hands_out_events = events
        self._slots = asyncio.Semaphore(max_concurrency)
        self._items: deque[Item] = deque()
        self._turns: deque[Turn] = deque()  # whose each item is
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._feeder: asyncio.Task[None] | None = None
        self._fed = False  # no more requests come
        self._reading = False
        self._news: asyncio.Future[None] | None = None  # the reader waits for it
        self._broken: BaseException | None = None  # what ended all
        self._refused: Exception | None = None  # what ended the requests
        self._closed = False
        self.started = self.done = self.failed = self.events = self.tokens = 0

    @property
    def running(self) -> int:
        """How many runs are under way: begun, and not ended or cut."""
        return 0 if self._closed or self._broken is not None else self.started - self.done - self.failed

    # -- reading ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunItem | RunResult | RunFailure:
        while not self._items:
            await self._wait()
        turn = self._turns.popleft()
        turn.waiting -= 1
        if turn.room is not None and turn.waiting <= turn.enough:
            room, turn.room = turn.room, None
            wake(room)
        return self._items.popleft()

    async def _wait(self) -> None:
        """Waits for news; raises what there is to raise where none will come."""
        if self._broken is not None:
            raise self._broken
        if self._closed:
            raise StreamClosedError("these runs were left")
        if self._feeder is None:
            raise StreamBusyError("stream_many is not open: enter it with `async with`")
        if self._reading:
            raise StreamBusyError("somebody else is reading these runs")
        if self._fed and not self._tasks:
            if self._refused is not None:
                raise self._refused
            raise StopAsyncIteration
        self._reading, self._news = True, asyncio.get_running_loop().create_future()
        try:
            await self._news
        finally:
            self._reading, self._news = False, None

    # -- making -----------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        requests, iterator = self._requests, None
        await self._slots.acquire()
        try:
            if isinstance(requests, AsyncIterable):
                iterator = aiter(requests)
                async for request in iterator:
                    await self._start(request)
            else:
                for request in requests:
                    await self._start(request)
        except Exception as error:  # the requests are somebody else's code
            self._refused = error
        finally:
            if isinstance(iterator, AsyncGenerator):  # else it would be left to the garbage collector
                await cast("AsyncGenerator[RunRequest]", iterator).aclose()
        if self._refused is not None and self._raises:
            self._break(self._refused)

    async def _start(self, request: RunRequest) -> None:
        """Begins a run, and waits for the slot of the next."""
        self._admit(request)
        self._tasks[request.key] = task = asyncio.get_running_loop().create_task(self._carry(request))
        task.add_done_callback(partial(self._dismiss, request.key))
        self.started += 1
        await asyncio.sleep(0)  # what has come meanwhile is not to wait for thousands of requests to be made
        await self._slots.acquire()

    def _admit(self, request: RunRequest) -> None:
        """Raises `InvalidArgumentError` for what cannot be begun."""
        given: object = request
        if not isinstance(given, RunRequest):
            raise InvalidArgumentError(f"requests must be RunRequests, not {type(given).__name__}", argument="requests")
        self._opening.check(request)
        if request.key in self._tasks:
            raise InvalidArgumentError(f"two requests have the key {request.key!r:.100}", argument="key")

    async def _carry(self, request: RunRequest) -> None:
        """One run, from its request to where its slot is free."""
        turn = Turn()
        stream = self._opening.stream(request)
        last = await self._read(request, stream, turn)
        if isinstance(last, RunResult):
            self.done += 1
            self.tokens += 0 if last.usage is None else last.usage.total_tokens
        else:
            self.failed += 1
            if self._raises:
                self._break(last.error)
                return
        self._put(last, turn)
        if self._tasks[request.key].cancelling():
            return  # a loop that shuts down waits for it, and nobody may be there to take what it put down
        await turn.until(0)
        await connection_is_free(stream)

    async def _read(self, request: RunRequest, stream: AssistantStream, turn: Turn) -> RunResult | RunFailure:
        """Hands a run's events out, and returns what became of it."""
        now = asyncio.get_running_loop().time
        began = now()
        outside = _runs_here.set(_runs_here.get() | {self._tasks[request.key]})
        try:
            async with stream:
                await self._hand_out(request.key, stream, turn)
            return result_of(request.key, stream, now() - began)
        except asyncio.CancelledError:
            if self._closed or self._broken is not None:
                raise
            return failure_of(request, stream, StreamClosedError(_CANCELLED), now() - began)
        except Exception as error:  # also a handler's
            return failure_of(request, stream, error, now() - began)
        finally:
            _runs_here.reset(outside)  # a task and its context that hold each other are left to the garbage collector

    async def _hand_out(self, key: str, stream: AssistantStream, turn: Turn) -> None:
        most = self._buffer if self._hands_out_events else 0
        async for event in stream:
            self.events += 1
            if most:
                self._put(RunItem(key, event), turn)
                if turn.waiting >= most:
                    await turn.until(most // 2)

    def _put(self, item: Item, turn: Turn) -> None:
        turn.waiting += 1
        self._turns.append(turn)
        self._items.append(item)
        if self._news is not None:
            self._tell()

    def _tell(self) -> None:
        """Wakes the reader, once: it takes all that has come by then."""
        if self._news is not None:
            news, self._news = self._news, None
            wake(news)

    # -- ending -----------------------------------------------------------------------------------------------------

    def _dismiss(self, key: str, task: "asyncio.Task[None]") -> None:
        del self._tasks[key]
        self._slots.release()
        self._look_at(task)

    def _note_fed(self, task: "asyncio.Task[None]") -> None:
        self._fed = True
        self._look_at(task)

    def _look_at(self, task: "asyncio.Task[None]") -> None:
        """A task has ended. What it raised is a fault of this package, or meant for the whole program."""
        if task.cancelled():
            self._break(StreamClosedError(_CANCELLED))
        elif (error := task.exception()) is not None:
            self._break(error)
        self._tell()

    def _break(self, error: BaseException) -> None:
        """Ends everything with an exception for the reader."""
        if self._broken is None and not self._closed:
            self._broken = error
            self._cut()

    def _cut(self) -> None:
        self._items.clear()
        self._turns.clear()
        for task in self._left():
            task.cancel()
        self._tell()

    def _left(self) -> "set[asyncio.Task[None]]":
        tasks = {*self._tasks.values()} if self._feeder is None else {*self._tasks.values(), self._feeder}
        return {task for task in tasks if not task.done()}

    async def __aenter__(self) -> Self:
        if self._feeder is not None or self._closed:
            raise StreamBusyError("these runs were begun already: a stream_many is entered once")
        self._feeder = asyncio.get_running_loop().create_task(self._feed())
        self._feeder.add_done_callback(self._note_fed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the runs that are left, and waits until their connections are closed. Idempotent, from any task.

        Called from within a run, by its handler, a tool or `approve`, it does not wait for that run.

        A cancel of this wait does not stop it: it lets go of what takes time, the cancels at the server, which go on in the
        background; then it is raised.
        """
        self._closed = True
        self._cut()
        cancelled: asyncio.CancelledError | None = None
        while pending := self._left() - _runs_here.get() - {asyncio.current_task()}:  # one of them may have asked
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                cancelled = error
                for task in pending:
                    task.cancel()
        if cancelled is not None:
            raise cancelled

    close = aclose

    def __repr__(self) -> str:
        return f"<stream_many started={self.started} running={self.running} done={self.done} failed={self.failed}>"


def _checked(requests: Requests) -> Requests:
    given: object = requests
    if isinstance(given, (str, bytes, RunRequest)) or not isinstance(given, (Iterable, AsyncIterable)):
        raise InvalidArgumentError(
            f"requests must be an iterable or async iterable of RunRequests, not {type(given).__name__}",
            argument="requests",
        )
    return requests
