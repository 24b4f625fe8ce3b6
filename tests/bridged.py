"""Runs over responses, for tests: without a connection, from the events of a response; and what a run stream must be."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aiorunstream import Limits
from aiorunstream.backends.responses._machine import BridgedMachine
from aiorunstream.backends.responses._modes import Memory, ThreadMode
from aiorunstream.backends.responses._protocol import ResponsesProtocol
from aiorunstream.backends.responses._run import BridgedRun
from aiorunstream.events import RunEvent, ThreadMessageDelta, UnknownEvent
from aiorunstream.models import STOPPING_RUN_STATUSES, Message, Run, RunStep
from aiorunstream.params import AssistantCreateParams, RunCreateParams, ThreadCreateParams
from aiorunstream.protocol import OnErrorEvent
from aiorunstream.sse import encode
from aiorunstream.store import Store

JSON = dict[str, Any]
NO_LIMITS = Limits()


class Bridge:
    """One run over responses, with a clock that stands still."""

    def __init__(self, *, mode: ThreadMode = "replay", on_error_event: OnErrorEvent = "raise", **params: Any) -> None:
        ids = itertools.count(1)
        self.store = Store(clock=lambda: 1_700_000_000.0, new_id=lambda prefix: f"{prefix}_{next(ids)}")
        assistant = self.store.create_assistant(AssistantCreateParams(model="parrot"))
        thread = self.store.create_thread(ThreadCreateParams(messages=[{"role": "user", "content": "Hello"}]))
        run = self.store.create_run(thread.id, RunCreateParams(assistant_id=assistant.id, **params))
        self.memory = Memory()
        self.machine = BridgedMachine(self.store, run)
        self.bridged = BridgedRun(self.machine, self.memory, mode, {"model": "parrot"})
        self.bridged.request()
        self.bridged.begin()
        self.on_error_event: OnErrorEvent = on_error_event
        self.protocol = self.listen()

    def listen(self) -> ResponsesProtocol:
        """A new protocol, for the next response."""
        return ResponsesProtocol(self.bridged, limits=NO_LIMITS, on_error_event=self.on_error_event)

    def feed(self, data: bytes) -> list[RunEvent]:
        """Every event there is once those bytes have come."""
        self.protocol.receive_data(data)
        events: list[RunEvent] = []
        while (event := self.protocol.next_event()) is not None:
            events.append(event)
        return events

    def hear(self, *events: JSON) -> list[RunEvent]:
        """The events that these of a response make."""
        return self.feed(wire(events))

    @property
    def run(self) -> Run:
        return self.bridged.run

    @property
    def messages(self) -> tuple[Message, ...]:
        """Those of the assistant."""
        found = self.store.record(self.run.thread_id).messages.all()
        return tuple(message for message in found if message.run_id == self.run.id)

    @property
    def steps(self) -> tuple[RunStep, ...]:
        return self.store.record(self.run.thread_id).steps_of(self.run.id).all()


def wire(events: Iterable[JSON]) -> bytes:
    """Events as bytes, with data only."""
    return b"".join(encode(msgspec.json.encode(event)) for event in events)


def names(events: Sequence[RunEvent]) -> list[str]:
    return [event.event for event in events]


def text_of(events: Sequence[RunEvent]) -> str:
    return "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta))


def check_legal(events: Sequence[RunEvent]) -> None:
    """A run's events are in the order of the protocol: what begins ends, once, and nothing comes out of turn."""
    known = [event for event in events if not isinstance(event, UnknownEvent)]
    told = names(known)
    begin = told.index("thread.run.created") if "thread.run.created" in told else None
    assert begin == 0 or (begin is None and told[:2] == ["thread.run.step.completed", "thread.run.queued"]), told[:3]
    stops = [name for name in told if name.removeprefix("thread.run.") in STOPPING_RUN_STATUSES]
    assert stops == told[-1:], told[-3:]
    runs = [name for name in told if name.startswith("thread.run.") and ".step." not in name]
    order = ["thread.run.created", "thread.run.queued", "thread.run.in_progress", *stops]
    assert [name for name in runs if name != "thread.run.cancelling"] == order[1 if begin is None else 0 :], runs

    begun, over = Counter[str](), Counter[str]()
    is_open: set[str] = set()
    for event in known:
        data = event.data
        if event.event.endswith(("step.created", "message.created")):
            assert isinstance(data, (RunStep, Message))
            begun[data.id] += 1
            is_open.add(data.id)
        elif event.event.endswith(".delta"):
            assert getattr(data, "id") in is_open, f"{event.event} of what is not open"  # noqa: B009
        elif isinstance(data, (RunStep, Message)) and not event.event.endswith("in_progress"):
            over[data.id] += 1
            is_open.discard(data.id)
    assert set(begun.values()) <= {1}
    assert set(over.values()) <= {1}
    if stops != ["thread.run.requires_action"]:
        assert begun.keys() <= over.keys()
