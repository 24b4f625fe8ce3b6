r"""A run stream without its connection: bytes in, events out, and how it ended.

    protocol = RunProtocol()
    protocol.receive_data(b'event: thread.run.created\ndata: {"id": "run_1"}\n\n')
    protocol.next_event()       # ThreadRunCreated
    protocol.next_event()       # None: needs more bytes
    protocol.receive_data(b"")  # the body is over
    protocol.next_event()       # raises StreamTruncatedError: the run never came to a stop

What the file keeps: frames are split on receipt and payloads decoded as `next_event` asks for them (a few ahead where
they are alike), so an error is raised when its event's turn comes and nothing before it is lost; an error is final (each raise is a fresh copy); the first
stopping run event ends the stream, and nothing after it is delivered. No clock, no socket, no loop.
"""

import contextlib
import copy
from collections import deque
from collections.abc import Callable
from typing import Literal, Never, Protocol

import msgspec

from .complaint import server_said
from .decode import UNDECODABLE, UNNAMED, decode, is_utf8, run_facts
from .depth import is_deeper
from .errors import EventTooDeepError, StreamError, StreamProtocolError, StreamTruncatedError
from .events import EVENT_LINES, FAST, REGISTRY, Entry, ErrorEvent, RunEvent, UnknownEvent
from .models import Message, Run, Thread, Usage
from .plain_json import NotJSONError
from .spent import add_usage, told_usage
from .sse import MAX_EVENT_BYTES, SSEDecoder, SSESeries, encode

MAX_DEPTH = 128
_OPEN, _CLOSE = b"{}"
_AHEAD = 64
"""So many payloads of one type are decoded at once, which costs a third less. What they come to is memory, in each stream."""

OnErrorEvent = Literal["raise", "yield"]


class Frame(msgspec.Struct, frozen=True, gc=False):
    """An event as it goes on to somebody else: its name, and its payload as JSON bytes."""

    event: str
    data: bytes

    def sse(self) -> bytes:
        """The frame as a server-sent event, for a browser. Raises `InvalidArgumentError` for a name that could forge another."""
        return encode(self.data, event=self.event)


