"""What `logging` is told: the turning points of a stream, with names and counts, and nothing that people wrote."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import code, tables
from raw_server import events_of

import aiorunstream
from aiorunstream import AsyncClient, RetryPolicy
from aiorunstream._log import log
from aiorunstream.server import AssistantsServer, Fault, Pause, ScriptedEngine

SECRET, KEY = "the word that nobody may see", "sk-planted-0123456789"


async def test_a_stream_tells_of_its_turning_points(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aiorunstream")
    engine = ScriptedEngine([["a ", SECRET], ["b ", Pause(30)]])
    async with (
        AssistantsServer(engine=engine) as server,
        AsyncClient(
            base_url=server.base_url, api_key=KEY, recover=True, cancel_on_exit=True, retry=RetryPolicy(base_delay=0)
        ) as client,
    ):
        assistant = await client.assistants.create(model="any", instructions=SECRET)
        thread = await client.threads.create(messages=[{"role": "user", "content": SECRET}])
        runs = client.threads.runs
        server.inject(Fault("refuse", status=429, operation="create_run"))
        server.inject(Fault("cut", at_byte=4000))
        async with runs.create_stream(thread.id, assistant_id=assistant.id, metadata={"a": SECRET}) as stream:
            events = await events_of(stream)
        async with runs.create_stream(thread.id, assistant_id=assistant.id) as second:
            await anext(second)
    records = [record for record in caplog.records if record.name == "aiorunstream"]
    assert [record.getMessage().partition(" thread_id=")[0].partition(" operation=")[0] for record in records] == [
        "request retried",
        "stream opened",
        "first event event=thread.run.created",
        "recovering a broken stream events_seen=" + str(sum(not event.synthesized for event in events)),
        "recovered a broken stream events_missed=" + str(sum(event.synthesized for event in events)),
        f"stream ended how=completed events_seen={len(events)} last_event=thread.run.completed",
        "stream opened",
        "first event event=thread.run.created",
        "stream ended how=closed events_seen=1 last_event=thread.run.created",
        "run cancelled",
    ]
    facts: list[dict[str, object]] = [record.__dict__["aiorunstream"] for record in records]
    assert facts[0]["operation"] == "create_run"
    assert (facts[0]["attempt"], facts[0]["error"]) == (1, "RateLimitError")
    assert facts[1]["request_id"] == stream.request_id
    assert {fact.get("run_id") for fact in facts[2:6]} == {stream.run_id}
    assert {fact.get("thread_id") for fact in facts[1:]} == {thread.id}
    assert facts[-1]["run_id"] == second.run_id
    everything = "".join(str(record.__dict__) for record in records)
    assert SECRET not in everything
    assert KEY not in everything


def test_nothing_is_made_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "aiorunstream")
    log(logging.INFO, "unheard", run_id="run_1")
    log(logging.WARNING, "heard", run_id="run_1", thread_id=None)
    assert [record.getMessage() for record in caplog.records] == ["heard run_id=run_1"]
    assert caplog.records[0].__dict__["aiorunstream"] == {"run_id": "run_1", "thread_id": None}


def test_a_program_with_facts_of_its_own_in_each_record_is_not_disturbed(caplog: pytest.LogCaptureFixture) -> None:
    made = logging.getLogRecordFactory()

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = made(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        record.request_id = record.run_id = record.error = "its own"
        return record

    logging.setLogRecordFactory(factory)
    try:
        log(logging.WARNING, "heard", run_id="run_1", request_id="req_1", error="X", name="y", args=1, module="z")
    finally:
        logging.setLogRecordFactory(made)
    assert caplog.records[0].__dict__["aiorunstream"]["request_id"] == "req_1"


def test_the_words_of_a_server_cannot_look_like_a_line_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    log(logging.WARNING, "heard", event="thread.x\nCRITICAL forged line")
    assert caplog.records[0].getMessage() == "heard event='thread.x\\nCRITICAL forged line'"


# -- the table in the reference ---------------------------------------------------------------------------------------

Kind = tuple[str, str]
"""A level, and a message up to the colon after which it says why."""


def facts_of(call: ast.Call, function: ast.AST) -> set[str]:
    """The names of the facts a call of `log` gives, those in a dict of its function with them."""
    found = {given.arg for given in call.keywords if given.arg is not None}
    spread = {given.value.id for given in call.keywords if given.arg is None and isinstance(given.value, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if names & spread:
                found |= {str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)}
    return found


def calls_of_log() -> Iterator[tuple[Kind, set[str]]]:
    """All of the package."""
    for file in Path(aiorunstream.__file__).parent.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log":
                    level, what = node.args
                    assert isinstance(what, ast.Constant), (
                        f"{file.name}, line {node.lineno}: what is logged is no literal"
                    )
                    named = level.attr if isinstance(level, ast.Attribute) else _level_of(level)
                    yield (named, str(what.value).partition(": ")[0]), facts_of(node, function)


def _level_of(number: ast.expr) -> str:
    assert isinstance(number, ast.Constant)
    return logging.getLevelName(int(str(number.value)))


def test_the_table_of_records_is_the_code_s() -> None:
    """Each message that the package logs, with its level and facts, and no other."""
    logged: dict[Kind, set[str]] = {}
    for kind, facts in calls_of_log():
        logged.setdefault(kind, set()).update(facts)
    rows = tables("reference/settings.md")["Logging"].rows
    documented = {
        (level, code(message)[0]): set(code(re.sub(r"\([^)]*\)", "", facts))) for level, message, facts in rows
    }
    assert documented == logged
    assert all(isinstance(getattr(logging, level), int) for level, _ in logged)
