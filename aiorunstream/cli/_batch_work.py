"""One go at a batch: what is left of its requests is made, and what becomes of each is written as it ends."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, closing, suppress
from typing import Any, BinaryIO, NamedTuple

from ..client import AsyncClient
from ..errors import AiorunstreamError, AuthenticationError, EndpointRetiredError
from ..fanout import RunFailure, RunRequest, RunResult, stream_many
from ..options import Timeouts
from ..retry import RetryPolicy
from ..server import AssistantsServer
from ..tools import ToolSet
from ._batch_files import BatchFiles
from ._batch_progress import BatchProgress, Counts, Reasons
from ._batch_requests import Requests
from ._batch_results import CallsMade, Result, failure_of, problem_of, result_of
from ._batch_runs import BatchThreads

_BETWEEN_SYNCS = 0.2
_LAST_MOMENT = 0.1  # seconds in which runs that end are still taken, once it was told to stop
_LINES_A_TURN = 100
_HOPELESS = (AuthenticationError, EndpointRetiredError)
"""Errors that all other requests would meet too."""


class Settings(NamedTuple):
    """What the command was told of the runs."""

    base_url: str | None
    assistant_id: str | None
    tools: ToolSet | None
    max_concurrency: int
    timeout: float | None
    retry_failed: bool


class Batch:
    """One go at a batch.

    Args:
        settings: how the runs are made.
        files: what was done before, and where results go.
        requests: a file that can be read twice: once to check all, and once to make them.
        name: what people call that file.

    Attributes:
        notes: what people should know before it begins.
        reasons: why requests have failed, in this go.
        stopped_by: the signal that ended it before it was through.
    """

    def __init__(self, settings: Settings, files: BatchFiles, requests: BinaryIO, name: str) -> None:
        self._settings = settings
        self._files = files
        self._source = requests
        self._name = name
        self._calls = CallsMade()
        self._requests = self._reader(settings.assistant_id or ("any" if settings.base_url is None else None))
        self._total = self._failed_before = self._ended_before = self._retryable = 0
        self._many: stream_many | None = None
        self._written = self._failed = 0
        self._ends = False
        self.notes: list[str] = []
        self.reasons = Reasons()
        self.stopped_by: int | None = None

    def _reader(self, assistant_id: str | None) -> Requests:
        return Requests(
            self._source,
            name=self._name,
            batch=self._files.batch,
            assistant_id=assistant_id,
            tools=self._settings.tools,
            handler=self._calls,
        )

    # -- before ------------------------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """Reads all requests once. Returns what is wrong with those that have no line yet."""
        problems: list[str] = []
        done = self._done()
        for line in self._requests.lines(skip=done):
            self._total += 1
            if line.key in done:
                self._ended_before += 1
                self._failed_before += line.key in self._files.failed
                self._retryable += line.key in self._files.retryable
            elif line.problem is not None:
                problems.append(line.problem)
        self._done_before = done
        left = self._total - self._ended_before
        if self._settings.base_url is None:
            self.notes.append("no --base-url: a server on this machine answers, without a model")
        if self._ended_before:
            self.notes.append(f"{self._ended_before:,} of {self._total:,} are done, {left:,} are left")
        if self._ended_before and left and not self._files.has_journal:
            self.notes.append("there is no journal beside the results: what was under way then is run again")
        return problems

    def _done(self) -> frozenset[str]:
        failed = frozenset[str]() if self._settings.retry_failed else frozenset(self._files.failed)
        return failed.union(self._files.completed)

    # -- while -------------------------------------------------------------------------------------------------------

    async def run(self, progress: BatchProgress) -> None:
        """Makes the runs, and writes what they come to, until all have a line or a signal comes."""
        stop = asyncio.Event()
        self._listen(stop)
        self._files.start()
        async with AsyncExitStack() as stack:
            client = await self._opened(stack)
            threads = BatchThreads(client, self._files, timeout=self._settings.timeout)
            most = self._settings.max_concurrency
            many = stream_many(threads, self._requests_left(), max_concurrency=most, events=False)
            self._many = await stack.enter_async_context(many)
            await _until_one_ends(self._read(many, threads), self._tick(progress), stop)

    def finish(self) -> None:
        """Puts the results in order, whatever has become of the runs."""
        self._files.finish(all_completed=self.all_completed)

    async def _read(self, many: stream_many, threads: BatchThreads) -> None:
        async for item in many:
            if isinstance(item, RunResult):
                result = result_of(item, self._calls, found=item.key in threads.runs.found)
            elif isinstance(item, RunFailure):
                result = failure_of(
                    item,
                    _one_of_ours(item.error),
                    self._calls,
                    thread_id=self._files.begun.get(item.key),
                    harmless=_without_key,
                )
            else:
                continue  # an event; they are not asked for
            self._write(result)

    async def _requests_left(self) -> AsyncGenerator[RunRequest]:
        with closing(self._requests.lines(skip=self._done_before)) as lines:
            for number, line in enumerate(lines):
                if self._ends or number == self._total:  # lines that came meanwhile were not checked
                    return
                if line.request is not None:
                    yield line.request
                elif line.problem is not None and line.key not in self._done_before:
                    self._write(problem_of(line.key, line.problem))
                if number % _LINES_A_TURN == 0:
                    await asyncio.sleep(0)  # there may be a million that are done

    def _write(self, result: Result) -> None:
        self._files.write(result)
        self._written += 1
        if result.status == "completed":
            return
        self._failed += 1
        if result.error is not None:
            self._retryable += result.error.retryable
            self.reasons.add(result.error.type, result.error.message)

    async def _tick(self, progress: BatchProgress) -> None:
        while True:
            await asyncio.to_thread(self._files.sync)
            progress.show(self.counts)
            await asyncio.sleep(_BETWEEN_SYNCS)

    async def _opened(self, stack: AsyncExitStack) -> AsyncClient:
        base_url, key = self._settings.base_url, None
        if base_url is None:
            server = await stack.enter_async_context(AssistantsServer())
            base_url, key = server.base_url, ""  # the environment's key is for somebody else
        client = AsyncClient(
            base_url=base_url,
            api_key=key,
            timeouts=Timeouts(total=self._settings.timeout),
            retry=RetryPolicy(reconcile=True),
            cancel_on_exit=True,
            recover=True,
        )
        await stack.enter_async_context(client)
        if self._settings.base_url is None:
            self._requests = self._reader((await client.assistants.create(model="any")).id)
        return client

    def _listen(self, stop: asyncio.Event) -> None:
        def told(number: int) -> None:
            self.stopped_by, self._ends = number, True
            stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: Ctrl-C is an exception there
                loop.add_signal_handler(number, told, number)

    # -- what there is -----------------------------------------------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """How far it is."""
        many = self._many
        return Counts(
            total=self._total,
            ended=self._ended_before + self._written,
            failed=self._failed_before + self._failed,
            retryable=self._retryable,
            running=0 if many is None else many.running,
            ended_now=self._written,
            tokens=0 if many is None else many.tokens,
        )

    @property
    def all_completed(self) -> bool:
        """Whether every request has a completed run."""
        counts = self.counts
        return counts.ended == counts.total and not counts.failed


def _one_of_ours(error: Exception) -> AiorunstreamError:
    """The error of one request. Raises those that are none: the disk's, and those all others would meet."""
    if not isinstance(error, AiorunstreamError) or isinstance(error, _HOPELESS):
        raise error
    return error


def _without_key(message: str) -> str:
    """What a server says may quote what it was sent."""
    key = os.environ.get("OPENAI_API_KEY", "")
    return message.replace(key, "***") if key else message


async def _until_one_ends(
    reading: Coroutine[Any, Any, None], ticking: Coroutine[Any, Any, None], stop: asyncio.Event
) -> None:
    """Lets both go on until the first is through, one of them raises, or it is told to stop."""
    tasks = [asyncio.create_task(reading), asyncio.create_task(ticking)]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            await asyncio.wait(tasks, timeout=_LAST_MOMENT, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.wait({*tasks, stopping})
    for task in tasks:
        if not task.cancelled():
            task.result()
