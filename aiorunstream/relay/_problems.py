"""What a browser is told of an error: a status, a code and a sentence, all fixed, so that none can hold a secret."""

import math

import msgspec

from ..errors import (
    AiorunstreamError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    EndpointRetiredError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RunOutcomeUnknownError,
    RunStreamError,
    StreamClosedError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTimeoutError,
    ThreadBusyError,
    ToolError,
)


class Problem(msgspec.Struct, frozen=True):
    """An error in the browser's words.

    Attributes:
        status: the HTTP status, while there is still one to choose.
        code: for programs. `message` is for people.
    """

    status: int
    code: str
    message: str

    def body(self) -> bytes:
        """The answer's JSON, in the protocol's own shape."""
        return msgspec.json.encode({"error": self._told()})

    def data(self) -> bytes:
        """The payload of an error event, in the protocol's own shape."""
        return msgspec.json.encode(self._told())

    def _told(self) -> dict[str, str | None]:
        return {"message": self.message, "type": "relay_error", "param": None, "code": self.code}


INTERNAL = Problem(500, "internal_error", "Something went wrong.")
_BAD_STREAM = Problem(502, "bad_stream", "The answer could not be understood.")
_REFUSED = Problem(502, "upstream_refused", "The server refused the request.")
_FAILED = Problem(502, "upstream_failed", "The server could not answer.")
_TIMEOUT = Problem(504, "upstream_timeout", "The server did not answer in time.")
_UNKNOWN = "It is not known whether the run was started."
_NOT_ACCEPTED = "The server did not accept the request."

_PASSED_ON = frozenset({400, 409, 413, 422})
"""More statuses that mean the same to the browser. Others of a refusal are about this program, and become 502 or 504."""

_OF_STATUS_ERRORS: dict[type[AiorunstreamError], Problem] = {
    ThreadBusyError: Problem(409, "thread_busy", "The thread is busy with another run."),
    RateLimitError: Problem(429, "rate_limited", "There are too many requests. Try again later."),
    EndpointRetiredError: _FAILED,
    AuthenticationError: Problem(401, "not_authorized", "The server does not know who asks."),
    PermissionDeniedError: Problem(403, "not_authorized", "The server does not let the request through."),
    NotFoundError: Problem(404, "not_found", "There is no such thread, assistant or run."),
}

_OF_OTHER_ERRORS: dict[type[AiorunstreamError], Problem] = {
    APITimeoutError: _TIMEOUT,
    APIConnectionError: Problem(502, "upstream_unreachable", "The server could not be reached."),
    RunStreamError: Problem(502, "server_error", "The server reported an error."),
    StreamInterruptedError: Problem(502, "interrupted", "The connection to the server broke."),
    StreamTimeoutError: Problem(504, "timeout", "The run took too long."),
    StreamProtocolError: _BAD_STREAM,
    StreamClosedError: Problem(503, "closed", "The run was given up."),
    StreamError: INTERNAL,
    ClientClosedError: Problem(503, "closed", "The run was given up."),
    ToolError: Problem(500, "tool_failed", "A tool of the run failed."),
}


def problem_of(error: Exception) -> Problem:
    """What is told of an error, whenever it comes."""
    if isinstance(error, APIStatusError):
        return _of_status(error)
    if isinstance(error, RunOutcomeUnknownError):
        return Problem(502 if error.clock is None else 504, "outcome_unknown", _UNKNOWN)
    return next((problem for kind, problem in _OF_OTHER_ERRORS.items() if isinstance(error, kind)), INTERNAL)


def _of_status(error: APIStatusError) -> Problem:
    for kind, problem in _OF_STATUS_ERRORS.items():
        if isinstance(error, kind):
            return problem
    if error.status_code in _PASSED_ON:
        return Problem(error.status_code, "not_accepted", _NOT_ACCEPTED)
    if error.status_code in (408, 504):
        return _TIMEOUT
    return _REFUSED if 400 <= error.status_code < 500 else _FAILED


def retry_after(error: Exception) -> dict[str, str]:
    """The header that says when to come again, where the server said so to a client that was too fast."""
    if isinstance(error, RateLimitError) and error.retry_after is not None and math.isfinite(error.retry_after):
        return {"Retry-After": str(max(0, math.ceil(error.retry_after)))}
    return {}


_STOPS = {
    "failed": Problem(502, "run_failed", "The run failed."),
    "cancelled": Problem(502, "run_cancelled", "The run was cancelled."),
    "expired": Problem(502, "run_expired", "The run took too long."),
    "incomplete": Problem(502, "run_incomplete", "The answer was broken off at a limit."),
    "requires_action": Problem(502, "run_requires_action", "The run waits for a tool that nobody calls."),
}


def problem_of_stop(outcome: str | None) -> Problem | None:
    """What is told of a run's stop to a browser that is not shown the event itself; None for a run that is done."""
    return None if outcome == "completed" else _STOPS.get(outcome or "", INTERNAL)
