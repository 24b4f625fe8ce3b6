"""What must hold of any bytes at all. `check` asks it all of one input, and raises `BrokenPromiseError` for the first that does not.

Everything random in a check comes from the input itself, so that an input fails each time or never.
"""

import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from unittest import mock

import aiorunstream.decode as decode_file
import aiorunstream.protocol as protocol_file
from aiorunstream.errors import (
    EventTooDeepError,
    EventTooLargeError,
    RunStreamError,
    StreamError,
    StreamProtocolError,
    StreamTruncatedError,
)
from aiorunstream.events import EVENT_LINES, UnknownEvent
from aiorunstream.protocol import MAX_DEPTH, OnErrorEvent, RunProtocol
from aiorunstream.sse import MAX_EVENT_BYTES, SSEDecoder
from aiorunstream.sse import _decoder as decoder_file

from .payloads import BrokenPromiseError, check_depth, check_frame, check_round_trip

ALLOWED: tuple[type[StreamError], ...] = (
    RunStreamError,  # the bytes hold an error event
    StreamTruncatedError,  # they ended, or said [DONE], and the run had not come to a stop
    EventTooLargeError,  # an event is above max_event_bytes
    EventTooDeepError,  # its JSON is nested deeper than max_depth
    StreamProtocolError,  # the JSON of an event this version knows, or of one without a name, is broken
)

NO_NAMES: Mapping[str, object] = {}

DRIP = 50
"""Inputs up to this size, in bytes, are always read byte by byte too; longer ones now and then."""

HELD_BESIDE = 32
"""What may be held beside the event itself, in bytes: the start of a line whose field is not known yet."""

_LATE = b'event: thread.run.created\ndata: {"id":"late"}\n\nevent: error\ndata: late\n\n'


class Setting(NamedTuple):
    """How the protocol is set up; `hold` is how much of a block is held whole before its lines are taken one by one."""

    on_error_event: OnErrorEvent
    max_event_bytes: int
    max_depth: int
    hold: int


class Seen(NamedTuple):
    """All that a reader sees: each event's name, class and JSON, and how it ended."""

    events: list[tuple[str, str, bytes]]
    ending: tuple[object, ...]


def _rolls(wire: bytes) -> random.Random:
    return random.Random(zlib.crc32(wire))  # noqa: S311  nothing here is secret


def _setting(rolls: random.Random) -> Setting:
    """Mostly the limits that nobody meets, and now and then small ones."""
    return Setting(
        on_error_event=rolls.choice(("raise", "yield")),
        max_event_bytes=rolls.randint(1, 300) if rolls.random() < 0.25 else MAX_EVENT_BYTES,
        max_depth=rolls.randint(3, 12) if rolls.random() < 0.25 else MAX_DEPTH,
        hold=rolls.choice((0, 1, 5, 30, 64 * 1024)),
    )


def setting_of(wire: bytes) -> Setting:
    """How `check` sets up the protocol for an input, if it is not told."""
    return _setting(_rolls(wire))


def check(wire: bytes, kind: type[RunProtocol] = RunProtocol, setting: Setting | None = None) -> Seen:
    """Asks everything of one input; returns what a reader of it sees. Raises `BrokenPromiseError`.

    Args:
        wire: the body of a stream, any bytes.
        kind: the protocol under test.
        setting: how it is set up, in place of what the input makes of it.
    """
    rolls = _rolls(wire)
    setting = setting or _setting(rolls)
    protocol = _make(kind, setting)
    seen = _read(protocol, [wire], setting)
    _check_final(protocol, seen)
    whole_messages = _messages([wire], setting)
    for chunks in _cuts(wire, rolls):
        with mock.patch.object(decoder_file, "_HOLD", setting.hold):
            _same("cuts", seen, _read(_make(kind, setting), chunks, setting), chunks)
            _same("cuts", whole_messages, _messages(chunks, setting), chunks)
    _same("exact", whole_messages, _messages([wire], setting, short_cuts=False), "lines")
    with mock.patch.object(protocol_file, "FAST", NO_NAMES):
        _same("exact", seen, _read(_make(kind, setting, short_cuts=False), [wire], setting), "payloads")
        with mock.patch.object(decode_file, "FAST", NO_NAMES):  # past the fast decoder, to the one that repairs
            _same("tolerant", seen, _read(_make(kind, setting), [wire], setting), "payloads")
    _check_frames(_make(kind, setting), wire, seen)
    for _, data, _ in whole_messages[0]:
        check_depth(data, setting.max_depth)
    return seen


# -- reading -----------------------------------------------------------------------------------------------------------


def _make(kind: type[RunProtocol], setting: Setting, *, short_cuts: bool = True) -> RunProtocol:
    limit = setting.max_event_bytes
    protocol = kind(max_event_bytes=limit, max_depth=setting.max_depth, on_error_event=setting.on_error_event)
    if not short_cuts:
        protocol._sse = SSEDecoder(max_event_bytes=limit)  # noqa: SLF001  the switch between the two paths
    return protocol


