"""The streams of the soak: what is drawn for each, how its reader behaves, and what must hold of its end."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import msgspec
from soak_server import FAULTS, REFUSALS, TEXT, Plan, passes_to_the_stop, stops_at

from aiorunstream import (
    APIError,
    AsyncClient,
    RequestOptions,
    RetryPolicy,
    RunStream,
    StreamCall,
    ThreadMessageDelta,
    Timeouts,
)

Consumer = Literal["reads", "is_slow", "breaks", "raises", "is_cancelled", "is_cancelled_twice", "is_closed"]
CONSUMERS: tuple[Consumer, ...] = get_args(Consumer)

ATTEMPTS = 3
PATIENCE = 30.0
"""Seconds after which a stream hangs: its clocks are far shorter."""
TIMEOUTS = Timeouts(connect=10, first_event=0.4, idle=0.3)
RETRY = RetryPolicy(attempts=ATTEMPTS, base_delay=0.005, max_delay=0.01, budget=10**6)


class OwnError(Exception):
    """The caller's."""


class Draw(NamedTuple):
    """What happens in one stream.

    `patience` is how many events, or seconds, a consumer stays; `answered` is False where nothing listens.
    """

    thread: str
    plan: Plan
    consumer: Consumer
    patience: float
    answered: bool
    cancel_on_exit: bool
    recover: bool
    reconcile: bool

    @classmethod
    def of(cls, seed: int, number: int) -> "Draw":
        dice = random.Random(f"{seed}:{number}")
        thread = f"thread_{number}"
        consumer = dice.choice(CONSUMERS) if dice.random() < 0.5 else "reads"
        plan = Plan(
            fault=dice.choice(FAULTS),
            at_byte=dice.randrange(stops_at(thread) + 40),
            seconds=dice.choice((0.0, 0.0, 0.001, 0.003)),
            until_closed=dice.random() < 0.15,
            refusals=tuple(dice.choices(REFUSALS, k=dice.choice((0, 0, 0, 0, 0, 1, 2, 3)))),
        )
        return cls(
            thread=thread,
            plan=plan,
            consumer=consumer,
            patience=dice.randrange(1, 10) if consumer in ("breaks", "raises") else dice.uniform(0, 0.08),
            answered=dice.random() < 0.97,
            cancel_on_exit=dice.random() < 0.5,
            recover=dice.random() < 0.4,
            reconcile=dice.random() < 0.1,
        )

    @property
    def may_complete(self) -> bool:
        """Whether the event that stops the run can have come, or be fetched."""
        return passes_to_the_stop(self.plan, self.thread) or self.recover or self.reconcile


# -- one stream --------------------------------------------------------------------------------------------------------


class Tally:
    """How the streams ended, what was wrong with them, and whose runs must have been cancelled."""

    def __init__(self, streams: int) -> None:
        self.ends: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.to_cancel = bytearray(streams)  # flags, and no set: what is counted here must not look like a leak

    def left(self, number: int, stream: RunStream, draw: Draw) -> None:
        """A stream was left by its reader."""
        if draw.cancel_on_exit and stream.outcome is None and stream.run_id is not None:
            self.to_cancel[number] = 1

    def ended(self, number: int, draw: Draw, error: BaseException | None, stream: RunStream | None, text: str) -> None:
        """A stream is over."""
        outcome = None if stream is None else stream.outcome
        end = type(error).__name__ if error is not None else outcome or draw.consumer
        self.ends[end] += 1
        self.faults[draw.plan.fault if draw.answered else "refuse_connect"] += 1
        allowed = isinstance(error, (APIError, OwnError, asyncio.CancelledError, type(None)))
        if not allowed:
            self.wrong.append(f"{end}: {number} {draw}")
        elif outcome == "completed" and not draw.may_complete:
            self.wrong.append(f"complete although it was cut: {number} {draw}")
        elif outcome == "completed" and error is None and draw.consumer in ("reads", "is_slow") and text != TEXT:
            self.wrong.append(f"another text, {text!r}: {number} {draw}")


def call_of(client: AsyncClient, draw: Draw) -> StreamCall[RunStream]:
    """The request for a run that goes wrong in this way."""
    options = RequestOptions(
        extra_headers={"X-Plan": msgspec.json.encode(draw.plan).decode()},
        retry=msgspec.structs.replace(RETRY, reconcile=True) if draw.reconcile else None,
    )
    return client.threads.runs.create_stream(
        draw.thread, assistant_id="asst_1", options=options, cancel_on_exit=draw.cancel_on_exit, recover=draw.recover
    )


class Reader:
    """Reads one stream in its consumer's manner. `stream` and `text` are what it has had."""

    def __init__(self, client: AsyncClient, draw: Draw) -> None:
        self._client, self._draw = client, draw
        self.stream: RunStream | None = None
        self.text = ""

    async def read(self) -> None:
        draw, closing = self._draw, None
        async with call_of(self._client, draw) as self.stream:
            if draw.consumer == "is_closed":
                closing = asyncio.create_task(_close_later(self.stream, draw.patience))
            try:
                await self._iterate(self.stream)
            finally:
                if closing is not None:
                    await closing

    async def _iterate(self, stream: RunStream) -> None:
        draw, seen = self._draw, 0
        async for event in stream:
            seen += 1
            if isinstance(event, ThreadMessageDelta):
                self.text += event.data.text
            if draw.consumer == "is_slow":
                await asyncio.sleep(draw.patience / 10)
            elif draw.consumer == "breaks" and seen >= draw.patience:
                break
            elif draw.consumer == "raises" and seen >= draw.patience:
                raise OwnError


async def _close_later(stream: RunStream, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await stream.aclose()


async def go_through(client: AsyncClient, number: int, draw: Draw, tally: Tally) -> None:
    """One stream from its request to its end."""
    reader = Reader(client, draw)
    task = asyncio.create_task(reader.read())
    cancels = {"is_cancelled": 1, "is_cancelled_twice": 2}.get(draw.consumer, 0)
    error: BaseException | None
    try:
        async with asyncio.timeout(PATIENCE):
            for _ in range(cancels):
                await asyncio.wait({task}, timeout=draw.patience)
                task.cancel()
            await asyncio.wait({task})
    except TimeoutError as hung:
        task.cancel()
        error = hung
    else:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if reader.stream is not None:
        tally.left(number, reader.stream, draw)
    tally.ended(number, draw, error, reader.stream, reader.text)


async def go_through_all(
    clients: tuple[AsyncClient, AsyncClient], numbers: range, seed: int, at_once: int, tally: Tally
) -> None:
    """All of those streams, so many at a time."""
    left: Iterator[int] = iter(numbers)

    async def work() -> None:
        for number in left:
            draw = Draw.of(seed, number)
            await go_through(clients[0] if draw.answered else clients[1], number, draw, tally)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(numbers))):
            group.create_task(work())
