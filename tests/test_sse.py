"""The SSE decoder and encoder: every rule of the standard, cut anywhere. Limits are in test_sse_limits.py."""

import base64
import hashlib
import json
import random
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict
from unittest import mock

import pytest
from conftest import NO_SHARED, SHARED
from hypothesis import given
from hypothesis import strategies as st

from aiorunstream import sse
from aiorunstream.errors import InvalidArgumentError
from aiorunstream.events import EVENT_LINES
from aiorunstream.sse import SSEDecoder, SSEMessage, encode
from aiorunstream.sse import _decoder as decoder_file

NO_NAMES: Mapping[bytes, str] = {}


class Outcome(NamedTuple):
    """All that a decoder makes of a stream."""

    messages: list[tuple[str, bytes, str]]
    failed: bool
    retry: int | None
    last_event_id: str


def decode(
    chunks: Iterable[bytes], *, limit: int = sse.MAX_EVENT_BYTES, names: Mapping[bytes, str] = EVENT_LINES
) -> Outcome:
    decoder = SSEDecoder(max_event_bytes=limit, names=names)
    messages: list[SSEMessage] = []
    for chunk in chunks:
        if not decoder.failed:
            messages += decoder.feed(chunk)
    if not decoder.failed:
        decoder.end()
    found = [(message.event, message.data, message.id) for message in messages]
    return Outcome(found, decoder.failed, decoder.retry, decoder.last_event_id)


def cut(wire: bytes, places: Iterable[int]) -> list[bytes]:
    return [wire[start:end] for start, end in pairwise([0, *sorted(places), len(wire)])]


def drip(wire: bytes) -> list[bytes]:
    return [wire[place : place + 1] for place in range(len(wire))]


def feedings(wire: bytes, chunks: Iterable[int] = ()) -> Iterable[list[bytes]]:
    """Whole, byte by byte, by its own chunks, and in two: everywhere up to 4 KiB, at random above."""
    yield [wire]
    if len(wire) <= 200_000:
        yield drip(wire)
    place, places = 0, list[int]()
    for size in chunks:
        place += size
        places.append(place)
    if places:
        yield cut(wire, places)
    rolls = random.Random(len(wire))
    splits = range(len(wire) + 1) if len(wire) <= 4096 else [rolls.randint(0, len(wire)) for _ in range(12)]
    for split in splits:
        yield [wire[:split], wire[split:]]


# -- vectors -----------------------------------------------------------------------------------------------------------


class OwnVector(TypedDict):
    name: str
    wire: NotRequired[str]
    hex: NotRequired[str]
    messages: list[tuple[str, str, str]]
    retry: int | None
    last_id: str


OWN_VECTORS: list[OwnVector] = json.loads((Path(__file__).parent / "vectors" / "sse.json").read_text())


@pytest.mark.parametrize("vector", OWN_VECTORS, ids=[vector["name"] for vector in OWN_VECTORS])
def test_own_vectors_hold_however_they_are_cut(vector: OwnVector) -> None:
    wire = bytes.fromhex(vector["hex"]) if "hex" in vector else vector.get("wire", "").encode()
    for chunks in feedings(wire):
        got = decode(chunks)
        texts = [(event, data.decode("utf-8", "replace"), id) for event, data, id in got.messages]
        assert texts == [tuple(message) for message in vector["messages"]], chunks
        assert (got.retry, got.last_event_id, got.failed) == (vector["retry"], vector["last_id"], False), chunks


class SharedEvent(TypedDict):
    event: str
    data: NotRequired[str]
    data_len: NotRequired[int]
    data_sha256: NotRequired[str]
    id: str


class SharedVector(TypedDict):
    name: str
    input: NotRequired[str]
    input_b64: NotRequired[str]
    input_gen: NotRequired[list[tuple[str, int]]]
    chunks: NotRequired[list[int]]
    expected: list[SharedEvent]
    expected_retry: int | str | None
    expected_last_event_id: str


def _shared_vectors() -> list[SharedVector]:
    path = SHARED / "conformance" / "sse-vectors.json"
    if not path.is_file():
        return []
    vectors: list[SharedVector] = json.loads(path.read_text())["vectors"]
    return vectors


SHARED_VECTORS = _shared_vectors()


def _wire(vector: SharedVector) -> bytes:
    if "input_b64" in vector:
        return base64.b64decode(vector["input_b64"])
    if "input_gen" in vector:
        return "".join(text * times for text, times in vector["input_gen"]).encode()
    return vector.get("input", "").encode()


def _is(found: tuple[str, bytes, str], expected: SharedEvent) -> bool:
    event, data, id = found
    text = data.decode("utf-8", "replace")
    if (event, id) != (expected["event"], expected["id"]):
        return False
    if "data" in expected:
        return text == expected["data"]
    digest = hashlib.sha256(text.encode()).hexdigest()
    return (len(text), digest) == (expected.get("data_len"), expected.get("data_sha256"))


def test_the_shared_vectors_are_all_there() -> None:
    if not SHARED.is_dir():
        pytest.skip(NO_SHARED)
    assert len(SHARED_VECTORS) == 184


