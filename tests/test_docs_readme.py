"""The README has two commands and no third, each right under its heading."""

import pytest
from doc_pages import ROOT, fences

COMMANDS = {
    "Try it": 'python3 -m venv .venv && .venv/bin/python -m pip install -q ".[cli]" && .venv/bin/aiorunstream demo',
    "Run the tests": 'python3 -m venv .venv && .venv/bin/python -m pip install -q -e ".[dev]" && .venv/bin/python -m pytest',
}


@pytest.mark.parametrize("heading", COMMANDS)
def test_the_readme_s_two_commands_stand_right_under_their_headings(heading: str) -> None:
    """People copy them, and CI runs them from there."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"## {heading}\n\n```sh\n{COMMANDS[heading]}\n```\n" in text


def test_the_readme_has_no_third_command() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert [fence.code.strip() for fence in fences(text) if fence.info == "sh"] == list(COMMANDS.values())
