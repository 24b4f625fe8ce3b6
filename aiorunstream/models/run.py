"""A run: one turn of an assistant on a thread."""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import Metadata, Model, Partial, Seconds, UnknownPart
from .approval import RequiredActionApproval, SubmitToolApprovalAction
from .tool import AssistantResponseFormatOption, AssistantTool, AssistantToolChoiceOption, ToolResources
from .usage import Usage

RunStatus = (
    Literal[
        "queued",
        "in_progress",
        "requires_action",
        "cancelling",
        "cancelled",
        "failed",
        "completed",
        "incomplete",
        "expired",
    ]
    | str
)

TERMINAL_RUN_STATUSES = frozenset({"completed", "incomplete", "failed", "cancelled", "expired"})
"""A run in one of these never changes again."""

ACTIVE_RUN_STATUSES = frozenset({"queued", "in_progress", "cancelling"})
"""A run in one of these goes on by itself."""

STOPPING_RUN_STATUSES = TERMINAL_RUN_STATUSES | {"requires_action"}
"""A stream ends when its run reaches one of these; after `requires_action` the run itself may go on."""


class IncompleteDetails(Partial, frozen=True):
    """Why a run ended incomplete."""

    reason: Literal["max_completion_tokens", "max_prompt_tokens"] | str | None = None


class LastError(Model, frozen=True):
    """What a run failed of. Azure sends codes of its own."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"] | str | None = None
    message: str = ""


class RequiredActionFunction(Model, frozen=True):
    """A function the model wants called. `arguments` is JSON text as the model wrote it; it may be broken JSON."""

    name: str = ""
    arguments: str = ""


class RequiredActionFunctionToolCall(Model, frozen=True, tag="function"):
    """A call that waits for its output; answer it with this `id` as `tool_call_id`."""

    type: ClassVar[Literal["function"]] = "function"
    id: str
    function: RequiredActionFunction


if TYPE_CHECKING:
    RequiredActionToolCall = RequiredActionFunctionToolCall | UnknownPart
else:
    RequiredActionToolCall = RequiredActionFunctionToolCall


class RequiredActionSubmitToolOutputs(Model, frozen=True):
    """The calls that wait, all to be answered in one request."""

    tool_calls: tuple[RequiredActionToolCall, ...] = ()


class SubmitToolOutputsAction(Model, frozen=True, tag="submit_tool_outputs"):
    """The run waits for the outputs of its tool calls."""

    type: ClassVar[Literal["submit_tool_outputs"]] = "submit_tool_outputs"
    submit_tool_outputs: RequiredActionSubmitToolOutputs


if TYPE_CHECKING:
    RequiredAction = SubmitToolOutputsAction | SubmitToolApprovalAction | UnknownPart
else:
    RequiredAction = SubmitToolOutputsAction | SubmitToolApprovalAction


class TruncationStrategy(Model, frozen=True):
    """Which messages of the thread the model sees: all that fit, or the last `last_messages`."""

    type: Literal["auto", "last_messages"] | str = "auto"
    last_messages: int | None = None


class Run(Model, frozen=True):
    """One turn of an assistant on a thread. All times are Unix seconds."""

    id: str
    object: Literal["thread.run"] | str = "thread.run"
    created_at: Seconds | None = None
    thread_id: str = ""
    assistant_id: str | None = None
    status: RunStatus | None = None
    required_action: RequiredAction | None = None
    last_error: LastError | None = None
    expires_at: Seconds | None = None
    started_at: Seconds | None = None
    cancelled_at: Seconds | None = None
    failed_at: Seconds | None = None
    completed_at: Seconds | None = None
    incomplete_details: IncompleteDetails | None = None
    model: str | None = None
    instructions: str | None = None
    tools: tuple[AssistantTool, ...] = ()
    metadata: Metadata | None = None
    usage: Usage | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: AssistantToolChoiceOption | None = None
    parallel_tool_calls: bool | None = None
    response_format: AssistantResponseFormatOption | None = None
    tool_resources: ToolResources | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended for good. `requires_action` has not: it waits for tool outputs."""
        return self.status in TERMINAL_RUN_STATUSES

    @property
    def tool_calls(self) -> tuple[RequiredActionToolCall, ...]:
        """The tool calls that wait for outputs; empty unless the run is in `requires_action`."""
        action = self.required_action
        return action.submit_tool_outputs.tool_calls if isinstance(action, SubmitToolOutputsAction) else ()

    @property
    def calls_to_approve(self) -> tuple[RequiredActionApproval, ...]:
        """The calls that wait for leave; empty unless the run waits for `tool_approvals`, as Azure's runs may."""
        action = self.required_action
        return action.submit_tool_approval.tool_calls if isinstance(action, SubmitToolApprovalAction) else ()
