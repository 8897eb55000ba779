"""What happened in a browser test, for the report of one that failed: a busy machine's failure may not come back."""

import time
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request, Response
from playwright.sync_api import Error as PlaywrightError

from webui.studio import Studio

LATEST = 120
"""Lines that a report shows at most."""
DULL = ("/assets/", "/static/", "/theme.css")
"""What a page asks for and nothing depends on."""


class Story:
    """Notes what the pages of a test asked, what they were answered and what they wrote to the console."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.began = time.monotonic()
        self.lines: list[str] = []
        self.pages: list[Page] = []

    def follow(self, page: Page) -> None:
        """Note what a page does from now on."""
        self.pages.append(page)
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("requestfailed", lambda request: self._note("lost", f"{_path(request.url)} {request.failure}"))
        page.on("console", self._said)

    def tell(self) -> str:
        """Return what was noted, and what pages and studio say now."""
        made = [str(record.recipe.seed) for record in self.studio.gallery.recent(10)]
        jobs = [f"{job.job[:8]} {job.status} {job.step}/{job.steps}" for job in self.studio.jobs.active()]
        now = [f"seeds in the gallery: {made}", f"jobs at work: {jobs}", *map(_state, self.pages)]
        return "\n".join([*self.lines[-LATEST:], *now])

    def _note(self, what: str, text: str) -> None:
        if not text.startswith(DULL):
            self.lines.append(f"{time.monotonic() - self.began:8.3f} {what} {text}")

    def _asked(self, request: Request) -> None:
        body = request.post_data or ""
        self._note("asked", f"{_path(request.url)} {body[-120:]}")

    def _answered(self, response: Response) -> None:
        self._note("answered", f"{_path(response.url)} {response.status}")

    def _said(self, message: ConsoleMessage) -> None:
        self._note("console", f"{message.type}: {message.text[:200]}")


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[-1][:100]


def _state(page: Page) -> str:
    """Say what a page shows and remembers."""
    look = """() => JSON.stringify({ status: document.querySelector("#status")?.innerText,
      said: document.querySelector("#note")?.innerText, toasts: document.querySelector(".toast-wrap")?.innerText,
      stage: document.querySelector("#stage .stage")?.className, remembered: { ...localStorage } })"""
    try:
        told: Any = page.evaluate(look)
    except PlaywrightError as error:
        told = f"nothing: {error.message}"
    return f"the page at {page.url} says: {told}"
