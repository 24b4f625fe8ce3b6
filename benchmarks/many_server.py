"""A server of very many runs, cheap enough to stay out of the way of what is measured: standard library only, a process of its own.

It prints its port, and ends with its input. What a run does is in the metadata of its request, as text:

- `deltas`: how many pieces of text, which say "0 ", "1 ", and so on; `every`: seconds between two, 0 for all as fast as they go;
- `together`: wait after the first event until so many runs are open; `hold`: wait there until the line "go" comes;
- `reset_at`, `stall_at`: before that piece reset the connection, or say nothing more; `late`: seconds until the body ends.

The line "report" is answered with one line of JSON: how many POSTs and cancels came, and how many connections are open.
"""

import asyncio
import contextlib
import json
import re
import socket
import struct
import sys
import threading
from functools import cache

BACKLOG = 4096
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Request-Id: req_many\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_DONE = b"1a\r\nevent: done\ndata: [DONE]\n\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


def _event(name: str, payload: object) -> bytes:
    data = b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps(payload).encode())
    return b"%x\r\n%s\r\n" % (len(data), data)


@cache
def _delta(number: int) -> bytes:
    part = {"index": 0, "type": "text", "text": {"value": f"{number} "}}
    return _event(
        "thread.message.delta", {"id": "msg_1", "object": "thread.message.delta", "delta": {"content": [part]}}
    )


def text_of(deltas: int) -> str:
    """What a run with so many pieces says."""
    return "".join(f"{number} " for number in range(deltas))


class Runs:
    """What all connections share."""

    def __init__(self) -> None:
        self.posts = self.cancels = self.connections = 0
        self.waiting: list[Connection] = []
        self.held: list[Connection] = []

    def go(self) -> None:
        """Lets the runs that are held go on."""
        held, self.held = self.held, []
        for connection in held:
            connection.play()

    def report(self) -> str:
        """The counts."""
        return json.dumps({"posts": self.posts, "cancels": self.cancels, "connections": self.connections})


class Connection(asyncio.Protocol):
    """One connection, and the run on it."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._received = b""
        self._plan: dict[str, str] = {}
        self._said = 0
        self._next: asyncio.TimerHandle | None = None
        self._paused = False
        self._playing = False
        self._run: dict[str, object] = {}
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        self._runs.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._runs.connections -= 1
        self._playing = False
        if self._next is not None:
            self._next.cancel()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._playing and self._next is None:
            self.play()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= whole:
            target, body = self._received[:end].split(b" ", 2)[1].decode(), self._received[end + 4 : whole]
            self._received = self._received[whole:]
            self._answer(target, body)

    def _answer(self, target: str, body: bytes) -> None:
        thread = target.split("/")[3]
        if thread == "runs":
            thread = f"thread_new_{self._runs.posts}"
        self._run = {
            "id": thread.replace("thread", "run"),
            "object": "thread.run",
            "created_at": 1,
            "thread_id": thread,
            "assistant_id": "asst_1",
            "status": "queued",
        }
        if target.endswith("/cancel"):
            self._runs.cancels += 1
            answer = json.dumps({**self._run, "status": "cancelling"}).encode()
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(answer), answer)
            )
            return
        self._runs.posts += 1
        self._plan, self._said, self._playing = json.loads(body).get("metadata") or {}, 0, True
        self.transport.write(_HEAD + _event("thread.run.created", self._run))
        self._wait_or_play()

    def _wait_or_play(self) -> None:
        if "hold" in self._plan:
            self._runs.held.append(self)
        elif "together" in self._plan:
            self._runs.waiting.append(self)
            if len(self._runs.waiting) >= int(self._plan["together"]):
                waiting, self._runs.waiting = self._runs.waiting, []
                for connection in waiting:
                    connection.play()
        else:
            self.play()

    def play(self) -> None:
        """Says what comes next, as far as it may."""
        self._next = None
        every, deltas = float(self._plan.get("every", "0")), int(self._plan.get("deltas", "5"))
        while self._playing and not self._paused:
            if str(self._said) == self._plan.get("reset_at"):
                self._reset()
                return
            if str(self._said) == self._plan.get("stall_at"):
                return
            if self._said == deltas:
                self._end()
                return
            self.transport.write(_delta(self._said))
            self._said += 1
            if every:
                self._next = asyncio.get_running_loop().call_later(every, self.play)
                return

    def _end(self) -> None:
        self._playing = False
        usage = {"completion_tokens": self._said, "prompt_tokens": 1, "total_tokens": self._said + 1}
        last = _event("thread.run.completed", {**self._run, "status": "completed", "usage": usage}) + _DONE
        late = float(self._plan.get("late", "0"))
        self.transport.write(last if late else last + _LAST_CHUNK)
        if late:
            self._next = asyncio.get_running_loop().call_later(late, self.transport.write, _LAST_CHUNK)

    def _reset(self) -> None:
        self._playing = False
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def serve() -> None:
    """Serves until the input ends."""
    runs, loop, over = Runs(), asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(runs), "127.0.0.1", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)

    def obey(line: str) -> None:
        if line == "go":
            runs.go()
        elif line == "report":
            print(runs.report(), flush=True)

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(obey, line.strip())
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen, daemon=True).start()
    await over.wait()


def main() -> None:
    """Serves, in the quickest loop there is."""
    factory = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415  # not everybody has it

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
