"""A broken stream gone on with: what its reader has had is remembered, and the rest is fetched from what the server kept.

The run is never started again. It is looked at until it stops, its messages and steps are fetched, and `RunSnapshot` says
which events make the difference.
"""

from collections.abc import Callable

import anyio

from ..errors import (
    APIError,
    ClientClosedError,
    StreamClosedError,
    StreamError,
    StreamTimeoutError,
    StreamTruncatedError,
)
from ..events import AssistantStreamEvent, RunEvent, ThreadRunCreated, ThreadRunInProgress
from ..options import RecoverPolicy
from ..snapshot import RunSnapshot
from ._given import RunControl

_MOST_WAITING = 1_000


class NotRecoveredError(Exception):
    """What was missed cannot be had; the message says why."""


class Delivered:
    """What the readers of streams have had of runs that wait for tool outputs: such a run goes on in another stream."""

    def __init__(self) -> None:
        self._runs: dict[str, RunSnapshot] = {}

    def keep(self, run_id: str, snapshot: RunSnapshot) -> None:
        """Remembers a run until it goes on; of a thousand others, the oldest is forgotten."""
        self._runs.pop(run_id, None)
        self._runs[run_id] = snapshot
        if len(self._runs) > _MOST_WAITING:
            del self._runs[next(iter(self._runs))]

    def take(self, run_id: str | None) -> RunSnapshot:
        """What was remembered of that run, or nothing yet."""
        return self._runs.pop(run_id or "", None) or RunSnapshot()


class Recovery:
    """The way back of one stream.

    Args:
        control: asks the server about the run.
        policy: how long it may take.
        delivered: what was had of runs that waited for tool outputs.
        run_id: the run, where it goes on in this stream.
        until: on the loop's clock, when `Timeouts.total` is over.

    Attributes:
        snapshot: what was delivered.
    """

    def __init__(
        self,
        control: RunControl,
        policy: RecoverPolicy,
        delivered: Delivered,
        run_id: str | None,
        *,
        until: float = float("inf"),
    ) -> None:
        self._control = control
        self._policy = policy
        self._goes_on = run_id is not None
        self._until = until
        self._delivered = delivered
        self.snapshot = delivered.take(run_id)
        self._deadline: float | None = None
        self._scope: anyio.CancelScope | None = None

    def remembering(self, next_event: Callable[[], RunEvent | None]) -> Callable[[], RunEvent | None]:
        """The same step, whose events are remembered as delivered."""
        add = self.snapshot.add

        def step() -> RunEvent | None:
            event = next_event()
            if event is not None:
                add(event)
            return event

        return step

    def applies_to(self, error: StreamError, *, body_failed: bool) -> bool:
        """Whether the way to the server failed, and not what it said: a connection, a clock, a body that ended early."""
        if isinstance(error, StreamTimeoutError):
            return error.clock != "total"
        if isinstance(error, StreamClosedError):
            return False
        return body_failed or isinstance(error, StreamTruncatedError)

    async def missing_events(self, thread_id: str | None, run_id: str | None) -> tuple[AssistantStreamEvent, ...]:
        """Waits for the run to stop, and returns what its reader has not had. A cancel loses nothing: ask again.

        Raises:
            NotRecoveredError: the run is not known, the server cannot tell, or the time is over.
            StreamClosedError: `give_up` was called.
        """
        if thread_id is None or run_id is None:
            raise NotRecoveredError("it broke before its run was known")
        now, timeout = anyio.current_time(), self._policy.timeout
        if self._deadline is None:
            self._deadline = self._until if timeout is None else min(self._until, now + timeout)
        events: tuple[AssistantStreamEvent, ...] | None = None
        problem = f"the run had not stopped after {timeout} s (RecoverPolicy.timeout)"
        if self._deadline == self._until:
            problem = "the run had not stopped within the time for all of the stream (Timeouts.total)"
        with anyio.CancelScope(deadline=self._deadline) as self._scope:
            try:
                events = await self._fetch(thread_id, run_id)
            except APIError as error:
                problem = str(error)
            except ClientClosedError:
                self.give_up()
            except ValueError:
                problem = "the run stopped in a way that this version does not know"
        if self._deadline == float("-inf"):
            raise StreamClosedError("the stream was closed")
        if not events:
            raise NotRecoveredError(problem if events is None else "the run has not moved on since its last stop")
        return events

    def stopped(self, run_id: str | None, outcome: str | None) -> None:
        """The stream has come to its end. What was delivered counts again if the run goes on in another."""
        if outcome == "requires_action" and run_id is not None:
            self._delivered.keep(run_id, self.snapshot)

    def give_up(self) -> None:
        """Ends the wait, from any task of the loop."""
        self._deadline = float("-inf")
        if self._scope is not None:
            self._scope.cancel()

    async def _fetch(self, thread_id: str, run_id: str) -> tuple[AssistantStreamEvent, ...]:
        run = await self._control.stopped(thread_id, run_id)
        messages = await self._control.messages(thread_id, run_id)
        steps = await self._control.steps(thread_id, run_id)
        is_new = self.snapshot.run is None
        events = self.snapshot.missing_events(run, messages, steps)
        if self._goes_on and is_new:  # it began in another stream, perhaps in another program
            events = tuple(event for event in events if not isinstance(event, (ThreadRunCreated, ThreadRunInProgress)))
        return events
