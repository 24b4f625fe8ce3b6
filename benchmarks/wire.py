"""A workload as the answer of an HTTP server, ready to be sent."""

from pathlib import Path

from .workloads import Workload

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_DONE = b"event: done\ndata: [DONE]\n\n"
_LAST_CHUNK = b"0\r\n\r\n"


def answer(workload: Workload) -> bytes:
    """The whole answer, each chunk of the workload in an HTTP chunk of its own."""
    return b"".join([_HEAD, *map(_chunk, workload.chunks), _chunk(_DONE), _LAST_CHUNK])


def body_bytes(workload: Workload) -> int:
    """How many bytes a client reads of it."""
    return sum(map(len, workload.chunks)) + len(_DONE)


def save(workload: Workload, folder: Path, key: str) -> None:
    """Puts the answer, and the one to its tool outputs, where the server finds them."""
    (folder / key).write_bytes(answer(workload))
    if workload.outputs is not None:
        (folder / f"{key}.outputs").write_bytes(answer(workload.outputs))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
