"""Tokens that run out, from whoever gives them: asked for once by all who wait, kept until shortly before their end."""

import asyncio
import copy
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from ..errors import APITimeoutError, ConfigurationError, InvalidArgumentError
from ._credentials import Credentials, Secret

EXPIRES_SOON = 300.0
"""Seconds before a token's end in which a new one is asked for; the credentials of azure-identity do the same."""
GIVEN_WITHIN = 300.0
"""Seconds until a credential that gives nothing is given up: what somebody has to log in, where it opens a browser."""


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


class _Asking:
    """A question to a credential that is under way, and how many wait for what comes of it: a token or an error."""

    def __init__(self, task: asyncio.Task[Secret | Exception]) -> None:
        self.task = task
        self.waiting = 0


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
        self._keeps = get_token is not None
        self._kept: tuple[Secret, float] | None = None  # a token with its end: never one without the other
        self._askings: WeakKeyDictionary[asyncio.AbstractEventLoop, _Asking] = WeakKeyDictionary()

    async def current(self) -> Secret:
        """A token that holds for a while.

        Raises:
            InvalidArgumentError: what was given is no token.
            APITimeoutError: nothing was, within `GIVEN_WITHIN`.
            Exception: whatever the credential raises.
        """
        if not self._keeps:
            return (await self._asked())[0]
        if self._kept is not None and time.time() < self._kept[1] - EXPIRES_SOON:
            return self._kept[0]
        return await self._shared()

    async def renew(self, refused: Secret | None) -> bool:
        """There always may; a token that is kept is given up, unless that has been done."""
        if self._kept is not None and self._kept[0] is refused:
            self._kept = None
        return True

    async def _shared(self) -> Secret:
        """The token that is being asked for in this event loop; who comes first asks, who is the last to leave stops it."""
        loop = asyncio.get_running_loop()
        asking = self._askings.get(loop)
        if asking is None or asking.task.done():
            asking = self._askings[loop] = _Asking(loop.create_task(self._answer()))
        asking.waiting += 1
        try:
            await asyncio.wait([asking.task])
        except asyncio.CancelledError:
            if asking.waiting == 1 and not asking.task.done():
                self._forget(loop, asking)
                asking.task.cancel()
                await asyncio.wait([asking.task])  # so that nothing of it is left when its loop ends
            raise
        finally:
            asking.waiting -= 1
            if asking.task.done():  # a loop would never be freed that what is kept for it knows
                self._forget(loop, asking)
        answer = asking.task.result()
        if isinstance(answer, Secret):
            return answer
        try:
            raise _twin(answer) if asking.waiting else answer
        finally:
            del answer, asking  # or an error would hold this frame, and this frame the error

    def _forget(self, loop: asyncio.AbstractEventLoop, asking: _Asking) -> None:
        if self._askings.get(loop) is asking:
            del self._askings[loop]

    async def _answer(self) -> Secret | Exception:
        try:
            given = self._kept = await self._asked()
        except Exception as error:  # whatever it is, all who wait are to have it
            return error
        return given[0]

    async def _asked(self) -> tuple[Secret, float]:
        clock = asyncio.timeout(GIVEN_WITHIN)
        try:
            async with clock:
                secret, ends = await self._given()
        except TimeoutError:
            if not clock.expired():
                raise
        else:
            secret.check("credential")
            return secret, ends
        finally:
            del clock  # it knows the task, whose outcome an error may be that holds this frame
        raise APITimeoutError(f"the credential has given no token within {GIVEN_WITHIN:g} s", reason="no token")

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


def _twin(error: Exception) -> Exception:
    """The same error for another who waits, since each raise adds its frames. The error itself, where it has no twin."""
    for make in (copy.copy, _bare):
        try:
            twin = make(error)
            if type(twin) is not type(error) or twin.args != error.args:
                continue
        except Exception:  # noqa: S112  # a constructor takes what it likes
            continue
        if hasattr(error, "__notes__"):
            twin.__notes__ = list(error.__notes__)
        twin.__cause__, twin.__context__ = error.__cause__, error.__context__
        twin.__suppress_context__ = error.__suppress_context__
        return twin.with_traceback(error.__traceback__)
    return error


def _bare(error: Exception) -> Exception:
    """An error made without its constructor, which may take something else than `args`."""
    twin = type(error).__new__(type(error))
    twin.args = error.args
    twin.__dict__.update(error.__dict__)
    return twin
