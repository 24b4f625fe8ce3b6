"""`python -m benchmarks.many_streams`: very many streams at once, in one process, against a server in another.

    python -m benchmarks.many_streams --streams 10000 --seconds 10
    python -m benchmarks.many_streams --against-openai

The first holds so many streams open, measures what an idle one takes in memory, lets all of them say a word a second, and
checks that every word came in its order; then the same streams read without the fan-out; then streams of which one floods
a consumer who has stopped, and the gap between the words of the others; then what is kept of each where nobody reads.
The second compares 500 streams of 20 words a second with the official client's, and with the floor: aiohttp and no
decoding. Each figure is from a process of its own, with a server of its own; the collector is on, the loop is asyncio's
unless `--loop uvloop`.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec

from aiorunstream import AssistantEventHandler, AsyncClient, RunEvent, Text, TextDelta, ThreadMessageDelta, Timeouts
from aiorunstream.fanout import RunFailure, RunItem, RunRequest, stream_many

SERVER = Path(__file__).with_name("many_server.py")
PATIENT = Timeouts(connect=120, first_event=300, idle=300)
WORST_GAP_OF = 0.99
GAPS_OF = 200
"""Streams whose gaps are measured: so few that the loop is not busy all the time."""
FLOODED = 1000
"""Streams of the reader who stops reading."""


class Figures(msgspec.Struct, kw_only=True):
    """What one side came to. Memory in bytes a stream, with all of them idle; CPU in seconds an event."""

    side: str
    streams: int
    events: int = 0
    errors: int = 0
    memory: float = 0.0
    most_memory: float = 0.0
    cpu: float = 0.0
    gap: float = 0.0

    def __str__(self) -> str:
        found = f"{self.side:<18} {self.streams:>6} streams   {self.memory / 1000:6.1f} kB a stream"
        if self.events:
            found += f", {self.most_memory / 1000:.1f} at most while they speak"
            found += f"   {self.cpu * 1e6:6.1f} us CPU an event   {self.events:>7} events, {self.errors} errors"
        if self.gap:
            found += f"   gap p99 {self.gap * 1000:.0f} ms"
        return found


def memory() -> int:
    """Bytes of this process that are in memory, once what is free has been given back."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return in_memory()


def in_memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Probe:
    """Sees every event of a side: measures once all streams are open, lets them go on, and checks the order of the words."""

    def __init__(self, side: str, streams: int, deltas: int, every: float, go: Callable[[], None]) -> None:
        self.figures = Figures(side=side, streams=streams)
        self.plan = {"hold": "1", "deltas": str(deltas), "every": str(every)}
        self._go, self._deltas = go, deltas
        self._next: dict[str, int] = {}
        self._last: dict[str, float] = {}
        self._gaps: list[float] = []
        self._before = memory()
        self._cpu_before = 0.0

    def opened(self, key: str) -> None:
        """A stream's first event came."""
        self._next[key] = 0
        if len(self._next) == self.figures.streams:
            self.figures.memory = (memory() - self._before) / self.figures.streams
            self._go()
            self._cpu_before = time.process_time()

    def said(self, key: str, text: str) -> None:
        """A word came."""
        self.figures.events += 1
        if text != f"{self._next[key]} ":
            self.figures.errors += 1
        self._next[key] += 1
        if self.figures.events % 2000 == 0:
            used = (in_memory() - self._before) / self.figures.streams
            self.figures.most_memory = max(self.figures.most_memory, used)

    def timed(self, key: str) -> None:
        """A word came, and when it did is to count."""
        now = time.monotonic()
        if key in self._last:
            self._gaps.append(now - self._last[key])
        self._last[key] = now

    def over(self, *, silent: int = 0) -> Figures:
        """All have ended but those that never say a word."""
        figures = self.figures
        figures.cpu = (time.process_time() - self._cpu_before) / max(1, figures.events)
        figures.errors += abs((figures.streams - silent) * self._deltas - figures.events)
        if self._gaps:
            figures.gap = sorted(self._gaps)[int(len(self._gaps) * WORST_GAP_OF)]
        return figures


# -- the sides ---------------------------------------------------------------------------------------------------------


def _client(base_url: str) -> AsyncClient:
    return AsyncClient(base_url=base_url, api_key="", timeouts=PATIENT)


def _request(number: int, plan: dict[str, str]) -> RunRequest:
    return RunRequest(f"thread_{number}", f"thread_{number}", assistant_id="asst_1", metadata=plan)


def _note(probe: Probe, key: str, event: RunEvent) -> None:
    if isinstance(event, ThreadMessageDelta):
        probe.said(key, event.data.text)
    elif event.event == "thread.run.created":
        probe.opened(key)


