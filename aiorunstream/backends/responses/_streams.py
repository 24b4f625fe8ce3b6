"""Streams of responses: asked for, opened again, and read where nobody else reads them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec

from ..._log import log
from ...errors import APIError, ClientClosedError
from ...events import RunEvent
from ...options import RequestOptions
from ...protocol import OnErrorEvent
from ...stream import NoBody
from ...transport import ResponseBody
from .._base import Opened
from ._body import BridgedBody, Reopen, Save
from ._protocol import ResponsesProtocol
from ._run import BridgedRun
from ._server import Server

_AN_INSTANT = 0.001


class Streams:
    """The streams of one backend.

    Args:
        server: is asked for responses.
        background: whether those go on when nobody listens.
    """

    def __init__(self, server: Server, *, background: bool) -> None:
        self._server = server
        self._background = background
        self._bodies: dict[str, BridgedBody] = {}

    def body_of(self, run_id: str) -> BridgedBody | None:
        """What a run's stream is read from, if it is read."""
        return self._bodies.get(run_id)

    async def open(
        self,
        bridged: BridgedRun,
        options: RequestOptions,
        on_error_event: OnErrorEvent,
        *,
        save: Save | None,
        done: Callable[[], None],
    ) -> Opened:
        """Asks for the next response of a run. Raises `APIError`.

        `save` is waited for before its reader is told that the run has stopped; `done` is told when nobody reads it more.
        """
        stream = {"stream": True, "stream_options": {"include_obfuscation": False}}
        redact, body = await self._server.create_response({**bridged.request(), **stream}, options)
        protocol = self._protocol(bridged, on_error_event, redact, holds_stop=save is not None)
        run_id = bridged.run.id

        def forget() -> None:
            self._bodies.pop(run_id, None)
            done()

        reopen = self._reopen(options) if self._background else None
        self._bodies[run_id] = read = BridgedBody(body, protocol, bridged, reopen=reopen, save=save, done=forget)
        return Opened(read, protocol)

    async def learn(self, opened: Opened) -> Opened:
        """Of a response in the background the id is waited for: without it, nobody could cancel it or find it again."""
        if self._background and isinstance(opened.body, BridgedBody):
            try:
                await opened.body.learn()
            except BaseException:
                opened.body.abort()
                raise
        return opened

    def told(self, bridged: BridgedRun, events: Iterable[RunEvent], on_error_event: OnErrorEvent) -> Opened:
        """A stream of events that are known already."""
        protocol = self._protocol(bridged, on_error_event)
        protocol.tell(events)
        return Opened(NoBody(), protocol)

    def pump(self, opened: Opened) -> None:
        """Reads a stream for nobody, so that its run goes on."""
        self.keep(_read_to_the_end(opened))

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something that nobody waits for, as long as the client is open."""
        try:
            _ = self._server.settings.transport.keep(work)
        except ClientClosedError:
            log(logging.WARNING, "a run is not gone on with: the client is closed")

    def _protocol(
        self,
        bridged: BridgedRun,
        on_error_event: OnErrorEvent,
        redact: Callable[[str], str] = str,
        *,
        holds_stop: bool = False,
    ) -> ResponsesProtocol:
        limits = self._server.settings.limits
        return ResponsesProtocol(
            bridged, limits=limits, on_error_event=on_error_event, redact=redact, holds_stop=holds_stop
        )

    def _reopen(self, options: RequestOptions) -> Reopen:
        options, server = options.for_another_request(), self._server
        timeouts = options.timeouts or server.settings.timeouts
        now = asyncio.get_running_loop().time
        until = None if timeouts.total is None else now() + timeouts.total

        async def reopen(response_id: str, after: int) -> ResponseBody:
            left = None if until is None else max(until - now(), _AN_INSTANT)
            clocks = msgspec.structs.replace(timeouts, total=left)
            return await server.resume_response(response_id, after, msgspec.structs.replace(options, timeouts=clocks))

        return reopen


async def _read_to_the_end(opened: Opened) -> None:
    body, protocol = opened
    try:
        while protocol.outcome is None:
            if protocol.next_event() is None and protocol.outcome is None:
                protocol.receive_data(await body.read())
        body.release()
    except APIError as error:
        log(logging.WARNING, "a run's stream failed", run_id=protocol.run_id, error=type(error).__name__)
    finally:
        body.abort()  # does nothing where the end has come
