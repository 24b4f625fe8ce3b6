"""What is done for each operation of `/v1/responses` and `/v1/conversations`, by its name."""

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from ...intake import Paging, invalid, read_paging
from ...operations import Operation
from ...responses_operations import CONVERSATIONS, RESPONSES
from .._dialects import Dialect
from .._handlers import Handler, Later, Streamed
from .._requests import Asked
from ._requests import (
    ConversationRequest,
    ConversationUpdate,
    Include,
    ItemsRequest,
    ResponseRequest,
    read_body,
)
from ._responses import Responses
from ._settings import ResponsesSettings


class ResponsesDialect(Dialect):
    """Responses are asked for a stream in the query too."""

    def hear(self, operation: Operation[object], asked: Asked) -> Asked:
        """The request, with whether it is for a stream."""
        if operation.name != "retrieve_response":
            return asked
        return msgspec.structs.replace(asked, stream=_flag(asked, "stream", default=False))


def response_operations(settings: ResponsesSettings) -> Sequence[Operation[object]]:
    """The operations that a server with those settings has."""
    return (*RESPONSES, *CONVERSATIONS) if settings.conversations else RESPONSES


def response_handlers(responses: Responses) -> Mapping[str, Handler]:
    """The handlers of all operations."""
    return {**_responses(responses), **_conversations(responses)}


def _responses(responses: Responses) -> dict[str, Handler]:
    def create_response(asked: Asked) -> object:
        params = read_body(ResponseRequest, asked.body)
        return Streamed(responses.stream(params)) if asked.stream else Later(responses.create(params))

    def retrieve_response(asked: Asked) -> object:
        id = asked["response_id"]
        if not asked.stream:
            return responses.retrieve(id)
        obfuscated = _flag(asked, "include_obfuscation", default=True)
        return Streamed(responses.resume(id, _starting_after(asked), obfuscated=obfuscated))

    return {
        "create_response": create_response,
        "retrieve_response": retrieve_response,
        "delete_response": lambda asked: responses.delete(asked["response_id"]),
        "cancel_response": lambda asked: responses.cancel(asked["response_id"]),
        "list_input_items": lambda asked: responses.input_items(asked["response_id"], _paging(asked)),
    }


def _conversations(responses: Responses) -> dict[str, Handler]:
    kept = responses.conversations
    return {
        "create_conversation": lambda asked: kept.create(read_body(ConversationRequest, asked.body)),
        "retrieve_conversation": lambda asked: kept.get(asked["conversation_id"]).shown(),
        "update_conversation": lambda asked: kept.update(
            asked["conversation_id"], read_body(ConversationUpdate, asked.body)
        ),
        "delete_conversation": lambda asked: kept.delete(asked["conversation_id"]),
        "create_conversation_items": lambda asked: kept.create_items(
            asked["conversation_id"], read_body(ItemsRequest, asked.body)
        ),
        "list_conversation_items": lambda asked: kept.list_items(asked["conversation_id"], _paging(asked)),
        "retrieve_conversation_item": lambda asked: kept.retrieve_item(asked["conversation_id"], asked["item_id"]),
        "delete_conversation_item": lambda asked: kept.delete_item(asked["conversation_id"], asked["item_id"]),
    }


# -- queries ---------------------------------------------------------------------------------------------------------


def _paging(asked: Asked) -> Paging:
    for name in ("include", "include[]"):
        if (value := asked.query.get(name)) is not None and value not in get_args(Include):
            raise invalid(f"Invalid value: {value!r:.80}.", "include", code="invalid_value")
    return read_paging(asked.query)


def _flag(asked: Asked, name: str, *, default: bool) -> bool:
    value = asked.query.get(name)
    if value not in (None, "true", "false"):
        raise invalid(f"{name} must be true or false, not {value!r:.40}.", name)
    return default if value is None else value == "true"


def _starting_after(asked: Asked) -> int | None:
    value = asked.query.get("starting_after")
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 16):
        raise invalid(f"starting_after must be a whole number of at least 0, not {value!r:.40}.", "starting_after")
    return int(value)
