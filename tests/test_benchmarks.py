"""The benchmarks in tiny: every side answers every workload rightly, a wrong answer is refused, and the figures are read right."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from benchmarks import node, peer_names
from benchmarks.__main__ import WORKLOADS, Report
from benchmarks.child import Order, Told, side_of
from benchmarks.growth import Curve
from benchmarks.importing import cpu_of
from benchmarks.latency import run_latency
from benchmarks.many_streams import Figures, Probe, compare
from benchmarks.plots import bars, curves, draw
from benchmarks.races import RACES, Effort, why_not
from benchmarks.results import Aim, Result, Row, lines, markdown, result
from benchmarks.serving import Served, byte_server
from benchmarks.sides import BYTES, RELAY
from benchmarks.turns import Child, Sides
from benchmarks.wire import body_bytes
from benchmarks.workloads import MAKERS, workload

AMOUNTS = {"token-deltas": 150, "whole-events": 150, "one-by-one": 20, "byte-drip": 3, "heartbeats": 10, "tool-loop": 4}
KEYS = {maker: f"{maker}:{AMOUNTS.get(maker, 1)}" for maker in MAKERS}
TESTED = sorted({(side, race.key) for race in RACES for side in race.sides if side not in node.NODE_SIDES})
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def served() -> Generator[Served, None, None]:
    with byte_server(*KEYS.values(), "of-size:2:300", "cut:5:7") as served:
        yield served


@pytest.mark.parametrize("key", [*KEYS.values(), "of-size:2:300", "cut:5:7"])
def test_each_workload_says_what_it_is_to_say(key: str) -> None:
    given = workload(key)
    given.check()
    assert given.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the official client's, of its own methods
@pytest.mark.parametrize(("side", "key"), TESTED, ids=lambda name: name)
async def test_each_side_gives_the_right_answer(side: str, key: str, served: Served) -> None:
    if (why := why_not(side)) is not None:
        pytest.skip(why)
    thread = KEYS[key.removeprefix("flushed-")]
    given = workload(thread)
    words: list[str] = []
    async with side_of(side)(served.base_url) as read:
        counted = await read(thread if key in KEYS else f"flushed-{thread}", words)
    if side in BYTES:
        assert counted == body_bytes(given)
    elif side == "bare socket":
        assert counted > body_bytes(given)
    elif side == "msgspec floor":
        assert (counted, "".join(words)) == (len(given.payloads), given.text)
    else:
        assert (counted, "".join(words)) == (given.events, given.text)


@pytest.mark.parametrize("side", node.NODE_SIDES)
def test_each_side_in_node_gives_the_right_answer(side: str, served: Served) -> None:
    if (why := node.why_not(install=False)) is not None:
        pytest.skip(why)
    with Sides(served) as sides:
        for key in (KEYS["token-deltas"], KEYS["heartbeats"], KEYS["tool-loop"]):
            sides.child(side).check(key)


def test_a_side_that_gives_a_wrong_answer_is_not_timed(served: Served) -> None:
    key = "token-deltas:7"
    served.add([key])
    answer = served.folder / key
    answer.write_bytes(answer.read_bytes().replace(b'"value":" word3"', b'"value":" word4"'))
    with (
        Sides(served) as sides,
        pytest.raises(AssertionError, match="aiorunstream gives a wrong answer to token-deltas:7"),
    ):
        sides.child("aiorunstream").check(key)


def test_a_side_that_fails_is_named(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    with Sides(served) as sides, pytest.raises(RuntimeError, match="aiohttp \\+ json failed"):
        sides.child("aiohttp + json").do(Order("no-such-thread"))
    assert "Error" in capfd.readouterr().err


def test_sides_are_measured_in_turns(served: Served) -> None:
    with Sides(served) as sides:
        raw, floor = sides.in_turns(["aiorunstream", "msgspec floor"], KEYS["token-deltas"], rounds=2, seconds=0.0)
    assert (raw.side, floor.side) == ("aiorunstream", "msgspec floor")
    assert len(raw.cpu) == len(raw.wall) == len(floor.cpu) == 2
    assert raw.median > floor.median > 0


def test_how_late_each_event_was_is_told(served: Served) -> None:
    with Sides(served) as sides:
        told = sides.child("aiorunstream").do(Order("paced-5-500", late=True))
    assert told.counted == 7
    assert len(told.late) == 5
    assert all(0 < late < 5e9 for late in told.late)


def test_a_side_that_loses_events_while_it_is_timed_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(child: Child, order: Order) -> Told:
        told = whole(child, order)
        return told if order.check else msgspec.structs.replace(told, counted=told.counted - 1, late=told.late[1:])

    whole = Child.do
    monkeypatch.setattr(Child, "do", losing)
    effort = Effort(rounds=1, size=0.01, peers=False)
    with Sides(served) as sides:
        with pytest.raises(AssertionError, match="aiorunstream gives a wrong answer to token-deltas"):
            sides.in_turns(["aiorunstream"], KEYS["token-deltas"], rounds=1, seconds=0.0)
        with pytest.raises(AssertionError, match="aiorunstream gives a wrong answer to paced-20-100"):
            run_latency(sides, effort)


@pytest.mark.parametrize("words", [["0 "], ["0 ", "0 "], ["1 ", "0 "], ["0 ", "1 ", "1 "]])
def test_a_word_that_is_lost_or_wrong_or_told_twice_is_an_error(words: list[str]) -> None:
    probe = Probe("gather", 1, 2, 0.0, lambda: None)
    probe.opened("thread_0")
    for word in words:
        probe.said("thread_0", word)
    assert probe.over().errors > 0


def test_many_streams_with_a_wrong_answer_give_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = msgspec.json.encode(Figures(side="gather", streams=1, events=1, errors=1)).decode()
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(AssertionError, match="gather gives a wrong answer"):
        compare("gather", 1, 2, 0.0, "asyncio")


def test_what_cannot_be_run_is_left_out_with_a_reason() -> None:
    for side in (*peer_names.OPENAI, *peer_names.HTTPX, *node.NODE_SIDES):
        assert why_not(side, peers=False) == "peers are not asked for"
    assert why_not("aiorunstream", peers=False) is None
    missing = find_spec("starlette") is None
    assert all((why_not(side, peers=False) is not None) == missing for side in RELAY)


def test_what_a_program_takes_is_told(tmp_path: Path) -> None:
    assert 0 < cpu_of("pass", str(tmp_path)) < cpu_of("for _ in range(10_000_000): pass", str(tmp_path))
    with pytest.raises(AssertionError, match="raise SystemExit"):
        cpu_of("raise SystemExit(3)", str(tmp_path))


# -- the figures -------------------------------------------------------------------------------------------------------


def compared() -> Result:
    rows = [Row(side="ours", rounds=(1.0, 2.0, 4.0)), Row(side="theirs", rounds=(30.0, 20.0, 80.0))]
    aims = [Aim(side="theirs", at_least=18.0, ours="ours"), Aim(side="theirs", at_least=21.0, ours="ours")]
    return result(
        "drip", "slow", rows, [*aims, Aim(side="absent", at_least=1.0, ours="ours")], left_out=["absent: why"]
    )


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    found = compared()
    assert [(reached.ratio, reached.is_met) for reached in found.aims] == [(20.0, True), (20.0, False)]
    told = "\n".join(lines(found))
    assert "20.00 x" in told
    assert "21 times what ours takes: 20.00, NOT MET" in told
    assert "absent: why" in told


def test_the_table_in_markdown_has_a_row_for_each_side_and_aim() -> None:
    table = markdown([compared()])
    assert "| **drip**, slow, us an event | ours | 2 | 1 | 1.00 |" in table
    assert "|  | theirs | 30 | 20 | 20.00 |" in table
    assert "| drip, slow: theirs of ours | 21 | 20.00 (short) |" in table


def test_plots_are_whole_and_small(tmp_path: Path) -> None:
    points = ((10, 1.5), (1000, 1.4), (100_000, 1.6))
    grown = [Curve(name="run-length", against="events <all>", side=side, points=points) for side in ("decode", "ours")]
    draw([compared()], grown, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drip-slow.svg", "growth-run-length.svg"]
    for drawn, marks in ((bars(compared()), "rect"), (curves(grown), "circle")):
        assert len(drawn) < 10_000
        # Written by this program from these figures: nothing of it is anybody else's.
        assert len(ET.fromstring(drawn).findall(f"{{http://www.w3.org/2000/svg}}{marks}")) in (2, 6)


def test_one_command_measures_and_writes_everything(tmp_path: Path) -> None:
    told = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--no-peers", "--workload", "helper", "--json", str(told)]
    done = subprocess.run(
        [*command, "--plots", str(tmp_path), "--markdown", str(tmp_path / "table.md")],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "helper: in memory" in done.stdout
    assert "openai helper is left out: peers are not asked for" in done.stdout
    report = msgspec.json.decode(told.read_bytes(), type=Report)
    assert [found.workload for found in report.results] == ["helper", "helper"]
    assert {"python", "processor"} <= report.machine.keys()
    assert {"aiohttp", "msgspec"} <= report.versions.keys()
    assert report.method
    assert json.loads(told.read_bytes())["results"][0]["rows"][0]["side"] == "aiorunstream helper"
    assert (tmp_path / "helper-in-memory.svg").exists()
    assert "**helper**" in (tmp_path / "table.md").read_text()


def test_the_workloads_have_the_names_that_are_promised() -> None:
    assert set(WORKLOADS) == {
        "token-deltas", "one-huge-message", "byte-drip", "heartbeats", "many-streams", "tool-loop", "latency", "relay",
        "helper", "import",
    }  # fmt: skip
