"""The chat of `docs/examples/chat`, used as people use it: in a real Chromium, by typing and pressing."""

import asyncio
import re

import pytest
from chat_pages import NEEDS_CHROMIUM, STOPPED, answer, box, is_done, record, say
from chat_site import Site, until
from playwright.sync_api import Page, expect

from aiorunstream.items import CallTool, MoreArguments, Pause

pytest_plugins = ["chat_fixtures"]
pytestmark = NEEDS_CHROMIUM

# -- an answer -----------------------------------------------------------------------------------------------------------


def test_what_is_typed_is_answered_and_the_text_grows_on_the_page(page: Page, site: Site) -> None:
    site.server.script([["Once ", Pause(0.05), "upon ", Pause(0.05), "a ", Pause(0.05), "time."]])
    seen = record(page, ".answer .text")

    say(page, "Tell me")

    expect(answer(page)).to_contain_text("Once upon a time.")
    is_done(page)
    expect(page.locator(".question")).to_have_text("Tell me")
    assert seen() == ["Once ", "Once upon ", "Once upon a ", "Once upon a time."]
    assert site.statuses == ["completed"]
    expect(box(page)).to_have_value("")
    expect(box(page)).to_be_focused()


def test_text_is_on_the_page_while_the_run_goes_on(page: Page, site: Site) -> None:
    site.server.script([["Half of it", Pause(30)]])

    say(page, "Tell me")

    expect(answer(page)).to_contain_text("Half of it")
    expect(answer(page)).to_have_attribute("aria-busy", "true")  # it is read out when it is whole
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_hidden()
    assert site.statuses == ["in_progress"]


def test_a_call_shows_its_name_its_growing_arguments_and_its_result(page: Page, site: Site) -> None:
    pieces = ('{"city"', ': "Os', 'lo"}')
    paced = [item for piece in pieces for item in (Pause(0.05), MoreArguments(piece))]
    site.server.script([[CallTool("get_weather"), *paced], ["It is ", "fine."]])
    seen = record(page, ".call dd")

    say(page, "And the weather?")

    call = page.get_by_role("region", name="Call of get_weather")
    expect(call).to_contain_text("running")
    expect(call).to_contain_text('{"city": "Oslo"}')
    assert site.statuses == ["requires_action"]
    expect(call).to_contain_text("done")
    expect(call.locator("dd").last).to_have_text(re.compile(r'^\{"city":"Oslo","degrees":-?\d+,"sky":".+"\}$'))
    expect(answer(page)).to_contain_text("It is fine.")
    is_done(page)
    assert seen() == ['{"city"', '{"city": "Os', '{"city": "Oslo"}']
    assert site.statuses == ["completed"]


def test_the_engine_of_the_example_asks_for_the_weather_and_for_dice_and_says_what_came(page: Page) -> None:
    say(page, "What is the weather in Oslo and Lima? And roll three dice.")

    is_done(page)
    calls = [name.inner_text() for name in page.locator(".call code").all()]
    assert calls == ["get_weather", "get_weather", "roll_dice"]
    said = page.locator(".answer .text").inner_text()
    assert re.fullmatch(
        r"In Oslo it is -?\d+ °C, with .+\. In Lima it is .+ You rolled \d, \d, \d, which makes \d+\.", said
    )


def test_a_suggestion_is_sent_when_it_is_pressed(page: Page) -> None:
    page.get_by_role("button", name="Roll three dice").click()

    is_done(page)
    expect(page.locator(".question")).to_have_text("Roll three dice")
    expect(answer(page)).to_contain_text("You rolled")
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_hidden()


# -- Stop ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_cancels_the_run_at_the_server_and_the_conversation_goes_on(page: Page, site: Site, how: str) -> None:
    site.server.script([["Once ", "upon ", Pause(30)], "The second."])
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Once upon")

    if how == "button":
        page.get_by_role("button", name="Stop").click()
    else:
        page.keyboard.press("Escape")

    expect(answer(page)).to_contain_text(STOPPED)
    expect(box(page)).to_be_focused()
    until(lambda: site.statuses == ["cancelled"])
    say(page, "And now?")
    expect(answer(page)).to_contain_text("The second.")
    assert site.statuses == ["cancelled", "completed"]


def test_what_is_sent_right_after_stop_is_not_refused_as_busy(page: Page, site: Site) -> None:
    site.server.script([["Once ", Pause(30)], "The second."])
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Once")
    page.evaluate(
        """() => { document.querySelector("#text").value = "And now?"; document.querySelector("#stop").click(); }"""
    )
    box(page).press("Enter")

    expect(answer(page)).to_contain_text("The second.")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert site.statuses == ["cancelled", "completed"]


def test_stop_while_a_function_runs_ends_the_function_too(page: Page, site: Site) -> None:
    begun: list[str] = []
    ended: list[str] = []

    async def wait_long() -> str:
        """Waits."""
        begun.append("begun")
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("ended")
        return ""

    site.may_call(wait_long)
    site.server.script([CallTool("wait_long", "{}"), "The second."])
    say(page, "Go")
    expect(answer(page)).to_contain_text("running")
    until(lambda: begun == ["begun"])

    page.get_by_role("button", name="Stop").click()

    expect(answer(page)).to_contain_text("stopped")
    until(lambda: site.statuses == ["cancelled"])
    until(lambda: ended == ["ended"])


# -- reload --------------------------------------------------------------------------------------------------------------


def test_a_reload_in_the_middle_shows_what_there_is_and_lets_one_go_on(page: Page, site: Site) -> None:
    site.server.script(["The first.", ["Half of it", Pause(30)], "The third."])
    say(page, "One")
    expect(answer(page)).to_contain_text("The first.")
    is_done(page)
    say(page, "Two")
    expect(answer(page)).to_contain_text("Half of it")

    page.reload()

    expect(page.locator(".question")).to_have_text(["One", "Two"])
    expect(page.locator(".answer .text")).to_have_text(["The first.", "Half of it"])
    until(lambda: site.statuses == ["completed", "cancelled"])
    say(page, "Three")
    expect(answer(page)).to_contain_text("The third.")
    assert len(site.thread_ids) == 1
    page.reload()
    expect(page.locator(".answer")).to_have_count(3)
    expect(page.locator(".answer").nth(1)).to_contain_text(STOPPED)


def test_a_reload_shows_the_calls_again(page: Page) -> None:
    say(page, "Roll three dice, please")
    is_done(page)
    before = page.locator(".answer .call, .answer .text").all_inner_texts()

    page.reload()

    expect(page.locator(".answer .text")).to_contain_text("You rolled")
    expect(page.get_by_role("region", name="Call of roll_dice")).to_contain_text("done")
    assert page.locator(".answer .call, .answer .text").all_inner_texts() == before


def test_a_new_chat_begins_another_thread_and_going_back_shows_the_old_one(page: Page, site: Site) -> None:
    site.server.script(["The first.", "The second."])
    say(page, "One")
    expect(answer(page)).to_contain_text("The first.")
    is_done(page)

    page.get_by_role("link", name="New chat").click()
    expect(page.locator(".answer")).to_have_count(0)
    say(page, "Two")
    expect(answer(page)).to_contain_text("The second.")
    is_done(page)

    assert len(site.thread_ids) == 2
    page.go_back()
    expect(page.locator(".answer .text")).to_have_text(["The first."])
