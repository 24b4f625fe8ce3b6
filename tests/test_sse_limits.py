"""The SSE decoder's limit: what counts, that it is final, and what a hostile stream costs in memory and work."""

import time
import tracemalloc

import pytest

from aiorunstream.errors import EventTooLargeError, StreamProtocolError
from aiorunstream.events import EVENT_LINES
from aiorunstream.sse import SSEDecoder

KIB = 1024


@pytest.mark.parametrize("drip", [False, True], ids=["one-read", "byte-by-byte"])
@pytest.mark.parametrize(
    ("block", "size"),
    [
        pytest.param(b"data: 12345\n\n", 5, id="data"),
        pytest.param(b"data: 12\ndata: 34\n\n", 5, id="data-lines-with-their-joint"),
        pytest.param(b"data\ndata\ndata\n\n", 2, id="joints-of-empty-lines"),
        pytest.param(b"event: abc\ndata: 12\n\n", 5, id="name-and-data"),
        pytest.param(b"data: 12\nid: abc\n\n", 5, id="data-and-id"),
        pytest.param(b"id: 7\nevent: ab\ndata: 12\n\n", 5, id="all-three"),
        pytest.param(b"event: thread.run.created\ndata: {}\n\n", 20, id="the-usual-frame"),
        pytest.param(b": " + b"c" * 500 + b"\nother: " + b"o" * 500 + b"\ndata: 1\n\n", 1, id="comments-are-free"),
    ],
)
def test_the_limit_counts_the_values_of_an_event(block: bytes, size: int, *, drip: bool) -> None:
    chunks = [bytes([byte]) for byte in block] if drip else [block]
    for limit, passes in ((size, True), (size - 1, False)):
        if limit == 0:
            continue
        decoder = SSEDecoder(max_event_bytes=limit, names=EVENT_LINES)
        messages = [message for chunk in chunks if not decoder.failed for message in decoder.feed(chunk)]
        assert (len(messages), decoder.failed) == (int(passes), not passes)


def test_an_id_is_paid_for_once() -> None:
    decoder = SSEDecoder(max_event_bytes=5)
    assert len(decoder.feed(b"id: 123\ndata: 45\n\ndata: 12345\n\n")) == 2
    assert not decoder.failed


def test_messages_before_the_large_one_come_out_then_the_failure_is_final() -> None:
    decoder = SSEDecoder(max_event_bytes=9)
    first = decoder.feed(b"data: 1\n\ndata: 2\n\ndata: " + b"x" * 10 + b"\n\ndata: 4\n\n")
    assert [message.data for message in first] == [b"1", b"2"]
    assert decoder.failed
    caught: list[EventTooLargeError] = []
    for act in (lambda: decoder.feed(b"data: 5\n\n"), decoder.end, lambda: decoder.feed(b"")):
        with pytest.raises(EventTooLargeError) as error:
            act()
        caught.append(error.value)
    assert isinstance(caught[0], StreamProtocolError)
    assert [error.limit for error in caught] == [9, 9, 9]
    assert len({str(error) for error in caught}) == 1
    assert caught[0] is not caught[1]


def test_a_large_event_fails_before_its_line_is_over() -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    decoder.feed(b"data: " + b"x" * 1000)
    assert not decoder.failed
    decoder.feed(b"x")
    assert decoder.failed


CHUNK = 4 * KIB
LIMIT = 512 * KIB
ENDLESS = {
    "a-data-line": (b"data: ", b"x" * CHUNK),
    "a-name": (b"event: ", b"x" * CHUNK),
    "an-id": (b"id: ", b"x" * CHUNK),
    "a-retry": (b"retry: ", b"9" * CHUNK),
    "a-comment": (b": ", b"x" * CHUNK),
    "an-unknown-field": (b"other: ", b"x" * CHUNK),
    "a-field-name": (b"", b"x" * CHUNK),
    "blank-lines": (b"", b"\n" * CHUNK),
    "comments": (b"", b": ping\n" * (CHUNK // 7)),
    "names": (b"", b"event: ab\n" * (CHUNK // 10)),
    "ids": (b"", b"id: ab\n" * (CHUNK // 7)),
    "long-data-lines": (b"", b"data: " + b"x" * (CHUNK - 7) + b"\n"),
    "short-data-lines": (b"", b"data: ab\n" * (CHUNK // 9)),
    "empty-data-lines": (b"", b"data\n" * (CHUNK // 5)),
    "carriage-returns": (b"data: ", b"x\r" * (CHUNK // 2)),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_stream_holds_no_more_than_the_limit(kind: str) -> None:
    start, chunk = ENDLESS[kind]
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        decoder.feed(start)
        for _ in range(3 * LIMIT // CHUNK):
            if not decoder.failed:
                decoder.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One read more: cutting it into lines and joining it with what was held makes short-lived copies of it.
    assert peak - before <= LIMIT + 64 * KIB + 16 * CHUNK


def _cost(size: int, read: int) -> float:
    wire = b"event: thread.message.delta\ndata: " + b"x" * size + b"\n\n"
    reads = [wire[place : place + read] for place in range(0, len(wire), read)]
    decoder = SSEDecoder(names=EVENT_LINES)
    started = time.thread_time()
    messages = [message for chunk in reads for message in decoder.feed(chunk)]
    spent = time.thread_time() - started
    assert len(messages) == 1
    assert len(messages[0].data) == size
    return spent


def test_what_a_read_costs_does_not_go_by_how_much_of_its_event_came_before() -> None:
    small, large = (min(_cost(size, 4096) for _ in range(5)) for size in (128 * KIB, 8 << 20))
    # 64 times the bytes. Searching or copying anew what is held, at each read, would make it 1,000 times and more.
    assert large <= 64 * 4 * small


def test_a_large_read_fails_at_the_limit_and_gives_what_came_before() -> None:
    decoder = SSEDecoder(max_event_bytes=5 * KIB)
    found = decoder.feed(b"data: 1\n\ndata: " + b"x" * (40 * KIB))
    assert [message.data for message in found] == [b"1"]
    assert decoder.failed
