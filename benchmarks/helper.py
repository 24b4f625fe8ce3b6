"""The helper, and the raw stream it goes around, over bytes that are in memory: what they cost without a connection."""

from collections.abc import Mapping

from aiorunstream import AssistantStream, RunProtocol, RunStream, StreamCall, ThreadMessageDelta

from .workloads import Workload, workload


class _Body:
    """An answer that is all there."""

    status = 200
    clean_close: bool | None = None

    def __init__(self, given: Workload) -> None:
        self.headers: Mapping[str, str] = {}
        self._chunks = iter(given.chunks)

    async def read(self) -> bytes:
        return next(self._chunks, b"")

    def progressed(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def abandon(self) -> None:
        pass

    def release(self) -> None:
        pass


async def _opened(thread: str) -> RunStream:
    return RunStream(_Body(workload(thread)), RunProtocol())


async def raw(thread: str, words: list[str] | None) -> int:
    """Reads every event of a raw stream."""
    events = 0
    async with await _opened(thread) as stream:
        async for event in stream:
            events += 1
            if words is not None and isinstance(event, ThreadMessageDelta):
                words.append(event.data.text)
    return events


async def helper(thread: str, words: list[str] | None) -> int:
    """Reads every event of the helper, and what they come to."""
    events = 0
    async with AssistantStream(StreamCall(_opened(thread))) as stream:
        async for _ in stream:
            events += 1
        assert stream.text
        if words is not None:
            words.append(stream.text)
    return events