async def fan_out(base_url: str, probe: Probe) -> Figures:
    """All streams in one `stream_many`."""
    streams = probe.figures.streams
    async with _client(base_url) as client:
        given = (_request(number, probe.plan) for number in range(streams))
        async with stream_many(client.threads.runs, given, max_concurrency=streams) as many:
            async for item in many:
                if isinstance(item, RunItem):
                    _note(probe, item.key, item.event)
                elif isinstance(item, RunFailure):
                    probe.figures.errors += 1
        return probe.over()


async def gathered(base_url: str, probe: Probe) -> Figures:
    """The same streams, each read in a task, without the fan-out; nothing is kept of them."""
    async with _client(base_url) as client:

        async def read(key: str) -> None:
            async with client.threads.runs.create_stream(key, assistant_id="asst_1", metadata=probe.plan) as stream:
                async for event in stream:
                    _note(probe, key, event)

        await asyncio.gather(*(read(f"thread_{number}") for number in range(probe.figures.streams)))
        return probe.over()


async def gathered_with_text(base_url: str, probe: Probe) -> Figures:
    """The same, with the text and the messages of each, which the fan-out keeps too."""
    async with _client(base_url) as client:

        async def read(key: str) -> None:
            async with client.threads.runs.stream(key, assistant_id="asst_1", metadata=probe.plan) as stream:
                async for event in stream:
                    _note(probe, key, event)

        await asyncio.gather(*(read(f"thread_{number}") for number in range(probe.figures.streams)))
        return probe.over()


class _Standing(AssistantEventHandler):
    """A consumer who stops at the first word, for ever."""

    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        del delta, snapshot
        await asyncio.Event().wait()


async def one_stands_still(base_url: str, probe: Probe) -> Figures:
    """All streams in one `stream_many`; the first floods a consumer who has stopped: how far apart the others' words are."""
    flood = {**probe.plan, "every": "0", "deltas": "100000"}
    standing = RunRequest("standing", "thread_0", assistant_id="asst_1", metadata=flood, event_handler=_Standing())
    return await _with_gaps(base_url, probe, [standing])


async def none_stands_still(base_url: str, probe: Probe) -> Figures:
    """The same without that one."""
    return await _with_gaps(base_url, probe, [])


async def _with_gaps(base_url: str, probe: Probe, standing: list[RunRequest]) -> Figures:
    streams = probe.figures.streams
    spoken = streams - len(standing)
    async with _client(base_url) as client:
        given = [*standing, *(_request(number, probe.plan) for number in range(1, spoken + 1))]
        async with stream_many(client.threads.runs, given, max_concurrency=streams) as many:
            async for item in many:
                if not isinstance(item, RunItem):
                    if many.done == spoken:
                        break
                elif not isinstance(item.event, ThreadMessageDelta):
                    _note(probe, item.key, item.event)
                elif item.key != "standing":
                    _note(probe, item.key, item.event)
                    probe.timed(item.key)
        return probe.over(silent=len(standing))


async def nobody_reads(base_url: str, probe: Probe) -> Figures:
    """Streams that flood a reader who has stopped reading: what is kept of each."""
    streams = probe.figures.streams
    async with _client(base_url) as client:
        before = memory()
        flood = {"deltas": "100000"}
        given = (_request(number, flood) for number in range(streams))
        async with stream_many(client.threads.runs, given, max_concurrency=streams) as many:
            full = -1
            while many.started < streams or full < many.events:
                full = many.events
                await asyncio.sleep(1)
            probe.figures.memory = (memory() - before) / streams
    return probe.figures


async def official(base_url: str, probe: Probe) -> Figures:
    """The official async client, each stream read in a task."""
    from openai import (  # noqa: PLC0415  # not everybody has it
        DEFAULT_CONNECTION_LIMITS,
        AsyncOpenAI,
        AsyncStream,
        DefaultAsyncHttpxClient,
    )
    from openai.types.beta import AssistantStreamEvent  # noqa: PLC0415

    warnings.simplefilter("ignore", DeprecationWarning)
    no_limits = type(DEFAULT_CONNECTION_LIMITS)(max_connections=None)  # it has 1,000, as it comes
    unlimited = DefaultAsyncHttpxClient(limits=no_limits, timeout=300)
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, http_client=unlimited) as client:

        async def read(key: str) -> None:
            stream: AsyncStream[AssistantStreamEvent] = await client.beta.threads.runs.create(  # pyright: ignore[reportDeprecated]
                key, assistant_id="asst_1", metadata=probe.plan, stream=True
            )
            async with stream:
                async for event in stream:
                    if event.event == "thread.message.delta":
                        for part in event.data.delta.content or ():
                            if part.type == "text" and part.text is not None:
                                probe.said(key, part.text.value or "")
                    elif event.event == "thread.run.created":
                        probe.opened(key)

        await asyncio.gather(*(read(f"thread_{number}") for number in range(probe.figures.streams)))
        return probe.over()


