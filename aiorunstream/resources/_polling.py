"""Looking at a run until it is where it should be."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from ..backends import Answer
from ..errors import APIError
from ..models import ACTIVE_RUN_STATUSES, Run
from ..retry import is_outage, poll_delay

Look = Callable[[], Awaitable[Answer[Run]]]


async def poll_run(look: Look, *, until: Callable[[Run], bool], over_outages: bool = False) -> Run:
    """Looks until the run is as asked, and returns it. Whoever calls bounds the wait.

    Args:
        look: asks once.
        over_outages: whether to go on where the server cannot be reached, or is in trouble.

    Raises:
        APIError: a look failed.
    """
    attempt = 0
    while True:
        attempt += 1
        headers = None
        try:
            answer = await look()
        except APIError as error:
            if not (over_outages and is_outage(error)):
                raise
        else:
            if until(answer.data):
                return answer.data
            headers = answer.headers
        await asyncio.sleep(poll_delay(attempt, headers or {}, random.random()))  # noqa: S311  # it spreads looks


def has_stopped(run: Run) -> bool:
    """Whether it goes on by itself no more. A status this version does not know counts as a stop."""
    return run.status not in ACTIVE_RUN_STATUSES