def _read(protocol: RunProtocol, chunks: Sequence[bytes], setting: Setting) -> Seen:
    events: list[tuple[str, str, bytes]] = []
    error: StreamError | None = None
    try:
        for chunk in (*filter(None, chunks), b""):
            protocol.receive_data(chunk)
            _check_held(protocol, setting.max_event_bytes)
            while (event := protocol.next_event()) is not None:
                events.append((protocol.last_event or "", type(event).__name__, check_round_trip(event)))
                if event.event != protocol.last_event and not isinstance(event, UnknownEvent):
                    raise BrokenPromiseError("names", f"{protocol.last_event!r} for {event.event!r}")
    except StreamError as raised:
        error = raised
    except BrokenPromiseError:
        raise
    except Exception as raised:
        raise BrokenPromiseError("escapes", repr(raised)) from raised
    return Seen(events, _ending(protocol, error))


def _ending(protocol: RunProtocol, error: StreamError | None) -> tuple[object, ...]:
    told: tuple[object, ...] = (None,)
    if error is not None:
        if type(error) not in ALLOWED or error.__cause__ is not None or error.__context__ is not None:
            raise BrokenPromiseError("escapes", f"{error!r} after {error.__cause__!r} and {error.__context__!r}")
        told = (type(error).__name__, str(error), repr(sorted(vars(error).items())))
    run = None if protocol.run is None else protocol.run.id
    known = (protocol.outcome, run, protocol.run_id, protocol.thread_id, protocol.last_event)
    return (*told, *known, protocol.events_seen, protocol.done_seen)


def _check_final(protocol: RunProtocol, seen: Seen) -> None:
    """A failure stays, as a fresh copy each time, and so does an outcome; exactly one of them is there at the end."""
    if (protocol.outcome is None) == (seen.ending[0] is None):
        raise BrokenPromiseError("final", f"{seen.ending}")
    errors: list[StreamError] = []
    for late in (_LATE, b"", b""):
        protocol.receive_data(late)
        error: StreamError | None = None
        try:
            event = protocol.next_event()
        except StreamError as raised:
            error = raised
            errors.append(raised)
        else:
            if event is not None:
                raise BrokenPromiseError("final", f"{event.event!r} after the end")
        if (ending := _ending(protocol, error)) != seen.ending:
            raise BrokenPromiseError("final", f"{ending} after {seen.ending}")
    if len(set(map(id, errors))) < len(errors):
        raise BrokenPromiseError("final", "the same exception twice")


def _check_held(protocol: RunProtocol, limit: int) -> None:
    """What the decoder holds of an event that is not whole. An id persists from event to event, and is counted alone."""
    sse = protocol._sse  # noqa: SLF001  there is no other way to see it
    held = len(sse._short) + sse._data.size + sse._line.size + len(sse._event)  # noqa: SLF001
    if held > limit + HELD_BESIDE or len(sse._id) > limit:  # noqa: SLF001
        raise BrokenPromiseError("held", f"{held} bytes and an id of {len(sse._id)} with a limit of {limit}")  # noqa: SLF001


def _messages(
    chunks: Sequence[bytes], setting: Setting, *, short_cuts: bool = True
) -> tuple[list[tuple[str, bytes, str]], bool, int | None, str]:
    """The messages below the protocol, which go on after the run's end."""
    decoder = SSEDecoder(max_event_bytes=setting.max_event_bytes, names=EVENT_LINES if short_cuts else {})
    found: list[tuple[str, bytes, str]] = []
    for chunk in chunks:
        if not decoder.failed:
            found += [(message.event, message.data, message.id) for message in decoder.feed(chunk)]
    if not decoder.failed:
        decoder.end()
    return found, decoder.failed, decoder.retry, decoder.last_event_id


# -- the same again, otherwise -----------------------------------------------------------------------------------------


def _cuts(wire: bytes, rolls: random.Random) -> Iterator[list[bytes]]:
    for pieces in (2, rolls.randint(3, 9)):
        places = sorted(rolls.randint(0, len(wire)) for _ in range(pieces - 1))
        yield [wire[start:end] for start, end in pairwise([0, *places, len(wire)])]
    if len(wire) <= DRIP or rolls.random() < 0.05:
        yield [wire[place : place + 1] for place in range(len(wire))]


def _same(oracle: str, whole: object, other: object, how: object) -> None:
    if whole != other:
        raise BrokenPromiseError(oracle, f"{whole} became {other} by {how}")


def _check_frames(protocol: RunProtocol, wire: bytes, seen: Seen) -> None:
    """Frames have the events' names, and payloads that say the same."""
    names: list[str] = []
    error: StreamError | None = None
    try:
        if wire:
            protocol.receive_data(wire)
        protocol.receive_data(b"")
        while (frame := protocol.next_frame()) is not None:
            if len(names) < len(seen.events):
                check_frame(frame, *seen.events[len(names)])
            names.append(frame.event)
    except StreamError as raised:
        error = raised
    except BrokenPromiseError:
        raise
    except Exception as raised:
        raise BrokenPromiseError("escapes", repr(raised)) from raised
    _same("frames", seen, Seen(seen.events[: len(names)], _ending(protocol, error)), "next_frame")
