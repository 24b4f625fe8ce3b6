"""Assistants, threads, messages, runs and steps, kept in memory.

Requests go in as the Structs of `params`, objects of `models` come out. What cannot be done is a `StoreError` that
says so without HTTP: whoever stands between the store and a wire turns it into an answer.

Rules of this file: objects never change, a new one takes the old one's place; a request is checked whole before
anything of it is kept; a list is in order of creation; a thread has at most one run that is not over. The clock and
the maker of ids are given, so that the same requests make the same objects.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec
from msgspec import UNSET, UnsetType

from . import checks
from .calls import without_contents
from .errors import InvalidArgumentError
from .intake import (
    Paging,
    StoreError,
    check_message,
    given,
    invalid,
    read_content,
    read_messages,
    read_params,
    read_response_format,
    read_run,
    read_tool_resources,
    read_tools,
    typed,
)
from .models import (
    Assistant,
    AssistantDeleted,
    Attachment,
    Message,
    MessageDeleted,
    Page,
    Run,
    RunStep,
    Thread,
    ThreadDeleted,
)
from .params import (
    AssistantCreateParams,
    AssistantUpdateParams,
    MessageCreateParams,
    MessageUpdateParams,
    RunCreateParams,
    RunUpdateParams,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ThreadUpdateParams,
)
from .shelf import Shelf, ThreadRecord

EXPIRES_AFTER = 600.0
"""Seconds; what OpenAI gave a run."""


class Store:
    """Keeps the objects of one server. Its methods are named as the operations; all raise `StoreError`.

    A run is made here, queued; `machine` takes it from there.

    Args:
        clock: returns the time in Unix seconds.
        new_id: makes an id that begins with the given prefix, such as "thread", and was never made before.
        expires_after: the seconds a run has, from its creation to its end.
    """

    def __init__(
        self, *, clock: Callable[[], float], new_id: Callable[[str], str], expires_after: float = EXPIRES_AFTER
    ) -> None:
        self._clock = clock
        self.new_id = new_id
        self._expires_after = expires_after
        self._assistants: Shelf[Assistant] = Shelf("assistant")
        self._threads: Shelf[ThreadRecord] = Shelf("thread")

    def now(self) -> int:
        """The time in whole Unix seconds."""
        return int(self._clock())

    def record(self, thread_id: str) -> ThreadRecord:
        """All that belongs to a thread."""
        return self._threads.get(thread_id)

    # Assistants.

    def create_assistant(self, params: AssistantCreateParams, *, id: str | None = None) -> Assistant:
        """Keeps a new assistant; with an `id`, under that. Refused where the id is taken, or could be in no URL."""
        if id is not None:
            self._check_new_id(id)
        assistant = Assistant(
            id=id or self.new_id("asst"),
            created_at=self.now(),
            model=params.model,
            metadata={},
            temperature=1.0,
            top_p=1.0,
            response_format="auto",
        )
        return self._assistants.put(_changed_assistant(assistant, params))

    def _check_new_id(self, id: str) -> None:
        try:
            checks.path_id("id", id)
        except InvalidArgumentError as error:
            raise invalid(f"{error}.", "id") from None
        if self._assistants.find(id) is not None:
            raise invalid(f"There is an assistant with id '{id}' already.", "id")

    def keep_assistant(self, assistant: Assistant) -> Assistant:
        """Keeps an assistant as it is, in place of the one with its id."""
        return self._assistants.put(assistant)

    def retrieve_assistant(self, assistant_id: str) -> Assistant:
        """Finds an assistant."""
        return self._assistants.get(assistant_id)

    def assistant_of(self, run: Run) -> Assistant:
        """Whose run it is; as far as the run shows it, where that assistant was deleted."""
        return self._assistants.find(run.assistant_id or "") or Assistant(
            run.assistant_id or "",
            created_at=run.created_at,
            model=run.model or "",
            instructions=run.instructions,
            tools=run.tools or (),
            metadata={},
        )

    def update_assistant(self, assistant_id: str, params: AssistantUpdateParams) -> Assistant:
        """Changes what was given of an assistant."""
        return self._assistants.put(_changed_assistant(self._assistants.get(assistant_id), params))

    def delete_assistant(self, assistant_id: str) -> AssistantDeleted:
        """Forgets an assistant; its runs go on."""
        self._assistants.remove(assistant_id)
        return AssistantDeleted(assistant_id)

    def list_assistants(self, paging: Paging) -> Page[Assistant]:
        """One page of the assistants."""
        return self._assistants.page(paging)

    # Threads.

    def create_thread(self, params: ThreadCreateParams, *, id: str | None = None) -> Thread:
        """Keeps a new thread with its first messages; with an `id`, under that."""
        return self._keep_thread(params, id=id).thread

    def keep(self, record: ThreadRecord) -> None:
        """Keeps a thread that was made elsewhere, with all that belongs to it."""
        self._threads.put(record)

    def _keep_thread(self, params: ThreadCreateParams, where: str = "", id: str | None = None) -> ThreadRecord:
        messages = read_messages(given(params.messages, ()), f"{where}messages")
        resources = read_tool_resources(given(params.tool_resources, {}), f"{where}tool_resources")
        metadata = dict(given(params.metadata, {}))
        thread = Thread(id or self.new_id("thread"), created_at=self.now(), tool_resources=resources, metadata=metadata)
        record = self._threads.put(ThreadRecord(thread))
        self._add_messages(record, messages)
        return record

    def retrieve_thread(self, thread_id: str) -> Thread:
        """Finds a thread."""
        return self.record(thread_id).thread

    def update_thread(self, thread_id: str, params: ThreadUpdateParams) -> Thread:
        """Changes what was given of a thread."""
        record = self.record(thread_id)
        thread = record.thread
        if params.tool_resources is not UNSET:
            resources = read_tool_resources(given(params.tool_resources, {}))
            thread = msgspec.structs.replace(thread, tool_resources=resources)
        record.thread = msgspec.structs.replace(thread, metadata=_metadata(params.metadata, thread.metadata))
        return record.thread

    def delete_thread(self, thread_id: str) -> ThreadDeleted:
        """Forgets a thread and all that belongs to it. A run of it that is under way ends out of sight."""
        self._threads.remove(thread_id)
        return ThreadDeleted(thread_id)

    # Messages.

    def create_message(self, thread_id: str, params: MessageCreateParams, *, id: str | None = None) -> Message:
        """Puts a message on a thread, with an `id` under that; refused while a run of the thread is active."""
        record = self.record(thread_id)
        check_message(params)
        if (run := record.active_run) is not None:
            raise StoreError("busy", f"Can't add messages to {thread_id} while a run {run.id} is active.")
        return self.keep_message(thread_id, params, id=id)

    def keep_message(self, thread_id: str, params: MessageCreateParams, *, id: str | None = None) -> Message:
        """Puts a message on a thread that was checked, and may be on it elsewhere, whatever run has become active."""
        record = self.record(thread_id)
        return record.messages.put(self._new_message(record.id, params, id))

    def _add_messages(self, record: ThreadRecord, messages: Sequence[MessageCreateParams]) -> list[Message]:
        """Puts messages that were looked at on a thread."""
        return [record.messages.put(self._new_message(record.id, params)) for params in messages]

    def _new_message(self, thread_id: str, params: MessageCreateParams, id: str | None = None) -> Message:
        now = self.now()
        return Message(
            id or self.new_id("msg"),
            created_at=now,
            thread_id=thread_id,
            status="completed",
            completed_at=now,
            role=params.role,
            content=read_content(params.content),
            attachments=typed("attachments", given(params.attachments, ()), tuple[Attachment, ...]),
            metadata=dict(given(params.metadata, {})),
        )

    def retrieve_message(self, thread_id: str, message_id: str) -> Message:
        """Finds a message."""
        return self.record(thread_id).messages.get(message_id)

    def update_message(self, thread_id: str, message_id: str, params: MessageUpdateParams) -> Message:
        """Changes a message's metadata."""
        shelf = self.record(thread_id).messages
        message = shelf.get(message_id)
        return shelf.put(msgspec.structs.replace(message, metadata=_metadata(params.metadata, message.metadata)))

    def delete_message(self, thread_id: str, message_id: str) -> MessageDeleted:
        """Forgets a message."""
        self.record(thread_id).messages.remove(message_id)
        return MessageDeleted(message_id)

    def list_messages(self, thread_id: str, paging: Paging, run_id: str | None = None) -> Page[Message]:
        """One page of a thread's messages, or of those that one run wrote."""
        keep: Callable[[Message], bool] | None = None if run_id is None else lambda message: message.run_id == run_id
        return self.record(thread_id).messages.page(paging, keep)

    # Runs and their steps.

    def create_run(self, thread_id: str, params: RunCreateParams) -> Run:
        """Queues a run on a thread, its additional messages put there first; refused while another is active."""
        record = self.record(thread_id)
        run = read_run(self._assistants.get(params.assistant_id), params)
        messages = read_messages(given(params.additional_messages, ()), "additional_messages")
        if (active := record.active_run) is not None:
            raise StoreError("busy", f"Thread {thread_id} already has an active run {active.id}.")
        self._add_messages(record, messages)
        return self._queue(record, run)

    def create_thread_and_run(self, params: ThreadCreateAndRunParams) -> Run:
        """Keeps a new thread and queues a run on it."""
        run = read_run(self._assistants.get(params.assistant_id), params)
        thread = given(params.thread, {})
        if not isinstance(thread, ThreadCreateParams):
            thread = read_params(
                ThreadCreateParams, cast("Mapping[str, object]", msgspec.to_builtins(thread)), "thread."
            )
        return self._queue(self._keep_thread(thread, "thread."), run)

    def _queue(self, record: ThreadRecord, run: Run) -> Run:
        now = self.now()
        expires_at = int(now + self._expires_after)
        return record.runs.put(
            msgspec.structs.replace(
                run, id=self.new_id("run"), thread_id=record.id, created_at=now, expires_at=expires_at
            )
        )

    def retrieve_run(self, thread_id: str, run_id: str) -> Run:
        """Finds a run."""
        return self.record(thread_id).runs.get(run_id)

    def update_run(self, thread_id: str, run_id: str, params: RunUpdateParams) -> Run:
        """Changes a run's metadata."""
        shelf = self.record(thread_id).runs
        run = shelf.get(run_id)
        return shelf.put(msgspec.structs.replace(run, metadata=_metadata(params.metadata, run.metadata)))

    def list_runs(self, thread_id: str, paging: Paging) -> Page[Run]:
        """One page of a thread's runs."""
        return self.record(thread_id).runs.page(paging)

    def retrieve_run_step(self, thread_id: str, run_id: str, step_id: str, *, with_contents: bool = False) -> RunStep:
        """Finds a step; `with_contents` of what its file searches found."""
        step = self.record(thread_id).steps_of(run_id).get(step_id)
        return step if with_contents else without_contents(step)

    def list_run_steps(
        self, thread_id: str, run_id: str, paging: Paging, *, with_contents: bool = False
    ) -> Page[RunStep]:
        """One page of a run's steps; `with_contents` of what their file searches found."""
        page = self.record(thread_id).steps_of(run_id).page(paging)
        if with_contents:
            return page
        return msgspec.structs.replace(page, data=tuple(without_contents(step) for step in page.data))


def _metadata(new: Mapping[str, str] | None | UnsetType, old: Mapping[str, str] | None) -> dict[str, str]:
    return dict(old or {}) if new is UNSET else dict(new or {})


_AS_GIVEN = ("model", "name", "description", "instructions", "temperature", "top_p")


def _changed_assistant(assistant: Assistant, params: AssistantCreateParams | AssistantUpdateParams) -> Assistant:
    changes: dict[str, object] = {name: getattr(params, name) for name in _AS_GIVEN}
    changes["metadata"] = _metadata(params.metadata, assistant.metadata)
    if params.tools is not UNSET:
        changes["tools"] = read_tools(params.tools)
    if params.tool_resources is not UNSET:
        changes["tool_resources"] = read_tool_resources(given(params.tool_resources, {}))
    if params.response_format is not UNSET:
        changes["response_format"] = read_response_format(given(params.response_format, "auto"))
    return msgspec.structs.replace(assistant, **{name: value for name, value in changes.items() if value is not UNSET})
