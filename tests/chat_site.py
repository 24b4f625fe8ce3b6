"""The chat of `docs/examples/chat` under a real uvicorn, in front of an embedded server that a test can script."""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import uvicorn

from aiorunstream import ToolSet
from aiorunstream.testing import ThreadedServer

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "chat"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 20.0
"""Seconds until a wait is given up as a failure."""


def load_example() -> ModuleType:
    """A module of its own each time, so that a test may change what is in it."""
    spec = importlib.util.spec_from_file_location("chat_example", EXAMPLE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def until(holds: Callable[[], bool]) -> None:
    """Waits for something that comes about elsewhere."""
    give_up_at = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def echo(text: str) -> str:
    """Says it back."""
    return text


class Site:
    """The chat, as it is served.

    Attributes:
        example: the module.
        server: the protocol's, behind it.
        url: where the page is.
    """

    def __init__(self, example: ModuleType, server: ThreadedServer) -> None:
        self.example = example
        self.server = server
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        # "critical": some tests end the server in the middle of an answer.
        config = uvicorn.Config(
            example.make_app(server.base_url), loop="asyncio", log_level="critical", timeout_graceful_shutdown=1
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def start(self) -> None:
        """Begins to serve."""
        self._thread.start()
        until(lambda: self._uvicorn.started)

    def stop(self) -> None:
        """Ends it; answers that are under way are cut off. Again is fine."""
        self._uvicorn.should_exit = self._uvicorn.force_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._socket.close()

    def may_call(self, *functions: Callable[..., object]) -> None:
        """Puts these in place of the example's functions, from the next answer on."""
        vars(self.example)["TOOLS"] = ToolSet(functions)

    @property
    def thread_ids(self) -> list[str]:
        """The threads that the page has talked on, the newest last."""
        paths = [path for method, path in self.server.requests if method == "POST" and path.endswith("/runs")]
        return list(dict.fromkeys(path.split("/")[-2] for path in paths))

    @property
    def statuses(self) -> list[str | None]:
        """How the runs of the newest thread stand at the server, oldest first."""
        thread_id = self.thread_ids[-1]
        return self.server.call(lambda it: [run.status for run in it.store.record(thread_id).runs.all()])


@contextmanager
def served(*, delay: float = 0.0) -> Generator[Site]:
    """The chat with its own engine behind it, which is as fast as it can be unless there is a `delay`."""
    example = load_example()
    with ThreadedServer(engine=example.ScriptedAssistant(), delay=delay) as server:
        site = Site(example, server)
        site.start()
        try:
            yield site
        finally:
            site.stop()


def command(*arguments: str) -> list[str]:
    """`aiorunstream demo --web`, as a process."""
    return [sys.executable, "-m", "aiorunstream", "demo", "--web", *arguments]


def environment() -> dict[str, str]:
    """Names a server that is not there, which the demo must not ask."""
    return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}


@contextmanager
def demo() -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """The demo with the URLs of its page and of its server; stopped at the end."""
    process = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    with process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline() + process.stdout.readline()
            found = re.fullmatch(
                r"The chat is at (http://127\.0\.0\.1:\d+/) until Ctrl-C\.\n"
                r"A server of the protocol listens at (http://127\.0\.0\.1:\d+/v1)\n",
                said,
            )
            assert found is not None, said
            yield process, found[1], found[2]
        finally:
            process.kill()
