"""A run as the answer of a Starlette or FastAPI handler."""

from collections.abc import Callable, Collection, Mapping
from http import HTTPMethod, HTTPStatus
from typing import Literal, cast

from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..errors import AiorunstreamError, InvalidArgumentError
from ..helper import AssistantStream
from ..stream import RunStream, StreamCall
from ._problems import problem_of, retry_after
from ._relaying import Relaying
from ._writing import Only, Writer

OnError = Callable[[AiorunstreamError], Response]
OnDisconnect = Literal["cancel", "continue"]

_NO_STORE = {"Cache-Control": "no-store"}
_HEADERS = {**_NO_STORE, "X-Accel-Buffering": "no"}


class RunStreamResponse(Response):
    """Passes a run on to a browser, as server-sent events. Return it from a handler:

        @app.post("/threads/{thread_id}/run")
        async def run(thread_id: str) -> RunStreamResponse:
            return RunStreamResponse(client.threads.runs.create_stream(thread_id, assistant_id="asst_1"))

    The run is opened before the headers go out, so a server that refuses is an answer with a status. Events go out under
    their own names, with the payloads' own bytes, each with an id `run_1:12`; after the last comes `event: done`. An error
    after the headers is one `error` event before that, with a fixed code and text.

    The call is closed in every case. A request with `Last-Event-ID`, which is an `EventSource` that lost its connection and
    comes back, starts nothing and gets 204, which ends it; nor does a HEAD request.

    Args:
        call: of a stream, and not entered. With an `AssistantStream` the events of all segments go out, and its tools run here.
        only: names of events that go out, such as "thread.message.delta" or "thread.message.*"; None is all.
        text_only: only the text goes out, piece by piece, as JSON strings in events named "text".
        ping: seconds without an event after which a comment is sent, which keeps proxies from hanging up; None for never.
        on_disconnect: "cancel" cancels the run when the browser leaves before it has all, whatever the call says of
            `cancel_on_exit`. "continue" leaves the run alone: a raw stream is closed, an `AssistantStream` is read to its
            end, since nobody else would call its tools.
        headers: go out too, and before this class's own where both name one.
        status_code: of a run that could be opened.
        background: runs when all is over, also after a refusal, and when the browser has left.
        on_error: makes the answer where the run could not be opened; without it the status says what is wrong, and a
            JSON object with a fixed code and text, which hold nothing that the server said.

    Raises:
        InvalidArgumentError: an argument cannot be meant. The call is closed.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        call: StreamCall[RunStream] | AssistantStream,
        *,
        only: Collection[str] | None = None,
        text_only: bool = False,
        ping: float | None = 15.0,
        on_disconnect: OnDisconnect = "cancel",
        headers: Mapping[str, str] | None = None,
        status_code: int = 200,
        background: BackgroundTask | None = None,
        on_error: OnError | None = None,
    ) -> None:
        try:
            _check(call, ping, on_disconnect, headers or {}, status_code)
            if text_only and only is not None:
                raise InvalidArgumentError("only and text_only exclude each other", argument="only")
            self._only = Only(only)
        except InvalidArgumentError:
            _give_up(call)
            raise
        self._call = call
        self._text_only = text_only
        self._ping = ping
        self._cancels = on_disconnect == "cancel"
        self._on_error = on_error
        self.status_code = status_code
        self.background = background
        self.init_headers({**_lower(_HEADERS), **_lower(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers. Called by Starlette."""
        if scope["method"] == HTTPMethod.HEAD:
            _give_up(self._call)
            answer = Response(status_code=self.status_code)
            answer.raw_headers = self.raw_headers
            await answer(scope, receive, send)
        elif "last-event-id" in Headers(scope=scope):
            _give_up(self._call)
            await Response(status_code=HTTPStatus.NO_CONTENT, headers=_NO_STORE)(scope, receive, send)
        else:
            await self._relay(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def refuse(error: AiorunstreamError) -> None:
            await (self._on_error or refusal)(error)(scope, receive, send)

        relaying = Relaying(
            self._call,
            writer=Writer(self._only),
            text_only=self._text_only,
            ping=self._ping,
            cancels=self._cancels,
            receive=receive,
            send=send,
        )
        await relaying.run((self.status_code, self.raw_headers), refuse)


def refusal(error: AiorunstreamError) -> Response:
    """The answer where a run could not be opened: a fitting status, and fixed words."""
    problem, headers = problem_of(error), {**_NO_STORE, **retry_after(error)}
    return Response(problem.body(), problem.status, headers, media_type="application/json")


def _check(call: object, ping: object, on_disconnect: object, headers: object, status_code: int) -> None:
    rules = (
        (
            isinstance(call, (StreamCall, AssistantStream)),
            "call",
            "what create_stream(...) or stream(...) returns, neither awaited nor entered",
        ),
        (ping is None or (isinstance(ping, (int, float)) and ping > 0), "ping", "a number of seconds above 0, or None"),
        (on_disconnect in ("cancel", "continue"), "on_disconnect", '"cancel" or "continue"'),
        (status_code in range(200, 300) and status_code not in (204, 205), "status_code", "a 2xx that has a body"),
        (
            isinstance(headers, Mapping) and all(map(_is_header, cast("Mapping[object, object]", headers).items())),
            "headers",
            "a dict of names and values, without line ends and none of the body's",
        ),
    )
    for holds, name, must in rules:
        if not holds:
            raise InvalidArgumentError(f"{name} must be {must}", argument=name)


def _is_header(item: tuple[object, object]) -> bool:
    name, value = item
    if not isinstance(name, str) or not isinstance(value, str):
        return False
    of_the_body = name.lower() in ("content-type", "content-length", "content-encoding", "transfer-encoding")
    text = name + value
    return not of_the_body and text.isascii() and not any(char in text for char in "\r\n\0")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _give_up(call: StreamCall[RunStream] | AssistantStream) -> None:
    """Closes a call that is not sent; else Python warns of it."""
    if isinstance(call, AssistantStream):
        call = call._call  # noqa: SLF001  # closing it before it was entered does not
    if isinstance(call, StreamCall):
        call.close()
