"""Steps of a run: the messages it wrote and the tools it called."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from ..models import RunStep
from ..operations import LIST_RUN_STEPS, RETRIEVE_RUN_STEP, make_call
from ..options import RequestOptions
from ._pages import ListCall, Order, list_query
from ._resource import Resource, include_query


class AsyncRunSteps(Resource):
    """`client.threads.runs.steps`."""

    async def retrieve(
        self,
        step_id: str,
        *,
        thread_id: str,
        run_id: str,
        include: Sequence[str] | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> RunStep:
        """Returns a step. `include` as in `runs.create_stream`. Raises `NotFoundError` where there is none."""
        ids = {"thread_id": thread_id, "run_id": run_id, "step_id": step_id}
        return await self._send(make_call(RETRIEVE_RUN_STEP, ids, query=include_query(include), options=options))

    def list(
        self,
        run_id: str,
        *,
        limit: int | UnsetType = UNSET,
        order: Order | UnsetType = UNSET,
        after: str | UnsetType = UNSET,
        before: str | UnsetType = UNSET,
        thread_id: str,
        include: Sequence[str] | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> ListCall[RunStep]:
        """Lists the steps of a run.

        Await it for one page, or iterate it with `async for` for all of them.

        Args:
            limit: items a page, 1 to 100; servers take 20.
            order: by time of creation, "desc" (newest first) unless said otherwise.
            after, before: an id; the list begins behind it, or ends in front of it.
            include: as in `runs.create_stream`.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
        """
        query = list_query(limit=limit, order=order, after=after, before=before)
        return self._list(
            LIST_RUN_STEPS, {"thread_id": thread_id, "run_id": run_id}, query=query, include=include, options=options
        )
