"""Runs for the tests of the fan-out: requests by number, and servers that answer each thread its own run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from raw_server import LAST_CHUNK, STREAM_HEAD, Peer, Script, SeenRequest, chunk, delta_event, event

from aiorunstream import RetryPolicy, RunEvent
from aiorunstream.fanout import RunFailure, RunItem, RunRequest, RunResult, stream_many

T = TypeVar("T")

RETRIES = RetryPolicy(attempts=3, base_delay=0.01, max_delay=0.02)
WORDS = ("The ", "lamp ", "is lit.")
EVENTS = ["thread.run.created", *["thread.message.delta"] * len(WORDS), "thread.run.completed"]


def request(number: int, **parameters: Any) -> RunRequest:
    """The request with the key "3" is for a run on thread_3."""
    return RunRequest(str(number), f"thread_{number}", assistant_id="asst_1", **parameters)


def requests(many: int, **parameters: Any) -> Iterator[RunRequest]:
    """So many of them, made when they are asked for."""
    return (request(number, **parameters) for number in range(many))


def thread_of(seen: SeenRequest) -> str:
    """The thread a request is about."""
    return seen.line.split("/")[3].split(" ")[0]


def run_event(kind: str, thread: str) -> bytes:
    """An event of the run of that thread, as a chunk: "created", "completed" and so on."""
    run: dict[str, object] = {
        "id": thread.replace("thread", "run"),
        "object": "thread.run",
        "thread_id": thread,
        "status": "queued" if kind == "created" else kind,
    }
    if kind == "completed":
        run["usage"] = {"completion_tokens": 3, "prompt_tokens": 4, "total_tokens": 7}
    return chunk(event(f"thread.run.{kind}", run))


def begin(thread: str) -> bytes:
    """The head of an answer and the first event."""
    return STREAM_HEAD + run_event("created", thread)


def rest(thread: str) -> bytes:
    """What follows: the words, and a good end."""
    return b"".join([*(chunk(delta_event(word)) for word in WORDS), run_event("completed", thread), LAST_CHUNK])


def runs(act: Callable[[Peer, str], Awaitable[None]] | None = None) -> Script:
    """A script that answers each request with the run of its thread; or has `act` do it, which is told the thread."""

    async def script(peer: Peer) -> None:
        while (seen := await peer.request()) is not None:
            thread = thread_of(seen)
            if act is None:
                await peer.send(begin(thread) + rest(thread))
            else:
                await act(peer, thread)

    return script


async def silent(peer: Peer, thread: str) -> None:
    """Begins the run, and says nothing more."""
    await peer.send(begin(thread))
    await peer.closed()


class ForeignError(Exception):
    """None of the package's."""


async def together(waiting: Callable[[], bool]) -> None:
    """Waits, at most ten seconds, until it is so."""
    async with asyncio.timeout(10):
        while not waiting():
            await asyncio.sleep(0.002)


async def all_of(many: stream_many) -> list[RunItem | RunResult | RunFailure]:
    """Everything to the end."""
    async with many:
        return [item async for item in many]


def outcomes(items: list[RunItem | RunResult | RunFailure]) -> dict[str, RunResult | RunFailure]:
    """How each run ended; none ended twice."""
    ends = [item for item in items if not isinstance(item, RunItem)]
    found = {item.key: item for item in ends}
    assert len(found) == len(ends)
    return found


def events_by_key(items: list[RunItem | RunResult | RunFailure]) -> dict[str, list[RunEvent]]:
    """The events of each run, in the order they came; none came after its end."""
    found: dict[str, list[RunEvent]] = {}
    ended: set[str] = set()
    for item in items:
        assert item.key not in ended, f"something came after the end of {item.key}"
        if isinstance(item, RunItem):
            found.setdefault(item.key, []).append(item.event)
        else:
            ended.add(item.key)
    return found


def of_kind(kind: type[T], item: object) -> T:
    """The same, of that class."""
    assert isinstance(item, kind), item
    return item
