"""The time for all of a stream, of a response in the background: once it is over, the stream is not opened again."""

import logging

import pytest
from bridge_client import asked, bridged
from responses_site import Slow

from aiorunstream import StreamTimeoutError, Timeouts


async def test_a_stream_whose_time_is_over_is_not_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aiorunstream")
    clocks = Timeouts(total=0.4)
    async with bridged(background=True, engine=Slow(), timeouts=clocks) as (client, server):
        thread_id = await asked(client)
        async with client.threads.runs.create_stream(thread_id, assistant_id="asst_1") as stream:
            with pytest.raises(StreamTimeoutError, match="total") as caught:
                async for _ in stream:
                    pass
        asked_for = [method for method, path in server.requests if path.startswith("/v1/responses")]
    assert (caught.value.clock, caught.value.seconds) == ("total", 0.4)
    assert not hasattr(caught.value, "__notes__")
    assert "resum" not in caplog.text
    assert asked_for == ["POST"]
