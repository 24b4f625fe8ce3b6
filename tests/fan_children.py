"""Processes of the fan-out's tests: the server of very many runs, and a client whose descriptors run out."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from fan import request

from aiorunstream import APIConnectionError, AsyncClient, RetryPolicy, Timeouts
from aiorunstream.fanout import RunFailure, RunResult, gather_runs

SERVER = Path(__file__).resolve().parents[1] / "benchmarks" / "many_server.py"
PATIENT = Timeouts(connect=30, first_event=60, idle=60)


class ManyServer:
    """The server, and what may be said to it. `process` is ended with the block it was made in."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.port = int(self._line())

    @property
    def base_url(self) -> str:
        """For a client of it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def say(self, line: str) -> None:
        """Says a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def report(self) -> dict[str, int]:
        """How many POSTs and cancels came, and how many connections are open."""
        self.say("report")
        counts: dict[str, int] = json.loads(self._line())
        return counts

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def many_server() -> Generator[ManyServer, None, None]:
    """Serves, in another process, for the block."""
    program = [sys.executable, str(SERVER)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield ManyServer(process)
        finally:
            assert process.stdin is not None
            if process.poll() is None:
                process.stdin.close()  # it ends with its input
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def plan(**what: object) -> dict[str, str]:
    """What a run does, as the metadata of its request."""
    return {name: str(value) for name, value in what.items()}


# -- a process of its own ----------------------------------------------------------------------------------------------


async def _run_out(base_url: str) -> None:
    """Makes forty runs where there is room for twenty connections."""
    async with AsyncClient(base_url=base_url, api_key="", timeouts=PATIENT, retry=RetryPolicy(attempts=1)) as client:
        await gather_runs(client.threads.runs, [request(100, metadata=plan(deltas=1))])  # so that the loop is set up
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        given = [request(number, metadata=plan(deltas=20, every=0.04)) for number in range(40)]
        found = await gather_runs(client.threads.runs, given)
    ends: Counter[str] = Counter()
    for end in found:
        if isinstance(end, RunResult):
            assert end.text == "".join(f"{number} " for number in range(20))
            ends["whole"] += 1
        else:
            ends[_clearly(end)] += 1
    print(json.dumps(ends))


def _clearly(failure: RunFailure) -> str:
    error: Any = failure.error
    assert type(error) is APIConnectionError
    assert error.errno == errno.EMFILE
    assert failure.thread_id == f"thread_{failure.key}"
    return str(error)


if __name__ == "__main__":
    anyio.run(_run_out, sys.argv[1], backend_options={"use_uvloop": sys.argv[2] == "uvloop"})
