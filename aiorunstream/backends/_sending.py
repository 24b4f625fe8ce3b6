"""How a call is spelt as a request to a server, sent, retried and answered: what all backends over HTTP share."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from .. import checks
from .._log import log
from .._version import __version__
from ..errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    StreamError,
    StreamProtocolError,
)
from ..json_writing import encode_body
from ..operations import Call
from ..options import Timeouts
from ..retry import RetryBudget, next_delay, retry_after
from ..transport import Request, ResponseBody
from . import _answers
from ._base import Answer, Settings
from ._credentials import Redaction, Secret, unseen
from ._profile import Profile

T = TypeVar("T")
R = TypeVar("R")

MAX_ERROR_BODY = 64 * 1024
ERROR_BODY_SECONDS = 2.0


class Sender:
    """Sends calls to a server behind a base URL.

    Args:
        base_url: where its paths begin, such as `http://127.0.0.1:8787/v1`.
        profile: how this kind of server is asked.

    Raises:
        ConfigurationError: the URL cannot be meant.
    """

    def __init__(self, base_url: str, *, profile: Profile) -> None:
        self._profile = profile
        self._base_url = checks.base_url(base_url)
        self._host = urlsplit(self._base_url).netloc
        self._started: Settings | None = None
        self._budget = RetryBudget(0)

    @property
    def base_url(self) -> str:
        """The base URL, without a slash at its end."""
        return self._base_url

    def start(self, settings: Settings) -> None:
        """Is called by the client this backend belongs to."""
        if self._started is not None:
            raise ConfigurationError("this backend belongs to another client already")
        for name, value in settings.headers.items():
            checks.header(name, value)
        self._started = settings
        self._budget = RetryBudget(settings.retry.budget)

    async def call(self, call: Call[T]) -> Answer[T]:
        """Sends a plain call and decodes its answer."""
        return await self._attempt(call, self._call_once)

    async def open_body(self, call: Call[T]) -> tuple[Redaction, ResponseBody]:
        """Opens a stream: its bytes, once the server has answered 200 with an event stream."""
        return await self._attempt(call, self._open_once)

    @property
    def settings(self) -> Settings:
        """What the client has set. Raises `ConfigurationError`: there is no client yet."""
        if self._started is None:
            raise ConfigurationError("a backend is used through AsyncClient(backend=...)")
        return self._started

    # -- attempts ---------------------------------------------------------------------------------------------------

    async def _attempt(self, call: Call[T], once: Callable[[Call[T], float], Awaitable[R]]) -> R:
        policy = call.options.retry or self.settings.retry
        loop = asyncio.get_running_loop()
        began, total = loop.time(), self._timeouts(call).total
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = await once(call, began)
            except APIError as error:
                delay = next_delay(policy, attempt, error, random.random(), self._budget)  # noqa: S311  # jitter
                if delay is None or (total is not None and loop.time() + delay >= began + total):
                    raise
                name, problem = call.operation.name, type(error).__name__
                log(logging.INFO, "request retried", operation=name, attempt=attempt, delay=delay, error=problem)
            else:
                self._budget.give_back()
                return answer
            await asyncio.sleep(delay)

    async def _call_once(self, call: Call[T], began: float) -> Answer[T]:
        redact, body = await self._send(call, began, streams=False)
        if body.status // 100 != 2:
            raise self._status_error(call, body, await self._read_some(body), redact)
        found = _answers.result(call, await self._read_all(call, body), max_depth=self.settings.limits.max_depth)
        if found is None:
            is_plain = _answers.is_json(body.headers) and not _answers.is_encoded(body.headers)
            has = "" if is_plain else f", with {redact(_answers.content_of(body.headers))}"
            raise _unusable(call, body, f"is not the object it should be{has}")
        return Answer(found, body.status, body.headers)

    async def _open_once(self, call: Call[T], began: float) -> tuple[Redaction, ResponseBody]:
        redact, body = await self._send(call, began, streams=True)
        if body.status // 100 != 2:
            raise self._status_error(call, body, await self._read_some(body), redact)
        if body.status == 200 and _answers.is_event_stream(body.headers) and not _answers.is_encoded(body.headers):
            return redact, body
        raise self._no_stream(call, body, await self._read_some(body), redact)

    async def _send(self, call: Call[T], began: float, *, streams: bool) -> tuple[Redaction, ResponseBody]:
        credentials = self.settings.credentials
        secret = await self._secret(call, began)
        redact, body = await self._send_with(secret, call, began, streams=streams)
        if body.status != HTTPStatus.UNAUTHORIZED or not await credentials.renew(secret):
            return redact, body
        body.abort()
        return await self._send_with(await self._secret(call, began), call, began, streams=streams)

    async def _secret(self, call: Call[T], began: float) -> Secret | None:
        """The key for an attempt. Whoever gives it may take as long as `Timeouts.total` leaves."""
        total = self._timeouts(call).total
        clock = asyncio.timeout_at(None if total is None else began + total)
        try:
            async with clock:
                return await self.settings.credentials.current()
        except TimeoutError:
            if not clock.expired():  # the callable's own
                raise
        raise APITimeoutError(f"no key came within {total:g} s (Timeouts.total)", host=self._host, reason="timeout")

    async def _send_with(
        self, secret: Secret | None, call: Call[T], began: float, *, streams: bool
    ) -> tuple[Redaction, ResponseBody]:
        request = self._request(call, secret, began, streams=streams)
        return Redaction(request.headers), await self.settings.transport.send(request)

    # -- a call as a request ----------------------------------------------------------------------------------------

    def _timeouts(self, call: Call[T]) -> Timeouts:
        return call.options.timeouts or self.settings.timeouts

    def _request(self, call: Call[T], secret: Secret | None, began: float, *, streams: bool) -> Request:
        body = call.body
        if body is not None and call.options.extra_body:
            if "stream" in call.options.extra_body:
                raise InvalidArgumentError(
                    "extra_body must not set stream: the method decides it", argument="extra_body"
                )
            body = {**body, **call.options.extra_body}
        return Request(
            operation=call.operation.name,
            method=call.operation.method,
            url=self._url(call),
            headers=self._headers(call, secret, streams=streams),
            body=None if body is None else encode_body(body),
            timeouts=self._timeouts(call),
            creates=call.operation.creates,
            streams=streams,
            began=began,
        )

    def _url(self, call: Call[T]) -> str:
        named = {**self.settings.query, **(call.options.extra_query or {})}
        pairs = [(name, value) for name, value in self._profile.pairs(call.query) if name not in named]
        pairs += named.items()
        query = f"?{urlencode(pairs)}" if pairs else ""
        return f"{self._base_url}{call.path}{query}"

    def _headers(self, call: Call[T], secret: Secret | None, *, streams: bool) -> Mapping[str, str]:
        headers: dict[str, str | None] = {
            "Accept": "text/event-stream" if streams else "application/json",
            "Accept-Encoding": "identity",  # a proxy that compresses holds events back
            "User-Agent": f"aiorunstream/{__version__}",
            **dict(self._profile.headers),
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if secret is not None:
            headers["Authorization"] = secret.bearer()
        if call.options.idempotency_key is not None:
            headers["Idempotency-Key"] = checks.header_value("idempotency_key", call.options.idempotency_key)
        for name, value in (*self.settings.headers.items(), *unseen(call.options.extra_headers).items()):
            checks.header(name, value)
            for known in [known for known in headers if known.lower() == name.lower()]:
                del headers[known]
            headers[name] = value
        return {name: value for name, value in headers.items() if value is not None}

    # -- answers ----------------------------------------------------------------------------------------------------

    async def _read_all(self, call: Call[T], body: ResponseBody) -> bytes:
        limit = self.settings.limits.max_event_bytes
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await body.read():
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    body.abort()
                    raise _unusable(call, body, f"is larger than {limit} bytes (Limits.max_event_bytes)")
            return b"".join(pieces)
        except StreamError as error:
            broken = str(error)
        finally:
            body.abort()  # does nothing where the end has come
        if call.operation.creates:
            raise _unusable(call, body, f"broke off: {broken}")
        raise APIConnectionError(f"the answer to {call.operation.name} broke off: {broken}", host=self._host)

    async def _read_some(self, body: ResponseBody) -> str:
        """The first 64 KiB of an answer that is an error, or what came of it in two seconds."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(ERROR_BODY_SECONDS):
                while size < MAX_ERROR_BODY and (piece := await body.read()):
                    pieces.append(piece)
                    size += len(piece)
        except (TimeoutError, APIError):
            pass  # what came is enough to say what the status was about
        finally:
            body.abort()  # does nothing where the end has come
        return b"".join(pieces)[:MAX_ERROR_BODY].decode("utf-8", "replace")

    def _status_error(self, call: Call[T], body: ResponseBody, text: str, redact: Redaction) -> APIStatusError:
        wait = retry_after(body.headers, time.time())
        return _answers.status_error(
            call, host=self._host, status=body.status, headers=body.headers, body=text, retry_after=wait, redact=redact
        )

    def _no_stream(self, call: Call[T], body: ResponseBody, text: str, redact: Redaction) -> APIError:
        """A 2xx that is no event stream: an error in JSON, a run (the server ignored `stream`), or a stranger's page."""
        if _answers.is_json(body.headers) and '"error"' in text and _answers.error_object(text).message:
            return self._status_error(call, body, text, redact)
        error = StreamProtocolError(
            f"{call.operation.name} was answered with status {body.status} and "
            f"{redact(_answers.content_of(body.headers))} instead of an event stream"
        )
        run = _answers.result(call, text.encode(), max_depth=self.settings.limits.max_depth)
        error.run_id = getattr(run, "id", None)
        error.thread_id = call.ids.get("thread_id") or getattr(run, "thread_id", None)
        error.status_code = body.status
        error.headers = body.headers
        error.request_id = body.headers.get("x-request-id")
        return error


def _unusable(call: Call[T], body: ResponseBody, what: str) -> APIStatusError:
    """The status is fine and the body is of no use."""
    return APIStatusError(
        f"the answer to {call.operation.name} {what}",
        status_code=body.status,
        request_id=body.headers.get("x-request-id"),
        headers=body.headers,
        outcome_unknown=call.operation.creates,  # it was done, most likely, and what it made cannot be told
    )
