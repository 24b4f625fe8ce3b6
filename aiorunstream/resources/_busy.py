"""What becomes of a new run where the thread has one that is still active: `if_active`."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from ..errors import APIError, BadRequestError, InvalidArgumentError, ThreadBusyError
from ..retry import poll_delay
from ._control import Control

T = TypeVar("T")
IfActive = Literal["error", "wait", "cancel"]

BUSY_SECONDS = 600.0
"""How long the active run is waited for at most: servers end a run after ten minutes."""


def check_if_active(value: object) -> None:
    """Raises `InvalidArgumentError` for anything but the three words."""
    if value not in ("error", "wait", "cancel"):
        raise InvalidArgumentError(
            f'if_active must be "error", "wait" or "cancel", not {value!r:.40}', argument="if_active"
        )


async def when_free(attempt: Callable[[], Awaitable[T]], control: Control, thread_id: str, *, if_active: IfActive) -> T:
    """Attempts, and again once the run that was in the way is over. Nothing but waiting is ever cut short.

    Raises:
        ThreadBusyError: the thread stayed busy; a note says what was tried.
    """
    give_up_at = asyncio.get_running_loop().time() + BUSY_SECONDS
    tries = 0
    while True:
        try:
            return await attempt()
        except ThreadBusyError as error:
            if if_active == "error":
                raise
            busy = error
        tries += 1
        clock = asyncio.timeout_at(give_up_at)
        try:
            async with clock:
                await _free(control, thread_id, busy, tries, cancel=if_active == "cancel")
        except APIError as error:
            problem = f"the active run could not be waited for: {error}"
        except TimeoutError:
            if not clock.expired():  # somebody else's, such as an api_key callable's
                raise
            problem = f"waited {BUSY_SECONDS:g} s for the active run"
        else:
            continue
        busy.add_note(problem)
        raise busy


async def _free(control: Control, thread_id: str, busy: ThreadBusyError, tries: int, *, cancel: bool) -> None:
    if tries > 1:  # somebody else was faster, or the server is slow to see that its run is over
        await asyncio.sleep(poll_delay(tries - 1, {}))
    run_id = busy.run_id or await _active_run(control, thread_id)
    if run_id is None:
        return
    if cancel:
        with contextlib.suppress(BadRequestError):  # it is over, or being cancelled already
            await control.cancel(thread_id, run_id)
    await control.over(thread_id, run_id)


async def _active_run(control: Control, thread_id: str) -> str | None:
    """The thread's run that is not over, where the server did not name it."""
    return next((run.id for run in await control.runs(thread_id) if not run.is_terminal), None)
