"""What users test with: the server in a thread, and the pytest plugin, which is tried in a pytest of its own."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from aiorunstream import (
    AsyncClient,
    AuthenticationError,
    FunctionTool,
    InvalidArgumentError,
    Run,
    StreamInterruptedError,
    ThreadMessageDelta,
)
from aiorunstream.intake import StoreError
from aiorunstream.server import AssistantsServer, Item, Turn
from aiorunstream.testing import ThreadedServer

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
ENTRY_POINT = {"aiorunstream": "aiorunstream._pytest"}
_INSTALLED = {point.name: point.value for point in entry_points(group="pytest11")}
LOADED = [] if _INSTALLED.get("aiorunstream") == ENTRY_POINT["aiorunstream"] else ["-p", "aiorunstream._pytest"]
"""How the tests inside get the plugin: as users do, unless what is installed is older than the entry point."""

ASK = """
from aiorunstream import AsyncClient, ThreadMessageDelta


async def ask(base_url, assistant_id, question):
    async with AsyncClient(base_url=base_url, api_key="") as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": question}])
        async with client.threads.runs.create_stream(thread.id, assistant_id=assistant_id) as stream:
            return "".join([event.data.text async for event in stream if isinstance(event, ThreadMessageDelta)])
"""


async def ask(server: ThreadedServer, question: str, assistant_id: str = "") -> str:
    async with AsyncClient(base_url=server.base_url, api_key="") as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": question}])
        id = assistant_id or server.create_assistant().id
        async with client.threads.runs.create_stream(thread.id, assistant_id=id) as stream:
            return "".join([event.data.text async for event in stream if isinstance(event, ThreadMessageDelta)])


def threads() -> list[str]:
    """The names of the threads that such servers have left."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aiorunstream")]


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer() as server:
        yield server


# -- the server in a thread ------------------------------------------------------------------------------------------


def test_it_answers_a_plain_function(server: ThreadedServer) -> None:
    assert server.base_url.endswith("/v1")
    assert server.base_url in repr(server)
    assert "“How are you?”" in asyncio.run(ask(server, "How are you?"))
    assert ("POST", "/v1/threads") in server.requests
    assert server.open_streams == 0


async def test_it_answers_an_async_test_on_either_loop(server: ThreadedServer) -> None:
    assert "“How are you?”" in await ask(server, "How are you?")


def test_it_says_what_it_was_told_to_say(server: ThreadedServer) -> None:
    script = server.script([["It is ", "raining."], "Still raining."])
    assert [asyncio.run(ask(server, "How is the weather?")) for _ in range(2)] == ["It is raining.", "Still raining."]
    assert [turn.user_text for turn in script.turns] == ["How is the weather?"] * 2
    assert script.left == 0
    server.script(["Sunny."], repeat=True)
    assert [asyncio.run(ask(server, "And now?")) for _ in range(3)] == ["Sunny."] * 3


def test_its_engine_may_be_changed(server: ThreadedServer) -> None:
    class Parrot:
        def reply(self, turn: Turn, /) -> Iterator[Item]:
            yield turn.user_text

    server.engine = Parrot()
    assert asyncio.run(ask(server, "Polly")) == "Polly"
    with ThreadedServer(engine=Parrot()) as other:
        assert asyncio.run(ask(other, "Jack")) == "Jack"


def test_it_makes_assistants_without_a_request(server: ThreadedServer) -> None:
    made = server.create_assistant(
        model="parrot",
        instructions="Briefly.",
        tools=[{"type": "function", "function": {"name": "get_weather"}}],
    )
    assert server.requests == ()
    assert (made.model, made.instructions) == ("parrot", "Briefly.")
    (tool,) = made.tools
    assert isinstance(tool, FunctionTool)

    async def retrieved() -> object:
        async with AsyncClient(base_url=server.base_url, api_key="") as client:
            return await client.assistants.retrieve(made.id)

    assert asyncio.run(retrieved()) == made
    with pytest.raises((InvalidArgumentError, StoreError), match="tools"):
        server.create_assistant(tools=[{"type": "hammer"}])


