"""What is done for each operation, by its name in the table of operations."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from ..models import Run
from ..params import (
    AssistantCreateParams,
    AssistantUpdateParams,
    MessageCreateParams,
    MessageUpdateParams,
    RunCreateParams,
    RunSubmitToolApprovalsParams,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ThreadUpdateParams,
)
from ..store import Store
from ._requests import Asked
from ._runs import Listener, Runs


class Streamed(msgspec.Struct, frozen=True):
    """An answer that is a stream."""

    listener: Listener


class Later(msgspec.Struct, frozen=True):
    """An answer that is still to come. Whoever has it waits for it, once."""

    value: Awaitable[object]


Handler = Callable[[Asked], object]
"""Does what is asked, at once, and returns what to encode, a `Streamed` or a `Later`. Raises `StoreError`."""


def handlers(store: Store, runs: Runs) -> Mapping[str, Handler]:
    """The handlers of all operations."""
    return {**_objects(store), **_runs(store, runs)}


def _objects(store: Store) -> dict[str, Handler]:
    return {
        "list_assistants": lambda asked: store.list_assistants(asked.paging()),
        "create_assistant": lambda asked: store.create_assistant(asked.params(AssistantCreateParams)),
        "retrieve_assistant": lambda asked: store.retrieve_assistant(asked["assistant_id"]),
        "update_assistant": lambda asked: store.update_assistant(
            asked["assistant_id"], asked.params(AssistantUpdateParams)
        ),
        "delete_assistant": lambda asked: store.delete_assistant(asked["assistant_id"]),
        "create_thread": lambda asked: store.create_thread(asked.params(ThreadCreateParams)),
        "retrieve_thread": lambda asked: store.retrieve_thread(asked["thread_id"]),
        "update_thread": lambda asked: store.update_thread(asked["thread_id"], asked.params(ThreadUpdateParams)),
        "delete_thread": lambda asked: store.delete_thread(asked["thread_id"]),
        "list_messages": lambda asked: store.list_messages(
            asked["thread_id"], asked.paging(), asked.query.get("run_id") or None
        ),
        "create_message": lambda asked: store.create_message(asked["thread_id"], asked.params(MessageCreateParams)),
        "retrieve_message": lambda asked: store.retrieve_message(asked["thread_id"], asked["message_id"]),
        "update_message": lambda asked: store.update_message(
            asked["thread_id"], asked["message_id"], asked.params(MessageUpdateParams)
        ),
        "delete_message": lambda asked: store.delete_message(asked["thread_id"], asked["message_id"]),
        "list_runs": lambda asked: store.list_runs(asked["thread_id"], asked.paging()),
        "retrieve_run": lambda asked: store.retrieve_run(asked["thread_id"], asked["run_id"]),
        "update_run": lambda asked: store.update_run(
            asked["thread_id"], asked["run_id"], asked.params(RunUpdateParams)
        ),
        "list_run_steps": lambda asked: store.list_run_steps(
            asked["thread_id"], asked["run_id"], asked.paging(), with_contents=asked.with_contents
        ),
        "retrieve_run_step": lambda asked: store.retrieve_run_step(
            asked["thread_id"], asked["run_id"], asked["step_id"], with_contents=asked.with_contents
        ),
    }


def _runs(store: Store, runs: Runs) -> dict[str, Handler]:
    def create_run(asked: Asked) -> object:
        run, listener = store.create_run(asked["thread_id"], asked.params(RunCreateParams)), _listener(asked)
        return _answer(runs.begin(run, listener), listener)

    def create_thread_and_run(asked: Asked) -> object:
        run, listener = store.create_thread_and_run(asked.params(ThreadCreateAndRunParams)), _listener(asked)
        return _answer(runs.begin(run, listener, thread_is_new=True), listener)

    def submit_tool_outputs(asked: Asked) -> object:
        decides = "tool_approvals" in asked.body
        outputs, approvals = RunSubmitToolOutputsParams, RunSubmitToolApprovalsParams
        params = asked.params(approvals) if decides else asked.params(outputs)
        listener = _listener(asked)
        return _answer(runs.submit(asked["thread_id"], asked["run_id"], params, listener), listener)

    return {
        "create_run": create_run,
        "create_thread_and_run": create_thread_and_run,
        "submit_tool_outputs": submit_tool_outputs,
        "cancel_run": lambda asked: runs.cancel(asked["thread_id"], asked["run_id"]),
    }


def _listener(asked: Asked) -> Listener | None:
    return Listener(asked.spelling, with_contents=asked.with_contents) if asked.stream else None


def _answer(run: Run, listener: Listener | None) -> object:
    return run if listener is None else Streamed(listener)
