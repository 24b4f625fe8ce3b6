"""`aiorunstream batch` as a process of its own: what it writes, what it says, how it ends, and how it goes on."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from batch_site import asking, batch, command, environment, results_in, runs_of, write_requests

from aiorunstream.server import CallTool, Fail, Fault
from aiorunstream.testing import ThreadedServer


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


def test_each_request_becomes_a_line(server: ThreadedServer, requests: Path, output: Path) -> None:
    ended = batch(requests, "-o", output, "--base-url", server.base_url)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    results = {str(result["key"]): result for result in results_in(output)}
    assert results.keys() == {f"ticket {number}" for number in range(20)}
    one = results["ticket 7"]
    assert one["status"] == "completed"
    assert "“Ticket 7”" in str(one["text"])
    assert one["usage"] == {"prompt_tokens": 2, "completion_tokens": 21, "total_tokens": 23}
    assert str(one["run_id"]).startswith("run_")
    assert (one["error"], one["found"]) == (None, False)
    assert isinstance(one["seconds"], float)
    assert "20 completed, 0 failed; 460 tokens" in ended.stderr
    assert not output.with_name("results.jsonl.journal").exists()


def test_without_a_server_it_brings_one(tmp_path: Path, output: Path) -> None:
    ended = batch(write_requests(tmp_path / "r.jsonl", asking(2)), "-o", output)
    assert ended.returncode == 0, ended.stderr
    assert "a server on this machine answers, without a model" in ended.stderr
    assert [result["status"] for result in results_in(output)] == ["completed", "completed"]


def test_what_fails_has_a_line_that_says_why(server: ThreadedServer, requests: Path, output: Path) -> None:
    server.script([[Fail("no", code="rate_limit_exceeded")]], repeat=True)
    server.inject(Fault("refuse", status=400, operation="create_run", times=3))
    ended = batch(requests, "-o", output, "--base-url", server.base_url)

    assert ended.returncode == 1
    errors = [msgspec.convert(result["error"], dict[str, object]) for result in results_in(output)]
    kinds = sorted(str(error["type"]) for error in errors)
    assert kinds == ["BadRequestError"] * 3 + ["rate_limit_exceeded"] * 17
    assert "0 completed, 20 failed" in ended.stderr

    server.engine = ThreadedServer().engine
    again = batch(requests, "-o", output, "--base-url", server.base_url, "--resume", "--retry-failed")
    assert again.returncode == 0, again.stderr
    assert sorted(str(result["key"]) for result in results_in(output)) == sorted(
        f"ticket {number}" for number in range(20)
    )


def test_a_wrong_key_ends_it_at_once_and_is_not_shown(tmp_path: Path, output: Path) -> None:
    with ThreadedServer(api_keys="right") as server:
        requests = write_requests(tmp_path / "r.jsonl", asking(50, "asst_1"))
        ended = batch(requests, "-o", output, "--base-url", server.base_url, OPENAI_API_KEY="wrong-key")
        assert ended.returncode == 1
        assert "AuthenticationError" in ended.stderr
        assert "stopped: 0 completed, 0 failed, 50 left" in ended.stderr
        assert "wrong-key" not in ended.stderr + output.read_text()
        assert len(server.requests) <= 100


def test_bad_lines_are_named_before_anything_is_sent(server: ThreadedServer, tmp_path: Path, output: Path) -> None:
    requests = write_requests(
        tmp_path / "r.jsonl", [{"key": "a", "content": "x"}, {"key": "b", "contnt": "x"}, {"key": "a", "content": "x"}]
    )
    ended = batch(requests, "-o", output, "--base-url", server.base_url, "-a", "asst_1")
    assert ended.returncode == 2
    assert "r.jsonl, line 2: contnt: there is no such field" in ended.stderr
    assert "r.jsonl, line 3: key: line 1 has 'a' too" in ended.stderr
    assert server.requests == ()
    assert not output.exists()

    skipping = batch(
        requests, "-o", output, "--base-url", server.base_url, "-a", server.create_assistant().id, "--skip-bad"
    )
    assert skipping.returncode == 1
    assert sorted(str(result["status"]) for result in results_in(output)) == ["None", "None", "completed"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume", "--force"], "either --resume or --force"),
        (["--retry-failed"], "--retry-failed is for --resume"),
        (["--timeout", "0"], "must be above 0 seconds"),
        (["--max-concurrency", "0"], "'--max-concurrency'"),
        (["-a", "asst_1"], "give --base-url too"),
        (["--tools", "nowhere:tools"], "nowhere"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    tmp_path: Path, output: Path, arguments: list[str], told: str
) -> None:
    ended = batch(write_requests(tmp_path / "r.jsonl", asking(1)), "-o", output, *arguments)
    assert ended.returncode == 2
    assert told in " ".join(ended.stderr.split())
    assert not output.exists()


def test_a_file_that_is_not_there_and_one_that_would_be_overwritten_are_named(tmp_path: Path, output: Path) -> None:
    missing = batch(tmp_path / "no.jsonl", "-o", output)
    assert (missing.returncode, missing.stderr.strip().endswith("no.jsonl is no file")) == (1, True)
    requests = write_requests(tmp_path / "r.jsonl", asking(1))
    same = batch(requests, "-o", requests)
    assert (same.returncode, "would be overwritten with its own results" in same.stderr) == (1, True)


TOOLS = """
from aiorunstream import ToolSet

