"""Server-sent events: bytes cut anywhere in, whole messages out, and the other way round. No loop, no socket."""

from ._decoder import MAX_EVENT_BYTES, SSEDecoder
from ._encode import encode
from ._message import SSEMessage, SSESeries

__all__ = ["MAX_EVENT_BYTES", "SSEDecoder", "SSEMessage", "SSESeries", "encode"]
