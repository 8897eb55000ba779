"""Explore in a real browser: look through seeds, choose some, finish them, and find the sheet again."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import STILL, prompt_field, reload, seed_field
from tests.test_jobs import pixels

pytestmark = pytest.mark.browser


def explore(page: Page, seed: str) -> None:
    prompt_field(page).fill("a lake")
    seed_field(page).fill(seed)
    page.get_by_role("button", name="Explore").click()


def drafts(page: Page, count: int) -> None:
    expect(page.locator("#sheet .draft")).to_have_count(count)
    expect(page.locator("#stop")).to_be_disabled()


def choose(page: Page, seed: int) -> None:
    page.get_by_role("button", name=f"Draft of seed {seed}", exact=True).click()


def test_two_of_twelve_are_finished_and_the_sheet_outlives_a_reload(page: Page, site: Any) -> None:
    site.engine.delay = 0.0
    explore(page, "7")
    drafts(page, 12)
    expect(page.locator("#sheet .chip")).to_have_text([str(seed) for seed in range(7, 19)])
    page.wait_for_function("[...document.querySelectorAll('#sheet img')].every((one) => one.naturalWidth === 256)")
    expect(page.locator("#stage .stage")).to_have_count(0)
    finish = page.get_by_role("button", name="chosen", exact=False)
    expect(finish).to_be_disabled()
    for seed in (8, 9, 11, 9):
        choose(page, seed)
    expect(page.locator("#sheet [aria-pressed=true]")).to_have_count(2)
    expect(finish).to_have_text("Finish 2 chosen")
    reload(page)
    expect(finish).to_have_text("Finish 2 chosen")
    finish.click()
    expect(page.locator("#sheet .finished")).to_have_count(2)
    expect(finish).to_have_text("Finish 0 chosen")
    records = site.studio.gallery.recent()
    assert [record.recipe.seed for record in records] == [11, 8]
    assert [record.pixels_sha256 for record in records] == pixels([record.recipe for record in records])
    expect(page.locator("#history .tile")).to_have_count(2)
    reload(page)
    expect(page.locator("#sheet .draft")).to_have_count(10)
    page.locator("#sheet").get_by_role("button", name="Show the finished picture of seed 11").click()
    expect(page.locator("#stage .stage")).to_have_attribute("data-seed", "11")
    expect(page.locator("#sheet .finished")).to_have_count(2)
    page.get_by_role("button", name="Put the picture away").click()
    expect(page.locator("#stage .stage")).to_have_count(0)
    page.locator("#sheet").get_by_role("button", name="Use seed 13 again").click()
    expect(seed_field(page)).to_have_value("13")
    page.locator("#sheet").get_by_role("button", name="Close").click()
    expect(page.locator("#sheet section")).to_have_count(0)
    expect(page.locator("#stage .stage")).to_have_attribute("data-seed", "11")


def test_a_sheet_is_chosen_from_by_keyboard_while_it_is_drawn_and_stopped(page: Page, site: Any) -> None:
    site.engine.delay = 0.0
    explore(page, "7, 8, 9")
    drafts(page, 3)
    page.get_by_role("button", name="Draft of seed 8", exact=True).focus()
    page.keyboard.press("Space")
    site.engine.delay = STILL
    page.get_by_role("button", name="12 more seeds").click()
    expect(page.locator("#sheet .tile")).to_have_count(15)
    expect(page.locator("#sheet .drawing.live")).to_have_count(1)
    expect(page.locator("#sheet [aria-pressed=true]")).to_have_attribute("aria-label", "Draft of seed 8")
    page.keyboard.press("Escape")
    drafts(page, 3)
    site.engine.delay = 0.0
    finish = page.get_by_role("button", name="Finish 1 chosen")
    finish.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#sheet .finished .chip")).to_have_text("8")
    expect(page.locator("#sheet button.pick:focus")).to_have_count(1)
    page.get_by_role("button", name="Choose all").click()
    expect(page.get_by_role("button", name="Finish 2 chosen")).to_be_enabled()
    page.get_by_role("button", name="Choose none").click()
    expect(page.get_by_role("button", name="Finish 0 chosen")).to_be_disabled()


def test_a_sheet_on_a_telephone(open_page: Any, site: Any) -> None:
    page: Page = open_page(viewport={"width": 390, "height": 844}, has_touch=True)
    site.engine.delay = 0.0
    explore(page, str(2**64 - 12))
    drafts(page, 12)
    expect(page.locator("#sheet .lead")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Finish 0 chosen")).to_be_in_viewport()
    for number in (1, 2):
        page.locator("#sheet .draft .pick").nth(number).tap()
    page.get_by_role("button", name="Finish 2 chosen").tap()
    expect(page.locator("#sheet .finished")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#sheet .finished .pick").last.tap()
    expect(page.locator("#stage .stage")).to_be_in_viewport()
    assert site.studio.gallery.recent(1)[0].recipe.seed == 2**64 - 10
