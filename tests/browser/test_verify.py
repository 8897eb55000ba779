"""Verify in a real browser: identical, differs and damaged beside the picture; progress, Stop, and coming back."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import STILL, finished, generate, reload
from tests.damage import flip, other_pixels
from webui.gallery import Record

pytestmark = pytest.mark.browser


@pytest.fixture
def pictures(page: Page, site: Any) -> list[Record]:
    """Make three pictures of the model that is there; give them newest first, as the history shows them."""
    site.engine.model_hash = site.studio.catalog.hash(site.studio.about("reseed"))
    generate(page, "a lake", "1-3")
    finished(page, 3)
    records: list[Record] = site.studio.gallery.recent()
    return records


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify").click()


def look_at(page: Page, seed: int) -> None:
    page.get_by_role("button", name=f"Show the picture with seed {seed}").last.click()
    expect(page.locator("#stage .stage")).to_have_attribute("data-seed", str(seed))


def test_identical_differing_and_damaged_are_told_apart(page: Page, site: Any, pictures: list[Record]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    verify(page)
    expect(page.locator("#check .identical")).to_contain_text("Identical: made again here, every pixel is equal.")
    expect(page.locator("#check")).to_contain_text(pictures[0].pixels_sha256)
    other_pixels(pictures[1].path)
    look_at(page, 2)
    expect(page.locator("#check section")).to_have_count(0)
    verify(page)
    expect(page.locator("#check .differs")).to_contain_text("PSNR")
    expect(page.locator("#check .differs")).to_contain_text("the file was changed after it was saved")
    assert not any("/differences/" in url for url in asked)
    page.locator("#check summary").click()
    page.wait_for_function("document.querySelector('#check img').naturalWidth > 0")
    flip(pictures[2].path, b"IDAT")
    look_at(page, 1)
    verify(page)
    expect(page.locator("#check .differs")).to_contain_text("Damaged: the picture cannot be read.")
    expect(page.locator("#check .differs")).to_contain_text("The part IDAT at byte")
    look_at(page, 3)
    expect(page.locator("#check .identical")).to_be_visible()
    assert site.studio.gallery.count() == 3
    assert len(list(site.studio.settings.outputs.rglob("*.png"))) == 3


def test_a_check_shows_its_progress_outlives_the_page_and_can_be_stopped(
    page: Page, site: Any, pictures: list[Record]
) -> None:
    site.engine.delay = STILL
    for _ in range(3):
        verify(page)
    expect(page.locator("#check [role=progressbar]")).to_be_visible()
    assert len(site.studio.jobs.active()) == 1
    reload(page)
    expect(page.locator("#check [role=progressbar]")).to_be_visible()
    expect(page.locator("#stop")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#check")).to_contain_text("Stopped before it was made again.")
    expect(page.locator("#stop")).to_be_disabled()
    site.engine.delay = 0.0
    verify(page)
    expect(page.locator("#check .identical")).to_be_visible()
