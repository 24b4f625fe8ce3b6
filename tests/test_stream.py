"""`RunStream` and `StreamCall` in the hands of their reader, mostly over bytes in memory; leaving is tested over sockets in
test_stream_leaving.py."""

import asyncio
import copy
import gc
import pickle
import warnings
from collections.abc import Mapping

import pytest
from raw_server import (
    COMPLETED,
    CREATED,
    DELTA,
    DONE,
    RUN_STREAM,
    event,
    events_of,
    run_json,
)

from aiorunstream import (
    ErrorEvent,
    RunProtocol,
    RunStream,
    RunStreamError,
    StreamBusyError,
    StreamClosedError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTruncatedError,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunCreated,
)
from aiorunstream.stream._no_body import NoBody


class Bytes:
    """A body in memory. A None among the pieces is a read that waits until the body is aborted; an error is raised."""

    status = 200
    headers: Mapping[str, str] = {"x-request-id": "req_memory"}

    def __init__(self, *pieces: bytes | StreamError | None) -> None:
        self.clean_close: bool | None = None
        self.left = list(pieces)
        self.calls: list[str] = []
        self.reads = 0
        self._aborted = asyncio.Event()

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        piece = self.left[0] if self.left else b""
        if self._aborted.is_set() and not isinstance(piece, StreamError):
            raise StreamClosedError("the stream was closed")
        if piece is None:
            await self._aborted.wait()
            raise StreamClosedError("the stream was closed")
        if isinstance(piece, StreamError):
            raise copy.copy(piece)
        if self.left:
            self.left.pop(0)
        return piece

    def progressed(self) -> None:
        self.calls.append("progressed")

    def abort(self) -> None:
        self.calls.append("abort")
        self._aborted.set()

    def abandon(self) -> None:
        self.calls.append("abandon")

    def release(self) -> None:
        self.calls.append("release")
        self.clean_close = True

    @property
    def ended(self) -> list[str]:
        return [call for call in self.calls if call != "progressed"]


def stream_over(body: Bytes, *, yield_errors: bool = False) -> RunStream:
    protocol = RunProtocol(on_error_event="yield" if yield_errors else "raise")
    return RunStream(body, protocol, thread_id="thread_asked")


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
async def test_the_events_do_not_depend_on_how_the_bytes_are_chopped(size: int) -> None:
    wire = b"".join(RUN_STREAM)
    body = Bytes(*(wire[at : at + size] for at in range(0, len(wire), size)))
    async with stream_over(body) as stream:
        kinds = [type(item) for item in await events_of(stream)]
    assert kinds == [ThreadRunCreated, ThreadMessageDelta, ThreadMessageDelta, ThreadRunCompleted]
    assert body.ended == ["release"]


async def test_iteration_stops_right_after_the_stopping_event_and_reads_no_more() -> None:
    body = Bytes(CREATED + COMPLETED, None)
    stream = stream_over(body)
    assert len(await events_of(stream)) == 2
    assert body.reads == 1
    assert body.ended == ["release"]


async def test_the_facts_are_right_before_during_and_after() -> None:
    body = Bytes(CREATED, DELTA, COMPLETED + DONE)
    stream = stream_over(body)
    assert (stream.thread_id, stream.run_id, stream.run, stream.outcome) == ("thread_asked", None, None, None)
    assert (stream.status_code, stream.request_id, stream.last_event, stream.events_seen) == (
        200,
        "req_memory",
        None,
        0,
    )
    await anext(stream)
    assert stream.run is not None
    assert (stream.thread_id, stream.run_id, stream.run.status) == ("thread_raw", "run_raw", "queued")
    await anext(stream)
    assert (stream.last_event, stream.events_seen, stream.outcome) == ("thread.message.delta", 2, None)
    known_early = stream.clean_close
    await anext(stream)
    assert (stream.last_event, stream.events_seen, stream.outcome) == ("thread.run.completed", 3, "completed")
    assert stream.run.is_terminal
    assert (known_early, stream.clean_close) == (None, True)
    assert stream.headers["x-request-id"] == "req_memory"


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled", "expired", "requires_action"])
async def test_each_stopping_event_is_a_good_end_with_its_outcome(status: str) -> None:
    body = Bytes(CREATED + event(f"thread.run.{status}", run_json(status)) + DELTA)
    async with stream_over(body) as stream:
        assert len(await events_of(stream)) == 2
    assert stream.outcome == status
    for _ in range(3):
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert body.ended == ["release"]


