"""`run --record`, `decode` and `serve --replay`, as processes of their own."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from raw_server import CREATED, DELTA, RUN_STREAM, answering, event, in_thread, silent_after, stream_answer
from test_cli import DECODER, command, environment, run, serving
from typer.testing import CliRunner, Result

from aiorunstream.cli import app

KEY = "sk-of-the-command-line"
RUN = ("run", "-a", "asst_raw", "-t", "thread_raw")


def decode(path: Path | str, *more: str, stdin: bytes | None = None) -> Result:
    """In this process, which is faster."""
    return CliRunner().invoke(app, ["decode", str(path), *more], input=stdin)


def recorded(path: Path, base_url: str, *more: str) -> subprocess.CompletedProcess[str]:
    return run(*RUN, "--base-url", base_url, "--record", str(path), *more, OPENAI_API_KEY=KEY)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "run.rec"
    with in_thread(answering(stream_answer())) as server:
        assert recorded(path, server.base_url).returncode == 0
    return path


def test_a_stream_is_recorded_decoded_and_served_again(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    quoting = event("thread.run.in_progress", {"id": "run_raw", "object": "thread.run", "instructions": f"Not {KEY}"})
    with in_thread(answering(stream_answer(CREATED, quoting, *RUN_STREAM[1:]))) as server:
        heard = recorded(path, server.base_url, "--json")

    assert heard.returncode == 0, heard.stderr
    assert KEY in heard.stdout
    assert KEY not in path.read_text()
    assert "thread_raw" in path.read_text()
    decoded = decode(path, "--json")
    assert decoded.exit_code == 0, decoded.stderr
    assert decoded.stdout == heard.stdout.replace(KEY, "***")

    with serving("--replay", str(path), "--speed", "100") as (_, base_url):
        again = run(*RUN, "--base-url", base_url, "--json")
    assert again.returncode == 0, again.stderr
    assert again.stdout == decoded.stdout


def test_decoding_tells_of_the_events_and_of_the_stream(recording: Path) -> None:
    told = decode(recording)

    assert told.exit_code == 0, told.stderr
    for line in (
        "thread.message.delta          'a lighthouse '",
        "outcome: completed",
        "dialect: openai",
        "ended as it should",
    ):
        assert line in told.stdout
    assert "seen: sends no end mark" not in told.stdout


def test_a_recording_is_for_its_owner_and_none_is_written_over(recording: Path) -> None:
    before = recording.read_bytes()
    with in_thread(answering(stream_answer(CREATED))) as server:
        refused = recorded(recording, server.base_url)

    assert stat.S_IMODE(recording.stat().st_mode) == 0o600
    assert refused.returncode == 2
    assert "not written over" in refused.stderr
    assert server.requests == []
    assert recording.read_bytes() == before


def test_where_no_stream_was_opened_there_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    refused = recorded(path, "http://127.0.0.1:9/v1")

    assert refused.returncode == 1
    assert "nothing was recorded" in refused.stderr
    assert not path.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_stops_the_recording_and_not_the_run(tmp_path: Path) -> None:
    code = (
        "import os, pathlib\nfrom aiorunstream.cli._record import RecordingFile\n"
        f"file = RecordingFile(pathlib.Path({str(tmp_path / 'run.rec')!r}))\n"
        "os.dup2(os.open('/dev/full', os.O_WRONLY), file._file)\nfile.write(b'x')\nprint(file.problem)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False)

    assert found.stdout == "No space left on device\n", found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_after_ctrl_c_there_is_a_whole_recording_of_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    with in_thread(silent_after(CREATED, DELTA)) as server:
        arguments = command(*RUN, "--base-url", server.base_url, "--record", str(path), "--json")
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline(), process.stdout.readline()]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=45)

    decoded = decode(path, "--json")
    assert decoded.stdout.encode() == b"".join(lines)
    assert decoded.exit_code == 1
    assert '"end":"left"' in path.read_text()


def test_what_curl_has_kept_is_decoded_too(tmp_path: Path) -> None:
    path = tmp_path / "captured.txt"
    path.write_bytes(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(RUN_STREAM))
    decoded = decode(path, "--json")

    assert decoded.exit_code == 0, decoded.stderr
    assert len([DECODER.decode(line) for line in decoded.stdout.splitlines()]) == 4
    assert decode("-", "--json", stdin=path.read_bytes()).stdout == decoded.stdout


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_an_answer_that_is_no_stream_is_told_with_what_the_server_said(line_end: bytes) -> None:
    head = line_end.join([b"HTTP/1.1 404 Not Found", b"Server: some", b"Content-Type: application/json", b"", b""])
    told = decode("-", stdin=head + b'{"error":\n {"message": "No thread \x1b[2J"}}')

    assert told.exit_code == 1
    assert told.stderr == 'the server answered 404, and no stream: {"error": {"message": "No thread [2J"}}\n'
    assert "seen: " not in told.stdout
    assert "dialect: " not in told.stdout


@pytest.mark.parametrize(
    ("head", "body", "says"),
    [
        (b"HTTP/2 200\r\ncontent-type: text/html; charset=utf-8\r\n\r\n", b"<html>", "200 with text/html, and no stream: <html>"),
        (b"HTTP/2 502\r\n\r\n", b"", "502, and no stream: nothing"),
        (b"HTTP/2 500\r\n\r\n", b"long " * 1000, f"500, and no stream: {'long ' * 40}…"),
    ],
    ids=["html", "nothing", "long"],
)  # fmt: skip
def test_so_is_one_with_a_page_with_nothing_and_with_very_much(head: bytes, body: bytes, says: str) -> None:
    told = decode("-", "--json", stdin=head + body)

    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == f"the server answered {says}\n"


def test_events_count_more_than_the_content_type() -> None:
    told = decode("-", stdin=b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"".join(RUN_STREAM))

    assert (told.exit_code, told.stderr) == (0, "")


@pytest.mark.parametrize("data", [b"", b"root:x:0:0:root:/root:/bin/bash\n"], ids=["nothing", "another file"])
def test_nothing_is_said_of_the_server_where_there_is_no_event(data: bytes) -> None:
    told = decode("-", stdin=data)

    assert told.exit_code == 1
    assert "StreamTruncatedError" in told.stderr
    assert "seen: " not in told.stdout
    assert "dialect: " not in told.stdout


def test_what_cannot_be_read_is_told_with_its_place_after_what_can(tmp_path: Path) -> None:
    path = tmp_path / "captured.txt"
    path.write_bytes(CREATED + DELTA + event("thread.run.completed", b'{"id": ') + DELTA)
    decoded = decode(path)

    assert decoded.exit_code == 1
    assert "a lighthouse" in decoded.stdout
    assert "outcome: none" in decoded.stdout
    assert "StreamProtocolError: the payload of 'thread.run.completed' is not valid JSON" in decoded.stderr
    bytes_before = len(CREATED + DELTA + event("thread.run.completed", b'{"id": '))
    assert f"up to byte {bytes_before} of the stream" in decoded.stderr


def test_a_recording_that_breaks_off_is_shown_and_served_up_to_there(recording: Path, tmp_path: Path) -> None:
    lines = recording.read_bytes().splitlines(keepends=True)
    broken = tmp_path / "broken.rec"
    first = msgspec.json.encode({"ms": 0.0, "text": (CREATED + DELTA).decode()}) + b"\n"
    broken.write_bytes(lines[0] + first + b'{"ms": 1.0, "te')
    place = f"line 3 (byte {len(lines[0] + first)})"

    decoded = decode(broken)
    assert decoded.exit_code == 1
    assert "a lighthouse" in decoded.stdout
    assert place in decoded.stderr

    with serving("--replay", str(broken)) as (process, base_url):
        heard = run(*RUN, "--base-url", base_url, "--json")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=45)
    assert heard.returncode == 1
    assert len(heard.stdout.splitlines()) == 2
    assert "StreamInterruptedError" in heard.stderr
    assert place in told


@pytest.mark.parametrize("arguments", [("decode",), ("serve", "--port", "0", "--replay")])
def test_a_file_that_is_none_is_said_in_a_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, [*arguments, str(tmp_path / "none.rec")])

    assert refused.exit_code == 1
    assert refused.stderr == f"{tmp_path / 'none.rec'}: No such file or directory\n"


def test_what_a_server_says_does_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    path = tmp_path / "captured.txt"
    path.write_bytes(event("thread.\x1b[2Jodd", {"id": "x"}) + b"".join(RUN_STREAM))
    decoded = decode(path)

    assert "\x1b" not in decoded.stdout
    assert "thread.[2Jodd" in decoded.stdout
    assert "not known: 1" in decoded.stdout
    assert os.fsencode("\x1b") not in decoded.stderr.encode()
