"""The calls a run at Azure waits for leave to make, put before whoever decides."""

import asyncio
from collections.abc import Sequence
from functools import partial

import anyio

from ..models import (
    RequiredActionApproval,
    RequiredActionFunction,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
)
from ..params import ToolApproval
from ._callbacks import made
from ._tool_round import APPROVE_CANCELLED, Approve


class Approvals:
    """Asks `approve` about the calls of one round after another, one call at a time."""

    def __init__(self, approve: Approve) -> None:
        self._approve = approve
        self._decided: list[bool] = []  # of the round under way, in the order of its calls
        self._failure: BaseException | None = None
        self._scope: anyio.CancelScope | None = None

    def can_decide(self, calls: Sequence[RequiredActionApproval]) -> bool:
        """Whether all of them are calls that can be put before somebody."""
        return bool(calls) and all(isinstance(call, RequiredActionMCPToolCall) for call in calls)

    async def decide(self, calls: Sequence[RequiredActionApproval]) -> list[ToolApproval]:
        """The decisions on all calls of a round. A cancel loses none that was made: asked again, only the rest are asked for.

        Raises:
            Exception: whatever `approve` raised.
        """
        asked = [call for call in calls if isinstance(call, RequiredActionMCPToolCall)]
        if self._failure is None:
            with anyio.CancelScope() as self._scope:
                for call in asked[len(self._decided) :]:
                    self._decided.append(await self._ask(call))
        if self._failure is not None:
            raise self._failure
        decided, self._decided = self._decided, []
        return [ToolApproval(tool_call_id=call.id, approve=yes) for call, yes in zip(asked, decided, strict=True)]

    def give_up(self, failure: BaseException) -> None:
        """Ends the wait for a decision, from any task of the loop; `decide` raises this from now on."""
        self._failure = self._failure or failure
        if self._scope is not None:
            self._scope.cancel()

    async def _ask(self, call: RequiredActionMCPToolCall) -> bool:
        # With the server before it, the name cannot be taken for that of a function of the caller.
        function = RequiredActionFunction(f"{call.server_label}.{call.name}", call.arguments)
        asked = partial(self._approve, RequiredActionFunctionToolCall(call.id, function))
        task = asyncio.current_task()
        try:
            return bool(await made(asked, whose="approve"))
        except asyncio.CancelledError as error:
            if task is None or task.cancelling():  # it is the reader's own
                raise
            raise RuntimeError(APPROVE_CANCELLED) from error
