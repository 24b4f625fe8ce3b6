"""A creating request whose outcome is unknown, and what the server knows of it: `RetryPolicy(reconcile=True)`.

No server de-duplicates runs, so nothing is ever sent again. A new run carries a random marker in its metadata; tool outputs
need none, since the run itself shows whether it still waits for them.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar, cast

import msgspec

from ..errors import APIError, APIStatusError, InvalidArgumentError, RunOutcomeUnknownError
from ..models import Run
from ..operations import CREATE_RUN, SUBMIT_TOOL_OUTPUTS, Call
from ._control import Control

T = TypeVar("T")

MARKER = "aiorunstream_marker"
_LOOKS = 2
_BETWEEN_LOOKS = 1.0
_MOST_PAIRS = 16


def can_reconcile(call: Call[Run]) -> bool:
    """Whether the server can be asked: a run on a new thread has no thread to look in."""
    return call.operation in (CREATE_RUN, SUBMIT_TOOL_OUTPUTS)


async def send_or_find(call: Call[Run], send: Callable[[Call[Run]], Awaitable[T]], control: Control) -> T | Run:
    """Sends the call; where its outcome is unknown, returns the run it has made or moved on, as the server shows it.

    Raises:
        RunOutcomeUnknownError, APIStatusError: the outcome stays unknown; `looked` or a note says what was seen.
        InvalidArgumentError: the metadata has no room for the marker.
    """
    marker = secrets.token_hex(16)
    marked = _mark(call, marker) if call.operation is CREATE_RUN else call
    unknown: RunOutcomeUnknownError | APIStatusError
    try:
        return await send(marked)
    except RunOutcomeUnknownError as error:
        unknown = error
    except APIStatusError as error:
        if not error.outcome_unknown:
            raise
        unknown = error
    try:
        found = await _look(call, marker, control)
    except APIError as problem:
        unknown.add_note(f"the server could not be asked what became of it: {problem}")
        raise unknown from None
    if found is not None:
        return found
    if isinstance(unknown, RunOutcomeUnknownError):
        unknown.looked = True
    unknown.add_note("it was looked for, and nothing was found yet")
    raise unknown


def _mark(call: Call[Run], marker: str) -> Call[Run]:
    body = call.body or {}
    if "metadata" in (call.options.extra_body or {}):
        raise InvalidArgumentError("with reconcile, give metadata as the parameter and not in extra_body")
    metadata = cast("Mapping[str, object]", body.get("metadata") or {})
    if len(metadata.keys() - {MARKER}) >= _MOST_PAIRS:
        raise InvalidArgumentError(
            f"metadata must leave room for one pair more with reconcile: {_MOST_PAIRS - 1} at most", argument="metadata"
        )
    return msgspec.structs.replace(call, body={**body, "metadata": {**metadata, MARKER: marker}})


async def _look(call: Call[Run], marker: str, control: Control) -> Run | None:
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_BETWEEN_LOOKS)  # the request may still be on its way
        found = await (_find(call, marker, control) if call.operation is CREATE_RUN else _moved_on(call, control))
        if found is not None:
            return found
    return None


async def _find(call: Call[Run], marker: str, control: Control) -> Run | None:
    runs = await control.runs(call.ids["thread_id"])
    return next((run for run in runs if (run.metadata or {}).get(MARKER) == marker), None)


async def _moved_on(call: Call[Run], control: Control) -> Run | None:
    """The run the answers were for, if it no longer waits for them."""
    run = await control.retrieve(call.ids["thread_id"], call.ids["run_id"])
    waiting = {getattr(wanted, "id", None) for wanted in (*run.tool_calls, *run.calls_to_approve)}
    waits = None in waiting or waiting & set(_answered(call.body or {}))  # None: a call of a kind nobody knows
    return None if waits else run


def _answered(body: Mapping[str, object]) -> Iterator[object]:
    """The ids of the calls that a request answers."""
    for name in ("tool_outputs", "tool_approvals"):
        for answer in cast("list[dict[str, object]]", msgspec.to_builtins(body.get(name) or ())):
            yield answer.get("tool_call_id")
