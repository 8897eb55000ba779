"""Make the documentation's screenshots from a running program: ``scripts/screenshots.py OUTDIR``.

Starts its own server on a free port over a throw-away data folder and drives an installed Chromium through the states
of the page: empty, running, finished, a batch, mistakes at the fields, a dropped picture, two compared, a contact
sheet; light, dark, narrow.
``--engine diffusion`` uses the bundled model, ``--engine fake`` needs none; ``--only NAME`` takes a part of them.
"""

import argparse
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page, sync_playwright

from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.serve import application, config, listen
from webui.settings import Settings
from webui.studio import Studio

PROMPT = "a house by a lake at sunset"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "narrow": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "has_touch": True,
        "device_scale_factor": 2,
    },
}


@contextmanager
def served(data: Path, engine: str, delay: float) -> Iterator[str]:
    """Serve the program over a data folder; give its address."""
    settings = Settings(data_dir=data)
    catalog = Catalog(settings.models)
    fake = FakeEngine(delay, catalog.hash(catalog.find("reseed")))
    studio = Studio(settings, fake, catalog) if engine == "fake" else Studio.open(settings)
    studio.start()
    listener = listen("127.0.0.1", 0)
    listener.listen(128)
    server = uvicorn.Server(config(application(studio)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        studio.close()


def empty(page: Page) -> None:
    """The page as a person first sees it."""
    page.locator(".stage.empty").wait_for()


def running(page: Page) -> None:
    """A picture being made, with its preview."""
    page.locator("#prompt textarea").fill(PROMPT)
    page.locator("#go").click()
    page.locator(".stage.live").wait_for()
    page.wait_for_function("Number(document.querySelector('[data-percent]')?.dataset.percent) > 30")


def finished(page: Page) -> None:
    """A finished picture, its seed put back into the field."""
    page.locator(".stage.done").wait_for(timeout=120_000)
    page.wait_for_function("document.querySelector('.stage.done img').complete")
    page.get_by_role("button", name="Reuse the seed of the picture on screen").click()
    page.get_by_text("is in the field").wait_for()


def batch(page: Page) -> None:
    """A batch, its first pictures done."""
    page.locator("#seed input, #seed textarea").fill("18446744073709551612")
    page.locator("#count input[type=number]").fill("4")
    page.locator("#go").click()
    page.wait_for_function("document.querySelectorAll('#strip .tile:not(.live)').length >= 2", timeout=120_000)


def verified(page: Page) -> None:
    """A picture that was made again and compared."""
    page.wait_for_function("document.querySelector('#stop').disabled", timeout=240_000)
    page.get_by_role("button", name="Verify").click()
    page.locator("#check .identical").wait_for(timeout=240_000)


def mistakes(page: Page) -> None:
    """Sentences at the fields that are not right."""
    page.wait_for_function("document.querySelector('#stop').disabled", timeout=240_000)
    page.locator("#seed input, #seed textarea").fill("1e3")
    page.locator("#width input[type=number]").fill("130")
    page.locator("#go").click()
    page.locator("#seed").get_by_text("must be").wait_for()
    page.evaluate("scrollTo(0, 0)")


def dropped(page: Page) -> None:
    """The recipe of a dropped picture, offered for loading."""
    address = page.locator(".stage.done a").get_attribute("href")
    picture = page.request.get(f"{page.url}/{address}".replace("//pictures", "/pictures")).body()
    file = {"name": "a-picture-from-a-friend.png", "mimeType": "image/png", "buffer": picture}
    page.locator("#drop input[type=file]").set_input_files([file])  # type: ignore[list-item]
    page.locator(".found").wait_for()
    page.evaluate("scrollTo(0, 0)")


def compared(page: Page) -> None:
    """A picture of the dropped recipe with other words, compared with the one that was dropped."""
    page.get_by_role("button", name="Load everything").click()
    page.get_by_text("The whole recipe is in the form.").wait_for()
    page.locator("#prompt textarea").fill("a house by a lake in winter, ducks")
    page.locator("#count input[type=number]").fill("1")
    page.locator("#go").click()
    page.locator("#changed ins").first.wait_for(timeout=120_000)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_function("document.querySelectorAll('#compare img').length === 2")
    page.evaluate("Promise.all([...document.querySelectorAll('#compare img')].map((image) => image.decode()))")


def searched(page: Page) -> None:
    """The history, searched for two words of the prompt."""
    page.get_by_label("Search the history").fill("house sunset")
    page.locator("#history").get_by_role("button", name="Every picture").wait_for()
    page.locator("#past").scroll_into_view_if_needed()


def explored(page: Page) -> None:
    """A contact sheet of drafts, three of them finished and two chosen."""
    page.get_by_role("button", name="Every picture").click()
    page.locator("#prompt textarea").fill("a house by a lake, mountains")
    page.locator("#seed input, #seed textarea").fill("406220")
    page.locator("#go-explore").click()
    page.wait_for_function("document.querySelectorAll('#sheet .draft').length === 12", timeout=240_000)
    for number in (1, 4, 6):
        page.locator("#sheet .draft .pick").nth(number).click()
    page.get_by_role("button", name="Finish 3 chosen").click()
    page.wait_for_function("document.querySelectorAll('#sheet .finished').length === 3", timeout=240_000)
    for number in (0, 2):
        page.locator("#sheet .draft .pick").nth(number).click()
    page.evaluate("Promise.all([...document.querySelectorAll('#sheet img')].map((image) => image.decode()))")
    page.evaluate("scrollTo(0, 0)")


STATES: dict[str, Callable[[Page], None]] = {
    "empty": empty,
    "running": running,
    "finished": finished,
    "batch": batch,
    "verified": verified,
    "mistakes": mistakes,
    "dropped": dropped,
    "compared": compared,
    "searched": searched,
    "explored": explored,
}


def main() -> int:
    """Make the pictures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--engine", choices=("diffusion", "fake"), default="diffusion")
    parser.add_argument("--delay", type=float, default=0.08, help="seconds a step of the fake engine (default: 0.08)")
    parser.add_argument("--only", choices=LOOKS, help="one look")
    parser.add_argument("--full", action="store_true", help="the whole page, not only what fits the window")
    options = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        print("screenshots: no Chromium is installed", file=sys.stderr)
        return 1
    options.outdir.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, look in LOOKS.items():
            if options.only not in (None, name):
                continue
            with (
                tempfile.TemporaryDirectory() as folder,
                served(Path(folder), options.engine, options.delay) as address,
            ):
                page = browser.new_context(**look).new_page()
                page.goto(address)
                for state, go in STATES.items():
                    go(page)
                    target = options.outdir / f"{name}-{state}.png"
                    page.screenshot(path=target, full_page=options.full, animations="disabled")
                    print(target)
                page.context.close()
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
