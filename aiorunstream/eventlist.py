"""Events that are there already, read as a stream's are: what goes on where the bytes have ended."""

from collections import deque
from collections.abc import Iterable

import msgspec

from .events import REGISTRY, AssistantStreamEvent, Entry, RunEvent
from .models import Run, Thread
from .protocol import Frame


class EventList:
    """Hands out events one by one, and keeps the facts of a stream as `RunProtocol` does. Nothing comes after a stop.

    Args:
        events: in the order of the protocol.
        run, run_id, thread_id, last_event, events_seen: what was known before the first of them.
    """

    def __init__(
        self,
        events: Iterable[AssistantStreamEvent],
        *,
        run: Run | None = None,
        run_id: str | None = None,
        thread_id: str | None = None,
        last_event: str | None = None,
        events_seen: int = 0,
    ) -> None:
        self._events = deque(events)
        self.run = run
        self.run_id = run_id
        self.thread_id = thread_id
        self.outcome: str | None = None
        self.last_event = last_event
        self.events_seen = events_seen

    def receive_data(self, data: bytes) -> None:
        """Takes nothing: all there is is there."""

    def next_event(self) -> RunEvent | None:
        """Returns the next event; None at the end."""
        if not self._events or self.outcome is not None:
            return None
        event = self._events.popleft()
        self.last_event = event.event
        self.events_seen += 1
        if isinstance(event.data, Thread):
            self.thread_id = event.data.id
        elif isinstance(event.data, Run):
            self._follow(event.data, REGISTRY[event.event])
        return event

    def frame_of(self, event: RunEvent) -> Frame:
        """The event that was just returned, as a name and bytes."""
        return Frame(event.event, msgspec.json.encode(event.data))

    def _follow(self, run: Run, entry: Entry) -> None:
        self.run = run
        self.run_id = run.id
        self.thread_id = run.thread_id or self.thread_id
        self.outcome = entry.outcome(run.status)