def test_it_takes_the_settings_of_the_server() -> None:
    with ThreadedServer(api_keys="right", delay=0.001, expires_after=60.0) as server:

        async def keys() -> None:
            async with AsyncClient(base_url=server.base_url, api_key="right") as client:
                thread = await client.threads.create()
                run = await client.threads.runs.create(thread.id, assistant_id=server.create_assistant().id)
                assert run.created_at is not None
                assert run.expires_at == run.created_at + 60
            async with AsyncClient(base_url=server.base_url, api_key="wrong") as client:
                with pytest.raises(AuthenticationError):
                    await client.threads.create()

        asyncio.run(keys())


def test_many_threads_use_one_server(server: ThreadedServer) -> None:
    def work(number: int) -> str:
        server.create_assistant()
        answer = asyncio.run(ask(server, f"number {number}"))
        assert len(server.requests) >= 2
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(16)))
    assert all(f"“number {number}”" in answer for number, answer in enumerate(answers))
    assert len(server.requests) == 32


def test_what_is_called_runs_in_the_servers_thread(server: ThreadedServer) -> None:
    assert server.call(lambda _: threading.current_thread().name) == threads()[0]

    def broken(inner: AssistantsServer) -> None:
        raise LookupError(inner.base_url)

    with pytest.raises(LookupError, match="/v1"):
        server.call(broken)

    # In that thread itself, waiting for it would never end.
    def wait_for_itself(_: AssistantsServer) -> None:
        for wait in (lambda: server.requests, server.stop):
            with pytest.raises(RuntimeError, match="cannot wait for itself"):
                wait()

    server.call(wait_for_itself)
    assert asyncio.run(ask(server, "Hello"))


def test_requests_are_a_copy(server: ThreadedServer) -> None:
    before = server.requests
    asyncio.run(ask(server, "Hello"))
    assert before == ()
    assert len(server.requests) == 2


def test_it_is_started_once_and_stopped_as_often_as_one_likes() -> None:
    server = ThreadedServer()
    server.stop()
    assert list(server.requests) == []
    server.start()
    assert len(threads()) == 1
    with pytest.raises(RuntimeError, match="started before"):
        server.start()
    asyncio.run(ask(server, "Hello"))
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(server.stop) for _ in range(4)]:
            done.result()
    server.stop()
    assert threads() == []
    assert len(server.requests) == 2, "what happened can still be looked at"
    with pytest.raises(RuntimeError, match="started before"):
        server.start()


def test_a_port_that_is_taken_is_told_to_whoever_starts_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = ThreadedServer(port=taken.getsockname()[1])
        with pytest.raises(OSError, match=r"in use|10048"):
            server.start()
        server.stop()
    assert threads() == []


def test_what_ended_its_thread_is_told_to_whoever_stops_it() -> None:
    class Leaving:
        def reply(self, turn: Turn, /) -> list[Item]:
            raise SystemExit("the engine has had enough")

    server = ThreadedServer(engine=Leaving())
    server.start()
    with pytest.raises(StreamInterruptedError):
        asyncio.run(ask(server, "Hello"))
    assert len(server.requests) == 2, "what happened can still be looked at"
    with pytest.raises(SystemExit, match="had enough"):
        server.stop()
    assert threads() == []


def test_it_stops_in_the_middle_of_a_stream() -> None:
    async def left_alone() -> None:
        with ThreadedServer(delay=0.01) as server:
            async with AsyncClient(base_url=server.base_url, api_key="") as client:
                id = server.create_assistant().id
                with pytest.raises(StreamInterruptedError):
                    async with client.threads.create_and_run_stream(assistant_id=id) as stream:
                        async for event in stream:
                            if isinstance(event, ThreadMessageDelta):
                                assert server.open_streams == 1
                                server.stop()

    asyncio.run(left_alone())
    assert threads() == []


