"""What a run that waits is answered with: the outputs of its tool calls, or what was decided of calls at a server."""

from ..errors import ToolError
from ..models import Run, SubmitToolApprovalAction
from ..stream import RunStream, StreamCall
from ..tools import ToolSet
from ._approvals import Approvals
from ._tool_round import Approve, OnToolError, ToolRound


class Answering:
    """Answers one run, round after round.

    Args:
        tools: functions to call; without them a run that asks for functions is not answered.
        on_error, timeout, at_once: of `ToolRound`.
        max_rounds: how often it answers.
        approve: asked before each call; without it a run that asks for leave is not answered.
    """

    def __init__(
        self,
        tools: ToolSet | None,
        *,
        on_error: OnToolError,
        timeout: float | None,
        at_once: int,
        max_rounds: int,
        approve: Approve | None,
    ) -> None:
        self._tools = (
            None
            if tools is None
            else ToolRound(tools, on_error=on_error, timeout=timeout, at_once=at_once, approve=approve)
        )
        self._approvals = None if approve is None else Approvals(approve)
        self._max_rounds = max_rounds

    def is_for(self, stream: RunStream) -> bool:
        """Whether the run waits for what is done here."""
        if stream.outcome != "requires_action":
            return False
        if stream.run is not None and isinstance(stream.run.required_action, SubmitToolApprovalAction):
            return self._approvals is not None and self._approvals.can_decide(stream.run.calls_to_approve)
        return self._tools is not None

    async def answer(self, stream: RunStream, run: Run, *, round: int, deadline: float) -> StreamCall[RunStream]:
        """Does what the run waits for; returns the call that tells it. A cancel loses nothing that was done.

        Args:
            round: which one it is, from 1.
            deadline: on the loop's clock; no tool call goes on after it.

        Raises:
            ToolError: a call went wrong, and that is to be raised; or this is one round too many.
            Exception: whatever `approve` raised, or was given to `give_up`.
        """
        if round > self._max_rounds:
            raise ToolError(f"the run asked for its tools more than {self._max_rounds} times")
        if self._approvals is not None and run.calls_to_approve:
            return stream.submit_tool_outputs(tool_approvals=await self._approvals.decide(run.calls_to_approve))
        if self._tools is None or not run.tool_calls:
            raise ToolError("the run waits for something that is no tool call")
        return stream.submit_tool_outputs(await self._tools.outputs(run.tool_calls, deadline=deadline))

    def give_up(self, failure: BaseException) -> None:
        """Ends what is being done, from any task of the loop; `answer` raises this from now on."""
        for waiting in (self._tools, self._approvals):
            if waiting is not None:
                waiting.give_up(failure)


def problem_of(on_error: object, timeout: float | None, at_once: int, max_rounds: int) -> str | None:
    """What is wrong with settings of a caller, by the names that it knows; None where nothing is."""
    if on_error not in ("report", "raise"):
        return 'on_tool_error must be "report" or "raise"'
    if timeout is not None and not timeout > 0:
        return "tool_timeout must be above 0 seconds, or None"
    if at_once < 1:
        return "max_concurrent_tools must be at least 1"
    return "max_rounds must be at least 0" if max_rounds < 0 else None
