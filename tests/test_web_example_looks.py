"""How the chat of `docs/examples/chat` looks, and that it can be used by all: sizes, contrast, keyboard, screen readers."""

import asyncio
import json
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chat_pages import DESKTOP, NEEDS_CHROMIUM, PHONE, SMALL, STOPPED, answer, box, is_done, say
from chat_site import Site, demo, echo, until
from playwright.sync_api import Browser, Page, ViewportSize, expect

from aiorunstream import AsyncClient, Usage
from aiorunstream.items import CallTool, Pause

pytest_plugins = ["chat_fixtures"]
pytestmark = NEEDS_CHROMIUM

COST = Usage(completion_tokens=20, prompt_tokens=1, total_tokens=21)
GROUNDS = {
    ".text": "body",
    ".note": "body",
    ".said": ".said",
    ".call dt": ".call",
    ".call dd": ".call",
    ".call-state": ".call",
    "#send": "#send",
    "#problem": "#problem",
}
"""What is written, and on what."""


def luminance(colour: str) -> float:
    """Of `rgb(...)`, as the accessibility guidelines count it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(page: Page, selector: str, ground: str) -> float:
    text, under = [
        luminance(page.eval_on_selector(where, f"element => getComputedStyle(element).{what}"))
        for where, what in ((selector, "color"), (ground, "backgroundColor"))
    ]
    return (max(text, under) + 0.05) / (min(text, under) + 0.05)


@pytest.mark.parametrize("size", [SMALL, PHONE, DESKTOP], ids=["small", "phone", "desktop"])
def test_it_fits_and_can_be_read(browser: Browser, site: Site, tmp_path: Path, size: ViewportSize) -> None:
    site.may_call(echo)
    long = "unbroken" * 40
    site.server.script([CallTool("echo", json.dumps({"text": long})), ["Some words, and then ", long, COST]])
    with browser.new_context(viewport=size) as context:
        page = context.new_page()
        page.goto(site.url)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        say(page, long)
        is_done(page)

        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate("document.documentElement.scrollHeight") <= size["height"]
        assert page.eval_on_selector("main", "main => main.scrollWidth <= main.clientWidth")
        for part in (".said", ".answer .text", ".call dd", "form", "#send"):
            edges = page.locator(part).last.bounding_box()
            assert edges is not None, part
            assert edges["x"] >= 0, part
            assert edges["x"] + edges["width"] <= size["width"], part
            assert edges["y"] + edges["height"] <= size["height"] or part not in ("form", "#send"), part

        page.locator("#text").fill("x")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            ground = luminance(page.eval_on_selector("body", "body => getComputedStyle(body).backgroundColor"))
            assert ground < 0.05 if scheme == "dark" else ground > 0.9
            for text, under in GROUNDS.items():
                assert contrast(page, text, under) >= 4.5, (scheme, text)
            picture = tmp_path / f"chat-{size['width']}-{scheme}.png"
            assert len(page.screenshot(path=picture)) > 5_000


def test_nothing_moves_for_those_who_asked_for_that(page: Page, site: Site) -> None:
    site.server.script([["Half of it", Pause(30)]])
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Half of it")
    animation = "answer => getComputedStyle(answer, '::after').animationName"

    assert page.eval_on_selector(".answer", animation) == "breathe"
    page.emulate_media(reduced_motion="reduce")
    assert page.eval_on_selector(".answer", animation) == "none"


def test_the_end_stays_in_sight_unless_somebody_has_scrolled_up(browser: Browser, site: Site) -> None:
    lines = [f"Line {number}.\n" for number in range(60)]
    site.server.script([lines, [*lines, Pause(0.5), "Some more.\n", "The end."]])
    away = "main => main.scrollHeight - main.scrollTop - main.clientHeight"
    with browser.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(site.url)
        say(page, "One")
        is_done(page)
        assert page.eval_on_selector("main", away) <= 2

        say(page, "Two")
        expect(answer(page)).to_contain_text("Line 59.")
        page.eval_on_selector("main", "main => { main.scrollTop = 0; }")
        expect(answer(page)).to_contain_text("The end.")
        is_done(page)
        assert page.eval_on_selector("main", "main => main.scrollTop") == 0


def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    site.server.script([["Once ", Pause(30)]])
    expect(box(page)).to_be_focused()  # at once
    page.keyboard.type("One line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and another")
    assert site.thread_ids == []
    page.keyboard.press("Enter")
    expect(page.locator(".question")).to_have_text("One line\nand another", use_inner_text=True)
    expect(answer(page)).to_contain_text("Once")

    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text(STOPPED)
    expect(box(page)).to_be_focused()


def test_those_who_listen_are_told_of_answers_and_problems(page: Page, site: Site) -> None:
    log = page.get_by_role("log", name="Messages")
    expect(log).to_have_attribute("aria-live", "polite")
    say(page, "Hello")
    is_done(page)
    expect(log.get_by_role("listitem")).to_have_count(2)
    site.stop()
    say(page, "Hello")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"


def test_the_page_loads_nothing_from_elsewhere(browser: Browser, site: Site) -> None:
    asked: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(site.url)
        say(page, "Hello")
        is_done(page)
        assert all(url.startswith((site.url, "data:")) for url in asked)
        answered = page.request.get(site.url)
        assert "default-src 'none'" in answered.headers["content-security-policy"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_demo_of_the_command_line_is_this_chat(browser: Browser) -> None:
    with demo() as (process, url, base_url), browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_role("button", name="Tell me a long story").click()
        expect(answer(page)).to_contain_text("Once there was a lighthouse keeper")
        page.get_by_role("button", name="Stop").click()
        expect(answer(page)).to_contain_text(STOPPED)

        async def status() -> str | None:
            async with AsyncClient(base_url=base_url, api_key="") as client:
                return (await client.threads.runs.list(page.url.partition("#")[2])).data[0].status

        with ThreadPoolExecutor(1) as pool:
            until(lambda: pool.submit(asyncio.run, status()).result() == "cancelled")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
