"""A run's events in the hands of their reader: opened, iterated, recovered, left."""

from ._call import StreamCall
from ._delivered import Delivered
from ._found import found_stream
from ._given import ByteStream, EventSource, RunControl
from ._leaving import LEARN_SECONDS, LEAVE_SECONDS
from ._no_body import NoBody
from ._run_stream import FrameIterator, RunStream

__all__ = [
    "LEARN_SECONDS",
    "LEAVE_SECONDS",
    "ByteStream",
    "Delivered",
    "EventSource",
    "FrameIterator",
    "NoBody",
    "RunControl",
    "RunStream",
    "StreamCall",
    "found_stream",
]
