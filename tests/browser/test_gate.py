"""The gate in a real browser: the login page, the way out, another website, and two visitors of a demo."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, PATIENCE, ready
from tests.browser.steps import finished, generate
from webui.settings import Door

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
LOCKED = Door(users=(("ann", "secret"), ("bob", "other")))


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Any]:
    """Give a function that opens an empty profile, as another person's browser."""
    opened: list[BrowserContext] = []

    def another(**look: Any) -> BrowserContext:
        context = browser.new_context(**{"viewport": DESKTOP, **look})
        context.set_default_timeout(PATIENCE)
        opened.append(context)
        return context

    yield another
    for context in opened:
        context.close()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Serve an empty page of another website on this machine."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *said: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def log_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("door", [LOCKED])
def test_one_logs_in_makes_a_picture_and_logs_out(site: Any, contexts: Any) -> None:
    page: Page = contexts(viewport=PHONE, color_scheme="dark").new_page()
    page.goto(f"{site.address}/?v=1&seed=406220#x")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(11, 11, 12)"
    log_in(page, "ann", "wrong")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("ann")
    log_in(page, "ann", "secret")
    ready(page)
    expect(page.locator("#seed :is(input, textarea)")).to_have_value("406220")  # the link was gone back to
    generate(page, "a lake")
    finished(page, 1)
    (record,) = site.studio.gallery.recent()
    picture = f"{site.address}/pictures/{record.id}.png"
    assert page.request.get(picture).status == 200
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.request.get(picture).status == 401
    assert page.evaluate("Object.keys(localStorage).length") == 0
    log_in(page, "bob", "other")
    ready(page)
    expect(page.locator("#history .tile")).to_have_count(0)
    assert page.request.get(picture).status == 404


@pytest.mark.parametrize("door", [LOCKED])
def test_a_page_of_another_website_can_neither_read_nor_post(site: Any, contexts: Any, elsewhere: str) -> None:
    page: Page = contexts().new_page()
    page.goto(site.address)
    log_in(page, "ann", "secret")
    ready(page)
    page.goto(elsewhere)
    tried = page.evaluate(
        """async (address) => {
            const tries = {
                read: () => fetch(`${address}/config`, {credentials: "include"}).then((answer) => answer.text()),
                post: () => fetch(`${address}/logout`, {method: "POST", credentials: "include"}),
                upload: () => fetch(`${address}/gradio_api/upload`,
                    {method: "POST", credentials: "include", body: new FormData()}).then((answer) => answer.text()),
            };
            const found = {};
            for (const name in tries) found[name] = await tries[name]().then(() => "done", () => "refused");
            await fetch(`${address}/logout`, {method: "POST", mode: "no-cors", credentials: "include"}).catch(() => 0);
            return found;
        }""",
        site.address,
    )
    assert tried == {"read": "refused", "post": "refused", "upload": "refused"}
    page.goto(site.address)
    ready(page)  # still logged in: the posts of the other website did nothing


@pytest.mark.parametrize("door", [Door(demo=True)])
def test_two_visitors_of_a_demo_see_only_their_own_pictures(site: Any, contexts: Any) -> None:
    pages: list[Page] = [contexts().new_page(), contexts().new_page()]
    for number, page in enumerate(pages):
        page.goto(site.address)
        ready(page)
        expect(page.locator("#presets")).to_have_count(0)
        generate(page, f"a lake of visitor {number}", str(7 + number))
    for number, page in enumerate(pages):
        finished(page, 1)
        expect(page.locator("#stage .stage")).to_have_attribute("data-seed", str(7 + number))
        page.reload()
        ready(page)
        expect(page.locator("#history .tile")).to_have_count(1)
        expect(page.locator("#history")).not_to_contain_text(f"{8 - number}", use_inner_text=True)
        expect(page.locator("[data-do=discard]")).to_have_count(0)
    assert site.studio.gallery.count() == 2
    owners = {record.lineage.owner for record in site.studio.gallery.recent()}
    assert len(owners) == 2 and "" not in owners
