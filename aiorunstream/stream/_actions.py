"""What a stream can have done about its run at the server: cancel it, or answer it so that it goes on."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from .._log import log
from ..errors import ClientClosedError, StreamError
from ..models import Run
from ..params import JSONMapping, ToolApproval, ToolOutput
from ._call import Closable, StreamCall
from ._facts import StreamFacts
from ._given import RunControl
from ._leaving import LEAVE_SECONDS, cancel_left_run

S = TypeVar("S", bound=Closable)
Submit = Callable[
    [str, str, Sequence[ToolOutput | JSONMapping], Sequence[ToolApproval | JSONMapping]],
    StreamCall[S],
]
"""Answers the run of a thread with outputs and approvals, and opens the stream in which it goes on."""


class RunActions(StreamFacts, Generic[S]):
    """The actions of a stream; `S` is its own class.

    Attributes:
        will_be_answered: whether somebody is at work on the outputs the run waits for. Until they are submitted, leaving is
            leaving early.
    """

    will_be_answered = False
    _cancels = 0  # asked for, or granted

    _control: RunControl | None
    _submit: Submit[S] | None
    _cancel_on_exit: bool

    async def cancel_run(self) -> Run:
        """Asks the server to stop the run, and returns the run as it answers: usually "cancelling".

        The stream goes on, and ends with the run. A run that has ended is returned as it is. A cancel of this method
        does not take the request back.

        Raises:
            StreamError: no event has come yet, so that the run is not known; or the stream has nothing to ask with.
            APIError: the request failed.
            ClientClosedError: the client was closed before the answer came.
        """
        run, control = self.run, self._control
        if run is not None and run.is_terminal:
            return run
        thread_id, run_id = self.thread_id, self.run_id
        if control is None or thread_id is None or run_id is None:
            error = StreamError("the run cannot be cancelled: no event has said yet which run it is")
            self._tell(error)
            raise error
        sent = control.keep(self._cancel(control, thread_id, run_id))
        await asyncio.wait({sent})  # a cancel of this wait is none of the request
        if sent.cancelled():
            raise ClientClosedError("the client was closed while the request was under way")
        return sent.result()

    async def _cancel(self, control: RunControl, thread_id: str, run_id: str) -> Run:
        self._cancels += 1  # leaving meanwhile must not ask again
        try:
            run = await control.cancel(thread_id, run_id)
        except BaseException:
            self._cancels -= 1
            raise
        log(logging.INFO, "run cancelled", thread_id=thread_id, run_id=run_id)
        return run

    def submit_tool_outputs(
        self,
        tool_outputs: Sequence[ToolOutput | JSONMapping] = (),
        *,
        tool_approvals: Sequence[ToolApproval | JSONMapping] = (),
    ) -> StreamCall[S]:
        """Answers all the calls the run waits for: a stream of how it goes on, which behaves as this one does.

        Args:
            tool_outputs: one for each of `run.tool_calls`.
            tool_approvals: one for each of `run.calls_to_approve`, which only runs at Azure have.

        Raises:
            InvalidArgumentError: here, for outputs that cannot be meant.
            StreamError: the run is not known, or the stream has nothing to send them with.
        """
        submit, thread_id, run_id = self._submit, self.thread_id, self.run_id
        if submit is None or thread_id is None or run_id is None:
            error = StreamError("outputs cannot be submitted: no event has said yet which run it is")
            self._tell(error)
            raise error
        return submit(thread_id, run_id, tool_outputs, tool_approvals)

    @property
    def cancels_on_exit(self) -> bool:
        """Whether leaving early cancels the run."""
        return self._cancel_on_exit and not self._cancels

    async def cancel_unanswered_run(self) -> None:
        """Cancels a run that waits for outputs which will not come. Takes at most 2 s; what goes wrong is logged."""
        control = self._control
        if control is not None:
            with contextlib.suppress(ClientClosedError):
                cancelling = control.keep(cancel_left_run(control, self.thread_id, self.run_id))
                await asyncio.wait({cancelling}, timeout=LEAVE_SECONDS)
