"""Messages and tool outputs as items of a response's input; and items of a conversation as messages."""

from collections.abc import Iterable, Mapping
from typing import cast

from ...errors import UnsupportedParameterError
from ...intake import given
from ...models import (
    ImageFile,
    ImageFileContentBlock,
    ImageURL,
    ImageURLContentBlock,
    JSONObject,
    Message,
    MessageContent,
    RefusalContentBlock,
    Text,
    TextContentBlock,
)
from ...params import MessageCreateParams
from ._json import object_of, objects_of, text_of
from ._marks import mark

NO_OUTPUT = "The call was cancelled: it has no output."
"""What a model is told of a call whose run ended before its output came; servers refuse to go on without any."""

ANSWERS: Mapping[str, str] = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "mcp_approval_request": "mcp_approval_response",
}
"""Items that wait for something from the caller, and the items that answer them."""


def message_item(params: MessageCreateParams, where: str = "") -> JSONObject:
    """A message as an item. Raises `UnsupportedParameterError`: it has what no item can hold."""
    if given(params.attachments, ()):
        raise UnsupportedParameterError(
            f"{where}attachments cannot be sent to /responses: put the file into a vector store and name that in "
            "tool_resources.file_search.vector_store_ids, or name the file in tool_resources.code_interpreter.file_ids",
            argument=f"{where}attachments",
        )
    item: JSONObject = {"type": "message", "role": params.role}
    if isinstance(params.content, str):
        return {**item, "content": params.content}
    parts = [cast("JSONObject", part) for part in params.content]
    if params.role == "assistant":
        if any(part.get("type") != "text" for part in parts):
            raise UnsupportedParameterError(
                f"{where}content: a message of the assistant can hold only text at /responses; give images as the user's",
                argument=f"{where}content",
            )
        return {**item, "content": "".join(text_of(part, "text") for part in parts)}
    return {**item, "content": [_part(part) for part in parts]}


def _part(part: JSONObject) -> JSONObject:
    kind = text_of(part, "type")
    if kind == "text":
        return {"type": "input_text", "text": text_of(part, "text")}
    image = object_of(part, kind)
    detail = text_of(image, "detail") or "auto"
    if kind == "image_url":
        return {"type": "input_image", "image_url": text_of(image, "url"), "detail": detail}
    return {"type": "input_image", "file_id": text_of(image, "file_id"), "detail": detail}


def answer_item(kind: str, call_id: str, output: str) -> JSONObject:
    """The output of a call. `kind` is the type of the item that called."""
    return {"type": ANSWERS.get(kind, "function_call_output"), "call_id": call_id, "output": output}


def approval_item(request_id: str, *, approve: bool) -> JSONObject:
    """What was decided of a call of an MCP server's tool."""
    # The published description wants a `request_id` besides, which it describes nowhere and the official client lacks.
    return {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve}


def unanswered(items: Iterable[JSONObject]) -> dict[str, str]:
    """The calls that wait for something from the caller: the types of their items by what they are answered by."""
    waiting: dict[str, str] = {}
    for item in items:
        kind = text_of(item, "type")
        if kind == "mcp_approval_request":
            waiting[text_of(item, "id")] = kind
        elif kind in ANSWERS and item.get("status") != "incomplete":
            waiting[text_of(item, "call_id") or text_of(item, "id")] = kind
        elif kind in ANSWERS.values():
            waiting.pop(answered_by(item) or "", None)
    return waiting


def answered_by(item: JSONObject) -> str | None:
    """What the call is known by that an item answers; None where it answers none."""
    if text_of(item, "type") not in ANSWERS.values():
        return None
    return text_of(item, "call_id") or text_of(item, "approval_request_id")


def cancelled_answers(waiting: Mapping[str, str]) -> list[JSONObject]:
    """Answers to calls that nobody will answer any more."""
    return [
        approval_item(id, approve=False) if kind == "mcp_approval_request" else answer_item(kind, id, NO_OUTPUT)
        for id, kind in waiting.items()
    ]


# -- the other way ---------------------------------------------------------------------------------------------------


def is_message(item: JSONObject) -> bool:
    """Whether an item of a conversation is a message of the user or the assistant."""
    return item.get("type") == "message" and item.get("role") in ("user", "assistant")


def message_of(item: JSONObject, thread_id: str, created_at: int | None) -> Message | None:
    """An item of a conversation as a message; None for one that is none of the user or the assistant."""
    if not is_message(item):
        return None
    incomplete = item.get("status") == "incomplete"
    return Message(
        text_of(item, "id"),
        created_at=created_at,
        thread_id=thread_id,
        status="incomplete" if incomplete else "completed",
        completed_at=None if incomplete else created_at,
        incomplete_at=created_at if incomplete else None,
        role=text_of(item, "role"),
        content=_content(item),
        attachments=(),
        metadata={},
    )


def _content(item: JSONObject) -> tuple[MessageContent, ...]:
    if isinstance(text := item.get("content"), str):
        return (TextContentBlock(Text(text)),)
    return tuple(_block(part) for part in objects_of(item, "content")) or (TextContentBlock(Text("")),)


def _block(part: JSONObject) -> MessageContent:
    match part.get("type"):
        case "refusal":
            return RefusalContentBlock(text_of(part, "refusal"))
        case "input_image" if text_of(part, "file_id"):
            return ImageFileContentBlock(ImageFile(text_of(part, "file_id"), text_of(part, "detail") or None))
        case "input_image":
            return ImageURLContentBlock(ImageURL(text_of(part, "image_url"), text_of(part, "detail") or None))
        case _:
            text = text_of(part, "text")
            marks = [mark(annotation) for annotation in objects_of(part, "annotations")]
            return TextContentBlock(
                Text(text, tuple(one.annotations(text[one.start : one.end], 0)[0] for one in marks))
            )
