"""`python -m benchmarks.child SIDE BASE_URL`: one side in a process of its own, which does what it is told, line by line.

A line of JSON says what to read and how often; it is answered with a line of JSON: how much there was and what it cost.
"""

import asyncio
import hashlib
import sys
import time

import msgspec

from .sides import RELAY, SIDES, Side


class Order(msgspec.Struct, frozen=True):
    """What to do: read the run on a thread so often; `check` asks for the text, `late` for how late each piece of it was."""

    thread: str
    times: int = 1
    check: bool = False
    late: bool = False


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it came to: events (or bytes), the SHA-256 of the text, seconds of CPU and on the clock, nanoseconds."""

    counted: int
    cpu: float
    wall: float
    digest: str = ""
    late: tuple[int, ...] = ()


class _Clocked(list[str]):
    """Takes pieces of text that say when they were sent, and keeps how late each was."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[int] = []

    def append(self, text: str, /) -> None:
        self.late.append(time.monotonic_ns() - int(text))


def side_of(name: str) -> Side:
    """A side by its name. Other people's clients are loaded only where one is asked for."""
    if name in SIDES:
        return SIDES[name]
    if name in RELAY:
        from .relay_sides import RELAY_SIDES  # noqa: PLC0415

        return RELAY_SIDES[name]
    from .peers import PEERS  # noqa: PLC0415

    return PEERS[name]


async def obey(side: Side, base_url: str) -> None:
    """Does what the lines of the input say, until they end."""
    async with side(base_url) as read:
        # Nothing else runs in this loop between two readings, so it may as well stand still.
        for line in sys.stdin:
            order = msgspec.json.decode(line, type=Order)
            clocked = _Clocked()
            words: list[str] | None = [] if order.check else None
            if order.late:
                words = clocked
            counted, wall, cpu = 0, time.monotonic(), time.process_time()
            for _ in range(order.times):
                counted += await read(order.thread, words)
            cpu, wall = time.process_time() - cpu, time.monotonic() - wall
            digest = hashlib.sha256("".join(words or ()).encode()).hexdigest() if order.check else ""
            print(msgspec.json.encode(Told(counted, cpu, wall, digest, tuple(clocked.late))).decode(), flush=True)


if __name__ == "__main__":
    name, base_url = sys.argv[1:]
    asyncio.run(obey(side_of(name), base_url))
