"""Sides in turns: each in a process of its own that stands still while another reads, so that they share the same minutes."""

import hashlib
import statistics
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import msgspec

from .child import Order, Told
from .node import NODE_SIDES, node_command
from .serving import Served
from .sides import BYTES
from .wire import body_bytes
from .workloads import workload

_MOST_TIMES = 1000


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A side's figures: CPU of its process and time on the clock, in microseconds an event, one a round."""

    side: str
    cpu: tuple[float, ...]
    wall: tuple[float, ...]

    @property
    def median(self) -> float:
        """CPU, microseconds an event."""
        return statistics.median(self.cpu)


class Child:
    """One side's process."""

    def __init__(self, side: str, process: "subprocess.Popen[str]") -> None:
        self.side = side
        self._process = process

    def do(self, order: Order) -> Told:
        """Has it read, and waits until it has. Raises `RuntimeError` where the side fails; what it said is on the terminal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended: it has no line to read either
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.side} failed")
        return msgspec.json.decode(line, type=Told)

    def check(self, key: str) -> Told:
        """Has it read everything once, and compares. Raises `AssertionError` where the answer is wrong."""
        told = self.do(Order(key, check=True))
        given = workload(key)
        if self.side in BYTES:
            assert told.counted == body_bytes(given), f"{self.side} read {told.counted} bytes of {body_bytes(given)}"
        elif self.side == "msgspec floor":
            assert told.counted == len(given.payloads)
        elif self.side != "bare socket":
            digest = hashlib.sha256(given.text.encode()).hexdigest()
            right = (given.events, digest)
            assert (told.counted, told.digest) == right, f"{self.side} gives a wrong answer to {key}: {told}"
        return told


class Sides:
    """The processes of all sides that were ever asked for, kept until all is over: to start one can take a second."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._stack.close()

    def child(self, side: str) -> Child:
        """A side's process."""
        if side not in self._children:
            self._children[side] = self._stack.enter_context(_started(side, self.served.base_url))
        return self._children[side]

    def in_turns(self, sides: Sequence[str], key: str, *, rounds: int, seconds: float) -> list[Measured]:
        """Measures sides on a workload: each in its turn, `rounds` times after one to warm up, a turn about `seconds` long.

        Raises `AssertionError` before anything is timed where a side gives a wrong answer, and afterwards where it was timed
        over more or less than that.
        """
        self.served.add([key.removeprefix("flushed-")])
        events = workload(key).events
        children = [self.child(side) for side in sides]
        counts = [one.check(key).counted for one in children]
        orders = [(one, Order(key, times=_times(one.do(Order(key)), seconds))) for one in children]
        told = [[(order.times, one.do(order)) for one, order in orders] for _ in range(rounds + 1)][1:]
        for round_ in told:
            for one, counted, (times, done) in zip(children, counts, round_, strict=True):
                assert done.counted == times * counted, f"{one.side} gives a wrong answer to {key} while it is timed"
        return [
            Measured(
                side=one.side,
                cpu=tuple(round_[place][1].cpu * 1e6 / events / round_[place][0] for round_ in told),
                wall=tuple(round_[place][1].wall * 1e6 / events / round_[place][0] for round_ in told),
            )
            for place, one in enumerate(children)
        ]


@contextmanager
def _started(side: str, base_url: str) -> Generator[Child]:
    command = [sys.executable, "-m", "benchmarks.child", side, base_url]
    if side in NODE_SIDES:
        command = node_command(side, base_url)
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            yield Child(side, process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _times(told: Told, seconds: float) -> int:
    return max(1, min(_MOST_TIMES, round(seconds / max(told.cpu, 1e-6))))
