"""Settings of a client and of a single request, as frozen Structs. Times are seconds, None switches a clock off."""

from collections.abc import Mapping
from typing import cast

import msgspec

from .errors import ConfigurationError, InvalidArgumentError
from .retry import RetryPolicy


def is_mapping(value: object) -> bool:
    """Whether it is a mapping, or nothing."""
    return value is None or isinstance(value, Mapping)


def check_mapping(name: str, value: object) -> None:
    """None, or a mapping with names of text; where it is a query, also with values of text.

    Raises:
        InvalidArgumentError: it is anything else. Values are not quoted, and are in no frame of the traceback.
    """
    problem = _mapping_problem(name, value)
    del value
    if problem is not None:
        raise InvalidArgumentError(problem, argument=name)


def _mapping_problem(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return f"{name} must be a dict, not {type(value).__name__}"
    for key, item in cast("Mapping[object, object]", value).items():
        if not isinstance(key, str):
            return f"{name} must have names of text, not {type(key).__name__}"
        if name.endswith("query") and not isinstance(item, str):
            return f"{name}[{key!r:.80}] must be text, not {type(item).__name__}"
        if name.endswith("query") and not _is_utf8(item):
            return f"{name}[{key!r:.80}] must be text that can be sent as UTF-8: it holds half a surrogate pair"
    return None


def _is_utf8(text: object) -> bool:
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_above_0(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """The clocks of a request. They are this package's own: aiohttp can wait for ever after a malformed chunk.

    Args:
        connect: to be connected (name, TCP, TLS, proxy), and to get a free stream slot.
        first_event: from the request written to the first event decoded; for other requests, to the answer.
        idle: between two reads that bring bytes. A comment of the server counts as bytes.
        progress: between two decoded events; comments and drips do not count. Off by default.
        total: for the whole stream, from the first attempt to open it, the reader's own pauses included. Off by default.

    Raises:
        ConfigurationError: a clock is not above 0 seconds.
    """

    connect: float | None = 5.0
    first_event: float | None = 60.0
    idle: float | None = 300.0
    progress: float | None = None
    total: float | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            seconds: float | None = getattr(self, name)
            if seconds is not None and not _is_above_0(seconds):
                raise ConfigurationError(f"Timeouts.{name} must be above 0 seconds, or None")


class RecoverPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a broken stream is gone on with: the run is watched until it stops, and what was missed is fetched.

    Args:
        timeout: seconds for all of it, from the break on; None for as long as it takes. Servers end a run after ten
            minutes. Looks at the run come 0.5 s apart and slow down to 5 s, or come as the server asks.

    Raises:
        ConfigurationError: the timeout is not above 0 seconds.
    """

    timeout: float | None = 600.0

    def __post_init__(self) -> None:
        if self.timeout is not None and not _is_above_0(self.timeout):
            raise ConfigurationError("RecoverPolicy.timeout must be above 0 seconds, or None")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client holds at most.

    Args:
        max_event_bytes: the largest event of a stream, and the largest plain answer, in bytes.
        max_depth: the deepest nesting of an event's JSON, and of a plain answer's.
        max_streams: streams open at once in one event loop; one more waits for `Timeouts.connect`.
        keepalive: seconds an idle connection is kept. Below 5, because uvicorn closes at 5 and a POST
            on a connection that is just being closed has no known outcome.

    Raises:
        ConfigurationError: a limit is not above 0.
    """

    max_event_bytes: int = 16 * 1024 * 1024
    max_depth: int = 128
    max_streams: int = 10_000
    keepalive: float = 4.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value: object = getattr(self, name)
            if not _is_above_0(value) or (name != "keepalive" and not isinstance(value, int)):
                kind = "above 0 seconds" if name == "keepalive" else "a whole number above 0"
                raise ConfigurationError(f"Limits.{name} must be {kind}")


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What one request does differently from its client.

    Args:
        extra_headers: added last, so they win; None as a value leaves a header out.
        extra_query: added to the query.
        extra_body: merged into the JSON body, for servers that take more than the protocol has. `stream` is
            not its to set.
        timeouts, retry: in place of the client's.
        idempotency_key: sent as `Idempotency-Key`. No server known here honours it for runs.

    Raises:
        InvalidArgumentError: one of them cannot be meant.
    """

    extra_headers: Mapping[str, str | None] | None = None
    extra_query: Mapping[str, str] | None = None
    extra_body: Mapping[str, object] | None = None
    timeouts: Timeouts | None = None
    retry: RetryPolicy | None = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        kinds = (("timeouts", Timeouts), ("retry", RetryPolicy), ("idempotency_key", str))
        for name, kind in kinds:
            value: object = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InvalidArgumentError(f"{name} must be {kind.__name__}, not {type(value).__name__}", argument=name)
        for name in ("extra_headers", "extra_query", "extra_body"):
            check_mapping(name, getattr(self, name))

    def for_another_request(self) -> "RequestOptions":
        """The same, for another request that is made for this one: without its body, and what makes it unique."""
        named = self.extra_headers or {}
        headers = {name: value for name, value in named.items() if name.lower() != "idempotency-key"}
        return msgspec.structs.replace(self, extra_headers=headers or None, extra_body=None, idempotency_key=None)

    def __repr__(self) -> str:
        """Names what is set; headers may hold keys, and bodies what people wrote."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"RequestOptions({', '.join(given)})"
