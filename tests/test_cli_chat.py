"""`aiorunstream chat` with lines from a pipe."""

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from chatting import TOOLS, at, chat, environment, statuses

from aiorunstream.items import CallTool, EndStep, Fail, Item, MoreArguments, Pause, Refuse, RunCode, ShowImage
from aiorunstream.testing import Fault, ThreadedServer


def figures_apart(output: str) -> list[str]:
    """The lines, without the figures of the clock."""
    return [re.sub(r",? ?[\d.]+ s to .*\]", "]", line) for line in output.splitlines()]


@pytest.fixture
def server() -> Generator[ThreadedServer]:
    with ThreadedServer() as server:
        yield server


def test_without_a_server_it_brings_its_own_and_functions_to_call() -> None:
    shown = chat(said=["Hello", "", "Please get_weather, and roll_dice."])

    assert (shown.returncode, shown.stderr) == (0, "")
    first, figures, weather, dice, weather_said, dice_said, answer, _ = figures_apart(shown.stdout)
    assert first == "You wrote “Hello”, and here it comes back to you one word at a time, with no model behind it."
    assert figures == "[1 tokens in, 20 out]"
    assert weather == '[call] get_weather {"city": "Lima"}'
    assert dice == '[call] roll_dice {"count": 2, "sides": 6}'
    assert weather_said == "[output] get_weather 19 degrees, mist from the sea"
    assert re.fullmatch(r"\[output\] roll_dice \[[1-6],[1-6]\]", dice_said)
    assert answer.startswith("I asked around: get_weather returned “19 degrees")


def test_each_answer_ends_with_its_figures() -> None:
    shown = chat(said=["Hello"])

    assert re.search(
        r"^\[1 tokens in, 20 out, \d+\.\d\d s to the first text, [\d,]+ tokens/s\]$", shown.stdout, re.MULTILINE
    )


def test_the_environment_s_key_is_not_for_the_server_of_its_own() -> None:
    code = (
        "import sys; from aiorunstream.server import AssistantsServer as S; from aiorunstream.cli import _chat\n"
        "class Closed(S):\n"
        "    def __init__(self, **more): super().__init__(api_keys='sk-env', **more)\n"
        "_chat.AssistantsServer = Closed; sys.argv = ['aiorunstream', 'chat']\n"
        "from aiorunstream.__main__ import main; main()"
    )
    refused = subprocess.run(
        [sys.executable, "-c", code],
        input="Hello\n",
        capture_output=True,
        text=True,
        timeout=40,
        env=environment(OPENAI_API_KEY="sk-env"),
        check=False,
    )

    assert refused.returncode == 1
    assert refused.stderr.startswith("AuthenticationError: ")


def test_it_goes_on_with_a_thread_and_leaves_assistants_alone(server: ThreadedServer) -> None:
    assistant = server.create_assistant()
    engine = server.script(["Good "])
    first = chat("--base-url", server.base_url, "--assistant", assistant.id, said=["One"])
    thread_id = engine.turns[0].run.thread_id
    engine = server.script([["And again."]])
    second = chat(
        *("-a", assistant.id, "-t", thread_id, "--model", "m-2"), said=["Two"], OPENAI_BASE_URL=server.base_url
    )

    assert "Good \n" in first.stdout
    assert second.stdout.startswith("And again.\n")
    assert [message.text for message in engine.turns[0].messages] == ["One", "Good ", "Two"]
    assert engine.turns[0].run.model == "m-2"
    assert not [path for method, path in server.requests if method == "DELETE"]


def test_model_and_instructions_hold_for_each_run_and_an_assistant_it_made_is_taken_down(
    server: ThreadedServer,
) -> None:
    engine = server.script(["One.", "Two."])
    shown = chat(
        "--base-url", server.base_url, "--model", "m-1", "--instructions", "Be short.", said=["Hello", "Again"]
    )

    assert shown.returncode == 0, shown.stderr
    assert [(turn.run.model, turn.run.instructions) for turn in engine.turns] == [("m-1", "Be short.")] * 2
    assert [turn.run.tools for turn in engine.turns] == [(), ()]
    assistant_id = engine.turns[0].run.assistant_id
    assert ("DELETE", f"/v1/assistants/{assistant_id}") in server.requests


def test_tools_of_the_current_directory_are_called_and_what_goes_wrong_is_told_to_the_model(
    server: ThreadedServer, tmp_path: Path
) -> None:
    (tmp_path / "my_tools.py").write_text(TOOLS)
    calls: list[Item] = [CallTool("greet", '{"name": '), MoreArguments('"Ada"}'), CallTool("explode", "{}")]
    engine = server.script([calls, "Done."])
    shown = chat(*at(server, "--tools", "my_tools:TOOLS"), said=["Go"], cwd=tmp_path)

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[:5] == [
        '[call] greet {"name": "Ada"}',
        "[call] explode {}",
        "[output] greet Good day, Ada.",
        '[output] explode {"error":"explode failed: RuntimeError: boom"}',
        "Done.",
    ]
    assert [function.name for function in engine.turns[0].functions] == ["greet", "explode"]