def get_weather(city: str) -> str:
    return f"rain in {city}"

tools = ToolSet([get_weather])
"""


def test_functions_are_called_and_shown(server: ThreadedServer, tmp_path: Path, output: Path) -> None:
    (tmp_path / "mine.py").write_text(TOOLS)
    requests = write_requests(tmp_path / "r.jsonl", asking(2, server.create_assistant().id))
    server.script([[CallTool("get_weather", '{"city": "Oslo"}')], ["It rains."]] * 2)
    ended = batch(
        requests, "-o", output, "--base-url", server.base_url, "--tools", "mine:tools", "-n", "1", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    made = {"type": "function", "name": "get_weather", "arguments": '{"city": "Oslo"}', "output": "rain in Oslo"}
    for result in results_in(output):
        assert (result["text"], result["tool_calls"]) == ("It rains.", [made])


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, output: Path) -> None:
    with ThreadedServer(delay=0.02) as server:
        requests = write_requests(tmp_path / "r.jsonl", asking(40, server.create_assistant().id))
        arguments: list[str | Path] = [requests, "-o", output, "--base-url", server.base_url, "-n", "5"]
        process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, env=environment())
        with process:
            deadline = time.monotonic() + 30
            while not output.exists() or len(output.read_bytes().splitlines()) < 5:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "stopped: " in told
        assert "the same command with --resume goes on" in told
        assert "Traceback" not in told
        kept = len(results_in(output))
        assert 5 <= kept < 40

        refused = batch(*arguments)
        assert (refused.returncode, "give --resume" in refused.stderr) == (1, True)
        ended = batch(*arguments, "--resume")
        assert ended.returncode == 0, ended.stderr
        assert f"{kept:,} of 40 are done" in ended.stderr
        keys = [result["key"] for result in results_in(output)]
        assert sorted(map(str, keys)) == sorted(f"ticket {number}" for number in range(40))
        assert sum(run.status == "completed" for run in runs_of(server)) == 40  # none that finished was made again
        before = len(server.requests)
        assert batch(*arguments, "--resume").returncode == 0
        assert len(server.requests) == before  # nothing was left


def test_the_results_are_json_lines_anybody_can_read(server: ThreadedServer, requests: Path, output: Path) -> None:
    server.script([["a\nb\u2028c \x00 “é”"]], repeat=True)
    batch(requests, "-o", output, "--base-url", server.base_url)
    lines = output.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert {json.loads(line)["text"] for line in lines} == {"a\nb\u2028c \x00 “é”"}
