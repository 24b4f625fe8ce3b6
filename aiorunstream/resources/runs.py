"""Runs of a thread, streamed or plain."""

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from msgspec import UNSET, UnsetType

from ..errors import APITimeoutError
from ..models import Metadata, Run
from ..operations import CANCEL_RUN, LIST_RUNS, RETRIEVE_RUN, UPDATE_RUN, Call, make_call
from ..options import RecoverPolicy, RequestOptions
from ..params import JSONMapping, RunUpdateParams, ToolApproval, ToolOutput
from ..protocol import OnErrorEvent
from ..stream import RunStream, StreamCall
from ._pages import ListCall, Order, list_query
from ._polling import has_stopped, poll_run
from ._resource import must_not_stream, must_stream
from ._run_creation import RunCreation
from ._streams import Manner, submit_call
from .steps import AsyncRunSteps


class AsyncRuns(RunCreation):
    """`client.threads.runs`, with `steps` on it."""

    @cached_property
    def steps(self) -> AsyncRunSteps:
        """The steps of runs."""
        return AsyncRunSteps(self._backend)

    async def retrieve(self, run_id: str, *, thread_id: str, options: RequestOptions | None = None) -> Run:
        """Returns a run. Raises `NotFoundError` where there is none, and at LiteLLM's `/v1`, which has no such route."""
        return await self._call(RETRIEVE_RUN, {"thread_id": thread_id, "run_id": run_id}, options=options)

    def list(
        self,
        thread_id: str,
        *,
        limit: int | UnsetType = UNSET,
        order: Order | UnsetType = UNSET,
        after: str | UnsetType = UNSET,
        before: str | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> ListCall[Run]:
        """Lists the runs of a thread.

        Await it for one page, or iterate it with `async for` for all of them.

        Args:
            limit: items a page, 1 to 100; servers take 20.
            order: by time of creation, "desc" (newest first) unless said otherwise.
            after, before: an id; the list begins behind it, or ends in front of it.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
        """
        query = list_query(limit=limit, order=order, after=after, before=before)
        return self._list(LIST_RUNS, {"thread_id": thread_id}, query=query, options=options)

    async def update(
        self,
        run_id: str,
        *,
        thread_id: str,
        metadata: Metadata | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Run:
        """Changes a run's metadata."""
        body = RunUpdateParams(metadata=metadata).body()
        return await self._call(UPDATE_RUN, {"thread_id": thread_id, "run_id": run_id}, body=body, options=options)

    async def poll(
        self,
        run_id: str,
        *,
        thread_id: str,
        timeout: float | None = 600.0,  # noqa: ASYNC109  # it bounds many requests and the waits between them
        options: RequestOptions | None = None,
    ) -> Run:
        """Looks at a run until it stops, and returns it.

        It stops at every terminal status, at "requires_action", and at a status this version does not know. Between two
        looks it waits as long as the server asks (`openai-poll-after-ms`), else 0.5 s growing to 5 s.

        Args:
            timeout: seconds for all of it; None for as long as it takes. Servers end a run after ten minutes.

        Raises:
            APITimeoutError: the run had not stopped in time.
            APIError: a look failed; see `aiorunstream.errors`.
        """
        call = make_call(RETRIEVE_RUN, {"thread_id": thread_id, "run_id": run_id}, options=options)
        clock = asyncio.timeout(timeout)
        try:
            async with clock:
                return await poll_run(lambda: self._answer(call), until=has_stopped)
        except TimeoutError:
            if not clock.expired():  # somebody else's, such as an api_key callable's
                raise
        raise APITimeoutError(f"run {run_id} had not stopped after {timeout:g} s", reason="timeout")

    async def cancel(self, run_id: str, *, thread_id: str, options: RequestOptions | None = None) -> Run:
        """Asks a run to stop, and returns it, usually "cancelling". Raises `BadRequestError` for one that has ended."""
        return await self._call(CANCEL_RUN, {"thread_id": thread_id, "run_id": run_id}, options=options)

    def submit_tool_outputs_stream(
        self,
        run_id: str,
        *,
        thread_id: str,
        tool_outputs: Sequence[ToolOutput | JSONMapping] = (),
        tool_approvals: Sequence[ToolApproval | JSONMapping] = (),
        stream: Literal[True] = True,
        on_error_event: OnErrorEvent | None = None,
        cancel_on_exit: bool | None = None,
        recover: RecoverPolicy | bool | None = None,
        options: RequestOptions | None = None,
    ) -> StreamCall[RunStream]:
        """Answers all the calls a run waits for, and streams how it goes on. The rest and the errors as `create_stream`.

        Args:
            tool_outputs: one for each of `run.tool_calls`, all in one request.
            tool_approvals: one for each of `run.calls_to_approve`, which only runs at Azure have.
        """
        must_stream(stream, instead="runs.submit_tool_outputs")
        manner = self._streams.manner(on_error_event=on_error_event, cancel_on_exit=cancel_on_exit, recover=recover)
        call = submit_call(run_id, thread_id, tool_outputs, tool_approvals, options, stream=True)
        return StreamCall(self._submit_tool_outputs_stream(call, manner))

    async def _submit_tool_outputs_stream(self, call: Call[Run], manner: Manner) -> RunStream:
        return await self._streams.open(call, manner)

    async def submit_tool_outputs(
        self,
        run_id: str,
        *,
        thread_id: str,
        tool_outputs: Sequence[ToolOutput | JSONMapping] = (),
        tool_approvals: Sequence[ToolApproval | JSONMapping] = (),
        stream: Literal[False] = False,
        options: RequestOptions | None = None,
    ) -> Run:
        """Answers all the calls a run waits for, and returns the run as it is then."""
        must_not_stream(stream, instead="runs.submit_tool_outputs_stream")
        call = submit_call(run_id, thread_id, tool_outputs, tool_approvals, options)
        return await self._streams.create(call, "error", self._send)
