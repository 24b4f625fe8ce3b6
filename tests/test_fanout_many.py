"""A thousand runs at once, against a server in another process: all well, one reset, one silent, all killed, all left."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import pytest
from fan import of_kind, outcomes, request, requests, together
from fan_children import PATIENT, ManyServer, many_server, plan
from scenarios import nothing_left
from timing import in_time

from aiorunstream import AsyncClient, StreamInterruptedError, ThreadMessageDelta
from aiorunstream.fanout import RunFailure, RunItem, RunResult, gather_runs, stream_many

MANY = 1000
DELTAS = 20
TEXT = "".join(f"{number} " for number in range(DELTAS))


@pytest.fixture
def server() -> Generator[ManyServer, None, None]:
    with many_server() as server:
        yield server


@asynccontextmanager
async def client_of(server: ManyServer) -> AsyncGenerator[AsyncClient]:
    """A client of it; at the end nothing of it is left."""
    loop = asyncio.get_running_loop()
    await loop.getaddrinfo("127.0.0.1", server.port)  # opens what a loop opens once
    async with nothing_left(), AsyncClient(base_url=server.base_url, api_key="", timeouts=PATIENT) as client:
        yield client


async def test_a_thousand_runs_at_once_all_in_order(server: ManyServer) -> None:
    async with client_of(server) as client:
        given = requests(MANY, metadata=plan(deltas=DELTAS, together=MANY))
        said: dict[str, list[str]] = {}
        ended: dict[str, RunResult] = {}
        most = 0
        async with stream_many(client.threads.runs, given, max_concurrency=MANY) as many:
            async for item in many:
                most = max(most, many.running)
                match item:
                    case RunItem(key, ThreadMessageDelta(data=delta)):
                        said.setdefault(key, []).append(delta.text)
                    case RunResult(key):
                        ended[key] = item
                    case RunFailure(error=error):
                        raise error
                    case _:
                        pass
        assert most == MANY
        assert {key: "".join(words) for key, words in said.items()} == {str(number): TEXT for number in range(MANY)}
        assert {result.text for result in ended.values()} == {TEXT}
        assert len(ended) == MANY
        assert (many.done, many.failed, many.events) == (MANY, 0, MANY * (DELTAS + 2))
        assert many.tokens == MANY * (DELTAS + 1)
        assert server.report()["posts"] == MANY


async def test_ten_times_as_many_runs_as_slots(server: ManyServer) -> None:
    async with client_of(server) as client:
        results = await gather_runs(client.threads.runs, requests(MANY, metadata=plan(deltas=3)), max_concurrency=100)
        assert [result.key for result in results if isinstance(result, RunResult)] == [str(n) for n in range(MANY)]
        assert server.report()["connections"] <= 100


async def test_one_of_a_thousand_is_reset_and_one_silent_and_the_others_complete(server: ManyServer) -> None:
    async with client_of(server) as client:
        usual = plan(deltas=DELTAS, together=MANY)
        odd = {77: {**usual, "reset_at": "10"}, 78: {**usual, "stall_at": "10"}}
        given = [request(number, metadata=odd.get(number, usual)) for number in range(MANY)]
        async with stream_many(client.threads.runs, given, max_concurrency=MANY, events=False) as many:
            ends = [await anext(many) for _ in range(MANY - 1)]
            assert (many.running, many.done, many.failed) == (1, MANY - 2, 1)
        found = outcomes(ends)
        failure = of_kind(RunFailure, found.pop("77"))
        error = of_kind(StreamInterruptedError, failure.error)
        assert (error.thread_id, error.run_id, failure.run_id) == ("thread_77", "run_77", "run_77")
        assert {of_kind(RunResult, end).text for end in found.values()} == {TEXT}
        assert set(found) == {str(number) for number in range(MANY)} - {"77", "78"}


@contextmanager
def listening_at(port: int) -> Generator[socket.socket, None, None]:
    """Takes connections there, and does nothing with them."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(MANY)
        listener.setblocking(False)
        yield listener


async def test_the_server_dies_with_a_thousand_open(server: ManyServer) -> None:
    async with client_of(server) as client:
        given = requests(MANY, metadata=plan(hold=1))
        async with stream_many(client.threads.runs, given, max_concurrency=MANY) as many:
            await together(lambda: many.events == MANY)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(5)
            with listening_at(server.port) as listener:
                with in_time(2):
                    found = outcomes([item async for item in many])
                await asyncio.sleep(0.2)
                with pytest.raises(BlockingIOError):
                    listener.accept()  # nobody came back
        assert len(found) == MANY
        for key, end in found.items():
            error = of_kind(StreamInterruptedError, of_kind(RunFailure, end).error)
            assert (error.thread_id, error.run_id) == (f"thread_{key}", f"run_{key}")


async def test_leaving_a_thousand_open_closes_them_and_cancels_those_that_are_to_end(server: ManyServer) -> None:
    async with client_of(server) as client:
        # A tenth, because all cancels together have two seconds, and a busy machine may not send a thousand in them.
        given = [request(number, metadata=plan(hold=1), cancel_on_exit=number % 10 == 0) for number in range(MANY)]
        async with stream_many(client.threads.runs, given, max_concurrency=MANY) as many:
            await together(lambda: many.events == MANY)
    # The server, in another process, may still be reading that they are closed.
    await together(lambda: server.report()["connections"] == 0)
    assert server.report()["cancels"] == MANY // 10
