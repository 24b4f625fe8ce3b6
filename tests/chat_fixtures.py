"""Fixtures of the tests that use the chat in a Chromium; they name this file in `pytest_plugins`."""

from collections.abc import Generator

import pytest
from chat_pages import DESKTOP, PATIENCE
from chat_site import CHROMIUM, FLAGS, Site, served
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="module")  # not longer: the loop that Playwright has in this thread is in the way of other tests
def browser() -> Generator[Browser]:
    """A Chromium of this machine."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Generator[Site]:
    """The chat, and an embedded server behind it."""
    monkeypatch.setenv("CHAT_MODEL", "any")
    with served() as site:
        yield site


@pytest.fixture
def page(browser: Browser, site: Site) -> Generator[Page]:
    """The page as it is first seen. An error in it fails the test."""
    with browser.new_context(viewport=DESKTOP) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(site.url)
        yield page
        assert errors == []
