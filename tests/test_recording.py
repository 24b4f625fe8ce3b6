"""The format of recordings: what is written comes back, what must not be written is not, and what is broken says where."""

from itertools import pairwise

import pytest
from conftest import NO_SHARED, SHARED
from hypothesis import given
from hypothesis import strategies as st
from raw_server import CREATED, RUN_STREAM

from aiorunstream import RunEvent, RunProtocol, UnknownEvent
from aiorunstream.cli._doctor_seen import seen_in
from aiorunstream.recording import Recording, RecordingWriter, read_recording

KEY = b"sk-abcabcabd"
HEADERS = {
    "Content-Type": "text/event-stream",
    "Set-Cookie": "session=1",
    "Authorization": "Bearer x",
    "Server": "some",
}
PIECES = (b"event: a\n", "data: ü\u2028 \n\n".encode(), b"\xff\xfe half of \xc3", b"\xbc the rest\r\n\r\n", b"")


def written(pieces: tuple[bytes, ...], *, secrets: tuple[bytes, ...] = ()) -> bytes:
    writer = RecordingWriter(secrets=secrets)
    lines = [writer.head(version="9.9", status=200, head_ms=12.5, headers=HEADERS)]
    lines += [writer.piece(10.0 * place, piece) for place, piece in enumerate(pieces)]
    return b"".join([*lines, writer.end(99.0, "broken", f"gone, with {KEY.decode()}")])


def body_of(recording: Recording) -> bytes:
    return b"".join(piece.data for piece in recording.pieces)


def test_what_is_written_comes_back() -> None:
    found = read_recording(written(PIECES))

    assert found.problem is None
    assert [(piece.ms, piece.data) for piece in found.pieces] == [
        (10.0 * n, piece) for n, piece in enumerate(PIECES[:4])
    ]
    assert found.head is not None
    assert (found.head.recording, found.head.aiorunstream, found.head.status, found.head.head_ms) == (
        1,
        "9.9",
        200,
        12.5,
    )
    assert found.end is not None
    assert (found.end.ms, found.end.end) == (99.0, "broken")


def test_text_stays_readable_and_other_bytes_are_base64() -> None:
    lines = written(PIECES).splitlines()

    assert lines[1] == b'{"ms":0.0,"text":"event: a\\n"}'
    assert lines[3].startswith(b'{"ms":20.0,"base64":"')


def test_of_the_headers_only_harmless_ones_are_kept() -> None:
    found = read_recording(written(()))

    assert found.head is not None
    assert found.head.headers == {"content-type": "text/event-stream", "server": "some"}


@given(st.lists(st.binary(max_size=12).map(lambda data: data + b"sk-ab"), max_size=8))
def test_any_bytes_come_back_however_they_were_cut(pieces: list[bytes]) -> None:
    found = read_recording(written(tuple(pieces), secrets=(KEY,)))

    assert found.problem is None
    assert body_of(found) == b"".join(pieces).replace(KEY, b"***")


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(0, 3))
def test_a_key_is_stars_however_its_bytes_are_cut(cuts: list[int], again: int) -> None:
    body = b"it said " + KEY * again + b" and " + KEY + b" sk-abcabc"
    places = sorted({0, *(min(cut, len(body)) for cut in cuts), len(body)})
    pieces = tuple(body[start:end] for start, end in pairwise(places))
    data = written(pieces, secrets=(b"Bearer " + KEY, KEY))

    assert KEY not in data
    assert body_of(read_recording(data)) == body.replace(KEY, b"***")


def test_a_recording_that_breaks_off_anywhere_says_so_and_keeps_what_is_before() -> None:
    whole = written(PIECES)
    ends = [at for at in range(len(whole)) if whole[at : at + 1] == b"\n"]
    pieces = read_recording(whole).pieces
    for size in range(len(whole.splitlines()[0]) + 1, len(whole) - 1):
        found = read_recording(whole[:size])
        lines_before = sum(end <= size for end in ends) - 1
        assert found.problem is not None, size
        assert found.pieces == pieces[: max(0, lines_before)], size
        assert f"byte {size}" in found.problem or "line " in found.problem


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"nothing", "cannot be read"),
        (b'{"ms": 1.0}', "neither text, nor base64"),
        (b'{"ms": 1.0, "base64": "!"}', "base64 that is none"),
        (b'{"ms": -1.0, "text": "a"}', "time that is none"),
        (b'{"ms": 1.0, "text": "\xff"}', "cannot be read"),
        (b'{"ms": 1.0, "end": "somehow"}', "cannot be read"),
        (b'{"text": "a"}', "cannot be read"),
    ],
)
def test_a_broken_line_is_named_with_its_byte(line: bytes, says: str) -> None:
    lines = written(PIECES).splitlines(keepends=True)
    at = len(b"".join(lines[:3]))
    found = read_recording(b"".join([*lines[:3], line + b"\n", *lines[3:]]))

    assert found.problem is not None
    assert found.problem.startswith(f"line 4 (byte {at}) ")
    assert says in found.problem
    assert len(found.pieces) == 2


