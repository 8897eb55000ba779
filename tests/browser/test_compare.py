"""The loop in a real browser: a picture, its seed again, another word; what changed, and the two of them compared."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import finished, generate, recycle

pytestmark = pytest.mark.browser
LIGHT = """document.querySelector("#compare canvas").getContext("2d").getImageData(0, 0, 256, 256).data
    .reduce((sum, one) => sum + one, 0)"""


def focused(page: Page) -> Locator:
    return page.locator(":focus")


def test_a_changed_word_is_shown_and_the_pictures_compared_by_keyboard(page: Page) -> None:
    generate(page, "a lake with mountains", "7")
    finished(page, 1)
    expect(page.locator("#changed section")).to_have_count(0)
    recycle(page)
    expect(page.locator("#seednote")).to_contain_text("is in the field")
    generate(page, "a lake with mountains, ducks")
    finished(page, 2)
    expect(page.locator("#changed ins")).to_have_text("+ducks")
    expect(page.locator("#changed .drift")).to_have_text("composition kept 1.00")
    focused(page).blur()
    page.keyboard.press("c")
    panel = page.locator("#compare .compare")
    expect(panel).to_have_attribute("data-mode", "slider")
    expect(page.locator("#stage")).to_be_hidden()
    expect(panel.locator("tr.differs ins")).to_have_text("+ducks")
    for mode in ("side", "flicker", "difference"):
        page.keyboard.press("ArrowRight")
        expect(panel).to_have_attribute("data-mode", mode)
    expect(panel.locator("[data-figures]")).to_contain_text("of 255")
    before = page.evaluate(LIGHT)
    panel.locator("[data-factor]").focus()
    page.keyboard.press("Home")
    expect(panel.locator("[data-times]")).to_have_text("×1")
    page.wait_for_function(f"{LIGHT} < {before}")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator("#stage [data-do=compare]")).to_be_focused()
    page.get_by_role("button", name="that this one came from").click()
    expect(page.locator("#changed section")).to_have_count(0)


def test_a_picked_picture_takes_the_left_side_and_generate_closes(open_page: Any) -> None:
    page: Page = open_page(viewport={"width": 390, "height": 844})
    generate(page, "a lake", "1-3")
    finished(page, 3)
    page.get_by_role("button", name="Compare", exact=True).click()
    left = page.locator("#compare .left figcaption")
    expect(left).to_have_text("Left: seed 2")
    page.get_by_role("button", name="Show the picture with seed 1").last.click()
    expect(left).to_have_text("Left: seed 1")
    expect(page.locator("#compare .right figcaption")).to_have_text("Right: seed 3")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="⇄ Swap").click()
    expect(left).to_have_text("Left: seed 3")
    divider = page.locator(".divider")
    divider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".pair")).to_have_attribute("style", re.compile("--at: 0%"))
    page.locator("#go").click()
    expect(page.locator("#compare .compare")).to_have_count(0)
    finished(page, 6)
