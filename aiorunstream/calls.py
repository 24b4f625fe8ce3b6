"""Tool calls that a run has begun to make and not yet ended: functions, code, file searches, in one step.

As with messages, each piece gives the delta that tells of it. Functions wait for outputs from outside; the rest do not.
"""

from collections.abc import Mapping

import msgspec

from .drafts import Draft
from .models import (
    CodeInterpreter,
    CodeInterpreterDelta,
    CodeInterpreterLogs,
    CodeInterpreterLogsDelta,
    CodeInterpreterOutput,
    CodeInterpreterOutputDelta,
    CodeInterpreterOutputImage,
    CodeInterpreterOutputImageDelta,
    CodeInterpreterOutputImageFile,
    CodeInterpreterOutputImageFileDelta,
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FileSearch,
    FileSearchResult,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionCall,
    FunctionCallDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    JSONObject,
    RequiredAction,
    RequiredActionFunction,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    SubmitToolApprovalAction,
    SubmitToolOutputsAction,
    ToolCall,
    ToolCallDelta,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)


class _Output:
    """One output of code: an image, or the pieces of what was printed."""

    def __init__(self, file_id: str | None) -> None:
        self.file_id = file_id
        self.pieces: list[str] = []

    def whole(self) -> CodeInterpreterOutput:
        if self.file_id is None:
            return CodeInterpreterLogs("".join(self.pieces))
        return CodeInterpreterOutputImage(CodeInterpreterOutputImageFile(self.file_id))


class _Function:
    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.pieces: list[str] = []

    def whole(self, output: str | None) -> ToolCall:
        return FunctionToolCall(self.id, FunctionCall(self.name, "".join(self.pieces), output))

    def required(self) -> RequiredActionFunctionToolCall:
        return RequiredActionFunctionToolCall(self.id, RequiredActionFunction(self.name, "".join(self.pieces)))


class _Done:
    """A call of a function whose output has come already."""

    def __init__(self, function: _Function, output: str) -> None:
        self.id = function.id
        self._function = function
        self._output = output

    def whole(self, output: str | None) -> ToolCall:
        assert output is None
        return self._function.whole(self._output)


class _Code:
    def __init__(self, id: str) -> None:
        self.id = id
        self.pieces: list[str] = []
        self.outputs: list[_Output] = []

    def whole(self, output: str | None) -> ToolCall:
        assert output is None
        outputs = tuple(made.whole() for made in self.outputs)
        return CodeInterpreterToolCall(self.id, CodeInterpreter("".join(self.pieces), outputs))


class _Search:
    def __init__(self, id: str, results: tuple[FileSearchResult, ...]) -> None:
        self.id = id
        self.results = results

    def whole(self, output: str | None) -> ToolCall:
        assert output is None
        return FileSearchToolCall(self.id, FileSearch(results=self.results))


class _Other:
    """A use of a tool of another kind, whole."""

    def __init__(self, call: JSONObject) -> None:
        self.id = str(call["id"])
        self.call = call

    def whole(self, output: str | None) -> ToolCall:
        assert output is None
        return UnknownPart(self.call)


class _Asking(_Other):
    """A call of a tool of an MCP server that waits for leave."""

    def __init__(self, required: RequiredActionMCPToolCall, output: str) -> None:
        super().__init__({"type": "mcp", **{name: getattr(required, name) for name in required.__struct_fields__}})
        self.required = required
        self.output = output

    def decide(self, *, yes: bool) -> None:
        """It is made, or not."""
        self.call = {**self.call, "output": self.output if yes else None}


