"""`aiorunstream batch` in a process that kills itself at a write it was told, after half of it.

An ordinary kill almost never hits the moment of a write, and never its middle.
"""

import os
import signal
import sys

from aiorunstream.cli import app

if __name__ == "__main__":
    at, count = int(sys.argv[1]), 0
    write = os.write

    def count_down() -> bool:
        global count
        count += 1
        return count == at

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half_a_write(file: int, data: bytes, /) -> int:
        if data.startswith(b"{") and count_down():  # a line; event loops wake themselves up with other writes
            write(file, data[: len(data) // 2])
            die()
        return write(file, data)

    os.write = half_a_write  # type: ignore[assignment]  # only bytes are written here
    app(["batch", *sys.argv[2:]])
