"""The short form of soak.py, on both loops; the long one is run by hand."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from soak import Figures
from soak_server import FAULTS, Plan, Report, events_of, passes_to_the_stop, stops_at
from soak_streams import CONSUMERS, Draw

STREAMS = 600


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_streams_that_go_wrong_at_random_leave_nothing_behind_and_make_no_run_twice(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    # In a process of its own, where nothing but the client grows.
    program = str(Path(__file__).with_name("soak.py"))
    options = ["--streams", str(STREAMS), "--warm-up", "300", "--loop", loop]
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", program, *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    print(done.stdout)
    assert done.stderr == ""
    assert f"{STREAMS} streams" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")] == []
    assert done.returncode == 0


# -- that it would find what it looks for ------------------------------------------------------------------------------

CLEAN = Figures(
    streams=2,
    seconds=1.0,
    ends={"completed": 1, "breaks": 1},
    faults={"none": 2},
    held={"acquired": 0, "pooled": 1, "kept": 0},
    tasks=0,
    descriptors=0,
    growth=1000,
    complaints={},
    report=Report(
        posts=3,
        refused=1,
        runs={"a": 1, "b": 1},
        cancelled=frozenset("b"),
        known_over=frozenset("a"),
        connections=0,
        most_asked=2,
        wrong=(),
    ),
    not_cancelled=(),
    wrong=(),
)


def test_a_clean_soak_has_no_problems() -> None:
    assert CLEAN.problems == []
    assert "3 POSTs = 2 runs + 1 refused, at most 1 run each, 1 cancelled" in str(CLEAN)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("held", {"acquired": 2}, "2 acquired still held"),
        ("tasks", 1, "1 tasks left"),
        ("descriptors", 3, "3 descriptors left"),
        ("growth", 6 * 2**20, "memory grew by 6.0 MB"),
        ("ends", {"completed": 1}, "only 1 streams ended"),
        ("complaints", {"Future": 2}, "asyncio complained 2 times: Future"),
        ("not_cancelled", ("a",), "1 runs not cancelled: ('a',)"),
        ("wrong", ("TimeoutError: 7",), "TimeoutError: 7"),
        ("report", msgspec.structs.replace(CLEAN.report, runs={"a": 2}), "1 runs made twice: ['a']"),
        ("report", msgspec.structs.replace(CLEAN.report, most_asked=4), "one run was asked for 4 times"),
        ("report", msgspec.structs.replace(CLEAN.report, connections=1), "the server still has 1 connections"),
        ("report", msgspec.structs.replace(CLEAN.report, wrong=("KeyError()",)), "KeyError()"),
    ],
)
def test_each_thing_that_should_not_be_is_a_problem(field: str, value: object, problem: str) -> None:
    assert msgspec.structs.replace(CLEAN, **{field: value}).problems == [problem]


def test_the_draws_are_the_same_each_time_and_leave_no_fault_and_no_consumer_out() -> None:
    draws = [Draw.of(1, number) for number in range(STREAMS)]
    assert draws == [Draw.of(1, number) for number in range(STREAMS)]
    assert draws != [Draw.of(2, number) for number in range(STREAMS)]
    assert {draw.plan.fault for draw in draws} == set(FAULTS)
    assert {draw.consumer for draw in draws} == set(CONSUMERS)
    assert {len(draw.plan.refusals) for draw in draws} == {0, 1, 2, 3}
    for name in ("answered", "cancel_on_exit", "recover", "reconcile"):
        assert {getattr(draw, name) for draw in draws} == {True, False}, name


def test_a_plan_knows_whether_the_run_can_be_seen_to_stop() -> None:
    end, last = stops_at("t"), len(events_of("t")[-2])
    assert passes_to_the_stop(Plan(), "t")
    for fault in ("cut", "reset", "end", "stall", "bad_chunk"):
        assert passes_to_the_stop(Plan(fault=fault, at_byte=end), "t")
        assert not passes_to_the_stop(Plan(fault=fault, at_byte=end - 1), "t")
    assert passes_to_the_stop(Plan(fault="error_event", at_byte=end - last + 1), "t")
    assert not passes_to_the_stop(Plan(fault="error_event", at_byte=end - last), "t")
