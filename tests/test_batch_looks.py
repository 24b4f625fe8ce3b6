"""How a batch looks for a run that an earlier process had begun: more than once, before it makes it again."""

from pathlib import Path

import pytest
from raw_server import Peer, RawServer, answer, client_of, events_of, run_json, stream_answer

from aiorunstream.cli import _batch_runs
from aiorunstream.cli._batch_files import BatchFiles
from aiorunstream.cli._batch_requests import MARKER, marker
from aiorunstream.cli._batch_runs import BatchRuns

MARK = {MARKER: marker("b1", "ticket")}


class Late:
    """A server at which the run is there from the second look on: its request was still on its way."""

    def __init__(self) -> None:
        self.looks = 0

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            path = request.line.split()[1].partition("?")[0]
            if request.line.startswith("POST"):
                await peer.send(stream_answer())
            elif path.endswith("/runs"):
                self.looks += 1
                runs = [{**run_json("completed"), "metadata": MARK}] if self.looks > 1 else []
                await peer.send(answer(200, {"object": "list", "data": runs, "has_more": False}))
            elif path.endswith(("/messages", "/steps")):
                await peer.send(answer(200, {"object": "list", "data": [], "has_more": False}))
            else:
                await peer.send(answer(200, {**run_json("completed"), "metadata": MARK}))


async def test_a_run_that_comes_late_is_found_by_a_second_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_batch_runs, "_BETWEEN_LOOKS", 0.01)
    output = tmp_path / "results.jsonl"
    output.with_name("results.jsonl.journal").write_text('{"batch":"b1"}\n{"key":"ticket","thread_id":"thread_raw"}\n')
    files = BatchFiles(output, "resume")
    try:
        script = Late()
        async with RawServer(script) as server, client_of(server) as client:
            runs = BatchRuns(client, files, timeout=5)
            async with runs.create_stream("thread_raw", assistant_id="asst_raw", metadata=MARK) as stream:
                await events_of(stream)
            assert (stream.run_id, stream.outcome) == ("run_raw", "completed")
            assert (server.posts, script.looks, runs.found) == (0, 2, {"ticket"})
    finally:
        files.close()
