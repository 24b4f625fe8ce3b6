"""Thousands of streams that go wrong at random, many at once; at the end nothing may be left, and no run made twice.

    python tests/soak.py --streams 10000 --seed 1 --loop uvloop

What happens to a stream depends on the seed and its number alone. The server is a process of its own, so that the memory
and the descriptors of this one are the client's. It exits with 1 where it found a problem.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from scenarios import Held, Left, held
from soak_server import Report
from soak_streams import ATTEMPTS, RETRY, TIMEOUTS, Tally, go_through_all

from aiorunstream import AsyncClient

MAX_GROWTH = 5 * 1024 * 1024
"""Bytes that the process may grow by after its first few hundred streams."""


# -- what is left ------------------------------------------------------------------------------------------------------


def memory() -> int:
    """Bytes of this process that are in memory, once what is free has been given back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def kept(client: AsyncClient) -> int:
    """How much the client still does for those who have gone."""
    session: Any = client._transport._sessions.get(asyncio.get_running_loop())
    return 0 if session is None else len(session._kept)


async def until_quiet(quiet: Callable[[], bool], seconds: float = 15.0) -> None:
    """Waits, at most so long: what is not quiet by then is told in the figures."""
    ends = time.monotonic() + seconds
    while not quiet() and time.monotonic() < ends:
        await asyncio.sleep(0.02)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a soak came to. Growth is from the first few hundred streams to the end."""

    streams: int
    seconds: float
    ends: dict[str, int]
    faults: dict[str, int]
    held: dict[str, int]
    tasks: int
    descriptors: int
    growth: int
    complaints: dict[str, int]
    report: Report
    not_cancelled: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """What should not be, each in a line."""
        found = [f"{count} {name} still held" for name, count in self.held.items() if count and name != "pooled"]
        twice = [thread for thread, runs in self.report.runs.items() if runs > 1]
        table: list[tuple[bool, str]] = [
            (self.tasks > 0, f"{self.tasks} tasks left"),
            (self.descriptors > 0, f"{self.descriptors} descriptors left"),
            (self.growth >= MAX_GROWTH, f"memory grew by {self.growth / 2**20:.1f} MB"),
            (bool(twice), f"{len(twice)} runs made twice: {twice[:5]}"),
            (self.report.most_asked > ATTEMPTS, f"one run was asked for {self.report.most_asked} times"),
            (self.report.connections > 0, f"the server still has {self.report.connections} connections"),
            (sum(self.ends.values()) != self.streams, f"only {sum(self.ends.values())} streams ended"),
            (bool(self.not_cancelled), f"{len(self.not_cancelled)} runs not cancelled: {self.not_cancelled[:5]}"),
        ]
        found += [text for is_so, text in table if is_so]
        found += [f"asyncio complained {count} times: {what}" for what, count in self.complaints.items()]
        return [*found, *self.wrong[:20], *self.report.wrong[:20]]

    def __str__(self) -> str:
        report, runs = self.report, sum(self.report.runs.values())
        most = f"at most {max(report.runs.values(), default=0)} run each, {len(report.cancelled)} cancelled"
        counts = [
            ", ".join(f"{name} {count}" for name, count in sorted(table.items(), key=lambda pair: -pair[1]))
            for table in (self.ends, self.faults, self.held)
        ]
        return "\n".join(
            (
                f"{self.streams} streams in {self.seconds:.1f} s",
                f"ends: {counts[0]}",
                f"faults: {counts[1]}",
                f"server: {report.posts} POSTs = {runs} runs + {report.refused} refused, {most}",
                f"held: {counts[2]}",
                f"left: tasks +{self.tasks}, descriptors +{self.descriptors}",
                f"memory: {self.growth / 2**20:+.2f} MB",
                *(f"PROBLEM: {problem}" for problem in self.problems),
            )
        )


# -- the whole ---------------------------------------------------------------------------------------------------------


class Server:
    """The server's process, and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._say())

    def _say(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def report(self) -> Report:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._say(), type=Report)


@contextmanager
def server() -> Generator[Server, None, None]:
    """Serves, in another process, for the block."""
    program = [sys.executable, str(Path(__file__).with_name("soak_server.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # it ends with its input
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def nobody() -> Generator[int, None, None]:
    """A port at which nothing listens, and nothing else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@asynccontextmanager
async def two_clients(port: int, other: int) -> AsyncGenerator[tuple[AsyncClient, AsyncClient], None]:
    """A client of the server, and one of nobody."""
    urls = (f"http://127.0.0.1:{port}/v1", f"http://127.0.0.1:{other}/v1")
    first, second = (AsyncClient(base_url=url, api_key="", timeouts=TIMEOUTS, retry=RETRY) for url in urls)
    async with first, second:
        yield first, second


def _what(said: dict[str, Any]) -> str:
    return f"{said['message']} {said.get('exception')!r}"


async def soak(*, streams: int, seed: int, at_once: int, warm_up: int) -> Figures:
    """Goes through the streams; the first `warm_up` of them fill what fills once."""
    tally = Tally(streams)
    complaints: Counter[str] = Counter()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.update([_what(said)]))
    with server() as far, nobody() as nowhere:
        async with two_clients(far.port, nowhere) as clients:  # a loop opens some things with its first connection
            await go_through_all(clients, range(-1, 0), seed, 1, Tally(1))
        before, began = Left.now(), time.monotonic()

        def all_held() -> Held:
            return Held(*(a + b for a, b in zip(held(clients[0]), held(clients[1]), strict=True)))

        def quiet() -> bool:
            return not any(all_held()._replace(pooled=0)) and not any(map(kept, clients))

        async with two_clients(far.port, nowhere) as clients:
            await go_through_all(clients, range(warm_up), seed, at_once, tally)
            await until_quiet(quiet)
            small = memory()
            await go_through_all(clients, range(warm_up, streams), seed, at_once, tally)
            await until_quiet(quiet)
            growth, at_end = memory() - small, all_held()
            waiting = sum(map(kept, clients))
        await until_quiet(lambda: Left.now() == before and far.report().connections == 0, 3)
        after, report, took = Left.now(), far.report(), time.monotonic() - began
    owed = [f"thread_{number}" for number, due in enumerate(tally.to_cancel) if due]
    return Figures(
        streams=streams,
        seconds=took,
        ends=dict(tally.ends),
        faults=dict(tally.faults),
        held={**at_end._asdict(), "kept": waiting},
        tasks=len(after.tasks - before.tasks),
        descriptors=len(after.descriptors - before.descriptors),
        growth=growth,
        complaints=dict(complaints),
        report=report,
        not_cancelled=tuple([thread for thread in owed if thread not in report.cancelled | report.known_over]),
        wrong=tuple(tally.wrong),
    )


def main() -> int:
    """Reads the command line, soaks, and prints what it came to."""
    parser = argparse.ArgumentParser(description="Streams that go wrong at random, and what they leave behind.")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    given = parser.parse_args()
    factory = asyncio.new_event_loop
    if given.loop == "uvloop":
        import uvloop  # noqa: PLC0415  # not everybody has it

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(
            soak(
                streams=given.streams, seed=given.seed, at_once=given.at_once, warm_up=min(given.warm_up, given.streams)
            )
        )
    print(f"{given.loop}, seed {given.seed}: {figures}")
    return bool(figures.problems)


if __name__ == "__main__":
    sys.exit(main())
