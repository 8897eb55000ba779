"""The form: every declared parameter is there, seeds are text, and recipes come in without losing anything."""

import gradio as gr
import pytest

from webui.errors import PictureError
from webui.infotext import parse
from webui.params import Param, Seed, Whole
from webui.png import PictureText
from webui.recipe import PARAMS, Recipe
from webui.studio import Studio
from webui.ui import form

SKIP = gr.skip()


def test_every_parameter_has_a_component_with_its_declaration() -> None:
    assert set(form.NAMES) | set(form.HIDDEN) == set(PARAMS)
    assert sorted([*form.MAIN, *form.VARY, *form.MORE]) == sorted(form.NAMES)
    for name in form.NAMES:
        part, param = form.component(name, PARAMS[name].default, ["reseed"]), PARAMS[name]
        assert part.label == param.label
        assert part.value == (str(param.default) if isinstance(param, Seed) else param.default)
        if isinstance(param, Whole):
            assert (part.minimum, part.maximum, part.step) == (param.minimum, param.maximum, param.step)
            assert type(part) is (gr.Slider if param.maximum <= form.SLIDES else gr.Number)


def test_no_field_that_can_hold_a_seed_is_a_number() -> None:
    assert type(form.seed_field()) is gr.Textbox
    assert type(form.component("variation_seed", 2**64 - 1)) is gr.Textbox
    assert form.component("variation_seed", 2**64 - 1).value == "18446744073709551615"


def test_a_parameter_without_a_component_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARAMS, "steps", Param("Steps", "How many."))
    with pytest.raises(TypeError, match="no component for Param"):
        form.component("steps", 1)


def test_arguments_become_values_and_sliders_lose_their_fraction(studio: Studio) -> None:
    first = studio.defaults()
    values, seed, count, numbering = form.read([*(first[name] for name in form.NAMES), "7, 9", 2.0, "same"])
    assert values == {name: first[name] for name in form.NAMES}
    assert (seed, count, numbering) == ("7, 9", 2, "same")
    assert isinstance(count, int)


def test_a_whole_recipe_fills_the_form_and_makes_one_picture() -> None:
    recipe = Recipe.of(prompt="a lake", seed=2**64 - 1, steps=7)
    changed, sentences = form.updates(recipe.values(), ["reseed"])
    filled = dict(zip([*form.NAMES, *form.EXTRA], changed, strict=True))
    assert filled["seed"] == "18446744073709551615"
    assert (filled["prompt"], filled["steps"], filled["count"]) == ("a lake", 7, 1)
    assert filled["numbering"] == SKIP
    assert sentences == []


@pytest.mark.parametrize(
    ("what", "names"), [("seed", {"seed"}), ("prompt", {"prompt", "negative_prompt"}), ("all", set(PARAMS))]
)
def test_a_part_of_a_recipe_leaves_the_rest_of_the_form(what: str, names: set[str]) -> None:
    chosen = form.part(Recipe.of(seed=0).values(), what)
    assert set(chosen) == names
    changed, _ = form.updates(chosen, ["reseed"])
    filled = dict(zip([*form.NAMES, *form.EXTRA], changed, strict=True))
    kept = {name for name, value in filled.items() if value == SKIP}
    assert kept == set(filled) - names - ({"count"} if what == "all" else set())


def test_a_model_that_is_not_here_is_named_and_the_forms_own_stays() -> None:
    changed, sentences = form.updates({"model": "elsewhere"}, ["reseed"])
    assert changed == [SKIP] * len(changed)
    assert len(sentences) == 1
    assert "elsewhere" in sentences[0]


def test_a_value_that_is_not_allowed_is_named_and_not_loaded() -> None:
    changed, sentences = form.updates({"steps": 9999}, ["reseed"])
    assert changed == [SKIP] * len(changed)
    assert "Steps must be" in sentences[0]


def test_what_a_foreign_picture_says_keeps_its_problems() -> None:
    reading = parse("a lake\nSteps: 9999, Sampler: Nonsense, Seed: 5")
    values, sentences = form.known(PictureText(reading=reading))
    assert values["seed"] == 5
    assert "steps" not in values
    assert [sentence.split(" must be ")[0] for sentence in sentences[:2]] == ["Sampler", "Steps"]
    assert list(reading.notes) == sentences[2:]
    assert "Noise from the graphics card: NV gives the same numbers for most sizes." in sentences


def test_a_picture_without_a_recipe_is_a_sentence() -> None:
    with pytest.raises(PictureError, match="carries no recipe"):
        form.known(PictureText())


def test_the_shown_seed_has_every_digit() -> None:
    assert ("Seed", "9007199254740993") in list(form.shown(Recipe.of(seed=2**53 + 1).values()))
