"""The server of the soak, a process of its own: it goes wrong as each request asks, and counts what it was asked for.

It prints its port. To each line on its input it answers with one line of JSON, a `Report`; it ends with its input.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import Literal, NamedTuple, get_args

import msgspec
from raw_server import (
    CLOSE_DELIMITED_HEAD,
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    Peer,
    RawServer,
    SeenRequest,
    answer,
    chunk,
    event,
)

Fault = Literal[
    "none",
    "cut",
    "reset",
    "end",
    "stall",
    "bad_chunk",
    "error_event",
    "drip",
    "late_end",
    "never_end",
    "hang_up",
    "reset_unanswered",
    "half_head",
    "silence",
    "500",
    "503",
]
Refusal = Literal["429", "429_retry_after", "503_retry_after"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
REFUSALS: tuple[Refusal, ...] = get_args(Refusal)
AT_A_BYTE: frozenset[Fault] = frozenset({"cut", "reset", "end", "stall", "bad_chunk", "error_event"})
"""The faults that let so many bytes of the events pass first."""

WORDS = ("The ", "lamp ", "is lit, ", "— ", "and ", "good night.")
TEXT = "".join(WORDS)
_DRIP = 40
NEVER_ANSWERED: frozenset[Fault] = frozenset({"hang_up", "reset_unanswered", "half_head", "silence"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with one request for a run.

    Args:
        refusals: what it and its retries are refused with first; nothing is done for those.
        fault: what happens once it is taken up.
        at_byte: where, for those faults that have a place.
        seconds: between two events, and how late a late end is.
        until_closed: the answer has neither a length nor chunks.
    """

    fault: Fault = "none"
    at_byte: int = 0
    seconds: float = 0.0
    until_closed: bool = False
    refusals: tuple[Refusal, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the server has seen.

    Attributes:
        posts, refused: requests for runs, and those of them that made none.
        runs: how many were made on each thread.
        cancelled, known_over: the threads of the runs that were cancelled, and of those it has said to be over.
        connections: how many are open.
        most_asked: how often the same run was asked for at most.
        wrong: what went wrong in the server itself.
    """

    posts: int
    refused: int
    runs: dict[str, int]
    cancelled: frozenset[str]
    known_over: frozenset[str]
    connections: int
    most_asked: int
    wrong: tuple[str, ...]


# -- what a run looks like ---------------------------------------------------------------------------------------------


def run_of(thread: str, status: str) -> dict[str, object]:
    return {"id": f"run_{thread}", "object": "thread.run", "thread_id": thread, "status": status}


def message_of(thread: str, status: str, text: str | None) -> dict[str, object]:
    content = () if text is None else ({"type": "text", "text": {"value": text, "annotations": ()}},)
    facts = {"thread_id": thread, "run_id": f"run_{thread}", "role": "assistant", "status": status}
    return {"id": f"msg_{thread}", "object": "thread.message", "content": content, **facts}


def delta_of(thread: str, text: str) -> dict[str, object]:
    part = {"index": 0, "type": "text", "text": {"value": text}}
    return {"id": f"msg_{thread}", "object": "thread.message.delta", "delta": {"content": [part]}}


def events_of(thread: str) -> list[bytes]:
    """The events of a run on that thread. The last but one stops it."""
    return [
        event("thread.run.created", run_of(thread, "queued")),
        event("thread.message.created", message_of(thread, "in_progress", None)),
        *(event("thread.message.delta", delta_of(thread, word)) for word in WORDS),
        event("thread.message.completed", message_of(thread, "completed", TEXT)),
        event("thread.run.completed", run_of(thread, "completed")),
        DONE,
    ]


def stops_at(thread: str) -> int:
    """How many bytes of its events there are up to the end of the one that stops the run."""
    return sum(map(len, events_of(thread)[:-1]))


def passes_to_the_stop(plan: Plan, thread: str) -> bool:
    """Whether a plan lets the event that stops the run through, all of it."""
    if plan.fault == "error_event":  # comes behind the event in which its place is
        return plan.at_byte > stops_at(thread) - len(events_of(thread)[-2])
    return plan.fault not in AT_A_BYTE or plan.at_byte >= stops_at(thread)


# -- the server --------------------------------------------------------------------------------------------------------


class _Target(NamedTuple):
    """A path of the protocol, taken apart."""

    method: str
    thread: str
    run: str | None
    rest: str

    @classmethod
    def of(cls, request: SeenRequest) -> "_Target":
        method, path, _ = request.line.split(" ", 2)
        parts = [*path.split("?")[0].removeprefix("/v1/threads/").split("/"), "", "", ""]
        if parts[1] == "messages":
            return cls(method, parts[0], None, "messages")
        return cls(method, parts[0], parts[2] or None, parts[3])


class SoakServer:
    """Answers requests about runs on any thread; each run is made by the request that asks for it."""

    def __init__(self) -> None:
        self.raw = RawServer(self._serve)
        self._asked: Counter[str] = Counter()
        self._runs: Counter[str] = Counter()
        self._metadata: dict[str, object] = {}
        self._looks: Counter[str] = Counter()
        self._cancelled: set[str] = set()
        self._refused = 0

    def report(self) -> Report:
        scripts = [peer._script for peer in self.raw.peers]
        ended = [script for script in scripts if script is not None and script.done() and not script.cancelled()]
        return Report(
            posts=self._asked.total(),
            refused=self._refused,
            runs=dict(self._runs),
            cancelled=frozenset(self._cancelled),
            known_over=frozenset([thread for thread, looks in self._looks.items() if looks > 1]),
            connections=sum(peer.closed_at is None for peer in self.raw.peers),
            most_asked=max(self._asked.values(), default=0),
            wrong=tuple([repr(script.exception()) for script in ended if script.exception() is not None]),
        )

    async def _serve(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            target = _Target.of(request)
            if target.method == "POST" and target.run is None:
                await self._create(peer, target.thread, request)
            else:
                await peer.send(self._look(target))

    def _look(self, target: _Target) -> bytes:
        thread = target.thread
        if target.method == "POST":
            assert target.rest == "cancel", target
            self._cancelled.add(thread)
            return answer(200, run_of(thread, "cancelling"))
        if target.rest == "messages":
            return _page(message_of(thread, "completed", TEXT))
        if target.rest == "steps":
            return _page()
        if target.run is None:
            found = {**run_of(thread, "in_progress"), "metadata": self._metadata.get(thread)}
            return _page(*[found] * self._runs[thread])
        self._looks[thread] += 1
        status = "completed" if self._looks[thread] > 1 else "in_progress"
        return answer(200, run_of(thread, status), {"openai-poll-after-ms": "20"})

    async def _create(self, peer: Peer, thread: str, request: SeenRequest) -> None:
        plan = msgspec.json.decode(request.header("X-Plan") or "", type=Plan)
        turn = self._asked[thread]
        self._asked[thread] += 1
        if turn < len(plan.refusals):
            self._refused += 1
            status, _, wait = plan.refusals[turn].partition("_")
            await peer.send(
                answer(int(status), {"error": {"message": "not now"}}, {"Retry-After": "0.02"} if wait else {})
            )
            return
        self._runs[thread] += 1
        self._metadata[thread] = json.loads(request.body).get("metadata")
        if plan.fault in NEVER_ANSWERED:
            await _leave_unanswered(peer, plan.fault)
        elif plan.fault in ("500", "503"):  # the run was made all the same: a retry would make two
            await peer.send(answer(int(plan.fault), {"error": {"message": "something broke"}}))
        else:
            await _stream(peer, plan, events_of(thread))


def _page(*items: object) -> bytes:
    return answer(200, {"object": "list", "data": items, "has_more": False})


async def _leave_unanswered(peer: Peer, fault: Fault) -> None:
    if fault == "silence":
        await peer.closed()
    elif fault == "reset_unanswered":
        _reset(peer)
    else:
        await peer.send(STREAM_HEAD[:40] if fault == "half_head" else b"")
        peer.fin()


def _reset(peer: Peer) -> None:
    if not peer.transport.is_closing():  # else the client was faster
        peer.rst()


async def _stream(peer: Peer, plan: Plan, events: list[bytes]) -> None:
    await peer.send(CLOSE_DELIMITED_HEAD if plan.until_closed else STREAM_HEAD)
    left = plan.at_byte if plan.fault in AT_A_BYTE else sys.maxsize
    for one in events:
        whole = one if plan.fault == "error_event" else one[:left]
        if not whole:
            break
        await _send_body(peer, plan, whole)
        left -= len(one)
        if left <= 0:
            break
    await _end(peer, plan)


async def _send_body(peer: Peer, plan: Plan, data: bytes) -> None:
    pieces = [data]
    if plan.fault == "drip":
        pieces = [data[place : place + _DRIP] for place in range(0, len(data), _DRIP)]
    for piece in pieces:
        await peer.send(piece if plan.until_closed else chunk(piece))
        await asyncio.sleep(plan.seconds / len(pieces))


async def _end(peer: Peer, plan: Plan) -> None:
    match plan.fault:
        case "stall" | "never_end":
            await peer.closed()
        case "bad_chunk":
            await asyncio.sleep(plan.seconds * 20)  # in one read with the head, aiohttp throws all of it away
            await peer.send(b"zz\r\n")
            await peer.closed()
        case "reset":
            _reset(peer)
        case "cut":
            peer.fin()
        case "error_event":
            await _send_body(peer, plan, event("error", {"message": "something broke", "code": "server_error"}) + DONE)
        case "late_end":
            await asyncio.sleep(plan.seconds * 100)
        case _:
            pass
    if plan.until_closed:
        peer.fin()
    else:
        await peer.send(LAST_CHUNK)


async def main() -> None:
    """Serves until the input ends."""
    server = SoakServer()
    async with server.raw:
        print(server.raw.port, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(msgspec.json.encode(server.report()).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
