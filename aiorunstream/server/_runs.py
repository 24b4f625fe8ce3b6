"""Runs that are under way: each driven by a task of the server's own, listened to by at most one stream."""

import asyncio
import logging
from contextlib import aclosing

from ..calls import without_contents
from ..engine import Engine
from ..events import AssistantStreamEvent, ErrorEvent
from ..items import Fail
from ..machine import RunMachine, not_cancellable
from ..models import STOPPING_RUN_STATUSES, Run, RunStep, Usage
from ..outputs import SubmitParams, not_waiting
from ..run_objects import Events
from ..store import Store
from ._pacing import paced
from ._spelling import Spelling

_logger = logging.getLogger("aiorunstream.server")

_LEAVE_WITHIN = 1.0


class Listener:
    """What one stream is still to be sent. One task reads.

    Args:
        spelling: how it is written.
        with_contents: whether it is shown the contents of what file searches found.
    """

    def __init__(self, spelling: Spelling | None = None, *, with_contents: bool = False) -> None:
        self._spelling = spelling or Spelling()
        self._with_contents = with_contents
        self._chunks: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self.was_cut = False

    def push(self, event: AssistantStreamEvent, spent: Usage | None = None) -> None:
        """Adds an event, of a run that has spent that much; nothing comes after an error."""
        if self._ended:
            return
        data: object = event.data
        if isinstance(data, RunStep) and not self._with_contents:
            data = without_contents(data)
        self._add(self._spelling.event(event.event, data, spent))
        if isinstance(event, ErrorEvent) or self._spelling.broke_off:
            self._ended = True
            self._wake()

    def end(self) -> None:
        """Adds the end mark; nothing comes after it."""
        if not self._ended:
            self._add(self._spelling.end())
            self._ended = True
            self._wake()

    def last_error(self, error: ErrorEvent) -> bytes:
        """An error and the end mark, as they would be written now."""
        return self._spelling.event(error.event, error.data, None) + self._spelling.end()

    @property
    def broke_off(self) -> bool:
        """Whether the connection is to be closed once all is sent, in the middle of the body."""
        return self._spelling.broke_off

    @property
    def is_ended(self) -> bool:
        """Whether nothing more may be added."""
        return self._ended

    def cut(self) -> None:
        """Ends the stream as a server that dies would: without the mark, whatever is still to be sent."""
        self._chunks.clear()
        self._ended = self.was_cut = True
        self._wake()

    async def read(self) -> bytes:
        """Everything since the last read, as soon as there is something; `b""` at the end."""
        if not self._chunks and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)

    def _add(self, chunk: bytes) -> None:
        if chunk:
            self._chunks.append(chunk)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Live:
    """A run that is not over. `Runs.begin` sets its timer and its task, before anybody else sees it."""

    expiry: asyncio.TimerHandle
    task: asyncio.Task[None]

    def __init__(self, machine: RunMachine) -> None:
        self.machine = machine
        self.listener: Listener | None = None


class Runs:
    """Drives the runs of a store with an engine.

    Args:
        delay: seconds before each piece of an answer.
        expires_after: seconds until a run that is not over expires.

    Attributes:
        tokens_spent: by all runs that are over.
    """

    def __init__(self, store: Store, engine: Engine, *, delay: float, expires_after: float) -> None:
        self._store = store
        self._engine = engine
        self._delay = delay
        self._expires_after = expires_after
        self._live: dict[str, _Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: set[Listener] = set()
        self.tokens_spent = 0

    def begin(self, run: Run, listener: Listener | None, *, thread_is_new: bool = False) -> Run:
        """Sets a queued run going, for somebody who listens or for nobody."""
        machine = RunMachine(self._store, run)
        live = self._live[run.id] = _Live(machine)
        live.expiry = asyncio.get_running_loop().call_later(self._expires_after, self._expire, live)
        self._listen(live, listener)
        self._go_on(live, machine.start(thread_is_new=thread_is_new))
        return machine.run

    def submit(self, thread_id: str, run_id: str, params: SubmitParams, listener: Listener | None) -> Run:
        """Sets a run that waited for tool outputs going again. Raises `StoreError`."""
        run = self._store.retrieve_run(thread_id, run_id)
        if (live := self._live.get(run_id)) is None:
            raise not_waiting(run)
        events = live.machine.submit(params)
        self._listen(live, listener)
        self._go_on(live, events)
        return live.machine.run

    def cancel(self, thread_id: str, run_id: str) -> Run:
        """Has a run cancelled; it is so a moment later. Raises `StoreError`."""
        run = self._store.retrieve_run(thread_id, run_id)
        if (live := self._live.get(run_id)) is None:
            raise not_cancellable(run)
        self._publish(live, live.machine.cancel())
        live.task.cancel()
        asyncio.get_running_loop().call_later(self._delay, self._settle, live)
        return live.machine.run

    def leave(self, listener: Listener) -> None:
        """Nobody reads this any more. The run goes on."""
        self._listeners.discard(listener)

    def cut_streams(self) -> None:
        """Ends every stream as a server that dies would."""
        for listener in self._listeners:
            listener.cut()

    async def aclose(self) -> None:
        """Drops everything that is under way; waits for engines that take their time, up to a second."""
        for live in self._live.values():
            live.expiry.cancel()
        self._live.clear()
        self.cut_streams()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LEAVE_WITHIN)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _listen(self, live: _Live, listener: Listener | None) -> None:
        live.listener = listener
        if listener is not None:
            self._listeners.add(listener)

    def _publish(self, live: _Live, events: Events) -> None:
        """Sends events to the run's listener, if it still has one, and closes what the last of them ends."""
        run, listener = live.machine.run, live.listener
        if listener is not None and listener in self._listeners:
            for event in events:
                listener.push(event, live.machine.spent)
            if run.status in STOPPING_RUN_STATUSES:
                listener.end()
        if listener is not None and (listener.is_ended or run.status in STOPPING_RUN_STATUSES):
            live.listener = None
        if run.is_terminal and self._live.pop(run.id, None) is not None:
            live.expiry.cancel()
            self.tokens_spent += run.usage.total_tokens if run.usage is not None else 0

    def _go_on(self, live: _Live, events: Events) -> None:
        self._publish(live, events)
        task = live.task = asyncio.get_running_loop().create_task(self._drive(live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, live: _Live) -> None:
        machine = live.machine
        await asyncio.sleep(0)  # so that the answer with the queued run is on its way first
        try:
            self._publish(live, machine.work())
            async with aclosing(paced(self._engine.reply(machine.turn()), self._delay)) as items:
                async for item in items:
                    self._publish(live, machine.take(item))
                    if machine.run.is_terminal:
                        break
            self._publish(live, machine.finish())
        except Exception as error:  # an engine is somebody else's code; its run must still end
            _logger.exception("the engine failed in run %s", machine.run.id)
            self._publish(live, machine.take(Fail(f"The engine failed: {type(error).__name__}.")))

    def _settle(self, live: _Live) -> None:
        self._publish(live, live.machine.settle())

    def _expire(self, live: _Live) -> None:
        live.task.cancel()
        self._publish(live, live.machine.expire())
