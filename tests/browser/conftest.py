"""A real server and a real browser: each test has its own data folder, its own server and an empty storage.

All servers have one address, one after the other, so that the browser reads the page's scripts once. At the end of each
test nothing may have gone to the console as an error, and nothing may have been asked of another address. Tests wait on
conditions, never on time.
"""

import os
import shutil
import socket
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser.story import Story
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.serve import application, config, listen
from webui.settings import Door, Settings
from webui.studio import Studio

DESKTOP = {"width": 1440, "height": 900}
PATIENCE = 20_000
"""Milliseconds that a condition may take on a busy machine; tests go on as soon as it holds."""
STORY = pytest.StashKey[Story]()
expect.set_options(timeout=PATIENCE)


@dataclass
class Site:
    """A running server: its address and the studio behind it."""

    address: str
    studio: Studio
    engine: FakeEngine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium once; without one the tests are skipped, or fail where a browser is required."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        reason = "no Chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("RESEED_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    playwright: Playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def port() -> int:
    """Choose a free port for all servers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def profiles(browser: Browser) -> Iterator[dict[str, Any]]:
    """Keep a browser profile for each look, with what it has in its cache."""
    kept: dict[str, Any] = {}
    yield kept
    for context in kept.values():
        context.close()


@pytest.fixture
def door() -> Door:
    """Say who may come in; a test that wants another gate gives its own."""
    return Door()


@pytest.fixture
def site(tmp_path: Path, port: int, door: Door) -> Iterator[Site]:
    """Serve the program over an empty data folder, with an engine that makes a picture in half a second."""
    engine = FakeEngine(delay=0.02)
    studio = Studio(Settings(data_dir=tmp_path, door=door), engine, Catalog(tmp_path / "models"))
    studio.start()
    listener = listen("127.0.0.1", port)
    listener.listen(128)
    server = uvicorn.Server(config(application(studio)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{port}", studio, engine)
    server.should_exit = True
    thread.join(10)
    studio.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a test that failed what its pages did."""
    report = yield
    if report.failed and STORY in item.stash:
        report.sections.append((f"what the pages did until {report.when}", item.stash[STORY].tell()))
    return report


@pytest.fixture
def open_page(browser: Browser, profiles: dict[str, Any], site: Site, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give a function that opens the page and watches what it does."""
    story = request.node.stash[STORY] = Story(site.studio)
    pages: list[Page] = []
    wrong: list[str] = []

    def go(script: str = "", **look: Any) -> Page:
        key = repr(look)
        if key not in profiles:
            profiles[key] = browser.new_context(**{"viewport": DESKTOP, **look})
            profiles[key].set_default_timeout(PATIENCE)
        page: Page = profiles[key].new_page()
        pages.append(page)
        story.follow(page)
        page.on("console", lambda message: _is_error(message) and wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("request", lambda asked: _is_outside(asked.url, site) and wrong.append(f"asked: {asked.url}"))
        page.add_init_script(script)
        page.goto(site.address)
        ready(page)
        return page

    yield go
    for page in pages:
        page.goto(f"{site.address}/healthz")  # nothing there writes into the storage after it is cleared
        page.evaluate("localStorage.clear()")
        page.close()
    assert not wrong, wrong


@pytest.fixture
def page(open_page: Any) -> Page:
    """Open the page on a desktop."""
    opened: Page = open_page()
    return opened


def ready(page: Page) -> None:
    """Wait until the page has drawn the history: the last thing that a load does."""
    page.locator("#history .hint, #history .tiles").first.wait_for(state="attached")


def _is_error(message: Any) -> bool:
    """Say whether a message is an error of ours.

    A reload closes the stream that gradio listens to, and gradio writes that to the console; and a browser writes
    every answer of 422, which is how a wrong field is answered.
    """
    expected = ("AbortError", "Connection errored out", "status of 422")
    return message.type == "error" and not any(words in message.text for words in expected)


def _is_outside(url: str, site: Site) -> bool:
    return not url.startswith((site.address, "data:", "blob:"))
