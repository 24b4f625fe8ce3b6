"""The operations of `/v1/responses` and `/v1/conversations` as data; the routes and the faults read this table."""

from ...operations import Operation
from ...params import Params

_PAGING = ("limit", "order", "after", "include")
_RESPONSE = "/responses/{response_id}"
_CONVERSATION = "/conversations/{conversation_id}"
_ITEM = _CONVERSATION + "/items/{item_id}"


class Body(Params, frozen=True):
    """A body that is read elsewhere."""


def _get(name: str, path: str, query: tuple[str, ...] = (), *, streams: bool = False) -> Operation[object]:
    return Operation(name=name, method="GET", path=path, result=dict, query=query, streams=streams)


def _post(name: str, path: str, *, creates: bool = False, streams: bool = False) -> Operation[object]:
    return Operation(name=name, method="POST", path=path, result=dict, body=Body, creates=creates, streams=streams)


def _delete(name: str, path: str) -> Operation[object]:
    return Operation(name=name, method="DELETE", path=path, result=dict)


RESPONSES: tuple[Operation[object], ...] = (
    _post("create_response", "/responses", creates=True, streams=True),
    _get("retrieve_response", _RESPONSE, ("include", "stream", "starting_after", "include_obfuscation"), streams=True),
    _delete("delete_response", _RESPONSE),
    _post("cancel_response", _RESPONSE + "/cancel"),
    _get("list_input_items", _RESPONSE + "/input_items", _PAGING),
)
CONVERSATIONS: tuple[Operation[object], ...] = (
    _post("create_conversation", "/conversations", creates=True),
    _get("retrieve_conversation", _CONVERSATION),
    _post("update_conversation", _CONVERSATION),
    _delete("delete_conversation", _CONVERSATION),
    _post("create_conversation_items", _CONVERSATION + "/items", creates=True),
    _get("list_conversation_items", _CONVERSATION + "/items", _PAGING),
    _get("retrieve_conversation_item", _ITEM),
    _delete("delete_conversation_item", _ITEM),
)
