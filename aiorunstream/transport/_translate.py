"""aiohttp's exceptions, told apart by one question: can the request have reached the server?

aiohttp's own objects hold the request with its Authorization header, so only a class name and an errno are copied, and
nothing is raised while one of them is being handled: not even `__context__` may lead back to it.
"""

import os
import socket
import ssl
from typing import Literal

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    RunOutcomeUnknownError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
)

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""The only three that surely mean so. Every other one may have come after the server had read the request."""

BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError, RuntimeError)
"""What reading a body can raise. RuntimeError("Connection closed.") comes after a malformed chunk that nobody waited for;
aiohttp's parser in Python, which PyPy has, raises its own error for one."""

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
"""What OpenSSL says of an answer in plain HTTP."""


class Reason(msgspec.Struct, frozen=True):
    """What went wrong below, without anything that could hold a secret."""

    name: str
    errno: int | None = None
    words: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.words})" if self.words else self.name


def reason_of(error: BaseException) -> Reason:
    """The class name, the errno and the words of an exception, or of the operating system's error inside it."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    name = type(inner).__name__
    # These three have numbers of their own, which mean something else to the operating system.
    if isinstance(inner, ssl.SSLCertVerificationError):
        return Reason(name, words=f"its certificate is not trusted: {inner.verify_message}")
    if isinstance(inner, ssl.SSLError):
        plain = inner.reason in _NO_TLS
        return Reason(name, words=f"{inner.reason}: does it speak https?" if plain else inner.reason or "")
    if isinstance(inner, socket.gaierror):
        return Reason(name, words=inner.strerror or "")
    number = inner.errno if isinstance(inner, OSError) else None
    if not isinstance(number, int):
        return Reason(name)
    return Reason(name, number, os.strerror(number) if number > 0 else "")


def not_sent(host: str, error: BaseException) -> APIConnectionError:
    """The request surely never left."""
    reason = reason_of(error)
    kind = APITimeoutError if isinstance(error, aiohttp.ConnectionTimeoutError) else APIConnectionError
    return kind(f"cannot connect to {host}: {reason}", host=host, reason=reason.name, errno=reason.errno)


def refused(error: ValueError) -> ConfigurationError:
    """Aiohttp does not make such a request. What it says is left out, since it may quote what it was given."""
    return ConfigurationError(
        f"aiohttp refuses to make the request ({type(error).__name__}): has the host a login in netrc (trust_env), or your "
        "session one in auth, beside the api_key? Take one of the two away"
    )


def not_begun(host: str, seconds: float | None) -> APITimeoutError:
    """The whole time given was over before anything was sent."""
    return APITimeoutError(
        f"not connected to {host} within {seconds:g} s (Timeouts.total)", host=host, reason="timeout"
    )


def no_answer(
    host: str, operation: str, reason: Reason, *, creates: bool
) -> APIConnectionError | RunOutcomeUnknownError:
    """The request may have left, and no status line came back."""
    if creates:
        message = f"{operation} at {host} was sent and not answered ({reason}): it may have been carried out"
        return RunOutcomeUnknownError(message, operation=operation, host=host, reason=reason.name, errno=reason.errno)
    return APIConnectionError(f"no answer from {host}: {reason}", host=host, reason=reason.name, errno=reason.errno)


def too_late(
    host: str, operation: str, clock: Literal["first_event", "total"], seconds: float | None, *, creates: bool
) -> APITimeoutError | RunOutcomeUnknownError:
    """The request was written and no status line came in time."""
    within = f"within {seconds:g} s (Timeouts.{clock})" if seconds is not None else "in time"
    if creates:
        message = f"{operation} at {host} was sent and not answered {within}: it may have been carried out"
        return RunOutcomeUnknownError(message, operation=operation, host=host, reason="timeout", clock=clock)
    return APITimeoutError(f"no answer from {host} {within}", host=host, reason="timeout")


def body_broke(error: BaseException) -> StreamError:
    """Reading the body failed."""
    reason = reason_of(error)
    if isinstance(error, (aiohttp.ClientPayloadError, OSError)):
        return StreamInterruptedError(f"the connection broke ({reason})", reason=reason.name, errno=reason.errno)
    return malformed_body(reason.name)


def malformed_body(reason: str) -> StreamProtocolError:
    """The connection was closed below because the body broke the rules of HTTP."""
    return StreamProtocolError(f"the body broke the rules of HTTP, such as a malformed chunk ({reason})")
