"""The operations of `/responses` and `/conversations` that are used here, as data, and how their answers are read."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ...models import JSONObject
from ...operations import Call, Operation, make_call
from ...options import RequestOptions

_RESPONSE = "/responses/{response_id}"
_CONVERSATION = "/conversations/{conversation_id}"


def _operation(
    name: str, method: Literal["GET", "POST", "DELETE"], path: str, *, creates: bool = False, streams: bool = False
) -> Operation[JSONObject]:
    return Operation(name=name, method=method, path=path, result=JSONObject, creates=creates, streams=streams)


CREATE_RESPONSE = _operation("create_response", "POST", "/responses", creates=True, streams=True)
RETRIEVE_RESPONSE = _operation("retrieve_response", "GET", _RESPONSE, streams=True)
CANCEL_RESPONSE = _operation("cancel_response", "POST", _RESPONSE + "/cancel")
CREATE_CONVERSATION = _operation("create_conversation", "POST", "/conversations", creates=True)
RETRIEVE_CONVERSATION = _operation("retrieve_conversation", "GET", _CONVERSATION)
UPDATE_CONVERSATION = _operation("update_conversation", "POST", _CONVERSATION)
DELETE_CONVERSATION = _operation("delete_conversation", "DELETE", _CONVERSATION)
CREATE_ITEMS = _operation("create_conversation_items", "POST", _CONVERSATION + "/items", creates=True)
LIST_ITEMS = _operation("list_conversation_items", "GET", _CONVERSATION + "/items")
DELETE_ITEM = _operation("delete_conversation_item", "DELETE", _CONVERSATION + "/items/{item_id}")


def native_call(
    operation: Operation[JSONObject],
    ids: Mapping[str, str] | None = None,
    *,
    options: RequestOptions,
    query: Sequence[tuple[str, str]] = (),
    body: Mapping[str, object] | None = None,
) -> Call[JSONObject]:
    """A call of one of them."""
    return make_call(operation, ids, query=query, body=body, options=options)
