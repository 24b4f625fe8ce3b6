"""`aiorunstream decode`: the events in a file, be it a recording or what somebody's curl has written."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from ..dialects import AstraProtocol
from ..errors import StreamError
from ..events import RunEvent, UnknownEvent
from ..protocol import RunProtocol
from ..recording import End, Recording, read_recording
from ._doctor_seen import Seen, seen_in
from ._show import about, harmless, in_a_line, in_one_line

_STREAM = "text/event-stream"
_LONGEST_BODY = 200  # characters of one that is no stream

_ENDS = {
    "clean": "the body ended as it should",
    "broken": "the connection broke",
    "timeout": "the reader had waited long enough",
    "left": "the reader left",
}


def decode(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recording, or the bytes of a stream; - is standard input.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON, and nothing else.")] = False,
    dialect: Annotated[
        Literal["astra"] | None, typer.Option(help="The one server whose bytes do not say that they are its own.")
    ] = None,
) -> None:
    """Show the events of a recorded run stream.

    Exits with 0 when the run came to a stop and every byte could be read, 1 for anything else.
    """
    recording = read_file(file)
    protocol = (AstraProtocol if dialect == "astra" else RunProtocol)(on_error_event="yield")
    events: list[RunEvent] = []
    problem: str | None = None
    try:
        for ms, event in _events(recording, protocol):
            events.append(event)
            _show(ms, event, as_json=as_json, has_times=recording.head is not None)
    except _UnreadableError as error:
        problem = str(error)
    problem = no_stream(recording, events=len(events)) or problem
    if not as_json:
        _summarize(recording, protocol, events)
    for told in (problem, recording.problem and f"{file}: {recording.problem}"):
        if told:
            typer.echo(harmless(told), err=True)
    failed = problem is not None or recording.problem is not None or any(event.event == "error" for event in events)
    raise typer.Exit(1 if failed else 0)


def read_file(path: Path) -> Recording:
    """Reads a recording, or the bytes of a stream; `-` is standard input. Exits with 1 for what is no file."""
    try:
        data = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
    except OSError as error:
        typer.echo(f"{path}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    return read_recording(data)


def no_stream(recording: Recording, *, events: int = 1) -> str | None:
    """What the server has answered in place of a stream; None where that is not known to be so.

    A content type that is none of a stream is forgiven where there were events all the same.
    """
    answered = recording.answered
    if answered is None:
        return None
    kind = answered.content_type
    if 200 <= answered.status < 300 and (events or kind in ("", _STREAM)):
        return None
    body = b"".join(piece.data for piece in recording.pieces)[: 4 * _LONGEST_BODY].decode("utf-8", "replace")
    said = in_one_line(body)
    said = f"{said[:_LONGEST_BODY]}…" if len(said) > _LONGEST_BODY else said
    kind = f" with {kind}" if kind and kind != "application/json" else ""
    return f"the server answered {answered.status}{kind}, and no stream: {said or 'nothing'}"


class _UnreadableError(Exception):
    """Where the events end before the run did, and why."""


def _events(recording: Recording, protocol: RunProtocol) -> Iterator[tuple[float, RunEvent]]:
    """The events with the times of the reads that completed them. Raises `_UnreadableError`."""
    read = 0
    ms = 0.0
    try:
        for piece in recording.pieces:
            read, ms = read + len(piece.data), piece.ms
            protocol.receive_data(piece.data)
            while (event := protocol.next_event()) is not None:
                yield ms, event
            if protocol.outcome is not None:
                return
        protocol.receive_data(b"")
        while (event := protocol.next_event()) is not None:
            yield ms, event
    except StreamError as error:
        raise _UnreadableError(f"{in_a_line(error)}; up to byte {read:,} of the stream") from None


def _show(ms: float, event: RunEvent, *, as_json: bool, has_times: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        return
    time = f"{ms:10.1f} ms  " if has_times else ""
    typer.echo(harmless(f"{time}{event.event:<29} {about(event)}".rstrip()))


def _summarize(recording: Recording, protocol: RunProtocol, events: list[RunEvent]) -> None:
    body = b"".join(piece.data for piece in recording.pieces)
    unknown = sum(isinstance(event, UnknownEvent) for event in events)
    rows = [
        ("outcome", protocol.outcome or "none: the run did not come to a stop"),
        ("events", f"{len(events)}, of {len({event.event for event in events})} kinds"),
        *([("not known", str(unknown))] if unknown else []),
        (
            "bytes",
            f"{len(body):,} in {len(recording.pieces):,} reads" if recording.head is not None else f"{len(body):,}",
        ),
        *_of_end(recording.end),
        *([("recorded by", f"aiorunstream {recording.head.aiorunstream}")] if recording.head is not None else []),
        *(_of_dialect(seen_in(body)) if events else []),
    ]
    typer.echo()
    for name, value in rows:
        typer.echo(harmless(f"{name}: {value}"))


def _of_end(end: End | None) -> list[tuple[str, str]]:
    if end is None:
        return []
    reason = f" ({end.reason})" if end.reason else ""
    return [("end", f"after {end.ms:,.1f} ms {_ENDS[end.end]}{reason}")]


def _of_dialect(seen: Seen) -> list[tuple[str, str]]:
    return [("dialect", seen.dialect), *(("seen", what) for what in seen.told)]