class CallsDraft(Draft):
    """Tool calls of one step that are being made, or wait for their outputs."""

    def __init__(self, step_id: str) -> None:
        super().__init__(step_id)
        self._calls: list[_Function | _Done | _Code | _Search | _Other] = []

    @property
    def waiting(self) -> list[str]:
        """The ids of the calls that need an output, or leave, from outside, in order."""
        return [call.id for call in self._calls if isinstance(call, (_Function, _Asking))]

    @property
    def asks(self) -> bool:
        """Whether it is leave that is waited for."""
        return any(isinstance(call, _Asking) for call in self._calls)

    def check(self, id: str, *, asks: bool | None) -> None:
        """Looks at a call that is to be added: whether it asks for leave, or for an output, or for nothing (None).

        Raises:
            ValueError: another call has its id; or those that are there ask for the other of the two.
        """
        if any(call.id == id for call in self._calls):  # no output could say which call it is for
            raise ValueError(f"two tool calls have the id {id!r}")
        if asks is not None and self.waiting and asks != self.asks:
            raise ValueError("a turn may ask for leave or for outputs, and not for both")

    def call(self, id: str, name: str) -> RunStepDeltaEvent:
        """Adds a call of a function."""
        self._calls.append(_Function(id, name))
        return self._of_function(FunctionCallDelta(name, ""), id)

    def argue(self, value: str) -> RunStepDeltaEvent:
        """Adds to the arguments of the last call. Raises `ValueError`: it is not of a function."""
        call = self._calls[-1]
        if not isinstance(call, _Function):
            raise ValueError("MoreArguments without a CallTool just before")  # noqa: TRY004  # an order, not a type
        call.pieces.append(value)
        return self._of_function(FunctionCallDelta(arguments=value))

    def run(self, id: str) -> RunStepDeltaEvent:
        """Adds a use of the code interpreter."""
        self._calls.append(_Code(id))
        return self._of_code(CodeInterpreterDelta(""), id)

    def code(self, value: str) -> RunStepDeltaEvent:
        """Adds to the code of the last call. Raises `ValueError`: it is none of the code interpreter."""
        self._last_code().pieces.append(value)
        return self._of_code(CodeInterpreterDelta(value))

    def log(self, value: str) -> RunStepDeltaEvent:
        """Adds to what the code printed. Raises `ValueError`: the last call is none of the code interpreter."""
        outputs = self._last_code().outputs
        if value:  # else nobody is told of an output
            if not outputs or outputs[-1].file_id is not None:
                outputs.append(_Output(None))
            outputs[-1].pieces.append(value)
        return self._of_output(CodeInterpreterLogsDelta(len(outputs) - 1, value))

    def draw(self, file_id: str) -> RunStepDeltaEvent:
        """Adds an image that the code drew. Raises `ValueError`: the last call is none of the code interpreter."""
        outputs = self._last_code().outputs
        outputs.append(_Output(file_id))
        image = CodeInterpreterOutputImageFileDelta(file_id)
        return self._of_output(CodeInterpreterOutputImageDelta(len(outputs) - 1, image))

    def search(self, id: str, results: tuple[FileSearchResult, ...]) -> RunStepDeltaEvent:
        """Adds a file search and what it found. The delta tells only of the search, as OpenAI's does."""
        named = tuple(
            msgspec.structs.replace(found, file_name=found.file_name or found.file_id, score=found.score or 0.0)
            for found in results
        )
        self._calls.append(_Search(id, named))
        return self._delta(FileSearchToolCallDelta(self._index, {}, id))

    def use(self, call: JSONObject) -> RunStepDeltaEvent:
        """Adds a use of a tool of another kind."""
        self._calls.append(_Other(call))
        return self._delta(UnknownPart({"index": self._index, **call}))

    def ask(self, required: RequiredActionMCPToolCall, output: str) -> RunStepDeltaEvent:
        """Adds a call for which leave is asked."""
        asking = _Asking(required, output)
        self._calls.append(asking)
        return self._delta(UnknownPart({"index": self._index, **asking.call}))

    def answer(self, id: str, output: str) -> None:
        """Sets the output of a call that the server has made itself: nobody waits for it any more."""
        for place, call in enumerate(self._calls):
            if isinstance(call, _Function) and call.id == id:
                self._calls[place] = _Done(call, output)

    def ask_no_more(self) -> None:
        """Only shows the calls for which leave was asked: a run waits for one of the two, and outputs are wanted too."""
        for place, call in enumerate(self._calls):
            if isinstance(call, _Asking):
                self._calls[place] = _Other({**call.call, "type": "mcp_approval_request"})

    def decide(self, approved: Mapping[str, bool]) -> None:
        """Makes the calls for which leave is given, by their ids."""
        for call in self._calls:
            if isinstance(call, _Asking):
                call.decide(yes=approved[call.id])

    def details(self, outputs: Mapping[str, str] | None = None) -> ToolCallsStepDetails:
        """The calls as far as they have come, with their outputs where there are any."""
        outputs = outputs or {}
        return ToolCallsStepDetails(tuple(call.whole(outputs.get(call.id)) for call in self._calls))

    def required_action(self) -> RequiredAction:
        """What the caller must do for the run to go on."""
        if self.asks:
            asked = tuple(call.required for call in self._calls if isinstance(call, _Asking))
            return SubmitToolApprovalAction(RequiredActionSubmitToolApproval(asked))
        functions = tuple(call.required() for call in self._calls if isinstance(call, _Function))
        return SubmitToolOutputsAction(RequiredActionSubmitToolOutputs(functions))

    @property
    def _index(self) -> int:
        return len(self._calls) - 1

    def _last_code(self) -> _Code:
        call = self._calls[-1]
        if not isinstance(call, _Code):
            raise ValueError("code, logs or an image of code without a RunCode just before")  # noqa: TRY004  # an order, not a type
        return call

    def _of_function(self, function: FunctionCallDelta, id: str | None = None) -> RunStepDeltaEvent:
        return self._delta(FunctionToolCallDelta(self._index, id, function))

    def _of_code(self, code: CodeInterpreterDelta, id: str | None = None) -> RunStepDeltaEvent:
        return self._delta(CodeInterpreterToolCallDelta(self._index, id, code))

    def _of_output(self, output: CodeInterpreterOutputDelta) -> RunStepDeltaEvent:
        return self._of_code(CodeInterpreterDelta(outputs=(output,)))

    def _delta(self, part: ToolCallDelta) -> RunStepDeltaEvent:
        return RunStepDeltaEvent(self.step_id, delta=RunStepDelta(ToolCallsDeltaObject((part,))))


def without_contents(step: RunStep) -> RunStep:
    """The step as it is shown to those who did not ask for the contents of what a file search found."""
    details = step.step_details
    if not isinstance(details, ToolCallsStepDetails):
        return step
    calls = tuple(_bare(call) if isinstance(call, FileSearchToolCall) else call for call in details.tool_calls)
    return msgspec.structs.replace(step, step_details=ToolCallsStepDetails(calls))


def _bare(call: FileSearchToolCall) -> FileSearchToolCall:
    results = tuple(msgspec.structs.replace(found, content=None) for found in call.file_search.results or ())
    return FileSearchToolCall(call.id, msgspec.structs.replace(call.file_search, results=results))
