"""Fault scenarios 45 to 56: the connection holds, and what comes through it is wrong, too much, or too deep."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager

from conftest import LONG
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    EVENT_STREAM,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    Script,
    answer,
    answering,
    chunk,
    client_of,
    delta_event,
    event,
    events_of,
    in_thread,
    run_json,
    start,
    stream_answer,
)
from scenario_children import deep_payloads, hold_depth
from scenarios import child, fails, in_turn, says, scene

from aiorunstream import (
    EventTooDeepError,
    EventTooLargeError,
    Limits,
    RunEvent,
    RunStreamError,
    StreamProtocolError,
    StreamTimeoutError,
    ThreadMessageDelta,
    ThreadRunCreated,
    Timeouts,
    UnknownEvent,
)

BEGUN = STREAM_HEAD + chunk(CREATED)
MIB = 1024 * 1024
MUCH = 1024 * MIB if LONG else 64 * MIB
"""How much a server sends that never comes to a point."""


def texts(events: list[RunEvent]) -> list[str]:
    return [item.data.text for item in events if isinstance(item, ThreadMessageDelta)]


# -- events ------------------------------------------------------------------------------------------------------------


async def test_45_error_event() -> None:
    said = {"message": "so sorry", "code": "rate_limit", "type": "server_error", "param": None}
    errors = [event("error", said), event("error", {"error": said}), event(None, {"error": said})]
    script = in_turn(*(says(BEGUN + chunk(DELTA + error), end="open") for error in errors))
    async with scene(script, posts=3) as at:
        for _ in errors:
            error = await fails(at, RunStreamError, run="run_raw", events=2)
            assert (error.message, error.code, error.type) == ("so sorry", "rate_limit", "server_error")


async def test_46_unknown_event() -> None:
    later = {**run_json("pondering"), "mood": {"new": [1]}}
    script = answering(
        stream_answer(CREATED, event("thread.run.pondering", later), event("thread.weather", {"sun": True}), COMPLETED)
    )
    async with scene(script, connection="pooled") as at, start(at.client) as stream:
        found = await events_of(stream)
        assert [item.event for item in found if isinstance(item, UnknownEvent)] == [
            "thread.run.pondering",
            "thread.weather",
        ]
        assert (stream.run_id, stream.outcome, len(found)) == ("run_raw", "completed", 4)


async def test_47_bad_json() -> None:
    bad = event("thread.message.delta", b'{"id": "msg_raw", "delta": {"content": "sec ret",}}')
    async with scene(says(BEGUN + chunk(DELTA + bad + COMPLETED), end="open")) as at:
        error = await fails(at, StreamProtocolError, run="run_raw", events=2)
        assert "thread.message.delta" in str(error)
        assert "sec ret" not in str(error)


async def test_48_deep_json(anyio_backend: tuple[str, dict[str, bool]]) -> None:
    payloads = list(deep_payloads())
    script = in_turn(*(says(BEGUN + chunk(event(name, payload)), end="open") for name, payload in payloads))
    async with scene(script, posts=len(payloads)) as at:
        for _ in payloads:
            error = await fails(at, EventTooDeepError, within=1.0, run="run_raw", events=1)
            assert error.limit == 128
    assert await child(hold_depth, anyio_backend) == (0, "held\n", "")


# -- text --------------------------------------------------------------------------------------------------------------


def delta_of(value: bytes) -> bytes:
    return delta_event("MARK").replace(b"MARK", value)


async def test_49_lone_surrogate() -> None:
    script = answering(stream_answer(CREATED, delta_of(rb"a\ud83d"), delta_of(rb"\ud83d\ude00"), COMPLETED))
    async with scene(script, connection="pooled") as at, start(at.client) as stream:
        assert texts(await events_of(stream)) == ["a�", "\U0001f600"]
        assert stream.outcome == "completed"


async def test_50_invalid_utf8() -> None:
    whole = delta_of("\U0001f600".encode())
    place = whole.index(b"\xf0") + 2
    script = says(
        BEGUN, chunk(delta_of(b"a\xffb")), chunk(whole[:place]), 0.02, chunk(whole[place:]), chunk(COMPLETED), LAST_CHUNK,
        end="open",
    )  # fmt: skip
    async with scene(script, connection="pooled") as at, start(at.client) as stream:
        assert texts(await events_of(stream)) == ["a�b", "\U0001f600"]
        assert stream.outcome == "completed"


# -- size --------------------------------------------------------------------------------------------------------------


def floods(begins: bytes, piece: bytes, sent: list[int]) -> Script:
    """Sends the piece until it is much, or the client has left, and then nothing; `sent` gets how many bytes each time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(BEGUN, chunk(begins))
        wire = chunk(piece) * (MIB // len(piece) // 8)
        while sum(sent) < MUCH and peer.closed_at is None:
            await peer.send(wire)
            await asyncio.sleep(0)
            sent.append(MIB // 8)
        await peer.closed()

    return script


@contextmanager
def memory_within(limit: int) -> Generator[None, None, None]:
    """Fails where the block makes Python hold more than that at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"held {peak} bytes"


async def too_large(begins: bytes, piece: bytes) -> None:
    sent: list[int] = []
    async with scene(floods(begins, piece, sent), limits=Limits(max_event_bytes=MIB)) as at:
        with memory_within(2 * MIB):
            error = await fails(at, EventTooLargeError, within=5, run="run_raw", events=1)
        assert error.limit == MIB
        assert sum(sent) < 4 * MIB


async def test_51_endless_line() -> None:
    await too_large(b"data: ", b"x" * 4096)


async def test_52_endless_block() -> None:
    await too_large(b":\n", b"data: " + b"x" * 57 + b"\n")


async def test_53_endless_comment() -> None:
    sent: list[int] = []
    clocks = Timeouts(idle=2 if LONG else 0.5)
    async with scene(floods(b": ", b"x" * 4096, sent), timeouts=clocks) as at:
        with memory_within(MIB):
            error = await fails(at, StreamTimeoutError, within=MUCH / MIB, run="run_raw", events=1)
        assert error.clock == "idle"
        assert sum(sent) >= MUCH


async def test_53_endless_comment_against_the_progress_clock() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(BEGUN, chunk(b": "))
        wire, began = chunk(b"x" * 4096) * 256, time.monotonic()
        while peer.closed_at is None and time.monotonic() - began < 2:
            await peer.send(wire)
            await asyncio.sleep(0)  # sending to a client that has gone does not wait
        await peer.closed()

    for _ in range(4):  # now and then it is in time
        async with scene(script, timeouts=Timeouts(progress=0.3)) as at:
            error = await fails(at, StreamTimeoutError, within=1.2, run="run_raw", events=1)  # parsing does not count
            assert error.clock == "progress"


async def test_54_gzip_unasked() -> None:
    def encoded(how: str, body: bytes) -> bytes:
        return answer(200, body, {**EVENT_STREAM, "Content-Encoding": how})

    body = CREATED + COMPLETED
    bomb = gzip.compress(b"data: " + b"x" * (200 * MIB if LONG else 20 * MIB))
    script = answering(*(encoded(how, gzip.compress(body)) for how in ("gzip", "br", "zstd")), encoded("gzip", bomb))
    async with scene(script, posts=4, connection="any") as at:  # a large bomb is cut, a small one drained
        with memory_within(MIB):
            for _ in range(4):
                await fails(at, StreamProtocolError)


# -- pace --------------------------------------------------------------------------------------------------------------


async def test_55_tiny_chunks() -> None:
    many = 200_000
    wire = event("thread.run.created", {**run_json(), "instructions": "x" * many})
    body = b"".join(chunk(wire[place : place + 1]) for place in range(len(wire)))
    used: list[float] = []  # processor time, since a busy machine makes gaps too

    async def watch() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            used.append(time.thread_time() - began)

    with in_thread(answering(STREAM_HEAD + body + chunk(COMPLETED) + LAST_CHUNK)) as server:
        async with client_of(server) as client, start(client) as stream:
            watcher = asyncio.create_task(watch())
            first, *_ = await events_of(stream)
            watcher.cancel()
    assert isinstance(first, ThreadRunCreated)
    assert first.data.instructions == "x" * many
    held = [seconds for seconds in used if seconds > 0.001]  # the turns in which chunks were read
    assert max(held) < sum(held) / 2  # no turn has most of them: the loop got its turns in between
    print(f"{max(held) * 1000:.1f} ms, at most, in one turn of {len(held)}")


async def test_56_slow_consumer() -> None:
    many = 4000

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(BEGUN)
        for number in range(many):
            await peer.send(chunk(delta_event(f"{number:04}" + "x" * 900)))
        await peer.send(chunk(COMPLETED), LAST_CHUNK)
        await peer.closed()

    clocks = Timeouts(first_event=0.2, idle=0.2, progress=0.2)
    async with scene(script, connection="pooled", timeouts=clocks) as at, start(at.client) as stream:
        await anext(stream)
        await asyncio.sleep(0.6)  # thrice any clock
        held: int = stream._body._content._size  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        assert 0 < held < 100_000
        found = texts(await events_of(stream))
        assert [text[:4] for text in found] == [f"{number:04}" for number in range(many)]
