"""The command line, as a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import anyio.to_thread
import msgspec
import pytest

from aiorunstream import AsyncClient, __version__
from aiorunstream.events import AssistantStreamEvent
from aiorunstream.server import AssistantsServer

DECODER = msgspec.json.Decoder(AssistantStreamEvent)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aiorunstream", *arguments]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", **more}


def run(*arguments: str, stdin: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=40,
        env=environment(**more),
        check=False,
    )


@contextmanager
def serving(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`aiorunstream serve` with the base URL it printed; stopped at the end."""
    process = subprocess.Popen(
        command("serve", "--port", "0", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_the_demo_shows_a_run_from_start_to_end_and_exits_with_zero() -> None:
    shown = run("demo", "--plain", "--delay", "0.001")

    assert shown.returncode == 0, shown.stderr
    names = re.findall(r"^ *[\d.]+ ms  (thread\S+)", shown.stdout, re.MULTILINE)
    assert names[0] == "thread.run.created"
    assert names[-1] == "thread.run.completed"
    assert names.count("thread.run.requires_action") == 1  # the tool call's round trip
    assert "thread.run.step.delta" in names
    deltas = names.count("thread.message.delta")
    assert deltas >= 5
    assert f"events: {len(names)} ({len(set(names))} kinds)" in shown.stdout
    assert "outcome: completed\nruns: 2\n" in shown.stdout
    assert "tokens: 104 in, 39 out" in shown.stdout  # of both runs, as the other figures are
    for figure in ("time to first event", "events per second"):
        assert re.search(rf"^{figure}: [\d.,]+", shown.stdout, re.MULTILINE), figure
    assert re.search(r"^time to first text: [\d.]+ ms \(of the first run\)$", shown.stdout, re.MULTILINE)


def test_the_demo_shows_the_same_over_responses() -> None:
    shown, bridged = (run("demo", "--plain", "--delay", "0", "--backend", name) for name in ("runs", "responses"))
    assert bridged.returncode == 0, bridged.stderr
    assert "/responses and /conversations" in bridged.stdout
    told = [re.findall(r"^ *[\d.]+ ms  (thread\S+)", one.stdout, re.MULTILINE) for one in (shown, bridged)]
    assert told[0] == told[1]
    assert "outcome: completed" in bridged.stdout


def test_the_demo_says_what_it_was_told_to_say() -> None:
    shown = run("demo", "--plain", "--delay", "0", "--message", "Is [bold]this[/bold] markup?")

    assert "You say: Is [bold]this[/bold] markup?" in shown.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_its_base_url_and_stops_cleanly(number: signal.Signals) -> None:
    with serving() as (process, base_url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", base_url)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 0
    assert errors == "stopped\n"


def test_serve_refuses_an_address_that_others_can_reach() -> None:
    refused = run("serve", "--host", "0.0.0.0")  # that is the point

    assert refused.returncode == 2
    assert "--allow-remote" in refused.stderr or "allow_remote" in refused.stderr


def test_serve_says_in_a_line_that_its_port_is_taken() -> None:
    with serving() as (_, base_url):
        port = base_url.split(":")[-1].removesuffix("/v1")
        refused = run("serve", "--port", port)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"cannot listen at 127.0.0.1:{port}")
    assert "Traceback" not in refused.stderr


async def test_run_prints_one_event_a_line_as_json() -> None:
    async with AssistantsServer() as server:
        assistant = await make_assistant(server)
        shown = await in_thread("run", "-a", assistant, "-m", "Hello", "--json", OPENAI_BASE_URL=server.base_url)

    assert shown.returncode == 0, shown.stderr
    events = [DECODER.decode(line) for line in shown.stdout.splitlines()]
    assert events[0].event == "thread.run.created"
    assert events[-1].event == "thread.run.completed"


async def test_run_goes_on_with_a_thread_and_takes_its_message_from_a_pipe() -> None:
    async with AssistantsServer() as server, AsyncClient(base_url=server.base_url) as client:
        assistant = await make_assistant(server)
        thread = await client.threads.create(messages=[{"role": "user", "content": "The first"}])
        shown = await in_thread(
            "run", "-a", assistant, "-t", thread.id, "--base-url", server.base_url, stdin="From a pipe\n"
        )

    assert shown.returncode == 0, shown.stderr
    assert "From a pipe" in "".join(
        eval(text) for text in re.findall(r"thread.message.delta +('.*'|\".*\")", shown.stdout)
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "x", "--base-url", "http://user:secret@127.0.0.1/v1"), "user name or password"),
        (("-m", "x", "--base-url", "http://127.0.0.1:9/v1"), "APIConnectionError"),
        (("--base-url", "http://127.0.0.1:9/v1"), "--message"),
    ],
)
def test_run_says_what_is_wrong_without_a_traceback(arguments: tuple[str, ...], says: str) -> None:
    refused = run("run", "-a", "asst_1", *arguments)

    assert refused.returncode in (1, 2)
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "secret" not in refused.stderr


def test_without_its_extra_the_command_line_names_the_extra_in_one_line() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['aiorunstream', 'demo']\n"
        "from aiorunstream.__main__ import main; main()"
    )
    refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False)

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "aiorunstream[cli]" in refused.stderr


def test_version_is_the_package_version() -> None:
    assert run("--version").stdout == f"{__version__}\n"


async def make_assistant(server: AssistantsServer) -> str:
    async with AsyncClient(base_url=server.base_url) as client:
        return (await client.assistants.create(model="test")).id


async def in_thread(*arguments: str, stdin: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    return await anyio.to_thread.run_sync(lambda: run(*arguments, stdin=stdin, **more))
