"""The byte server, started and ended."""

import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .wire import save
from .workloads import workload

_SERVER = Path(__file__).with_name("byte_server.py")


@dataclass(frozen=True)
class Served:
    """A server that runs, and the folder it reads."""

    port: int
    folder: Path

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def add(self, keys: Iterable[str]) -> None:
        """Has it serve these workloads too."""
        for key in keys:
            save(workload(key), self.folder, key)


@contextmanager
def byte_server(*keys: str) -> Generator[Served]:
    """Serves workloads by their keys."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, str(_SERVER), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            served = Served(int(server.stdout.readline()), Path(folder))
            served.add(keys)
            yield served
        finally:
            server.stdin.close()
