"""The artist's whole loop, in one sitting: survey seeds, keep one, change a word, see, branch, sweep, share."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.steps import choose, finished, generate, prompt_field, recycle, seed_field, unfold
from tests.browser.test_links import LISTEN, copied
from tests.test_jobs import pixels

pytestmark = pytest.mark.browser


def survey(page: Page) -> None:
    """Explore twelve seeds, choose two of the drafts and finish them."""
    prompt_field(page).fill("a house by a lake")
    seed_field(page).fill("7")
    page.get_by_role("button", name="Explore").click()
    expect(page.locator("#sheet .draft")).to_have_count(12)
    expect(page.locator("#stop")).to_be_disabled()
    for seed in (9, 12):
        page.get_by_role("button", name=f"Draft of seed {seed}", exact=True).click()
    page.get_by_role("button", name="Finish 2 chosen").click()
    expect(page.locator("#sheet .finished")).to_have_count(2)


def sweep_steps(page: Page) -> None:
    """Sweep what the form holds over three numbers of steps."""
    unfold(page, "sweep-box")
    choose(page, "axis_x_label", "Steps")
    page.locator("#axis_x :is(input, textarea)").fill("2-4")
    page.locator("#go-sweep").click()


def test_the_whole_loop(open_page: Any, browser: Browser, site: Any) -> None:
    page: Page = open_page(LISTEN)
    site.engine.delay = 0.0
    survey(page)
    # What was finished has the pixels of pictures that were made without a stop.
    chosen = site.studio.gallery.recent()
    assert [record.pixels_sha256 for record in chosen] == pixels([record.recipe for record in chosen])

    # Keep seed 12, change a word: the picture knows its parent, what changed, and that the composition stayed.
    page.locator("#sheet").get_by_role("button", name="Show the finished picture of seed 12").click()
    expect(page.locator("#stage .stage")).to_have_attribute("data-seed", "12")
    recycle(page)
    expect(seed_field(page)).to_have_value("12")
    generate(page, "a house by a lake, snow")
    finished(page, 3)
    expect(page.locator("#changed ins")).to_have_text("+snow")
    expect(page.locator("#changed .drift")).to_contain_text("composition kept")
    child = site.studio.gallery.recent(1)[0]
    assert child.lineage.parent == next(record.id for record in chosen if record.recipe.seed == 12)

    # Compare it with its parent, and go back along the branch.
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#compare .compare")).to_have_attribute("data-mode", "slider")
    expect(page.locator("#compare tr.differs ins")).to_have_text("+snow")
    page.keyboard.press("Escape")
    expect(page.locator("#branch")).to_be_visible()
    page.locator("#branch").get_by_role("button").first.click()
    expect(page.locator("#stage .stage")).to_have_attribute("data-id", child.lineage.parent)
    generate(page, "a house by a lake, autumn")
    finished(page, 4)
    assert site.studio.gallery.recent(1)[0].lineage.parent == child.lineage.parent

    # Sweep the seed that was kept over steps.
    sweep_steps(page)
    finished(page, 7)
    page.get_by_role("button", name="Show Steps 3 and load its recipe").click()
    expect(page.locator("#steps input[type=number]")).to_have_value("3")
    expect(page.locator("#stage .stage")).to_have_attribute("data-seed", "12")

    # Its link fills the form of another browser, which makes the same picture.
    address = copied(page, "Copy link")
    context = browser.new_context()
    other = context.new_page()
    other.goto(address)
    expect(seed_field(other)).to_have_value("12")
    expect(other.locator("#steps input[type=number]")).to_have_value("3")
    other.locator("#go").click()
    finished(other, 8)
    newest, *before = site.studio.gallery.recent()
    assert newest.recipe.steps == 3
    assert newest.pixels_sha256 in [record.pixels_sha256 for record in before]
    context.close()
