"""A TCP proxy on loopback that breaks connections at an exact byte, in either direction.

Each connection has two `Way`s, one for each direction; a plan says what happens in a way once so many bytes have passed.
The byte count is exact: whoever reads gets those bytes, all of them and not one more, and then the fault.
"""

import asyncio
import fcntl
import socket
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple, Self, cast

_SIOCOUTQNSD = 0x894B
"""Asks Linux how many bytes of a connection it has not sent yet."""

Fault = Literal["none", "cut", "reset", "stall", "half_close"]


class Plan(NamedTuple):
    """What happens to one direction of a connection.

    `cut` ends both directions with a FIN, `reset` both with an RST; `stall` lets nothing more pass and leaves all open;
    `half_close` ends this direction with a FIN and leaves the other as it is. With a `piece`, bytes pass so many at a
    time, with a `pause` after each.
    """

    fault: Fault = "none"
    at_byte: int = 0
    piece: int = 0
    pause: float = 0.0


PASS = Plan()


class _End(asyncio.Protocol):
    """One end of a connection: takes bytes for the way that leads from it, and writes those of the way to it."""

    def __init__(self, connection: "Connection", *, is_client: bool) -> None:
        self._connection = connection
        self._is_client = is_client
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.lost = asyncio.Event()
        self.is_made = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.is_made = True
        if self._is_client:
            self._connection.begin()

    def data_received(self, data: bytes) -> None:
        self._way.feed(data)

    def eof_received(self) -> bool:
        self._way.feed(b"")
        return True  # the other direction may go on

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self._may_write.set()
        if exc is not None:
            self._connection.reset()
        self._way.feed(b"")

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    @property
    def _way(self) -> "Way":
        return self._connection.to_server if self._is_client else self._connection.to_client

    async def write(self, data: bytes) -> None:
        """Writes, and waits while the peer takes nothing."""
        if not self.transport.is_closing():
            self.transport.write(data)
            await self._may_write.wait()

    async def flushed(self) -> None:
        """Waits until every byte has left this system, so that a reset cannot overtake one."""
        while not self.lost.is_set() and (self.transport.get_write_buffer_size() or self._unsent()):
            await asyncio.sleep(0.0005)

    def _unsent(self) -> int:
        connection: socket.socket = self.transport.get_extra_info("socket")
        return int.from_bytes(fcntl.ioctl(connection.fileno(), _SIOCOUTQNSD, bytes(4)), "little")

    def reset(self) -> None:
        """Ends the connection with an RST."""
        if not self.lost.is_set():
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def half_close(self) -> None:
        """Sends a FIN and goes on reading."""
        if not self.transport.is_closing():
            self.transport.write_eof()


class Way:
    """One direction of a connection. `passed` is how many bytes have gone through; `ended` is set by its fault or its end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.passed = 0
        self.ended = asyncio.Event()
        self._waiting = bytearray()
        self._over = False
        self._news = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Takes bytes from the end this way begins at; `b""` is their end."""
        self._waiting += data
        self._over = self._over or not data
        self._news.set()

    async def carry(self, to: _End, connection: "Connection") -> None:
        """Passes bytes on until the plan's fault, or their end."""
        plan, left = self.plan, self.plan.at_byte
        while plan.fault == "none" or left > 0:
            data = await self._take(left if plan.fault != "none" else 1 << 20)
            if not data:
                to.half_close()
                self.ended.set()
                return
            await to.write(data)
            self.passed += len(data)
            left -= len(data)
            if plan.pause:
                await asyncio.sleep(plan.pause)
        if plan.fault == "cut":
            connection.close()
        elif plan.fault == "reset":
            await to.flushed()
            connection.reset()
        elif plan.fault == "half_close":
            to.half_close()
        self.ended.set()

    async def _take(self, most: int) -> bytes:
        while not self._waiting and not self._over:
            self._news.clear()
            await self._news.wait()
        count = min(most, self.plan.piece or most)
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        return data


class Connection:
    """Two ends, two ways, and the task that carries the bytes."""

    def __init__(self, proxy: "TcpProxy", *, to_client: Plan, to_server: Plan) -> None:
        self._proxy = proxy
        self.to_client, self.to_server = Way(to_client), Way(to_server)
        self._client = _End(self, is_client=True)
        self._server: _End | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def client_end(self) -> _End:
        """What the listening socket makes a protocol of."""
        return self._client

    def begin(self) -> None:
        """Is called once the client is there."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, self._server = await loop.create_connection(
                lambda: _End(self, is_client=False), "127.0.0.1", self._proxy.target
            )
        except OSError:
            self._client.transport.abort()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.to_server.carry(self._server, self))
            group.create_task(self.to_client.carry(self._client, self))
        if "stall" not in (self.to_client.plan.fault, self.to_server.plan.fault):
            self.close()

    def _ends(self) -> list[_End]:
        ends = [self._client] if self._server is None else [self._client, self._server]
        return [end for end in ends if end.is_made]  # uvloop makes the protocol some time before the connection

    def close(self) -> None:
        """A FIN to both ends, behind what was written."""
        for end in self._ends():
            end.transport.close()
        self._stop()

    def reset(self) -> None:
        """An RST to both ends."""
        for end in self._ends():
            end.reset()
        self._stop()

    def _stop(self) -> None:
        # Ways that still wait learn that nothing more comes.
        self.to_client.feed(b"")
        self.to_server.feed(b"")


Planned = Plan | Callable[[int], Plan]


class TcpProxy:
    """Listens on loopback while it is entered, and passes every connection on to a port there.

    Args:
        target: the port of the server.
        to_client, to_server: the plan of each direction, or a function from the number of the connection, from 0.

    Attributes:
        connections: all so far, in the order they came.
    """

    def __init__(self, target: int, *, to_client: Planned = PASS, to_server: Planned = PASS) -> None:
        self.target = target
        self.to_client, self.to_server = to_client, to_server
        self.connections: list[Connection] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    def _connect(self) -> _End:
        number = len(self.connections)
        plans = [plan if isinstance(plan, Plan) else plan(number) for plan in (self.to_client, self.to_server)]
        self.connections.append(Connection(self, to_client=plans[0], to_server=plans[1]))
        return self.connections[-1].client_end

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        for connection in self.connections:
            connection.reset()
        for task in tasks:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for error in found:
            if isinstance(error, Exception):
                raise error  # a proxy that is wrong must not look like a client that is

    @property
    def base_url(self) -> str:
        """For a client of the server behind it."""
        return f"http://127.0.0.1:{self.port}/v1"
