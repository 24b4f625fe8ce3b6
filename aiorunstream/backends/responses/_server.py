"""The server of `/responses` as the bridge asks it: conversations with their items, and responses."""

import logging

from ..._log import log
from ...errors import NotFoundError
from ...models import JSONObject
from ...operations import make_call
from ...options import RequestOptions
from ...responses_operations import (
    CANCEL_RESPONSE,
    CREATE_CONVERSATION,
    CREATE_CONVERSATION_ITEMS,
    CREATE_RESPONSE,
    DELETE_CONVERSATION,
    DELETE_CONVERSATION_ITEM,
    LIST_CONVERSATION_ITEMS,
    RETRIEVE_CONVERSATION,
    RETRIEVE_RESPONSE,
    UPDATE_CONVERSATION,
)
from ...transport import ResponseBody
from .._base import Settings
from .._credentials import Redaction
from .._profile import Profile
from .._sending import Sender
from ._json import objects_of, text_of

MOST_ITEMS = 20
"""How many items a conversation takes at once."""
_PAGE = "100"
_NO_CONVERSATIONS = (
    'is it a server without conversations? then use ResponsesBackend(threads="previous_response_id") or "replay"'
)


class Server:
    """Asks one server. All methods raise `APIError`."""

    def __init__(self, base_url: str) -> None:
        self._sender = Sender(base_url, profile=Profile())

    @property
    def base_url(self) -> str:
        """Where it is."""
        return self._sender.base_url

    @property
    def settings(self) -> Settings:
        """What the client has set."""
        return self._sender.settings

    def start(self, settings: Settings) -> None:
        """Is called once, with the client's settings."""
        self._sender.start(settings)

    # -- responses -----------------------------------------------------------------------------------------------------

    async def create_response(self, body: JSONObject, options: RequestOptions) -> tuple[Redaction, ResponseBody]:
        """Asks for a response, and opens its stream."""
        return await self._sender.open_body(make_call(CREATE_RESPONSE, body=body, options=options))

    async def resume_response(self, id: str, after: int, options: RequestOptions) -> ResponseBody:
        """Opens the stream of a response in the background again, after the event of that number."""
        query = [("stream", "true"), ("starting_after", str(after)), ("include_obfuscation", "false")]
        call = make_call(RETRIEVE_RESPONSE, {"response_id": id}, query=query, options=options)
        return (await self._sender.open_body(call))[1]

    async def retrieve_response(self, id: str, options: RequestOptions) -> JSONObject:
        """A response as it is now."""
        call = make_call(RETRIEVE_RESPONSE, {"response_id": id}, options=options)
        return (await self._sender.call(call)).data

    async def cancel_response(self, id: str, options: RequestOptions) -> JSONObject:
        """Cancels a response in the background."""
        call = make_call(CANCEL_RESPONSE, {"response_id": id}, options=options)
        return (await self._sender.call(call)).data

    # -- conversations -------------------------------------------------------------------------------------------------

    async def create_conversation(self, metadata: dict[str, str], options: RequestOptions) -> JSONObject:
        """Makes a conversation without items."""
        body = {"metadata": metadata} if metadata else {}
        try:
            return (await self._sender.call(make_call(CREATE_CONVERSATION, body=body, options=options))).data
        except NotFoundError as error:
            error.add_note(_NO_CONVERSATIONS)
            raise

    async def retrieve_conversation(self, id: str, options: RequestOptions) -> JSONObject:
        """A conversation, without its items."""
        call = make_call(RETRIEVE_CONVERSATION, {"conversation_id": id}, options=options)
        return (await self._sender.call(call)).data

    async def update_conversation(self, id: str, metadata: dict[str, str], options: RequestOptions) -> None:
        """Changes the metadata of a conversation."""
        ids = {"conversation_id": id}
        await self._sender.call(make_call(UPDATE_CONVERSATION, ids, body={"metadata": metadata}, options=options))

    async def delete_conversation(self, id: str, options: RequestOptions) -> None:
        """Deletes a conversation."""
        await self._sender.call(make_call(DELETE_CONVERSATION, {"conversation_id": id}, options=options))

    async def create_items(self, id: str, items: list[JSONObject], options: RequestOptions) -> list[str]:
        """Puts items on a conversation, and returns their ids; empty where the server does not tell one."""
        ids: list[str] = []
        for start in range(0, len(items), MOST_ITEMS):
            some = items[start : start + MOST_ITEMS]
            call = make_call(CREATE_CONVERSATION_ITEMS, {"conversation_id": id}, body={"items": some}, options=options)
            made = [text_of(item, "id") for item in objects_of((await self._sender.call(call)).data, "data")]
            ids += made if len(made) == len(some) else [""] * len(some)
        return ids

    async def list_items(self, id: str, options: RequestOptions) -> list[JSONObject]:
        """All items of a conversation, oldest first."""
        found: list[JSONObject] = []
        query = [("order", "asc"), ("limit", _PAGE)]
        while True:
            call = make_call(LIST_CONVERSATION_ITEMS, {"conversation_id": id}, query=query, options=options)
            page = (await self._sender.call(call)).data
            items = objects_of(page, "data")
            found += items
            last = text_of(page, "last_id") or (text_of(items[-1], "id") if items else "")
            if not page.get("has_more") or not last or ("after", last) in query:
                return found
            query = [*query[:2], ("after", last)]

    async def delete_item(self, id: str, item_id: str, options: RequestOptions) -> None:
        """Deletes an item of a conversation."""
        ids = {"conversation_id": id, "item_id": item_id}
        try:
            await self._sender.call(make_call(DELETE_CONVERSATION_ITEM, ids, options=options))
        except NotFoundError:
            log(logging.DEBUG, "the server has no such item", item_id=item_id)
