"""The runs of a batch: each is noted in the journal before it is begun, and looked for before it is begun again.

Between the end of a run at the server and its line in the results, the process may be killed. What is left then is the note:
which key was begun on which thread. The run has the key in its metadata; so it is found on that thread, and taken over.
"""

import asyncio
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from ..client import AsyncClient
from ..errors import APIStatusError, NotFoundError, RunOutcomeUnknownError
from ..models import Run
from ..operations import CREATE_RUN, make_call
from ..options import RecoverPolicy, RequestOptions
from ..params import JSONMapping
from ..resources import AsyncRuns, AsyncThreads
from ..resources._resource import include_query
from ..stream import RunStream, StreamCall
from ._batch_files import BatchFiles
from ._batch_requests import MARKER, key_of

_LOOKS = 2
_BETWEEN_LOOKS = 1.0
"""Seconds: a request that was sent just before the process was killed may still be on its way."""

_NO_LIST = frozenset({404, 405, 501})
"""What servers answer that have no list of runs."""

_BROKEN_OFF = frozenset({"cancelled", "cancelling"})
_FAILED = _BROKEN_OFF | {"failed", "incomplete", "expired"}


class _Seen(NamedTuple):
    """What a look has shown. Where it is not sure, the server has no list of runs, and there may be one all the same."""

    thread_is_there: bool
    run: Run | None = None
    is_sure: bool = True


class BatchThreads(AsyncThreads):
    """`client.threads` for `stream_many`. A run on a new thread is a thread first, then a run on it: so it can be found."""

    def __init__(self, client: AsyncClient, files: BatchFiles, *, timeout: float | None) -> None:
        super().__init__(client._backend, client._streams)  # noqa: SLF001  # as the client makes its own
        self._batch_runs = BatchRuns(client, files, timeout=timeout)

    @cached_property
    def runs(self) -> "BatchRuns":
        """The runs of threads."""
        return self._batch_runs

    def create_and_run_stream(self, *_: Any, **parameters: Any) -> StreamCall[RunStream]:
        """As of any threads; but see above."""
        return StreamCall(self._batch_runs.on_its_own_thread(**parameters))


class BatchRuns(AsyncRuns):
    """`client.threads.runs` for requests that have a key in their metadata.

    Args:
        client: makes the runs.
        files: the journal, and what was done and begun before.
        timeout: seconds for a run that was begun before; None for as long as servers let a run live.

    Attributes:
        found: the keys whose run was made by an earlier process.
    """

    def __init__(self, client: AsyncClient, files: BatchFiles, *, timeout: float | None) -> None:
        super().__init__(client._backend, client._streams)  # noqa: SLF001  # as the client makes its own
        self._new_threads = client.threads
        self._files = files
        self._timeout = timeout
        self._to_look_for = dict(files.begun)
        self._to_retry = frozenset(files.failed)
        self.found: set[str] = set()

    def create_stream(self, *arguments: Any, **parameters: Any) -> StreamCall[RunStream]:
        """As of any runs; but see above."""
        return StreamCall(self._on_a_thread(*arguments, **parameters))

    async def _on_a_thread(self, thread_id: str, **parameters: Any) -> RunStream:
        key = key_of(parameters["metadata"][MARKER])
        if key in self._to_look_for:
            seen = await self._look(key, thread_id, parameters)
            if not seen.thread_is_there:
                raise NotFoundError(f"the thread {thread_id} is gone", status_code=404)
            if seen.run is not None:
                if not self._is_to_be_made_again(key, seen.run):
                    return self._go_on_with(key, seen.run, parameters)
                parameters.pop("additional_messages", None)  # they are on the thread since then
        self._files.begin(key, thread_id)
        stream = await super().create_stream(thread_id, **parameters)
        self._to_look_for.pop(key, None)
        return stream

    async def on_its_own_thread(self, *, thread: JSONMapping, **parameters: Any) -> RunStream:
        """The stream of a run on a thread that is made for it; of what an earlier process made of it, where it did."""
        key = key_of(parameters["metadata"][MARKER])
        thread_id = self._files.begun.get(key)  # also of an attempt a moment ago that the server has put off
        if thread_id is not None and key in self._to_look_for:
            seen = await self._look(key, thread_id, parameters)
            if seen.run is not None and not self._is_to_be_made_again(key, seen.run):
                return self._go_on_with(key, seen.run, parameters)
            if seen.run is not None or not seen.thread_is_there or not seen.is_sure:
                thread_id = None  # what a run said before it broke off stays on its thread: this one has another
        if thread_id is None:
            fields: dict[str, Any] = dict(thread)
            thread_id = (await self._new_threads.create(**fields, options=parameters.get("options"))).id
        self._files.begin(key, thread_id)
        self._to_look_for.pop(key, None)
        return await super().create_stream(thread_id, **parameters)

    # -- what was begun before ---------------------------------------------------------------------------------------

    async def _look(self, key: str, thread_id: str, parameters: dict[str, Any]) -> _Seen:
        """Looks for the run, twice before it says that there is none.

        Raises `RunOutcomeUnknownError` where it cannot be looked for, unless the key has failed of that before.
        """
        mark, options = parameters["metadata"][MARKER], parameters.get("options")
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(_BETWEEN_LOOKS)
            try:
                async for run in self.list(thread_id, order="desc", limit=100, options=options):
                    if (run.metadata or {}).get(MARKER) == mark:
                        return _Seen(thread_is_there=True, run=run)
            except APIStatusError as error:
                if error.status_code not in _NO_LIST:
                    raise
                if not await self._has_thread(thread_id, options):
                    return _Seen(thread_is_there=False)
                if key in self._to_retry:  # it was told so, and wants it made again
                    return _Seen(thread_is_there=True, is_sure=False)
                problem = "it was begun before, and the server has no list of runs to find it in"
                raise RunOutcomeUnknownError(problem, operation=CREATE_RUN.name) from None
        return _Seen(thread_is_there=True)

    async def _has_thread(self, thread_id: str, options: RequestOptions | None) -> bool:
        try:
            await self._new_threads.retrieve(thread_id, options=options)
        except NotFoundError:
            return False
        return True

    def _is_to_be_made_again(self, key: str, run: Run) -> bool:
        return run.status in (_FAILED if key in self._to_retry else _BROKEN_OFF)

    def _go_on_with(self, key: str, run: Run, parameters: dict[str, Any]) -> RunStream:
        """The stream of a run that is there: it is watched until it stops, and what it came to is fetched."""
        self.found.add(key)
        manner = self._streams.manner(
            on_error_event=parameters.get("on_error_event"),
            cancel_on_exit=parameters.get("cancel_on_exit"),
            recover=None,
        )
        policy = RecoverPolicy() if self._timeout is None else RecoverPolicy(timeout=self._timeout)
        query = include_query(parameters.get("include", UNSET))
        call = make_call(CREATE_RUN, {"thread_id": run.thread_id}, query=query, options=parameters.get("options"))
        return self._streams.take_up(run, call, msgspec.structs.replace(manner, recover=policy))
