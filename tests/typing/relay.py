"""Read by mypy and pyright, never executed: a run as the answer of a handler. Marked lines are mistakes."""

from typing import assert_type

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from aiorunstream import AiorunstreamError, APIStatusError, AssistantStream, AsyncClient, RunStream, StreamCall, ToolSet
from aiorunstream.relay import OnError, RunStreamResponse


def refused(error: AiorunstreamError) -> JSONResponse:
    return JSONResponse({}, error.status_code if isinstance(error, APIStatusError) else 500)


def too_narrow(error: APIStatusError) -> Response:
    return Response(status_code=error.status_code)


async def handler(client: AsyncClient) -> Response:
    runs = client.threads.runs
    call = assert_type(runs.create_stream("thread_1", assistant_id="asst_1"), StreamCall[RunStream])
    RunStreamResponse(call)
    RunStreamResponse(client.threads.create_and_run_stream(assistant_id="asst_1"), ping=None, headers={"a": "b"})
    RunStreamResponse(AssistantStream(call), only=["thread.message.*"], on_disconnect="continue", status_code=201)
    RunStreamResponse(runs.submit_tool_outputs_stream("run_1", thread_id="thread_1", tool_outputs=[]), text_only=True)
    hook: OnError = refused
    response = RunStreamResponse(
        runs.stream("thread_1", assistant_id="asst_1", tools=ToolSet()), background=BackgroundTask(print), on_error=hook
    )
    assert_type(response, RunStreamResponse)
    return response


async def mistakes(client: AsyncClient) -> None:
    call = client.threads.runs.create_stream("thread_1", assistant_id="asst_1")
    async with call as stream:
        RunStreamResponse(stream)  # type: ignore[arg-type]
    RunStreamResponse(client.threads.runs.create("thread_1", assistant_id="asst_1"))  # type: ignore[arg-type]
    RunStreamResponse(call, on_disconnect="stop")  # type: ignore[arg-type]
    RunStreamResponse(call, on_disconect="cancel")  # type: ignore[call-arg]
    RunStreamResponse(call, only=[1])  # type: ignore[list-item]
    RunStreamResponse(call, ping="15")  # type: ignore[arg-type]
    RunStreamResponse(call, on_error=too_narrow)  # type: ignore[arg-type]
    RunStreamResponse()  # type: ignore[call-arg]
    RunStreamResponse(call, None)  # type: ignore[call-arg]
