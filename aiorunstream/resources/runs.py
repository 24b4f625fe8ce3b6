"""Runs of a thread, streamed or plain."""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import anyio
from msgspec import UNSET, UnsetType

from ..errors import APITimeoutError
from ..models import (
    AssistantResponseFormatOption,
    AssistantTool,
    AssistantToolChoiceOption,
    Metadata,
    Run,
    TruncationStrategy,
)
from ..operations import (
    CANCEL_RUN,
    CREATE_RUN,
    LIST_RUNS,
    RETRIEVE_RUN,
    SUBMIT_TOOL_OUTPUTS,
    UPDATE_RUN,
    Call,
    make_call,
)
from ..options import RequestOptions
from ..params import (
    JSONMapping,
    MessageCreateParams,
    ReasoningEffort,
    RunCreateParams,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    ToolOutput,
)
from ..protocol import OnErrorEvent
from ..retry import poll_delay
from ..stream import RunStream, StreamCall
from ._pages import ListCall, Order, list_query
from ._resource import Resource, check_on_error_event, include_query, must_not_stream, must_stream
from .steps import AsyncRunSteps

_ACTIVE = frozenset({"queued", "in_progress", "cancelling"})


class AsyncRuns(Resource):
    """`client.threads.runs`, with `steps` on it."""

    @cached_property
    def steps(self) -> AsyncRunSteps:
        """The steps of runs."""
        return AsyncRunSteps(self._backend, on_error_event=self._on_error_event)

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
            options: headers, query, body, clocks and retries of this one request.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
            APIStatusError: on opening, for any status but 200; `ThreadBusyError` where a run is active on the thread.
            APIConnectionError: on opening: the request surely never reached the server.
            APITimeoutError: on opening: not connected, or no stream slot came free, within `Timeouts.connect`.
            RunOutcomeUnknownError: on opening: it may have, and was not answered. It is not sent again.
            ClientClosedError: the client is closed.
            StreamProtocolError: on opening, for a 200 that is no event stream.

        Cancelling the opening closes the connection; the run may have been started all the same.
        """
        must_stream(stream, instead="runs.create")
        check_on_error_event(on_error_event)
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
        return StreamCall(self._create_stream(call, on_error_event))

    async def _create_stream(self, call: Call[Run], on_error_event: OnErrorEvent | None) -> RunStream:
        return await self._stream(call, on_error_event)

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
        return await self._send(_create_call(thread_id, params, options))

    async def retrieve(self, run_id: str, *, thread_id: str, options: RequestOptions | None = None) -> Run:
        """Returns a run. Raises `NotFoundError` where there is none, and at LiteLLM's `/v1`, which has no such route."""
        return await self._call(RETRIEVE_RUN, {"thread_id": thread_id, "run_id": run_id}, options=options)

    def list(
        self,
        thread_id: str,
        *,
        limit: int | UnsetType = UNSET,
        order: Order | UnsetType = UNSET,
        after: str | UnsetType = UNSET,
        before: str | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> ListCall[Run]:
        """Lists the runs of a thread.

        Await it for one page, or iterate it with `async for` for all of them.

        Args:
            limit: items a page, 1 to 100; servers take 20.
            order: by time of creation, "desc" (newest first) unless said otherwise.
            after, before: an id; the list begins behind it, or ends in front of it.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
        """
        query = list_query(limit=limit, order=order, after=after, before=before)
        return self._list(LIST_RUNS, {"thread_id": thread_id}, query=query, options=options)

    async def update(
        self,
        run_id: str,
        *,
        thread_id: str,
        metadata: Metadata | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Run:
        """Changes a run's metadata."""
        body = RunUpdateParams(metadata=metadata).body()
        return await self._call(UPDATE_RUN, {"thread_id": thread_id, "run_id": run_id}, body=body, options=options)

    async def poll(
        self,
        run_id: str,
        *,
        thread_id: str,
        timeout: float | None = 600.0,  # noqa: ASYNC109  # it bounds many requests and the waits between them
        options: RequestOptions | None = None,
    ) -> Run:
        """Looks at a run until it stops, and returns it.

        It stops at every terminal status, at "requires_action", and at a status this version does not know. Between two
        looks it waits as long as the server asks (`openai-poll-after-ms`), else 0.5 s growing to 5 s.

        Args:
            timeout: seconds for all of it; None for as long as it takes. Servers end a run after ten minutes.

        Raises:
            APITimeoutError: the run had not stopped in time.
            APIError: a look failed; see `aiorunstream.errors`.
        """
        call = make_call(RETRIEVE_RUN, {"thread_id": thread_id, "run_id": run_id}, options=options)
        attempt = 0
        with anyio.move_on_after(timeout):
            while True:
                attempt += 1
                answer = await self._answer(call)
                if answer.data.status not in _ACTIVE:
                    return answer.data
                await anyio.sleep(poll_delay(attempt, answer.headers))
        raise APITimeoutError(f"run {run_id} had not stopped after {timeout:g} s", reason="timeout")

    async def cancel(self, run_id: str, *, thread_id: str, options: RequestOptions | None = None) -> Run:
        """Asks a run to stop, and returns it, usually "cancelling". Raises `BadRequestError` for one that has ended."""
        return await self._call(CANCEL_RUN, {"thread_id": thread_id, "run_id": run_id}, options=options)

    def submit_tool_outputs_stream(
        self,
        run_id: str,
        *,
        thread_id: str,
        tool_outputs: Sequence[ToolOutput | JSONMapping],
        stream: Literal[True] = True,
        on_error_event: OnErrorEvent | None = None,
        options: RequestOptions | None = None,
    ) -> StreamCall[RunStream]:
        """Answers all the calls a run waits for, and streams how it goes on. Errors as `create_stream`.

        Args:
            tool_outputs: one for each of `run.tool_calls`, all in one request.
        """
        must_stream(stream, instead="runs.submit_tool_outputs")
        check_on_error_event(on_error_event)
        call = _submit_call(
            run_id, thread_id, RunSubmitToolOutputsParams(tool_outputs=tool_outputs, stream=True), options
        )
        return StreamCall(self._submit_tool_outputs_stream(call, on_error_event))

    async def _submit_tool_outputs_stream(self, call: Call[Run], on_error_event: OnErrorEvent | None) -> RunStream:
        return await self._stream(call, on_error_event)

    async def submit_tool_outputs(
        self,
        run_id: str,
        *,
        thread_id: str,
        tool_outputs: Sequence[ToolOutput | JSONMapping],
        stream: Literal[False] = False,
        options: RequestOptions | None = None,
    ) -> Run:
        """Answers all the calls a run waits for, and returns the run as it is then."""
        must_not_stream(stream, instead="runs.submit_tool_outputs_stream")
        params = RunSubmitToolOutputsParams(tool_outputs=tool_outputs)
        return await self._send(_submit_call(run_id, thread_id, params, options))


def _create_call(thread_id: str, params: RunCreateParams, options: RequestOptions | None) -> Call[Run]:
    query = include_query(params.include)
    return make_call(CREATE_RUN, {"thread_id": thread_id}, query=query, body=params.body(), options=options)


def _submit_call(
    run_id: str, thread_id: str, params: RunSubmitToolOutputsParams, options: RequestOptions | None
) -> Call[Run]:
    ids = {"thread_id": thread_id, "run_id": run_id}
    return make_call(SUBMIT_TOOL_OUTPUTS, ids, body=params.body(), options=options)
