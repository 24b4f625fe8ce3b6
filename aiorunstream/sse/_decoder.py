"""Bytes cut anywhere in, whole messages out.

The rules are those of the WHATWG HTML standard, section 9.2.6. What this file keeps:

- Line ends are CR, LF or CRLF, also cut between two reads: a read is first turned into LF lines.
- One fast path, for blocks of exactly `event: NAME` and `data: ...`, and one exact path for all else;
  a property test holds them equal. A read of such blocks that all have one name, as most reads of a run have,
  is cut in a single step.
- Time is linear in the bytes. A block is held whole up to 64 KiB; a longer one is taken line by line,
  so that comments and unknown fields cost nothing to keep and a value is joined once.
- The limit counts an event's values (`data` lines joined, `event`, `id`), however the bytes were cut.
- A failure is final. Messages that were complete before it come out first.
"""

from collections.abc import Mapping

from ..errors import EventTooLargeError
from ..pieces import Pieces
from ._message import SSEMessage, SSESeries

MAX_EVENT_BYTES = 16 * 1024 * 1024
_HOLD = 64 * 1024
_PIECE = 4 * 1024
_BOM = b"\xef\xbb\xbf"
_NO_NAMES: Mapping[bytes, str] = {}
_RETRY_DIGITS = 18
_LONGEST_FIELD = 8
"""A line whose first eight bytes hold no colon has a name that means nothing."""


