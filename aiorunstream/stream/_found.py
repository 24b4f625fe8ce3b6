"""The stream of a run that is there although nothing ever answered the request for it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import StreamInterruptedError
from ..eventlist import EventList
from ..models import Run
from ._actions import Submit
from ._given import RunControl
from ._run_stream import RunStream

if TYPE_CHECKING:
    from ._recovery import Recovery


class _NoBody:
    """In the place of a body: the answer that would have had one never came."""

    status = 200
    clean_close: bool | None = False

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}

    async def read(self) -> bytes:
        raise StreamInterruptedError("the request was never answered; its run was found at the server", reason="found")

    def progressed(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def abandon(self) -> None:
        pass

    def release(self) -> None:
        pass


def found_stream(
    run: Run, *, control: RunControl, cancel_on_exit: bool, recovery: "Recovery", submit: Submit[RunStream]
) -> RunStream:
    """A stream of a run without a connection: its events are fetched once it stops, each `synthesized`."""
    return RunStream(
        _NoBody(),
        EventList((), run_id=run.id, thread_id=run.thread_id),
        control=control,
        cancel_on_exit=cancel_on_exit,
        recovery=recovery,
        submit=submit,
    )
