"""Links in a real browser: copied on one page, opened in another, and gone from the address afterwards."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.steps import finished, generate, prompt_field, reload, seed_field

pytestmark = pytest.mark.browser
MAXIMUM = str(2**64 - 1)
LISTEN = """Object.defineProperty(navigator, "clipboard", {
  value: { writeText: async (text) => { window.copied = text; } },
});"""


def copied(page: Page, name: str) -> str:
    """Press a button that copies a link and return it."""
    page.evaluate("window.copied = ''")
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_function("window.copied")
    return str(page.evaluate("window.copied"))


def test_a_link_fills_another_browsers_form_once_and_makes_nothing(open_page: Any, browser: Browser, site: Any) -> None:
    page = open_page(LISTEN)
    generate(page, "a lake & {sea|sky}, ducks", seed=MAXIMUM)
    finished(page, 1)
    address = copied(page, "Copy link")
    assert address.startswith(f"{site.address}/?prompt=")
    context = browser.new_context()
    other = context.new_page()
    other.goto(address)
    expect(seed_field(other)).to_have_value(MAXIMUM)
    expect(other.locator("#seednote")).to_contain_text("The recipe of the link is in the form.")
    expect(prompt_field(other)).to_have_value(site.studio.gallery.recent(1)[0].recipe.prompt)
    other.wait_for_function("!location.search")
    prompt_field(other).fill("typed since")
    other.wait_for_function("localStorage.getItem('reseed-form')?.includes('typed since')")
    reload(other)
    expect(prompt_field(other)).to_have_value("typed since")
    assert site.studio.gallery.count() == 1
    assert site.studio.jobs.active() == []
    context.close()
    prompt_field(page).fill("a tent")
    seed_field(page).fill("7")
    assert "prompt=a+tent" in copied(page, "Copy link of the form")
    page.wait_for_function("localStorage.getItem('reseed-form')?.includes('a tent')")
    page.goto(f"{site.address}/?seed=abc&v=1")
    expect(page.locator("#seednote .wrong")).to_contain_text("The link cannot be read")
    expect(prompt_field(page)).to_have_value("a tent")
