"""The pages of the documentation, and what stands in them: fences, tables, and names in backticks."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
ALL_PAGES = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
OUTPUT = 'text title="Output"'


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -- fences ------------------------------------------------------------------------------------------------------------


class Fence(NamedTuple):
    info: str
    code: str
    line: int  # of its first line of code, from 1
    follows: int  # the index of the fence it stands right below, or -1


_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.DOTALL | re.MULTILINE)


def fences(text: str) -> list[Fence]:
    found: list[Fence] = []
    end = 0
    for match in _FENCE.finditer(text):
        follows = len(found) - 1 if found and not text[end : match.start()].strip() else -1
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Fence(match["info"].strip(), textwrap.dedent(match["code"]), line, follows))
        end = match.end()
    return found


def without_fences(text: str) -> str:
    return _FENCE.sub("", text)


# -- tables ------------------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    heading: str
    columns: list[str]
    rows: list[list[str]]


def cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def tables(page: str) -> dict[str, Table]:
    """The tables of a page by the last heading before them; a heading has one table at most that is looked at."""
    found: dict[str, Table] = {}
    heading = ""
    lines = without_fences((DOCS / page).read_text("utf-8")).splitlines()
    for index, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif line.startswith("|") and set(line) <= set("|- :") and heading not in found:
            rest = lines[index + 1 :]
            size = next((at for at, row in enumerate(rest) if not row.startswith("|")), len(rest))
            found[heading] = Table(heading, cells(lines[index - 1]), [cells(row) for row in rest[:size]])
    return found


def code(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
