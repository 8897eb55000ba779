"""Links: what is copied opens the form as it was, and what cannot be read leaves it alone."""

from random import Random
from typing import Any
from urllib.parse import quote_plus

import gradio as gr
import pytest
from hypothesis import HealthCheck, given, settings

from tests.strategies import RECIPES
from tests.ui.test_handlers import arguments, request
from tests.ui.test_recall import again, filled, made
from webui import link, wildcards
from webui.recipe import Recipe
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.handlers import Handlers
from webui.ui.links import Links
from webui.ui.recall import Recall

SKIP = gr.skip()
MAXIMUM = 2**64 - 1
EXTRA = {"count": 1, "styles": [], "parent": "", "share": 0}


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


@pytest.fixture
def links(studio: Studio, handlers: Handlers) -> Links:
    """Give the handlers of links."""
    return Links(studio, Recall(studio, handlers.verifying))


def opened(links: Links, address: str) -> tuple[dict[str, Any], str]:
    *changed, said = links.open(address, "")
    return filled(changed), said


@pytest.mark.parametrize("seed", [0, 2**53 + 1, MAXIMUM])
def test_a_link_of_the_form_opens_it_as_it_was(links: Links, studio: Studio, seed: int) -> None:
    values = arguments(studio, prompt="a lake, (ducks:1.2) & fog #5", steps=7, seed=str(seed), rng="CPU")
    parameters, said = links.write(request(), *values)
    now, _ = opened(links, f"https://example.org/below/?{parameters}")
    assert now["seed"] == str(seed)
    assert now["prompt"] == "a lake, (ducks:1.2) & fog #5"
    again = arguments(studio, **now)
    assert studio.settle(*form.read(again))[0] == studio.settle(*form.read(values))[0]
    assert f"The link holds seed {seed}." in said
    assert links.write(request(), *again)[0] == parameters
    assert studio.jobs.active() == []


@given(recipe=RECIPES)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_recipe_comes_through_the_form_exactly(links: Links, recipe: Recipe) -> None:
    recipe = recipe.but(model="reseed", model_hash="")
    now, _ = opened(links, "?" + link.write(recipe))
    assert {name: now.pop(name) for name in EXTRA} == EXTRA
    words = {name: wildcards.escape(getattr(recipe, name)) for name in ("prompt", "negative_prompt")}
    texts = {name: str(getattr(recipe, name)) for name in ("seed", "variation_seed")}
    kept = {name: value for name, value in recipe.values().items() if name in form.NAMES}
    assert now == {**kept, **words, **texts}


def test_a_draw_a_batch_and_a_template_are_settled_and_said(links: Links, studio: Studio) -> None:
    parameters, said = links.write(request(), *arguments(studio, prompt="a {red|blue} house", seed="7-9"))
    assert link.read(parameters).seed == 7
    assert link.read(parameters).prompt in ("a red house", "a blue house")
    assert "one picture: seed 7" in said
    assert "not what was typed" in said
    parameters, said = links.write(request(), *arguments(studio, seed=""))
    assert f"one picture: seed {link.read(parameters).seed}" in said


def test_the_picture_on_stage_has_a_link_that_makes_it_again(handlers: Handlers, links: Links) -> None:
    record = made(handlers, seed=str(MAXIMUM), prompt="a <b>lake</b> & {sea|sky}")
    drawn = views.record_stage(record)
    parameters = link.write(record.recipe.but(model_hash=record.fingerprint.model_hash[:10]))
    assert f'data-link="{views.escape(parameters)}"' in drawn
    *changed, said = links.open(f"?{parameters}", "")
    assert (
        "The picture will differ here: the model reseed" in said
    )  # the fake engine's weights are others than those in the folder
    assert again(handlers, changed).recipe == record.recipe


def test_a_picture_whose_link_is_too_long_says_so_on_its_button(handlers: Handlers) -> None:
    words = "".join(chr(one) for one in Random(0).choices(range(0x4E00, 0x9FA6), k=6000))
    drawn = views.record_stage(made(handlers, prompt=words))
    assert "data-link" not in drawn
    assert "at most 8000 characters long" in drawn


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("?seed=abc&v=1", "Seed must be"),
        ("?seed=-1&v=1", "Seed must be"),
        (f"?seed={2**64}&v=1", "Seed must be"),
        ("?seed=7", "no v"),
        ("?seed=7&v=2", "update to read it"),
        ("?seed=7&stepps=4&v=1", "steps"),
        ("?z=AAAA&v=1", "cut off or changed"),
        ("?seed=7&prompt=%ff&v=1", "Recipe link must be"),
        (f"?seed=7&v=1&prompt={quote_plus('<script>') * 2000}", "Prompt must be"),
    ],
)
def test_a_bad_link_gets_its_sentence_and_leaves_the_form_alone(links: Links, address: str, sentence: str) -> None:
    now, said = opened(links, address)
    assert now == {}
    assert sentence in said
    assert 'class="wrong"' in said
    assert "<script" not in said


def test_a_page_opened_without_a_link_stays_as_it_is(links: Links) -> None:
    assert opened(links, "") == ({}, views.note(""))


def test_a_model_that_is_not_here_is_named(links: Links) -> None:
    now, said = opened(links, "?seed=7&model=other&v=1")
    assert "model" not in now
    assert "The model &#x27;other&#x27; is not here" in said