def test_each_call_is_asked_for_where_that_is_wanted(server: ThreadedServer, tmp_path: Path) -> None:
    (tmp_path / "my_tools.py").write_text(TOOLS)
    server.script([[CallTool("greet", '{"name": "Ada"}'), CallTool("greet", '{"name": "Bob"}')], "Done."])
    shown = chat(*at(server, "--tools", "my_tools:TOOLS", "--approve"), said=["Go", "y", "no"], cwd=tmp_path)

    assert "[output] greet Good day, Ada." in shown.stdout
    assert "[output] greet The user refused this call." in shown.stdout
    assert shown.stdout.count("Done.") == 1


def test_a_function_nobody_has_is_answered_as_unknown_and_the_thread_stays_usable(server: ThreadedServer) -> None:
    server.script([CallTool("teleport", "{}"), "Then not.", "Still here."])
    shown = chat(*at(server), said=["Go", "And now?"])

    assert '[output] teleport {"error":"there is no function \'teleport\'; there is: none"}' in shown.stdout
    assert "Then not.\n" in shown.stdout
    assert "Still here.\n" in shown.stdout


def test_what_is_no_text_is_named(server: ThreadedServer) -> None:
    server.script([["See: ", ShowImage("file_1"), Refuse("No.")], [RunCode("1 + 1"), EndStep(), "Two."]])
    shown = chat(*at(server), said=["Draw", "Reckon"])

    lines = [line for line in figures_apart(shown.stdout) if line != "[]"]
    assert lines == ["See: ", "[image_file]", "[refused] No.", "[call] code_interpreter 1 + 1", "Two."]


def test_a_failing_turn_is_one_line_and_the_chat_goes_on(server: ThreadedServer) -> None:
    server.inject(Fault("refuse", operation="create_run", status=400))
    server.script(["Better."])
    shown = chat(*at(server), said=["One", "Two"])

    assert shown.returncode == 1
    assert shown.stderr.startswith("BadRequestError: ")
    assert shown.stderr.count("\n") == 1
    assert shown.stdout.startswith("Better.\n")


def test_a_run_that_fails_says_why_and_the_chat_goes_on(server: ThreadedServer) -> None:
    server.script([["Well", Fail("Out of paper.", "server_error")], "Better."])
    shown = chat(*at(server), said=["One", "Two"])

    assert shown.stdout.startswith("Well\n[failed] server_error: Out of paper.\n")
    assert "Better.\n" in shown.stdout


def test_a_connection_that_breaks_is_recovered_from(server: ThreadedServer) -> None:
    server.inject(Fault("cut", at_byte=6000))
    shown = chat(*at(server), said=["Hello"])

    assert (shown.returncode, shown.stderr) == (0, "")
    assert (
        "You wrote “Hello”, and here it comes back to you one word at a time, with no model behind it.\n"
        in shown.stdout
    )


def test_what_a_terminal_would_obey_is_not_passed_on(server: ThreadedServer) -> None:
    server.script(["\x1b]0;owned\x07red \x9b31m and\r\tblue"])
    shown = chat(*at(server), said=["Go"])

    assert shown.stdout.startswith("]0;ownedred 31m and\tblue\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--assistant", "asst_1"), 2, "--base-url"),
        (("--thread", "thread_1"), 2, "--base-url"),
        (("--base-url", "http://127.0.0.1:9/v1"), 2, "--model"),
        (("--base-url", "http://127.0.0.1:9/v1", "--model", "m"), 1, "APIConnectionError"),
        (("--base-url", "http://user:secret@127.0.0.1/v1", "--model", "m"), 1, "ConfigurationError"),
        (("--tools", "my_tools"), 2, "module:toolset"),
        (("--tools", "no_such_module:TOOLS"), 2, "no_such_module"),
        (("--tools", "json:TOOLS"), 2, "has no TOOLS"),
        (("--tools", "json:dumps"), 2, "not a ToolSet"),
    ],
)
def test_what_cannot_begin_says_why_without_a_traceback(arguments: tuple[str, ...], code: int, says: str) -> None:
    refused = chat(*arguments)

    assert refused.returncode == code
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "secret" not in refused.stderr
    assert refused.stdout == ""


def test_a_module_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken_tools.py").write_text("x = 1\nx.nothing\n")
    refused = chat("--tools", "broken_tools:TOOLS", cwd=tmp_path)

    assert refused.returncode == 2
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert "AttributeError: 'int' object has no attribute 'nothing'" in said
    assert "broken_tools.py, line 2)" in said


def test_a_module_that_ends_the_program_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nsys.exit(0)\n")
    refused = chat("--tools", "script:TOOLS", cwd=tmp_path)

    assert refused.returncode == 2
    assert "cannot import script: SystemExit: 0" in " ".join(refused.stderr.replace("│", " ").split())


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("more", ["text", CallTool("wait", "{")], ids=["text", "a call"])
def test_a_reader_that_leaves_is_no_traceback(server: ThreadedServer, more: Item) -> None:
    server.script([["Some\n", Pause(0.3), more, Pause(30)]])
    process = subprocess.Popen(
        [sys.executable, "-m", "aiorunstream", "chat", *at(server)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"Go\n")
        process.stdin.flush()
        assert os.read(process.stdout.fileno(), 100) == b"Some\n"
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(20) == 1
    assert errors == b""
    assert statuses(server) == ["cancelled"]
