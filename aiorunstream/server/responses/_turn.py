"""What an engine is given for a response: the same `Turn` as for a run, made of the conversation's items."""

from collections.abc import Sequence
from typing import cast

from ...engine import Turn
from ...models import (
    Assistant,
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoice,
    AssistantToolChoiceFunction,
    AssistantToolChoiceOption,
    CodeInterpreter,
    CodeInterpreterTool,
    CodeInterpreterToolCall,
    FileSearch,
    FileSearchOptions,
    FileSearchTool,
    FileSearchToolCall,
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    FunctionToolCall,
    ImageFile,
    ImageFileContentBlock,
    ImageURL,
    ImageURLContentBlock,
    JSONObject,
    JSONSchema,
    Message,
    MessageContent,
    MessageCreation,
    MessageCreationStepDetails,
    RefusalContentBlock,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
    Run,
    RunStep,
    Text,
    TextContentBlock,
    ToolCall,
    ToolCallsStepDetails,
    TruncationStrategy,
    UnknownPart,
)
from ._requests import ResponseRequest


def turn_of(response: JSONObject, asked: ResponseRequest, items: Sequence[JSONObject]) -> Turn:
    """The turn of a response that goes on a conversation of those items, its own input included.

    What the model has done since the user's last message are the steps; the outputs of calls are with their calls, in
    the last step if they have just come.
    """
    run = _run(response, asked)
    assistant = Assistant("", model=run.model, instructions=run.instructions, tools=run.tools, metadata={})
    messages = tuple(_message(item, run) for item in items if item["type"] == "message")
    return Turn(assistant, run, messages, tuple(_steps(items, run)))


# -- settings --------------------------------------------------------------------------------------------------------


def _run(response: JSONObject, asked: ResponseRequest) -> Run:
    """The response as a run: the same settings, in the protocol's own shapes."""
    return Run(
        str(response["id"]),
        created_at=cast("int", response["created_at"]),
        thread_id=asked.conversation_id or "",
        assistant_id="",
        status="in_progress",
        model=asked.model,
        instructions=asked.instructions or "",
        tools=tuple(_tool(tool) for tool in cast("list[JSONObject]", response["tools"])),
        metadata=asked.metadata or {},
        temperature=asked.temperature,
        top_p=asked.top_p,
        max_completion_tokens=asked.max_output_tokens,
        truncation_strategy=TruncationStrategy(),
        tool_choice=_choice(cast("str | JSONObject", response["tool_choice"])),
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        response_format=_format(cast("JSONObject", response["text"])),
    )


def _tool(tool: JSONObject) -> AssistantTool:
    match tool["type"]:
        case "function":
            return FunctionTool(
                FunctionDefinition(
                    str(tool["name"]),
                    cast("str | None", tool["description"]),
                    cast("JSONObject | None", tool["parameters"]),
                    cast("bool | None", tool["strict"]),
                )
            )
        case "code_interpreter":
            return CodeInterpreterTool()
        case "file_search":
            return FileSearchTool(FileSearchOptions(cast("int | None", tool.get("max_num_results"))))
        case _:
            return UnknownPart(tool)


def _choice(choice: str | JSONObject) -> AssistantToolChoiceOption:
    if isinstance(choice, str):
        return choice
    kind = str(choice["type"])
    if kind == "allowed_tools":
        return str(choice.get("mode", "auto"))
    return AssistantToolChoice(kind, AssistantToolChoiceFunction(str(choice["name"])) if kind == "function" else None)


def _format(text: JSONObject) -> AssistantResponseFormatOption:
    format = cast("JSONObject", text["format"])
    match format["type"]:
        case "json_schema":
            schema = JSONSchema(
                str(format["name"]),
                cast("str | None", format.get("description")),
                cast("JSONObject", format["schema"]),
                cast("bool | None", format.get("strict")),
            )
            return ResponseFormatJSONSchema(schema)
        case "json_object":
            return ResponseFormatJSONObject()
        case _:
            return ResponseFormatText()


# -- messages --------------------------------------------------------------------------------------------------------


def _message(item: JSONObject, run: Run) -> Message:
    return Message(
        str(item["id"]),
        thread_id=run.thread_id,
        status="completed",
        role=str(item["role"]),
        content=tuple(_content(part) for part in cast("list[JSONObject]", item["content"])),
        attachments=(),
        metadata={},
    )


def _content(part: JSONObject) -> MessageContent:
    match part["type"]:
        case "input_text" | "output_text":
            return TextContentBlock(Text(str(part["text"])))
        case "refusal":
            return RefusalContentBlock(str(part["refusal"]))
        case "input_image" if part.get("file_id"):
            return ImageFileContentBlock(ImageFile(str(part["file_id"])))
        case "input_image":
            return ImageURLContentBlock(ImageURL(str(part["image_url"])))
        case _:
            return UnknownPart(part)


# -- steps -----------------------------------------------------------------------------------------------------------


def _steps(items: Sequence[JSONObject], run: Run) -> list[RunStep]:
    outputs = {item["call_id"]: _output(item) for item in items if item["type"] == "function_call_output"}
    steps: list[RunStep] = []
    calls: list[ToolCall] = []
    for item in items:
        if item["type"] != "message":
            calls.extend(_call(item, outputs))
            continue
        if calls:
            steps.append(_step(run, ToolCallsStepDetails(tuple(calls)), len(steps)))
            calls = []
        if item["role"] == "user":
            steps = []
        elif item["role"] == "assistant":
            steps.append(_step(run, MessageCreationStepDetails(MessageCreation(str(item["id"]))), len(steps)))
    if calls:
        steps.append(_step(run, ToolCallsStepDetails(tuple(calls)), len(steps)))
    return steps


def _step(run: Run, details: MessageCreationStepDetails | ToolCallsStepDetails, place: int) -> RunStep:
    return RunStep(
        f"step_{place}",
        thread_id=run.thread_id,
        run_id=run.id,
        type=details.type,
        status="completed",
        step_details=details,
        metadata={},
    )


def _call(item: JSONObject, outputs: dict[object, str]) -> list[ToolCall]:
    match item["type"]:
        case "function_call":
            function = FunctionCall(str(item["name"]), str(item["arguments"]), outputs.get(item["call_id"]))
            return [FunctionToolCall(str(item["call_id"]), function)]
        case "code_interpreter_call":
            return [CodeInterpreterToolCall(str(item["id"]), CodeInterpreter(str(item.get("code") or "")))]
        case "file_search_call":
            return [FileSearchToolCall(str(item["id"]), FileSearch())]
        case "function_call_output" | "reasoning":
            return []
        case _:
            return [cast("ToolCall", UnknownPart(item))]


def _output(item: JSONObject) -> str:
    output = item["output"]
    if isinstance(output, str):
        return output
    return "".join(str(part.get("text", "")) for part in cast("list[JSONObject]", output))
