"""The page of the chat as a person knows it: what is typed, where the answer stands, when it is done."""

from collections.abc import Callable

import pytest
from chat_site import CHROMIUM

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Locator, Page, ViewportSize, expect

NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
SMALL: ViewportSize = {"width": 320, "height": 560}
PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
STOPPED = "Stopped before the end."
PATIENCE = 20_000
"""Milliseconds until a wait is given up as a failure."""

expect.set_options(timeout=PATIENCE)


def box(page: Page) -> Locator:
    """Where one types."""
    return page.get_by_role("textbox", name="Message")


def say(page: Page, text: str) -> None:
    """Types it, and presses Enter."""
    box(page).fill(text)
    box(page).press("Enter")


def answer(page: Page) -> Locator:
    """The newest."""
    return page.locator(".answer").last


def is_done(page: Page) -> None:
    """Waits until the page takes a question again."""
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)


def record(page: Page, selector: str) -> Callable[[], list[str]]:
    """From now on, every text that the first such element has; the function gives them."""
    page.evaluate(
        """(selector) => {
            window.seen = [];
            const look = () => {
                const text = document.querySelector(selector)?.textContent;
                if (text && text !== seen.at(-1)) seen.push(text);
            };
            new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
        }""",
        selector,
    )
    return lambda: page.evaluate("seen")
