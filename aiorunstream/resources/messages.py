"""Messages of a thread."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from ..models import Attachment, Message, MessageDeleted, MessageRole, Metadata
from ..operations import CREATE_MESSAGE, DELETE_MESSAGE, LIST_MESSAGES, RETRIEVE_MESSAGE, UPDATE_MESSAGE
from ..options import RequestOptions
from ..params import JSONMapping, MessageContentParam, MessageCreateParams, MessageUpdateParams
from ._pages import ListCall, Order, list_query
from ._resource import Resource


class AsyncMessages(Resource):
    """`client.threads.messages`."""

    async def create(
        self,
        thread_id: str,
        *,
        role: MessageRole,
        content: str | Sequence[MessageContentParam],
        attachments: Sequence[Attachment | JSONMapping] | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Message:
        """Puts a message on a thread. `content` is text, or a list of at least one part.

        Raises:
            InvalidArgumentError: a parameter cannot be meant; nothing was sent.
            ThreadBusyError: a run is active on the thread.
            APIError: see `aiorunstream.errors`.
        """
        params = MessageCreateParams(role=role, content=content, attachments=attachments, metadata=metadata)
        return await self._call(CREATE_MESSAGE, {"thread_id": thread_id}, body=params.body(), options=options)

    async def retrieve(self, message_id: str, *, thread_id: str, options: RequestOptions | None = None) -> Message:
        """Returns a message. Raises `NotFoundError` where there is none."""
        return await self._call(RETRIEVE_MESSAGE, {"thread_id": thread_id, "message_id": message_id}, options=options)

    def list(
        self,
        thread_id: str,
        *,
        limit: int | UnsetType = UNSET,
        order: Order | UnsetType = UNSET,
        after: str | UnsetType = UNSET,
        before: str | UnsetType = UNSET,
        run_id: str | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> ListCall[Message]:
        """Lists the messages of a thread.

        Await it for one page, or iterate it with `async for` for all of them.

        Args:
            limit: items a page, 1 to 100; servers take 20.
            order: by time of creation, "desc" (newest first) unless said otherwise.
            after, before: an id; the list begins behind it, or ends in front of it.
            run_id: only what this run wrote.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
        """
        query = list_query(limit=limit, order=order, after=after, before=before, run_id=run_id)
        return self._list(LIST_MESSAGES, {"thread_id": thread_id}, query=query, options=options)

    async def update(
        self,
        message_id: str,
        *,
        thread_id: str,
        metadata: Metadata | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Message:
        """Changes a message's metadata."""
        ids = {"thread_id": thread_id, "message_id": message_id}
        return await self._call(
            UPDATE_MESSAGE, ids, body=MessageUpdateParams(metadata=metadata).body(), options=options
        )

    async def delete(self, message_id: str, *, thread_id: str, options: RequestOptions | None = None) -> MessageDeleted:
        """Deletes a message."""
        return await self._call(DELETE_MESSAGE, {"thread_id": thread_id, "message_id": message_id}, options=options)
