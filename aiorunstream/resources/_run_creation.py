"""How runs are begun on a thread: streamed, plain, or with their text and tools taken care of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from ..backends import Backend
from ..models import (
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoiceOption,
    Metadata,
    Run,
    TruncationStrategy,
)
from ..operations import CREATE_RUN, Call, make_call
from ..options import RecoverPolicy, RequestOptions
from ..params import JSONMapping, MessageCreateParams, ReasoningEffort, RunCreateParams
from ..protocol import OnErrorEvent
from ..stream import RunStream, StreamCall
from ._busy import IfActive
from ._resource import Resource, include_query, must_not_stream, must_stream
from ._streams import Manner, Streams

if TYPE_CHECKING:
    from ..handler import AssistantEventHandler
    from ..helper import Approve, AssistantStream, OnToolError
    from ..tools import ToolSet


class RunCreation(Resource):
    """The part of `client.threads.runs` that begins runs."""

    def __init__(self, backend: Backend, streams: Streams) -> None:
        super().__init__(backend)
        self._streams = streams

    def create_stream(
        self,
        thread_id: str,
        *,
        assistant_id: str,
        include: Sequence[str] | UnsetType = UNSET,
        additional_instructions: str | None | UnsetType = UNSET,
        additional_messages: Sequence[MessageCreateParams | JSONMapping] | None | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        max_completion_tokens: int | None | UnsetType = UNSET,
        max_prompt_tokens: int | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        model: str | None | UnsetType = UNSET,
        parallel_tool_calls: bool | UnsetType = UNSET,
        reasoning_effort: ReasoningEffort | None | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET,
        top_p: float | None | UnsetType = UNSET,
        truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET,
        stream: Literal[True] = True,
        on_error_event: OnErrorEvent | None = None,
        cancel_on_exit: bool | None = None,
        recover: RecoverPolicy | bool | None = None,
        if_active: IfActive = "error",
        options: RequestOptions | None = None,
    ) -> StreamCall[RunStream]:
        r"""Starts a run on a thread and streams its events.

        Arguments are checked at once; nothing is sent before the returned call is awaited or entered:

            async with client.threads.runs.create_stream(thread.id, assistant_id="asst_1") as stream:
                async for event in stream: ...

        A parameter left out is not sent, None is sent as null.

        Args:
            thread_id: 1 to 512 visible ASCII characters without `/ \ ? # %`.
            include: what else to send with the steps; the one value so far is
                "step_details.tool_calls[*].file_search.results[*].content".
            instructions: in place of the assistant's; `additional_instructions` are added to them.
            additional_messages: are put on the thread first.
            max_completion_tokens, max_prompt_tokens: at least 256; a run that meets one ends "incomplete".
            metadata: at most 16 pairs, names up to 64 and values up to 512 characters.
            temperature: 0 to 2. `top_p`: 0 to 1. `tools`: at most 20, in place of the assistant's.
            on_error_event: "yield" hands out a server's error event instead of raising it.
            cancel_on_exit: True also cancels the run when the stream is left before the run has stopped.
            recover: True, or a policy, goes on after the connection failed: the run is watched until it stops, and what
                was missed is fetched. False raises at once.
            if_active: where the thread has a run that is still active, "error" raises `ThreadBusyError`, "wait" waits
                until it is over, "cancel" cancels it first; both at most 600 s.
            options: headers, query, body, clocks and retries of this one request.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
            APIStatusError: on opening, for any status but 200; `ThreadBusyError` where a run is active on the thread.
            APIConnectionError: on opening: the request surely never reached the server.
            APITimeoutError: on opening: not connected, or no stream slot came free, within `Timeouts.connect`.
            RunOutcomeUnknownError: on opening: it may have, and was not answered. It is not sent again; with
                `RetryPolicy(reconcile=True)` the run was looked for before.
            ClientClosedError: the client is closed.
            StreamProtocolError: on opening, for a 200 that is no event stream.

        Cancelling the opening closes the connection; the run may have been started all the same. With `cancel_on_exit`
        the answer is waited for, up to 0.5 s, so that the run can be cancelled too; that takes at most 2 s.
        """
        must_stream(stream, instead="runs.create")
        manner = self._streams.manner(
            on_error_event=on_error_event, cancel_on_exit=cancel_on_exit, recover=recover, if_active=if_active
        )
        params = RunCreateParams(
            assistant_id=assistant_id,
            include=include,
            additional_instructions=additional_instructions,
            additional_messages=additional_messages,
            instructions=instructions,
            max_completion_tokens=max_completion_tokens,
            max_prompt_tokens=max_prompt_tokens,
            metadata=metadata,
            model=model,
            parallel_tool_calls=parallel_tool_calls,
            reasoning_effort=reasoning_effort,
            response_format=response_format,
            temperature=temperature,
            tool_choice=tool_choice,
            tools=tools,
            top_p=top_p,
            truncation_strategy=truncation_strategy,
            stream=True,
        )
        call = _create_call(thread_id, params, options)
        return StreamCall(self._create_stream(call, manner))

    async def _create_stream(self, call: Call[Run], manner: Manner) -> RunStream:
        return await self._streams.open(call, manner)

    def stream(
        self,
        thread_id: str,
        *,
        assistant_id: str,
        include: Sequence[str] | UnsetType = UNSET,
        additional_instructions: str | None | UnsetType = UNSET,
        additional_messages: Sequence[MessageCreateParams | JSONMapping] | None | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        max_completion_tokens: int | None | UnsetType = UNSET,
        max_prompt_tokens: int | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        model: str | None | UnsetType = UNSET,
        parallel_tool_calls: bool | UnsetType = UNSET,
        reasoning_effort: ReasoningEffort | None | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET,
        tools: "ToolSet | Sequence[AssistantTool | JSONMapping] | None | UnsetType" = UNSET,
        top_p: float | None | UnsetType = UNSET,
        truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET,
        on_error_event: OnErrorEvent | None = None,
        cancel_on_exit: bool | None = None,
        recover: RecoverPolicy | bool | None = None,
        if_active: IfActive = "error",
        event_handler: "AssistantEventHandler | None" = None,
        on_tool_error: "OnToolError" = "report",
        tool_timeout: float | None = 60.0,
        max_concurrent_tools: int = 8,
        max_rounds: int = 16,
        approve: "Approve | None" = None,
        options: RequestOptions | None = None,
    ) -> "AssistantStream":
        """Starts a run on a thread, for its text, its final objects, and its functions called; see `AssistantStream`.

            async with client.threads.runs.stream(thread.id, assistant_id="asst_1", tools=ToolSet([search])) as stream:
                async for text in stream.text_deltas(): ...

        Args:
            tools: a `ToolSet` is sent as the tools of the run, in place of the assistant's, and its functions are called where
                the run asks for them. Other tools are sent, and nothing is called.
            event_handler, on_tool_error, tool_timeout, max_concurrent_tools, max_rounds, approve: of `AssistantStream`.

        The other parameters, and the errors, as `create_stream`; nothing is sent before the stream is entered.
        """
        from ..helper import AssistantStream  # noqa: PLC0415  # a third of what a client would add to aiohttp
        from ..tools import ToolSet  # noqa: PLC0415

        call = self.create_stream(
            thread_id,
            assistant_id=assistant_id,
            include=include,
            additional_instructions=additional_instructions,
            additional_messages=additional_messages,
            instructions=instructions,
            max_completion_tokens=max_completion_tokens,
            max_prompt_tokens=max_prompt_tokens,
            metadata=metadata,
            model=model,
            parallel_tool_calls=parallel_tool_calls,
            reasoning_effort=reasoning_effort,
            response_format=response_format,
            temperature=temperature,
            tool_choice=tool_choice,
            tools=tools.definitions if isinstance(tools, ToolSet) else tools,
            top_p=top_p,
            truncation_strategy=truncation_strategy,
            on_error_event=on_error_event,
            cancel_on_exit=cancel_on_exit,
            recover=recover,
            if_active=if_active,
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

    async def create(
        self,
        thread_id: str,
        *,
        assistant_id: str,
        include: Sequence[str] | UnsetType = UNSET,
        additional_instructions: str | None | UnsetType = UNSET,
        additional_messages: Sequence[MessageCreateParams | JSONMapping] | None | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        max_completion_tokens: int | None | UnsetType = UNSET,
        max_prompt_tokens: int | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        model: str | None | UnsetType = UNSET,
        parallel_tool_calls: bool | UnsetType = UNSET,
        reasoning_effort: ReasoningEffort | None | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        tool_choice: AssistantToolChoiceOption | JSONMapping | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | None | UnsetType = UNSET,
        top_p: float | None | UnsetType = UNSET,
        truncation_strategy: TruncationStrategy | JSONMapping | None | UnsetType = UNSET,
        stream: Literal[False] = False,
        if_active: IfActive = "error",
        options: RequestOptions | None = None,
    ) -> Run:
        """Starts a run and returns it as it is then, usually "queued". Parameters and errors as `create_stream`."""
        must_not_stream(stream, instead="runs.create_stream")
        params = RunCreateParams(
            assistant_id=assistant_id,
            include=include,
            additional_instructions=additional_instructions,
            additional_messages=additional_messages,
            instructions=instructions,
            max_completion_tokens=max_completion_tokens,
            max_prompt_tokens=max_prompt_tokens,
            metadata=metadata,
            model=model,
            parallel_tool_calls=parallel_tool_calls,
            reasoning_effort=reasoning_effort,
            response_format=response_format,
            temperature=temperature,
            tool_choice=tool_choice,
            tools=tools,
            top_p=top_p,
            truncation_strategy=truncation_strategy,
        )
        return await self._streams.create(_create_call(thread_id, params, options), if_active, self._send)


def _create_call(thread_id: str, params: RunCreateParams, options: RequestOptions | None) -> Call[Run]:
    query = include_query(params.include)
    return make_call(CREATE_RUN, {"thread_id": thread_id}, query=query, body=params.body(), options=options)
