"""A server whose run streams are all the same one: one that was recorded."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from ..operations import OPERATIONS, Operation
from ..recording import Recording
from ._dialects import Dialect, DialectName
from ._requests import read_request
from ._server import AssistantsServer

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ReplayServer(AssistantsServer):
    """The embedded server, except that whoever asks for a run stream gets the recorded bytes, at the recorded times.

    The assistant, the thread and the run of the request need not exist, and nothing is done with it. The stream ends as it
    did: in good order, or with its connection. One whose reader had left, or had lost patience, stays open until this reader
    leaves too. What is no run stream is answered as ever; it knows nothing of the recorded run.

    Args:
        recording: what to send. Where it is not whole, the connection is closed after the part that can be read.
        speed: how many times faster than it was recorded.
        host, port, api_keys, allow_remote, dialect: as of `AssistantsServer`.

    Raises:
        ConfigurationError: as of `AssistantsServer`.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        api_keys: str | Collection[str] | None = None,
        allow_remote: bool = False,
        dialect: DialectName = "openai",
    ) -> None:
        super().__init__(host=host, port=port, api_keys=api_keys, allow_remote=allow_remote, dialect=dialect)
        self._recording = recording
        self._per_ms = 0.001 / speed

    def _route(self, operation: Operation[object], dialect: Dialect) -> _Handler:
        usual = super()._route(operation, dialect)
        if operation not in OPERATIONS or not operation.streams:
            return usual

        async def answer(request: web.Request) -> web.StreamResponse:
            asked = await read_request(operation, request)
            return await (self._replay(request) if asked.stream else usual(request))

        return answer

    async def _replay(self, request: web.Request) -> web.StreamResponse:
        head, recording = self._recording.head, self._recording
        kind = None if head is None else head.headers.get("content-type")
        response = web.StreamResponse(
            headers={"Content-Type": kind or "text/event-stream", "Cache-Control": "no-store"}
        )
        self.open_streams += 1
        try:
            if head is not None:
                await asyncio.sleep(head.head_ms * self._per_ms)
            await response.prepare(request)
            began = asyncio.get_running_loop().time()
            for piece in recording.pieces:
                await self._until(began, piece.ms)
                await response.write(piece.data)
            await self._end(began, request, response)
        except ConnectionError:
            pass  # the client has left
        finally:
            self.open_streams -= 1
        return response

    async def _end(self, began: float, request: web.Request, response: web.StreamResponse) -> None:
        end = self._recording.end
        if end is not None:
            await self._until(began, end.ms)
        if self._recording.head is None or (end is not None and end.end == "clean"):
            await response.write_eof()
        elif end is not None and end.end in ("left", "timeout"):
            await asyncio.Event().wait()  # until the client leaves, with which this is cancelled
        elif request.transport is not None:
            request.transport.close()  # what was said before is still sent

    async def _until(self, began: float, ms: float) -> None:
        await asyncio.sleep(max(0.0, began + ms * self._per_ms - asyncio.get_running_loop().time()))
