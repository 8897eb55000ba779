"""Sweeps in a real browser: a grid with an impossible cell, cancelled in the middle, read, clicked, and there again."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import STILL, choose, finished, prompt_field, reload, seed_field, unfold

pytestmark = pytest.mark.browser
IMPOSSIBLE = {"x": ("Steps", "2-4"), "y": ("Noise layout", "plain, centred, plain"), "z": ("RNG", "NV, CPU")}
"""Three by three by two: with RNG CPU the centred row cannot be, and the third row is the first again."""


@pytest.fixture
def form(page: Page) -> Page:
    """Fill in a prompt and a seed and open the sweep."""
    prompt_field(page).fill("a house by a lake")
    seed_field(page).fill("7")
    unfold(page, "sweep-box")
    return page


def axis(page: Page, name: str, label: str, values: str) -> None:
    choose(page, f"axis_{name}_label", label)
    page.locator(f"#axis_{name} :is(input, textarea)").fill(values)


def cells(page: Page) -> Locator:
    return page.locator("#sweep td[data-key]")


def sweep(page: Page) -> None:
    page.locator("#go-sweep").click()


def test_a_sweep_of_eighteen_with_an_impossible_row_is_read_clicked_and_there_again(form: Page, site: Any) -> None:
    for name, (label, values) in IMPOSSIBLE.items():
        axis(form, name, label, values)
    expect(form.locator("#planned")).to_contain_text("9 pictures. 3 cells are of values that do not go together.")
    sweep(form)
    expect(cells(form)).to_have_count(18)
    finished(form, 9)
    expect(cells(form).locator("img")).to_have_count(15)
    expect(cells(form).locator(".none")).to_have_count(3)
    expect(cells(form).locator(".none").first).to_contain_text("Noise layout must be plain with RNG CPU")
    assert form.locator("#sweep caption").all_inner_texts() == ["RNG NV", "RNG CPU"]
    places = [cells(form).nth(at).bounding_box() for at in (0, 12)]
    assert [(box["width"], box["height"]) for box in places if box] == [(168, 168)] * 2
    form.get_by_role("button", name="Show Steps 3, Noise layout centred, RNG NV and load its recipe").click()
    expect(form.locator("#seednote")).to_contain_text("The whole recipe is in the form.")
    expect(form.locator("#steps input[type=number]")).to_have_value("3")
    expect(form.locator("#sweep [aria-current]")).to_have_count(1)
    shown = form.locator("#stage .stage").get_attribute("data-id")
    record = site.studio.gallery.get(shown)
    assert (record.recipe.steps, record.recipe.noise_layout, record.recipe.rng) == (3, "centred", "NV")
    reload(form)
    expect(cells(form).locator("img")).to_have_count(15)
    unfold(form, "sweep-box")
    for name, (label, values) in IMPOSSIBLE.items():
        expect(form.locator(f"#axis_{name}_label input")).to_have_value(label)
        expect(form.locator(f"#axis_{name} :is(input, textarea)")).to_have_value(values)
    answer = form.request.get(f"{site.address}/{form.get_by_role('link', name='Grid picture').get_attribute('href')}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    form.get_by_role("button", name="Put away").click()
    expect(form.locator("#sweep section")).to_have_count(0)
    assert site.studio.gallery.count() == 9


def test_a_sweep_that_is_stopped_in_the_middle_keeps_its_cells(form: Page, site: Any) -> None:
    axis(form, "x", "Seed", "1-99")
    sweep(form)
    cells(form).locator("img").nth(1).wait_for()
    before = cells(form).nth(0).bounding_box()
    site.engine.delay = STILL
    expect(form.locator("#sweep .live")).to_have_count(1)
    expect(form.locator("#status")).to_contain_text("of 99")
    form.locator("#stop").click()
    expect(form.locator("#stop")).to_be_disabled()
    made = site.studio.gallery.count()
    assert 2 <= made < 99
    expect(cells(form).locator("img")).to_have_count(made)
    expect(cells(form).locator(".none")).to_have_count(99 - made)
    expect(cells(form).last).to_contain_text("It was stopped before this picture was made.")
    assert cells(form).nth(0).bounding_box() == before, "nothing moves when pictures come"


def test_what_cannot_be_swept_is_a_sentence_at_its_axis(form: Page, site: Any) -> None:
    axis(form, "x", "CFG scale", "3-x")
    axis(form, "y", "Prompt S/R", "castle, tent")
    sweep(form)
    expect(form.locator("#axis_x")).to_contain_text("CFG scale must be")
    expect(form.locator("#axis_y")).to_contain_text("Prompt S/R must be")
    assert site.studio.jobs.active() == []
    form.locator("#axis_x :is(input, textarea)").fill("3-4")
    form.locator("#axis_y :is(input, textarea)").fill("house, tent")
    sweep(form)
    finished(form, 4)
    assert {one.recipe.prompt for one in site.studio.gallery.recent()} == {"a house by a lake", "a tent by a lake"}


def test_ten_seeds_are_one_click_and_scroll_in_their_own_box_on_a_phone(open_page: Any, site: Any) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    site.engine.delay = 0.0
    seed_field(page).fill(str(2**64 - 20))
    unfold(page, "sweep-box")
    page.get_by_role("button", name="10 seeds").click()
    finished(page, 10)
    seeds = sorted(one.recipe.seed for one in site.studio.gallery.recent())
    assert seeds == list(range(2**64 - 20, 2**64 - 10))
    expect(page.locator("#axis_x :is(input, textarea)")).to_have_value(f"{2**64 - 20}-{2**64 - 11}")
    expect(cells(page).locator("img")).to_have_count(10)
    box = page.locator("#sweep .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
