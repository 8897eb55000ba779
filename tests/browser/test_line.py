"""A slow line: that a stream has ended is heard later than what the server said afterwards, on another connection."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import finished, generate, prompt_field, recycle, seed_field, shown_seed

pytestmark = pytest.mark.browser
LATE_END = """
{
  const plain = window.fetch;
  const later = HOLD;
  window.fetch = async (...asked) => {
    const url = String(asked[0]?.url ?? asked[0]);
    const answer = await plain(...asked);
    if (url.includes("/queue/join")) window.taken?.();
    if (!url.includes("/queue/data")) return answer;
    const reader = answer.body.getReader();
    const pull = async (out) => {
      const { done, value } = await reader.read();
      if (done) return out.close();
      if (new TextDecoder().decode(value).includes("close_stream")) await later();
      out.enqueue(value);
    };
    return new Response(new ReadableStream({ pull }), answer);
  };
}
"""
UNTIL_THE_NEXT_IS_TAKEN = """() => {
    if (!window.armed) return;
    window.armed = false;
    window.held = true;
    return new Promise((resolve) => (window.taken = () => setTimeout(resolve, 300)));
  }"""
ALWAYS = "() => new Promise((resolve) => setTimeout(resolve, 300))"


def test_what_is_taken_before_the_end_of_the_stream_is_heard_is_not_lost(open_page: Any) -> None:
    page: Page = open_page(script=LATE_END.replace("HOLD", UNTIL_THE_NEXT_IS_TAKEN))
    page.evaluate("window.armed = true")
    prompt_field(page).fill("a lake")
    page.wait_for_function("window.held")
    page.locator("#go").click()
    finished(page, 1)
    assert shown_seed(page) != ""


def test_the_whole_loop_goes_on_a_line_on_which_every_end_is_late(open_page: Any) -> None:
    page: Page = open_page(script=LATE_END.replace("HOLD", ALWAYS))
    generate(page, "a lake with mountains", "7")
    finished(page, 1)
    recycle(page)
    expect(seed_field(page)).to_have_value("7")
    generate(page, "a lake with mountains, ducks")
    finished(page, 2)
    assert shown_seed(page) == "7"


READ_LATE = """
document.addEventListener("readystatechange", () => {
  if (window.late) return;
  const listening = window.fetch;
  window.late = true;
  window.fetch = async (...asked) => {
    const answer = await listening(...asked);
    if (!String(asked[0]?.url ?? asked[0]).includes("/queue/data")) return answer;
    const reader = answer.body.getReader();
    const pull = async (out) => {
      const { done, value } = await reader.read();
      if (done) return out.close();
      const text = new TextDecoder().decode(value);
      const end = text.indexOf('data: {"msg":"close_stream"');
      if (end < 0) return out.enqueue(value);
      if (end) out.enqueue(new TextEncoder().encode(text.slice(0, end)));
      await new Promise((resolve) => setTimeout(resolve, 300));
      out.enqueue(new TextEncoder().encode(text.slice(end)));
    };
    return new Response(new ReadableStream({ pull }), answer);
  };
});
"""
"""Between the page's listening and gradio: that a stream has ended has arrived, and gradio reads it later."""


def test_the_whole_loop_goes_on_in_a_page_that_reads_every_end_late(open_page: Any) -> None:
    page: Page = open_page(script=READ_LATE)
    assert page.evaluate("window.late")
    generate(page, "a lake with mountains", "7")
    finished(page, 1)
    recycle(page)
    expect(seed_field(page)).to_have_value("7")
    generate(page, "a lake with mountains, ducks")
    finished(page, 2)
    assert shown_seed(page) == "7"


MUTE = """
{
  const plain = window.fetch;
  Object.assign(window, { streams: 0, joins: 0 });
  window.fetch = async (...asked) => {
    const url = String(asked[0]?.url ?? asked[0]);
    const answer = await plain(...asked);
    if (url.includes("/queue/join")) window.joins += 1;
    if (!window.mute || !url.includes("/queue/data")) return answer;
    window.streams += 1;
    const nothing = (out) =>
      asked[0].signal.addEventListener("abort", () => out.error(new DOMException("left", "AbortError")));
    return new Response(new ReadableStream({ start: nothing }), answer);
  };
}
"""
"""Streams that say nothing from the moment ``mute`` is set, and counts of what was asked."""


def test_a_page_that_is_being_left_opens_no_stream(open_page: Any) -> None:
    page: Page = open_page(script=MUTE)
    page.evaluate("Object.assign(window, { mute: true, joins: 0 })")
    prompt_field(page).fill("a lake")
    page.wait_for_function("window.streams >= 1")  # the first event is heard of on no stream, so its answer passes
    before = page.evaluate("window.joins")
    page.locator("#go").click()
    page.wait_for_function("(before) => window.joins > before", arg=before)  # taken, and waits to be named
    asked = page.evaluate(
        """() => new Promise((done) => {
          const before = window.streams;
          dispatchEvent(new Event("beforeunload"));
          setInterval(() => window.streams > before && done("a stream"), 10);
          setTimeout(() => done("nothing"), 1000);
        })"""
    )
    assert asked == "nothing"


def test_a_stream_that_is_asked_for_while_the_page_is_being_left_is_not_opened(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    heard = page.evaluate(
        """() => {
          dispatchEvent(new Event("beforeunload"));
          const stream = fetch("gradio_api/queue/data?session_hash=gone").then(() => "a stream");
          return Promise.race([stream, new Promise((done) => setTimeout(() => done("nothing"), 500))]);
        }"""
    )
    assert heard == "nothing"
    assert not any("session_hash=gone" in url for url in asked)
