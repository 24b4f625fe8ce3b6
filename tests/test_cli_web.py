"""`aiorunstream demo --web`, as a process of its own. What its page does is in test_web_example.py."""

import json
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from chat_site import EXAMPLE, command, demo, environment

ROOT = Path(__file__).resolve().parents[1]


def post(url: str, body: object) -> bytes:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_url_answers_there_and_stops_cleanly(number: signal.Signals) -> None:
    with demo() as (process, url, _):
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.read() == (EXAMPLE / "index.html").read_bytes()
        thread_id = json.loads(post(f"{url}api/threads", {}))["id"]
        streamed = post(f"{url}api/threads/{thread_id}/runs", {"text": "What is the weather in Oslo?"})
        assert b"event: thread.message.delta" in streamed
        assert streamed.endswith(b"event: done\ndata: [DONE]\n\n")
        process.send_signal(number)
        said, errors = process.communicate(timeout=20)

    assert process.returncode == 0
    assert (said, errors) == ("", "stopped\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_answer_that_is_under_way_does_not_keep_it_from_stopping() -> None:
    with demo() as (process, url, _):
        thread_id = json.loads(post(f"{url}api/threads", {}))["id"]
        body = json.dumps({"text": "Tell me a long story"}).encode()
        request = urllib.request.Request(
            f"{url}api/threads/{thread_id}/runs", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)

    assert process.returncode == 0
    assert errors == "stopped\n"


def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            command("--port", str(port)), capture_output=True, text=True, timeout=40, env=environment(), check=False
        )

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"cannot listen at 127.0.0.1:{port}: ")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", ["fastapi", "starlette", "uvicorn"])
def test_a_missing_extra_is_told_in_a_line(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from aiorunstream.__main__ import main; main()"
    refused = subprocess.run(
        [sys.executable, "-c", code, "demo", "--web"],
        capture_output=True,
        text=True,
        timeout=40,
        env=environment(),
        check=False,
    )

    assert refused.returncode == 1
    assert refused.stderr == f"aiorunstream: demo --web needs {missing}: pip install 'aiorunstream[web]'\n"
    assert refused.stdout == ""


def test_the_example_is_in_the_wheel_where_the_command_looks_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included: dict[str, str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {EXAMPLE.relative_to(ROOT).as_posix(): "aiorunstream/cli/chat_example"}
