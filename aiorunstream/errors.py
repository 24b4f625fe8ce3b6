"""Every exception this package raises.

AiorunstreamError
├── APIError                           something about a request or its answer
│   ├── APIConnectionError             it surely never reached the server, or may safely be sent again
│   │   └── APITimeoutError            connecting, waiting for a free stream slot, or polling took too long
│   ├── APIStatusError                 the server answered with a status that is not what was asked for
│   │   ├── BadRequestError            400
│   │   │   └── ThreadBusyError        400: the thread already has an active run (a locked conversation: 409 too)
│   │   ├── AuthenticationError        401
│   │   ├── PermissionDeniedError      403
│   │   ├── NotFoundError              404
│   │   │   └── EndpointRetiredError   404 from a host that no longer serves this protocol
│   │   ├── ConflictError              409
│   │   ├── UnprocessableEntityError   422
│   │   ├── RateLimitError             429
│   │   └── InternalServerError        5xx
│   ├── RunOutcomeUnknownError         no status line came: the request may have been carried out
│   └── StreamError                    after the 200
│       ├── RunStreamError             the server sent an error event
│       ├── StreamInterruptedError     the connection broke
│       │   └── StreamTruncatedError   the body ended, or said [DONE], before the run came to a stop
│       ├── StreamTimeoutError         one of the stream's clocks ran out
│       ├── StreamProtocolError        what came is not a run stream
│       │   ├── EventTooLargeError     an event above `max_event_bytes`
│       │   └── EventTooDeepError      JSON nested deeper than `max_depth`
│       └── StreamClosedError          the stream was closed before its end
├── ToolError                          a tool of the caller could not be run
├── InvalidArgumentError (ValueError)  an argument that cannot be meant; nothing was sent
│   └── UnsupportedParameterError      a parameter that this backend cannot express
├── ConfigurationError (ValueError)    a client that cannot be built from what it was given
├── StreamBusyError (RuntimeError)     a second reader on one stream
└── ClientClosedError (RuntimeError)   the client was closed

Rules: messages and reprs hold no keys, headers or payloads; every exception pickles and copies to
itself; facts are attributes, so nobody parses a message. Only the standard library is imported here.
"""

from collections.abc import Mapping
from typing import Literal

Clock = Literal["first_event", "idle", "progress", "total"]


def _rebuild(cls: type[BaseException], args: tuple[object, ...], state: dict[str, object]) -> BaseException:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    if hasattr(error, "__notes__"):
        error.__notes__ = list(error.__notes__)  # a note on a copy is no note on the first
    return error


class AiorunstreamError(Exception):
    """Anything this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call __init__ with `args` alone, which keyword-only constructors refuse.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class APIError(AiorunstreamError):
    """A request failed, or its answer did."""


class APIConnectionError(APIError):
    """The request never reached the server (DNS, connect, TLS, proxy), or it is one that may safely be repeated.

    Attributes:
        host: where the request was going, `host:port`.
        reason: the class name of what went wrong below.
        errno: the operating system's number for it, if it gave one.
    """

    def __init__(self, message: str, *, host: str = "", reason: str = "", errno: int | None = None) -> None:
        super().__init__(message)
        self.host = host
        self.reason = reason
        self.errno = errno


class APITimeoutError(APIConnectionError):
    """Connecting, or waiting for a free stream slot, took longer than `Timeouts.connect`, and nothing was sent; or a
    request that may be repeated was not answered in time; or no key came in time; or polling met its deadline.
    """


class APIStatusError(APIError):
    """The server answered with a status that is not what was asked for.

    Attributes:
        status_code: the HTTP status.
        code, type, param: what the server's error object says, each may be None.
        body: the answer's body as text, at most 64 KiB. It may quote the request: do not log it blindly.
        request_id: the `x-request-id` header, if there was one.
        headers: the answer's headers.
        retry_after: seconds the server asked to wait, if it did.
        outcome_unknown: True for a 5xx or 408 to a request that creates something: the server, or a gateway before
            it, may have carried it out. True also for a 2xx to one whose body cannot be read.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        code: str | int | None = None,
        type: str | None = None,
        param: str | None = None,
        body: str = "",
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.type = type
        self.param = param
        self.body = body
        self.request_id = request_id
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown


class BadRequestError(APIStatusError):
    """Status 400."""


class ThreadBusyError(BadRequestError):
    """The thread already has an active run; `run_id` is that run, where the server named it.

    Where a conversation of `/v1/responses` is locked, the status may be 409.
    """

    run_id: str | None = None


