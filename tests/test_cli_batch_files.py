"""The files of `aiorunstream batch`: pipes in, disks that are full, somebody who watches, and a second process."""

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_site import asking, batch, command, environment, results_in, write_requests

from aiorunstream.server import Pause, Reply
from aiorunstream.testing import ThreadedServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes, terminals and locks of POSIX")


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer() as running:
        yield running


@pytest.fixture
def requests(tmp_path: Path, server: ThreadedServer) -> Path:
    return write_requests(tmp_path / "requests.jsonl", asking(20, server.create_assistant().id))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def test_requests_come_from_standard_input(server: ThreadedServer, requests: Path, output: Path) -> None:
    arguments = command("-", "-o", output, "--base-url", server.base_url)
    ended = subprocess.run(
        arguments, input=requests.read_bytes(), capture_output=True, env=environment(), check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert {str(result["key"]) for result in results_in(output)} == {f"ticket {number}" for number in range(20)}
    assert sorted(path.name for path in output.parent.iterdir()) == ["requests.jsonl", "results.jsonl"]

    more = requests.read_bytes() + b'{"key": "more", "content": "x", "assistant_id": }\n'
    bad = subprocess.run(
        [*arguments, "--resume"], input=more, capture_output=True, env=environment(), check=False, timeout=60
    )
    assert bad.returncode == 2
    assert b"standard input, line 21: this is no JSON" in bad.stderr


def test_a_dash_is_standard_input_even_where_a_file_has_that_name(server: ThreadedServer, requests: Path) -> None:
    folder = requests.parent
    (folder / "-").write_text("no request")
    ended = subprocess.run(
        command("-", "-o", "results.jsonl", "--base-url", server.base_url),
        input=requests.read_bytes(),
        capture_output=True,
        env=environment(),
        check=False,
        timeout=60,
        cwd=folder,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(results_in(folder / "results.jsonl")) == 20


def test_results_do_not_go_to_a_file_that_is_called_dash(requests: Path) -> None:
    ended = batch(requests, "-o", "-", cwd=requests.parent)
    assert ended.returncode == 2
    assert "Invalid value for '--output': results need a file, for --resume" in ended.stderr
    assert sorted(path.name for path in requests.parent.iterdir()) == ["requests.jsonl"]


@pytest.mark.parametrize("source", ["requests.jsonl", "-"])
def test_results_do_not_go_to_a_directory(requests: Path, source: str) -> None:
    ended = batch(source, "-o", ".", cwd=requests.parent)
    assert (ended.returncode, ended.stderr) == (1, ". is a directory: results need a file\n")


def test_a_standard_input_that_is_closed_is_told(output: Path) -> None:
    program = command("-", "-o", output)
    ended = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *program], capture_output=True, env=environment(), check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (1, b"there is no standard input\n")
    assert not output.exists()


def test_requests_come_from_a_pipe_with_a_name(server: ThreadedServer, requests: Path, output: Path) -> None:
    pipe = output.with_name("pipe")
    os.mkfifo(pipe)
    program = command(pipe, "-o", output, "--base-url", server.base_url, "--quiet")
    with subprocess.Popen(program, env=environment(), stderr=subprocess.PIPE) as process:
        pipe.write_bytes(requests.read_bytes())
        assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0
    assert len(results_in(output)) == 20


def test_a_full_disk_is_told_and_what_was_written_before_is_gone_on_with(
    server: ThreadedServer, requests: Path, output: Path
) -> None:
    arguments = (requests, "-o", output, "--base-url", server.base_url)
    ended = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{output}: File too large\nstopped: ")
    assert "the same command with --resume goes on" in ended.stderr
    assert not output.read_bytes().endswith(b"\n")  # a part of a line was taken

    again = batch(*arguments, "--resume")
    assert again.returncode == 0, again.stderr
    assert {str(result["key"]) for result in results_in(output)} == {f"ticket {number}" for number in range(20)}


def test_a_second_process_is_refused_and_does_no_harm(server: ThreadedServer, requests: Path, output: Path) -> None:
    quick: list[Reply] = [["Quick."]] * 5
    slow: list[Reply] = [["Slow.", Pause(120)]] * 15
    server.script([*quick, *slow])
    arguments = (requests, "-o", output, "--base-url", server.base_url)
    with subprocess.Popen(command(*arguments), env=environment(), stderr=subprocess.PIPE) as first:
        deadline = time.monotonic() + 30
        while not output.exists() or output.read_bytes().count(b"\n") < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for how in ("--resume", "--force"):
            second = batch(*arguments, how)
            assert second.returncode == 1
            assert second.stderr == f"{output}.journal is in use: another batch writes there\n"
        first.send_signal(signal.SIGINT)
        _, told = first.communicate(timeout=60)
    assert (first.returncode, b"stopped: 5 completed, 0 failed, 15 left" in told) == (130, True)
    assert [result["text"] for result in results_in(output)] == ["Quick."] * 5


def test_somebody_who_watches_sees_a_bar(server: ThreadedServer, requests: Path, output: Path) -> None:
    program = command(requests, "-o", output, "--base-url", server.base_url, "-n", "4")
    ours, theirs = pty.openpty()
    with subprocess.Popen(program, env=environment(TERM="xterm"), stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # what Linux says where the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert b"/20" in shown
    assert b"running, 0 failed" in shown
    assert b"tokens/s" in shown
    assert b"20 completed, 0 failed" in shown
    assert b"/100" not in shown  # a bar that does not know yet how many there are


def test_where_nobody_watches_lines_come_now_and_then(tmp_path: Path, output: Path) -> None:
    script = (
        "import sys; from aiorunstream.cli import _batch_progress, app; _batch_progress._BETWEEN_LINES = 0.1;"
        "app(['batch', *sys.argv[1:]])"
    )
    with ThreadedServer(delay=0.02) as server:
        requests = write_requests(tmp_path / "r.jsonl", asking(20, server.create_assistant().id))
        ended = subprocess.run(
            [sys.executable, "-c", script, str(requests), "-o", str(output), "--base-url", server.base_url, "-n", "5"],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
            timeout=60,
        )
    *lines, last = ended.stderr.splitlines()
    assert lines
    assert all("/20 runs, " in line and "\x1b" not in line for line in lines)
    assert any("5 running, 0 failed, " in line and line.endswith(" left") for line in lines)
    assert last.startswith("20 completed, 0 failed; 460 tokens in ")
