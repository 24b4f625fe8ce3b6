"""The embedded server: the protocol's operations, and those of responses, on aiohttp.web, all over one engine."""

import hmac
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from aiohttp import web

from ..engine import DefaultEngine, Engine
from ..errors import ConfigurationError
from ..intake import StoreError
from ..operations import OPERATIONS, Operation
from ..store import EXPIRES_AFTER, Store
from ._answers import RequestError, error_answer, refusal
from ._dialects import Dialect, DialectName, faces_of
from ._faults import Fault, Faults, refused, send_with_fault, withhold
from ._handlers import Later, Streamed, handlers
from ._limits import RateWindow
from ._requests import MAX_BODY_BYTES, read_request
from ._runs import Listener, Runs
from .responses import (
    Responses,
    ResponsesDialect,
    ResponsesServerName,
    ResponsesSettings,
    response_handlers,
    response_operations,
    settings_of,
)

_logger = logging.getLogger("aiorunstream.server")
_BACKLOG = 4096
_REQUESTS_KEPT = 10_000
_LEAVE_WITHIN = 0.25
_STARTED: web.RequestKey[float] = web.RequestKey("started", float)
_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AssistantsServer:
    """A server of the Assistants protocol for demos and tests. Everything it knows is in memory.

        async with AssistantsServer() as server:
            client = AsyncClient(base_url=server.base_url)

    Args:
        host: to listen on. Only this machine's own addresses, unless `allow_remote`.
        port: to listen on; 0 takes a free one.
        delay: seconds before each piece of an answer.
        api_keys: one of these must come as bearer token, or as `api-key` header; None lets everybody in.
        engine: what answers; the default one needs no model and always answers the same.
        expires_after: seconds a run has, from its creation to its end.
        dialect: the server whose deviations from the protocol's description are copied; "openai" has none.
        responses: how `/responses` and `/conversations` are answered: as the server of that name does, or as set.

    Raises:
        ConfigurationError: the host is not this machine alone, a time is none, or there is no such dialect.

    Attributes:
        store: all assistants, threads, messages, runs and steps.
        requests: the last 10,000 requests, as (method, path), oldest first.
        open_streams: streams with a client at their other end.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        delay: float = 0.0,
        api_keys: str | Collection[str] | None = None,
        engine: Engine | None = None,
        allow_remote: bool = False,
        expires_after: float = EXPIRES_AFTER,
        dialect: DialectName = "openai",
        responses: ResponsesSettings | ResponsesServerName = "openai",
    ) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ConfigurationError(f"{host!r} can be reached from other machines; allow_remote=True permits that")
        for name, seconds in (("delay", delay), ("expires_after", expires_after)):
            if not 0 <= seconds < math.inf:
                raise ConfigurationError(f"{name} must be a number of seconds, not {seconds}")
        self._host = host
        self._port = port
        keys = (api_keys,) if isinstance(api_keys, str) else api_keys
        self._keys = None if keys is None else tuple(key.encode() for key in keys)
        self._faces = faces_of(dialect)
        self.store = Store(clock=time.time, new_id=self._faces[0][1].new_id, expires_after=expires_after)
        engine = engine or DefaultEngine()
        self._runs = Runs(self.store, engine, delay=delay, expires_after=expires_after)
        settings = settings_of(responses)
        self._responses = Responses(engine, now=self.store.now, delay=delay, settings=settings)
        self._response_operations = response_operations(settings)
        self._handlers = {**handlers(self.store, self._runs), **response_handlers(self._responses)}
        self._faults = Faults()
        self._limits = RateWindow(clock=time.monotonic, tokens=self._tokens_spent)
        self._runner: web.AppRunner | None = None
        self.requests: deque[tuple[str, str]] = deque(maxlen=_REQUESTS_KEPT)
        self.open_streams = 0

    @property
    def port(self) -> int:
        """The port it listens on; the one asked for until it has started."""
        return self._port

    @property
    def base_url(self) -> str:
        """What clients take as their base URL; ends in `/v1`, unless the dialect has it elsewhere."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{self._faces[0][0]}"

    def inject(self, fault: Fault) -> None:
        """Has the server do something wrong, in the next request that fits.

        Of several faults that fit a request, the one injected first happens, and only that one. A request that is
        wrong itself uses up none. It may be called at any time, in the server's own loop.

        Raises:
            ConfigurationError: this is no `Fault`.
        """
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Forgets the faults that have not happened. Those that are happening go on."""
        self._faults.clear()

    async def start(self) -> None:
        """Begins to listen.

        Raises:
            OSError: the port is taken.
            RuntimeError: it has begun already.
        """
        if self._runner is not None:
            raise RuntimeError("the server has been started")
        app = web.Application(middlewares=[self._middleware], client_max_size=MAX_BODY_BYTES)
        for prefix, dialect in self._faces:
            for operation in (found for found in OPERATIONS if dialect.serves(found)):
                app.router.add_route(operation.method, prefix + operation.path, self._route(operation, dialect))
            for asking in (found for found in self._response_operations if dialect.serves(found)):
                app.router.add_route(asking.method, prefix + asking.path, self._route(asking, ResponsesDialect()))
        app.on_response_prepare.append(self._add_headers)
        app.on_shutdown.append(self._cut_streams)
        # Cancelled with its connection, a handler learns between two events that its client has left.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, auto_decompress=False, shutdown_timeout=_LEAVE_WITHIN
        )
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=_BACKLOG).start()
        except BaseException:
            await self.aclose()
            raise
        self._port = runner.addresses[0][1]

    async def aclose(self) -> None:
        """Ends everything: streams are cut off, runs are dropped. Again is fine."""
        runner, self._runner = self._runner, None
        try:
            if runner is not None:
                await runner.cleanup()
        finally:
            try:
                await self._runs.aclose()
            finally:
                await self._responses.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- requests ----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _middleware(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Counts and admits the request, and makes an answer of whatever goes wrong."""
        request[_STARTED] = time.perf_counter()
        self.requests.append((request.method, request.path))
        self._limits.count()
        try:
            if not self._admits(request):
                return error_answer(401, "Incorrect API key provided.", code="invalid_api_key")
            return await handler(request)
        except StoreError as error:
            return refusal(error)
        except RequestError as error:
            answer = error_answer(error.status, error.message, param=error.param, code=error.code)
            if error.closes:
                answer.force_close()
            return answer
        except web.HTTPMethodNotAllowed as error:
            answer = error_answer(405, f"Not allowed to {request.method} this URL.")
            answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
            return answer
        except web.HTTPException as error:
            return error_answer(error.status, f"Invalid URL ({request.method} {request.path:.200}).")
        except ConnectionError:
            raise
        except Exception:  # a bug of ours is an answer, not the end of the server
            _logger.exception("a request could not be answered")
            return error_answer(500, "The server had an error while processing your request.")

    def _admits(self, request: web.Request) -> bool:
        if self._keys is None:
            return True
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else request.headers.get("api-key", "")
        # Each key is compared, in constant time, so that the time tells nothing.
        matches = [hmac.compare_digest(shown.encode("utf-8", "replace"), key) for key in self._keys]
        return any(matches)

    def _route(self, operation: Operation[object], dialect: Dialect) -> _Handler:
        handler = self._handlers[operation.name]

        async def answer(request: web.Request) -> web.StreamResponse:
            asked = await read_request(operation, request)
            if (refusing := dialect.refuse(operation, asked)) is not None:
                return refusing
            asked = dialect.hear(operation, asked)
            fault = self._faults.find(operation.name, streams=asked.stream)
            if fault is not None and fault.kind == "refuse":
                self._faults.use(fault)
                return refused(fault)
            result = handler(asked)
            if isinstance(result, Later):
                result = await result.value
            if fault is not None:
                self._faults.use(fault)
            if isinstance(result, Streamed):
                return await self._stream(request, result.listener, fault)
            if fault is not None:
                await withhold(fault, request)
            return dialect.answer(result)

        return answer

    async def _stream(self, request: web.Request, listener: Listener, fault: Fault | None) -> web.StreamResponse:
        response = web.StreamResponse(headers=_STREAM_HEADERS)
        self.open_streams += 1
        try:
            if fault is not None:
                await withhold(fault, request)
            await response.prepare(request)
            if fault is None:
                while chunk := await listener.read():
                    await response.write(chunk)
            else:
                await send_with_fault(fault, listener, request, response)
            if listener.was_cut and request.transport is not None:
                request.transport.abort()
            elif listener.broke_off and request.transport is not None:
                request.transport.close()  # what was said before is still sent
            else:
                await response.write_eof()
        except ConnectionError:
            pass  # the client has left between two events, as it may
        finally:
            self.open_streams -= 1
            self._runs.leave(listener)
            self._responses.leave(listener)
        return response

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["x-request-id"] = f"req_{secrets.token_hex(16)}"
        now = time.perf_counter()
        took = now - request.get(_STARTED, now)  # an Expect header is refused before the middleware sees the request
        response.headers["openai-processing-ms"] = str(int(took * 1000))
        response.headers.update(self._limits.headers())

    async def _cut_streams(self, _app: web.Application) -> None:
        self._runs.cut_streams()
        self._responses.cut_streams()

    def _tokens_spent(self) -> int:
        return self._runs.tokens_spent + self._responses.tokens_spent


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
