"""What became of a request of a batch, as a line of its results. Nothing in here is a secret, or was one of the server's."""

from collections.abc import Callable

import msgspec

from ..errors import AiorunstreamError, RunOutcomeUnknownError, StreamError
from ..fanout import RunFailure, RunResult
from ..handler import AssistantEventHandler
from ..models import (
    CodeInterpreterToolCall,
    FunctionToolCall,
    RequiredActionFunctionToolCall,
    Run,
    RunStep,
    ToolCall,
    ToolCallsStepDetails,
)
from ..retry import is_outage, is_retryable

_BETTER_LATER = frozenset({"server_error", "rate_limit_exceeded", "expired"})


class ToolCallMade(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool call of a run: a function's with its output, where it has one; else what kind of call it was."""

    type: str
    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class ResultError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line has no completed run.

    Attributes:
        type: a class of `aiorunstream.errors`; or, of a run that stopped, what it failed of.
        retryable: whether the same request may well fare better later.
    """

    type: str
    message: str
    run_id: str | None = None
    retryable: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the results.

    Attributes:
        status: the one the run stopped with; None where it was not seen to stop.
        seconds, time_to_first_token: from when this process began with it.
        found: the run was made by an earlier process, and this one fetched what it came to.
    """

    key: str
    status: str | None = None
    text: str = ""
    usage: dict[str, int] | None = None
    thread_id: str | None = None
    run_id: str | None = None
    seconds: float | None = None
    time_to_first_token: float | None = None
    tool_calls: tuple[ToolCallMade, ...] = ()
    found: bool = False
    error: ResultError | None = None


class CallsMade(AssistantEventHandler):
    """Remembers the tool calls of many runs, each until its result is made."""

    def __init__(self) -> None:
        self._calls: dict[str, list[ToolCallMade]] = {}

    def on_run_step_done(self, run_step: RunStep) -> None:
        """Takes the calls of a step that is over."""
        details = run_step.step_details
        if isinstance(details, ToolCallsStepDetails):
            self._calls.setdefault(run_step.run_id, []).extend(map(_made, details.tool_calls))

    def take(self, run_id: str | None) -> tuple[ToolCallMade, ...]:
        """The calls of a run, which are forgotten then."""
        return tuple(self._calls.pop(run_id or "", ()))


def result_of(ended: RunResult, calls: CallsMade, *, found: bool) -> Result:
    """The line of a run that has stopped."""
    run, usage = ended.run, ended.usage
    counted = None
    if usage is not None:
        counted = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
    return Result(
        key=ended.key,
        status=run.status,
        text=ended.text,
        usage=counted,
        thread_id=run.thread_id,
        run_id=run.id,
        seconds=round(ended.seconds, 3),
        time_to_first_token=None if ended.time_to_first_token is None else round(ended.time_to_first_token, 3),
        tool_calls=(*calls.take(run.id), *_asked_for(run)),
        found=found,
        error=_why(run),
    )


def failure_of(
    failed: RunFailure,
    error: AiorunstreamError,
    calls: CallsMade,
    *,
    thread_id: str | None,
    harmless: Callable[[str], str],
) -> Result:
    """The line of a run that was not seen to stop. `harmless` takes out of a message what a file must not hold."""
    run_id = failed.run_id or getattr(error, "run_id", None)
    message = "; ".join([str(error), *getattr(error, "__notes__", ())])
    return Result(
        key=failed.key,
        text=failed.text,
        thread_id=failed.thread_id or thread_id,
        run_id=run_id,
        seconds=round(failed.seconds, 3),
        tool_calls=calls.take(run_id),
        error=ResultError(
            type=type(error).__name__,
            message=harmless(message),
            run_id=run_id,
            # A run of unknown outcome is looked for before it is made again.
            retryable=isinstance(error, (StreamError, RunOutcomeUnknownError))
            or is_retryable(error)
            or is_outage(error),
        ),
    )


def problem_of(key: str, problem: str) -> Result:
    """The line of a request that was never sent, because it cannot be meant."""
    return Result(key=key, error=ResultError(type="InvalidArgumentError", message=problem))


def _why(run: Run) -> ResultError | None:
    """Why a run that has stopped is not completed."""
    if run.status == "completed":
        return None
    kind, message = str(run.status), f"the run stopped with the status {run.status}"
    if run.last_error is not None:
        kind, message = run.last_error.code or kind, run.last_error.message or message
    elif run.incomplete_details is not None and run.incomplete_details.reason:
        message = f"the run met its {run.incomplete_details.reason}"
    elif run.status == "requires_action":
        message = "the run waits for tool outputs, and nobody was given to call its functions"
    return ResultError(type=kind, message=message, run_id=run.id, retryable=kind in _BETTER_LATER)


def _made(call: ToolCall) -> ToolCallMade:
    if isinstance(call, FunctionToolCall):
        function = call.function
        return ToolCallMade(type=call.type, name=function.name, arguments=function.arguments, output=function.output)
    if isinstance(call, CodeInterpreterToolCall):
        return ToolCallMade(type=call.type, arguments=call.code_interpreter.input)
    return ToolCallMade(type=str(call.type))


def _asked_for(run: Run) -> tuple[ToolCallMade, ...]:
    """The calls that wait for their outputs."""
    calls = (call for call in run.tool_calls if isinstance(call, RequiredActionFunctionToolCall))
    return tuple(
        ToolCallMade(type="function", name=call.function.name, arguments=call.function.arguments) for call in calls
    )
