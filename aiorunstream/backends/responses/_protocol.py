"""A response's stream without its connection: bytes in, the events of its run out.

It has the methods of `RunProtocol`, and keeps the same promises: messages are split on receipt and understood as they are
asked for, so an error is raised when its turn comes; an error is final; nothing comes after the run's stop.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Never

import msgspec

from ...complaint import read_complaint, server_said
from ...decode import UNNAMED
from ...depth import is_deeper
from ...errors import EventTooDeepError, StreamError, StreamProtocolError, StreamTruncatedError
from ...events import REGISTRY, ErrorEvent, RunEvent, UnknownEvent
from ...models import STOPPING_RUN_STATUSES, ErrorObject, JSONObject, Run
from ...options import Limits
from ...plain_json import NotJSONError, as_object, parse
from ...protocol import Frame, OnErrorEvent, told
from ...sse import SSEDecoder, SSEMessage
from ._json import text_of
from ._run import BridgedRun
from ._table import is_passed_on

_DONE = b"[DONE]"


class ResponsesProtocol:
    """Turns the bytes of a response's stream into the events of its run.

    Args:
        bridged: the run.
        limits: the largest event, and the deepest.
        on_error_event: "raise" makes a server's error event a `RunStreamError`; "yield" hands it out.
        redact: takes secrets out of a server's words before they become an exception's message.
        holds_stop: whether what ends the stream waits until `let_go`, so that the run can be saved before anybody knows.

    Attributes:
        run, run_id, thread_id, outcome, last_event: as `RunProtocol` has them; the ids are known from the beginning.
        events_seen: how many events were handed out.
        last_number: the `sequence_number` of the last message that was understood.
        is_held: whether the run has stopped, and that waits to be told.
    """

    def __init__(
        self,
        bridged: BridgedRun,
        *,
        limits: Limits,
        on_error_event: OnErrorEvent = "raise",
        redact: Callable[[str], str] = str,
        holds_stop: bool = False,
    ) -> None:
        self._bridged = bridged
        self._limits = limits
        self._redact = redact
        self._yields_errors = on_error_event == "yield"
        self._sse = SSEDecoder(max_event_bytes=limits.max_event_bytes)
        self._waiting: deque[SSEMessage] = deque()
        self._ready: deque[RunEvent] = deque()
        self._ended = False
        self._failure: StreamError | None = None
        self.run: Run | None = None
        self.run_id: str | None = bridged.run.id
        self.thread_id: str | None = bridged.run.thread_id
        self.outcome: str | None = None
        self.last_event: str | None = None
        self.events_seen = 0
        self.last_number: int | None = None
        self._restarted = False
        self._holds_stop = holds_stop
        self.is_held = False

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Takes the next bytes of the body; `b""` says that it is over. Never raises for what they hold."""
        if self.outcome is not None or self._failure is not None:
            return
        if not data:
            self._ended = True
        elif not self._ended:
            self._waiting.extend(self._sse.feed(data))

    def restart(self) -> None:
        """What comes next are the bytes of another answer, which goes on after the last message that was understood."""
        self._sse = SSEDecoder(max_event_bytes=self._limits.max_event_bytes)
        self._restarted = True

    @property
    def run_now(self) -> Run:
        """The run as it is, whatever of it was handed out."""
        return self._bridged.run

    @property
    def is_open(self) -> bool:
        """Whether it can still hear."""
        return not self._ended and self._failure is None

    def prepare(self) -> None:
        """Understands what has come already. What is wrong with it is raised when its turn comes."""
        with suppress(StreamError):
            while self._waiting and self._failure is None:
                self._hear(self._waiting.popleft().data)

    def tell(self, events: Iterable[RunEvent]) -> None:
        """Adds events that are none of the server's."""
        self._ready.extend(events)

    def let_go(self) -> None:
        """Holds nothing back any more."""
        self._holds_stop = self.is_held = False

    # -- events --------------------------------------------------------------------------------------------------------

    def next_event(self) -> RunEvent | None:
        """Returns the next event, or None: it needs more bytes, or holds the last, or the run has stopped (see `outcome`).

        Raises:
            RunStreamError: the server sent an error event.
            EventTooLargeError, EventTooDeepError: an event is above its limit.
            StreamProtocolError: an event's JSON is broken, or makes no sense after those before it.
            StreamTruncatedError: the body ended, or said `[DONE]`, and the response had not ended.
        """
        while self.outcome is None:
            if self.is_held and len(self._ready) <= 1:
                return None
            if self._ready:
                return self._handed_out(self._ready.popleft())
            if self._failure is not None:
                raise told(self._failure, self)
            if self._waiting:
                self._hear(self._waiting.popleft().data)
            elif self._sse.failed:
                self._fail(self._sse.failure())
            elif self._ended:
                self._fail(StreamTruncatedError("the stream ended before its response came to a stop"))
            else:
                return None
        return None

    def frame_of(self, event: RunEvent) -> Frame:
        """The event that was just returned, as a name and bytes."""
        return Frame(event.event, msgspec.json.encode(event.data))

    def _handed_out(self, event: RunEvent) -> RunEvent:
        self.events_seen += 1
        self.last_event = event.event
        if isinstance(event, UnknownEvent):
            return event
        if isinstance(event.data, Run):
            self.run = event.data
            self.outcome = REGISTRY[event.event].outcome(event.data.status)
        return event

    # -- messages ------------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes) -> None:
        self._understand(data)
        self.is_held = self._holds_stop and self._bridged.run.status in STOPPING_RUN_STATUSES

    def _understand(self, data: bytes) -> None:
        if data.strip() == _DONE:
            self._fail(
                StreamTruncatedError("the stream said [DONE] before its response came to a stop", done_seen=True)
            )
        message = self._read(data)
        number = message.get("sequence_number")
        if isinstance(number, int) and not isinstance(number, bool):
            # Told again. In a first answer numbers prove nothing: some servers give the same to all events.
            if self._restarted and self.last_number is not None and number <= self.last_number:
                return
            self.last_number = number
        kind = text_of(message, "type")
        if kind == "error" or (not kind and message.get("error") is not None):
            self._take_error(read_complaint(message))
            return
        problem = None
        try:
            self._ready.extend(self._bridged.hear(message))
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            self._fail(StreamProtocolError(self._redact(problem)[:300]))
        if is_passed_on(kind) and not self._bridged.is_settled:
            self._ready.append(UnknownEvent(kind or UNNAMED, msgspec.Raw(data)))

    def _read(self, data: bytes) -> JSONObject:
        limit = self._limits.max_depth
        if is_deeper(data, limit):
            self._fail(EventTooDeepError(f"an event is nested deeper than {limit}", limit=limit))
        value: object = None
        try:
            value = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            try:
                value = parse(data)
            except NotJSONError:
                value = None
        message = as_object(value)
        if message is None:
            self._fail(StreamProtocolError("an event's payload is not a JSON object"))
        return message

    def _take_error(self, error: ErrorObject) -> None:
        events = self._bridged.hear_error(error)
        if self._yields_errors:
            self._ready.extend(events)
            return
        # What was to be told before it is told; that the run has failed, the error says.
        before = next((place for place, event in enumerate(events) if isinstance(event, ErrorEvent)), len(events))
        self._ready.extend(events[:before])
        self._failure = server_said(error, self._redact)
        self._waiting.clear()

    def _fail(self, failure: StreamError) -> Never:
        self._failure = failure
        self._waiting.clear()
        raise told(failure, self)
