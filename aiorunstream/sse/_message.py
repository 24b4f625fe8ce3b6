"""What an event stream holds."""

import msgspec


class SSEMessage(msgspec.Struct, frozen=True, gc=False):
    """One dispatched message. `data` is the wire's own bytes; `text` is them decoded, never failing."""

    event: str
    data: bytes
    id: str = ""

    @property
    def text(self) -> str:
        """`data` as text, invalid UTF-8 replaced by U+FFFD as the standard says."""
        return self.data.decode("utf-8", "replace")


class SSESeries(msgspec.Struct, frozen=True, gc=False):
    """Messages of one name that follow each other; at least one. A list, since it is cut up as it is read."""

    event: str
    payloads: list[bytes]
    id: str = ""
