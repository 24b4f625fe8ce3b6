"""A broken stream gone on with: what its reader has had is remembered, and the rest is fetched from what the server kept.

The run is never started again. It is looked at until it stops, its messages and steps are fetched, and `RunSnapshot` says
which events make the difference.
"""

from collections.abc import Callable, Sequence

import anyio

from ..errors import (
    AiorunstreamError,
    APIError,
    ClientClosedError,
    StreamClosedError,
    StreamError,
    StreamTimeoutError,
    StreamTruncatedError,
)
from ..events import AssistantStreamEvent, RunEvent, ThreadRunCreated, ThreadRunInProgress
from ..models import Message, MessageCreationStepDetails, Run, RunStep
from ..options import RecoverPolicy
from ..retry import is_outage, poll_delay
from ..snapshot import RunSnapshot
from ._delivered import Delivered
from ._given import NotRecoveredError, RunControl

_LOOKS_FOR_PROGRESS = 5
"""How often a run is looked at that shows the stop which was delivered before: a server may be slow to see it go on."""


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
        self.snapshot = delivered.take(run_id) or RunSnapshot()
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
        problem = f"the run had not stopped after {timeout} s (RecoverPolicy.timeout)"
        if self._deadline == self._until:
            problem = "the run had not stopped within the time for all of the stream (Timeouts.total)"
        with anyio.CancelScope(deadline=self._deadline) as self._scope:
            try:
                return await self._fetch_until_it_can_be_had(thread_id, run_id)
            except ClientClosedError:
                self.give_up()
            except NotRecoveredError as error:
                problem = str(error)
            except Exception as error:  # whatever it is, the reader is to hear of the break
                problem = str(error) if isinstance(error, AiorunstreamError) else type(error).__name__
        if self._deadline == float("-inf"):
            raise StreamClosedError("the stream was closed")
        raise NotRecoveredError(problem)

    def stopped(self, run_id: str | None, outcome: str | None) -> None:
        """The stream has come to its end. What was delivered counts again if the run goes on in another."""
        if outcome == "requires_action" and run_id is not None:
            self._delivered.keep(run_id, self.snapshot)

    def give_up(self) -> None:
        """Ends the wait, from any task of the loop."""
        self._deadline = float("-inf")
        if self._scope is not None:
            self._scope.cancel()

    async def _fetch_until_it_can_be_had(self, thread_id: str, run_id: str) -> tuple[AssistantStreamEvent, ...]:
        attempt = 0
        while True:
            attempt += 1
            try:
                events = await self._fetch(thread_id, run_id)
            except APIError as error:
                if not is_outage(error):
                    raise
            else:
                if events:
                    return events
                if attempt >= _LOOKS_FOR_PROGRESS:
                    raise NotRecoveredError("the run has not moved on since its last stop")
            await anyio.sleep(poll_delay(attempt, {}))

    async def _fetch(self, thread_id: str, run_id: str) -> tuple[AssistantStreamEvent, ...]:
        run = await self._control.stopped(thread_id, run_id)
        messages = await self._control.messages(thread_id, run_id)
        steps = await self._control.steps(thread_id, run_id)
        is_new = self.snapshot.run is None
        try:
            events = self.snapshot.missing_events(run, self._own(messages, run, steps), steps)
        except ValueError:
            raise NotRecoveredError("the run stopped in a way that this version does not know") from None
        if self._goes_on and is_new:  # it began in another stream, perhaps in another program
            events = tuple(event for event in events if not isinstance(event, (ThreadRunCreated, ThreadRunInProgress)))
        return events

    def _own(self, messages: Sequence[Message], run: Run, steps: Sequence[RunStep]) -> Sequence[Message]:
        """The messages of this run. Some servers do not say whose a message is, and list those of other runs too."""
        known = {message.id for message in self.snapshot.messages}
        known |= {
            step.step_details.message_creation.message_id
            for step in steps
            if isinstance(step.step_details, MessageCreationStepDetails)
        }
        own: list[Message] = []
        for message in messages:
            if message.run_id or message.id in known:
                own.append(message)
            elif message.role == "user":
                continue
            elif message.created_at is None or run.created_at is None:
                raise NotRecoveredError("the server does not say of which run its messages are")
            elif message.created_at >= run.created_at:
                own.append(message)
        return own
