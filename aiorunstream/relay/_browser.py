"""The other end of an ASGI connection: what goes out to it, one message at a time, and whether it is still there."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.types import Message, Receive, Send

from ._writing import PING


class Browser:
    """A browser that waits for an answer.

    Args:
        receive, send: of the ASGI server.
        on_left: is called once, when it has left, or when what watches it has failed.

    Attributes:
        has_left: whether it left before it had all. Nothing is sent to it any more.
        is_writing: whether something is on its way to it, which a browser that does not read can hold up for long.
        failure: an error of the ASGI server that is not about the browser.
    """

    def __init__(self, receive: Receive, send: Send, on_left: Callable[[], None]) -> None:
        self._receive = receive
        self._send = send
        self._on_left = on_left
        self._loop = asyncio.get_running_loop()
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = False
        self._ending = False
        self._last_sent = 0.0
        self.has_left = False
        self.is_writing = False
        self.failure: Exception | None = None

    # -- beside the answer ------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Begins to look whether the browser leaves."""
        self._begin(self._until_it_leaves)

    def ping_every(self, seconds: float) -> None:
        """Begins to send a comment whenever nothing else was sent for so long."""
        self._begin(partial(self._ping, seconds))

    def stop_watching(self) -> None:
        """Ends both, at once."""
        for task in self._tasks:
            task.cancel()

    async def stopped(self) -> None:
        """Waits until both have ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.add(self._loop.create_task(self._beside(work)))

    async def _beside(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OSError:  # how some servers say that the browser has left
            pass
        except Exception as error:  # raised again in the answer's own task
            self.failure = error
        self._leaves()

    async def _until_it_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # parts of the request that nobody has read

    async def _ping(self, seconds: float) -> None:
        while not self.has_left:  # nothing is sent to it any more, so this would never wait
            due = self._last_sent + seconds - self._loop.time()
            if due > 0:
                await asyncio.sleep(due)
            elif self._one_at_a_time.locked():
                await asyncio.sleep(seconds)  # it does not even take what is on its way
            else:
                async with self._one_at_a_time:
                    await self._send_part(PING)

    def _leaves(self) -> None:
        self.has_left = self.has_left or not self._ending  # once it has all, servers say the same
        if not self._told:
            self._told = True
            self._on_left()

    # -- the answer -------------------------------------------------------------------------------------------------

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Sends the head of the answer."""
        await self._sent({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        """Sends a part of the body; returns once there is room for the next. To one that has left, nothing is sent."""
        self.is_writing = True
        try:
            async with self._one_at_a_time:
                await self._send_part(data)
        except OSError:
            self.is_writing = False
            self._leaves()
        except Exception as error:
            self.failure, self.has_left = error, True  # nothing more can be sent
            raise
        finally:
            self.is_writing = False

    async def end(self, data: bytes) -> None:
        """Sends the last part of the body."""
        self._ending = True
        async with self._one_at_a_time:
            await self._sent({"type": "http.response.body", "body": data, "more_body": False})

    async def _send_part(self, data: bytes) -> None:
        if not self.has_left:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._last_sent = self._loop.time()

    async def _sent(self, message: Message) -> None:
        if not self.has_left:
            try:
                await self._send(message)
            except OSError:
                self._leaves()
            self._last_sent = self._loop.time()
