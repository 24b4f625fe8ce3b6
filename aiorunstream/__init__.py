"""Streams runs of the Assistants protocol: typed events, no silent ends, connections that always close.

Every public name is here, and in the modules `azure`, `relay`, `server` and `testing`. Names are loaded when they are first
used, so that decoding events does not pay for the network stack. A test holds the three lists below equal.
"""

# ruff: isort: skip_file
# ruff: noqa: RUF022  # sorted, and packed: one name a line would make this the longest file
# fmt: off

TYPE_CHECKING = False  # both checkers know the name; importing typing would cost more than this module

if TYPE_CHECKING:
    from ._version import (
        __version__,
    )
    from .backends import (
        Answer, Backend, HttpBackend,
    )
    from .backends.azure import (
        AzureBackend,
    )
    from .backends.responses import (
        MemoryThreadStore, ResponsesBackend, ThreadStore,
    )
    from .client import (
        AsyncClient,
    )
    from .errors import (
        APIConnectionError, APIError, APIStatusError, APITimeoutError, AiorunstreamError, AuthenticationError,
        BadRequestError, ClientClosedError, ConfigurationError, ConflictError, EndpointRetiredError,
        EventTooDeepError, EventTooLargeError, InternalServerError, InvalidArgumentError, NotFoundError,
        PermissionDeniedError, RateLimitError, RunOutcomeUnknownError, RunStreamError, StreamBusyError,
        StreamClosedError, StreamError, StreamInterruptedError, StreamProtocolError, StreamTimeoutError,
        StreamTruncatedError, ThreadBusyError, ToolError, UnprocessableEntityError, UnsupportedParameterError,
    )
    from .events import (
        AssistantStreamEvent, ErrorEvent, RunEvent, ThreadCreated, ThreadMessageCompleted, ThreadMessageCreated,
        ThreadMessageDelta, ThreadMessageInProgress, ThreadMessageIncomplete, ThreadRunCancelled, ThreadRunCancelling,
        ThreadRunCompleted, ThreadRunCreated, ThreadRunExpired, ThreadRunFailed, ThreadRunInProgress,
        ThreadRunIncomplete, ThreadRunQueued, ThreadRunRequiresAction, ThreadRunStepCancelled, ThreadRunStepCompleted,
        ThreadRunStepCreated, ThreadRunStepDelta, ThreadRunStepExpired, ThreadRunStepFailed, ThreadRunStepInProgress,
        UnknownEvent,
    )
    from .fanout import (
        RunFailure, RunItem, RunRequest, RunResult, gather_runs, stream_many,
    )
    from .handler import (
        AssistantEventHandler,
    )
    from .helper import (
        Approve, AssistantStream, OnToolError, TextDeltas,
    )
    from .models import (
        ACTIVE_RUN_STATUSES, Annotation, AnnotationDelta, Assistant, AssistantDeleted, AssistantResponseFormatOption,
        AssistantTool, AssistantToolChoice, AssistantToolChoiceFunction, AssistantToolChoiceOption, Attachment,
        CodeInterpreter, CodeInterpreterDelta, CodeInterpreterLogs, CodeInterpreterLogsDelta, CodeInterpreterOutput,
        CodeInterpreterOutputDelta, CodeInterpreterOutputImage, CodeInterpreterOutputImageDelta,
        CodeInterpreterOutputImageFile, CodeInterpreterOutputImageFileDelta, CodeInterpreterResources,
        CodeInterpreterTool, CodeInterpreterToolCall, CodeInterpreterToolCallDelta, ErrorObject, FileCitation,
        FileCitationAnnotation, FileCitationDelta, FileCitationDeltaAnnotation, FilePath, FilePathAnnotation,
        FilePathDelta, FilePathDeltaAnnotation, FileSearch, FileSearchOptions, FileSearchRankingOptions,
        FileSearchResources, FileSearchResult, FileSearchResultContent, FileSearchTool, FileSearchToolCall,
        FileSearchToolCallDelta, FunctionCall, FunctionCallDelta, FunctionDefinition, FunctionTool, FunctionToolCall,
        FunctionToolCallDelta, ImageFile, ImageFileContentBlock, ImageFileDelta, ImageFileDeltaBlock, ImageURL,
        ImageURLContentBlock, ImageURLDelta, ImageURLDeltaBlock, IncompleteDetails, JSONSchema, LastError, Message,
        MessageContent, MessageContentDelta, MessageCreation, MessageCreationDelta, MessageCreationDeltaObject,
        MessageCreationStepDetails, MessageDeleted, MessageDelta, MessageDeltaEvent, MessageIncompleteDetails,
        MessageRole, MessageStatus, Metadata, Page, RefusalContentBlock, RefusalDeltaBlock, RequiredAction,
        RequiredActionApproval, RequiredActionFunction, RequiredActionFunctionToolCall, RequiredActionMCPToolCall,
        RequiredActionSubmitToolApproval, RequiredActionSubmitToolOutputs, RequiredActionToolCall,
        ResponseFormatJSONObject, ResponseFormatJSONSchema, ResponseFormatText, Run, RunStatus, RunStep, RunStepDelta,
        RunStepDeltaEvent, RunStepStatus, STOPPING_RUN_STATUSES, StepDetails, StepDetailsDelta,
        SubmitToolApprovalAction, SubmitToolOutputsAction, TERMINAL_RUN_STATUSES, Text, TextContentBlock, TextDelta,
        TextDeltaBlock, Thread, ThreadDeleted, ToolCall, ToolCallDelta, ToolCallsDeltaObject, ToolCallsStepDetails,
        ToolResources, TruncationStrategy, UnknownPart, Usage,
    )
    from .options import (
        Limits, RecoverPolicy, RequestOptions, Timeouts,
    )
    from .params import (
        MessageCreateParams, RunCreateParams, TextContentBlockParam, ThreadCreateAndRunParams, ThreadCreateParams,
        ToolApproval, ToolOutput,
    )
    from .protocol import (
        Frame, RunProtocol,
    )
    from .resources import (
        AsyncAssistants, AsyncMessages, AsyncPage, AsyncRunSteps, AsyncRuns, AsyncThreads, ListCall, with_response,
    )
    from .retry import (
        RetryPolicy,
    )
    from .snapshot import (
        RunSnapshot,
    )
    from .stream import (
        FrameIterator, RunStream, StreamCall,
    )
    from .tools import (
        CallableTool, ToolSet, encode_output, function_tool,
    )
