"""The helper beside the raw stream it goes around, over the same bytes in memory."""

import asyncio
from collections.abc import Mapping

from aiorunstream import AssistantStream, RunProtocol, RunStream, StreamCall

from .workloads import Workload


class _Body:
    """An answer that is all there."""

    status = 200
    clean_close: bool | None = None

    def __init__(self, workload: Workload) -> None:
        self.headers: Mapping[str, str] = {}
        self._chunks = iter(workload.chunks)

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


async def _opened(workload: Workload) -> RunStream:
    return RunStream(_Body(workload), RunProtocol())


def read_raw(workload: Workload) -> None:
    """Every event of a raw stream."""

    async def read() -> int:
        events = 0
        async with await _opened(workload) as stream:
            async for _ in stream:
                events += 1
        return events

    assert asyncio.run(read()) == workload.events


def read_helper(workload: Workload) -> None:
    """Every event of the helper, and what they come to."""

    async def read() -> tuple[int, str]:
        events = 0
        async with AssistantStream(StreamCall(_opened(workload))) as stream:
            async for _ in stream:
                events += 1
        return events, stream.text

    assert asyncio.run(read()) == (workload.events, workload.text)
