"""What the server can be told to do wrong, the queue in which that waits for its requests, and how it is done."""

import asyncio
import math
import re
import socket
import struct
from typing import Literal, cast, get_args

import msgspec
from aiohttp import web

from ..errors import ConfigurationError
from ..events import ErrorEvent
from ..models import ErrorObject
from ..operations import OPERATIONS
from ..responses_operations import CONVERSATIONS, RESPONSES
from ._answers import error_answer
from ._runs import Listener

FaultKind = Literal[
    "cut",
    "reset",
    "end",
    "stall",
    "bad_chunk",
    "error_event",
    "drip",
    "late_end",
    "refuse",
    "hang_up",
    "silence",
]

TAKES: dict[FaultKind, tuple[str, ...]] = {
    "cut": ("at_byte",),
    "reset": ("at_byte",),
    "end": ("at_byte",),
    "stall": ("at_byte", "seconds"),
    "bad_chunk": ("at_byte",),
    "error_event": ("at_byte",),
    "drip": ("seconds",),
    "late_end": ("seconds",),
    "refuse": ("status", "retry_after"),
    "hang_up": (),
    "silence": ("seconds",),
}
"""The fields that mean something to each kind, besides `operation` and `times`."""

OF_ANY_REQUEST = frozenset({"refuse", "hang_up", "silence"})
"""The kinds that fit plain requests too; the others happen in the body of a stream."""

_OPERATIONS = {operation.name: operation for operation in (*OPERATIONS, *RESPONSES, *CONVERSATIONS)}
_LEFT_OUT = {"at_byte": 0, "seconds": None, "status": 500, "retry_after": None}
_NO_CHUNK = b"zz\r\n"
_READ_WITHIN = 0.02
"""Seconds for the client to read what came before: parsers of HTTP throw a whole read away, headers and all."""
_ERROR = ErrorEvent(ErrorObject("The server had an error while processing your request.", "server_error"))
_END_OF_EVENT = re.compile(rb"\r?\n\r?\n")  # nothing else in an event has two line ends in a row


class _Kind(msgspec.Struct, frozen=True):
    kind: FaultKind  # a class of its own, so that it alone may be given without its name


class Fault(_Kind, frozen=True, kw_only=True):
    """One thing for the server to do wrong; give it to `AssistantsServer.inject` or `ThreadedServer.inject`.

        server.inject(Fault("cut", at_byte=400))
        server.inject(Fault("refuse", status=429, retry_after=1, operation="create_run", times=2))

    In a stream, after the first `at_byte` bytes of its events (a stream that is shorter is broken at its end):

    - `"cut"`: the connection is closed, in the middle of the body.
    - `"reset"`: the connection is reset. What was sent just before may be lost with it, as in life.
    - `"end"`: the body ends, and all is well as far as HTTP can tell.
    - `"stall"`: nothing more comes for `seconds`, then the rest does; without `seconds`, nothing until the client leaves.
    - `"bad_chunk"`: bytes that are no chunk, then nothing until the client leaves.
    - `"error_event"`: an `error` event, once the event that is under way is whole, and the end mark.

    In a stream, whatever its length:

    - `"drip"`: its events come one byte at a time, `seconds` apart.
    - `"late_end"`: all events come, and the end of the body `seconds` later; without `seconds`, never.

    In any request:

    - `"refuse"`: nothing is done, and the answer is an error with `status`, and with `retry_after` if that is given.
    - `"hang_up"`: what is asked for is done, and the connection closed without an answer.
    - `"silence"`: what is asked for is done, and answered `seconds` later; without `seconds`, never.

    In all of them the run itself goes on at the server, unless the request was refused; so does a response that is in
    the background, while any other ends with its connection.

    Args:
        kind: what goes wrong.
        operation: where, by the names of the client's operations, such as `"create_run"`, `"create_thread_and_run"`,
            `"submit_tool_outputs"`, `"retrieve_run"`, or `"create_response"`, `"retrieve_response"`,
            `"create_conversation"`. None: in the next request that the kind fits.
        at_byte: how many bytes of events come before; 0 leaves the headers alone.
        seconds: how long, see above.
        status: of a refusal, from 400 to 599.
        retry_after: seconds that a refusal asks to wait.
        times: in how many requests; None is all of them.

    Raises:
        ConfigurationError: a value cannot be meant, or a field means nothing to this kind.
    """

    operation: str | None = None
    at_byte: int = 0
    seconds: float | None = None
    status: int = 500
    retry_after: float | None = None
    times: int | None = 1

    def __post_init__(self) -> None:
        kind, operation = cast(object, self.kind), cast(object, self.operation)
        if not isinstance(kind, str) or kind not in TAKES:
            raise ConfigurationError(f"Fault.kind must be one of {', '.join(get_args(FaultKind))}, not {kind!r:.40}")
        self._check_operation(operation)
        _check_whole("at_byte", self.at_byte, 0)
        _check_whole("status", self.status, 400, 599)
        if self.times is not None:
            _check_whole("times", self.times, 1)
        for name in ("seconds", "retry_after"):
            _check_seconds(name, getattr(self, name))
        for name, left_out in _LEFT_OUT.items():
            if name not in TAKES[self.kind] and getattr(self, name) != left_out:
                raise ConfigurationError(f"Fault.{name} means nothing to {self.kind!r}")

    def _check_operation(self, name: object) -> None:
        if name is None:
            return
        if not isinstance(name, str) or name not in _OPERATIONS:
            known = ", ".join(_OPERATIONS)
            raise ConfigurationError(f"Fault.operation must be one of {known}, not {name!r:.40}")
        if self.kind not in OF_ANY_REQUEST and not _OPERATIONS[name].streams:
            raise ConfigurationError(f"Fault.operation must be one that streams for {self.kind!r}, not {name!r}")

    def fits(self, operation: str, *, streams: bool) -> bool:
        """Whether it can happen in a request for that operation, whose answer is a stream or is not."""
        return self.operation in (None, operation) and (streams or self.kind in OF_ANY_REQUEST)


