"""The pages of the documentation hang together: links lead somewhere, every page is reached, and the site builds."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import ALL_PAGES, DOCS, ROOT, name_of, without_fences

_LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\((?P<target>[^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as mkdocs and code hosts make them."""
    headings = re.findall(r"^#+ +(.+)$", without_fences(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = without_fences(page.read_text("utf-8"))
    for target in [match["target"] for match in _LINK.finditer(text)]:
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.is_file(), f"{target} leads nowhere"
        assert aim.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(aim), f"{target}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    linked = {match["target"] for match in _LINK.finditer(text)}
    pages = {name_of(page) for page in DOCS.rglob("*.md")} - {"docs/index.md"}
    assert pages <= linked


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / "site" / "reference" / "events" / "index.html").is_file()
