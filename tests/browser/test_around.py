"""The page around the main job in a real browser: keys, dropped pictures, the form, and what it all looks like."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import STILL, finished, generate, prompt_field, recycle, reload, seed_field
from webui.recipe import Recipe

pytestmark = pytest.mark.browser
MAXIMUM = 2**64 - 1


# ---- keys -----------------------------------------------------------------------------------------


def test_control_enter_makes_and_escape_stops(page: Page, site: Any) -> None:
    site.engine.delay = STILL
    page.keyboard.press("Escape")
    prompt_field(page).fill("a lake")
    prompt_field(page).press("Control+Enter")
    expect(page.locator(".stage.live")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#stage")).to_contain_text("Stopped before a picture was finished")
    expect(prompt_field(page)).to_have_value("a lake")
    assert site.studio.gallery.count() == 0


def test_control_up_and_down_weigh_words(page: Page) -> None:
    for text, selection, keys, expected in (
        ("an old house", [3, 6], ["Up"], "an (old:1.1) house"),
        ("an old house", [4, 4], ["Up", "Up"], "an (old:1.2) house"),
        ("an old house", [3, 12], ["Down"], "an (old house:0.9)"),
        ("an old house", [3, 6], ["Up", "Down"], "an old house"),
        ("a (lake:1.3), x", [4, 4], ["Up"], "a (lake:1.4), x"),
        ("a (blue lake) x", [5, 5], ["Down"], "a blue lake x"),
        ("x", [0, 1], ["Down"] * 12, "(x:0)"),
    ):
        box = prompt_field(page)
        box.fill(text)
        box.evaluate("(box, [from, to]) => box.setSelectionRange(from, to)", selection)
        for key in keys:
            box.press(f"Control+Arrow{key}")
        expect(box).to_have_value(expected)


# ---- dropped pictures -----------------------------------------------------------------------------

DROP = """([name, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name));
  const how = { dataTransfer: files, bubbles: true, cancelable: true };
  for (const type of ["dragenter", "dragover", "drop"])
    document.querySelector("#stage").dispatchEvent(new DragEvent(type, how));
}"""


def drop(page: Page, name: str, data: bytes) -> None:
    page.evaluate(DROP, [name, list(data)])


def picture(site: Any, **values: Any) -> bytes:
    """Make a picture elsewhere; return the bytes of its file."""
    recipe = Recipe.of(**{"steps": 5, "width": 64, "height": 64, **values})
    job = list(site.studio.jobs.watch(site.studio.jobs.submit([recipe]).job))[-1]
    data: bytes = Path(job.records[0].path).read_bytes()
    return data


def test_a_dropped_picture_offers_its_recipe(page: Page, site: Any) -> None:
    data = picture(site, prompt="a forest <b>at</b> dawn", seed=MAXIMUM)
    prompt_field(page).fill("mine")
    drop(page, "from <i>a</i> friend.png", data)
    expect(page.locator(".found")).to_contain_text("made with Reseed")
    page.get_by_role("button", name="Just the seed").click()
    expect(seed_field(page)).to_have_value(str(MAXIMUM))
    expect(prompt_field(page)).to_have_value("mine")
    expect(page.locator(".found")).to_have_count(0)
    drop(page, "again.png", data)
    page.get_by_role("button", name="Load everything").click()
    expect(prompt_field(page)).to_have_value("a forest <b>at</b> dawn")
    expect(page.locator("#width input[type=number]")).to_have_value("64")


def test_a_file_that_is_no_picture_gets_a_sentence(page: Page) -> None:
    drop(page, "notes.png", b"this is no picture")
    expect(page.locator(".found.refused")).to_be_visible()
    expect(page.locator(".found .lead")).not_to_be_empty()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".found")).to_have_count(0)


# ---- the form -------------------------------------------------------------------------------------


def test_the_form_survives_a_reload(page: Page) -> None:
    prompt_field(page).fill("kept")
    seed_field(page).fill("18446744073709551615")
    page.locator("#steps input[type=number]").fill("33")
    page.locator("#steps input[type=number]").blur()
    page.wait_for_function("JSON.parse(localStorage.getItem('reseed-form') || '{}').steps === 33")
    reload(page)
    expect(prompt_field(page)).to_have_value("kept")
    expect(seed_field(page)).to_have_value("18446744073709551615")
    expect(page.locator("#steps input[type=number]")).to_have_value("33")


def test_an_example_becomes_the_prompt(page: Page) -> None:
    example = page.locator(".example").first
    text = example.inner_text()
    example.click()
    expect(prompt_field(page)).to_have_value(text)
    expect(page.locator("#tokens")).to_contain_text(re.compile(r"\d+/75"))


def test_width_and_height_swap(page: Page) -> None:
    page.locator("#width input[type=number]").fill("192")
    page.get_by_role("button", name="Swap width and height").click()
    expect(page.locator("#height input[type=number]")).to_have_value("192")


# ---- looks ----------------------------------------------------------------------------------------

CONTRAST = """(selector) => {
  const light = (text) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = text.match(/[0-9.]+/g).map((c) => linear(Number(c) / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let box = document.querySelector(selector);
  const ink = light(getComputedStyle(box).color);
  while (box && /rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(box).backgroundColor)) box = box.parentElement;
  const paper = light(box ? getComputedStyle(box).backgroundColor : "rgb(255, 255, 255)");
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(open_page: Any, site: Any, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    site.engine.delay = 0.2
    generate(page, "a lake", "1-2")
    expect(page.locator("#strip .tile:not(.live)")).to_have_count(1)
    site.engine.delay = STILL
    for selector in ("#go", "#stop", "#go-new", "#strip .chip", "#status .line", ".top p", "#seed span", ".word"):
        page.wait_for_function(f"(selector) => ({CONTRAST})(selector) >= 4.5", arg=selector)  # colours fade in


def test_the_page_fits_a_phone(open_page: Any, site: Any) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    generate(page, "a lake", f"{MAXIMUM - 2}-{MAXIMUM}")
    expect(page.locator("#stage")).to_be_in_viewport()
    finished(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    recycle(page)
    expect(seed_field(page)).to_have_value(str(MAXIMUM))
    assert seed_field(page).evaluate("box => box.scrollWidth <= box.clientWidth"), "20 digits fit the field"


def test_every_control_has_a_name_and_there_is_one_heading(page: Page) -> None:
    assert page.locator("h1").count() == 1
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a[href], input, textarea, select")].filter((one) => {
          if (!one.checkVisibility()) return false;
          const words = [one.getAttribute("aria-label"), one.innerText, one.title, one.labels?.[0]?.innerText];
          return !words.some((text) => text?.trim());
        }).map((one) => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_nothing_jumps_when_a_picture_comes(page: Page, site: Any) -> None:
    def place() -> Any:
        return page.evaluate(
            """() => ["#stage .stage", "#details-box", "#go"].map((id) => {
                 const { x, y, width, height } = document.querySelector(id).getBoundingClientRect();
                 return [x, y, width, height].map(Math.round);
               })"""
        )

    before = place()
    site.engine.delay = STILL
    generate(page, "a lake")
    expect(page.locator(".stage.live")).to_be_visible()
    during = place()
    site.engine.delay = 0.0
    finished(page, 1)
    assert before == during == place()


def test_the_theme_can_be_switched_and_stays(page: Page) -> None:
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.locator("#theme").click()
    reload(page)
    page.wait_for_function("document.body.classList.contains('dark')")


def test_words_that_the_model_knows_are_added_to_the_prompt(page: Page) -> None:
    prompt_field(page).fill("a lake")
    page.get_by_text("Words this model knows").click()
    page.get_by_role("button", name="Add at night to the prompt").click()
    expect(prompt_field(page)).to_have_value("a lake, at night")
    page.get_by_role("button", name="Add neon to the prompt").click()
    expect(prompt_field(page)).to_have_value("a lake, at night, neon")


def held(page: Page, name: str, value: Any) -> None:
    """Wait until the page has noted a field, and longer than what counts as one step."""
    page.wait_for_function(
        "([name, value]) => JSON.parse(localStorage.getItem('reseed-form') ?? '{}')[name] === value", arg=[name, value]
    )
    page.evaluate("new Promise((done) => setTimeout(done, 700))")


def test_undo_and_redo_of_the_form(page: Page, site: Any) -> None:
    undo, redo = page.get_by_role("button", name="↶ Undo"), page.get_by_role("button", name="↷ Redo")
    steps = page.locator("#steps input[type=number]")
    expect(undo).to_be_disabled()
    expect(redo).to_be_disabled()
    for prompt in ("a lake", "a lake, ducks"):
        prompt_field(page).fill(prompt)
        held(page, "prompt", prompt)
    steps.fill("7")
    steps.blur()
    held(page, "steps", 7)
    undo.click()
    expect(steps).to_have_value("12")
    expect(prompt_field(page)).to_have_value("a lake, ducks")
    held(page, "steps", 12)
    undo.click()
    expect(prompt_field(page)).to_have_value("a lake")
    redo.click()
    expect(prompt_field(page)).to_have_value("a lake, ducks")
    redo.click()
    expect(steps).to_have_value("7")
    expect(redo).to_be_disabled()
    undo.click()
    held(page, "steps", 12)
    prompt_field(page).fill("a hill")
    expect(redo).to_be_disabled()
    held(page, "prompt", "a hill")
    undo.click()
    expect(prompt_field(page)).to_have_value("a lake, ducks")
    expect(steps).to_have_value("12")
    assert site.studio.jobs.active() == []


def test_a_recipe_that_was_loaded_is_undone_in_one_step(page: Page) -> None:
    generate(page, "a lake", "5")
    finished(page, 1)
    prompt_field(page).fill("a hill")
    seed_field(page).fill("9")
    held(page, "seed", "9")
    page.get_by_role("button", name="everything").click()
    expect(prompt_field(page)).to_have_value("a lake")
    expect(seed_field(page)).to_have_value("5")
    held(page, "seed", "5")
    page.get_by_role("button", name="↶ Undo").click()
    expect(prompt_field(page)).to_have_value("a hill")
    expect(seed_field(page)).to_have_value("9")