ENDS: dict[str, tuple[list[bytes | StreamError | None], type[StreamError]]] = {
    "end of body": ([CREATED, DELTA], StreamTruncatedError),
    "done and no stop": ([CREATED, DELTA, DONE], StreamTruncatedError),
    "error event": ([CREATED, DELTA, event("error", {"code": "broken", "message": "so sorry"})], RunStreamError),
    "broken JSON": ([CREATED, DELTA, event("thread.run.queued", b"{")], StreamProtocolError),
    "connection": ([CREATED, DELTA, StreamInterruptedError("gone", reason="X", errno=104)], StreamInterruptedError),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("together", [False, True], ids=["reads apart", "one read"])
async def test_every_bad_end_is_raised_after_all_events_and_again_with_the_facts(end: str, *, together: bool) -> None:
    pieces, kind = ENDS[end]
    if together:
        wire = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        pieces = [wire, *(piece for piece in pieces if not isinstance(piece, bytes))]
    body = Bytes(*pieces)
    stream = stream_over(body)
    found: list[StreamError] = []
    seen = 0
    for _ in range(3):
        try:
            async for _ in stream:
                seen += 1
        except StreamError as error:
            found.append(error)
    assert seen == 2
    assert [type(error) for error in found] == [kind] * 3
    assert len({str(error) for error in found}) == 1
    assert len({id(error) for error in found}) == 3
    for raised in found:
        facts = (raised.thread_id, raised.run_id, raised.run_status, raised.request_id, raised.status_code)
        assert facts == ("thread_raw", "run_raw", "queued", "req_memory", 200)
        assert (raised.last_event, raised.events_seen, raised.outcome) == ("thread.message.delta", 2, None)
        again = pickle.loads(pickle.dumps(raised))
        assert type(again) is kind
        assert vars(again) == vars(raised)
        assert getattr(raised, "done_seen", None) in (None, end == "done and no stop")
    assert body.ended == ["abort"]
    await stream.aclose()
    with pytest.raises(kind):
        await anext(stream)


async def test_a_body_that_is_not_there_ends_as_an_empty_one_does() -> None:
    with pytest.raises(StreamTruncatedError):
        await events_of(RunStream(NoBody(), RunProtocol()))


async def test_an_error_event_can_be_had_as_an_event() -> None:
    wire = CREATED + event("error", {"error": {"code": 7, "message": "so sorry"}}) + COMPLETED
    async with stream_over(Bytes(wire), yield_errors=True) as stream:
        found = await events_of(stream)
    assert isinstance(found[1], ErrorEvent)
    assert stream.outcome == "completed"


async def test_progress_is_told_once_for_the_events_of_a_read() -> None:
    body = Bytes(CREATED + DELTA + DELTA, b": only a comment\n\n", DELTA, COMPLETED)
    await events_of(stream_over(body))
    assert body.calls == ["progressed", "progressed", "release"]


# -- readers -----------------------------------------------------------------------------------------------------------


async def test_a_second_reader_is_refused_and_the_first_goes_on() -> None:
    body = Bytes(CREATED, None)
    stream = stream_over(body)
    await anext(stream)
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    for _ in range(2):
        with pytest.raises(StreamBusyError):
            await anext(stream)
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])
    body.left[:] = [DELTA, COMPLETED]
    assert len(await events_of(stream)) == 2


async def test_a_cancelled_read_loses_nothing() -> None:
    wire = b"".join(RUN_STREAM)
    body = Bytes(*(wire[at : at + 11] for at in range(0, len(wire), 11)))
    stream = stream_over(body)
    found: list[object] = []
    steps = 0
    while True:
        task = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        steps += 1
        if steps % 2:
            task.cancel()
        try:
            found.append(await task)
        except asyncio.CancelledError:
            continue
        except StopAsyncIteration:
            break
    assert [type(item).__name__ for item in found] == [
        "ThreadRunCreated",
        "ThreadMessageDelta",
        "ThreadMessageDelta",
        "ThreadRunCompleted",
    ]


