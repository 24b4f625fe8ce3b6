"""A response as the server keeps it: what it was asked, what it goes on, who listens to it."""

import asyncio
from collections.abc import Sequence

from ...models import JSONObject
from ...responses_items import Told
from ...responses_machine import ResponseMachine
from ._conversations import Conversation
from ._listener import ResponseListener
from ._requests import ResponseRequest


class Kept:
    """One response.

    Attributes:
        context: the items it goes on, oldest first.
        items: those of its own input.
        events: all of them so far, where a stream can be taken up again.
        listeners: who is told of its events.
        task: drives it; whoever makes one sets it before anybody else sees it.
        over: set once it is over.
    """

    task: asyncio.Task[None]

    def __init__(
        self,
        id: str,
        machine: ResponseMachine,
        asked: ResponseRequest,
        *,
        context: Sequence[JSONObject],
        items: Sequence[JSONObject],
        conversation: Conversation | None,
    ) -> None:
        self.id = id
        self.machine = machine
        self.asked = asked
        self.context = context
        self.items = items
        self.conversation = conversation
        self.events: Told | None = None
        self.listeners: set[ResponseListener] = set()
        self.over = asyncio.Event()

    @property
    def in_background(self) -> bool:
        """Whether it goes on when nobody listens."""
        return self.asked.background is True

    @property
    def history(self) -> list[JSONObject]:
        """All that was said up to its end."""
        return [*self.context, *self.items, *self.machine.output]

    def tell(self, told: Told) -> None:
        """Sends events to all who listen."""
        if self.events is not None:
            self.events.extend(told)
        for listener in self.listeners:
            for event in told:
                listener.tell(event)

    def end(self) -> None:
        """It is over: streams end, and its conversation has what was said, if it came to an end of its own."""
        for listener in self.listeners:
            listener.end()
        self.listeners.clear()
        if self.conversation is not None:
            self.conversation.is_locked = False
            if self.machine.status in ("completed", "incomplete"):
                self.conversation.add([*self.items, *self.machine.output])
        self.over.set()