@pytest.mark.parametrize("vector", SHARED_VECTORS, ids=[vector["name"] for vector in SHARED_VECTORS])
def test_shared_vectors_hold_however_they_are_cut(vector: SharedVector) -> None:
    wire, expected = _wire(vector), vector["expected"]
    for chunks in feedings(wire, vector.get("chunks", ())):
        got = decode(chunks)
        sizes = [len(chunk) for chunk in chunks[:9]]
        assert len(got.messages) == len(expected), sizes
        assert all(map(_is, got.messages, expected)), sizes
        assert got.last_event_id == vector["expected_last_event_id"], sizes
        assert vector["expected_retry"] in (got.retry, "any"), sizes
        assert not got.failed


# -- promptness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r", b"\n\r"])
def test_a_message_comes_with_the_last_byte_of_its_blank_line(end: bytes) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: now" + end[:-1]) == []
    assert [message.data for message in decoder.feed(end[-1:])] == [b"now"]


def test_a_line_feed_after_a_read_that_ended_in_cr_is_the_same_line_end() -> None:
    decoder = SSEDecoder()
    assert len(decoder.feed(b"data: 1\r\n\r")) == 1
    assert decoder.feed(b"\ndata: 2\r") == []
    assert [message.data for message in decoder.feed(b"\ndata: 3\r\n\r\n")] == [b"2\n3"]


def test_an_empty_read_changes_nothing() -> None:
    assert decode([b"", b"\xef", b"", b"\xbb\xbfdata: 1\r", b"", b"\n\r\n", b""]) == decode([b"data: 1\n\n"])


def test_text_never_fails() -> None:
    assert SSEMessage("a", b"\xff\xe2\x82").text == "\ufffd\ufffd"


# -- properties --------------------------------------------------------------------------------------------------------

PIECES = [
    b"data: ", b"data:", b"data", b"event: ", b"event:e", b"id: 4", b"id:", b"id: \0", b"retry: 7", b"retry", b":c",
    b": ", b"other: ", b"otherwise long name", b"\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b" ", b":", b"xyz",
    b"\xef\xbb\xbf", b"\xff", "\u2028".encode(), "é".encode(), b"\0", b"d", b"w" * 9,
    b"event: thread.run.created\ndata: {}\n\n", b"event: thread.message.delta\ndata: [1]\nid: 8\n\n",
]  # fmt: skip
WIRES = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join)
LIMITS = st.sampled_from([sse.MAX_EVENT_BYTES]) | st.integers(1, 40)
HOLDS = st.sampled_from([0, 1, 2, 5, 9, 30, decoder_file._HOLD])


@given(wire=WIRES, data=st.data(), limit=LIMITS, hold=HOLDS)
def test_cutting_the_bytes_never_changes_the_messages(wire: bytes, data: st.DataObject, limit: int, hold: int) -> None:
    places = data.draw(st.lists(st.integers(0, len(wire)), max_size=8))
    whole = decode([wire], limit=limit)
    with mock.patch.object(decoder_file, "_HOLD", hold):
        assert decode(cut(wire, places), limit=limit) == whole
        assert decode(drip(wire), limit=limit) == whole


@given(wire=WIRES, limit=LIMITS)
def test_the_fast_path_and_the_exact_path_agree(wire: bytes, limit: int) -> None:
    assert decode([wire], limit=limit) == decode([wire], limit=limit, names=NO_NAMES)


def by_the_book(wire: bytes) -> Outcome:
    """The standard's own words, over the whole text: slow, and nothing clever."""
    text = wire.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    messages: list[tuple[str, bytes, str]] = []
    event, data, id, last_id, retry = b"", b"", b"", b"", None
    for line in text.split(b"\n")[:-1]:
        if not line:
            last_id = id
            if data:
                messages.append(
                    (event.decode("utf-8", "replace") or "message", data[:-1], last_id.decode("utf-8", "replace"))
                )
            event, data = b"", b""
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data += value + b"\n"
        elif name == b"event":
            event = value
        elif name == b"id" and b"\0" not in value:
            id = value
        elif name == b"retry" and value and all(digit in b"0123456789" for digit in value):
            retry = int(value)
    return Outcome(messages, failed=False, retry=retry, last_event_id=last_id.decode("utf-8", "replace"))


@given(wire=WIRES)
def test_the_decoder_goes_by_the_book(wire: bytes) -> None:
    assert decode([wire]) == by_the_book(wire)


# -- the way out -------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)


@given(
    data=st.binary(max_size=60), event=st.none() | NAMES, id=st.none() | NAMES, retry=st.none() | st.integers(0, 10**9)
)
def test_what_is_encoded_decodes_to_the_same(data: bytes, event: str | None, id: str | None, retry: int | None) -> None:
    got = decode([encode(data, event=event, id=id, retry=retry)])
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert got == Outcome([(event or "message", lines, id or "")], failed=False, retry=retry, last_event_id=id or "")


def test_a_message_is_written_in_the_canonical_order() -> None:
    wire = encode("a\r\nb\rc", event="tide", id="7", retry=20)
    assert wire == b"event: tide\nid: 7\nretry: 20\ndata: a\ndata: b\ndata: c\n\n"


@pytest.mark.parametrize("char", ["\r", "\n", "\0"])
@pytest.mark.parametrize("field", ["event", "id"])
def test_a_name_or_id_that_could_forge_a_message_is_refused(field: str, char: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        encode("x", event=f"a{char}b") if field == "event" else encode("x", id=f"a{char}b")
    assert caught.value.argument == field


def test_a_negative_retry_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        encode("x", retry=-1)
    assert caught.value.argument == "retry"
