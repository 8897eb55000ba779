"""What a person does on the page, in the words of the tests."""

from typing import Final

from playwright.sync_api import Locator, Page, expect

STILL: Final = 1.0
"""Seconds a step of the fake engine takes while a test looks at the middle of a picture: twenty of them outlast a busy
machine's clicks, and the last one ends soon after the test lets go."""


def seed_field(page: Page) -> Locator:
    return page.locator("#seed input, #seed textarea")


def prompt_field(page: Page) -> Locator:
    return page.locator("#prompt textarea")


def generate(page: Page, prompt: str | None = None, seed: str | None = None) -> None:
    if prompt is not None:
        prompt_field(page).fill(prompt)
    if seed is not None:
        seed_field(page).fill(seed)
    page.locator("#go").click()


def unfold(page: Page, fold: str) -> None:
    """Open an accordion and wait until its fields take what is typed.

    gradio (6.31) draws the fields of an accordion when it is first opened and gives them their values a frame later,
    over what was typed in that frame: faster than a person gets from the click to a key.
    """
    page.locator(f"#{fold} > button").click()
    page.locator(f"#{fold} :is(input, textarea)").first.wait_for()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


def choose(page: Page, field: str, name: str) -> None:
    """Choose from a list as one who types its name; the list is the field's own: another may still be fading out."""
    box = page.locator(f"#{field} input")
    box.fill(name)
    options = page.locator(f"#{box.get_attribute('aria-controls')}")
    options.get_by_role("option", name=name, exact=True).click()


def finished(page: Page, count: int) -> None:
    """Wait until so many pictures are in the history and none is being made."""
    expect(page.locator("#history .tile")).to_have_count(count)
    expect(page.locator("#stop")).to_be_disabled()
    expect(page.locator(".stage.done")).to_be_visible()


def recycle(page: Page) -> None:
    page.get_by_role("button", name="Reuse the seed of the picture on screen").click()


def shown_seed(page: Page) -> str:
    return page.locator("#stage .stage").get_attribute("data-seed") or ""


def reload(page: Page) -> None:
    page.reload()
    page.locator("#history .hint, #history .tiles").first.wait_for(state="attached")
