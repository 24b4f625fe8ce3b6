"""Threads of the bridge: made, found again, given messages, forgotten; with the server, where that remembers them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET

from ..._log import log
from ...errors import APIError, ClientClosedError, UnsupportedParameterError
from ...intake import StoreError, check_message, given, read_messages
from ...models import JSONObject, Message, MessageDeleted, Thread, ThreadDeleted
from ...options import RequestOptions
from ...params import MessageCreateParams, ThreadCreateParams, ThreadUpdateParams
from ...shelf import ThreadRecord
from ...store import Store
from ._input import cancelled_answers, is_message, message_item, message_of, unanswered
from ._json import object_of, text_of
from ._keeping import BridgedThread, ThreadStore, restored, saved
from ._modes import InputItem, Memory, ThreadMode
from ._server import Server
from ._tools import reachable


class Threads:
    """The threads of one backend.

    Args:
        store: holds what this process works with.
        server: is asked where it remembers threads.
        mode: whether it does.
        kept: where threads are when nobody works with them; None keeps them here.
        at_once: whether a message goes into its conversation when it is made, and not with the next run.

    Attributes:
        working_set: the threads that are here.
    """

    def __init__(
        self, store: Store, server: Server, mode: ThreadMode, kept: ThreadStore | None, *, at_once: bool = False
    ) -> None:
        self._store = store
        self._server = server
        self._sends_at_once = at_once and mode == "conversation"
        self.mode: ThreadMode = mode
        self._kept = kept
        self.working_set: dict[str, BridgedThread] = {}
        self._finding = WeakValueDictionary[tuple[asyncio.AbstractEventLoop, str], asyncio.Lock]()

    # -- finding -------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def using(self, id: str, options: RequestOptions, *, changes: bool = True) -> AsyncGenerator[BridgedThread]:
        """A thread to work with. What was changed is saved at the end, also where the work failed.

        Raises:
            StoreError: there is no such thread.
            APIError: the server was asked for it, and could not say.
        """
        thread = await self._find(id, options)
        try:
            with thread.in_use():
                try:
                    yield thread
                finally:
                    if changes:
                        await self.save(thread)
        finally:
            self._let_go(thread)

    async def save(self, thread: BridgedThread) -> None:
        """Keeps a thread where it is to be kept."""
        thread.forget_runs()
        if self._kept is None or self.working_set.get(thread.id) is not thread:
            return
        async with thread.saving:  # or an older state could come after a newer one
            data = saved(thread)
            if data == thread.last_saved:
                return
            await self._kept.save(thread.id, data)
            thread.last_saved = data

    @property
    def are_kept_elsewhere(self) -> bool:
        """Whether another process may go on with them."""
        return self._kept is not None

    def save_later(self, thread: BridgedThread) -> None:
        """Keeps a thread, although nobody can wait for it; until then it is as it is here."""
        if self._kept is None:
            thread.forget_runs()
            return
        keep = self._server.settings.transport.keep
        thread.users += 1
        try:
            _ = keep(self._save_later(thread))
        except ClientClosedError:
            thread.users -= 1
            log(logging.WARNING, "a thread was not saved: the client is closed")

    async def _save_later(self, thread: BridgedThread) -> None:
        thread.users -= 1
        await self.save_for_reader(thread)

    async def save_for_reader(self, thread: BridgedThread) -> None:
        """Keeps a thread for somebody who wants to read on, whatever becomes of that."""
        try:
            with thread.in_use():
                await self.save(thread)
        except Exception as error:  # whatever a store raises, there is nobody to raise it to
            log(logging.WARNING, "a thread was not saved", error=type(error).__name__)
        finally:
            self._let_go(thread)

    def _let_go(self, thread: BridgedThread) -> None:
        """Forgets a thread that is kept elsewhere, once nobody works with it."""
        if self._kept is not None and not thread.is_in_use and self.working_set.get(thread.id) is thread:
            del self.working_set[thread.id]
            self._store.delete_thread(thread.id)

    async def _find(self, id: str, options: RequestOptions) -> BridgedThread:
        # One at a time: what a second had loaded meanwhile would be older than what the first has made of it.
        turn = (asyncio.get_running_loop(), id)
        async with self._finding.setdefault(turn, asyncio.Lock()):
            known = self.working_set.get(id)
            if known is not None and (self._kept is None or known.is_in_use):
                return known
            self.working_set[id] = found = await self._load(id, options)
            return found

    async def _load(self, id: str, options: RequestOptions) -> BridgedThread:
        data = None if self._kept is None else await self._kept.load(id)
        if data is not None:
            found = restored(data, self._store, self.mode)
            found.last_saved = data
            return found
        if self.mode != "conversation":
            raise StoreError("not_found", f"No thread found with id '{id:.128}'.")
        return await self._adopt(id, options.for_another_request())

    async def _adopt(self, id: str, options: RequestOptions) -> BridgedThread:
        """A conversation that was made elsewhere, with its messages."""
        shown = await self._server.retrieve_conversation(id, options)
        items = await self._server.list_items(id, options)
        created = shown.get("created_at")
        created_at = int(created) if isinstance(created, (int, float)) else None
        metadata = {name: str(value) for name, value in object_of(shown, "metadata").items()}
        record = ThreadRecord(Thread(id, created_at=created_at, metadata=metadata))
        for message in (message_of(item, id, created_at) for item in items):
            if message is not None:
                record.messages.put(message)
        self._store.keep(record)
        # Calls that another program has left open; no response goes on before they are answered.
        left_open = [InputItem(item) for item in cancelled_answers(unanswered(items))]
        thread = BridgedThread(record, Memory(left_open))
        thread.is_adopted = True
        return thread

    async def mend(self, thread: BridgedThread, options: RequestOptions) -> bool:
        """Answers calls that a conversation was left with, as cancelled; returns whether anything was to be mended.

        A response whose reader has left may have ended all the same, and servers go on from no call without an output.
        """
        if self.mode != "conversation":
            return False
        try:
            items = await self._server.list_items(thread.id, options.for_another_request())
        except APIError:
            return False
        return thread.memory.mend(unanswered(items))

    # -- threads -------------------------------------------------------------------------------------------------------

    async def create(self, params: ThreadCreateParams, options: RequestOptions) -> Thread:
        """Makes a thread with its first messages. Raises `StoreError`, `UnsupportedParameterError` and `APIError`."""
        reachable(given(params.tool_resources, None))
        messages = read_messages(given(params.messages, ()), "messages")
        items = [message_item(message, f"messages[{place}].") for place, message in enumerate(messages)]
        bare = msgspec.structs.replace(params, messages=UNSET)
        id: str | None = None
        item_ids: Sequence[str] = [""] * len(items)
        if self.mode == "conversation":
            self._store.delete_thread(self._store.create_thread(bare).id)  # refused before anything is sent
            id = text_of(await self._server.create_conversation(dict(given(params.metadata, {})), options), "id")
            if not id:
                raise StoreError("invalid", "The server has made a conversation without an id.")
            if items and self._sends_at_once:
                item_ids = await self._create_items(id, items, options.for_another_request())
        thread = BridgedThread(self._store.record(self._store.create_thread(bare, id=id).id))
        self.working_set[thread.id] = thread
        for message, item, item_id in zip(messages, items, item_ids, strict=True):
            self._put(thread, message, item, item_id)
        try:
            with thread.in_use():
                await self.save(thread)
        finally:
            self._let_go(thread)
        return thread.record.thread

    async def _create_items(self, id: str, items: list[JSONObject], options: RequestOptions) -> Sequence[str]:
        try:
            return await self._server.create_items(id, items, options)
        except APIError:
            with suppress(APIError):  # nobody would ever find it
                await self._server.delete_conversation(id, options)
            raise

    async def update(self, id: str, params: ThreadUpdateParams, options: RequestOptions) -> Thread:
        """Changes what was given of a thread."""
        reachable(given(params.tool_resources, None))
        async with self.using(id, options):
            if self.mode == "conversation" and params.metadata is not UNSET:
                await self._server.update_conversation(id, dict(given(params.metadata, {})), options)
            return self._store.update_thread(id, params)

    async def delete(self, id: str, options: RequestOptions) -> ThreadDeleted:
        """Forgets a thread; the server its conversation. Single responses stay there, for as long as it keeps them."""
        async with self.using(id, options, changes=False):
            if self.mode == "conversation":
                await self._server.delete_conversation(id, options)
            self.working_set.pop(id, None)
            deleted = self._store.delete_thread(id)
        if self._kept is not None:
            await self._kept.delete(id)
        return deleted

    # -- messages ------------------------------------------------------------------------------------------------------

    async def add_message(self, thread: BridgedThread, params: MessageCreateParams, options: RequestOptions) -> Message:
        """Puts a message on a thread. Raises `StoreError`: a run is active on it."""
        check_message(params)
        item = message_item(params)
        if not self._sends_at_once or thread.record.active_run is not None:
            return self._put_here(thread, params, item)
        (item_id,) = await self._server.create_items(thread.id, [item], options)
        return self._put(thread, params, item, item_id)

    def has_something_to_answer(self, thread: BridgedThread) -> bool:
        """Whether the next response is not asked about nothing. Of a thread that was made here, whoever asks knows."""
        last = thread.record.messages.last
        asks = bool(thread.memory.pending) or (last is not None and last.role == "user")
        return asks or self._sends_at_once or not thread.is_adopted

    async def delete_message(self, thread: BridgedThread, id: str, options: RequestOptions) -> MessageDeleted:
        """Forgets a message.

        Raises:
            StoreError: there is none.
            UnsupportedParameterError: the server remembers it, and cannot be made to forget it.
        """
        thread.record.messages.get(id)
        if not thread.memory.forget(id):
            if self.mode == "previous_response_id":
                raise UnsupportedParameterError(
                    "message_id: a message that a response has seen cannot be deleted from a chain of responses; use "
                    'ResponsesBackend(threads="conversation") or "replay"',
                    argument="message_id",
                )
            if self.mode == "conversation":
                await self._delete_item(thread, id, options)
        return self._store.delete_message(thread.id, id)

    async def _delete_item(self, thread: BridgedThread, id: str, options: RequestOptions) -> None:
        """Deletes the item that a message is. Where ids differ, the messages are those of the server in their order."""
        items = [item for item in await self._server.list_items(thread.id, options) if is_message(item)]
        place = next((place for place, item in enumerate(items) if item.get("id") == id), None)
        if place is None:
            waiting = {kept.message_id for kept in thread.memory.pending}
            known = [message.id for message in thread.record.messages.all() if message.id not in waiting]
            place = known.index(id) if _are_the_same(known, [text_of(item, "id") for item in items]) else None
        if place is None:
            raise UnsupportedParameterError(
                "message_id: the server's conversation does not hold the messages that are known here, so that none of "
                "them can be told from another",
                argument="message_id",
            )
        await self._server.delete_item(thread.id, text_of(items[place], "id"), options)

    def _put(self, thread: BridgedThread, params: MessageCreateParams, item: JSONObject, item_id: str) -> Message:
        if self._sends_at_once:
            return self._store.keep_message(thread.id, params, id=item_id or None)
        return self._put_here(thread, params, item)

    def _put_here(self, thread: BridgedThread, params: MessageCreateParams, item: JSONObject) -> Message:
        message = self._store.create_message(thread.id, params)
        thread.memory.pending.append(InputItem(item, message.id))
        return message


def _are_the_same(known: Sequence[str], there: Sequence[str]) -> bool:
    """Whether messages are in the same order here and there: as many, and each id that both know at one place."""
    places = {id: place for place, id in enumerate(there)}
    return len(known) == len(there) and all(places.get(id, place) == place for place, id in enumerate(known))
