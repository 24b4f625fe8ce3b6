"""A fan-out in trouble: cancelled at every point, its tasks cancelled by strangers, its descriptors used up, its client closed."""

import asyncio
import json
import random
import sys
from pathlib import Path

import pytest
from fan import begin, of_kind, outcomes, request, requests, rest, runs, silent, together
from fan_children import many_server
from raw_server import Peer
from scenarios import SLOW, scene
from server_client import until
from test_cancel_everywhere import PIECES, cancelled_at_every_point, runs_of

from aiorunstream import (
    AsyncClient,
    ClientClosedError,
    StreamClosedError,
    ThreadCreateParams,
    ThreadMessageDelta,
)
from aiorunstream.fanout import RunFailure, RunItem, RunRequest, RunResult, gather_runs, stream_many
from aiorunstream.server import Pause, ScriptedEngine
from aiorunstream.testing import ThreadedServer


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_a_cancel_at_every_point_leaves_nothing(*, twice: bool, cancel_on_exit: bool) -> None:
    engine = ScriptedEngine([[*PIECES[:4], Pause(60)]], repeat=True)
    with ThreadedServer(delay=0.002, engine=engine) as server:
        assistant = server.create_assistant()
        threads = [server.call(lambda owner: owner.store.create_thread(ThreadCreateParams())).id for _ in range(3)]

        async def program(client: AsyncClient) -> None:
            given = [RunRequest(thread, thread, assistant_id=assistant.id, if_active="cancel") for thread in threads]
            said: set[str] = set()
            async with stream_many(client.threads.runs, given, max_concurrency=2) as many:
                async for item in many:
                    match item:
                        case RunItem(key, ThreadMessageDelta(data=delta)) if delta.text.strip() == "word3":
                            said.add(key)
                        case _:
                            pass
                    if len(said) == 2:
                        return

        async def nothing_is_left_at_the_server() -> None:
            await until(lambda: server.open_streams == 0, 3)
            if cancel_on_exit:
                await until(lambda: all(run.is_terminal for run in server.call(lambda o: runs_of(o, threads))), 3)

        points = await cancelled_at_every_point(
            server.base_url, program, nothing_is_left_at_the_server, twice=twice, cancel_on_exit=cancel_on_exit
        )
        assert points >= 5


@pytest.mark.parametrize("seed", range(10))
async def test_leaving_at_any_moment_leaves_nothing(seed: int) -> None:
    roll = random.Random(seed)

    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        await asyncio.sleep(roll.random() / 50)
        await peer.send(rest(thread))

    async with (
        scene(runs(act), connection="any", posts=None, timeouts=SLOW) as at,
        stream_many(at.client.threads.runs, requests(200), max_concurrency=20, buffer=2) as many,
    ):
        for _ in range(roll.randrange(300)):
            await anext(many)


async def test_a_task_that_a_stranger_cancels_is_a_failure_of_its_run() -> None:
    async with scene(runs(), connection="any", posts=None, timeouts=SLOW) as at:
        given = [request(number) for number in range(4)]

        async with stream_many(at.client.threads.runs, given) as many:
            await together(lambda: len(many._tasks) == 4)
            many._tasks["2"].cancel()
            found = outcomes([item async for item in many])
        assert type(of_kind(RunFailure, found.pop("2")).error) is StreamClosedError
        assert [type(end) for end in found.values()] == [RunResult] * 3


async def test_when_a_stranger_cancels_the_requests_the_reader_is_told() -> None:
    async with (
        scene(runs(silent), posts=None, timeouts=SLOW) as at,
        stream_many(at.client.threads.runs, requests(4), max_concurrency=2) as many,
    ):
        await together(lambda: many.events == 2)
        assert many._feeder is not None
        many._feeder.cancel()
        with pytest.raises(StreamClosedError):
            async for _ in many:
                pass


async def test_a_loop_that_shuts_down_does_not_wait_for_a_reader() -> None:
    async with (
        scene(runs(silent), posts=3, timeouts=SLOW) as at,
        stream_many(at.client.threads.runs, requests(3)) as many,
    ):
        await together(lambda: many.events == 3 and many._fed)
        tasks = [*many._tasks.values()]
        for task in tasks:  # as `asyncio.run` does when its program is over
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=5)
        assert not pending
        kinds = [type(of_kind(RunFailure, end).error) for end in outcomes([item async for item in many]).values()]
        assert kinds == [StreamClosedError] * 3


async def test_closing_the_client_ends_every_run_with_an_error() -> None:
    async with scene(runs(silent), posts=5, timeouts=SLOW) as at:
        async with stream_many(at.client.threads.runs, requests(10), max_concurrency=5) as many:
            await together(lambda: many.events == 5)
            await at.client.aclose()
            found = outcomes([item async for item in many])
        kinds = [type(of_kind(RunFailure, found[str(number)]).error) for number in range(10)]
        assert kinds == [StreamClosedError] * 5 + [ClientClosedError] * 5


async def test_an_exception_keeps_no_stream_alive() -> None:
    async def act(peer: Peer, thread: str) -> None:
        await peer.send(begin(thread))
        peer.fin()

    async with scene(runs(act), connection="any", posts=3, timeouts=SLOW) as at:
        for failure in await gather_runs(at.client.threads.runs, requests(3)):
            error = of_kind(RunFailure, failure).error
            assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


async def test_where_descriptors_run_out_the_errors_are_clear_and_open_runs_unharmed(
    anyio_backend: tuple[str, dict[str, bool]],
) -> None:
    loop = "uvloop" if anyio_backend[1]["use_uvloop"] else "asyncio"
    with many_server() as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(__file__).with_name("fan_children.py")), server.base_url, loop),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b"")
        ends: dict[str, int] = json.loads(out)
        assert sum(ends.values()) == 40
        assert 15 <= ends.pop("whole") <= 21  # the pooled connection of before is one more
        (message,) = ends
        assert message.endswith("OSError (Too many open files)")
