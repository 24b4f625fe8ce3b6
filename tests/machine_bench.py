"""A run on a bench: a store with one thread, and what comes of the items that a test has its machine hear."""

import itertools

import pytest

from aiorunstream.events import AssistantStreamEvent
from aiorunstream.intake import Paging, StoreError, read_params
from aiorunstream.items import Item
from aiorunstream.machine import RunMachine
from aiorunstream.models import (
    FunctionToolCall,
    Message,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
    Run,
    RunStep,
    ToolCallsStepDetails,
)
from aiorunstream.params import (
    AssistantCreateParams,
    RunCreateParams,
    RunSubmitToolApprovalsParams,
    RunSubmitToolOutputsParams,
    ThreadCreateParams,
)
from aiorunstream.store import Store

CALLING = ["thread.run.step.created", "thread.run.step.in_progress"]
OPENING = [*CALLING, "thread.message.created", "thread.message.in_progress"]


class Bench:
    """A store with one thread, and a run on it that is being worked on."""

    def __init__(self, text: str = "Hello", **params: object) -> None:
        numbers = itertools.count(1)
        self.time = 1_000
        self.store = Store(clock=lambda: self.time, new_id=lambda prefix: f"{prefix}_{next(numbers)}")
        assistant = self.store.create_assistant(AssistantCreateParams(model="parrot"))
        self.thread = self.store.create_thread(ThreadCreateParams(messages=[{"role": "user", "content": text}]))
        build = read_params(RunCreateParams, {"assistant_id": assistant.id, **params})
        run = self.store.create_run(self.thread.id, build)
        self.machine = RunMachine(self.store, run)
        self.events: list[AssistantStreamEvent] = [*self.machine.start(), *self.machine.work()]
        self.mark = len(self.events)

    def hear(self, *items: Item) -> list[str]:
        """What the items bring about."""
        for item in items:
            self.events += self.machine.take(item)
        return self.since()

    def finish(self) -> list[str]:
        self.events += self.machine.finish()
        return self.since()

    def since(self) -> list[str]:
        names: list[str] = [event.event for event in self.events[self.mark :]]
        self.mark = len(self.events)
        return names

    def submit(self, *outputs: tuple[str, str]) -> list[str]:
        """Submits these; where the run asks for leave, every other call gets it."""
        asked = [call.id for call in self.run.calls_to_approve if isinstance(call, RequiredActionMCPToolCall)]
        given = [{"tool_call_id": id, "output": output} for id, output in outputs]
        approvals = [{"tool_call_id": id, "approve": place % 2 == 0} for place, id in enumerate(asked)]
        self.events += self.machine.submit(
            RunSubmitToolApprovalsParams(tool_approvals=approvals)
            if asked
            else RunSubmitToolOutputsParams(tool_outputs=given)
        )
        return self.since()

    @property
    def run(self) -> Run:
        return self.store.retrieve_run(self.thread.id, self.machine.run.id)

    @property
    def steps(self) -> tuple[RunStep, ...]:
        return self.store.list_run_steps(self.thread.id, self.run.id, Paging(order="asc")).data

    @property
    def answers(self) -> tuple[Message, ...]:
        return self.store.list_messages(self.thread.id, Paging(order="asc"), self.run.id).data


def waiting(run: Run) -> list[str]:
    return [call.id for call in run.tool_calls if isinstance(call, RequiredActionFunctionToolCall)]


def outputs_in(step: RunStep) -> list[str | None]:
    details = step.step_details
    assert isinstance(details, ToolCallsStepDetails)
    return [call.function.output for call in details.tool_calls if isinstance(call, FunctionToolCall)]


def refused(bench: Bench, *outputs: tuple[str, str]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        bench.submit(*outputs)
    return caught.value
