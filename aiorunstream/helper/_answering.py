"""What a run that waits is answered with: the outputs of its tool calls, or what was decided of calls at a server."""

from ..errors import ToolError
from ..handler import AssistantEventHandler
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


def problem_of(
    *,
    tools: object,
    event_handler: object,
    on_tool_error: object,
    tool_timeout: object,
    max_concurrent_tools: object,
    max_rounds: object,
    approve: object,
) -> tuple[str, str] | None:
    """The first setting of a caller that cannot be meant, and what to say of it; None where all can."""
    rules = (
        (tools is None or isinstance(tools, ToolSet), "tools", "a ToolSet([...])"),
        (
            event_handler is None or isinstance(event_handler, AssistantEventHandler),
            "event_handler",
            "an AssistantEventHandler: an instance, not the class",
        ),
        (on_tool_error in ("report", "raise"), "on_tool_error", '"report" or "raise"'),
        (
            tool_timeout is None or (isinstance(tool_timeout, (int, float)) and tool_timeout > 0),
            "tool_timeout",
            "above 0 seconds, or None",
        ),
        (_is_whole(max_concurrent_tools, least=1), "max_concurrent_tools", "a whole number of at least 1"),
        (_is_whole(max_rounds, least=0), "max_rounds", "a whole number of at least 0"),
        (approve is None or callable(approve), "approve", "a function"),
    )
    return next(((name, f"{name} must be {must}") for holds, name, must in rules if not holds), None)


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
