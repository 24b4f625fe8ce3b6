"""Tokens that run out, from whoever gives them: asked for in time, kept until shortly before their end, one at a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from ..errors import ConfigurationError, InvalidArgumentError
from ._credentials import Credentials, Secret

EXPIRES_SOON = 300.0
"""Seconds before a token's end in which a new one is asked for; the credentials of azure-identity do the same."""


class AccessToken(Protocol):
    """A token and when it ends, in Unix seconds."""

    @property
    def token(self) -> str:
        """The token."""
        ...

    @property
    def expires_on(self) -> int:
        """When it ends."""
        ...


class TokenCredential(Protocol):
    """What gives tokens for a scope, such as the credentials of azure-identity, plain or `aio`."""

    def get_token(self, *scopes: str) -> AccessToken | Awaitable[AccessToken]:
        """Returns a token, or what is to be awaited for one."""
        ...


TokenProvider = Callable[[], str | Awaitable[str]]
"""Gives a token whenever it is called, and keeps tokens itself."""


class Tokens(Credentials):
    """The tokens of one client.

    Args:
        credential: a `TokenCredential`, or a function. What is not async is called in a thread.
        scope: what the tokens are for.

    Raises:
        ConfigurationError: it is neither.
    """

    def __init__(self, credential: TokenCredential | TokenProvider, scope: str) -> None:
        super().__init__(None)
        get_token = getattr(credential, "get_token", None)
        if get_token is None and not callable(credential):
            raise ConfigurationError(
                "credential must be an async function that returns a token, or an object with get_token, "
                f"not {type(credential).__name__}"
            )
        self._give: Callable[..., object] = credential if get_token is None else get_token  # type: ignore[assignment]
        self._scopes = () if get_token is None else (scope,)
        self._kept: Secret | None = None
        self._ends = 0.0
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def current(self) -> Secret:
        """A token that holds for a while. Raises whatever the credential raises; `InvalidArgumentError` for no token."""
        if self._holds():
            assert self._kept is not None
            return self._kept
        async with self._turn():
            return self._kept if self._kept is not None and self._holds() else await self._ask()

    async def renew(self, refused: Secret | None) -> bool:
        """There always may; a token that is kept is given up, unless that has been done."""
        async with self._turn():
            if self._kept is refused:
                self._kept = None
        return True

    def _holds(self) -> bool:
        return self._kept is not None and time.time() < self._ends - EXPIRES_SOON

    def _turn(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        return self._turns.setdefault(loop, asyncio.Lock())

    async def _ask(self) -> Secret:
        secret, self._ends = await self._given()
        secret.check("credential")
        self._kept = secret
        return secret

    async def _given(self) -> tuple[Secret, float]:
        """A token, at once wrapped: a traceback may show the variables of this frame."""
        give, scopes = self._give, self._scopes
        if inspect.iscoroutinefunction(give):
            return _wrapped(await give(*scopes))
        found = await asyncio.to_thread(give, *scopes)
        return _wrapped(await found) if inspect.isawaitable(found) else _wrapped(found)


def _wrapped(found: object) -> tuple[Secret, float]:
    token: object = getattr(found, "token", found)
    if not isinstance(token, str) or not token:
        raise InvalidArgumentError(
            f"credential must give a token of text, not {type(token).__name__}", argument="credential"
        )
    ends: object = getattr(found, "expires_on", 0)
    return Secret(token), float(ends) if isinstance(ends, (int, float)) else 0.0
