"""What is asked of the server about a run, besides the answer that streams it."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from msgspec import UNSET, UnsetType

from ..backends import Answer, Backend, Settings
from ..models import Message, Run, RunStep
from ..operations import CANCEL_RUN, LIST_RUNS, RETRIEVE_RUN, Call, make_call
from ..retry import RetryPolicy
from ._polling import Look, has_stopped, poll_run
from ._resource import keep_answer
from .messages import AsyncMessages
from .steps import AsyncRunSteps

T = TypeVar("T")

MOST_LOOKS = 64
"""How many looks at runs may be under way in one loop."""


class SentOnce(RetryPolicy, frozen=True, kw_only=True):
    """The policy of a request that is sent once, because its sender has retries of his own.

    Args:
        others: the policy of all other requests about its run; None is the client's.
    """

    attempts: int = 1
    others: RetryPolicy | None = None


class Keeper(Protocol):
    """Who carries on what its asker does not wait for: the transport."""

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something that must not end with whoever asked for it. Raises `ClientClosedError`."""
        ...

    def withdraw(self, task: "asyncio.Task[Any]") -> bool:
        """Lets no further request of that task leave. Whether one that creates something may have, and is not answered."""
        ...


class Looking:
    """A backend for looks at runs: so many at a time in each loop, so that a server that comes back is not overrun."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.open = backend.open  # streams take no place
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def start(self, settings: Settings) -> None:
        """Has been done for the backend behind it."""

    async def call(self, call: Call[T]) -> Answer[T]:
        """Carries out a plain call once there is a place."""
        loop = asyncio.get_running_loop()
        places = self._places.get(loop)
        if places is None:
            places = self._places[loop] = asyncio.Semaphore(MOST_LOOKS)
        async with places:
            answer = await self._backend.call(call)
        keep_answer(answer)
        return answer


class Control:
    """Asks about the runs of one request: with its headers and clocks, and showing in steps what it asked to include.

    Attributes:
        options: those of the request, without what is for its body only, or for the one time it is sent.
    """

    def __init__(self, backend: Backend, looking: Looking, keeper: Keeper, call: Call[Run]) -> None:
        self._backend = backend
        self._looking = looking
        self._keeper = keeper
        self.options = call.options.for_another_request()
        if isinstance(self.options.retry, SentOnce):
            self.options = msgspec.structs.replace(self.options, retry=self.options.retry.others)
        included = [value for name, value in call.query if name.startswith("include")]
        self._include: Sequence[str] | UnsetType = included or UNSET

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run once."""
        return (await self._look(thread_id, run_id)()).data

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks the run to stop."""
        ids = {"thread_id": thread_id, "run_id": run_id}
        return (await self._backend.call(make_call(CANCEL_RUN, ids, options=self.options))).data

    async def stopped(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run until it has stopped, over outages of the server."""
        return await poll_run(self._look(thread_id, run_id), until=has_stopped, over_outages=True)

    async def over(self, thread_id: str, run_id: str) -> Run:
        """Looks at the run until it is over, over outages of the server: one that waits for tool outputs is not."""
        return await poll_run(self._look(thread_id, run_id), until=lambda run: run.is_terminal, over_outages=True)

    async def runs(self, thread_id: str) -> tuple[Run, ...]:
        """The newest hundred runs of the thread, newest first."""
        query = [("limit", "100"), ("order", "desc")]
        call = make_call(LIST_RUNS, {"thread_id": thread_id}, query=query, options=self.options)
        return (await self._looking.call(call)).data.data

    async def messages(self, thread_id: str, run_id: str) -> tuple[Message, ...]:
        """The messages the run wrote, oldest first; and those that do not say which run wrote them."""
        found = AsyncMessages(self._looking).list(
            thread_id, run_id=run_id, order="asc", limit=100, options=self.options
        )
        own = [message async for message in found if message.run_id in (run_id, None, "")]
        return tuple({message.id: message for message in own}.values())  # some servers do not know `after`

    async def steps(self, thread_id: str, run_id: str) -> tuple[RunStep, ...]:
        """The steps of the run, oldest first."""
        found = AsyncRunSteps(self._looking).list(
            run_id, thread_id=thread_id, order="asc", limit=100, include=self._include, options=self.options
        )
        return tuple({step.id: step async for step in found}.values())

    def keep(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Does something that must not end with whoever asked for it. Raises `ClientClosedError`."""
        return self._keeper.keep(work)

    def _look(self, thread_id: str, run_id: str) -> Look:
        call = make_call(RETRIEVE_RUN, {"thread_id": thread_id, "run_id": run_id}, options=self.options)
        return partial(self._looking.call, call)
