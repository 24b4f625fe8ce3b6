"""Keys, and how they stay unseen: a wrapper without a readable repr, header values without one, and redaction.

A traceback can show the local variables of every frame (Sentry does), so a raw key is never one: not here, and not
in aiohttp's frames, which hold the `SecretText` that the header became.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, cast

from .. import checks
from ..errors import InvalidArgumentError

ApiKey = str | Callable[[], Awaitable[str]]
"""A key, or an async callable that gives the one to use now."""


class SecretText(str):
    """A header value that prints as stars wherever a repr is taken. On the wire it is itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def unseen(headers: Mapping[str, object] | None) -> dict[str, str | None]:
    """Headers of the caller, which may hold keys, with values that print as stars. What is no text stays, to be refused."""
    items = headers.items() if isinstance(headers, Mapping) else ()
    return {name: SecretText(value) if isinstance(value, str) else cast(None, value) for name, value in items}


class Secret:
    """A key that cannot be printed, pickled or compared by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def check(self, name: str) -> None:
        """Raises `InvalidArgumentError` where the key could not go into a header, naming `name` and not the key."""
        problem = self._problem(name)
        if problem is not None:
            raise InvalidArgumentError(problem, argument=name)

    def _problem(self, name: str) -> str | None:
        try:
            checks.header_value(name, self._value)
        except InvalidArgumentError as error:
            return str(error)
        return None

    def bearer(self) -> SecretText:
        """The value of an Authorization header."""
        return SecretText(f"Bearer {self._value}")

    def redact(self, text: str) -> str:
        """`text` without the key, which some servers quote back."""
        key = str(self._value)
        for spelt in (key, key.replace("/", "\\/"), json.dumps(key)[1:-1]):  # as it is, and as JSON may have it
            text = text.replace(spelt, "***")
        return text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class Credentials:
    """Where the key comes from: nowhere, a fixed one, or an async callable asked before each attempt."""

    def __init__(self, key: Secret | Callable[[], Awaitable[str]] | None) -> None:
        self._key = key
        if isinstance(key, Secret):
            key.check("api_key")

    async def current(self) -> Secret | None:
        """The key for the next attempt. Raises `InvalidArgumentError` for one that no header can carry."""
        if self._key is None or isinstance(self._key, Secret):
            return self._key
        secret = Secret(await self._key())
        secret.check("api_key")
        return secret

    def __repr__(self) -> str:
        return "<Credentials>"
