"""Threads: conversations that messages and runs belong to."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from ..backends import Backend
from ..models import (
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoiceOption,
    Metadata,
    Run,
    Thread,
    ThreadDeleted,
    ToolResources,
    TruncationStrategy,
)
from ..operations import (
    CREATE_THREAD,
    CREATE_THREAD_AND_RUN,
    DELETE_THREAD,
    RETRIEVE_THREAD,
    UPDATE_THREAD,
    Call,
    make_call,
)
from ..options import RecoverPolicy, RequestOptions
from ..params import (
    JSONMapping,
    MessageCreateParams,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ThreadUpdateParams,
)
from ..protocol import OnErrorEvent
from ..stream import RunStream, StreamCall
from ._resource import Resource, must_not_stream, must_stream
from ._streams import Manner, Streams
from .messages import AsyncMessages
from .runs import AsyncRuns

if TYPE_CHECKING:
    from ..handler import AssistantEventHandler
    from ..helper import Approve, AssistantStream, OnToolError
    from ..tools import ToolSet


class AsyncThreads(Resource):
    """`client.threads`, with `messages` and `runs` on it."""

    def __init__(self, backend: Backend, streams: Streams) -> None:
        super().__init__(backend)
        self._streams = streams

    @cached_property
    def messages(self) -> AsyncMessages:
        """The messages of threads."""
        return AsyncMessages(self._backend)

    @cached_property
    def runs(self) -> AsyncRuns:
        """The runs of threads."""
        return AsyncRuns(self._backend, self._streams)

    async def create(
        self,
        *,
        messages: Sequence[MessageCreateParams | JSONMapping] | UnsetType = UNSET,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Thread:
        """Makes a thread, with its first messages if there are any.

        Raises:
            InvalidArgumentError: a parameter cannot be meant; nothing was sent.
            APIError: see `aiorunstream.errors`.
        """
        params = ThreadCreateParams(messages=messages, tool_resources=tool_resources, metadata=metadata)
        return await self._call(CREATE_THREAD, body=params.body(), options=options)

    async def retrieve(self, thread_id: str, *, options: RequestOptions | None = None) -> Thread:
        """Returns a thread. Raises `NotFoundError` where there is none."""
        return await self._call(RETRIEVE_THREAD, {"thread_id": thread_id}, options=options)

    async def update(
        self,
        thread_id: str,
        *,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Thread:
        """Changes what is given of a thread and leaves the rest."""
        params = ThreadUpdateParams(tool_resources=tool_resources, metadata=metadata)
        return await self._call(UPDATE_THREAD, {"thread_id": thread_id}, body=params.body(), options=options)

    async def delete(self, thread_id: str, *, options: RequestOptions | None = None) -> ThreadDeleted:
        """Deletes a thread with its messages and runs."""
        return await self._call(DELETE_THREAD, {"thread_id": thread_id}, options=options)

    def create_and_run_stream(
        self,
        *,
        assistant_id: str,
        thread: ThreadCreateParams | JSONMapping | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        max_completion_tokens: int | None | UnsetType = UNSET,
        max_prompt_tokens: int | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        model: str | None | UnsetType = UNSET,
        parallel_tool_calls: bool | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET,
        top_p: float | None | UnsetType = UNSET,
        truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET,
        stream: Literal[True] = True,
        on_error_event: OnErrorEvent | None = None,
        cancel_on_exit: bool | None = None,
        recover: RecoverPolicy | bool | None = None,
        options: RequestOptions | None = None,
    ) -> StreamCall[RunStream]:
        """Makes a thread, starts a run on it and streams its events; the first is `thread.created`.

        Parameters and errors as `runs.create_stream`; the protocol has no `include`, `additional_*` or
        `reasoning_effort` here.
        """
        must_stream(stream, instead="threads.create_and_run")
        manner = self._streams.manner(on_error_event=on_error_event, cancel_on_exit=cancel_on_exit, recover=recover)
        params = ThreadCreateAndRunParams(
            assistant_id=assistant_id,
            thread=thread,
            instructions=instructions,
            max_completion_tokens=max_completion_tokens,
            max_prompt_tokens=max_prompt_tokens,
            metadata=metadata,
            model=model,
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format,
            temperature=temperature,
            tool_choice=tool_choice,
            tool_resources=tool_resources,
            tools=tools,
            top_p=top_p,
            truncation_strategy=truncation_strategy,
            stream=True,
        )
        call = make_call(CREATE_THREAD_AND_RUN, body=params.body(), options=options)
        return StreamCall(self._create_and_run_stream(call, manner))

    async def _create_and_run_stream(self, call: Call[Run], manner: Manner) -> RunStream:
        return await self._streams.open(call, manner)

    def stream(
        self,
        *,
        assistant_id: str,
        thread: ThreadCreateParams | JSONMapping | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        max_completion_tokens: int | None | UnsetType = UNSET,
        max_prompt_tokens: int | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        model: str | None | UnsetType = UNSET,
        parallel_tool_calls: bool | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        tools: "ToolSet | Sequence[AssistantTool | JSONMapping] | None | UnsetType" = UNSET,
        top_p: float | None | UnsetType = UNSET,
        truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET,
        on_error_event: OnErrorEvent | None = None,
        cancel_on_exit: bool | None = None,
        recover: RecoverPolicy | bool | None = None,
        event_handler: "AssistantEventHandler | None" = None,
        on_tool_error: "OnToolError" = "report",
        tool_timeout: float | None = 60.0,
        max_concurrent_tools: int = 8,
        max_rounds: int = 16,
        approve: "Approve | None" = None,
        options: RequestOptions | None = None,
    ) -> "AssistantStream":
        """Makes a thread and starts a run on it, as `runs.stream` does on a thread that is there."""
        from ..helper import AssistantStream  # noqa: PLC0415  # a third of what a client would add to aiohttp
        from ..tools import ToolSet  # noqa: PLC0415

        call = self.create_and_run_stream(
            assistant_id=assistant_id,
            thread=thread,
            instructions=instructions,
            max_completion_tokens=max_completion_tokens,
            max_prompt_tokens=max_prompt_tokens,
            metadata=metadata,
            model=model,
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format,
            temperature=temperature,
            tool_choice=tool_choice,
            tool_resources=tool_resources,
            tools=tools.definitions if isinstance(tools, ToolSet) else tools,
            top_p=top_p,
            truncation_strategy=truncation_strategy,
            on_error_event=on_error_event,
            cancel_on_exit=cancel_on_exit,
            recover=recover,
            options=options,
        )
        return AssistantStream(
            call,
            tools=tools if isinstance(tools, ToolSet) else None,
            event_handler=event_handler,
            on_tool_error=on_tool_error,
            tool_timeout=tool_timeout,
            max_concurrent_tools=max_concurrent_tools,
            max_rounds=max_rounds,
            approve=approve,
        )

    async def create_and_run(
        self,
        *,
        assistant_id: str,
        thread: ThreadCreateParams | JSONMapping | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        max_completion_tokens: int | None | UnsetType = UNSET,
        max_prompt_tokens: int | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        model: str | None | UnsetType = UNSET,
        parallel_tool_calls: bool | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET,
        top_p: float | None | UnsetType = UNSET,
        truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET,
        stream: Literal[False] = False,
        options: RequestOptions | None = None,
    ) -> Run:
        """Makes a thread, starts a run on it and returns the run; its `thread_id` is the new thread's."""
        must_not_stream(stream, instead="threads.create_and_run_stream")
        params = ThreadCreateAndRunParams(
            assistant_id=assistant_id,
            thread=thread,
            instructions=instructions,
            max_completion_tokens=max_completion_tokens,
            max_prompt_tokens=max_prompt_tokens,
            metadata=metadata,
            model=model,
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format,
            temperature=temperature,
            tool_choice=tool_choice,
            tool_resources=tool_resources,
            tools=tools,
            top_p=top_p,
            truncation_strategy=truncation_strategy,
        )
        return await self._call(CREATE_THREAD_AND_RUN, body=params.body(), options=options)
