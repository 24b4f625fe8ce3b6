"""`aiorunstream batch` while something happens: the server takes only a few requests at a time, the file of requests grows."""

import asyncio
import json
from pathlib import Path

from batch_site import asking, command, environment, results_in, write_requests
from fan import begin, rest, thread_of
from raw_server import Peer, RawServer, answer


class Site:
    """Makes threads and runs, each in 5 ms; puts off what comes while it is at `most` of them already."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy = self._threads = 0
        self.runs = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while (seen := await peer.request()) is not None:
            if self._busy >= self._most:
                await peer.send(answer(429, {"error": {"message": "slowly"}}, {"Retry-After-Ms": "20"}))
                continue
            self._busy += 1
            await asyncio.sleep(0.005)
            if seen.line.split(" ")[1].endswith("/threads"):
                self._threads += 1
                thread = {"id": f"thread_{self._threads}", "object": "thread", "created_at": 1}
                await peer.send(answer(200, thread))
            else:
                self.runs.set()
                await self.go_on.wait()
                await peer.send(begin(thread_of(seen)) + rest(thread_of(seen)))
            self._busy -= 1


async def batch_at(server: RawServer, *arguments: str | Path) -> "asyncio.subprocess.Process":
    """The command under way."""
    return await asyncio.create_subprocess_exec(
        *command(*arguments, "--base-url", server.base_url, "-a", "asst_1"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )


async def test_a_server_that_takes_a_few_at_a_time_gets_all_runs_in_the_end(tmp_path: Path) -> None:
    requests, output = write_requests(tmp_path / "r.jsonl", asking(40)), tmp_path / "results.jsonl"
    site = Site(3)
    site.go_on.set()
    async with RawServer(site) as server, asyncio.timeout(60):
        process = await batch_at(server, requests, "-o", output)
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert [result["status"] for result in results_in(output)] == ["completed"] * 40


async def test_lines_that_come_while_it_runs_are_left_for_another_time(tmp_path: Path) -> None:
    requests, output = write_requests(tmp_path / "r.jsonl", asking(3)), tmp_path / "results.jsonl"
    site = Site(9)
    async with RawServer(site) as server, asyncio.timeout(60):
        process = await batch_at(server, requests, "-o", output, "-n", "1")
        await site.runs.wait()
        with requests.open("a") as file:
            file.write(json.dumps({"key": "late", "content": "x"}) + "\n" + json.dumps({"key": "later"}) + "\n")
        site.go_on.set()
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "3 completed, 0 failed" in said.decode()
    assert [result["key"] for result in results_in(output)] == ["ticket 0", "ticket 1", "ticket 2"]
