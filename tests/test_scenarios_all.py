"""The seventy fault scenarios are all there, each under its number and name, and each for both event loops."""

import ast
import re
from pathlib import Path

import pytest

NAMES = [
    "refuse",
    "dns-fail",
    "syn-blackhole",
    "accept-then-fin",
    "rst-before-read",
    "fin-after-request",
    "rst-after-request",
    "silent-headers",
    "half-status-line",
    "half-headers",
    "1xx-forever",
    "huge-header",
    "cl-and-te",
    "tls-on-plain",
    "bad-cert",
    "redirect-x5",
    "status-429-ra",
    "status-429-ra-date",
    "status-429-ra-huge",
    "status-500",
    "status-400-active-run",
    "error-body-endless",
    "200-json",
    "200-html",
    "empty-200",
    "fin-after-created",
    "rst-mid-delta",
    "cut-everywhere",
    "close-delimited-cut",
    "cl-short",
    "bad-chunk-size",
    "chunk-overrun",
    "bad-trailer",
    "chunk-size-overflow",
    "stall-mid-event",
    "stall-between-events",
    "pings-only",
    "drip",
    "missing-done",
    "done-no-terminal",
    "half-done",
    "open-after-done",
    "late-zero-chunk",
    "data-after-done",
    "error-event",
    "unknown-event",
    "bad-json",
    "deep-json",
    "lone-surrogate",
    "invalid-utf8",
    "endless-line",
    "endless-block",
    "endless-comment",
    "gzip-unasked",
    "tiny-chunks",
    "slow-consumer",
    "cancel-each-await",
    "break-early",
    "exit-by-exception",
    "aclose-other-task",
    "two-readers",
    "loop-shutdown",
    "stale-keepalive",
    "pool-poison",
    "fan-out-one-fails",
    "fan-out-server-dies",
    "fd-exhausted",
    "relay-client-gone",
    "relay-inject",
    "silent-180s",
]
SCENARIO = re.compile(r"test_(\d\d)_(\w+)")


def scenarios() -> dict[str, ast.AST]:
    """Every scenario's test, by its name."""
    return {
        node.name: node
        for path in Path(__file__).parent.glob("test_scenarios_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.AsyncFunctionDef, ast.FunctionDef)) and SCENARIO.fullmatch(node.name)
    }


def test_every_scenario_has_a_test_under_its_number_and_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(NAMES) == 70
    found = scenarios()
    wanted = {f"test_{number:02}_{name.replace('-', '_')}" for number, name in enumerate(NAMES, 1)}
    there = wanted & found.keys()
    with capsys.disabled():
        print(f"\n{len(there)} of {len(wanted)} fault scenarios")
    assert there == wanted
    strays = {name for name in found if not any(name.startswith(known) for known in wanted)}
    assert strays == set()


def test_every_scenario_is_asynchronous_and_so_runs_on_both_event_loops() -> None:
    assert [name for name, node in scenarios().items() if not isinstance(node, ast.AsyncFunctionDef)] == []
