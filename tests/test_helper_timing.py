"""The times of a helper stream on a clock that the test turns, and the figures that they come to."""

import pytest

from aiorunstream.helper import _timing
from aiorunstream.helper._timing import Timing
from aiorunstream.models import Run, Usage

USAGE = Usage(prompt_tokens=10, completion_tokens=30, total_tokens=40)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def pass_by(self, seconds: float) -> str:
        self.now += seconds
        return "done"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_timing, "_now", clock)
    return clock


async def test_the_time_in_which_tools_were_called_does_not_count_as_the_models(clock: Clock) -> None:
    timing = Timing()
    timing.enter()
    await clock.pass_by(2)
    timing.say()
    assert await timing.of_tools(clock.pass_by(7)) == "done"
    assert timing.tokens_per_second(USAGE) is None, "it goes on"
    await clock.pass_by(4)
    timing.end()
    assert timing.time_to_first_token == 2
    assert timing.tokens_per_second(USAGE) == 30 / (2 + 4)
    assert timing.tokens_per_second(None) is None


async def test_the_time_of_tools_that_failed_is_counted_too(clock: Clock) -> None:
    timing = Timing()
    timing.enter()

    async def fails() -> None:
        await clock.pass_by(7)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await timing.of_tools(fails())
    await clock.pass_by(3)
    timing.end()
    assert timing.tokens_per_second(USAGE) == 10


async def test_a_run_without_a_clock_of_its_server_expires_from_when_it_began_and_not_from_its_last_stream(
    clock: Clock,
) -> None:
    timing = Timing()
    timing.enter()
    await clock.pass_by(1)
    timing.open()
    timing.begin_run()
    await clock.pass_by(50)
    timing.open()
    run = Run("run_1", created_at=1600, expires_at=1660)
    assert timing.expiry(run, {}) == 101 + 60 - 1
    shown = {"date": "Thu, 01 Jan 1970 00:27:10 GMT"}  # 1630
    assert timing.expiry(run, shown) == 151 + 30 - 1
