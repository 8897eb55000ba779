"""Holding the composition from the form: the recipe says it, the lineage keeps what was typed, nothing nests."""

import pytest

from tests.ui.test_handlers import arguments, request, wrong
from tests.ui.test_recall import filled, made
from webui.hold import hold
from webui.studio import Studio
from webui.ui import holding
from webui.ui.handlers import Handlers
from webui.ui.recall import Found, Recall


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def test_the_words_of_the_parent_are_held_for_the_share_and_do_not_nest(handlers: Handlers, studio: Studio) -> None:
    first = made(handlers, prompt="a red house", negative_prompt="fog", seed="7")
    changes = {"negative_prompt": "rain", "seed": "7-8", "share": 30}
    second = made(handlers, prompt="a blue house", parent=f"{first.id}@", **changes)
    assert second.recipe.prompt == hold("a red house", "a blue house", 0.3) == "a [red:blue:0.3] house"
    assert second.recipe.negative_prompt == "[fog:rain:0.3]"
    assert second.recipe == first.recipe.but(prompt=second.recipe.prompt, negative_prompt="[fog:rain:0.3]")
    assert (second.lineage.parent, second.lineage.template) == (first.id, "a blue house")
    third = made(handlers, prompt="a green house", parent=f"{second.id}@", **changes)
    assert third.recipe.prompt == "a [red:green:0.3] house"


def test_nothing_is_held_without_a_parent_or_a_share(handlers: Handlers) -> None:
    first = made(handlers, prompt="a red house", seed="7")
    assert made(handlers, prompt="a blue house", share=30).recipe.prompt == "a blue house"
    for parent, seed in ((f"{first.id}@", "8"), (f"{first.id}@7", "9")):  # the seed's own parent is gone with the seed
        share = 0 if seed == "8" else 40
        assert (
            made(handlers, prompt="a blue house", parent=parent, seed=seed, share=share).recipe.prompt == "a blue house"
        )


def test_what_cannot_be_held_is_a_sentence_at_its_field(handlers: Handlers, studio: Studio) -> None:
    first = made(handlers, prompt="a house AND a lake", seed="7")
    held = {"parent": f"{first.id}@", "share": 30}
    assert "AND" in wrong(handlers.check(request(), [], "", *arguments(studio, prompt="a tent", **held)))["prompt"]
    assert "profile" in wrong(
        handlers.check(request(), [], "", *arguments(studio, prompt="a AND b", profile="ComfyUI", **held))
    )
    gone = {"parent": "ab" * 16 + "@", "share": 30}
    assert "it is no longer here" in wrong(handlers.check(request(), [], "", *arguments(studio, **gone)))["share"]
    assert "share" in wrong(handlers.check(request(), [], "", *arguments(studio, **{**held, "share": 120})))
    assert studio.gallery.count() == 1


def test_a_held_picture_comes_back_as_it_is_with_the_slider_at_0(handlers: Handlers, studio: Studio) -> None:
    first = made(handlers, prompt="a red house", seed="7")
    second = made(handlers, prompt="a blue house", seed="7", parent=f"{first.id}@", share=30)
    recall = Recall(studio, handlers.verifying)
    *changed, _ = recall.fill(Found(second.recipe.values(), second.id, second.lineage), "all", "")
    assert (filled(changed)["prompt"], filled(changed)["share"]) == ("a [red:blue:0.3] house", 0)
    assert made(handlers, **filled(changed)).recipe == second.recipe


def test_the_line_says_whose_words_are_held(handlers: Handlers, studio: Studio) -> None:
    first = made(handlers, prompt="a <b>red</b> house", seed="7")
    assert "Holds the words of seed 7: a &lt;b&gt;red" in holding.line(studio, f"{first.id}@7", "7", 30)
    assert "Off. Would hold" in holding.line(studio, f"{first.id}@7", "7", 0)
    assert "Nothing to hold yet" in holding.line(studio, f"{first.id}@7", "8", 30)
    assert "Nothing to hold yet" in holding.line(studio, "", "", 30)