def test_lines_after_the_end_are_a_problem() -> None:
    found = read_recording(written(PIECES) + b'{"ms":100.0,"text":"more"}\n')

    assert found.problem is not None
    assert "comes after the end" in found.problem


@pytest.mark.parametrize(
    "first", [b'{"recording": 2, "aiorunstream": "9"}', b'{"recording": "x"}', b'{"recording": 1,']
)
def test_another_format_is_no_recording_of_ours(first: bytes) -> None:
    found = read_recording(first + b"\n" + b'{"ms":0.0,"text":"a"}\n')

    assert found.problem is not None
    assert found.problem.startswith("line 1 (byte 0)")
    assert found.pieces == ()


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nServer: some\r\n\r\n", b"HTTP/1.1 200 OK\nServer: some\n\n"]
)
def test_other_bytes_are_the_body_of_an_answer_with_or_without_its_head(head: bytes) -> None:
    body = b"".join(RUN_STREAM).replace(b"\n", b"\r\n")
    found = read_recording(head + body)

    assert (found.head, found.end, found.problem) == (None, None, None)
    assert body_of(found) == body


@pytest.mark.parametrize(
    ("head", "status", "content_type"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-TYPE:  Application/JSON; charset=utf-8\r\n\r\n", 404, "application/json"),
        (b"HTTP/2 200\nserver: some\n\n", 200, ""),
        (b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/2 503\r\n\r\n", 503, ""),
    ],
    ids=["404", "no type", "several heads"],
)
def test_of_an_http_head_the_status_and_the_content_type_are_kept(head: bytes, status: int, content_type: str) -> None:
    found = read_recording(head + b"body")

    assert found.answered is not None
    assert (found.answered.status, found.answered.content_type) == (status, content_type)
    assert body_of(found) == b"body"


def test_a_recording_has_them_from_its_first_line() -> None:
    found = read_recording(written(()))

    assert found.answered is not None
    assert (found.answered.status, found.answered.content_type) == (200, "text/event-stream")
    assert read_recording(b"data: {}\n\n").answered is None
    assert read_recording(b"HTTP/1.1\r\n\r\nbody").answered is None  # no status


@pytest.mark.parametrize("data", [b"", b"\n", b"HTTP/1.1 200 OK", CREATED, b"{}", b"\xff\x00"])
def test_no_bytes_are_too_odd_to_be_looked_at(data: bytes) -> None:
    assert read_recording(data).problem is None
    seen_in(data)


@given(st.binary(max_size=300))
def test_nothing_is_raised_for_whatever_a_stream_or_a_recording_holds(data: bytes) -> None:
    seen_in(data)
    read_recording(data)
    read_recording(b"HTTP/" + data)
    read_recording(b'{"recording": 1, "aiorunstream": "9"}\n' + data)


@pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
def test_what_litellm_once_sent_is_typed_from_the_first_event_to_the_last() -> None:
    found = read_recording((SHARED / "interop/captures/litellm-run.txt").read_bytes())
    protocol = RunProtocol()
    events = [event for piece in found.pieces for event in _fed(protocol, piece.data)]

    assert len(events) == 15
    assert not [event for event in events if isinstance(event, UnknownEvent)]
    assert [event.event for event in events][:2] == ["thread.run.created", "thread.run.queued"]
    assert protocol.outcome == "completed"
    seen = seen_in(body_of(found))
    assert seen.dialect == "litellm"
    assert seen.marks == ("envelope_data_first", "unnamed_done", "no_nulls")


def _fed(protocol: RunProtocol, data: bytes) -> list[RunEvent]:
    protocol.receive_data(data)
    events: list[RunEvent] = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
    return events


@pytest.mark.parametrize(
    "before", [b"", b'{"recording": 1, "status": 200, "headers": {}}\n'], ids=["first line", "later"]
)
def test_what_is_nested_too_deep_is_a_problem_too(before: bytes) -> None:
    found = read_recording(before + b'{"recording": 1, "x": ' + b"[" * 100_000)
    assert found.problem is not None
