"""What this package's client makes of the embedded server's faults, and what users can tell the server to do wrong."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast, get_args

import pytest
from doc_pages import code, tables
from server_client import until

import aiorunstream.server
import aiorunstream.testing
from aiorunstream import (
    AsyncClient,
    BadRequestError,
    ConfigurationError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    RunOutcomeUnknownError,
    RunStream,
    RunStreamError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTimeoutError,
    StreamTruncatedError,
    Timeouts,
)
from aiorunstream.operations import OPERATIONS
from aiorunstream.server import AssistantsServer, Fault
from aiorunstream.server._faults import OF_ANY_REQUEST, TAKES, FaultKind
from aiorunstream.testing import ThreadedServer

KINDS = list(get_args(FaultKind))


@asynccontextmanager
async def client_and_server(
    *, attempts: int = 1, idle: float = 0.3
) -> AsyncGenerator[tuple[AssistantsServer, AsyncClient, str]]:
    """Both, and the id of an assistant."""
    clocks = Timeouts(connect=2, first_event=1, idle=idle)
    policy = RetryPolicy(attempts=attempts, base_delay=0.01)
    async with (
        AssistantsServer() as server,
        AsyncClient(base_url=server.base_url, api_key="", timeouts=clocks, retry=policy) as client,
    ):
        yield server, client, (await client.assistants.create(model="any")).id


async def read(client: AsyncClient, assistant_id: str) -> RunStream:
    async with client.threads.create_and_run_stream(assistant_id=assistant_id) as stream:
        async for _ in stream:
            pass
    return stream


# -- what the client makes of them -----------------------------------------------------------------------------------

ERRORS: list[tuple[Fault, type[Exception]]] = [
    (Fault("cut", at_byte=700), StreamInterruptedError),
    (Fault("reset", at_byte=700), StreamInterruptedError),
    (Fault("end", at_byte=700), StreamTruncatedError),
    (Fault("end"), StreamTruncatedError),
    (Fault("stall", at_byte=700), StreamTimeoutError),
    (Fault("bad_chunk", at_byte=700), StreamProtocolError),
    (Fault("error_event", at_byte=700), RunStreamError),
    (Fault("hang_up"), RunOutcomeUnknownError),
    (Fault("silence"), RunOutcomeUnknownError),
    (Fault("refuse", status=400), BadRequestError),
    (Fault("refuse", status=404), NotFoundError),
    (Fault("refuse", status=429), RateLimitError),
    (Fault("refuse"), InternalServerError),
]


@pytest.mark.parametrize(("fault", "error"), ERRORS, ids=[f"{fault.kind}-{fault.at_byte}" for fault, _ in ERRORS])
async def test_the_client_raises_what_the_fault_is(fault: Fault, error: type[Exception]) -> None:
    async with client_and_server() as (server, client, assistant_id):
        server.inject(fault)
        with pytest.raises(error) as caught:
            await read(client, assistant_id)
        assert type(caught.value) is error
        assert (await read(client, assistant_id)).outcome == "completed"
        posts = [path for _, path in server.requests if path == "/v1/threads/runs"]
        assert len(posts) == 2
        await until(lambda: server.open_streams == 0)


@pytest.mark.parametrize("fault", [Fault("drip"), Fault("late_end"), Fault("cut", at_byte=99_999)])
async def test_what_does_no_harm_is_no_error(fault: Fault) -> None:
    async with client_and_server() as (server, client, assistant_id):
        server.inject(fault)
        stream = await read(client, assistant_id)
        assert stream.outcome == "completed"
        await until(lambda: stream.clean_close is not None)
        assert stream.clean_close is (fault.kind == "drip")


async def test_a_refusal_that_asks_to_wait_is_tried_again() -> None:
    async with client_and_server(attempts=3) as (server, client, assistant_id):
        server.inject(Fault("refuse", status=429, retry_after=0.02, times=2))
        assert (await read(client, assistant_id)).outcome == "completed"
        assert [path for _, path in server.requests].count("/v1/threads/runs") == 3


async def test_a_submission_of_outputs_can_be_broken_too() -> None:
    async with client_and_server() as (server, client, _):
        tools = [{"type": "function", "function": {"name": "get_weather"}}]
        assistant = await client.assistants.create(model="any", tools=tools)
        server.inject(Fault("cut", at_byte=50, operation="submit_tool_outputs"))
        thread = {"messages": [{"role": "user", "content": "get_weather"}]}
        async with client.threads.create_and_run_stream(assistant_id=assistant.id, thread=thread) as stream:
            async for _ in stream:
                pass
        assert stream.outcome == "requires_action"
        assert stream.run is not None
        assert stream.run_id is not None
        assert stream.thread_id is not None
        outputs = [{"tool_call_id": call.id, "output": "sunny"} for call in cast(Any, stream.run.tool_calls)]
        with pytest.raises(StreamInterruptedError):
            async with client.threads.runs.submit_tool_outputs_stream(
                stream.run_id, thread_id=stream.thread_id, tool_outputs=outputs
            ) as second:
                async for _ in second:
                    pass


async def test_closing_the_server_does_not_wait_for_a_fault() -> None:
    async with client_and_server(idle=30) as (server, client, assistant_id):
        for fault in (
            Fault("stall"),
            Fault("silence"),
            Fault("bad_chunk"),
            Fault("late_end"),
            Fault("drip", seconds=9),
        ):
            server.inject(fault)
        reading = [asyncio.create_task(read(client, assistant_id)) for _ in range(5)]
        await until(lambda: sum(task.done() for task in reading) == 2)  # the malformed one, and the one that ends late
        async with asyncio.timeout(3):
            await server.aclose()
            found = await asyncio.gather(*reading, return_exceptions=True)
        assert sum(isinstance(one, (StreamError, RunOutcomeUnknownError)) for one in found) == 4
        assert server.open_streams == 0


# -- in a thread -----------------------------------------------------------------------------------------------------


def test_a_threaded_server_takes_faults_from_any_thread() -> None:
    async def ask(base_url: str, assistant_id: str) -> str | None:
        async with AsyncClient(base_url=base_url, api_key="") as client:
            return (await read(client, assistant_id)).outcome

    with ThreadedServer() as server:
        assistant_id = server.create_assistant().id
        server.inject(Fault("cut", at_byte=300, times=None))
        for _ in range(2):
            with pytest.raises(StreamInterruptedError):
                asyncio.run(ask(server.base_url, assistant_id))
        server.clear_faults()
        assert asyncio.run(ask(server.base_url, assistant_id)) == "completed"
        injecting = [threading.Thread(target=server.inject, args=(Fault("end"),)) for _ in range(8)]
        for thread in injecting:
            thread.start()
        for thread in injecting:
            thread.join(5)
        assert len(server.call(lambda inner: inner._faults._waiting)) == 8
        with pytest.raises(ConfigurationError, match="Fault"):
            server.inject(cast(Fault, "cut"))


# -- what can be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kind", ["crash", None, 3, ["cut"]]),
        ("operation", ["create_runs", "", 3, "retrieve_run", "create_thread"]),  # the last two have no stream to stall
        ("at_byte", [-1, 1.5, True, None, "1"]),
        ("seconds", [-1, float("nan"), float("inf"), True, "1"]),
        ("times", [0, -1, 1.5, True, "1"]),
        ("status", [200, 399, 600, True, None, "500", 500.0]),
        ("retry_after", [-1, float("nan"), float("inf"), True, "1"]),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(field: str, values: list[object]) -> None:
    for value in values:
        kind = "refuse" if field in ("status", "retry_after") else "stall"
        with pytest.raises(ConfigurationError, match=rf"^Fault\.{field} "):
            Fault(**{"kind": kind, field: value})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_means_nothing_to_a_kind_is_refused(kind: FaultKind) -> None:
    given: dict[str, Any] = {"at_byte": 5, "seconds": 1.0, "status": 503, "retry_after": 1.0}
    for field, value in given.items():
        if field in TAKES[kind]:
            assert getattr(Fault(kind, **{field: value}), field) == value
        else:
            with pytest.raises(ConfigurationError, match=rf"^Fault\.{field} means nothing"):
                Fault(kind, **{field: value})


@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_that_a_kind_fits_can_be_named(kind: FaultKind) -> None:
    for operation in OPERATIONS:
        if operation.streams or kind in OF_ANY_REQUEST:
            assert Fault(kind, operation=operation.name).fits(operation.name, streams=operation.streams)
        else:
            with pytest.raises(ConfigurationError, match=r"^Fault\.operation "):
                Fault(kind, operation=operation.name)


def test_every_kind_is_described_to_the_user() -> None:
    for kind in KINDS:
        assert f'`"{kind}"`' in (Fault.__doc__ or "")
    assert set(TAKES) == set(KINDS)


def test_a_fault_cannot_be_changed_and_is_public_in_both_places() -> None:
    fault = Fault("cut", at_byte=120)
    with pytest.raises(AttributeError):
        fault.at_byte = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert fault == Fault("cut", at_byte=120)
    assert aiorunstream.server.Fault is aiorunstream.testing.Fault is Fault


def test_the_tables_of_settings_are_the_code_s() -> None:
    found = tables("reference/settings.md")
    fields = {code(row[0])[0]: eval(code(row[1])[0], {}) for row in found["`Fault`"].rows if row[1] != "none"}
    fault = Fault("refuse")
    assert fields == {name: getattr(fault, name) for name in fault.__struct_fields__ if name != "kind"}
    assert code(found["`Fault`"].rows[0][0]) == ["kind"]
    kinds = {code(row[0])[0].strip('"'): tuple(code(row[1])) for row in found["Kinds of faults"].rows}
    assert kinds == dict(TAKES)
