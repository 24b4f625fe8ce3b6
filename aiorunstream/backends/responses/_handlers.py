"""The 23 operations of the protocol, each in a few lines over the store, the threads, the runs and the assistants."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from ...intake import given, read_params
from ...models import (
    Assistant,
    AssistantDeleted,
    JSONObject,
    Message,
    MessageDeleted,
    Page,
    Run,
    RunStep,
    Thread,
    ThreadDeleted,
)
from ...outputs import SubmitParams
from ...params import (
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
from ...protocol import OnErrorEvent
from ...store import Store
from .._base import Opened
from ._asked import Asked
from ._assistants import Assistants
from ._keeping import BridgedThread
from ._protocol import ResponsesProtocol
from ._request import check_extra
from ._runs import Runs
from ._threads import Threads

Handler = Callable[[Asked], Awaitable[object]]
_NOT_OF_A_RUN = ("thread", "tool_resources")


class Handlers:
    """What is done for each operation. All raise `StoreError`, `InvalidArgumentError` and `APIError`."""

    def __init__(self, store: Store, assistants: Assistants, threads: Threads, runs: Runs) -> None:
        self._store = store
        self._assistants = assistants
        self._threads = threads
        self._runs = runs
        self.plain: Mapping[str, Handler] = {
            "list_assistants": self._list_assistants,
            "create_assistant": self._create_assistant,
            "retrieve_assistant": self._retrieve_assistant,
            "update_assistant": self._update_assistant,
            "delete_assistant": self._delete_assistant,
            "create_thread": self._create_thread,
            "create_thread_and_run": self._begin_plainly,
            "retrieve_thread": self._retrieve_thread,
            "update_thread": self._update_thread,
            "delete_thread": self._delete_thread,
            "list_messages": self._list_messages,
            "create_message": self._create_message,
            "retrieve_message": self._retrieve_message,
            "update_message": self._update_message,
            "delete_message": self._delete_message,
            "list_runs": self._list_runs,
            "create_run": self._begin_plainly,
            "retrieve_run": self._retrieve_run,
            "update_run": self._update_run,
            "cancel_run": self._cancel_run,
            "list_run_steps": self._list_run_steps,
            "retrieve_run_step": self._retrieve_run_step,
            "submit_tool_outputs": self._begin_plainly,
        }
        """By the names of the operations."""

    async def open(self, name: str, asked: Asked, on_error_event: OnErrorEvent) -> Opened:
        """Begins a run, or goes on with one, for somebody who reads its stream."""
        check_extra(asked.options.extra_body)
        if name == "create_thread_and_run":
            return await self._begin_on_a_new_thread(asked, on_error_event)
        opened: Opened | None = None
        try:
            async with self._threads.using(asked["thread_id"], asked.options) as thread:
                opened = await self._open_on(thread, name, asked, on_error_event)
        except BaseException:
            if opened is not None:  # the thread could not be saved
                opened.body.abort()
            raise
        return opened

    async def _open_on(self, thread: BridgedThread, name: str, asked: Asked, on_error_event: OnErrorEvent) -> Opened:
        if name == "create_run":
            params = asked.params(RunCreateParams)
            return await self._runs.begin(
                thread, params, asked.options, include=asked.include, on_error_event=on_error_event
            )
        return await self._runs.submit(
            thread, asked["run_id"], _answer(asked), asked.options, on_error_event=on_error_event
        )

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def _begin_on_a_new_thread(self, asked: Asked, on_error_event: OnErrorEvent) -> Opened:
        params = asked.params(ThreadCreateAndRunParams)
        of_thread = read_params(ThreadCreateParams, msgspec.to_builtins(given(params.thread, {})), "thread.")
        body = {name: value for name, value in asked.body.items() if name not in _NOT_OF_A_RUN}
        of_run = read_params(RunCreateParams, body)
        resources: JSONObject | None = msgspec.to_builtins(given(params.tool_resources, None))
        made = (await self._threads.create(of_thread, asked.options.for_another_request())).id
        opened: Opened | None = None
        try:
            async with self._threads.using(made, asked.options) as thread:
                opened = await self._runs.begin(
                    thread,
                    of_run,
                    asked.options,
                    include=asked.include,
                    resources=resources,
                    thread_is_new=True,
                    on_error_event=on_error_event,
                )
        except BaseException:
            if opened is not None:
                opened.body.abort()
            self._runs.drop(made, asked.options)
            raise
        return opened

    async def _begin_plainly(self, asked: Asked) -> Run:
        """Begins a run, or goes on with one, that is read here."""
        opened = await self.open(asked.name, asked, "yield")
        assert isinstance(opened.protocol, ResponsesProtocol)
        run = opened.protocol.run_now
        self._runs.pump(opened)
        return run

    async def _list_runs(self, asked: Asked) -> Page[Run]:
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            await self._runs.look_at_active(thread, asked.options)
            return self._store.list_runs(thread.id, asked.paging)

    async def _retrieve_run(self, asked: Asked) -> Run:
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            return await self._runs.look(thread, asked["run_id"], asked.options)

    async def _update_run(self, asked: Asked) -> Run:
        params = asked.params(RunUpdateParams)
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            return self._store.update_run(thread.id, asked["run_id"], params)

    async def _cancel_run(self, asked: Asked) -> Run:
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            return await self._runs.cancel(thread, asked["run_id"], asked.options)

    async def _list_run_steps(self, asked: Asked) -> Page[RunStep]:
        async with self._threads.using(asked["thread_id"], asked.options, changes=False) as thread:
            return self._store.list_run_steps(
                thread.id, asked["run_id"], asked.paging, with_contents=asked.with_contents
            )

    async def _retrieve_run_step(self, asked: Asked) -> RunStep:
        async with self._threads.using(asked["thread_id"], asked.options, changes=False) as thread:
            return self._store.retrieve_run_step(
                thread.id, asked["run_id"], asked["step_id"], with_contents=asked.with_contents
            )

    # -- threads and messages ------------------------------------------------------------------------------------------

    async def _create_thread(self, asked: Asked) -> Thread:
        return await self._threads.create(asked.params(ThreadCreateParams), asked.options)

    async def _retrieve_thread(self, asked: Asked) -> Thread:
        async with self._threads.using(asked["thread_id"], asked.options, changes=False) as thread:
            return thread.record.thread

    async def _update_thread(self, asked: Asked) -> Thread:
        return await self._threads.update(asked["thread_id"], asked.params(ThreadUpdateParams), asked.options)

    async def _delete_thread(self, asked: Asked) -> ThreadDeleted:
        return await self._threads.delete(asked["thread_id"], asked.options)

    async def _list_messages(self, asked: Asked) -> Page[Message]:
        async with self._threads.using(asked["thread_id"], asked.options, changes=False) as thread:
            return self._store.list_messages(thread.id, asked.paging, asked.run_id)

    async def _create_message(self, asked: Asked) -> Message:
        params = asked.params(MessageCreateParams)
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            await self._runs.look_at_active(thread, asked.options)
            return await self._threads.add_message(thread, params, asked.options)

    async def _retrieve_message(self, asked: Asked) -> Message:
        async with self._threads.using(asked["thread_id"], asked.options, changes=False) as thread:
            return self._store.retrieve_message(thread.id, asked["message_id"])

    async def _update_message(self, asked: Asked) -> Message:
        params = asked.params(MessageUpdateParams)
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            return self._store.update_message(thread.id, asked["message_id"], params)

    async def _delete_message(self, asked: Asked) -> MessageDeleted:
        async with self._threads.using(asked["thread_id"], asked.options) as thread:
            return await self._threads.delete_message(thread, asked["message_id"], asked.options)

    # -- assistants ----------------------------------------------------------------------------------------------------

    async def _list_assistants(self, asked: Asked) -> Page[Assistant]:
        return self._store.list_assistants(asked.paging)

    async def _create_assistant(self, asked: Asked) -> Assistant:
        return self._assistants.create(asked.params(AssistantCreateParams))

    async def _retrieve_assistant(self, asked: Asked) -> Assistant:
        return self._store.retrieve_assistant(asked["assistant_id"])

    async def _update_assistant(self, asked: Asked) -> Assistant:
        return self._assistants.update(asked["assistant_id"], asked.params(AssistantUpdateParams))

    async def _delete_assistant(self, asked: Asked) -> AssistantDeleted:
        return self._assistants.delete(asked["assistant_id"])


def _answer(asked: Asked) -> SubmitParams:
    if asked.body.get("tool_approvals") is not None:
        return asked.params(RunSubmitToolApprovalsParams)
    return asked.params(RunSubmitToolOutputsParams)
