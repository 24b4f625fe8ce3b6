"""The outputs of tool calls, as they come from outside, and why they may be refused."""

from collections.abc import Sequence

from .intake import StoreError, invalid, typed
from .models import Run
from .params import RunSubmitToolOutputsParams, ToolOutput


def read_outputs(calls: Sequence[str], params: RunSubmitToolOutputsParams) -> dict[str, str]:
    """The outputs by call id. Raises `StoreError`: one is missing, unknown or given twice."""
    found: dict[str, str] = {}
    for place, output in enumerate(typed("tool_outputs", params.tool_outputs, tuple[ToolOutput, ...])):
        id, where = output.tool_call_id, f"tool_outputs[{place}].tool_call_id"
        if id not in calls:
            raise invalid(f"The run waits for no tool call '{id:.128}'.", where)
        if id in found:
            raise invalid(f"There are two outputs for the tool call '{id}'.", where)
        found[id] = output.output
    if missing := [id for id in calls if id not in found]:
        raise invalid(f"Outputs are missing for the tool calls {', '.join(missing)}.", "tool_outputs")
    return found


def not_waiting(run: Run) -> StoreError:
    """The error for tool outputs that no run waits for."""
    if run.status == "expired":
        return too_late(run)
    return invalid(f"Run {run.id} does not wait for tool outputs: its status is '{run.status}'.")


def too_late(run: Run) -> StoreError:
    """The error for tool outputs of a run that has expired."""
    return invalid(f"Run {run.id} has expired: its tool outputs come too late.")
