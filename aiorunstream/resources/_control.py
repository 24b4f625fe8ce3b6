"""What is asked of the server about a run, besides the answer that streams it."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ..backends import Backend
from ..models import Message, Run, RunStep
from ..operations import CANCEL_RUN, LIST_RUNS, RETRIEVE_RUN, Call, make_call
from ._polling import has_stopped, poll_run
from .messages import AsyncMessages
from .steps import AsyncRunSteps

T = TypeVar("T")


class Keeper(Protocol):
    """Who carries on what its asker does not wait for: the transport."""

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something that must not end with whoever asked for it. Raises `ClientClosedError`."""
        ...

    def awaits_answer(self, task: "asyncio.Task[Any]") -> bool:
        """Whether a request of that task may have left and is not answered yet."""
        ...


class Control:
    """Asks about the runs of one request: with its headers and clocks, and showing in steps what it asked to include.

    Attributes:
        options: those of the request, without what is for its body only.
    """

    def __init__(self, backend: Backend, keeper: Keeper, call: Call[Run]) -> None:
        self._backend = backend
        self._keeper = keeper
        self.options = msgspec.structs.replace(call.options, extra_body=None, idempotency_key=None)
        included = [value for name, value in call.query if name.startswith("include")]
        self._include: Sequence[str] | UnsetType = included or UNSET

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run once."""
        return (await self._backend.call(self._call(thread_id, run_id))).data

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks the run to stop."""
        ids = {"thread_id": thread_id, "run_id": run_id}
        return (await self._backend.call(make_call(CANCEL_RUN, ids, options=self.options))).data

    async def stopped(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run until it has stopped, over outages of the server."""
        call = self._call(thread_id, run_id)
        return await poll_run(lambda: self._backend.call(call), until=has_stopped, over_outages=True)

    async def over(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run until it is over: one that waits for tool outputs is not."""
        call = self._call(thread_id, run_id)
        return await poll_run(lambda: self._backend.call(call), until=lambda run: run.is_terminal)

    async def runs(self, thread_id: str) -> tuple[Run, ...]:
        """The newest hundred runs of the thread, newest first."""
        query = [("limit", "100"), ("order", "desc")]
        return (
            await self._backend.call(make_call(LIST_RUNS, {"thread_id": thread_id}, query=query, options=self.options))
        ).data.data

    async def messages(self, thread_id: str, run_id: str) -> tuple[Message, ...]:
        """The messages the run wrote, oldest first."""
        found = AsyncMessages(self._backend).list(
            thread_id, run_id=run_id, order="asc", limit=100, options=self.options
        )
        return tuple([message async for message in found if message.run_id == run_id])

    async def steps(self, thread_id: str, run_id: str) -> tuple[RunStep, ...]:
        """The steps of the run, oldest first."""
        found = AsyncRunSteps(self._backend).list(
            run_id, thread_id=thread_id, order="asc", limit=100, include=self._include, options=self.options
        )
        return tuple([step async for step in found])

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something that must not end with whoever asked for it. Raises `ClientClosedError`."""
        return self._keeper.keep(work)

    def _call(self, thread_id: str, run_id: str) -> Call[Run]:
        return make_call(RETRIEVE_RUN, {"thread_id": thread_id, "run_id": run_id}, options=self.options)
