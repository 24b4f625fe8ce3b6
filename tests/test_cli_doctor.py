"""The doctor tells the truth of a server, leaves nothing behind, keeps nobody waiting and shows no key."""

import asyncio
import signal
import subprocess
import sys

import anyio.to_thread
import msgspec
import pytest
from dialects import DIALECTS
from raw_server import RawServer, answer, answering, head, in_thread
from test_cli import command, environment
from typer.testing import CliRunner, Result

from aiorunstream import AsyncClient
from aiorunstream.backends import Backend, HttpBackend
from aiorunstream.backends.azure import AzureBackend
from aiorunstream.cli import _doctor_asking, _doctor_checks, app
from aiorunstream.cli._doctor_checks import Doctor
from aiorunstream.cli._doctor_report import ROUTES, Report, Route
from aiorunstream.operations import OPERATIONS
from aiorunstream.options import Timeouts
from aiorunstream.server import AssistantsServer, Fault, Pause, ScriptedEngine
from aiorunstream.server._dialects import DialectName

KEY = "sk-that-must-not-be-seen"
NOT_FOR_LITELLM = {
    "retrieve_run",
    "list_runs",
    "cancel_run",
    "submit_tool_outputs",
    "create_thread_and_run",
    "list_run_steps",
    "create_conversation",
}


def backend_of(base_url: str) -> Backend:
    async def token() -> str:
        return KEY

    return AzureBackend(base_url, credential=token) if "/projects/" in base_url else HttpBackend(base_url)


async def look(base_url: str, *, assistant_id: str | None = None, seconds: float = 20) -> Report:
    return await Doctor(backend_of(base_url), base_url, assistant_id=assistant_id, model="any", seconds=seconds).look()


def left_in(server: AssistantsServer) -> list[str]:
    """The ids of all assistants and threads that a server has."""
    store = server.store
    return [*(found.id for found in store._assistants.all()), *(found.id for found in store._threads.all())]


async def doctor(*arguments: str, **environment: str) -> Result:
    """The command, in a thread of this process."""
    runner = CliRunner(env=environment)
    return await anyio.to_thread.run_sync(lambda: runner.invoke(app, ["doctor", *arguments]))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_each_dialect_is_known_by_what_it_sends(dialect: DialectName) -> None:
    async with AssistantsServer(dialect=dialect) as server:
        report = await look(server.base_url)
        left = left_in(server)

    assert report.problem is None
    assert report.seen is not None
    assert report.seen.dialect == dialect
    assert {name for name, route in report.routes.items() if route.verdict == "no"} == (
        {*NOT_FOR_LITELLM, "delete_thread"} if dialect == "litellm" else set()
    )
    if dialect == "litellm":
        assert [left[0]] == [what.partition(":")[0] for what in report.left_behind]
        assert set(report.failing) == {"tools", "recover", "cancel_on_exit", "reconcile", "if_active", "create_and_run"}
    else:
        assert (left, report.left_behind) == ([], [])
        assert set(report.failing) == ({"streaming"} if dialect == "astra" else set())


