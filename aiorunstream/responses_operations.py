"""The operations of the Responses and Conversations APIs as data.

The bridge's requests, the embedded server's routes and the doctor's questions are made from this table.
"""

from typing import Any, Literal

from .models import JSONObject
from .operations import Operation
from .params import Params

_RESPONSE = "/responses/{response_id}"
_CONVERSATION = "/conversations/{conversation_id}"
_ITEMS = _CONVERSATION + "/items"
_ITEM = _ITEMS + "/{item_id}"
_PAGING = ("limit", "order", "after", "include")

CODE_OUTPUTS = "code_interpreter_call.outputs"
SEARCH_RESULTS = "file_search_call.results"
"""Words of `include`: what code has printed and drawn, and what file searches have found."""


def _operation(
    name: str,
    method: Literal["GET", "POST", "DELETE"],
    path: str,
    *,
    query: tuple[str, ...] = (),
    has_body: bool = False,
    creates: bool = False,
    streams: bool = False,
) -> Operation[JSONObject]:
    body = Params if has_body else None  # its fields are those of whoever reads it
    return Operation(
        name=name, method=method, path=path, result=JSONObject, body=body, query=query, creates=creates, streams=streams
    )


CREATE_RESPONSE = _operation("create_response", "POST", "/responses", has_body=True, creates=True, streams=True)
RETRIEVE_RESPONSE = _operation(
    "retrieve_response",
    "GET",
    _RESPONSE,
    query=("include", "stream", "starting_after", "include_obfuscation"),
    streams=True,
)
DELETE_RESPONSE = _operation("delete_response", "DELETE", _RESPONSE)
CANCEL_RESPONSE = _operation("cancel_response", "POST", _RESPONSE + "/cancel")
LIST_INPUT_ITEMS = _operation("list_input_items", "GET", _RESPONSE + "/input_items", query=_PAGING)

CREATE_CONVERSATION = _operation("create_conversation", "POST", "/conversations", has_body=True, creates=True)
RETRIEVE_CONVERSATION = _operation("retrieve_conversation", "GET", _CONVERSATION)
UPDATE_CONVERSATION = _operation("update_conversation", "POST", _CONVERSATION, has_body=True)
DELETE_CONVERSATION = _operation("delete_conversation", "DELETE", _CONVERSATION)
CREATE_CONVERSATION_ITEMS = _operation(
    "create_conversation_items", "POST", _ITEMS, query=("include",), has_body=True, creates=True
)
LIST_CONVERSATION_ITEMS = _operation("list_conversation_items", "GET", _ITEMS, query=_PAGING)
RETRIEVE_CONVERSATION_ITEM = _operation("retrieve_conversation_item", "GET", _ITEM, query=("include",))
DELETE_CONVERSATION_ITEM = _operation("delete_conversation_item", "DELETE", _ITEM)

RESPONSES: tuple[Operation[Any], ...] = (
    CREATE_RESPONSE,
    RETRIEVE_RESPONSE,
    DELETE_RESPONSE,
    CANCEL_RESPONSE,
    LIST_INPUT_ITEMS,
)
"""Those of `/responses`."""

CONVERSATIONS: tuple[Operation[Any], ...] = (
    CREATE_CONVERSATION,
    RETRIEVE_CONVERSATION,
    UPDATE_CONVERSATION,
    DELETE_CONVERSATION,
    CREATE_CONVERSATION_ITEMS,
    LIST_CONVERSATION_ITEMS,
    RETRIEVE_CONVERSATION_ITEM,
    DELETE_CONVERSATION_ITEM,
)
"""Those of `/conversations`, which not every server of `/responses` has."""
