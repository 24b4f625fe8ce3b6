"""Options are shown whole, and those that would do nothing are refused."""

import pytest
from test_cli import environment, run
from typer.testing import CliRunner

from aiorunstream.cli import _demo, app

COMMANDS = {
    "demo": ("--message", "--backend"),
    "serve": ("--allow-remote", "--dialect"),
    "run": ("--assistant-id", "--thread-id"),
    "chat": ("--instructions", "--assistant-id"),
    "batch": ("--max-concurrency", "--retry-failed"),
    "decode": ("--dialect",),
    "doctor": ("--assistant-id", "--timeout"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_the_names_of_options_whole_on_a_narrow_terminal(name: str) -> None:
    shown = CliRunner(env={**environment(), "COLUMNS": "40"}).invoke(app, [name, "--help"])

    assert shown.exit_code == 0
    for option in COMMANDS[name]:
        assert option in shown.stdout
    assert "…" not in shown.stdout
    assert "<bool>" not in shown.stdout  # a flag takes no value


def come_back(_port: int) -> None:
    """In place of a server."""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("demo", "--web", "--message", "Hello"), "--message cannot be used with --web"),
        (("demo", "--web", "--delay", "0.04", "--plain"), "--plain and --delay cannot be used with --web"),
        (("demo", "--web", "--backend", "runs"), "--backend cannot be used with --web"),
        (("demo", "--port", "0"), "--port is for --web"),
        (("serve", "--speed", "1"), "--speed is for --replay"),
        (("serve", "--replay", "none.rec", "--delay", "0"), "--delay cannot be used with --replay"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_demo, "serve_chat", come_back)
    refused = CliRunner().invoke(app, arguments)

    assert refused.exit_code == 2
    assert told in refused.stderr
    assert refused.stdout == ""


def test_what_is_refused_is_told_without_boxes() -> None:
    refused = run("serve", "--speed", "2")

    assert refused.stderr.splitlines()[-1] == "Error: Invalid value: --speed is for --replay"
