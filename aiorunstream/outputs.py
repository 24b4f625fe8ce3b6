"""The outputs of tool calls, as they come from outside, and why they may be refused."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from .intake import StoreError, invalid, typed
from .models import Run
from .params import JSONMapping, RunSubmitToolApprovalsParams, RunSubmitToolOutputsParams, ToolApproval, ToolOutput

SubmitParams = RunSubmitToolOutputsParams | RunSubmitToolApprovalsParams


def read_outputs(calls: Sequence[str], params: SubmitParams) -> dict[str, str]:
    """The outputs by call id. Raises `StoreError`: one is missing, unknown or given twice; or there are approvals too."""
    if isinstance(params, RunSubmitToolApprovalsParams) and params.tool_approvals:
        raise invalid("The run waits for tool_outputs, and not for tool_approvals.", "tool_approvals")
    outputs = typed("tool_outputs", _given(params.tool_outputs), tuple[ToolOutput, ...])
    _check_ids("tool_outputs", "outputs", calls, [output.tool_call_id for output in outputs])
    return {output.tool_call_id: output.output for output in outputs}


def read_approvals(calls: Sequence[str], params: SubmitParams) -> dict[str, bool]:
    """What was decided, by call id. Raises `StoreError`: one is missing, unknown or given twice; or there are outputs too."""
    if not isinstance(params, RunSubmitToolApprovalsParams) or _given(params.tool_outputs):
        raise invalid("The run waits for tool_approvals, and not for tool_outputs.", "tool_outputs")
    approvals = typed("tool_approvals", _given(params.tool_approvals), tuple[ToolApproval, ...])
    _check_ids("tool_approvals", "approvals", calls, [approval.tool_call_id for approval in approvals])
    return {approval.tool_call_id: approval.approve for approval in approvals}


def _given(value: Sequence[ToolOutput | ToolApproval | JSONMapping] | UnsetType) -> Sequence[object]:
    return () if value is UNSET else value


def _check_ids(name: str, what: str, calls: Sequence[str], ids: Sequence[str]) -> None:
    for place, id in enumerate(ids):
        where = f"{name}[{place}].tool_call_id"
        if id not in calls:
            raise invalid(f"The run waits for no tool call '{id:.128}'.", where)
        if id in ids[:place]:
            raise invalid(f"There are two {what} for the tool call '{id}'.", where)
    if missing := [id for id in calls if id not in ids]:
        raise invalid(f"{what.capitalize()} are missing for the tool calls {', '.join(missing)}.", name)


def not_waiting(run: Run) -> StoreError:
    """The error for tool outputs that no run waits for."""
    if run.status == "expired":
        return too_late(run)
    return invalid(f"Run {run.id} does not wait for tool outputs: its status is '{run.status}'.")


def too_late(run: Run) -> StoreError:
    """The error for tool outputs of a run that has expired."""
    return invalid(f"Run {run.id} has expired: its tool outputs come too late.")