class Faults:
    """Faults that wait for a request they fit, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Adds one behind the others. Raises `ConfigurationError` for what is none."""
        if not isinstance(cast(object, fault), Fault):
            raise ConfigurationError(f"a fault must be a Fault, not {type(fault).__name__}")
        self._waiting.append((fault, fault.times))

    def clear(self) -> None:
        """Forgets them all."""
        self._waiting.clear()

    def find(self, operation: str, *, streams: bool) -> Fault | None:
        """The one that comes next in such a request; `use` counts it once it surely happens."""
        return next((fault for fault, _ in self._waiting if fault.fits(operation, streams=streams)), None)

    def use(self, fault: Fault) -> None:
        """Counts one use of the oldest that is this one."""
        place = next(place for place, (waiting, _) in enumerate(self._waiting) if waiting is fault)
        left = self._waiting[place][1]
        if left == 1:
            del self._waiting[place]
        elif left is not None:
            self._waiting[place] = (fault, left - 1)


# -- how they are done -----------------------------------------------------------------------------------------------


def refused(fault: Fault) -> web.Response:
    """The answer to a request that is refused."""
    answer = error_answer(fault.status, f"The server was told to refuse this with status {fault.status}.")
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = str(math.ceil(fault.retry_after))
        answer.headers["retry-after-ms"] = str(round(fault.retry_after * 1000))  # the first has whole seconds only
    return answer


async def withhold(fault: Fault, request: web.Request) -> None:
    """Holds an answer back that is not to come yet. Raises `ConnectionError` where it never will."""
    if fault.kind == "silence":
        await _wait(fault.seconds)
    elif fault.kind == "hang_up":
        _transport(request).close()
        raise ConnectionResetError("the server hung up, as it was told")


async def send_with_fault(fault: Fault, listener: Listener, request: web.Request, response: web.StreamResponse) -> None:
    """Sends a stream with its fault; only the end of its body is left to do, if it is to have one.

    Raises:
        ConnectionError: the connection is gone.
    """
    if fault.kind == "drip":
        await _drip(fault.seconds or 0.0, listener, response)
    elif fault.kind == "late_end":
        await _send_rest(b"", listener, response)
        await _wait(fault.seconds)
    elif fault.kind in OF_ANY_REQUEST:
        await _send_rest(b"", listener, response)
    else:
        unsent = await _send_first(fault.at_byte, listener, response, whole_events=fault.kind == "error_event")
        await _break_body(fault, unsent, listener, request, response)


async def _break_body(
    fault: Fault, unsent: bytes, listener: Listener, request: web.Request, response: web.StreamResponse
) -> None:
    match fault.kind:
        case "stall":
            await _wait(fault.seconds)
            await _send_rest(unsent, listener, response)
        case "error_event":
            await response.write(listener.last_error(_ERROR))
        case "bad_chunk":
            await asyncio.sleep(_READ_WITHIN)
            _transport(request).write(_NO_CHUNK)
            await _wait(None)
        case "cut":
            _transport(request).close()
        case "reset":
            await _reset(_transport(request))
        case _:  # "end": there is nothing more to it
            pass


async def _send_first(count: int, listener: Listener, response: web.StreamResponse, *, whole_events: bool) -> bytes:
    """Sends that many bytes, or all where there are fewer, and returns those that were read with them.

    With `whole_events`, the event in which the last of them lies is sent to its end.
    """
    while count > 0 and (events := await listener.read()):
        if whole_events and count <= len(events):
            end = _END_OF_EVENT.search(events, max(0, count - 2))
            count = len(events) if end is None else end.end()
        await response.write(events[:count])
        if count <= len(events):
            return events[count:]
        count -= len(events)
    return b""


async def _send_rest(unsent: bytes, listener: Listener, response: web.StreamResponse) -> None:
    events = unsent
    while events or (events := await listener.read()):
        await response.write(events)
        events = b""


async def _drip(seconds: float, listener: Listener, response: web.StreamResponse) -> None:
    while events := await listener.read():
        for place in range(len(events)):
            await response.write(events[place : place + 1])
            await asyncio.sleep(seconds)


async def _wait(seconds: float | None) -> None:
    """Waits; without an end, until the client leaves, with which its request is cancelled."""
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


async def _reset(transport: asyncio.Transport) -> None:
    while transport.get_write_buffer_size():  # noqa: ASYNC110  # nobody is told when it is empty, or it would be lost
        await asyncio.sleep(0.001)
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _transport(request: web.Request) -> asyncio.Transport:
    if request.transport is None:
        raise ConnectionResetError("the client has left")
    return request.transport


# -- checks ----------------------------------------------------------------------------------------------------------


def _check_whole(name: str, value: object, least: int, most: float = math.inf) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ConfigurationError(f"Fault.{name} must be a whole number {limits}, not {value!r:.40}")


def _check_seconds(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ConfigurationError(f"Fault.{name} must be a number of seconds of at least 0, not {value!r:.40}")
