"""The machine of a run, with what responses say and engines do not; also for a run that another program has begun."""

from contextlib import suppress
from typing import cast

import msgspec

from ... import checks
from ...calls import CallsDraft
from ...errors import InvalidArgumentError
from ...items import AskApproval, CallTool, UseTool
from ...machine import RunMachine, told_by
from ...models import FunctionToolCall, JSONObject, RequiredActionMCPToolCall, Run, ToolCallsStepDetails, Usage
from ...outputs import SubmitParams, not_waiting, read_approvals, read_outputs
from ...run_objects import Events
from ...store import Store
from ._said import Annotate, Answered, BeginMessage, Finish, Said


class BridgedMachine(RunMachine):
    """One run of a store, that hears responses."""

    def __init__(self, store: Store, run: Run, *, spent: Usage | None = None) -> None:
        super().__init__(store, run)
        self._objects.spent = spent
        if run.status == "requires_action":
            self._take_up(run)

    def hear(self, said: Said) -> Events:
        """Hears one thing. Raises `ValueError`, as `take` does."""
        if self.run.status != "in_progress":
            return ()
        match said:
            case BeginMessage():
                return self._begin_message(said.id)
            case Annotate():
                return self._annotate(said)
            case Answered():
                if self._calls is not None:
                    self._calls.answer(said.call_id, said.output)
                return ()
            case Finish():
                return self.finish()
            case AskApproval() if self._calls is not None and self._calls.waiting and not self._calls.asks:
                # A run waits for one of the two. What it cannot ask for, it shows.
                asked = {name: getattr(said, name) for name in ("id", "name", "arguments", "server_label")}
                return self.take(UseTool({"type": "mcp_approval_request", **asked}))
            case CallTool() if self._calls is not None and self._calls.asks:
                self._calls.ask_no_more()
                return self.take(said)
            case _:
                return self.take(said)

    def read(self, params: SubmitParams) -> tuple[dict[str, str], dict[str, bool]]:
        """The outputs, or what was decided, by call id. Raises `StoreError`: it is not what the run waits for."""
        if self.run.status != "requires_action" or self._calls is None:
            raise not_waiting(self.run)
        waiting = self._calls.waiting
        return ({}, read_approvals(waiting, params)) if self._calls.asks else (read_outputs(waiting, params), {})

    def _begin_message(self, id: str | None) -> Events:
        ended = self._end_message("completed")
        if id is not None and (not _can_be_named(id) or self._objects.record.messages.find(id) is not None):
            id = None
        return (*ended, *self._open_message(id)[1])

    def _annotate(self, said: Annotate) -> Events:
        draft = self._message
        assert draft is not None  # its item has begun it
        return told_by(draft.annotate(said.mark))

    def _take_up(self, run: Run) -> None:
        """The calls that the run waits for, as they were left."""
        step = next((step for step in reversed(self._objects.steps.all()) if step.status == "in_progress"), None)
        if step is None or not isinstance(step.step_details, ToolCallsStepDetails):
            return
        asked = {call.id: call for call in run.calls_to_approve if isinstance(call, RequiredActionMCPToolCall)}
        self._calls = draft = CallsDraft(step.id)
        for call in step.step_details.tool_calls:
            plain = cast("JSONObject", msgspec.to_builtins(call))
            if isinstance(call, FunctionToolCall):
                _make(draft, call)
            elif (approval := asked.get(str(plain.get("id")))) is not None:
                draft.ask(approval, "")
            else:
                draft.use(plain)


def _can_be_named(id: str) -> bool:
    with suppress(InvalidArgumentError):
        return bool(checks.path_id("id", id))
    return False


def _make(draft: CallsDraft, call: FunctionToolCall) -> None:
    draft.call(call.id, call.function.name)
    draft.argue(call.function.arguments)
    if call.function.output is not None:
        draft.answer(call.id, call.function.output)