async def bytes_only(base_url: str, probe: Probe) -> Figures:
    """The floor: aiohttp hands out the bytes, and nobody decodes them; the words are looked for in each read."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=16 * 1024
    ) as session:

        async def read(key: str) -> None:
            body = {"assistant_id": "asst_1", "stream": True, "metadata": probe.plan}
            async with session.post(f"{base_url}/threads/{key}/runs", json=body) as answer:
                word = 0
                async for data in answer.content.iter_any():
                    if b"event: thread.run.created" in data:
                        probe.opened(key)
                    for _ in range(data.count(b"event: thread.message.delta")):
                        probe.said(key, f"{word} ")
                        word += 1

        await asyncio.gather(*(read(f"thread_{number}") for number in range(probe.figures.streams)))
        return probe.over()


Side = Callable[[str, Probe], Awaitable[Figures]]
SIDES: dict[str, Side] = {
    "fan-out": fan_out,
    "gather": gathered,
    "gather, with text": gathered_with_text,
    "one stands still": one_stands_still,
    "none stands still": none_stands_still,
    "nobody reads": nobody_reads,
    "aiohttp, bytes": bytes_only,
    "openai": official,
}


# -- running them ------------------------------------------------------------------------------------------------------


def measure(side: str, streams: int, deltas: int, every: float, loop: str) -> None:
    """Measures one side in this process, and prints its figures as JSON."""
    factory = asyncio.new_event_loop
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415  # not everybody has it

        factory = uvloop.new_event_loop
    program = [sys.executable, str(SERVER)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        base_url, say = f"http://127.0.0.1:{int(server.stdout.readline())}/v1", server.stdin

        def go() -> None:
            say.write("go\n")
            say.flush()

        async def run() -> Figures:
            warm = Probe(side, 1, 1, 0.0, go)
            if side not in (
                "nobody reads",
                "one stands still",
                "none stands still",
            ):  # what is loaded and opened once is nobody's
                await SIDES[side](base_url, warm)
            return await SIDES[side](base_url, Probe(side, streams, deltas, every, go))

        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                figures = runner.run(run())
        finally:
            say.close()
    print(msgspec.json.encode(figures).decode())


def compare(side: str, streams: int, deltas: int, every: float, loop: str) -> Figures:
    """Measures one side in a process of its own, and prints its line. Raises `AssertionError` where a word was lost."""
    settings = {"streams": streams, "deltas": deltas, "every": every}
    command = [sys.executable, "-m", "benchmarks.many_streams", "--loop", loop, "--measure", side, json.dumps(settings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures = msgspec.json.decode(done.stdout, type=Figures)
    print(figures)
    assert figures.errors == 0, f"{side} gives a wrong answer: {figures}"
    return figures


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Very many streams at once.")
    parser.add_argument("--streams", type=int, help="10000; 500 against the official client")
    parser.add_argument("--seconds", type=int, default=10, help="how long the streams speak")
    parser.add_argument("--against-openai", action="store_true")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        side, settings = given.measure
        measure(side, loop=given.loop, **json.loads(settings))
        return
    print(f"CPython {platform.python_version()}, {given.loop}, {platform.machine()}")
    if given.against_openai:
        streams, deltas, every = given.streams or 500, given.seconds * 20, 0.05
        compared = ("aiohttp, bytes", "gather", "fan-out", "openai")
        *ours, theirs = (compare(side, streams, deltas, every, given.loop) for side in compared)
        for figures in ours:
            print(
                f"{figures.side} of the official client: CPU an event 1/{theirs.cpu / figures.cpu:.1f} (aim: 1/8), "
                f"memory of an idle stream 1/{theirs.memory / figures.memory:.1f} (aim: 1/3)"
            )
        return
    streams = given.streams or 10_000
    sides = ("fan-out", "gather, with text", "gather")
    many, *others = (compare(side, streams, given.seconds, 1.0, given.loop) for side in sides)
    for figures in others:
        print(f"the fan-out: {(many.cpu - figures.cpu) * 1e6:+.1f} us CPU an event more than {figures.side}")
    for side in ("none stands still", "one stands still"):
        compare(side, min(streams, GAPS_OF), given.seconds * 20, 0.05, given.loop)
    compare("nobody reads", min(streams, FLOODED), 0, 0.0, given.loop)


if __name__ == "__main__":
    main()
