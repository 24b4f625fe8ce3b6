"""What can go wrong in the chat of `docs/examples/chat`, and what may never: markup or code out of what is said."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chat_pages import NEEDS_CHROMIUM, answer, box, is_done, say
from chat_site import Site, echo, until
from playwright.sync_api import Page, expect

from aiorunstream import AsyncClient
from aiorunstream.items import CallTool, Fail, Pause
from aiorunstream.server import Fault

pytest_plugins = ["chat_fixtures"]
pytestmark = NEEDS_CHROMIUM


def test_a_run_that_fails_says_so(page: Page, site: Site) -> None:
    site.server.script([["A bit", Fail("The model <b>fell over</b>.")]])

    say(page, "Go")

    expect(answer(page)).to_contain_text("The run failed. The model <b>fell over</b>.")
    is_done(page)


def test_a_question_ends_an_answer_that_was_begun_elsewhere(page: Page, site: Site) -> None:
    site.server.script(["The first.", ["Somebody else hears this", Pause(30)], "The third."])
    say(page, "One")
    expect(answer(page)).to_contain_text("The first.")
    is_done(page)

    async def begin_elsewhere() -> None:
        async with AsyncClient(base_url=site.server.base_url) as client:
            await client.threads.runs.create(site.thread_ids[-1], assistant_id=site.server.create_assistant().id)

    with ThreadPoolExecutor(1) as pool:  # this thread's loop is Playwright's
        pool.submit(asyncio.run, begin_elsewhere()).result()
    say(page, "Three")

    expect(answer(page)).to_contain_text("The third.")
    is_done(page)
    assert site.statuses == ["completed", "cancelled", "completed"]


def test_a_server_that_is_gone_is_told_in_words_and_what_was_typed_is_kept(page: Page, site: Site) -> None:
    site.server.stop()

    say(page, "Is anybody there?")

    expect(page.get_by_role("alert")).to_have_text("The server could not answer.")
    expect(box(page)).to_have_value("Is anybody there?")
    expect(page.locator(".question, .answer")).to_have_count(0)


def test_a_page_without_its_own_server_says_so(page: Page, site: Site) -> None:
    site.stop()

    say(page, "Is anybody there?")

    expect(page.get_by_role("alert")).to_have_text("The server of this page cannot be reached. Is it still running?")
    expect(box(page)).to_have_value("Is anybody there?")


def test_an_answer_that_breaks_on_its_way_to_the_site_is_told(page: Page, site: Site) -> None:
    site.server.script([["Half ", Pause(0.1), "of ", "it."]])
    site.server.inject(Fault("cut", at_byte=2_000))

    say(page, "Go")

    expect(page.get_by_role("alert")).to_have_text("The connection to the server broke.")
    until(lambda: site.statuses[0] in ("completed", "cancelled"))
    page.reload()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator(".question")).to_have_text("Go")


def test_an_answer_that_breaks_on_its_way_to_the_page_is_told(page: Page, site: Site) -> None:
    site.server.script([["Half of it", Pause(30)]])
    say(page, "Go")
    expect(answer(page)).to_contain_text("Half of it")

    site.stop()

    expect(page.get_by_role("alert")).to_contain_text("The connection broke before the answer was whole.")
    expect(answer(page)).to_contain_text("Half of it")
    is_done(page)


def test_a_conversation_that_the_server_does_not_know_is_told(page: Page, site: Site) -> None:
    page.goto(f"{site.url}#thread_gone")  # as somebody does who changes the address

    expect(page.get_by_role("alert")).to_contain_text("The server does not know this conversation.")


def test_nothing_that_is_said_becomes_markup_or_code(page: Page, site: Site) -> None:
    evil = '<img src=x onerror="window.hit = 1"><script>window.hit = 1</script>&amp;'
    site.may_call(echo)
    site.server.script([CallTool("echo", json.dumps({"text": evil})), [evil, "\n", evil]])

    say(page, evil)
    is_done(page)

    for _ in range(2):
        expect(page.locator(".question")).to_have_text(evil)
        expect(page.locator(".answer .text")).to_contain_text(f"{evil}\n{evil}")
        expect(page.locator(".call dd").last).to_have_text(evil)
        assert page.locator("#log img, #log script").count() == 0
        assert page.evaluate("window.hit") is None
        page.reload()
    page.route("**/runs", lambda route: route.fulfill(status=502, json={"error": {"message": evil}}))
    say(page, "Hello")
    expect(page.get_by_role("alert")).to_have_text(evil)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hit") is None


# -- the reader of events in the page --------------------------------------------------------------------------------------

READ = """async ([wire, size]) => {
    const bytes = Uint8Array.from(atob(wire), (char) => char.charCodeAt(0));
    const body = new ReadableStream({
        start(controller) {
            for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
            controller.close();
        },
    });
    const found = [];
    for await (const { type, data } of eventsOf(body)) found.push([type, data]);
    return found;
}"""


def test_the_page_reads_events_by_the_standard_s_rules_however_they_are_cut(page: Page) -> None:
    vectors = json.loads((Path(__file__).parent / "vectors" / "sse.json").read_text())
    for vector in vectors:
        wire = bytes.fromhex(vector["hex"]) if "hex" in vector else vector["wire"].encode()
        expected = [[event, data] for event, data, _ in vector["messages"]]
        for size in (1, 2, 3, 1 << 20):
            assert page.evaluate(READ, [base64.b64encode(wire).decode(), size]) == expected, vector["name"]