class AuthenticationError(APIStatusError):
    """Status 401."""


class PermissionDeniedError(APIStatusError):
    """Status 403."""


class NotFoundError(APIStatusError):
    """Status 404."""


class EndpointRetiredError(NotFoundError):
    """A 404 from a host that served this protocol once and does not any more."""


class ConflictError(APIStatusError):
    """Status 409."""


class UnprocessableEntityError(APIStatusError):
    """Status 422."""


class RateLimitError(APIStatusError):
    """Status 429."""


class InternalServerError(APIStatusError):
    """Any 5xx."""


class RunOutcomeUnknownError(APIError):
    """A creating request may have left, and no status line came back: it may have been carried out.

    It is never sent again on its own, since that could start a second run.

    Attributes:
        operation: the name of the operation, such as "create_run".
        host, reason, errno: as in APIConnectionError.
        clock: "first_event" or "total" where that clock of ours ended the wait, else None.
        looked: True when it was looked for (`RetryPolicy.reconcile`), and nothing was found yet.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        host: str = "",
        reason: str = "",
        errno: int | None = None,
        clock: Literal["first_event", "total"] | None = None,
        looked: bool = False,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.host = host
        self.reason = reason
        self.errno = errno
        self.clock: Literal["first_event", "total"] | None = clock
        self.looked = looked


class StreamError(APIError):
    """A stream went wrong after its 200. It carries what the stream knew, as plain values.

    Attributes:
        thread_id, run_id, run_status: the run, as far as it was seen.
        request_id, status_code, headers: of the answer.
        last_event: the wire name of the last event that was delivered.
        events_seen: how many were.
        outcome: the status the run stopped with, or None: it may still be going on.
        clean_close: whether the body ended as HTTP says it should; None while that is not known.
    """

    thread_id: str | None = None
    run_id: str | None = None
    run_status: str | None = None
    request_id: str | None = None
    status_code: int | None = None
    headers: Mapping[str, str] | None = None
    last_event: str | None = None
    events_seen: int = 0
    outcome: str | None = None
    clean_close: bool | None = None


class RunStreamError(StreamError):
    """The server sent an error event (flat, wrapped or without a name). `code`, `param`, `type` are its words."""

    def __init__(
        self,
        message: str,
        *,
        code: str | int | None = None,
        param: str | None = None,
        type: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.type = type


class StreamInterruptedError(StreamError):
    """The connection broke. Every event whose bytes had arrived was delivered; `reason` is what broke it."""

    def __init__(self, message: str, *, reason: str = "", errno: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.errno = errno


class StreamTruncatedError(StreamInterruptedError):
    """The body ended before the run came to a stop. `done_seen`: the server had said `[DONE]` all the same."""

    def __init__(self, message: str, *, done_seen: bool = False) -> None:
        super().__init__(message, reason="truncated")
        self.done_seen = done_seen


class StreamTimeoutError(StreamError):
    """A clock ran out. `clock` says which; `seconds` is what it was set to."""

    def __init__(self, message: str, *, clock: Clock, seconds: float) -> None:
        super().__init__(message)
        self.clock: Clock = clock
        self.seconds = seconds


class StreamProtocolError(StreamError):
    """What came is not a run stream: no event stream at all, broken JSON, or a body broken below HTTP."""


class EventTooLargeError(StreamProtocolError):
    """An event is larger than `limit` bytes."""

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class EventTooDeepError(StreamProtocolError):
    """An event's JSON is nested deeper than `limit`."""

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class StreamClosedError(StreamError):
    """The stream was closed before its end, by its reader or by its client."""


class ToolError(AiorunstreamError):
    """A tool of the caller could not be described, called or answered.

    Attributes:
        tool: the name of the tool, or of the function that should become one; None where it has none.
        call_id: the id of the tool call that waits for an output, if it was about one.
    """

    def __init__(self, message: str, *, tool: str | None = None, call_id: str | None = None) -> None:
        super().__init__(message)
        self.tool = tool
        self.call_id = call_id


class InvalidArgumentError(AiorunstreamError, ValueError):
    """An argument that cannot be meant. `argument` names it; nothing was sent."""

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class UnsupportedParameterError(InvalidArgumentError):
    """A parameter that this backend cannot express; the message says what to do instead."""


class ConfigurationError(AiorunstreamError, ValueError):
    """A client cannot be built from what it was given."""


class StreamBusyError(AiorunstreamError, RuntimeError):
    """Two readers on one stream, or its events and its frames read at once."""


class ClientClosedError(AiorunstreamError, RuntimeError):
    """The client was closed."""