class RunProtocol:
    """Turns the bytes of one run stream into events.

    Args:
        max_event_bytes: the largest event, in bytes.
        max_depth: the deepest nesting of an event's JSON.
        on_error_event: "raise" makes a server's error event a `RunStreamError`; "yield" hands it out.
        redact: takes secrets out of a server's words before they become an exception's message.

    Attributes:
        run: the run as its last event showed it.
        run_id, thread_id: known from the first `thread.run.*` event, or `thread.created`.
        outcome: the status the run stopped with; None while the stream goes on, and after an error.
        last_event: the wire name of the last event handed out.
        done_seen: whether the server sent its end mark.
    """

    def __init__(
        self,
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_depth: int = MAX_DEPTH,
        on_error_event: OnErrorEvent = "raise",
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._sse = SSEDecoder(max_event_bytes=max_event_bytes, names=EVENT_LINES)
        # Two empty deques would be 1.5 kB in each stream that waits.
        self._waiting: list[SSESeries] = []  # what comes next is last
        self._ready: deque[RunEvent] | tuple[()] = ()  # decoded ahead
        self._max_depth = max_depth
        self._surely_shallow = 2 * max_depth  # every level has two brackets
        self._redact = redact or str
        self._yield_errors = on_error_event == "yield"
        self._ended = False  # the body is over
        self._failure: StreamError | None = None
        self._alone = 0  # so many payloads are not decoded ahead, since something is the matter with one of them
        self._is_over = False  # nothing more comes: there is an end to be told once all is handed out
        self._taken = 0  # events handed out, and those that are ready
        # The payloads, as they came, of the last event and those that are ready; none where it needed a change.
        self._wires: list[bytes] = []
        self._told_usage: Usage | None = None  # by messages that are none
        self.run: Run | None = None
        self.run_id: str | None = None
        self.thread_id: str | None = None
        self.outcome: str | None = None
        self.last_event: str | None = None
        self.done_seen = False

    @property
    def events_seen(self) -> int:
        """How many events were handed out."""
        return self._taken - len(self._ready)

    def receive_data(self, data: bytes) -> None:
        """Takes the next bytes of the body; `b""` says that it is over. Never raises for what they hold."""
        if self.outcome is not None or self._failure is not None:
            return
        if not data:
            self._ended = self._is_over = True
        elif not self._is_over:
            found = self._sse.feed_series(data)
            found.reverse()
            self._waiting = found + self._waiting if self._waiting else found
            self._is_over = self._sse.failed

    def next_event(self) -> RunEvent | None:
        """Returns the next event, or None: it needs more bytes, or the run has come to a stop (see `outcome`).

        Raises:
            RunStreamError: the server sent an error event.
            EventTooLargeError, EventTooDeepError: an event is above its limit.
            StreamProtocolError: an event's JSON is broken.
            StreamTruncatedError: the body ended, or said `[DONE]`, and the run had not come to a stop.
        """
        if self._ready:
            return self._ready.popleft()
        if not self._waiting:
            if self._is_over:
                self._at_the_end()
            return None
        series = self._waiting[-1]
        name, payloads = series.event, series.payloads
        entry = FAST.get(name)
        if len(payloads) == 1:
            payload = payloads[0]
            self._waiting.pop()
        elif (
            entry is not None
            and self._alone == 0
            and not entry.tells
            and (ready := self._decode_ahead(entry, payloads))
        ):
            self._ready = ready
            return ready.popleft()
        else:
            payload = payloads.pop(0)
            self._alone = (self._alone or min(len(payloads), _AHEAD)) - 1
        if entry is None or (len(payload) > self._surely_shallow and is_deeper(payload, self._max_depth)):
            return self._decode(name, payload)
        try:
            data = entry.decode(payload)
        except UNDECODABLE:
            data = None  # go on outside: an error raised in here would carry msgspec's, which quotes the payload
        if data is None:
            return self._decode(name, payload)
        self.last_event = name
        self._taken += 1
        self._wires = [payload]
        if entry.tells:
            data = self._follow(data, entry)
        return entry.cls(data)  # type: ignore[arg-type]  # the entry's own payload

    def next_frame(self) -> Frame | None:
        """As `next_event`, but as a name and bytes: the wire's own where the event needed no change, else encoded."""
        event = self.next_event()
        return None if event is None else self.frame_of(event)

    def frame_of(self, event: RunEvent) -> Frame:
        """The event that was just returned, as a name and bytes."""
        wire = self._wires[-1 - len(self._ready)] if self._wires else None
        if wire is None or not is_utf8(wire):  # the fast decoder does not look into fields that no Struct has
            wire = msgspec.json.encode(event.data)
        return Frame(self.last_event or UNNAMED, wire)

    def _decode_ahead(self, entry: Entry, payloads: list[bytes]) -> deque[RunEvent] | None:
        """Decodes the first payloads of a series at once, if nothing is the matter with any; else it does nothing, and returns None."""
        some = payloads[:_AHEAD]
        count, surely_shallow = len(some), self._surely_shallow
        try:
            for one in some:
                # No JSON value goes on over a line end between } and {, so that so many values are one a line.
                if one[0] != _OPEN or one[-1] != _CLOSE:
                    return None
                if len(one) > surely_shallow and is_deeper(one, self._max_depth):
                    return None
            found = entry.decode_lines(b"\n".join(some))
        except (*UNDECODABLE, IndexError):
            return None
        if len(found) != count:
            return None
        if count < len(payloads):
            del payloads[:count]
        else:
            self._waiting.pop()
        self._taken += count
        self._wires = some
        self.last_event = entry.cls.event
        return deque(map(entry.cls, found))  # pyright: ignore[reportArgumentType]  # the entry's own payloads

    # -- off the fast path -----------------------------------------------------------------------------------------

    def _decode(self, name: str, payload: bytes) -> RunEvent:
        if is_deeper(payload, self._max_depth):
            self._fail(
                EventTooDeepError(self._says(name, f"is nested deeper than {self._max_depth}"), limit=self._max_depth)
            )
        decoded = None
        with contextlib.suppress(NotJSONError):
            decoded = decode(name, payload)
        if decoded is None:
            self._fail(StreamProtocolError(self._says(name, "is not valid JSON")))
        event = decoded.event
        if event is None:
            self.done_seen = True
            self._fail(_truncated(done_seen=True))
        if isinstance(event, ErrorEvent) and not self._yield_errors:
            self._fail(server_said(event.data, self._redact))
        self.last_event = decoded.name
        self._taken += 1
        self._wires = [] if decoded.wire is None else [decoded.wire]
        return self._follow_any(decoded.name, event)

    def _follow_any(self, name: str, event: RunEvent) -> RunEvent:
        if isinstance(event, UnknownEvent):
            if name.startswith("thread.run.") and not name.startswith("thread.run.step."):
                self._follow_unknown(name, event)
            return event
        entry = REGISTRY[name]
        data = self._follow(event.data, entry)
        return event if data is event.data else entry.around(data)

    def _follow(self, data: object, entry: Entry) -> object:
        """Keeps the facts of an event; returns its payload, with what its run has spent where only messages told it."""
        if isinstance(data, Thread):
            self.thread_id = data.id
        elif isinstance(data, Message):
            if (usage := told_usage(data)) is not None:
                self._told_usage = add_usage(self._told_usage, usage)
        elif isinstance(data, Run):
            if entry.stops is not None:
                self._stop(entry.outcome(data.status))
                if data.usage is None and self._told_usage is not None:
                    data = msgspec.structs.replace(data, usage=self._told_usage)
                    self._wires = []
            self.run = data
            self.run_id = data.id
            self.thread_id = data.thread_id or self.thread_id
        return data

    def _follow_unknown(self, name: str, event: UnknownEvent) -> None:
        """A run's event that could not be typed still says which run it is, and may still end the stream."""
        run_id, status = run_facts(event)
        self.run_id = run_id or self.run_id
        entry = REGISTRY.get(name)
        if entry is not None:
            self._stop(entry.outcome(status))

    def _stop(self, outcome: str | None) -> None:
        if outcome is not None:
            self.outcome = outcome
            self._waiting.clear()

    def _at_the_end(self) -> None:
        """Raises whatever is due once every message has been handed out."""
        if self.outcome is not None:
            return
        if self._failure is not None:
            raise told(self._failure, self)
        if self._sse.failed:
            self._fail(self._sse.failure())
        if self._ended:
            self._fail(_truncated(done_seen=False))

    def _fail(self, failure: StreamError) -> Never:
        self._failure = failure
        self._is_over = True
        self._waiting.clear()
        raise told(failure, self)

    def _says(self, name: str, what: str) -> str:
        return f"the payload of {self._redact(name)[:64]!r} {what}"


class Known(Protocol):
    """What is known of a run while it streams."""

    thread_id: str | None
    run_id: str | None
    run: Run | None
    last_event: str | None

    @property
    def events_seen(self) -> int:
        """How many events were handed out."""
        ...


def told(failure: StreamError, known: Known) -> StreamError:
    """A fresh copy of a failure, so that its traceback does not grow, that knows what is known."""
    error = copy.copy(failure)
    error.thread_id = known.thread_id
    error.run_id = known.run_id
    error.run_status = None if known.run is None else known.run.status
    error.last_event = known.last_event
    error.events_seen = known.events_seen
    return error


def _truncated(*, done_seen: bool) -> StreamTruncatedError:
    how = "said [DONE]" if done_seen else "ended"
    return StreamTruncatedError(f"the stream {how} before its run came to a stop", done_seen=done_seen)
