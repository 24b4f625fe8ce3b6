"""Read by mypy and pyright, never executed: many runs, as one iterator and as a list. Marked lines are mistakes."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_never, assert_type

from aiorunstream import AsyncClient, Run, RunEvent, Usage
from aiorunstream.fanout import RunFailure, RunItem, RunRequest, RunResult, gather_runs, stream_many


def some() -> Iterator[RunRequest]:
    yield RunRequest("a", "thread_1", assistant_id="asst_1", recover=True)
    yield RunRequest("b", thread={"messages": []}, assistant_id="asst_1", tool_resources=None)


async def some_later() -> AsyncIterator[RunRequest]:
    for one in some():
        yield one


async def streamed(client: AsyncClient) -> None:
    async with stream_many(client.threads.runs, some_later(), max_concurrency=5, on_error="raise", buffer=8) as many:
        async for item in many:
            match item:
                case RunItem(key, event):
                    assert_type(key, str)
                    assert_type(event, RunEvent)
                case RunResult(_, run):
                    assert_type(run, Run)
                    assert_type(item.usage, Usage | None)
                case RunFailure(error=error):
                    assert_type(error, Exception)
                case _:
                    assert_never(item)
    assert_type(many.running + many.tokens, int)


async def gathered(client: AsyncClient) -> None:
    assert_type(await gather_runs(client.threads, some()), list[RunResult | RunFailure])
    assert_type(await gather_runs(client.threads, some(), on_error="raise"), list[RunResult])


async def wrong(client: AsyncClient) -> None:
    stream_many(client, some())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stream_many(client.threads, ["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await gather_runs(client.threads, some(), on_error="stop")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    RunRequest("a", "thread_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RunRequest("a", "thread_1", assistant_id="asst_1", temprature=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
