"""Asks a server for single things, notes which routes it has, and takes away what was made."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from ..backends import Backend
from ..errors import AiorunstreamError, APIConnectionError, APIStatusError
from ..models import JSONObject, Run
from ..operations import CANCEL_RUN, DELETE_ASSISTANT, DELETE_THREAD, Operation, make_call
from ..responses_operations import DELETE_CONVERSATION, DELETE_RESPONSE
from ._doctor_report import Report, Route, Verdict
from ._show import in_a_line

LAST_SECONDS = 5.0
"""How long taking things away may take, whatever has happened before."""

NO_ROUTE = (404, 405, 501)
"""Statuses of what is not there."""

LIST_MODELS = Operation[JSONObject](name="list_models", method="GET", path="/models", result=JSONObject)
_REMOVED_BY: Mapping[str, Operation[Any]] = {
    "create_assistant": DELETE_ASSISTANT,
    "create_thread": DELETE_THREAD,
    "create_thread_and_run": DELETE_THREAD,
    "create_response": DELETE_RESPONSE,
    "create_conversation": DELETE_CONVERSATION,
}


class Asking:
    """Asks one server, and fills the routes of a report.

    Args:
        backend: speaks to it.
        report: where routes are noted, and what is left behind.

    Attributes:
        run: the thread and the run that may still go on.
    """

    def __init__(self, backend: Backend, report: Report) -> None:
        self._backend = backend
        self._report = report
        self._made: list[tuple[Operation[Any], str]] = []  # what there is to take away, oldest first
        self.run: tuple[str, str] | None = None

    async def ask(
        self, operation: Operation[Any], ids: Mapping[str, str] | None = None, body: Mapping[str, object] | None = None
    ) -> object:
        """Asks, and notes whether there is such a route. Returns what came, or None where it is of no use."""
        try:
            answer = await self._backend.call(make_call(operation, ids, body=body))
        except APIStatusError as error:
            self.note(operation.name, error.status_code, is_read=False)
            if error.status_code < 300 and "json" in error.headers.get("content-type", ""):
                self._may_be_left(operation)  # done, and told in a way that cannot be read
            return None
        except AiorunstreamError as error:  # also an id of the server's that no path can hold
            self.note(operation.name, None)
            if not isinstance(error, APIConnectionError):
                self._may_be_left(operation)
            return None
        self.note(operation.name, answer.status_code)
        return answer.data

    async def make(self, operation: Operation[Any], body: Mapping[str, object]) -> object:
        """Asks for something that is to be taken away. A cancel waits for the answer, or nobody would know what to take."""
        task = asyncio.get_running_loop().create_task(self._make(operation, body))
        try:
            return await asyncio.shield(task)
        finally:
            if not task.done():
                await asyncio.wait({task}, timeout=LAST_SECONDS)
            if not task.done():
                task.cancel()
                self._may_be_left(operation)

    async def _make(self, operation: Operation[Any], body: Mapping[str, object]) -> object:
        made = await self.ask(operation, body=body)
        id = _id_of(made)
        if id is not None:
            self._made.append((_REMOVED_BY[operation.name], id))
        return made

    def note(self, name: str, status: int | None, *, is_read: bool = True) -> None:
        """Notes what an operation was answered with, None being nothing; and whether that could be read as its answer."""
        if name in self._report.routes:
            self._report.routes[name] = Route(_verdict(status, is_read=is_read), status)

    def _may_be_left(self, operation: Operation[Any]) -> None:
        if operation.name in _REMOVED_BY:
            self._report.left_behind.append(f"perhaps what {operation.name} made: its answer did not come")

    # -- taking away ---------------------------------------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Takes away what was made, newest first, in five seconds at most; reports what stays."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                if self.run is not None:
                    await self.ask(CANCEL_RUN, {"thread_id": self.run[0], "run_id": self.run[1]})
                while self._made:
                    await self._remove(*self._made[-1])
                    self._made.pop()
        except TimeoutError:
            self._report.left_behind += [f"{id:.80}: there was no time" for _, id in self._made]

    async def _remove(self, removal: Operation[Any], id: str) -> None:
        status: int | None = None
        try:
            status = (await self._backend.call(make_call(removal, {removal.path_ids[0]: id}))).status_code
        except APIStatusError as error:
            status = error.status_code
            if status in NO_ROUTE:
                self._report.left_behind.append(f"{id:.80}: the server has no route to delete it")
            elif status >= 300:
                self._report.left_behind.append(f"{id:.80}: {in_a_line(error)}")
        except AiorunstreamError as error:
            self._report.left_behind.append(f"{id:.80}: {in_a_line(error)}")
        self.note(removal.name, status)


def _id_of(made: object) -> str | None:
    if isinstance(made, Run):
        return made.thread_id or None
    id: object = cast("JSONObject", made).get("id") if isinstance(made, dict) else getattr(made, "id", None)
    return id if isinstance(id, str) and id else None


def _verdict(status: int | None, *, is_read: bool) -> Verdict:
    """What a status says of a route. That a request is refused for what it holds says that the route is there."""
    if status is None:
        return "silent"
    if status in NO_ROUTE:
        return "no"
    if status in (401, 403):
        return "refused"
    # A page, or a way to one, is what other sites answer with to everything.
    return "fails" if status >= 500 or status == 429 or (status < 400 and not is_read) else "yes"
