"""The Structs against the published schemas: no field of any of them is missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec
import pytest
from conftest import NO_SHARED, SHARED

from aiorunstream import events, models, params
from aiorunstream.operations import OPERATIONS

M = models
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "AssistantObject": M.Assistant,
    "AssistantObject.tool_resources": M.ToolResources,
    "AssistantObject.tool_resources.code_interpreter": M.CodeInterpreterResources,
    "AssistantObject.tool_resources.file_search": M.FileSearchResources,
    "AssistantToolsCode": M.CodeInterpreterTool,
    "AssistantToolsFileSearch": M.FileSearchTool,
    "AssistantToolsFileSearch.file_search": M.FileSearchOptions,
    "AssistantToolsFileSearchTypeOnly": M.FileSearchTool,
    "AssistantToolsFunction": M.FunctionTool,
    "AssistantsNamedToolChoice": M.AssistantToolChoice,
    "AssistantsNamedToolChoice.function": M.AssistantToolChoiceFunction,
    "CreateAssistantRequest": params.AssistantCreateParams,
    "CreateMessageRequest": params.MessageCreateParams,
    "CreateMessageRequest.attachments[]": M.Attachment,
    "CreateRunRequest": params.RunCreateParams,
    "CreateThreadAndRunRequest": params.ThreadCreateAndRunParams,
    "CreateThreadAndRunRequest.tool_resources": M.ToolResources,
    "CreateThreadRequest": params.ThreadCreateParams,
    "DeleteAssistantResponse": M.AssistantDeleted,
    "DeleteMessageResponse": M.MessageDeleted,
    "DeleteThreadResponse": M.ThreadDeleted,
    "Error": M.ErrorObject,
    "ErrorEvent": events.ErrorEvent,
    "FileSearchRankingOptions": M.FileSearchRankingOptions,
    "FunctionObject": M.FunctionDefinition,
    "ListAssistantsResponse": M.Page,
    "ListMessagesResponse": M.Page,
    "ListRunStepsResponse": M.Page,
    "ListRunsResponse": M.Page,
    "MessageContentImageFileObject": M.ImageFileContentBlock,
    "MessageContentImageFileObject.image_file": M.ImageFile,
    "MessageContentImageUrlObject": M.ImageURLContentBlock,
    "MessageContentImageUrlObject.image_url": M.ImageURL,
    "MessageContentRefusalObject": M.RefusalContentBlock,
    "MessageContentTextAnnotationsFileCitationObject": M.FileCitationAnnotation,
    "MessageContentTextAnnotationsFileCitationObject.file_citation": M.FileCitation,
    "MessageContentTextAnnotationsFilePathObject": M.FilePathAnnotation,
    "MessageContentTextAnnotationsFilePathObject.file_path": M.FilePath,
    "MessageContentTextObject": M.TextContentBlock,
    "MessageContentTextObject.text": M.Text,
    "MessageDeltaContentImageFileObject": M.ImageFileDeltaBlock,
    "MessageDeltaContentImageFileObject.image_file": M.ImageFileDelta,
    "MessageDeltaContentImageUrlObject": M.ImageURLDeltaBlock,
    "MessageDeltaContentImageUrlObject.image_url": M.ImageURLDelta,
    "MessageDeltaContentRefusalObject": M.RefusalDeltaBlock,
    "MessageDeltaContentTextAnnotationsFileCitationObject": M.FileCitationDeltaAnnotation,
    "MessageDeltaContentTextAnnotationsFileCitationObject.file_citation": M.FileCitationDelta,
    "MessageDeltaContentTextAnnotationsFilePathObject": M.FilePathDeltaAnnotation,
    "MessageDeltaContentTextAnnotationsFilePathObject.file_path": M.FilePathDelta,
    "MessageDeltaContentTextObject": M.TextDeltaBlock,
    "MessageDeltaContentTextObject.text": M.TextDelta,
    "MessageDeltaObject": M.MessageDeltaEvent,
    "MessageDeltaObject.delta": M.MessageDelta,
    "MessageObject": M.Message,
    "MessageObject.attachments[]": M.Attachment,
    "MessageObject.incomplete_details": M.MessageIncompleteDetails,
    "MessageRequestContentTextObject": params.TextContentBlockParam,
    "ModifyAssistantRequest": params.AssistantUpdateParams,
    "ModifyMessageRequest": params.MessageUpdateParams,
    "ModifyRunRequest": params.RunUpdateParams,
    "ModifyThreadRequest": params.ThreadUpdateParams,
    "ResponseFormatJsonObject": M.ResponseFormatJSONObject,
    "ResponseFormatJsonSchema": M.ResponseFormatJSONSchema,
    "ResponseFormatJsonSchema.json_schema": M.JSONSchema,
    "ResponseFormatText": M.ResponseFormatText,
    "RunCompletionUsage": M.Usage,
    "RunObject": M.Run,
    "RunObject.incomplete_details": M.IncompleteDetails,
    "RunObject.last_error": M.LastError,
    "RunObject.required_action": M.SubmitToolOutputsAction,
    "RunObject.required_action.submit_tool_outputs": M.RequiredActionSubmitToolOutputs,
    "RunStepCompletionUsage": M.Usage,
    "RunStepDeltaObject": M.RunStepDeltaEvent,
    "RunStepDeltaObject.delta": M.RunStepDelta,
    "RunStepDeltaStepDetailsMessageCreationObject": M.MessageCreationDeltaObject,
    "RunStepDeltaStepDetailsMessageCreationObject.message_creation": M.MessageCreationDelta,
    "RunStepDeltaStepDetailsToolCallsCodeObject": M.CodeInterpreterToolCallDelta,
    "RunStepDeltaStepDetailsToolCallsCodeObject.code_interpreter": M.CodeInterpreterDelta,
    "RunStepDeltaStepDetailsToolCallsCodeOutputImageObject": M.CodeInterpreterOutputImageDelta,
    "RunStepDeltaStepDetailsToolCallsCodeOutputImageObject.image": M.CodeInterpreterOutputImageFileDelta,
    "RunStepDeltaStepDetailsToolCallsCodeOutputLogsObject": M.CodeInterpreterLogsDelta,
    "RunStepDeltaStepDetailsToolCallsFileSearchObject": M.FileSearchToolCallDelta,
    "RunStepDeltaStepDetailsToolCallsFunctionObject": M.FunctionToolCallDelta,
    "RunStepDeltaStepDetailsToolCallsFunctionObject.function": M.FunctionCallDelta,
    "RunStepDeltaStepDetailsToolCallsObject": M.ToolCallsDeltaObject,
    "RunStepDetailsMessageCreationObject": M.MessageCreationStepDetails,
    "RunStepDetailsMessageCreationObject.message_creation": M.MessageCreation,
    "RunStepDetailsToolCallsCodeObject": M.CodeInterpreterToolCall,
    "RunStepDetailsToolCallsCodeObject.code_interpreter": M.CodeInterpreter,
    "RunStepDetailsToolCallsCodeOutputImageObject": M.CodeInterpreterOutputImage,
    "RunStepDetailsToolCallsCodeOutputImageObject.image": M.CodeInterpreterOutputImageFile,
    "RunStepDetailsToolCallsCodeOutputLogsObject": M.CodeInterpreterLogs,
    "RunStepDetailsToolCallsFileSearchObject": M.FileSearchToolCall,
    "RunStepDetailsToolCallsFileSearchObject.file_search": M.FileSearch,
    "RunStepDetailsToolCallsFileSearchRankingOptionsObject": M.FileSearchRankingOptions,
    "RunStepDetailsToolCallsFileSearchResultObject": M.FileSearchResult,
    "RunStepDetailsToolCallsFileSearchResultObject.content[]": M.FileSearchResultContent,
    "RunStepDetailsToolCallsFunctionObject": M.FunctionToolCall,
    "RunStepDetailsToolCallsFunctionObject.function": M.FunctionCall,
    "RunStepDetailsToolCallsObject": M.ToolCallsStepDetails,
    "RunStepObject": M.RunStep,
    "RunStepObject.last_error": M.LastError,
    "RunToolCallObject": M.RequiredActionFunctionToolCall,
    "RunToolCallObject.function": M.RequiredActionFunction,
    "SubmitToolOutputsRunRequest": params.RunSubmitToolOutputsParams,
    "SubmitToolOutputsRunRequest.tool_outputs[]": params.ToolOutput,
    "ThreadObject": M.Thread,
    "ThreadObject.tool_resources": M.ToolResources,
    "ThreadObject.tool_resources.code_interpreter": M.CodeInterpreterResources,
    "ThreadObject.tool_resources.file_search": M.FileSearchResources,
    "TruncationObject": M.TruncationStrategy,
}

NO_STRUCT = {
    "DoneEvent",  # not JSON: the end mark
    "ErrorResponse",  # the body of a status error; read where statuses are
    "FunctionParameters", "ResponseFormatJsonSchemaSchema",  # JSON Schema, left open
}  # fmt: skip

Schemas = Mapping[str, Mapping[str, object]]


def schemas() -> Schemas:
    if not SHARED.is_dir():
        pytest.skip(NO_SHARED)
    found: Schemas = json.loads((SHARED / "wire" / "schema-matrix.json").read_text())["schemas"]
    return found


def _may_be_plain(name: str) -> bool:
    """Helper objects of requests may be dicts; the 24 variants of the event are tested by name."""
    return "StreamEvent|" in name or (".tool_resources" in name and name.startswith(("Create", "Modify")))


def test_every_published_object_has_a_struct() -> None:
    objects = {name for name, schema in schemas().items() if schema["kind"] == "object" and not _may_be_plain(name)}
    assert objects - NO_STRUCT - set(STRUCTS) == set()
    assert {name for name in set(STRUCTS) - objects if not _may_be_plain(name)} == set()


@pytest.mark.parametrize("name", STRUCTS)
def test_no_published_field_is_missing(name: str) -> None:
    fields = cast("Mapping[str, Mapping[str, object]]", schemas()[name]["fields"])
    config = STRUCTS[name].__struct_config__
    here = {*STRUCTS[name].__struct_encode_fields__, *([config.tag_field] if config.tag_field else [])}
    assert set(fields) - here == set()
    if config.tag_field is not None and config.tag_field in fields:
        allowed = fields[config.tag_field].get("enum")
        assert allowed in ([config.tag], None)


@pytest.mark.parametrize("name", [
    "CreateAssistantRequest", "CreateMessageRequest", "CreateRunRequest", "CreateThreadAndRunRequest", "CreateThreadRequest",
    "ModifyAssistantRequest", "ModifyMessageRequest", "ModifyRunRequest", "ModifyThreadRequest", "SubmitToolOutputsRunRequest",
])  # fmt: skip
def test_a_request_has_no_field_that_is_not_published(name: str) -> None:
    fields = set(cast("Mapping[str, object]", schemas()[name]["fields"]))
    assert set(STRUCTS[name].__struct_fields__) - fields <= {"include"}  # which travels in the query


def test_only_what_is_required_is_required_in_a_request() -> None:
    for operation in OPERATIONS:
        if operation.body is None:
            continue
        (name,) = [name for name, struct in STRUCTS.items() if struct is operation.body]
        fields = cast("Mapping[str, Mapping[str, object]]", schemas()[name]["fields"])
        required = {field.name for field in msgspec.structs.fields(operation.body) if field.required}
        assert required == {field for field, schema in fields.items() if schema["required"]}, name


def test_the_published_events_are_the_ones_we_know() -> None:
    if not SHARED.is_dir():
        pytest.skip(NO_SHARED)
    found = json.loads((Path(SHARED) / "wire" / "schema-matrix.json").read_text())["events"]
    table = {event["event"]: event for event in found if event["event"] != "done"}
    assert set(table) == set(events.REGISTRY)
    for name, entry in events.REGISTRY.items():
        assert STRUCTS[table[name]["payload"]] is entry.payload
        assert (entry.stops is not None) == (table[name]["ends_stream"] and name != "error")
