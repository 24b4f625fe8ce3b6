"""Responses: each kept with what it was asked and what it said, and driven by a task of the server's own.

One that is not in the background lives as long as its client listens. One that is goes on, and its events are kept, so
that a stream which broke off can be taken up again.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from ...engine import Engine, Turn
from ...intake import Paging, StoreError, invalid
from ...items import Fail
from ...models import JSONObject
from ...responses_items import Told
from ...responses_machine import ResponseMachine
from .._pacing import paced
from .._runs import Listener
from ._checks import check_request
from ._conversations import Conversation, Conversations, page_of
from ._input import check_calls, read_input
from ._kept import Kept
from ._listener import ResponseListener
from ._requests import ResponseRequest
from ._settings import ResponsesSettings
from ._shown import shown_at_first
from ._turn import turn_of

_logger = logging.getLogger("aiorunstream.server")
_LEAVE_WITHIN = 1.0


class Responses:
    """The responses of one server, and its conversations. Its methods raise `StoreError` for what cannot be done.

    Args:
        engine: what answers.
        now: returns the time in whole Unix seconds.
        delay: seconds before each piece of an answer.
        settings: how the server differs from others.

    Attributes:
        conversations: all of them.
        tokens_spent: by all responses that are over.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], int], delay: float, settings: ResponsesSettings) -> None:
        self._engine = engine
        self._now = now
        self._delay = delay
        self._settings = settings
        self._kept: dict[str, Kept] = {}
        self._live: dict[str, Kept] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.conversations = Conversations(now=now, new_id=settings.new_id, find=self._find_item)
        self.tokens_spent = 0

    # -- requests ------------------------------------------------------------------------------------------------------

    def stream(self, asked: ResponseRequest) -> ResponseListener:
        """Sets a response going, for somebody who listens."""
        kept, turn = self._make(check_request(asked, self._settings, stream=True))
        kept.events = [] if kept.in_background else None
        listener = self._listener(kept)
        self._go_on(kept, turn)
        return listener

    async def create(self, asked: ResponseRequest) -> JSONObject:
        """Makes a response, and returns it once it is over; in the background, at once. A cancel ends it otherwise."""
        kept, turn = self._make(check_request(asked, self._settings, stream=False))
        self._go_on(kept, turn)
        if not kept.in_background:
            try:
                await kept.over.wait()
            finally:
                self._stop(kept)
        return kept.machine.response()

    def retrieve(self, id: str) -> JSONObject:
        """Finds a response."""
        return self._get(id).machine.response()

    def resume(self, id: str, starting_after: int | None, *, obfuscated: bool) -> ResponseListener:
        """A stream of the events after one, of a response in the background."""
        kept = self._get(id)
        if not kept.in_background:  # as OpenAI answers
            raise _not_found(id)
        if kept.events is None:
            raise invalid("Only a response that was created with stream=true can be streamed.", "stream")
        listener = self._listener(kept, obfuscated=obfuscated)
        for told in kept.events[0 if starting_after is None else starting_after + 1 :]:
            listener.tell(told)
        if kept.machine.is_over:
            listener.end()
        return listener

    def cancel(self, id: str) -> JSONObject:
        """Cancels a response in the background; again is fine."""
        kept = self._get(id)
        if not kept.in_background:
            raise invalid("Cannot cancel a synchronous response: only those created with background=true can be.")
        if kept.machine.is_over and kept.machine.status != "cancelled":
            raise invalid(f"Cannot cancel a response with status '{kept.machine.status}'.")
        self._stop(kept)
        return kept.machine.response()

    def delete(self, id: str) -> JSONObject:
        """Forgets a response; one in the background that is not over is stopped."""
        kept = self._get(id)
        del self._kept[id]
        if kept.in_background:
            self._stop(kept)
        return {"id": id, "object": "response.deleted", "deleted": True}

    def input_items(self, id: str, paging: Paging) -> JSONObject:
        """One page of what a response was given, with what it goes on."""
        kept = self._get(id)
        return page_of([*kept.context, *kept.items], paging)

    def leave(self, listener: Listener) -> None:
        """Nobody reads this any more. A response that is not in the background ends with it."""
        if isinstance(listener, ResponseListener) and (kept := self._live.get(listener.response_id)) is not None:
            kept.listeners.discard(listener)
            if not kept.in_background:
                self._stop(kept)

    def cut_streams(self) -> None:
        """Ends every stream as a server that dies would."""
        for kept in self._live.values():
            for listener in kept.listeners:
                listener.cut()

    async def aclose(self) -> None:
        """Drops everything that is under way; waits for engines that take their time, up to a second."""
        self.cut_streams()
        self._live.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LEAVE_WITHIN)

    # -- making --------------------------------------------------------------------------------------------------------

    def _make(self, asked: ResponseRequest) -> tuple[Kept, Turn]:
        context, conversation = self._context(asked)
        items = read_input(asked.input, self._settings.new_id, self._find_item)
        whole = [*context, *items]
        check_calls(whole)
        id = self._settings.new_id("resp")
        shown = shown_at_first(asked, id, self._now(), echoes=self._settings.echoes_conversation)
        turn = turn_of(shown, asked, whole)
        machine = ResponseMachine(
            shown,
            now=self._now,
            new_id=self._settings.new_id,
            background=asked.background is True,
            include=frozenset(asked.include or ()),
            untold=self._settings.untold,
        )
        return Kept(id, machine, asked, context=context, items=items, conversation=conversation), turn

    def _context(self, asked: ResponseRequest) -> tuple[list[JSONObject], Conversation | None]:
        """The items a response goes on, and the conversation they are of."""
        if asked.conversation_id is not None:
            conversation = self.conversations.get(asked.conversation_id)
            conversation.check_unlocked()
            return list(conversation.items.values()), conversation
        if (id := asked.previous_response_id) is None:
            return [], None
        where = "previous_response_id"
        if (previous := self._kept.get(id)) is None:
            message = f"Previous response with id '{id:.300}' not found."
            raise invalid(message, where, code="previous_response_not_found")
        if not previous.machine.is_over:
            raise invalid(f"Previous response with id '{id:.300}' is not over.", where)
        return previous.history, None

    def _get(self, id: str) -> Kept:
        if (kept := self._kept.get(id)) is None:
            raise _not_found(id)
        return kept

    def _find_item(self, id: str) -> JSONObject | None:
        if (found := self.conversations.find_item(id)) is not None:
            return found
        return next((item for kept in self._kept.values() for item in kept.history if item["id"] == id), None)

    # -- driving -------------------------------------------------------------------------------------------------------

    def _listener(self, kept: Kept, *, obfuscated: bool | None = None) -> ResponseListener:
        if obfuscated is None:
            options = kept.asked.stream_options
            obfuscated = options is None or options.include_obfuscation is not False
        listener = ResponseListener(kept.id, self._settings, obfuscated=obfuscated)
        kept.listeners.add(listener)
        return listener

    def _go_on(self, kept: Kept, turn: Turn) -> None:
        self._live[kept.id] = kept
        if kept.asked.store is not False:
            self._kept[kept.id] = kept
        if kept.conversation is not None:
            kept.conversation.is_locked = True
        self._tell(kept, kept.machine.start())
        task = kept.task = asyncio.get_running_loop().create_task(self._drive(kept, turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, kept: Kept, turn: Turn) -> None:
        machine = kept.machine
        await asyncio.sleep(0)  # so that the answer with the queued response is on its way first
        try:
            self._tell(kept, machine.work())
            async with aclosing(paced(self._engine.reply(turn), self._delay)) as items:
                async for item in items:
                    self._tell(kept, machine.take(item))
                    if machine.is_over:
                        break
            self._tell(kept, machine.finish())
        except Exception as error:  # an engine is somebody else's code; its response must still end
            _logger.exception("the engine failed in response %s", kept.id)
            self._tell(kept, machine.take(Fail(f"The engine failed: {type(error).__name__}.")))

    def _tell(self, kept: Kept, told: Told) -> None:
        """Sends events to all who listen, and closes what the last of them ends."""
        kept.tell(told)
        if kept.machine.is_over and self._live.pop(kept.id, None) is not None:
            self.tokens_spent += kept.machine.tokens_spent
            kept.end()

    def _stop(self, kept: Kept) -> None:
        """Ends a response that is not over."""
        if kept.machine.is_over:
            return
        kept.task.cancel()
        kept.machine.cancel()
        self._tell(kept, [])


def _not_found(id: str) -> StoreError:
    return StoreError("not_found", f"Response with id '{id:.300}' not found.")
