"""A server that sends answers which were written before: a process of its own, standard library only.

It prints its port, and ends with its input. The thread in a request's path names what is sent: a file of the folder given as
the argument, sent whole, or with `flushed-` before its name chunk by chunk; or, as `paced-EVENTS-PER_SECOND`, words that say when they were sent, on the clock all processes share.
Each connection has a thread of its own.
"""

import json
import socket
import sys
import threading
import time
from functools import cache
from pathlib import Path

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@cache
def _saved(path: Path) -> bytes:
    return path.read_bytes()


def _chunk(name: str, payload: object) -> bytes:
    data = b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps(payload).encode())
    return b"%x\r\n%b\r\n" % (len(data), data)


def _run(status: str) -> bytes:
    run = {"id": "run_b", "object": "thread.run", "created_at": 1, "thread_id": "thread_b", "assistant_id": "asst_b"}
    return _chunk(f"thread.run.{status}", {**run, "status": status})


def _pace(connection: socket.socket, events: int, per_second: int) -> None:
    connection.sendall(_HEAD + _run("in_progress"))
    began = time.monotonic()
    for number in range(1, events + 1):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        part = {"index": 0, "type": "text", "text": {"value": str(time.monotonic_ns())}}
        delta = {"id": "msg_b", "object": "thread.message.delta", "delta": {"content": [part]}}
        connection.sendall(_chunk("thread.message.delta", delta))
    connection.sendall(_run("completed") + b"0\r\n\r\n")


@cache
def _chunks(path: Path) -> list[bytes]:
    """A saved answer, cut behind its head and each of its chunks."""
    data = _saved(path)
    cuts = [data.find(b"\r\n\r\n") + 4]
    while (start := cuts[-1]) < len(data):
        head = data.find(b"\r\n", start) + 2
        cuts.append(head + int(data[start : head - 2], 16) + 2)
    return [data[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


def _answer(connection: socket.socket, folder: Path, path: str) -> None:
    thread = path.split("/threads/")[1].partition("/")[0].replace("%3A", ":")
    if thread.startswith("paced-"):
        _, events, per_second = thread.split("-")
        _pace(connection, int(events), int(per_second))
    elif thread.startswith("flushed-"):
        for chunk in _chunks(folder / thread.removeprefix("flushed-")):
            connection.sendall(chunk)
    else:
        connection.sendall(_saved(folder / (f"{thread}.outputs" if path.endswith("/submit_tool_outputs") else thread)))


def _serve(connection: socket.socket, folder: Path) -> None:
    received = b""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            path = line.split()[1].decode()
            length = 0
            while (header := requests.readline().strip().lower()) != b"":
                if header.startswith(b"content-length:"):
                    length = int(header.partition(b":")[2])
            received = requests.read(length)
            assert len(received) == length
            try:
                _answer(connection, folder, path.partition("?")[0])
            except OSError:
                return  # the client has left


def main() -> None:
    folder = Path(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, folder), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
