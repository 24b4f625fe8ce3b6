"""A run over its responses: the first, and one more for each time its calls were answered. Its id stays the same.

What a response's stream says goes in, the events of the run come out; what the thread is to remember is remembered when
a response ends. No connection is known here: whether one is open is told.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import msgspec

from ...calls import without_contents
from ...events import REGISTRY, AssistantStreamEvent
from ...items import BreakOff, Fail, SendError
from ...models import ErrorObject, JSONObject, Run, RunStep, Usage
from ...outputs import SubmitParams
from ...run_objects import Events
from ._input import answer_item, approval_item, cancelled_answers, unanswered
from ._machine import BridgedMachine
from ._modes import InputItem, Memory, ThreadMode
from ._request import going_on, is_spent
from ._translate import Translator


class SavedRun(msgspec.Struct):
    """What goes on a run that is not over, besides the run itself."""

    id: str
    body: JSONObject
    responses: tuple[str, ...]
    waiting: dict[str, str]
    usage: Usage | None = None
    with_contents: bool = False
    response_id: str | None = None
    """Of the response that is under way; empty before it is known, None in what earlier versions have saved."""


class BridgedRun:
    """One run.

    Args:
        machine: makes its events.
        memory: of its thread.
        mode: who else remembers that.
        body: of its requests, without what is different in each.
        with_contents: whether its events show the contents of what file searches found.

    Attributes:
        responses: the ids of its responses, oldest first.
        is_attached: whether a stream is being read that tells how it goes on.
        is_sent: whether its request has been answered.
        is_answered: whether a request is under way that answers its calls.
    """

    def __init__(
        self,
        machine: BridgedMachine,
        memory: Memory,
        mode: ThreadMode,
        body: JSONObject,
        *,
        with_contents: bool = False,
    ) -> None:
        self._machine = machine
        self._memory = memory
        self._mode: ThreadMode = mode
        self._with_contents = with_contents
        self._translator = Translator()
        self._first: Events = ()  # told once the server has said something
        self._sent: Sequence[InputItem] = ()
        self._waiting: dict[str, str] = {}
        self.body = body
        self.responses: list[str] = []
        self.is_attached = False
        self.is_sent = False
        self.is_answered = False

    @classmethod
    def taken_up(cls, machine: BridgedMachine, memory: Memory, mode: ThreadMode, saved: SavedRun) -> Self:
        """A run that was saved."""
        bridged = cls(machine, memory, mode, saved.body, with_contents=saved.with_contents)
        bridged.responses = list(saved.responses)
        bridged._waiting = dict(saved.waiting)
        bridged._sent = tuple(memory.pending)
        bridged.is_sent = True
        last = saved.responses[-1] if saved.responses else None
        bridged._translator.response_id = last if saved.response_id is None else saved.response_id or None
        return bridged

    def saved(self) -> SavedRun:
        """What is to be kept of it."""
        return SavedRun(
            self.run.id,
            self.body,
            tuple(self.responses),
            self._waiting,
            self._machine.spent,
            self._with_contents,
            self.response_id or "",
        )

    @property
    def run(self) -> Run:
        """It as it is now."""
        return self._machine.run

    @property
    def response_id(self) -> str | None:
        """Of the response that is under way, or was the last."""
        return self._translator.response_id

    @property
    def is_settled(self) -> bool:
        """Whether its last response has ended."""
        return self._translator.status is not None

    # -- requests ------------------------------------------------------------------------------------------------------

    def request(self) -> JSONObject:
        """The body of its next request."""
        spent = self._machine.spent
        tokens = spent.completion_tokens if spent is not None else 0
        body = going_on(self.body, tokens) if self.responses else self.body
        self._sent = tuple(self._memory.pending)
        return {**body, **self._memory.address(self._mode, self.run.thread_id, self.run)}

    @property
    def may_spend_no_more(self) -> bool:
        """Whether its completion tokens are spent."""
        spent = self._machine.spent
        return spent is not None and is_spent(self.body, spent.completion_tokens)

    def begin(self, *, thread_is_new: bool = False) -> None:
        """Its first response has been asked for."""
        self.is_sent = True
        self._first = self._machine.start(thread_is_new=thread_is_new)

    def answers(self, params: SubmitParams) -> list[InputItem]:
        """What is submitted, as items. Raises `StoreError`: it is not what the run waits for."""
        outputs, approvals = self._machine.read(params)
        items = [answer_item(self._waiting.get(id, ""), id, output) for id, output in outputs.items()]
        items += [approval_item(id, approve=yes) for id, yes in approvals.items()]
        return [InputItem(item) for item in items]

    def go_on(self, params: SubmitParams) -> None:
        """What was submitted has been taken, and the next response been asked for."""
        self._first = self._machine.submit(params)
        self._translator = Translator()
        self._waiting = {}

    # -- what the server says ------------------------------------------------------------------------------------------

    def hear(self, event: JSONObject) -> Events:
        """Takes one event of the response.

        Raises:
            ValueError: it makes no sense after those before it; the run has failed.
        """
        events = self._told_first()
        translator = self._translator
        if translator.status is not None:
            return self._shown(events)
        said = translator.hear(event)
        if translator.response_id is not None and translator.response_id not in self.responses[-1:]:
            self.responses.append(translator.response_id)
        if translator.is_begun:
            events += self._machine.work()
        try:
            for one in said:
                events += self._machine.hear(one)
        except ValueError as error:  # what the rest of it would say is not known any more
            self.lose(f"The server's answer makes no sense: {error}"[:300])
            raise
        if self._translator.status is not None:
            self._settle(self._translator.status)
        return self._shown(events)

    def hear_whole(self, response: JSONObject) -> None:
        """Takes the response as it is now, where its stream did not tell. One that makes no sense is a run that failed."""
        with suppress(ValueError):
            self.hear({"type": f"response.{response.get('status')}", "response": response})

    def hear_error(self, error: ErrorObject) -> Events:
        """The server has sent an error in place of what was to come: the run has failed."""
        events = (*self._told_first(), *self._machine.work())
        said = SendError(error.message, error.type or "server_error", _text(error.code), error.param)
        code = "" if said.code in (None, "server_error") else f"{said.code}: "
        events += (*self._machine.take(said), *self._machine.take(Fail(f"{code}{error.message}")))
        return self._shown(events)

    def lose(self, why: str) -> Events:
        """Nobody will ever tell how the response went on: the run has failed."""
        return self._shown((*self._told_first(), *self._machine.work(), *self._machine.take(Fail(why))))

    def break_off(self) -> Events:
        """There is nothing left to spend: the run is incomplete."""
        return self._shown((*self._told_first(), *self._machine.work(), *self._machine.take(BreakOff())))

    def cancel(self) -> Events:
        """It is cancelled. Raises `StoreError`: it is over already."""
        waits = self.run.status == "requires_action"
        cancelled = (*self._machine.cancel(), *self._machine.settle())
        if waits:
            self._memory.pending += [InputItem(item) for item in cancelled_answers(self._waiting)]
        return self._shown((*self._told_first(), *cancelled))

    def _told_first(self) -> Events:
        events, self._first = self._first, ()
        return events

    def _settle(self, status: str) -> None:
        """The response has ended. One that failed, or was cancelled, has taken nothing."""
        if status not in ("completed", "incomplete"):
            return
        output = self._translator.output
        self._memory.settle(self._mode, self._sent, output, self._translator.response_id)
        self._waiting = unanswered(output)
        if self.run.is_terminal:
            self._memory.pending += [InputItem(item) for item in cancelled_answers(self._waiting)]

    def _shown(self, events: Events) -> Events:
        return events if self._with_contents else tuple(_without_contents(event) for event in events)


def _without_contents(event: AssistantStreamEvent) -> AssistantStreamEvent:
    if isinstance(event.data, RunStep):
        return REGISTRY[event.event].around(without_contents(event.data))
    return event


def _text(value: object) -> str | None:
    return None if value is None else str(value)
