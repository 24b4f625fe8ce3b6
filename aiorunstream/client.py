"""The client: settings, lifetime, and the resources hung on it."""

import asyncio
import os
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from . import checks
from .backends import Backend, HttpBackend, Settings
from .backends._credentials import Credentials, Secret, SecretText, unseen
from .dialects import Dialect
from .errors import ConfigurationError
from .options import Limits, RecoverPolicy, Timeouts, check_mapping, is_mapping
from .protocol import OnErrorEvent
from .resources import AsyncAssistants, AsyncThreads
from .resources._streams import Manner, Streams, recover_policy
from .retry import RetryPolicy
from .stream import LEAVE_SECONDS
from .transport import Transport

if TYPE_CHECKING:
    import aiohttp


class AsyncClient:
    """Speaks to one server of the protocol. Use it with `async with`, or call `aclose()` at the end.

    Nothing is opened before the first request. One client may be used from several event loops in turn, and by any
    number of tasks; its connections belong to the loop they were made in.

    Args:
        base_url: where the server's `/threads` is, such as `http://127.0.0.1:8787/v1`; else `OPENAI_BASE_URL`.
            There is no default: the hosted endpoint this protocol came from was switched off in August 2026.
        api_key: sent as a bearer token; text, or an async callable asked before each attempt. Else `OPENAI_API_KEY`;
            without either, and for "", no Authorization header is sent.
        organization, project: headers of their own; else `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`.
        backend: speaks to something else than a base URL.
        dialect: "astra" for astra-assistants-api, which numbers the pieces of one text as if they were many. No other
            server has to be named.
        timeouts, retry, limits: defaults of every request.
        cancel_on_exit: whether a run is cancelled when its stream is left before the run has stopped.
        recover: True, or a policy, goes on with a stream whose connection failed, from what the server kept.
        on_error_event: "raise" makes a server's error event a `RunStreamError`; "yield" hands it out.
        default_headers, default_query: added to every request; None as a header's value leaves that header out.
        ssl: False trusts any certificate; an `ssl.SSLContext` decides itself.
        proxy, trust_env: a proxy's URL; whether to read the environment's proxy settings and netrc.
        session: an `aiohttp.ClientSession` of yours, used in its own loop and left open. Every request
            still passes this package's timeouts, buffer and redirect settings.

    Raises:
        ConfigurationError: a setting cannot work, or there is neither a base URL nor a backend.
        InvalidArgumentError: the key, or a header, could not be sent as it is.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], Awaitable[str]] | None = None,
        organization: str | None = None,
        project: str | None = None,
        backend: Backend | None = None,
        dialect: Dialect | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        cancel_on_exit: bool = False,
        recover: RecoverPolicy | bool = False,
        on_error_event: OnErrorEvent = "raise",
        default_headers: Mapping[str, str | None] | None = None,
        default_query: Mapping[str, str] | None = None,
        ssl: ssl_module.SSLContext | bool = True,
        proxy: str | None = None,
        trust_env: bool = False,
        session: "aiohttp.ClientSession | None" = None,
    ) -> None:
        # Wrapped before anything can raise: a traceback may show this frame's variables.
        key, headers, query = _wrapped(api_key), unseen(default_headers), unseen(default_query)
        has_headers, has_query = is_mapping(default_headers), is_mapping(default_query)
        proxy_holds = _is_proxy(proxy)
        proxy = None if proxy is None else SecretText(proxy)  # it may hold a password
        del api_key, default_headers, default_query
        _check(
            (has_headers, "default_headers", "a dict"),
            (has_query, "default_query", "a dict"),
            (dialect in ("astra", None), "dialect", '"astra" or None: other servers are known by what they send'),
            (isinstance(timeouts, (Timeouts, NoneType)), "timeouts", "Timeouts(...)"),
            (isinstance(retry, (RetryPolicy, NoneType)), "retry", "RetryPolicy(...)"),
            (isinstance(limits, (Limits, NoneType)), "limits", "Limits(...)"),
            (isinstance(cancel_on_exit, bool), "cancel_on_exit", "True or False"),
            (isinstance(recover, (bool, RecoverPolicy)), "recover", "True, False or RecoverPolicy(...)"),
            (on_error_event in ("raise", "yield"), "on_error_event", '"raise" or "yield"'),
            (isinstance(ssl, (bool, ssl_module.SSLContext)), "ssl", "True, False or an ssl.SSLContext"),
            (proxy_holds, "proxy", "a URL such as http://127.0.0.1:3128"),
        )
        check_mapping("default_query", query)
        limits = limits or Limits()
        settings = Settings(
            transport=Transport(limits=limits, ssl=ssl, proxy=proxy, trust_env=trust_env, session=session),
            credentials=Credentials(key),
            timeouts=timeouts or Timeouts(),
            retry=retry or RetryPolicy(),
            limits=limits,
            headers={**_account_headers(organization, project), **headers},
            query={name: value for name, value in query.items() if value is not None},
            dialect=dialect,
        )
        self._transport = settings.transport
        self._backend = _backend(base_url, backend)
        self._backend.start(settings)
        manner = Manner(on_error_event=on_error_event, cancel_on_exit=cancel_on_exit, recover=recover_policy(recover))
        self._streams = Streams(
            self._backend, self._transport, timeouts=settings.timeouts, retry=settings.retry, manner=manner
        )

    @cached_property
    def assistants(self) -> AsyncAssistants:
        """Assistants kept at the server."""
        return AsyncAssistants(self._backend)

    @cached_property
    def threads(self) -> AsyncThreads:
        """Threads, with their messages and runs."""
        return AsyncThreads(self._backend, self._streams)

    @property
    def beta(self) -> Self:
        """The client itself, so that `client.beta.threads.runs` goes on working."""
        return self

    async def aclose(self) -> None:
        """Closes every stream and connection. Idempotent; a reader of an open stream gets `StreamClosedError`.

        Runs that are to end with their streams (`cancel_on_exit`) are cancelled first, and cancels that are under way are
        waited for: together at most 2 s.
        """
        begun = asyncio.get_running_loop().time()
        try:
            await self._streams.leave_all()
        finally:
            took = asyncio.get_running_loop().time() - begun
            await self._transport.aclose(patience=max(0.0, LEAVE_SECONDS - took))

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback may ask while the client is still being made.
        return f"AsyncClient({getattr(self, '_backend', None)!r})"


def _wrapped(api_key: str | Callable[[], Awaitable[str]] | None) -> Secret | Callable[[], Awaitable[str]] | None:
    if callable(api_key):
        return api_key
    if api_key is None:
        found = os.environ.get("OPENAI_API_KEY")
        return Secret(found) if found else None
    return None if api_key == "" else Secret(api_key)


def _check(*rules: tuple[bool, str, str]) -> None:
    """Raises `ConfigurationError` for the first setting that is not what it must be. Values are not quoted."""
    for holds, name, must in rules:
        if not holds:
            raise ConfigurationError(f"{name} must be {must}")


def _is_proxy(proxy: object) -> bool:
    if proxy is None or not isinstance(proxy, str):
        return proxy is None
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _account_headers(organization: str | None, project: str | None) -> dict[str, str]:
    given = {
        "OpenAI-Organization": organization or os.environ.get("OPENAI_ORG_ID"),
        "OpenAI-Project": project or os.environ.get("OPENAI_PROJECT_ID"),
    }
    return {name: checks.header_value(name, value) for name, value in given.items() if value}


def _backend(base_url: str | None, backend: Backend | None) -> Backend:
    if backend is not None:
        if base_url is not None:
            raise ConfigurationError("give base_url or backend, not both: a backend has its own address")
        return backend
    url = base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL")
    if not url:
        raise ConfigurationError(
            "no server to speak to: give base_url (or set OPENAI_BASE_URL) for a server of this protocol, "
            "or give a backend"
        )
    return HttpBackend(url)
