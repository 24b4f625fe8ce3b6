"""Read by mypy and pyright, never executed: each marked line is a mistake that both must find.

The marks keep the checkers quiet where the whole project is checked; tests/test_typing.py takes them away, and each
checker must then complain about exactly these lines.
"""

# ruff: noqa: B018

from aiorunstream import AsyncCleint as Misspelt  # type: ignore[attr-defined]
from aiorunstream import AsyncClient, RunStream, ThreadMessageDelta, Timeouts


async def mistakes(client: AsyncClient, stream: RunStream) -> None:
    runs = client.threads.runs
    client.thread  # type: ignore[attr-defined]
    stream.run_idd  # type: ignore[attr-defined]
    await runs.create_streem("t", assistant_id="a")  # type: ignore[attr-defined]
    await runs.create_stream("t", assistant_id="a", temprature=1)  # type: ignore[call-arg]
    await runs.create_stream("t", assistant_id="a", temperature="hot")  # type: ignore[arg-type]
    await runs.create_stream("t", assistant_id="a", stream=False)  # type: ignore[arg-type]
    await runs.create("t", assistant_id="a", stream=True)  # type: ignore[arg-type]
    await runs.create_stream("t")  # type: ignore[call-arg]
    await runs.create_stream("t", "a")  # type: ignore[call-arg]
    await runs.retrieve("r", "t")  # type: ignore[call-arg]
    AsyncClient(base_url=8787)  # type: ignore[arg-type]
    AsyncClient(on_error_event="ignore")  # type: ignore[arg-type]
    Timeouts(read=5)  # type: ignore[call-arg]
    for _ in stream:  # type: ignore[attr-defined]
        pass
    async for event in stream:
        if isinstance(event, ThreadMessageDelta):
            event.data.txt  # type: ignore[attr-defined]
        event.data.text  # type: ignore[union-attr]
    Misspelt()