class SSEDecoder:
    """Turns the bytes of an event stream into messages.

    Args:
        max_event_bytes: the largest event, in bytes of its values.
        names: whole `event: NAME` lines mapped to NAME, the ones worth a short cut. Results do not depend on it.
    """

    __slots__ = (
        "_after_cr", "_between", "_data", "_event", "_failed", "_field", "_has_data", "_head", "_id", "_id_size", "_line",
        "_line_size", "_long", "_max", "_names", "_short", "_skip", "last_event_id", "retry",
    )  # fmt: skip

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES, names: Mapping[bytes, str] = _NO_NAMES) -> None:
        self._max = max_event_bytes
        self._names = names
        self._failed = False
        self._head: bytes | None = b""  # the first bytes, until they are known not to be a BOM; then None
        self._between = False  # two blocks, with nothing of the next yet
        self._after_cr = False  # the last read ended in CR: a LF at the start of the next belongs to it
        self._short = bytearray()  # the block being read, while it is short
        self._long = False  # it is not: its lines are taken one by one, into the fields below
        self._data = Pieces()  # the `data` values, joined
        self._has_data = False
        self._event = b""
        self._id = b""  # persists from block to block; only the block that sets it pays for its size
        self._id_size = 0
        # The line being read, in a long block: a `data` value goes straight to `_data`, any other line is held here.
        self._line = Pieces()
        self._line_size = 0
        self._field = b""  # "data", "event" or "id", once known
        self._skip = False  # it means nothing: its bytes are not kept
        self.last_event_id = ""
        self.retry: int | None = None
        """The last `retry` field, in milliseconds."""

    @property
    def failed(self) -> bool:
        """Whether an event was above the limit; nothing comes out any more."""
        return self._failed

    def failure(self) -> EventTooLargeError:
        """A fresh error that says what went wrong."""
        return EventTooLargeError(f"an event is larger than {self._max} bytes (max_event_bytes)", limit=self._max)

    def feed(self, chunk: bytes) -> list[SSEMessage]:
        """Takes the next bytes and returns the messages they complete.

        Raises:
            EventTooLargeError: the decoder failed in an earlier call. The call in which the limit is passed
                returns the messages before it; `failed` tells at once.
        """
        return [SSEMessage(some.event, data, some.id) for some in self.feed_series(chunk) for data in some.payloads]

    def feed_series(self, chunk: bytes) -> list[SSESeries]:
        """As `feed`, with messages of one name together where that costs less."""
        if self._between and chunk.endswith(b"\n\n") and chunk.find(b"\r") < 0:
            series = self._series(chunk[:-2])
            if series is not None:
                return [series]  # whole events, and nothing held: as a server writes them, and half the price
        if self._failed:
            raise self.failure()
        found: list[SSESeries] = []
        if self._head is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr or chunk.find(b"\r") >= 0:
            chunk = self._with_lf(chunk)
        while chunk and not self._failed:
            chunk = self._feed_long(chunk, found) if self._long else self._feed_short(chunk, found)
        self._between = self._head is None and not (self._short or self._long or self._after_cr or self.failed)
        return found

    def end(self) -> None:
        """Says that no more bytes come. A block without its blank line is dropped, but a whole `retry` line in it counts.

        Raises:
            EventTooLargeError: the decoder failed.
        """
        if self._failed:
            raise self.failure()
        lines, _, _ = bytes(self._short).rpartition(b"\n")
        for line in lines.split(b"\n"):
            self._take_line(line)
        self._forget()

    # -- reads become LF lines -----------------------------------------------------------------------------------

    def _without_bom(self, chunk: bytes) -> bytes:
        head = (self._head or b"") + chunk
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _with_lf(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    # -- blocks that are short enough to hold whole ----------------------------------------------------------------

    def _feed_short(self, chunk: bytes, found: list[SSESeries]) -> bytes:
        held = self._short
        if held:
            if chunk.find(b"\n\n") < 0 and not (held[-1] == 0x0A and chunk[0] == 0x0A):
                held += chunk
                return self._turn_long_if_due()
            chunk = bytes(held) + chunk
            held.clear()
        blocks, _, rest = chunk.rpartition(b"\n\n")
        if blocks:
            series = self._series(blocks)
            if series is not None:
                found.append(series)
            else:
                self._take_blocks(blocks, found)
                if self._failed:
                    return b""
        held += rest
        return self._turn_long_if_due()

    def _series(self, blocks: bytes) -> SSESeries | None:
        """The blocks as one series, if they are one: an eighth of the price of taking them one by one."""
        head, is_there, rest = blocks.partition(b"\ndata: ")
        name = self._names.get(head) if is_there else None
        if name is None or len(blocks) > self._max:
            return None
        if rest.find(b"\n") < 0:  # `in` costs twice that
            return SSESeries(name, [rest], self.last_event_id)
        between = b"\n\n%b\ndata: " % head
        if not rest.startswith(between, rest.rfind(b"\n\n")):
            return None  # the last has another name: no need to look further
        payloads = rest.rsplit(between)  # as `split`, at 0.6 of its price: line ends are rare, spaces are not
        # With a line end in it, it is none: there is another line. (Counting line ends costs four times this.)
        return None if b"".join(payloads).find(b"\n") >= 0 else SSESeries(name, payloads, self.last_event_id)

    def _take_blocks(self, blocks: bytes, found: list[SSESeries]) -> None:
        # No event of a read that is itself below the limit can be above it.
        names = self._names if len(blocks) <= self._max else _NO_NAMES
        for block in blocks.rsplit(b"\n\n"):  # cheaper than `split`, as above
            head, is_there, data = block.partition(b"\ndata: ")
            name = names.get(head) if is_there else None
            if name is not None and data.find(b"\n") < 0:
                found.append(SSESeries(name, [data], self.last_event_id))
            elif not block.startswith(b":") or block.find(b"\n") >= 0:  # else it is a comment, which means nothing
                self._exact_block(block, found)
                if self._failed:
                    return

    def _exact_block(self, block: bytes, found: list[SSESeries]) -> None:
        for line in block.split(b"\n"):
            if line:
                self._take_line(line)
            else:  # more than two line ends in a row
                self._dispatch(found)
            if self._failed:
                return
        self._dispatch(found)

    def _turn_long_if_due(self) -> bytes:
        """Goes over to taking lines one by one once the held part of a block is long; nothing is left to feed."""
        if len(self._short) > min(_HOLD, self._max):
            held = bytes(self._short)
            self._short.clear()
            self._long = True
            for start in range(0, len(held), _PIECE):  # all at once, 64 KiB of tiny lines would be 600 KiB of objects
                if not self._failed:
                    self._take_lines(held[start : start + _PIECE])
        return b""

    # -- blocks that are not ----------------------------------------------------------------------------------------

    def _feed_long(self, chunk: bytes, found: list[SSESeries]) -> bytes:
        """Goes on with a long block; returns the bytes after its end, if that is in the chunk."""
        if self._line_size == 0 and chunk.startswith(b"\n"):
            end = 0
        else:
            end = chunk.find(b"\n\n") + 1  # the blank line's own LF; 0 if there is none
            if end == 0:
                self._take_lines(chunk)
                return b""
        self._take_lines(chunk[:end])
        if self._failed:
            return b""
        self._dispatch(found)
        self._long = False
        return chunk[end + 1 :]

    def _take_lines(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._line_size:
                self._extend_line(line)
                self._end_line()
            elif line:
                self._take_line(line)
            if self._failed:
                return
        if rest:
            self._extend_line(rest)

    def _extend_line(self, piece: bytes) -> None:
        """Adds to the incomplete line; keeps its bytes only while they may mean something."""
        self._line_size += len(piece)
        if self._skip:
            return
        if self._field == b"data":
            self._data.add(piece)
        else:
            self._line.add(piece)
            if not self._field:
                self._learn_field()
        if self._field and self._size() > self._max:
            self._fail()

    def _learn_field(self) -> None:
        """Reads the incomplete line's field, once its colon and the byte after that are there."""
        start = self._line.starts()
        field, colon, value = start[:_LONGEST_FIELD].partition(b":")
        if colon and len(start) > len(field) + 1:
            if field in (b"data", b"event", b"id"):
                self._field = field
                prefix = len(field) + (2 if start[len(field) + 1] == 0x20 else 1)
                value = self._line.take()[prefix:]
                if field == b"data":
                    self._begin_data()
                    self._data.add(value)
                else:
                    if field == b"event":
                        self._event = b""  # the line will replace it: only one of the two is held
                    self._line.add(value)
            else:
                self._skip = field != b"retry" or len(start) > len(b"retry: ") + _RETRY_DIGITS
        elif not colon:
            self._skip = len(start) >= _LONGEST_FIELD
        if self._skip:
            self._line.clear()

    def _end_line(self) -> None:
        field, line, skip = self._field, self._line.take(), self._skip
        self._line_size = 0
        self._field = b""
        self._skip = False
        if field in (b"event", b"id"):
            self._set(field, line)
        elif not field and not skip:
            self._take_line(line)

    # -- lines and dispatch -----------------------------------------------------------------------------------------

    def _take_line(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            self._begin_data()
            self._data.add(value)
        elif field in (b"event", b"id"):
            self._set(field, value)
        # "If the field value consists of only ASCII digits": bytes.isdigit is exactly that.
        elif field == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self.retry = int(value)
        if self._size() > self._max:
            self._fail()

    def _begin_data(self) -> None:
        if self._has_data:
            self._data.add(b"\n")
        self._has_data = True

    def _set(self, field: bytes, value: bytes) -> None:
        if field == b"event":
            self._event = value
        else:
            # Counted also where it is refused for its NUL, since a cut line cannot know of a NUL to come.
            self._id_size = len(value)
            if b"\0" not in value:
                self._id = value

    def _size(self) -> int:
        """The size of the event, with what is there of the incomplete line instead of the value it will replace."""
        event = self._line.size if self._field == b"event" else len(self._event)
        id_size = self._line.size if self._field == b"id" else self._id_size
        return self._data.size + event + id_size

    def _dispatch(self, found: list[SSESeries]) -> None:
        self.last_event_id = self._id.decode("utf-8", "replace")
        if self._has_data:
            name = self._event.decode("utf-8", "replace") or "message"
            found.append(SSESeries(name, [self._data.take()], self.last_event_id))
            self._has_data = False
        self._event = b""
        self._id_size = 0

    def _fail(self) -> None:
        self._failed = True
        self._forget()

    def _forget(self) -> None:
        self._event = self._id = b""
        self._data.clear()
        self._line.clear()
        self._short.clear()