@pytest.mark.parametrize("missing", sorted(set(ROUTES) & {operation.name for operation in OPERATIONS}))
async def test_a_route_that_is_not_there_is_named(missing: str) -> None:
    async with AssistantsServer() as server:
        server.inject(Fault("refuse", status=404, operation=missing, times=None))
        report = await look(server.base_url)

    assert report.routes[missing].verdict == "no"
    assert report.streams == (missing not in ("create_run", "create_assistant", "create_thread"))
    assert bool(report.left_behind) == (missing in ("delete_assistant", "delete_thread"))
    others = {name for name, route in report.routes.items() if route.verdict == "no"} - {missing}
    assert others == set()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("cut", at_byte=900), "StreamInterruptedError"),
        (Fault("error_event", at_byte=900), "RunStreamError"),
        (Fault("stall", at_byte=900), "StreamTimeoutError"),
        (Fault("silence", operation="create_run"), "RunOutcomeUnknownError"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_a_stream_that_goes_wrong_is_told_and_taken_away(
    fault: Fault, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_doctor_checks, "CLOCKS", Timeouts(connect=2, first_event=1.5, idle=1, total=5))
    async with AssistantsServer() as server:
        server.inject(fault)
        report = await look(server.base_url)
        left = left_in(server)

    assert report.streamed is not None
    assert report.streamed.problem is not None
    assert says in report.streamed.problem
    assert "streaming" in report.failing
    assert left == []


async def test_a_server_that_is_silent_keeps_it_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_doctor_asking, "LAST_SECONDS", 0.3)
    async with AssistantsServer() as server:
        server.inject(Fault("silence", operation="create_thread", times=None))
        async with asyncio.timeout(5):
            report = await look(server.base_url, seconds=0.7)
        left = left_in(server)

    assert report.problem is not None
    assert "longer than 0.7 s" in report.problem
    assert report.left_behind == ["perhaps what create_thread made: its answer did not come"]
    assert [id for id in left if id.startswith("asst_")] == []


async def test_a_cancel_takes_away_also_what_was_just_being_made() -> None:
    async with AssistantsServer() as server:
        server.inject(Fault("silence", operation="create_thread", seconds=0.4))
        task = asyncio.create_task(look(server.base_url))
        async with asyncio.timeout(5):
            while ("POST", "/v1/threads") not in server.requests:
                await asyncio.sleep(0.01)
        assert len(left_in(server)) >= 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left_in(server) == []


async def test_an_assistant_of_yours_is_run_and_stays() -> None:
    async with AssistantsServer() as server:
        async with AsyncClient(base_url=server.base_url) as client:
            id = (await client.assistants.create(model="any")).id
        server.inject(Fault("refuse", status=405, operation="create_assistant", times=None))
        report = await look(server.base_url, assistant_id=id)
        assert left_in(server) == [id]

    assert report.failing == {}
    assert report.routes["create_assistant"].verdict == "not asked"


async def test_a_key_that_is_refused_is_the_end_and_is_not_shown() -> None:
    async with AssistantsServer(api_keys="another") as server:
        found = await doctor("--base-url", server.base_url, OPENAI_API_KEY=KEY)
        assert server.requests == type(server.requests)([("GET", "/v1/assistants")])

    assert found.exit_code == 1
    assert "AuthenticationError" in found.output
    assert KEY not in found.output


def test_a_server_that_quotes_the_key_does_not_get_it_shown() -> None:
    rude = answer(500, {"error": {"message": f"no, {KEY} \x1b[2J, no", "type": KEY}})
    with in_thread(answering(rude)) as server:
        found = CliRunner(env={"OPENAI_API_KEY": KEY}).invoke(app, ["doctor", "--base-url", server.base_url])
        as_json = CliRunner(env={"OPENAI_API_KEY": KEY}).invoke(
            app, ["doctor", "--json", "--base-url", server.base_url]
        )

    assert found.exit_code == as_json.exit_code == 1
    assert KEY not in found.output + as_json.output
    assert "\x1b" not in found.output
    assert "list fails (500)" in found.output


async def test_a_server_with_impossible_ids_is_told_of_and_not_asked_for_them() -> None:
    odd = answer(200, {"id": "../\x1b[2J", "object": "thread", "thread_id": "../\x1b[2J"})
    async with RawServer(answering(odd)) as server:
        report = await look(server.base_url)

    assert not report.streams
    assert report.left_behind
    assert all("/\x1b[2J: InvalidArgumentError" in what for what in report.left_behind)
    assert "../[2J: InvalidArgumentError" in report.as_text()
    assert "\x1b" not in report.as_text()


def test_what_a_server_says_does_not_reach_the_terminal_as_commands() -> None:
    routes = dict.fromkeys(ROUTES, Route())
    odd = "\x1b[2J"
    report = Report(base_url="http://here", server=odd, model=odd, problem=odd, routes=routes, left_behind=[odd])

    assert "\x1b" not in report.as_text()
    assert report.as_text().count("[2J") == 3


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/v1", "http://user:hunter2@127.0.0.1/v1", "nowhere"])
def test_a_server_that_is_not_there_is_said_in_one_screen(base_url: str) -> None:
    found = CliRunner().invoke(app, ["doctor", "--base-url", base_url])

    assert found.exit_code == (1 if ":9" in base_url else 2)
    assert "hunter2" not in found.output
    assert len(found.output.splitlines()) < 25