def test_it_stops_while_a_run_waits(server: ThreadedServer) -> None:
    async def waiting() -> Run:
        async with AsyncClient(base_url=server.base_url, api_key="") as client:
            tools = [{"type": "function", "function": {"name": "get_weather"}}]
            id = server.create_assistant(tools=tools).id
            run = await client.threads.create_and_run(
                assistant_id=id, thread={"messages": [{"role": "user", "content": "get_weather"}]}
            )
            return await client.threads.runs.poll(run.id, thread_id=run.thread_id or "")

    assert asyncio.run(waiting()).status == "requires_action"
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    assert threads() == []


# -- the plugin ------------------------------------------------------------------------------------------------------


def test_the_project_declares_the_plugin() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"].get("entry-points", {}).get("pytest11")
    assert declared == ENTRY_POINT


def run_inside(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", *LOADED, *arguments, timeout=50)


def test_the_fixture_serves_plain_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(under_test=ASK)
    pytester.makepyfile(
        """
        import asyncio
        from under_test import ask

        def test_three_lines(assistants_server):
            assistants_server.script([["It is ", "raining."]])
            assistant = assistants_server.create_assistant()
            assert asyncio.run(ask(assistants_server.base_url, assistant.id, "Well?")) == "It is raining."

        def test_each_test_has_a_server_of_its_own(assistants_server):
            assert assistants_server.requests == ()
        """
    )
    run_inside(pytester, "-p", "no:anyio").assert_outcomes(passed=2)


def test_the_fixture_serves_async_tests_of_anyio(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(under_test=ASK)
    pytester.makepyfile(
        """
        import pytest
        from under_test import ask

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_three_lines(assistants_server):
            assistants_server.script([["It is ", "raining."]])
            assistant = assistants_server.create_assistant()
            assert await ask(assistants_server.base_url, assistant.id, "Well?") == "It is raining."
        """
    )
    run_inside(pytester).assert_outcomes(passed=1)


def test_a_test_that_fails_in_the_middle_of_a_run_fails_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest
        from aiorunstream import AsyncClient

        async def left_early(server):
            async with AsyncClient(base_url=server.base_url, api_key="") as client:
                id = server.create_assistant().id
                async with client.threads.create_and_run_stream(assistant_id=id) as stream:
                    async for event in stream:
                        raise LookupError("of the test's own")

        def test_one(assistants_server):
            asyncio.run(left_early(assistants_server))

        def test_another(assistants_server):
            with pytest.raises(LookupError):
                asyncio.run(left_early(assistants_server))
        """
    )
    result = run_inside(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*LookupError: of the test's own*"])
    result.stdout.no_fnmatch_line("*Warning*")


def test_the_fixture_is_listed_with_what_it_is(pytester: pytest.Pytester) -> None:
    result = run_inside(pytester, "--fixtures", "-q")
    result.stdout.fnmatch_lines(["assistants_server*", "*A fresh server of the Assistants protocol on this machine*"])


def test_loading_the_plugin_loads_no_network_stack() -> None:
    heavy = {"aiohttp", "anyio", "asyncio", "msgspec", "aiorunstream.server", "aiorunstream.testing"}
    code = f"import sys, pytest; before = set(sys.modules); import aiorunstream._pytest; print(sorted({heavy!r} & set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"


def test_a_session_that_does_not_ask_for_the_fixture_does_not_pay_for_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins may load whatever they like
    pytester.makepyfile(
        """
        import sys

        def test_nothing_of_it_is_loaded():
            assert "aiorunstream._pytest" in sys.modules
            assert not {"aiohttp", "anyio", "asyncio", "msgspec", "aiorunstream.testing"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-p", "aiorunstream._pytest", "-p", "no:cacheprovider", timeout=50)
    result.assert_outcomes(passed=1)
