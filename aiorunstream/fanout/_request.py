"""A run that is to be made, with a key by which it is known again. It is checked when it is made."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from .. import checks
from ..errors import InvalidArgumentError
from ..handler import AssistantEventHandler
from ..helper import Approve, OnToolError, problem_of
from ..models import (
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoiceOption,
    Metadata,
    ToolResources,
    TruncationStrategy,
)
from ..options import RecoverPolicy, RequestOptions
from ..params import (
    JSONMapping,
    MessageCreateParams,
    ReasoningEffort,
    RunCreateParams,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
)
from ..protocol import OnErrorEvent
from ..resources._busy import IfActive, check_if_active
from ..resources._streams import recover_policy
from ..tools import ToolSet

_OF_A_RUN = frozenset(RunCreateParams.__struct_fields__) - {"stream"}
_OF_A_NEW_THREAD = frozenset(ThreadCreateAndRunParams.__struct_fields__) - {"stream"}


class _Named(msgspec.Struct, frozen=True):
    """The part that is given by place."""

    key: str
    thread_id: str | None = None


class RunRequest(_Named, frozen=True, kw_only=True):
    r"""A run to be made by `stream_many` or `gather_runs`: on a thread that is there, or on a new one.

        RunRequest("ticket 17", "thread_1", assistant_id="asst_1")
        RunRequest("ticket 18", thread={"messages": [{"role": "user", "content": "Hi"}]}, assistant_id="asst_1")

    A parameter left out is not sent, None is sent as null.

    Args:
        key: what you call it; not empty. No two that run at the same time may have the same.
        thread_id: the thread to run on: 1 to 512 visible ASCII characters without `/ \ ? # %`.
        thread: in its place, a thread that is made with the run; `{}` for an empty one.
        tools: a `ToolSet` is sent as the tools of the run, and its functions are called where the run asks for them. Other
            tools are sent, and nothing is called.
        tool_resources: only with `thread`.
        include, additional_instructions, additional_messages, reasoning_effort, if_active: only with `thread_id`.
        on_error_event, cancel_on_exit, recover: None is as the client has it.
        event_handler, on_tool_error, tool_timeout, max_concurrent_tools, max_rounds, approve: as of `AssistantStream`.
        options: headers, query, body, clocks and retries of this run's requests.

    The other parameters are those of `runs.create_stream` and `threads.create_and_run_stream`.

    Raises:
        InvalidArgumentError: a parameter cannot be meant. The message names the key and the parameter.
    """

    assistant_id: str
    thread: ThreadCreateParams | JSONMapping | UnsetType = UNSET
    include: Sequence[str] | UnsetType = UNSET
    additional_instructions: str | None | UnsetType = UNSET
    additional_messages: Sequence[MessageCreateParams | JSONMapping] | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    max_completion_tokens: int | None | UnsetType = UNSET
    max_prompt_tokens: int | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    model: str | None | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning_effort: ReasoningEffort | None | UnsetType = UNSET
    response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET
    temperature: float | None | UnsetType = UNSET
    tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET
    tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET
    tools: ToolSet | Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET
    top_p: float | None | UnsetType = UNSET
    truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET
    on_error_event: OnErrorEvent | None = None
    cancel_on_exit: bool | None = None
    recover: RecoverPolicy | bool | None = None
    if_active: IfActive = "error"
    event_handler: AssistantEventHandler | None = None
    on_tool_error: OnToolError = "report"
    tool_timeout: float | None = 60.0
    max_concurrent_tools: int = 8
    max_rounds: int = 16
    approve: Approve | None = None
    options: RequestOptions | None = None

    def __post_init__(self) -> None:
        checks.text(may_be_empty=False)("key", self.key)
        try:
            _check_thread(self)
            if self.thread_id is None:
                ThreadCreateAndRunParams(**run_parameters(self))
            else:
                RunCreateParams(**run_parameters(self))
            _check_manner(self)
            _check_helper(self)
        except InvalidArgumentError as error:
            problem, kind, argument = str(error), type(error), error.argument
        else:
            return
        raise kind(f"request {self.key!r:.100}: {problem}", argument=argument)

    def __repr__(self) -> str:
        """Names it; the rest may hold what people wrote."""
        where = "a new thread" if self.thread_id is None else f"thread {self.thread_id}"
        return f"<RunRequest {self.key!r:.100} on {where}>"


def run_parameters(request: RunRequest) -> dict[str, Any]:
    """What was given of the parameters that are sent."""
    names = _OF_A_NEW_THREAD if request.thread_id is None else _OF_A_RUN
    given = {name: getattr(request, name) for name in names}
    if isinstance(request.tools, ToolSet):
        given["tools"] = request.tools.definitions
    return {name: value for name, value in given.items() if value is not UNSET}


def _check_thread(request: RunRequest) -> None:
    if request.thread_id is None:
        if request.thread is UNSET:
            raise InvalidArgumentError("it needs a thread_id, or thread={...} for a new one", argument="thread_id")
        others, instead = _OF_A_RUN - _OF_A_NEW_THREAD, "thread"
    else:
        checks.path_id("thread_id", request.thread_id)
        others, instead = _OF_A_NEW_THREAD - _OF_A_RUN, "thread_id"
    for name in sorted(others):
        if getattr(request, name) is not UNSET:
            raise InvalidArgumentError(f"{name} must be left out with {instead}: the protocol has none", argument=name)
    if request.thread_id is None and request.if_active != "error":
        raise InvalidArgumentError("if_active must be left out: a new thread has no run", argument="if_active")


def _check_manner(request: RunRequest) -> None:
    if request.on_error_event is not None:
        checks.one_of("raise", "yield")("on_error_event", request.on_error_event)
    if request.cancel_on_exit is not None:
        checks.boolean("cancel_on_exit", request.cancel_on_exit)
    if request.recover is not None:
        recover_policy(request.recover)
    check_if_active(request.if_active)
    options: object = request.options
    if options is not None and not isinstance(options, RequestOptions):
        raise InvalidArgumentError("options must be RequestOptions(...)", argument="options")


def _check_helper(request: RunRequest) -> None:
    problem = problem_of(
        tools=None,  # they need not be a ToolSet: others are sent, and nothing is called
        event_handler=request.event_handler,
        on_tool_error=request.on_tool_error,
        tool_timeout=request.tool_timeout,
        max_concurrent_tools=request.max_concurrent_tools,
        max_rounds=request.max_rounds,
        approve=request.approve,
    )
    if problem is not None:
        name, said = problem
        raise InvalidArgumentError(said, argument=name)
