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


ENDED_BY_HAND = """
{
  const plain = window.fetch;
  const isStream = (asked) => String(asked[0]?.url ?? asked[0]).includes("/queue/data");
  Object.assign(window, { asked: 0, given: 0 });
  let used = async (...asked) => {
    if (!isStream(asked)) return plain(...asked);
    window.asked += 1;
    if (!window.mute) return plain(...asked);
    const start = (out) => (window.end = () => out.close());
    return new Response(new ReadableStream({ start }));
  };
  const by = (listening) => (used = (...asked) => {
    window.given += isStream(asked);
    return listening(...asked);
  });
  Object.defineProperty(window, "fetch", { get: () => used, set: by });
}
"""
"""Counts the streams that the server is asked for and those that gradio is given; from the moment ``mute`` is set the
server's say nothing and are ended by hand."""


def test_gradio_reads_one_stream_and_the_server_is_asked_for_another_when_one_ended(open_page: Any) -> None:
    page: Page = open_page(script=ENDED_BY_HAND)
    generate(page, "a lake", "7")
    finished(page, 1)
    assert page.evaluate("window.given") == 1
    assert page.evaluate("window.asked") > 1


@pytest.mark.parametrize("left", [False, True])
def test_a_page_that_is_being_left_opens_no_stream(open_page: Any, left: bool) -> None:
    page: Page = open_page(script=ENDED_BY_HAND)
    page.evaluate("window.mute = true")
    prompt_field(page).fill("a lake")
    page.wait_for_function("typeof window.end === 'function'")  # an event goes on, and its stream says nothing of it
    more = page.evaluate(
        """(left) => new Promise((done) => {
          const before = window.asked;
          if (left) dispatchEvent(new Event("beforeunload"));
          window.end();
          setInterval(() => window.asked > before && done(true), 10);
          setTimeout(() => done(false), 1000);
        })""",
        left,
    )
    assert more is not left
