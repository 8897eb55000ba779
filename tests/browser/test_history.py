"""The history as a person searches it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import finished, generate, seed_field

pytestmark = pytest.mark.browser
MAXIMUM = 2**64 - 1


def test_pictures_are_found_by_words_and_seeds(page: Page, site: Any) -> None:
    generate(page, "a red house", f"7, {MAXIMUM}")
    finished(page, 2)
    generate(page, "a boat", "7")
    finished(page, 3)
    expect(page.locator("#seeds .chip span")).to_have_text(["7", "184…51615"])
    page.locator("#seeds .chip").last.click()
    expect(seed_field(page)).to_have_value(str(MAXIMUM))
    find, chips = page.get_by_label("Search the history"), page.locator("#history .chip")
    find.press_sequentially("hou")
    expect(chips).to_have_text([str(MAXIMUM), "7"])
    find.fill(f"seed:{MAXIMUM}")
    expect(chips).to_have_text([str(MAXIMUM)])
    find.fill("seed:abc")
    expect(page.locator("#history .hint")).to_contain_text("Seed must be")
    page.get_by_role("button", name="Every picture").click()
    expect(find).to_have_value("")
    expect(chips).to_have_count(3)
    page.get_by_role("button", name="this seed").click()
    expect(find).to_have_value("seed:7")
    expect(chips).to_have_text(["7", "7"])
    page.locator("#history .pick").last.click()
    page.get_by_role("button", name="these words").click()
    expect(chips).to_have_text([str(MAXIMUM)])
    page.get_by_title("Show every picture").click()
    page.get_by_role("button", name="☆ Favourite").click()
    page.get_by_role("button", name="★ Favourites").click()
    expect(chips).to_have_text(["7"])
    expect(page.locator("#history .mark")).to_be_visible()
    page.get_by_role("button", name="★ Favourite", exact=True).click()
    expect(page.locator("#history .hint")).to_contain_text("No picture is a favourite yet")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_picture_is_deleted_and_put_back(page: Page, site: Any) -> None:
    generate(page, "a red house", "7")
    finished(page, 1)
    generate(page, "a boat", "8")
    finished(page, 2)
    page.get_by_role("button", name="Delete the picture").click()
    expect(page.locator("#history .chip")).to_have_text(["7"])
    expect(page.locator(".stage.done")).to_have_attribute("data-seed", "7")
    page.get_by_role("button", name="Put back what was deleted last").click()
    expect(page.locator("#history .chip")).to_have_text(["8", "7"])
    expect(page.locator(".stage.done")).to_have_attribute("data-seed", "8")
    expect(page.get_by_role("button", name="Put back")).to_have_count(0)
    assert site.studio.gallery.count() == 2
