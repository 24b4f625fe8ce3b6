"""Keys, and how they stay unseen: wrappers without a readable repr, and redaction of what servers quote back.

A traceback can show the local variables of every frame (Sentry does), so a raw key is never one: not here, and not
in aiohttp's frames, which hold the `SecretText` that the header became.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NoReturn, cast

from .. import checks
from ..errors import InvalidArgumentError

_TELLING_NAMES = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
"""Names of headers whose values are secrets, and not only settings."""
_LEAST_SECRET = 8
"""What is shorter stands for a key, such as the `none` or `x` that self-hosted servers take, and is found in honest words."""


class SecretText(str):
    """Text that prints as stars wherever a repr is taken. On the wire it is itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class Secret:
    """A value that cannot be printed, pickled or compared by accident."""

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

    async def renew(self, refused: Secret | None) -> bool:
        """Whether there may be another key than this one, which a server has refused."""
        del refused
        return False

    def __repr__(self) -> str:
        return "<Credentials>"


def unseen(values: object) -> dict[str, str | None]:
    """Headers or a query of the caller, which may hold keys, with values that print as stars.

    What is no text becomes a `Secret`, for the check that refuses it by name; what is no mapping becomes empty.
    """
    if not isinstance(values, Mapping):
        return {}
    items = cast("Mapping[str, object]", values).items()
    return {name: cast("str | None", _unseen(value)) for name, value in items}


def _unseen(value: object) -> object:
    if value is None:
        return None
    return SecretText(value) if isinstance(value, str) else Secret(value)


class Redaction:
    """Takes the secrets of one request out of what a server says about it: all of 8 characters and more."""

    __slots__ = ("_secrets",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        values = [str(value) for name, value in headers.items() if _TELLING_NAMES.search(name)]
        # With the scheme before it a key would be found only as it was sent.
        bare = [value.partition(" ")[2] for value in values if " " in value]
        secrets = {value for value in (*values, *bare) if len(value) >= _LEAST_SECRET}
        self._secrets = tuple(spelt for value in sorted(secrets, key=len, reverse=True) for spelt in _spelt(value))

    def __call__(self, text: str) -> str:
        """`text` with stars for every secret."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def as_bytes(self) -> tuple[bytes, ...]:
        """The secrets in every spelling that is looked for, longest first; for whoever takes them out of bytes."""
        return tuple(spelt.encode() for spelt in self._secrets)

    def __repr__(self) -> str:
        return "<Redaction>"


def _spelt(secret: str) -> Iterable[str]:
    """A secret as it is, and as JSON may have it."""
    return dict.fromkeys((secret, secret.replace("/", "\\/"), json.dumps(secret)[1:-1]))
