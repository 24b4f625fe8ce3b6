"""`aiorunstream serve`: what is there from the start, and what is told where it cannot listen."""

import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from raw_server import RUN_STREAM
from test_cli import run, serving
from typer.testing import CliRunner

from aiorunstream.cli import app
from aiorunstream.cli._show import of_the_system


@pytest.mark.parametrize("dialect", ["openai", "litellm", "open-assistant-api"])
def test_the_assistant_of_the_documentation_is_there(dialect: str) -> None:
    with serving("--dialect", dialect, "--delay", "0") as (_, base_url):
        shown = run("run", "-a", "asst_1", "-m", "Hello", "--base-url", base_url)

    assert shown.returncode == 0, shown.stderr
    assert "outcome: completed" in shown.stdout


def test_it_is_there_where_a_recording_is_served_too(tmp_path: Path) -> None:
    path = tmp_path / "captured.txt"
    path.write_bytes(b"".join(RUN_STREAM))
    with (
        serving("--replay", str(path)) as (_, base_url),
        urllib.request.urlopen(f"{base_url}/assistants/asst_1", timeout=20) as answer,
    ):
        assert b'"asst_1"' in answer.read()


def no_such_name(*_: object, **__: object) -> object:
    raise socket.gaierror(-2, "Name or service not known")


def no_memory(*_: object, **__: object) -> object:
    raise OSError(12, "some words of the loop's own")


@pytest.mark.parametrize(
    ("problem", "told"), [(no_such_name, "Name or service not known"), (no_memory, "Cannot allocate memory")]
)
def test_a_host_that_cannot_be_found_is_told_in_the_system_s_words(
    problem: Callable[..., object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", problem)
    refused = CliRunner().invoke(app, ["serve", "--host", "nosuch.invalid", "--allow-remote"])

    assert refused.exit_code == 1
    assert refused.stderr == f"cannot listen at nosuch.invalid:8787: {told}\n"


def test_an_error_without_a_number_says_what_it_has() -> None:
    assert of_the_system(OSError("whatever it is")) == "whatever it is"


def test_what_curl_has_kept_of_a_refusal_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "captured.txt"
    path.write_bytes(b'HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n\r\n{"error": "no\x1b[2J"}')
    refused = CliRunner().invoke(app, ["serve", "--port", "0", "--replay", str(path)])

    assert refused.exit_code == 1
    assert refused.stderr == f'{path}: the server answered 404, and no stream: {{"error": "no[2J"}}\n'
