"""The streams of a run with a call, in the background at the embedded server, cut at every byte: each word comes once."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import pytest
from bridge_client import asked, bridged, texts
from bridged import check_legal, text_of
from conftest import LONG

from aiorunstream import RunEvent, RunStream, StreamInterruptedError, StreamTruncatedError, ToolOutput
from aiorunstream.models import RequiredActionFunctionToolCall
from aiorunstream.server import CallTool, Fault, Item, MoreArguments, Say, Turn


class Asks:
    """An engine that asks for the weather, and then tells it."""

    def reply(self, turn: Turn, /) -> Iterable[Item]:
        if turn.tool_outputs:
            return (Say("It "), Say("rains."))
        call = (CallTool("get_weather", '{"city"'), MoreArguments(': "Oslo"}'))
        return (Say("Let "), Say("me — "), Say("see."), *call)


async def whole(stream: RunStream) -> list[RunEvent]:
    events = [event async for event in stream]
    check_legal(events)
    return events


def outputs(stream: RunStream) -> list[ToolOutput]:
    assert stream.run is not None
    (call,) = stream.run.tool_calls
    assert isinstance(call, RequiredActionFunctionToolCall)
    assert call.function.arguments == '{"city": "Oslo"}'
    return [ToolOutput(tool_call_id=call.id, output="rain")]


@pytest.mark.parametrize("kind", ["cut", "end"])
@pytest.mark.parametrize("which", ["first", "second"])
async def test_cut_anywhere_it_says_everything_once(
    kind: Literal["cut", "end"], which: str, anyio_backend: tuple[str, dict[str, bool]]
) -> None:
    step = 1 if LONG else 397 if anyio_backend[1]["use_uvloop"] else 131
    ends = Counter[str]()
    at_byte = 0
    async with bridged(background=True, engine=Asks()) as (client, server):
        while ends["not cut"] == 0:
            server.clear_faults()
            server.requests.clear()
            fault = Fault(kind, operation="create_response", at_byte=at_byte)
            thread_id = await asked(client)
            if which == "first":
                server.inject(fault)
            try:
                async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
                    assert text_of(await whole(stream)) == "Let me — see.", at_byte
                    if which == "second":
                        server.inject(fault)
                    async with stream.submit_tool_outputs(outputs(stream)) as more:
                        assert text_of(await whole(more)) == "It rains.", at_byte
            except (StreamInterruptedError, StreamTruncatedError) as error:
                # Nobody can know yet which response it is.
                ends["unknown" if error.events_seen == 0 else f"lost at {at_byte}"] += 1
            else:
                assert [text for _, text in await texts(client, thread_id)] == ["Hello", "Let me — see.", "It rains."]
                resumed = sum(method == "GET" and "/responses/" in path for method, path in server.requests)
                ends["resumed" if resumed else "not cut"] += 1
            at_byte += step
    print(f"every {step} of {at_byte} bytes: {dict(ends)}")
    assert set(ends) == {"unknown", "resumed", "not cut"}
    assert ends["resumed"] > ends["unknown"]
