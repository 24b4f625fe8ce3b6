"""The short form of `python -m fuzz`, and proof that each of its oracles can fail."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from conftest import LONG

import aiorunstream.decode as decode_file
from aiorunstream.errors import StreamError
from aiorunstream.events import RunEvent, ThreadCreated, ThreadRunCreated
from aiorunstream.models import Run
from aiorunstream.protocol import Frame, RunProtocol
from fuzz import payloads
from fuzz.corpus import SEEDS
from fuzz.loop import run, smallest
from fuzz.mutate import LONGEST, mutate
from fuzz.oracles import check
from fuzz.payloads import BrokenPromiseError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("seed", [1, random.randrange(10**9) if LONG else 2])
def test_thousands_of_changed_streams_hold_every_promise(seed: int) -> None:
    report = run(executions=200_000 if LONG else 1500, seed=seed)
    assert report.findings == []
    assert report.executions >= 1500
    assert report.kept > 100  # it does find streams that show something new


def test_the_same_seed_makes_the_same_streams() -> None:
    def made(seed: int) -> list[bytes]:
        rolls = random.Random(seed)
        return [mutate(rolls.choice(SEEDS), rolls, SEEDS) for _ in range(300)]

    assert made(5) == made(5) != made(6)
    assert max(map(len, made(5))) <= LONGEST
    assert sum(stream not in SEEDS for stream in made(5)) > 250


# -- the oracles can fail ----------------------------------------------------------------------------------------------


class Escapes(RunProtocol):
    def next_event(self) -> RunEvent | None:
        if self.events_seen or self._waiting:
            raise KeyError
        return super().next_event()


class Quotes(RunProtocol):
    """Its errors carry another, which quotes the payload."""

    def next_event(self) -> RunEvent | None:
        try:
            return super().next_event()
        except StreamError as error:
            raise error from ValueError("the payload")


class Cuts(RunProtocol):
    def receive_data(self, data: bytes) -> None:
        super().receive_data(data.lstrip(b"\n") or data)


class NotExact(RunProtocol):
    """Its slow path knows less than its fast one."""

    def _follow_any(self, name: str, event: RunEvent) -> RunEvent:
        return event


class NotFinal(RunProtocol):
    """It goes on after a failure."""

    def receive_data(self, data: bytes) -> None:
        if self._failure is not None:
            self._failure, self._ended = None, False
        super().receive_data(data)


class SameError(RunProtocol):
    _first: StreamError | None = None

    def next_event(self) -> RunEvent | None:
        try:
            return super().next_event()
        except StreamError as error:
            self._first = self._first or error
        raise self._first


class Holds(RunProtocol):
    def receive_data(self, data: bytes) -> None:
        super().receive_data(data)
        self._sse._id += data


class OtherFrame(RunProtocol):
    def next_frame(self) -> Frame | None:
        frame = super().next_frame()
        return None if frame is None else Frame(frame.event, frame.data.replace(b'"id"', b'"di"'))


class OtherName(RunProtocol):
    def next_event(self) -> RunEvent | None:
        event = super().next_event()
        self.last_event = "thread.created"
        return event


def _with_run(changed: Callable[[Run], object]) -> type[RunProtocol]:
    class Changed(RunProtocol):
        def next_event(self) -> RunEvent | None:
            event = super().next_event()
            if isinstance(event, ThreadRunCreated):
                event = ThreadRunCreated(changed(event.data))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            return event

    return Changed


NotEncodable = _with_run(lambda _: object())
NotDecodable = _with_run(lambda run: {"id": 7, "was": run.id})


def broken(kind: type[RunProtocol]) -> set[str]:
    """The oracles that fail for a wrong protocol, over all the seeds."""
    found: set[str] = set()
    for wire in SEEDS:
        try:
            check(wire, kind)
        except BrokenPromiseError as error:
            found.add(error.oracle)
    return found


@pytest.mark.parametrize(("kind", "oracle"), [
    (Escapes, "escapes"), (Quotes, "escapes"), (Cuts, "cuts"), (NotExact, "exact"), (NotFinal, "final"), (SameError, "final"),
    (Holds, "held"), (OtherFrame, "frames"), (OtherName, "names"), (NotEncodable, "encodes"), (NotDecodable, "round-trip"),
])  # fmt: skip
def test_a_wrong_protocol_is_caught(kind: type[RunProtocol], oracle: str) -> None:
    assert oracle in broken(kind)


def test_a_wrong_repair_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def build_wrongly(value: object, kind: type[msgspec.Struct]) -> object:
        return kind(id="other") if "id" in kind.__struct_fields__ else value

    monkeypatch.setattr(decode_file, "build", build_wrongly)
    assert "tolerant" in broken(RunProtocol)


@pytest.mark.parametrize("answer", [True, False])
def test_a_wrong_measure_of_depth_is_caught(monkeypatch: pytest.MonkeyPatch, *, answer: bool) -> None:
    def measured_wrongly(_payload: bytes, _limit: int) -> bool:
        return answer

    monkeypatch.setattr(payloads, "is_deeper", measured_wrongly)
    wire = b"data: [[[[[[[[[[[[[[]]]]]]]]]]]]]]\n\n" if not answer else b'data: ["[[[[[[[[[[[[[[[["]\n\n'
    with pytest.raises(BrokenPromiseError) as caught:
        for limit in (3, 12):
            payloads.check_depth(wire[6:-2], limit)
    assert caught.value.oracle == "depth"


def test_what_is_found_is_made_small() -> None:
    class Refuses(RunProtocol):
        def receive_data(self, data: bytes) -> None:
            if b"\0" in data:
                raise KeyError
            super().receive_data(data)

    with pytest.raises(BrokenPromiseError) as caught:
        check(SEEDS[0] + b"\0" + SEEDS[1], Refuses)
    wire, what = smallest(SEEDS[0] + b"\0" + SEEDS[1], caught.value, Refuses)
    assert wire == b"\0"
    assert what.startswith("escapes: KeyError()\n  with Setting(")


def test_the_loop_keeps_three_of_a_kind_and_goes_on() -> None:
    lines: list[str] = []
    report = run(executions=12, seed=0, kind=Escapes, tell=lines.append)
    assert (report.executions, len(report.findings)) == (12, 3)
    assert len(lines) == 3
    assert all("escapes: KeyError" in line for line in lines)


def test_a_loop_without_time_tries_nothing() -> None:
    assert run(executions=100, seed=0, minutes=0).executions == 0


def test_threads_that_were_made_are_among_the_seeds() -> None:
    assert any(kind == ThreadCreated.__name__ for wire in SEEDS for _, kind, _ in check(wire).events)


# -- the commands ------------------------------------------------------------------------------------------------------


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=50
    )


def test_the_command_says_what_it_came_to() -> None:
    done = command("fuzz", "--executions", "150", "--seed", "4")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seed 4: 150 executions in ")
    assert done.stdout.endswith(" 0 findings\n")


def test_the_led_form_names_the_package_it_needs() -> None:
    done = command("fuzz.atheris_harness")
    assert done.returncode == 1
    assert done.stderr in (
        "this needs the package atheris, which is not installed\n",
        "usage: python -m fuzz.atheris_harness FOLDER [options of libFuzzer]\n",
    )
