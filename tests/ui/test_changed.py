"""What changed, without a browser: signs, fields and the drift beside a picture that came from another."""

from typing import Any

import gradio as gr
import pytest

from tests.ui.test_handlers import drain, event, last, make, request
from webui import changes
from webui.drift import Drift
from webui.gallery import Record
from webui.recipe import Recipe
from webui.studio import Studio
from webui.ui import changed
from webui.ui.handlers import VIEW, Handlers

WORDS = "a lake by a mill in the deep green wood, (boat:1.2)"


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def family(handlers: Handlers, **values: Any) -> tuple[Record, Record]:
    """Make a picture and another from it, with other values; return parent and child."""
    (parent,) = make(handlers, prompt=WORDS, seed="7")[1].records
    came = {"prompt": WORDS, "seed": "7", "parent": f"{parent.id}@", **values}
    (child,) = make(handlers, **came)[1].records
    return parent, child


def drawn(handlers: Handlers, record: Record, tab: str = "tab") -> str:
    """Put a picture on a tab's stage; return what is drawn beside it."""
    panel: str = handlers.pick(event(id=record.id), [], request(tab))[VIEW.index("changed")]
    return panel


def test_words_weights_and_fields_are_said_in_reading_order(handlers: Handlers) -> None:
    words = "a lake by a mill in the deep green wood, (boat:1.4), ducks <3"
    parent, child = family(handlers, prompt=words, cfg_scale=5)
    panel = drawn(handlers, child)
    assert "from seed 7</button>" in panel
    assert f'data-do="pick" data-id="{parent.id}"' in panel
    boat = '<span class="reweighted">boat <b>1.2→1.4</b></span>'
    assert f'<p class="diff">… deep green wood, {boat}, <ins>+ducks &lt;3</ins></p>' in panel
    assert '<span class="word">CFG scale</span> 3 → <b>5</b>' in panel
    assert panel.count("<li>") == 1


def test_a_picture_without_a_parent_shows_nothing(handlers: Handlers) -> None:
    parent, child = family(handlers)
    assert drawn(handlers, parent) == ""
    assert drawn(handlers, child) != ""
    parent.path.unlink()
    assert drawn(handlers, child) == ""


def test_an_equal_recipe_is_said_to_be_the_same(handlers: Handlers) -> None:
    assert "The recipe is the same." in drawn(handlers, family(handlers)[1])


def test_the_drift_is_asked_for_and_then_known(handlers: Handlers) -> None:
    _, child = family(handlers)
    assert f'data-ask="{child.id}"' in drawn(handlers, child)
    panel = handlers.changed.measure(event(ask=child.id), request())
    assert "composition kept 1.00</span>" in panel
    assert drawn(handlers, child) == panel


def test_a_drift_that_comes_late_does_not_replace_another_picture(handlers: Handlers) -> None:
    parent, child = family(handlers)
    drawn(handlers, parent)
    assert handlers.changed.measure(event(ask=child.id), request()) == gr.skip()
    assert handlers.changed.measure(event(ask="nobody"), request()) == gr.skip()


def test_sizes_that_differ_have_no_drift(handlers: Handlers) -> None:
    _, child = family(handlers, width=128, height=192)
    panel = drawn(handlers, child)
    assert "composition" not in panel
    assert '<span class="word">Height</span>' in panel
    assert handlers.changed.measure(event(ask=child.id), request()) == gr.skip()


def test_a_damaged_picture_has_no_drift_and_is_asked_for_once(handlers: Handlers) -> None:
    parent, child = family(handlers)
    parent.path.write_bytes(b"no picture")
    drawn(handlers, child)
    assert "composition" not in handlers.changed.measure(event(ask=child.id), request())


def test_a_pair_is_measured_once_and_the_oldest_are_forgotten(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed, "REMEMBERED", 1)
    parent, child = family(handlers)
    drifts = changed.Drifts()
    first = drifts.measure(parent, child)
    assert drifts.measure(parent, child) is first
    drifts.measure(child, parent)
    assert (drifts.known(child, parent), drifts.known(parent, child)) == (True, False)


def test_a_watcher_draws_what_changed_when_the_picture_is_done(handlers: Handlers) -> None:
    (parent,) = make(handlers, seed="7")[1].records
    memory, _ = make(handlers, prompt="a lake, ducks", seed="8", parent=f"{parent.id}@7")
    assert last(drain(handlers.follow(memory, request())))["changed"] == ""  # another seed: no child of it
    memory, _ = make(handlers, prompt="a lake, ducks", seed="7", parent=f"{parent.id}@7")
    assert "<ins>+ducks</ins>" in last(drain(handlers.follow(memory, request("other"))))["changed"]


def pieces(old: str, new: str) -> str:
    return changed.pieces(changes.compare(old, new))


def test_what_went_what_moved_and_what_only_looks_different() -> None:
    assert pieces("a house, snow", "a house") == 'a house, <del><span class="sign">−</span>snow</del>'
    assert "<em>moved two red ducks</em>" in pieces(
        "two red ducks, a house by a lake", "a house by a lake, two red ducks"
    )
    assert pieces("a house, snow", "a house,  snow,") == "only punctuation or spaces"
    assert pieces("a house", "a house") == ""
    assert pieces("a <b>", "a <b> c") == "a &lt;b&gt; <ins>+c</ins>"


def test_the_negative_prompt_is_named() -> None:
    old = Recipe.of(prompt="a house", seed=1)
    drawn = changed.prompts(changes.changes(old, old.but(negative_prompt="snow")))
    assert drawn == '<p class="diff"><span class="word">Negative prompt</span> <ins>+snow</ins></p>'


def test_a_badge_says_word_and_likeness() -> None:
    assert ">composition lost 0.00<" in changed.badge(Drift.of(1.001))
    assert ">composition shifted 0.40<" in changed.badge(Drift.of(0.6))
