"""What the tests of `aiorunstream chat` share: the process with lines from a pipe, or with somebody at a terminal."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aiorunstream.testing import ThreadedServer

TOOLS = '''
from aiorunstream import ToolSet, function_tool

def greet(name: str) -> str:
    """Greets."""
    return f"Good day, {name}."

def explode() -> str:
    raise RuntimeError("boom")

TOOLS = ToolSet([greet, explode])
'''


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", **more}


def at(server: ThreadedServer, *more: str) -> tuple[str, ...]:
    """The arguments for a server of the test's own, with an assistant."""
    return ("--base-url", server.base_url, "--assistant", server.create_assistant().id, *more)


def statuses(server: ThreadedServer) -> list[str | None]:
    """How the runs of the newest thread stand, oldest first."""
    path = next(path for method, path in reversed(server.requests) if method == "POST" and path.endswith("/runs"))
    thread_id = path.split("/")[-2]
    return server.call(lambda it: [run.status for run in it.store.record(thread_id).runs.all()])


def chat(
    *arguments: str, said: Sequence[str] = (), cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """A chat in which the lines come from a pipe."""
    return subprocess.run(
        # As the installed command starts: without the current directory in front of everything.
        [sys.executable, "-P", "-m", "aiorunstream", "chat", *arguments],
        input="".join(f"{line}\n" for line in said),
        capture_output=True,
        text=True,
        timeout=40,
        env=environment(**more),
        cwd=cwd,
        check=False,
    )


# -- somebody at a terminal --------------------------------------------------------------------------------------------

CTRL_C, CTRL_D = b"\x03", b"\x04"

# The child takes the terminal for its own first, so that Ctrl-C reaches it.
IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "aiorunstream", "chat", *sys.argv[1:]])
"""


class Typist:
    """Somebody who types, and reads what comes."""

    def __init__(self, terminal: int, process: subprocess.Popen[bytes]) -> None:
        self._terminal = terminal
        self._process = process
        self._unread = b""

    def types(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def reads_until(self, text: str, seconds: float = 20.0) -> str:
        """What came up to and with the text."""
        wanted, until = text.encode(), time.monotonic() + seconds
        while wanted not in self._unread:
            assert time.monotonic() < until, f"{text!r} did not come: {self._unread!r}"
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._unread += os.read(self._terminal, 4096)
        before, found, self._unread = self._unread.partition(wanted)
        return (before + found).decode()

    def breaks_off(self, text: str) -> None:
        """Presses Ctrl-C at a prompt. Python can lose one that comes while it is just beginning to wait for a line."""
        for _ in range(3):
            self.types(CTRL_C)
            with suppress(AssertionError):
                self.reads_until(text, seconds=6)
                return
        raise AssertionError(f"Ctrl-C did nothing: {self._unread!r}")

    def leaves(self) -> int:
        """Presses Ctrl-C at the prompt, and waits for the end."""
        for _ in range(3):
            self.types(CTRL_C)
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(6)
        raise AssertionError("Ctrl-C did nothing")

    def sees_it_end(self) -> int:
        return self._process.wait(20)


@contextmanager
def typing(*arguments: str, cwd: Path | None = None) -> Generator[Typist]:
    """A chat with a terminal at both ends."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=environment(),
        cwd=cwd,
    )
    os.close(theirs)
    with process:
        try:
            yield Typist(ours, process)
        finally:
            process.kill()
            os.close(ours)
