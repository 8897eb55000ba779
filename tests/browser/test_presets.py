"""Speeds, warnings and presets in a real browser: set, followed, warned of, combined, kept and imported."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import choose, finished, generate, recycle, reload, unfold

pytestmark = pytest.mark.browser


def speed(page: Page, name: str) -> Any:
    return page.locator("#speed").get_by_label(name)


def test_a_speed_is_what_the_fields_say_and_what_keeps_no_composition_is_warned_of(page: Page, site: Any) -> None:
    steps = page.locator("#steps input[type=number]")
    expect(speed(page, "Default · 12")).to_be_checked()
    speed(page, "Turbo · 6").click()
    expect(steps).to_have_value("6")
    choose(page, "sampler", "Euler a")
    expect(speed(page, "Custom")).to_be_checked()
    expect(page.locator("#seedtraps li")).to_have_count(0)
    speed(page, "Quality · 24").click()
    expect(page.locator("#sampler input")).to_have_value("DPM++ 2M")
    generate(page, "a lake", "7")
    finished(page, 1)
    assert (record := site.studio.gallery.recent(1)[0]).recipe.steps == 24
    recycle(page)
    choose(page, "sampler", "Euler a")
    warning = page.locator("#seedtraps li")
    expect(warning).to_contain_text("Sampler Euler a adds noise between the steps and DPM++ 2M does not")
    speed(page, "Turbo · 6").click()
    expect(warning).to_have_count(0)
    choose(page, "sampler", "Euler a")
    expect(warning).to_have_count(1)
    page.get_by_role("button", name="Random seed for every click").click()
    expect(warning).to_have_count(0)
    assert record.recipe.sampler == "DPM++ 2M"


def test_presets_combine_are_kept_and_come_back_after_a_reload(page: Page, site: Any) -> None:
    choose(page, "styles", "✓ Pastel")
    choose(page, "styles", "✓ Night")
    page.locator("#prompt textarea").click()
    unfold(page, "presets")
    page.locator("#preset-combine").click()
    expect(page.locator("#preset-words textarea")).to_have_value("{prompt}, pastel colors, at night")
    page.locator("#preset-name :is(input, textarea)").fill("Moonlit")
    page.locator("#preset-save").click()
    expect(page.locator("#presetnote")).to_contain_text("Moonlit is kept in moonlit.json.")
    generate(page, "a lake", "7")
    finished(page, 1)
    record = site.studio.gallery.recent(1)[0]
    assert record.recipe.prompt == "a lake, pastel colors, at night"
    assert record.lineage.styles == ("Pastel", "Night")
    reload(page)
    expect(page.locator("#styles")).to_contain_text("Pastel")
    choose(page, "styles", "Moonlit")
    page.locator("#prompt textarea").click()
    unfold(page, "presets")
    choose(page, "mine", "Moonlit")
    expect(page.locator("#preset-name :is(input, textarea)")).to_have_value("Moonlit")
    page.locator("#preset-delete").click()
    expect(page.locator("#presetnote")).to_contain_text("Moonlit is deleted.")
    expect(page.locator("#styles")).not_to_contain_text("Moonlit")
    choose(page, "formpreset", "Wide, from the middle")
    expect(page.locator("#width input[type=number]")).to_have_value("384")
    page.wait_for_function("JSON.parse(localStorage['reseed-form']).noise_layout === 'centred'")


def test_a_table_is_imported_by_dropping_it_on_the_page(page: Page, site: Any, tmp_path: Path) -> None:
    text = 'name,prompt,negative_prompt\nOil,"oil of {prompt}",photo\nNothing,,\n'
    page.evaluate(
        """(text) => {
            const files = new DataTransfer();
            files.items.add(new File([text], "styles.csv", { type: "text/csv" }));
            document.body.dispatchEvent(
                new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }""",
        text,
    )
    expect(page.locator("#presetnote")).to_contain_text("Taken from styles.csv: 1. Nothing has no words.")
    choose(page, "styles", "Oil")
    generate(page, "a lake", "7")
    finished(page, 1)
    assert site.studio.gallery.recent(1)[0].recipe.prompt == "oil of a lake"
