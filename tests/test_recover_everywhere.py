"""A short answer cut at every byte after its first event, in three framings, by FIN and by RST, with `recover=True`: the
reader gets the exact final text once, and the event that stops the run, every time."""

from collections import Counter

import pytest
from raw_server import Peer, RawServer, answer, events_of
from server_client import until
from test_cut_everywhere import ANSWERS, EVENTS, NO_CLOCKS, Try, at_once, left_open, warm_up

from aiorunstream import AsyncClient, RequestOptions, RetryPolicy, ThreadMessageDelta

FINAL = "Hi there, — and good night"
RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "status": "completed"}
MESSAGE: dict[str, object] = {
    "id": "msg_1",
    "object": "thread.message",
    "thread_id": "thread_1",
    "run_id": "run_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "text", "text": {"value": FINAL, "annotations": ()}}],
}


async def script(peer: Peer) -> None:
    """Cuts the answer to a POST as its header says; knows the finished run, its message and no steps."""
    while (request := await peer.request()) is not None:
        framing, how, cut = (request.header("X-Try") or "").split()
        if request.line.startswith("POST"):
            await peer.send(ANSWERS[framing][: int(cut)])
            peer.fin() if how == "fin" else peer.rst()
            return
        page: dict[str, object] = {
            "object": "list",
            "data": (MESSAGE,) if "/messages" in request.line else (),
            "has_more": False,
        }
        await peer.send(answer(200, page if "?" in request.line else RUN))


async def recovered(client: AsyncClient, one: Try) -> str:
    """Reads one try to its end; what it came to."""
    options = RequestOptions(extra_headers={"X-Try": f"{one.framing} {one.how} {one.cut}"})
    async with client.threads.runs.create_stream("thread_1", assistant_id="asst_1", options=options) as stream:
        events = await events_of(stream)
    text = "".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta))
    names = [event.event for event in events]
    assert text in ("Hi", FINAL), (one, text)
    assert text == FINAL or one.events_whole == len(EVENTS), (one, text)
    assert names[0] == "thread.run.created", (one, names)
    assert names.count("thread.run.created") == names.count("thread.run.completed") == 1, (one, names)
    assert (names[-1], stream.outcome) == ("thread.run.completed", "completed"), (one, names)
    return "recovered" if events[-1].synthesized else "whole"


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("framing", ANSWERS)
async def test_a_cut_at_every_byte_after_the_first_event_loses_and_repeats_nothing(framing: str, how: str) -> None:
    await warm_up()
    before = left_open()
    wire = ANSWERS[framing]
    first = wire.index(EVENTS[0]) + len(EVENTS[0])
    tries = [Try(framing, how, cut) for cut in range(first, len(wire))]
    async with RawServer(script) as server:
        client = AsyncClient(
            base_url=server.base_url, api_key="", recover=True, timeouts=NO_CLOCKS, retry=RetryPolicy(base_delay=0.01)
        )
        async with client:
            ends = Counter(await at_once(recovered(client, one) for one in tries))
        assert server.posts == len(tries), "a run was started twice"
    whole = sum(one.events_whole == len(EVENTS) for one in tries)
    assert ends == {"recovered": len(tries) - whole, "whole": whole}
    print(f"{len(tries)} cuts: {dict(ends)}")
    await until(lambda: left_open() == before)
