"""Events to bytes for a browser: filtered, numbered, and no payload decoded again. No loop, no socket, no Starlette."""

import re
from collections.abc import Collection

import msgspec

from ..errors import InvalidArgumentError
from ..events import REGISTRY, RunEvent, ThreadMessageDelta
from ..protocol import Frame
from ..sse import encode

PING = b": ping\n"
"""A comment without the blank line: some readers take that line for an event whenever an id is set."""
DONE = encode("[DONE]", event="done")
_LF, _CR = b"\n\r"  # numbers are found in a tenth of the time that bytes are
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Only:
    """Which events go out, by name.

    Args:
        names: whole names, or their beginnings followed by `*`; None lets every event out.

    Raises:
        InvalidArgumentError: these are no such names.
    """

    def __init__(self, names: Collection[str] | None) -> None:
        given: object = names
        if given is not None and (not isinstance(given, Collection) or isinstance(given, str) or not given):
            raise InvalidArgumentError("only must be a collection of at least one event name", argument="only")
        known: list[object] = [*(names or ())]
        for name in known:
            if not isinstance(name, str) or not name or "*" in name[:-1]:
                raise InvalidArgumentError("only takes event names, which may end in *", argument="only")
        self._all = names is None
        self._names = frozenset(names or ())
        self._starts = tuple(name[:-1] for name in names or () if name.endswith("*"))

    def takes(self, name: str) -> bool:
        """Whether an event of that name goes out."""
        return self._all or name in self._names or name.startswith(self._starts)


class Writer:
    """Writes the events of one run. Each gets an id: the run's, once it is known, and which of its events it is.

    Attributes:
        run_id: the run, as soon as it is known.
        last_went_out: whether the event that came last did.
    """

    def __init__(self, only: Only) -> None:
        self._only = only
        self._seen = 0
        self._run: bytes | None = None
        self._heads: dict[str, bytes] = {}  # of the protocol's own names: a server could make up any number of others
        self.run_id: str | None = None
        self.last_went_out = False

    def frame(self, frame: Frame) -> bytes | None:
        """The bytes of an event; None where it is not to go out.

        Raises:
            InvalidArgumentError: its name could forge another event.
        """
        self._seen += 1
        if self._run is None:
            self._learn_run()
        head = self._heads.get(frame.event)
        if head is None:
            head = self._head(frame.event)
        self.last_went_out = bool(head)
        if not head:
            return None
        data = frame.data
        if _LF in data or _CR in data:
            return encode(data, event=frame.event, id=self._id())
        return b"%b%d\ndata: %b\n\n" % (head, self._seen, data)

    def text(self, event: RunEvent) -> bytes | None:
        """The event's text as an event `text` whose data is a JSON string; None where it has none."""
        self._seen += 1
        if self._run is None:
            self._learn_run()
        text = event.data.text if type(event) is ThreadMessageDelta else ""
        self.last_went_out = bool(text)
        return encode(msgspec.json.encode(text), event="text", id=self._id()) if text else None

    def _learn_run(self) -> None:
        if self.run_id is not None:
            # An id that is none of the protocol's is left out; the number says enough.
            self._run = f"{self.run_id}:".encode() if _RUN_ID.fullmatch(self.run_id) else b""
            self._heads.clear()

    def _id(self) -> str:
        return f"{(self._run or b'').decode()}{self._seen}"

    def _head(self, name: str) -> bytes:
        """All that comes before the event's number; empty for one that is not to go out."""
        if not self._only.takes(name):
            head = b""
        else:
            line, _, _ = encode(b"", event=name).partition(b"\n")
            head = line + b"\nid: " + (self._run or b"")
        if name in REGISTRY:
            self._heads[name] = head
        return head
