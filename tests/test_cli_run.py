"""`aiorunstream run` where the run does not complete: what is told, and how it exits."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from raw_server import CREATED, DELTA, in_thread, silent_after
from test_cli import command, environment, run
from typer.testing import CliRunner, Result

from aiorunstream.cli import app
from aiorunstream.items import BreakOff, CallTool, Cancel, Expire, Fail, Item
from aiorunstream.testing import ThreadedServer


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer() as running:
        yield running


def run_here(server: ThreadedServer, *more: str) -> Result:
    """In this process, which is faster."""
    arguments = ["run", "-a", server.create_assistant().id, "-m", "Hello", "--base-url", server.base_url, *more]
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["plain", "json"])
@pytest.mark.parametrize(
    ("item", "code", "told"),
    [
        (Fail("no more tokens", "rate_limit_exceeded"), 1, "[failed] rate_limit_exceeded: no more tokens\n"),
        (Fail("one\n\x1b[2Jtwo"), 1, "[failed] server_error: one [2Jtwo\n"),
        (BreakOff("max_prompt_tokens"), 1, "[incomplete] max_prompt_tokens\n"),
        (BreakOff("content_filter"), 1, "[incomplete] the server does not say why\n"),  # runs have no such reason
        (Cancel(), 1, "[cancelled]\n"),
        (Expire(), 1, "[expired]\n"),
        (CallTool("get_weather", "{}"), 3, "[requires_action] it waits for the output of get_weather\n"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, (str, int)) else "",
)
def test_a_run_that_does_not_complete_says_why_in_a_line(
    server: ThreadedServer, item: Item, code: int, told: str, more: tuple[str, ...]
) -> None:
    server.script([["Well", item]])
    ended = run_here(server, *more)

    assert ended.exit_code == code
    assert ended.stderr.startswith(told)
    assert ended.stderr.count("\n") == 1
    assert ("outcome: " in ended.stdout) == (not more)


def test_a_run_that_waits_names_all_its_functions(server: ThreadedServer) -> None:
    server.script([[CallTool("get_weather", "{}"), CallTool("roll_dice", "{}")]])

    assert run_here(server).stderr.endswith(" it waits for the output of get_weather, roll_dice\n")


def test_a_run_that_completes_says_nothing_more(server: ThreadedServer) -> None:
    ended = run_here(server)

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "outcome: completed\nrun: run_" in ended.stdout
    assert "(of the first run)" not in ended.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_leaves_with_130_and_without_a_word() -> None:
    with in_thread(silent_after(CREATED, DELTA)) as server:
        arguments = command("run", "-a", "asst_raw", "-t", "thread_raw", "--base-url", server.base_url)
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=45)

    assert (process.returncode, errors) == (130, b"")


@pytest.mark.parametrize(
    "command_line", [("run", "-a", "a", "-m", "x"), ("chat",), ("batch", "r", "-o", "o"), ("doctor",)]
)
def test_a_base_url_that_a_script_has_left_empty_is_named(command_line: tuple[str, ...]) -> None:
    refused = CliRunner().invoke(app, [*command_line, "--base-url", ""])

    assert refused.exit_code == 2
    assert "'--base-url'" in refused.stderr
    assert "it is empty" in refused.stderr


def test_without_a_server_it_names_the_option() -> None:
    refused = run("run", "-a", "asst_1", "-m", "x")

    assert refused.returncode == 2
    assert "Missing option '--base-url' (env var: 'OPENAI_BASE_URL')" in refused.stderr
