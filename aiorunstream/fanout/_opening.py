"""How the runs of one fan-out are begun: on their threads or new ones, and not before the server wants more of them.

Retries are made here and not in the backend, because a wait that the server asks of one run is a wait of all of them.
"""

import asyncio
import logging
import random
from functools import partial
from typing import Any

import msgspec

from .._log import log
from ..errors import APIConnectionError, APIError, InvalidArgumentError
from ..helper import AssistantStream
from ..options import RequestOptions
from ..resources import AsyncRuns, AsyncThreads
from ..resources._control import SentOnce
from ..retry import RetryBudget, next_delay
from ..stream import RunStream, StreamCall
from ..tools import ToolSet
from ._pace import Pace, wait_asked
from ._request import RunRequest, run_parameters


class Opening:
    """Begins runs.

    Args:
        runs: `client.threads.runs`, or `client.threads` where there are requests that make a thread.

    Raises:
        InvalidArgumentError: it is neither.
    """

    def __init__(self, runs: AsyncRuns | AsyncThreads) -> None:
        given: object = runs
        if not isinstance(given, (AsyncRuns, AsyncThreads)):
            what = f"client.threads.runs or client.threads, not {type(given).__name__}"
            raise InvalidArgumentError(f"the first argument must be {what}", argument="runs")
        self._threads = runs if isinstance(runs, AsyncThreads) else None
        self._runs = runs if isinstance(runs, AsyncRuns) else runs.runs
        self._retry = self._runs._streams._retry  # noqa: SLF001  # the client's, for requests that have none of their own
        self._budget = RetryBudget(self._retry.budget)
        self._pace = Pace()

    def check(self, request: RunRequest) -> None:
        """Raises `InvalidArgumentError` for a request that cannot be begun from what was given."""
        if request.thread_id is None and self._threads is None:
            raise InvalidArgumentError(
                f"request {request.key!r:.100} makes a thread: give client.threads in place of client.threads.runs",
                argument="runs",
            )

    def stream(self, request: RunRequest) -> AssistantStream:
        """The stream of a run. Nothing is sent before it is entered."""
        return AssistantStream(
            StreamCall(self._begun(request)),
            tools=request.tools if isinstance(request.tools, ToolSet) else None,
            event_handler=request.event_handler,
            on_tool_error=request.on_tool_error,
            tool_timeout=request.tool_timeout,
            max_concurrent_tools=request.max_concurrent_tools,
            max_rounds=request.max_rounds,
            approve=request.approve,
        )

    async def _begun(self, request: RunRequest) -> RunStream:
        given = request.options or RequestOptions()
        policy = given.retry or self._retry
        once = msgspec.structs.replace(given, retry=SentOnce(reconcile=policy.reconcile, others=given.retry))
        attempt, succeeded = 0, self._pace.succeeded
        while True:
            attempt += 1
            try:
                stream = await self._pace.send(partial(self._call, request, once))
            except APIError as error:
                if isinstance(error, APIConnectionError) and error.reason == "no free slot":
                    attempt -= 1  # it has waited already, and nothing was sent: in a fan-out that is no failure
                    continue
                if policy.attempts > 1 and wait_asked(error) is not None and self._pace.succeeded > succeeded:
                    attempt, succeeded = attempt - 1, self._pace.succeeded  # others got through: its turn will come
                delay = next_delay(policy, attempt, error, random.random(), self._budget)  # noqa: S311  # jitter
                if delay is None:
                    raise
                problem = type(error).__name__
                log(logging.INFO, "request retried", key=request.key, attempt=attempt, delay=delay, error=problem)
            else:
                self._budget.give_back()
                return stream
            await asyncio.sleep(delay)

    def _call(self, request: RunRequest, options: RequestOptions) -> StreamCall[RunStream]:
        keywords: dict[str, Any] = {
            **run_parameters(request),
            "on_error_event": request.on_error_event,
            "cancel_on_exit": request.cancel_on_exit,
            "recover": request.recover,
            "options": options,
        }
        if request.thread_id is not None:
            return self._runs.create_stream(request.thread_id, if_active=request.if_active, **keywords)
        assert self._threads is not None, "it was checked"
        return self._threads.create_and_run_stream(**keywords)
