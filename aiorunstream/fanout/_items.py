"""What comes out of many runs. Each names its request by its key; each pickles, so that it can be handed to another process."""

import msgspec

from ..events import RunEvent
from ..models import Message, Run, Usage


class RunItem(msgspec.Struct, frozen=True, gc=False):
    """An event of a run. The events of one run come in their order; those of different runs come as they arrive."""

    key: str
    event: RunEvent


class RunResult(msgspec.Struct, frozen=True, gc=False):
    """A run that has come to a stop, well or not: the last that is heard of its key.

    Attributes:
        run: as its last event showed it.
        status: what it stopped with: "completed", or another; "requires_action" where nobody called its tools.
        text: the text of all messages of the assistant in this run.
        messages: in the order they began.
        events: how many events there were.
        seconds: from when the run was begun here until it stopped, waits and retries included.
        time_to_first_token: seconds from then to the first text; None where there was none.
    """

    key: str
    run: Run
    status: str
    text: str = ""
    messages: tuple[Message, ...] = ()
    events: int = 0
    seconds: float = 0.0
    time_to_first_token: float | None = None

    @property
    def usage(self) -> Usage | None:
        """The tokens the run has spent; None where the server did not say so."""
        return self.run.usage


class RunFailure(msgspec.Struct, frozen=True):
    """A run that could not be begun, or not be read to its stop: the last that is heard of its key.

    Attributes:
        error: an `AiorunstreamError`; or, as it is, what the request's `event_handler` or `approve` raised.
        thread_id, run_id: as far as they are known.
        text: what the run had said by then.
        events: how many events had come.
        seconds: from when the run was begun here, waits and retries included.
    """

    key: str
    error: Exception
    thread_id: str | None = None
    run_id: str | None = None
    text: str = ""
    events: int = 0
    seconds: float = 0.0
