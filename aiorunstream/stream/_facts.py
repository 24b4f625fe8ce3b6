"""What is known of a stream at any moment, and told to its errors."""

from collections.abc import Mapping

from ..errors import StreamError
from ..models import Run
from ._given import ByteStream, EventSource


class StreamFacts:
    """The facts of a stream, out of its body, its events, and the ids its request named."""

    def __init__(self, body: ByteStream, protocol: EventSource, thread_id: str | None, run_id: str | None) -> None:
        self._body = body
        self._protocol = protocol
        self._thread_id = thread_id
        self._run_id = run_id

    @property
    def thread_id(self) -> str | None:
        """The thread, from the request or the first event that names it."""
        return self._protocol.thread_id or self._thread_id

    @property
    def run_id(self) -> str | None:
        """The run: known from the first `thread.run.*` event on."""
        return self._protocol.run_id or self._run_id

    @property
    def run(self) -> Run | None:
        """The run as its last event showed it."""
        return self._protocol.run

    @property
    def outcome(self) -> str | None:
        """The status the run stopped with; None while the stream goes on, and where it ended in an error."""
        return self._protocol.outcome

    @property
    def last_event(self) -> str | None:
        """The wire name of the last event handed out."""
        return self._protocol.last_event

    @property
    def events_seen(self) -> int:
        """How many events were handed out."""
        return self._protocol.events_seen

    @property
    def status_code(self) -> int:
        """The HTTP status of the answer."""
        return self._body.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer; names in any case."""
        return self._body.headers

    @property
    def request_id(self) -> str | None:
        """The answer's `x-request-id`, if the server gave one."""
        return self._body.headers.get("x-request-id")

    @property
    def clean_close(self) -> bool | None:
        """True when the body ended as HTTP says it should, False when it was cut, None while neither is known.

        After a good end it becomes known when the drain is over, within 0.25 s.
        """
        return self._body.clean_close

    def _tell(self, error: StreamError) -> None:
        """Tells an error what the stream knows."""
        run = self._protocol.run
        error.thread_id = self.thread_id
        error.run_id = self.run_id
        error.run_status = None if run is None else run.status
        error.request_id = self.request_id
        error.status_code = self.status_code
        error.headers = self.headers
        error.last_event = self.last_event
        error.events_seen = self.events_seen
        error.outcome = self.outcome
        error.clean_close = self.clean_close
