"""A stream left before its run has stopped, where the run is to stop too: what is done once its reader has gone."""

import asyncio
import logging

from .._log import log
from ..errors import BadRequestError, StreamError
from ._given import ByteStream, EventSource, RunControl

LEARN_SECONDS = 0.5
"""How long the first event is waited for, if the run's id is not known yet."""
LEAVE_SECONDS = 2.0
"""How long the reader waits at most. What is not done by then goes on without it."""
_CANCEL_SECONDS = 10.0


async def learn_run_id(body: ByteStream, protocol: EventSource, reader_left: asyncio.Event | None) -> None:
    """Reads on until an event says which run it is, for half a second at most; then closes the connection.

    Args:
        reader_left: set once nobody else reads; None where nobody does.
    """
    try:
        async with asyncio.timeout(LEARN_SECONDS):
            if reader_left is not None:
                await reader_left.wait()
            while protocol.run_id is None and protocol.outcome is None:
                if protocol.next_event() is None:
                    protocol.receive_data(await body.read())
    except (TimeoutError, StreamError):
        pass  # then nobody knows
    finally:
        body.abort()


async def cancel_left_run(control: RunControl, thread_id: str | None, run_id: str | None) -> None:
    """Asks the server to stop a run that nobody waits for. What goes wrong is logged: there is nobody to raise it to."""
    if thread_id is None or run_id is None:
        log(logging.WARNING, "run not cancelled: its id never came", thread_id=thread_id)
        return
    try:
        async with asyncio.timeout(_CANCEL_SECONDS):
            await control.cancel(thread_id, run_id)
    except BadRequestError:
        log(logging.INFO, "run needs no cancel: it is over, or being cancelled", thread_id=thread_id, run_id=run_id)
    except Exception as error:  # a key that cannot be had, say; the name says enough
        log(logging.WARNING, "run not cancelled", thread_id=thread_id, run_id=run_id, error=type(error).__name__)
    else:
        log(logging.INFO, "run cancelled", thread_id=thread_id, run_id=run_id)
