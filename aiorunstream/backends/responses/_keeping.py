"""Threads kept outside of this process: a small interface, and the form in which a thread goes there and comes back."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from ...models import Message, Run, RunStep, Thread
from ...repair import repair
from ...shelf import ThreadRecord
from ...store import Store
from ._machine import BridgedMachine
from ._modes import InputItem, Memory, ThreadMode
from ._run import BridgedRun, SavedRun


class ThreadStore(Protocol):
    """Where threads are kept when this process does not work with them. What it raises, the request raises.

    A thread is one value of bytes (JSON), at most as large as all that was said on it. Whoever lets two processes work with
    one thread at the same time sees the later of them win.
    """

    async def load(self, thread_id: str) -> bytes | None:
        """What was saved last of that thread; None where there is nothing."""
        ...

    async def save(self, thread_id: str, data: bytes) -> None:
        """Keeps a thread, in place of what was kept of it."""
        ...

    async def delete(self, thread_id: str) -> None:
        """Forgets a thread; one that is not there, too."""
        ...


class MemoryThreadStore:
    """Keeps threads in a dict: for tests, and to see what is kept."""

    def __init__(self) -> None:
        self.threads: dict[str, bytes] = {}

    async def load(self, thread_id: str) -> bytes | None:
        """What was saved last of that thread; None where there is nothing."""
        return self.threads.get(thread_id)

    async def save(self, thread_id: str, data: bytes) -> None:
        """Keeps a thread."""
        self.threads[thread_id] = data

    async def delete(self, thread_id: str) -> None:
        """Forgets a thread."""
        self.threads.pop(thread_id, None)


class BridgedThread:
    """A thread this process works with.

    Attributes:
        record: its messages, runs and steps.
        memory: what its next response must be told.
        runs: those that are not over, by id.
        users: how many requests are at work with it.
        saving: is held while it is written to where threads are kept.
        last_saved: what is there.
        is_adopted: whether it is a conversation that was made elsewhere.
    """

    def __init__(self, record: ThreadRecord, memory: Memory | None = None) -> None:
        self.record = record
        self.memory = memory or Memory()
        self.runs: dict[str, BridgedRun] = {}
        self.users = 0
        self.saving = asyncio.Lock()
        self.last_saved = b""
        self.is_adopted = False

    @property
    def id(self) -> str:
        """The thread's."""
        return self.record.id

    @property
    def is_in_use(self) -> bool:
        """Whether somebody works with it here, so that it is as it is here."""
        return self.users > 0 or any(bridged.is_attached for bridged in self.runs.values())

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Somebody works with it."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    def forget_runs(self) -> None:
        """Forgets how the runs that are over came to be, once nobody reads of them any more."""
        self.runs = {
            id: bridged for id, bridged in self.runs.items() if bridged.is_attached or not bridged.run.is_terminal
        }


class SavedThread(msgspec.Struct):
    """A thread as it is kept."""

    thread: Thread
    messages: tuple[Message, ...]
    runs: tuple[Run, ...]
    steps: tuple[tuple[RunStep, ...], ...]  # of each run
    pending: tuple[InputItem, ...]
    history: tuple[InputItem, ...]
    last_response_id: str | None = None
    going_on: tuple[SavedRun, ...] = ()


def saved(thread: BridgedThread) -> bytes:
    """The thread as bytes. What a response that is under way has said so far is not in them: it is asked for again."""
    record, memory = thread.record, thread.memory
    return msgspec.json.encode(
        SavedThread(
            record.thread,
            record.messages.all(),
            record.runs.all(),
            tuple(steps.all() for steps in record.steps.values()),
            tuple(memory.pending),
            tuple(memory.history),
            memory.last_response_id,
            tuple(bridged.saved() for bridged in thread.runs.values() if not bridged.run.is_terminal),
        )
    )


def restored(data: bytes, store: Store, mode: ThreadMode) -> BridgedThread:
    """The thread that was saved, put into the store."""
    kept = repair(data, SavedThread)
    record = ThreadRecord(kept.thread)
    open_runs = {run.id for run in kept.runs if not run.is_terminal and run.status != "requires_action"}
    for message in kept.messages:
        if not (message.status == "in_progress" and message.run_id in open_runs):
            record.messages.put(message)
    for run in kept.runs:
        record.runs.put(run)
    for step in (step for steps in kept.steps for step in steps):
        if not (step.status == "in_progress" and step.run_id in open_runs):
            record.steps_of(step.run_id).put(step)
    store.keep(record)
    thread = BridgedThread(record, Memory(list(kept.pending), list(kept.history), kept.last_response_id))
    for state in kept.going_on:
        machine = BridgedMachine(store, record.runs.get(state.id), spent=state.usage)
        thread.runs[state.id] = BridgedRun.taken_up(machine, thread.memory, mode, state)
    return thread