else:
    _HOME = {
        "_version": (
            "__version__",
        ),
        "backends": (
            "Answer", "Backend", "HttpBackend",
        ),
        "backends.azure": (
            "AzureBackend",
        ),
        "backends.responses": (
            "MemoryThreadStore", "ResponsesBackend", "ThreadStore",
        ),
        "client": (
            "AsyncClient",
        ),
        "errors": (
            "APIConnectionError", "APIError", "APIStatusError", "APITimeoutError", "AiorunstreamError",
            "AuthenticationError", "BadRequestError", "ClientClosedError", "ConfigurationError", "ConflictError",
            "EndpointRetiredError", "EventTooDeepError", "EventTooLargeError", "InternalServerError",
            "InvalidArgumentError", "NotFoundError", "PermissionDeniedError", "RateLimitError",
            "RunOutcomeUnknownError", "RunStreamError", "StreamBusyError", "StreamClosedError", "StreamError",
            "StreamInterruptedError", "StreamProtocolError", "StreamTimeoutError", "StreamTruncatedError",
            "ThreadBusyError", "ToolError", "UnprocessableEntityError", "UnsupportedParameterError",
        ),
        "events": (
            "AssistantStreamEvent", "ErrorEvent", "RunEvent", "ThreadCreated", "ThreadMessageCompleted",
            "ThreadMessageCreated", "ThreadMessageDelta", "ThreadMessageInProgress", "ThreadMessageIncomplete",
            "ThreadRunCancelled", "ThreadRunCancelling", "ThreadRunCompleted", "ThreadRunCreated", "ThreadRunExpired",
            "ThreadRunFailed", "ThreadRunInProgress", "ThreadRunIncomplete", "ThreadRunQueued",
            "ThreadRunRequiresAction", "ThreadRunStepCancelled", "ThreadRunStepCompleted", "ThreadRunStepCreated",
            "ThreadRunStepDelta", "ThreadRunStepExpired", "ThreadRunStepFailed", "ThreadRunStepInProgress",
            "UnknownEvent",
        ),
        "fanout": (
            "RunFailure", "RunItem", "RunRequest", "RunResult", "gather_runs", "stream_many",
        ),
        "handler": (
            "AssistantEventHandler",
        ),
        "helper": (
            "Approve", "AssistantStream", "OnToolError", "TextDeltas",
        ),
        "models": (
            "ACTIVE_RUN_STATUSES", "Annotation", "AnnotationDelta", "Assistant", "AssistantDeleted",
            "AssistantResponseFormatOption", "AssistantTool", "AssistantToolChoice", "AssistantToolChoiceFunction",
            "AssistantToolChoiceOption", "Attachment", "CodeInterpreter", "CodeInterpreterDelta",
            "CodeInterpreterLogs", "CodeInterpreterLogsDelta", "CodeInterpreterOutput", "CodeInterpreterOutputDelta",
            "CodeInterpreterOutputImage", "CodeInterpreterOutputImageDelta", "CodeInterpreterOutputImageFile",
            "CodeInterpreterOutputImageFileDelta", "CodeInterpreterResources", "CodeInterpreterTool",
            "CodeInterpreterToolCall", "CodeInterpreterToolCallDelta", "ErrorObject", "FileCitation",
            "FileCitationAnnotation", "FileCitationDelta", "FileCitationDeltaAnnotation", "FilePath",
            "FilePathAnnotation", "FilePathDelta", "FilePathDeltaAnnotation", "FileSearch", "FileSearchOptions",
            "FileSearchRankingOptions", "FileSearchResources", "FileSearchResult", "FileSearchResultContent",
            "FileSearchTool", "FileSearchToolCall", "FileSearchToolCallDelta", "FunctionCall", "FunctionCallDelta",
            "FunctionDefinition", "FunctionTool", "FunctionToolCall", "FunctionToolCallDelta", "ImageFile",
            "ImageFileContentBlock", "ImageFileDelta", "ImageFileDeltaBlock", "ImageURL", "ImageURLContentBlock",
            "ImageURLDelta", "ImageURLDeltaBlock", "IncompleteDetails", "JSONSchema", "LastError", "Message",
            "MessageContent", "MessageContentDelta", "MessageCreation", "MessageCreationDelta",
            "MessageCreationDeltaObject", "MessageCreationStepDetails", "MessageDeleted", "MessageDelta",
            "MessageDeltaEvent", "MessageIncompleteDetails", "MessageRole", "MessageStatus", "Metadata", "Page",
            "RefusalContentBlock", "RefusalDeltaBlock", "RequiredAction", "RequiredActionApproval",
            "RequiredActionFunction", "RequiredActionFunctionToolCall", "RequiredActionMCPToolCall",
            "RequiredActionSubmitToolApproval", "RequiredActionSubmitToolOutputs", "RequiredActionToolCall",
            "ResponseFormatJSONObject", "ResponseFormatJSONSchema", "ResponseFormatText", "Run", "RunStatus",
            "RunStep", "RunStepDelta", "RunStepDeltaEvent", "RunStepStatus", "STOPPING_RUN_STATUSES", "StepDetails",
            "StepDetailsDelta", "SubmitToolApprovalAction", "SubmitToolOutputsAction", "TERMINAL_RUN_STATUSES",
            "Text", "TextContentBlock", "TextDelta", "TextDeltaBlock", "Thread", "ThreadDeleted", "ToolCall",
            "ToolCallDelta", "ToolCallsDeltaObject", "ToolCallsStepDetails", "ToolResources", "TruncationStrategy",
            "UnknownPart", "Usage",
        ),
        "options": (
            "Limits", "RecoverPolicy", "RequestOptions", "Timeouts",
        ),
        "params": (
            "MessageCreateParams", "RunCreateParams", "TextContentBlockParam", "ThreadCreateAndRunParams",
            "ThreadCreateParams", "ToolApproval", "ToolOutput",
        ),
        "protocol": (
            "Frame", "RunProtocol",
        ),
        "resources": (
            "AsyncAssistants", "AsyncMessages", "AsyncPage", "AsyncRunSteps", "AsyncRuns", "AsyncThreads", "ListCall",
            "with_response",
        ),
        "retry": (
            "RetryPolicy",
        ),
        "snapshot": (
            "RunSnapshot",
        ),
        "stream": (
            "FrameIterator", "RunStream", "StreamCall",
        ),
        "tools": (
            "CallableTool", "ToolSet", "encode_output", "function_tool",
        ),
    }
    _HOME = {name: module for module, names in _HOME.items() for name in names}

    def __getattr__(name):  # noqa: ANN001, ANN202  # hidden from checkers, so that a misspelt name is an error there
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415  # lazy is the point

        value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
        return value

    def __dir__():  # noqa: ANN202
        return sorted({*globals(), *_HOME})


