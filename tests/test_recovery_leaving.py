"""A recovery that is left in the middle: with `cancel_on_exit` its run is cancelled, as one is whose stream is whole."""

import asyncio

import pytest
from raw_server import events_of
from server_client import until
from test_recovery import WORDS, setting

from aiorunstream import RunStream, StreamClosedError
from aiorunstream.server import Fault, Pause


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_leaving_while_it_recovers_cancels_the_run_where_it_is_to(how: str, *, cancel_on_exit: bool) -> None:
    async with setting([[*WORDS[:3], Pause(30), *WORDS[3:]]]) as place:
        place.server.inject(Fault("cut", at_byte=4000))
        opened: list[RunStream] = []

        async def read() -> None:
            async with place.client.threads.runs.create_stream(
                place.thread_id, assistant_id=place.assistant_id, cancel_on_exit=cancel_on_exit
            ) as stream:
                opened.append(stream)
                await events_of(stream)

        reader = asyncio.create_task(read())
        await until(lambda: any(method == "GET" for method, _ in place.server.requests))
        await asyncio.sleep(0.02)
        if how == "cancel":
            reader.cancel()
        else:
            await opened[0].aclose()
        with pytest.raises(asyncio.CancelledError if how == "cancel" else StreamClosedError):
            await reader
        (run,) = place.server.store.record(place.thread_id).runs.all()
        assert sum(path.endswith("/cancel") for _, path in place.server.requests) == cancel_on_exit
        assert (run.status == "cancelled") == cancel_on_exit
