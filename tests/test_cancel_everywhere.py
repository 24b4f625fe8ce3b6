"""A cancel, once and twice, at every point where a program waits: opening, reading, recovering, leaving, cancelling the run.

A program is driven step by step. In one try after the other the cancel comes at the first suspension, the second, and so on,
until a program ends before its turn. After each, nothing may be left: no task, no socket, no open stream at the server;
and with `cancel_on_exit` no run may be left going.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from server_client import until

from aiorunstream import AsyncClient, RetryPolicy, Run, ThreadCreateParams, ThreadMessageDelta
from aiorunstream.server import AssistantsServer, Fault, Pause, ScriptedEngine
from aiorunstream.testing import ThreadedServer

ENOUGH = 400
"""More suspensions than any of the programs has."""


class CancelAt:
    """Drives a coroutine, and has its task cancelled while it waits for the `at`th time; and when it next waits, again.

    `reached` says how often.
    """

    def __init__(self, work: Awaitable[None], at: int, *, twice: bool) -> None:
        self._work, self._at, self._times = work, at, 2 if twice else 1
        self.reached = 0

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        inner = self._work.__await__()
        waits = 0
        step: Callable[[], Any] = lambda: inner.send(None)  # noqa: E731
        while True:
            try:
                waited_for = step()
            except StopIteration:
                return
            waits += 1
            if waits >= self._at and self.reached < self._times:
                self.reached += 1
                loop.call_soon(task.cancel)
            try:
                sent = yield waited_for
            except BaseException as error:  # it is the program's
                step = lambda error=error: inner.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                step = lambda sent=sent: inner.send(sent)  # type: ignore[misc]  # noqa: E731


def sockets() -> set[str]:
    """The sockets this process holds. (Of other descriptors loops open one for themselves when they need it.)"""
    found: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """No task and no socket more than before, a moment after."""
    tasks, open_before = asyncio.all_tasks(), sockets()
    yield
    await until(lambda: asyncio.all_tasks() <= tasks, 3)
    await until(lambda: sockets() <= open_before, 3)


POINTS: list[int] = []
"""How many there were, of each program that was cancelled at all of them."""

Program = Callable[[AsyncClient], Awaitable[None]]


async def cancelled_at_every_point(
    base_url: str, program: Program, after_each: Callable[[], Awaitable[None]], *, twice: bool, **settings: Any
) -> int:
    """Runs the program with the cancel at point 1, 2, ... until it ends first; returns how many points there were."""
    for at in range(1, ENOUGH):
        async with nothing_left():
            async with AsyncClient(base_url=base_url, retry=RetryPolicy(attempts=1), **settings) as client:
                driven = CancelAt(program(client), at, twice=twice)

                async def drive(driven: CancelAt = driven) -> None:
                    await driven

                task = asyncio.create_task(drive())
                await asyncio.wait({task}, timeout=5)
                assert task.done(), f"point {at}: it hangs"
                assert task.cancelled() if driven.reached else task.exception() is None, f"point {at}: {task!r}"
            await after_each()
        if driven.reached == 0:
            POINTS.append(at - 1)
            return at - 1
    raise AssertionError("it never ended")


def runs_of(server: AssistantsServer, threads: list[str]) -> list[Run]:
    return [run for thread in threads for run in server.store.record(thread).runs.all()]


PIECES = [f"word{number} " for number in range(30)]
"""What is said before the engine falls silent: a run that goes on until somebody cancels it."""


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_57_a_cancel_at_every_point_of_opening_reading_and_leaving(*, twice: bool, cancel_on_exit: bool) -> None:
    engine = ScriptedEngine([[*PIECES, Pause(60)]], repeat=True)
    with ThreadedServer(delay=0.002, engine=engine) as server:
        assistant = server.create_assistant()
        threads: list[str] = []

        async def program(client: AsyncClient) -> None:
            thread = await client.threads.create()
            threads.append(thread.id)
            async with client.threads.runs.create_stream(thread.id, assistant_id=assistant.id) as stream:
                async for event in stream:
                    if isinstance(event, ThreadMessageDelta) and event.data.text.strip() == "word29":
                        return

        def going(owner: AssistantsServer) -> tuple[list[Run], list[Run]]:
            runs = runs_of(owner, threads)
            return runs, [run for run in runs if not run.is_terminal]

        async def nothing_is_left_at_the_server() -> None:
            await until(lambda: server.open_streams == 0, 3)
            if cancel_on_exit:
                await until(lambda: not server.call(going)[1], 3)

        points = await cancelled_at_every_point(
            server.base_url, program, nothing_is_left_at_the_server, twice=twice, cancel_on_exit=cancel_on_exit
        )
        runs, left_going = server.call(going)
        print(f"{points} points, {len(runs)} runs, {len(left_going)} left going")
        assert points >= 10  # a busy machine reads several pieces at once
        assert len(runs) > points / 2
        assert left_going == [] if cancel_on_exit else left_going == runs


@pytest.mark.parametrize("cancel_on_exit", [False, True], ids=["leave", "cancel_on_exit"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_57_a_cancel_at_every_point_of_a_recovery(*, twice: bool, cancel_on_exit: bool) -> None:
    engine = ScriptedEngine([[*PIECES[:5], Pause(0.05), *PIECES[5:8]]], repeat=True)
    with ThreadedServer(engine=engine) as server:
        assistant = server.create_assistant()
        server.inject(Fault("cut", at_byte=3500, operation="create_run", times=None))
        threads: list[str] = []
        whole: list[str] = []

        async def program(client: AsyncClient) -> None:
            thread = server.call(lambda owner: owner.store.create_thread(ThreadCreateParams()))
            threads.append(thread.id)
            async with client.threads.runs.create_stream(thread.id, assistant_id=assistant.id) as stream:
                events = [event async for event in stream]
            whole.append("".join(event.data.text for event in events if isinstance(event, ThreadMessageDelta)))

        async def nothing_is_left_at_the_server() -> None:
            await until(lambda: server.open_streams == 0, 3)
            await until(lambda: all(run.is_terminal for run in server.call(lambda owner: runs_of(owner, threads))), 3)

        points = await cancelled_at_every_point(
            server.base_url,
            program,
            nothing_is_left_at_the_server,
            twice=twice,
            cancel_on_exit=cancel_on_exit,
            recover=True,
        )
        runs = server.call(lambda owner: runs_of(owner, threads))
        print(f"{points} points, {len(runs)} runs, {len(whole)} read whole")
        assert points >= 8
        assert len(runs) <= len(threads), "one run was begun twice"
        assert whole[-1] == "".join(PIECES[:8])


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "pooled connection"])
async def test_57_a_cancel_at_every_turn_of_the_loop_while_a_run_is_being_begun(*, warm: bool) -> None:
    # With `cancel_on_exit` the opening is a task of its own: what it waits for is no point of the program that waits for it.
    engine = ScriptedEngine([[*PIECES, Pause(60)]], repeat=True)
    with ThreadedServer(delay=0.002, engine=engine) as server:
        assistant = server.create_assistant()
        begun: list[bool] = []
        for turns in (*range(30), 60, 120, 250, 500, 1000, 2000):
            thread = server.call(lambda owner: owner.store.create_thread(ThreadCreateParams()))

            def runs(thread_id: str = thread.id) -> tuple[Run, ...]:
                return server.call(lambda owner: owner.store.record(thread_id).runs.all())

            async with (
                nothing_left(),
                AsyncClient(base_url=server.base_url, retry=RetryPolicy(attempts=1), cancel_on_exit=True) as client,
            ):
                if warm:
                    await client.threads.retrieve(thread.id)
                opening = asyncio.create_task(client.threads.runs.create_stream(thread.id, assistant_id=assistant.id))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if not opening.cancel():
                    await opening.result().aclose()
                await asyncio.wait({opening})
            begun.append(bool(runs()))
            await until(lambda runs=runs: all(run.is_terminal for run in runs()), 3)  # type: ignore[misc]
        print(f"{len(begun)} turns, {sum(begun)} runs begun, all cancelled")
        assert not begun[0], "what is cancelled before it begins sends nothing"
        assert any(begun), "no try was long enough to begin a run"


def test_57_there_were_at_least_two_hundred_points() -> None:
    if len(POINTS) < 16:
        pytest.skip("only some of the programs of this file were run")
    print(f"{sum(POINTS)} points in {len(POINTS)} programs")
    assert sum(POINTS) >= 200
