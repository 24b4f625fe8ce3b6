"""Runs that are under way: each driven by a task of the server's own, listened to by at most one stream."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import aclosing

import msgspec

from ..calls import without_contents
from ..engine import Engine
from ..events import AssistantStreamEvent, ErrorEvent
from ..items import PIECES, Fail, Item, Pause
from ..machine import Events, RunMachine, not_cancellable
from ..models import STOPPING_RUN_STATUSES, Run, RunStep
from ..outputs import not_waiting
from ..params import RunSubmitToolOutputsParams
from ..sse import encode
from ..store import Store

_logger = logging.getLogger("aiorunstream.server")
_DONE = encode("[DONE]", event="done")
_ITEMS_BETWEEN_BREATHS = 16
"""Without a pace, the items an engine says before others get their turn, and the reader one write."""

_LEAVE_WITHIN = 1.0


class Listener:
    """What one stream is still to be sent. One task reads.

    `with_contents` says whether it is shown the contents of what file searches found.
    """

    def __init__(self, *, with_contents: bool = False) -> None:
        self._with_contents = with_contents
        self._chunks: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self.was_cut = False

    def push(self, event: AssistantStreamEvent) -> None:
        """Adds an event; nothing comes after an error."""
        data: object = event.data
        if isinstance(data, RunStep) and not self._with_contents:
            data = without_contents(data)
        self._chunks.append(encode(msgspec.json.encode(data), event=event.event))
        self._ended = self._ended or isinstance(event, ErrorEvent)
        self._wake()

    def end(self) -> None:
        """Adds the end mark; nothing comes after it."""
        self._chunks.append(_DONE)
        self._ended = True
        self._wake()

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

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Live:
    """A run that is not over."""

    def __init__(self, machine: RunMachine, expiry: asyncio.TimerHandle) -> None:
        self.machine = machine
        self.expiry = expiry
        self.task: asyncio.Task[None] | None = None
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
        expiry = asyncio.get_running_loop().call_later(self._expires_after, self._expire, run.id)
        live = self._live[run.id] = _Live(machine, expiry)
        self._listen(live, listener)
        self._go_on(live, machine.start(thread_is_new=thread_is_new))
        return machine.run

    def submit(self, thread_id: str, run_id: str, params: RunSubmitToolOutputsParams, listener: Listener | None) -> Run:
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
        if live.task is not None:
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
                listener.push(event)
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
            async with aclosing(self._paced(self._engine.reply(machine.turn()))) as items:
                async for item in items:
                    self._publish(live, machine.take(item))
                    if machine.run.is_terminal:
                        break
            self._publish(live, machine.finish())
        except Exception as error:  # an engine is somebody else's code; its run must still end
            _logger.exception("the engine failed in run %s", machine.run.id)
            self._publish(live, machine.take(Fail(f"The engine failed: {type(error).__name__}.")))

    async def _paced(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Item, None]:
        try:
            said = 0
            async for item in _each(items):
                said += 1
                if isinstance(item, Pause):
                    await asyncio.sleep(item.seconds)
                elif self._delay > 0 and isinstance(item, PIECES):
                    await asyncio.sleep(self._delay)
                elif said % _ITEMS_BETWEEN_BREATHS == 0:
                    await asyncio.sleep(0)
                yield item
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
            elif isinstance(items, Generator):
                items.close()

    def _settle(self, live: _Live) -> None:
        self._publish(live, live.machine.settle())

    def _expire(self, run_id: str) -> None:
        if (live := self._live.get(run_id)) is not None:
            if live.task is not None:
                live.task.cancel()
            self._publish(live, live.machine.expire())


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
