"""`aiorunstream chat` with somebody at a terminal, who presses Ctrl-C."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from chatting import CTRL_C, CTRL_D, TOOLS, at, statuses, typing

from aiorunstream.items import CallTool, Pause
from aiorunstream.testing import ThreadedServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")


@pytest.fixture
def server() -> Generator[ThreadedServer]:
    with ThreadedServer() as server:
        yield server


def test_ctrl_c_stops_the_run_at_the_server_and_not_the_program() -> None:
    # With the delay the cancelled run is still active when the next line comes.
    with ThreadedServer(delay=0.4) as server, typing(*at(server)) as somebody:
        server.script([["Once ", "upon ", Pause(30)], "The second."])
        somebody.reads_until("> ")
        somebody.types(b"Tell me\n")
        somebody.reads_until("upon ")
        somebody.types(CTRL_C)
        somebody.reads_until("[stopped]")
        somebody.reads_until("> ")
        assert statuses(server) in (["cancelling"], ["cancelled"])

        somebody.types(b"And now?\n")
        somebody.reads_until("The second.")
        somebody.reads_until("> ")
        assert statuses(server) == ["cancelled", "completed"]

        somebody.types(CTRL_D)
        assert somebody.sees_it_end() == 0


def test_ctrl_c_at_the_prompt_leaves() -> None:
    with typing() as somebody:
        welcome = somebody.reads_until("> ")
        assert "get_weather or roll_dice" in welcome
        assert somebody.leaves() == 0


def test_ctrl_c_while_a_function_runs_stops_the_run(server: ThreadedServer, tmp_path: Path) -> None:
    (tmp_path / "slow_tools.py").write_text(
        "import asyncio\nfrom aiorunstream import ToolSet\n"
        "async def wait() -> str:\n    print('waiting', flush=True)\n    await asyncio.sleep(60)\n    return ''\n"
        "TOOLS = ToolSet([wait])\n"
    )
    server.script([CallTool("wait", "{}"), "The second."])
    with typing(*at(server, "--tools", "slow_tools:TOOLS"), cwd=tmp_path) as somebody:
        somebody.reads_until("> ")
        somebody.types(b"Go\n")
        somebody.reads_until("waiting")
        somebody.types(CTRL_C)
        somebody.reads_until("[stopped]")
        somebody.reads_until("> ")
        somebody.types(b"And now?\n")
        somebody.reads_until("The second.")
        assert statuses(server)[0] == "cancelled"


def test_whoever_is_asked_may_also_stop_the_run(server: ThreadedServer, tmp_path: Path) -> None:
    (tmp_path / "my_tools.py").write_text(TOOLS)
    greeting = CallTool("greet", '{"name": "Ada\x1b[2J"}')
    server.script([greeting, greeting, "Greeted.", greeting])
    with typing(*at(server, "--tools", "my_tools:TOOLS", "--approve"), cwd=tmp_path) as somebody:
        somebody.reads_until("> ")
        somebody.types(b"Go\n")
        somebody.reads_until('Call greet with {"name": "Ada[2J"}? [y/N] ')
        somebody.breaks_off("[stopped]")
        somebody.reads_until("> ")
        somebody.types(b"Again\n")
        somebody.reads_until("[y/N] ")
        somebody.types(b"y\n")
        somebody.reads_until("Greeted.")
        assert statuses(server)[0] == "cancelled"
