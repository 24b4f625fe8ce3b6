"""Many runs, and what became of them as a list."""

from collections.abc import AsyncIterable, Iterable
from typing import Literal, overload

from ..errors import InvalidArgumentError
from ..resources import AsyncRuns, AsyncThreads
from ._items import RunFailure, RunItem, RunResult
from ._many import stream_many
from ._request import RunRequest


class _Gathering(stream_many):
    """Keeps the outcomes, in the order of the requests."""

    def __init__(
        self,
        runs: AsyncRuns | AsyncThreads,
        requests: Iterable[RunRequest] | AsyncIterable[RunRequest],
        *,
        max_concurrency: int,
        on_error: Literal["collect", "raise"],
    ) -> None:
        super().__init__(runs, requests, max_concurrency=max_concurrency, on_error=on_error, events=False)
        self.outcomes: dict[str, RunResult | RunFailure | None] = {}

    def _admit(self, request: RunRequest) -> None:
        super()._admit(request)
        if request.key in self.outcomes:
            raise InvalidArgumentError(f"two requests have the key {request.key!r:.100}", argument="key")
        self.outcomes[request.key] = None


@overload
async def gather_runs(
    runs: AsyncRuns | AsyncThreads,
    requests: Iterable[RunRequest] | AsyncIterable[RunRequest],
    *,
    max_concurrency: int = 100,
    on_error: Literal["raise"],
) -> list[RunResult]: ...


@overload
async def gather_runs(
    runs: AsyncRuns | AsyncThreads,
    requests: Iterable[RunRequest] | AsyncIterable[RunRequest],
    *,
    max_concurrency: int = 100,
    on_error: Literal["collect"] = "collect",
) -> list[RunResult | RunFailure]: ...


async def gather_runs(
    runs: AsyncRuns | AsyncThreads,
    requests: Iterable[RunRequest] | AsyncIterable[RunRequest],
    *,
    max_concurrency: int = 100,
    on_error: Literal["collect", "raise"] = "collect",
) -> list[RunResult] | list[RunResult | RunFailure]:
    """Makes many runs, and returns what became of each, in the order of the requests.

    Args:
        runs: `client.threads.runs`; or `client.threads`, which requests that make a thread need.
        requests: any iterable or async iterable; no two of them may have one key.
        max_concurrency: how many runs are under way at the same time.
        on_error: "collect" puts failures into the list; "raise" raises the first as it is, and ends the other runs.

    Raises:
        InvalidArgumentError: an argument or a request cannot be meant, as `stream_many` says.

    A cancel ends the runs that are under way; what the others came to is lost. `stream_many` hands it out as it comes.
    """
    gathering = _Gathering(runs, requests, max_concurrency=max_concurrency, on_error=on_error)
    async with gathering:
        async for item in gathering:
            assert not isinstance(item, RunItem), "it hands out no events"
            gathering.outcomes[item.key] = item
    return [outcome for outcome in gathering.outcomes.values() if outcome is not None]