@pytest.mark.parametrize("own", [(), ("--assistant", "asst_1")], ids=["made", "named"])
async def test_an_address_without_its_v1_is_told_as_such(own: tuple[str, ...]) -> None:
    async with AssistantsServer() as server:
        found = await doctor("--base-url", server.base_url.removesuffix("/v1"), *own)

    assert found.exit_code == 1
    assert found.stdout.splitlines()[1] == "  nothing of the protocol is at this address: is a /v1 missing?"
    assert "--assistant" not in found.stdout


async def test_a_server_of_something_else_is_told_as_such() -> None:
    async with RawServer(answering(*[answer(501, b"Unsupported method")] * 10)) as server:
        report = await look(server.base_url)

    assert report.problem == "nothing of the protocol is at this address"  # there is a /v1


PAGE = head(200, {"Content-Type": "text/html", "Content-Length": "15"}) + b"<html>hi</html>"
ELSEWHERE = head(302, {"Location": "/login", "Content-Length": "0"})


@pytest.mark.parametrize(("said", "words"), [
    (PAGE, "text/html"),
    (ELSEWHERE, "302"),
    (answer(200, []), "not the object it should be"),
    (answer(429, {"error": {"message": "slow down"}}), "slow down"),
], ids=["a page", "a redirect", "a list", "busy"])  # fmt: skip
async def test_what_answers_everything_in_one_way_has_no_routes_for_it(said: bytes, words: str) -> None:
    async with RawServer(answering(*[said] * 20)) as server:
        report = await look(server.base_url)

    assert report.problem is not None
    assert words in report.problem
    assert {route.verdict for route in report.routes.values()} == {"fails", "not asked"}
    assert not any("ResponsesBackend" in line for line in report.advice)
    assert (report.left_behind == []) == (said != answer(200, []))


async def test_a_stream_that_the_time_runs_out_in_is_told_as_far_as_it_came() -> None:
    async with AssistantsServer(engine=ScriptedEngine([["a", Pause(30)]])) as server:
        report = await look(server.base_url, seconds=1.0)

    assert report.streamed is not None
    assert report.streamed.events > 0
    assert report.streamed.problem == "the run had not stopped when the time was over"
    assert report.left_behind == []


async def test_the_exit_code_says_what_works_and_json_says_it_all() -> None:
    async with AssistantsServer() as server:
        good = await doctor("--base-url", server.base_url)
    async with AssistantsServer(dialect="litellm") as server:
        partly = await doctor("--json", "--base-url", server.base_url)

    assert good.exit_code == 0, good.output
    assert "nothing: all of this client can be used" in good.stdout
    assert len(good.stdout.splitlines()) < 25
    assert max(map(len, good.stdout.splitlines())) <= 120
    assert partly.exit_code == 3
    told = msgspec.json.decode(partly.stdout)
    assert told["seen"]["dialect"] == "litellm"
    assert told["routes"]["cancel_run"] == {"verdict": "no", "status": 404}
    assert "no route for submit_tool_outputs" in told["will_not_work"]["tools"]
    assert set(told["routes"]) == set(ROUTES)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_ctrl_c_takes_everything_away_and_says_so() -> None:
    async with AssistantsServer() as server:
        server.inject(Fault("stall", at_byte=900, operation="create_run"))
        arguments = command("doctor", "--base-url", server.base_url)
        process = await asyncio.create_subprocess_exec(
            *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        async with asyncio.timeout(50):
            while not server.open_streams:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            assert len(left_in(server)) == 2
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
        left = left_in(server)

    assert process.returncode == 130, errors
    assert errors == b"left behind: nothing\n"
    assert left == []