async def test_what_is_here_already_can_be_taken_without_waiting_and_nothing_is_lost() -> None:
    body = Bytes(CREATED + DELTA, DELTA + COMPLETED + DONE, None)
    stream = stream_over(body)
    assert stream.next_nowait() is None  # nothing was read yet
    together: list[list[type]] = []
    async for item in stream:
        together.append([type(item)])
        while (more := stream.next_nowait()) is not None:
            together[-1].append(type(more))
    assert together == [[ThreadRunCreated, ThreadMessageDelta], [ThreadMessageDelta, ThreadRunCompleted]]
    assert (body.reads, body.ended, stream.outcome) == (2, ["release"], "completed")
    assert stream.next_nowait() is None


async def test_an_error_that_is_here_already_is_raised_without_waiting_and_is_final() -> None:
    body = Bytes(CREATED + event("error", b'{"message": "no", "code": "server_error"}'), None)
    stream = stream_over(body)
    await anext(stream)
    for _ in range(2):
        with pytest.raises(RunStreamError) as caught:
            stream.next_nowait()
        assert (caught.value.run_id, caught.value.events_seen) == ("run_raw", 1)
    assert body.ended == ["abort"]


async def test_events_and_frames_exclude_each_other() -> None:
    stream = stream_over(Bytes(CREATED, DELTA, COMPLETED))
    await anext(stream)
    with pytest.raises(StreamBusyError):
        stream.frames()
    await stream.aclose()
    other = stream_over(Bytes(CREATED, DELTA, COMPLETED))
    frames = other.frames()
    with pytest.raises(StreamBusyError):
        async for _ in other:
            pass
    with pytest.raises(StreamBusyError):
        await anext(other)
    assert len([frame async for frame in frames]) == 3


async def test_an_event_asked_for_among_the_frames_of_one_read_is_refused_too() -> None:
    stream = stream_over(Bytes(CREATED + DELTA + COMPLETED))
    frames = stream.frames()
    async with stream:
        await anext(frames)
        with pytest.raises(StreamBusyError):
            await anext(stream)
        assert [frame.event async for frame in frames] == ["thread.message.delta", "thread.run.completed"]


async def test_frames_are_the_bytes_of_the_wire_and_end_and_fail_as_events_do() -> None:
    stream = stream_over(Bytes(*RUN_STREAM))
    assert b"".join([event(frame.event, frame.data) async for frame in stream.frames()]) == b"".join(RUN_STREAM[:4])
    assert stream.outcome == "completed"
    broken = stream_over(Bytes(CREATED)).frames()
    assert (await anext(broken)).event == "thread.run.created"
    for _ in range(2):
        with pytest.raises(StreamTruncatedError):
            await anext(broken)


# -- closing -----------------------------------------------------------------------------------------------------------


async def test_closing_while_a_read_waits_wakes_the_reader_and_stays_closed() -> None:
    body = Bytes(CREATED, None)
    stream = stream_over(body)
    await anext(stream)
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    await stream.aclose()
    await stream.close()
    with pytest.raises(StreamClosedError) as caught:
        await reader
    assert caught.value.run_id == "run_raw"
    for _ in range(2):
        with pytest.raises(StreamClosedError) as caught:
            await anext(stream)
        assert caught.value.events_seen == 1
    assert body.ended == ["abort"]


async def test_events_that_lie_ready_are_not_handed_out_after_closing() -> None:
    stream = stream_over(Bytes(CREATED + DELTA + COMPLETED))
    await anext(stream)
    await stream.aclose()
    with pytest.raises(StreamClosedError):
        await anext(stream)


async def test_a_dropped_open_stream_warns_and_a_finished_one_does_not() -> None:
    body = Bytes(CREATED, None)
    stream = stream_over(body)
    await anext(stream)
    with pytest.warns(ResourceWarning, match="run_raw"):
        del stream
    assert body.ended == ["abandon"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await events_of(stream_over(Bytes(COMPLETED)))
        closed = stream_over(Bytes(None))
        await closed.aclose()
        del closed
        gc.collect()


async def test_where_warnings_are_errors_a_dropped_stream_still_gives_its_socket_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", complaints.append)
    body = Bytes(None)
    stream = stream_over(body)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        del stream
        gc.collect()
    assert body.ended == ["abandon"]
