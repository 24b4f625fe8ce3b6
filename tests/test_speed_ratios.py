"""What a layer costs beside the one below it, as ratios within one run, and what an open stream holds, in counted bytes.

`test_speed_guard.py` counts calls: a loop in a line of Python, or one call into C that works long, escapes it.
The margins are wide, so that no machine's speed or load is in them.
"""

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from test_speed_guard import decode, least, read_helper, read_raw

from aiorunstream import AssistantStream, RunStream, StreamCall
from benchmarks.helper import _opened
from benchmarks.races import OURS, WIRE
from benchmarks.relay import _again, _pass_on
from benchmarks.relay_sides import _frames
from benchmarks.serving import byte_server
from benchmarks.sides import _msgspec_floor
from benchmarks.turns import Sides
from benchmarks.workloads import workload

pytestmark = pytest.mark.skipif(sys.gettrace() is not None, reason="nobody may trace what is timed")

EVENTS = 20_000
KEY = f"token-deltas:{EVENTS}"
STREAMS = 200


def floor() -> None:
    _msgspec_floor(KEY, None)


def decoding() -> None:
    decode(workload(KEY).chunks)


def raw() -> None:
    read_raw(EVENTS)


def helper() -> None:
    read_helper(EVENTS)


@pytest.mark.parametrize(("layer", "below", "most"), [(decoding, floor, 2.5), (raw, decoding, 2.5), (helper, raw, 2.5)])
def test_a_layer_costs_little_beside_the_one_below(
    layer: Callable[[], None], below: Callable[[], None], most: float
) -> None:
    assert any(least(layer) <= most * least(below) for _ in range(3))


def test_passing_an_event_on_costs_little_beside_decoding_and_encoding_it() -> None:
    frames = _frames(KEY)
    assert any(3 * least(lambda: _pass_on(frames)) <= least(lambda: _again(frames)) for _ in range(3))


def test_a_stream_from_a_socket_costs_little_beside_its_bytes_and_a_stream_in_memory() -> None:
    with byte_server() as served, Sides(served) as sides:

        def holds() -> bool:
            measured = sides.in_turns([OURS, WIRE, "raw in memory"], "token-deltas:10000", rounds=5, seconds=0.0)
            ours, thrown_away, in_memory = (min(one.cpu) for one in measured)
            return ours <= 1.6 * (thrown_away + in_memory)

        assert any(holds() for _ in range(3))


def raw_stream() -> StreamCall[RunStream]:
    return StreamCall(_opened("one-by-one:10"))


def helped_stream() -> AssistantStream:
    return AssistantStream(raw_stream())


async def held(made: Callable[[], StreamCall[RunStream] | AssistantStream]) -> float:
    """The bytes that an open stream holds once it has been read from."""
    async with AsyncExitStack() as stack:

        async def opened() -> None:
            stream = await stack.enter_async_context(made())
            await anext(stream)

        await opened()  # what is made at first use
        tracemalloc.start()
        try:
            for _ in range(STREAMS):
                await opened()
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / STREAMS
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(("made", "most"), [(raw_stream, 5_500), (helped_stream, 7_000)])
def test_an_open_stream_holds_little(made: Callable[[], StreamCall[RunStream] | AssistantStream], most: int) -> None:
    assert asyncio.run(held(made)) <= most