__all__ = [
    "ACTIVE_RUN_STATUSES", "APIConnectionError", "APIError", "APIStatusError", "APITimeoutError", "AiorunstreamError",
    "Annotation", "AnnotationDelta", "Answer", "Approve", "Assistant", "AssistantDeleted", "AssistantEventHandler",
    "AssistantResponseFormatOption", "AssistantStream", "AssistantStreamEvent", "AssistantTool",
    "AssistantToolChoice", "AssistantToolChoiceFunction", "AssistantToolChoiceOption", "AsyncAssistants",
    "AsyncClient", "AsyncMessages", "AsyncPage", "AsyncRunSteps", "AsyncRuns", "AsyncThreads", "Attachment",
    "AuthenticationError", "AzureBackend", "Backend", "BadRequestError", "CallableTool", "ClientClosedError",
    "CodeInterpreter", "CodeInterpreterDelta", "CodeInterpreterLogs", "CodeInterpreterLogsDelta",
    "CodeInterpreterOutput", "CodeInterpreterOutputDelta", "CodeInterpreterOutputImage",
    "CodeInterpreterOutputImageDelta", "CodeInterpreterOutputImageFile", "CodeInterpreterOutputImageFileDelta",
    "CodeInterpreterResources", "CodeInterpreterTool", "CodeInterpreterToolCall", "CodeInterpreterToolCallDelta",
    "ConfigurationError", "ConflictError", "EndpointRetiredError", "ErrorEvent", "ErrorObject", "EventTooDeepError",
    "EventTooLargeError", "FileCitation", "FileCitationAnnotation", "FileCitationDelta",
    "FileCitationDeltaAnnotation", "FilePath", "FilePathAnnotation", "FilePathDelta", "FilePathDeltaAnnotation",
    "FileSearch", "FileSearchOptions", "FileSearchRankingOptions", "FileSearchResources", "FileSearchResult",
    "FileSearchResultContent", "FileSearchTool", "FileSearchToolCall", "FileSearchToolCallDelta", "Frame",
    "FrameIterator", "FunctionCall", "FunctionCallDelta", "FunctionDefinition", "FunctionTool", "FunctionToolCall",
    "FunctionToolCallDelta", "HttpBackend", "ImageFile", "ImageFileContentBlock", "ImageFileDelta",
    "ImageFileDeltaBlock", "ImageURL", "ImageURLContentBlock", "ImageURLDelta", "ImageURLDeltaBlock",
    "IncompleteDetails", "InternalServerError", "InvalidArgumentError", "JSONSchema", "LastError", "Limits",
    "ListCall", "MemoryThreadStore", "Message", "MessageContent", "MessageContentDelta", "MessageCreateParams",
    "MessageCreation", "MessageCreationDelta", "MessageCreationDeltaObject", "MessageCreationStepDetails",
    "MessageDeleted", "MessageDelta", "MessageDeltaEvent", "MessageIncompleteDetails", "MessageRole", "MessageStatus",
    "Metadata", "NotFoundError", "OnToolError", "Page", "PermissionDeniedError", "RateLimitError", "RecoverPolicy",
    "RefusalContentBlock", "RefusalDeltaBlock", "RequestOptions", "RequiredAction", "RequiredActionApproval",
    "RequiredActionFunction", "RequiredActionFunctionToolCall", "RequiredActionMCPToolCall",
    "RequiredActionSubmitToolApproval", "RequiredActionSubmitToolOutputs", "RequiredActionToolCall",
    "ResponseFormatJSONObject", "ResponseFormatJSONSchema", "ResponseFormatText", "ResponsesBackend", "RetryPolicy",
    "Run", "RunCreateParams", "RunEvent", "RunFailure", "RunItem", "RunOutcomeUnknownError", "RunProtocol",
    "RunRequest", "RunResult", "RunSnapshot", "RunStatus", "RunStep", "RunStepDelta", "RunStepDeltaEvent",
    "RunStepStatus", "RunStream", "RunStreamError", "STOPPING_RUN_STATUSES", "StepDetails", "StepDetailsDelta",
    "StreamBusyError", "StreamCall", "StreamClosedError", "StreamError", "StreamInterruptedError",
    "StreamProtocolError", "StreamTimeoutError", "StreamTruncatedError", "SubmitToolApprovalAction",
    "SubmitToolOutputsAction", "TERMINAL_RUN_STATUSES", "Text", "TextContentBlock", "TextContentBlockParam",
    "TextDelta", "TextDeltaBlock", "TextDeltas", "Thread", "ThreadBusyError", "ThreadCreateAndRunParams",
    "ThreadCreateParams", "ThreadCreated", "ThreadDeleted", "ThreadMessageCompleted", "ThreadMessageCreated",
    "ThreadMessageDelta", "ThreadMessageInProgress", "ThreadMessageIncomplete", "ThreadRunCancelled",
    "ThreadRunCancelling", "ThreadRunCompleted", "ThreadRunCreated", "ThreadRunExpired", "ThreadRunFailed",
    "ThreadRunInProgress", "ThreadRunIncomplete", "ThreadRunQueued", "ThreadRunRequiresAction",
    "ThreadRunStepCancelled", "ThreadRunStepCompleted", "ThreadRunStepCreated", "ThreadRunStepDelta",
    "ThreadRunStepExpired", "ThreadRunStepFailed", "ThreadRunStepInProgress", "ThreadStore", "Timeouts",
    "ToolApproval", "ToolCall", "ToolCallDelta", "ToolCallsDeltaObject", "ToolCallsStepDetails", "ToolError",
    "ToolOutput", "ToolResources", "ToolSet", "TruncationStrategy", "UnknownEvent", "UnknownPart",
    "UnprocessableEntityError", "UnsupportedParameterError", "Usage", "__version__", "encode_output", "function_tool",
    "gather_runs", "stream_many", "with_response",
]
