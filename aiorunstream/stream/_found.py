"""The stream of a run that is there although nothing ever answered the request for it."""

from typing import TYPE_CHECKING

from ..errors import StreamInterruptedError
from ..eventlist import EventList
from ..models import Run
from ._actions import Submit
from ._given import RunControl
from ._no_body import NoBody
from ._run_stream import RunStream

if TYPE_CHECKING:
    from ._recovery import Recovery


def found_stream(
    run: Run, *, control: RunControl, cancel_on_exit: bool, recovery: "Recovery", submit: Submit[RunStream]
) -> RunStream:
    """A stream of a run without a connection: its events are fetched once it stops, each `synthesized`."""
    unanswered = StreamInterruptedError(
        "the request was never answered; its run was found at the server", reason="found"
    )
    return RunStream(
        NoBody(unanswered),
        EventList((), run_id=run.id, thread_id=run.thread_id),
        control=control,
        cancel_on_exit=cancel_on_exit,
        recovery=recovery,
        submit=submit,
    )
