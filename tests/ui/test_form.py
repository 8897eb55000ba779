"""The form: every declared parameter is there, seeds are text, and recipes come in without losing anything."""

import gradio as gr
import pytest

from webui.errors import PictureError
from webui.infotext import parse
from webui.lineage import Lineage
from webui.params import Param, Seed, Whole
from webui.png import PictureText
from webui.recipe import PARAMS, Recipe
from webui.studio import Studio
from webui.ui import form

SKIP = gr.skip()


def test_every_parameter_has_a_component_with_its_declaration() -> None:
    assert set(form.NAMES) | set(form.HIDDEN) == set(PARAMS)
    assert sorted([*form.MAIN, *form.VARY, *form.DETAILS, *form.MORE]) == sorted(form.NAMES)
    for name in form.NAMES:
        part, param = form.component(name, PARAMS[name].default, ["reseed"]), PARAMS[name]
        assert part.label == param.label
        assert part.value == (str(param.default) if isinstance(param, Seed) else param.default)
        if isinstance(param, Whole):
            slides = param.maximum <= form.SLIDES
            bounds = (param.minimum, param.maximum, param.step) if slides else (None, None, 1)
            assert (part.minimum, part.maximum, part.step) == bounds
            assert type(part) is (gr.Slider if slides else gr.Number)


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
    extra = ["7, 9", 2.0, "same", ["Oil"], "ab" * 16 + "@", 35]
    values, seed, count, numbering, lineage, share = form.read([*(first[name] for name in form.NAMES), *extra])
    assert values == {name: first[name] for name in form.NAMES}
    assert (seed, count, numbering, share) == ("7, 9", 2, "same", 0.35)
    assert lineage == Lineage("ab" * 16, styles=("Oil",))
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
    settled = ({"count"} if what == "all" else set()) | ({"share"} if "prompt" in names else set())
    assert kept == set(filled) - names - settled


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


def test_values_are_put_among_the_arguments_by_name() -> None:
    names = [*form.NAMES, *form.EXTRA]
    changed = dict(zip(names, form.put(names, seed="9", parent="x"), strict=True))
    assert (changed["seed"], changed["parent"]) == ("9", "x")
    assert all(changed[name] == name for name in names if name not in ("seed", "parent"))


def test_the_styles_are_hidden_while_there_are_none_and_say_what_is_to_be_said() -> None:
    assert form.styles_field([], None).visible is False
    part = form.styles_field([("✓ Oil", "Oil")], "styles.csv: Line 3 has no name.")
    assert part.choices == [("✓ Oil", "Oil")]
    assert (part.visible, part.value, part.info) == (True, [], "styles.csv: Line 3 has no name.")


def test_what_is_told_a_sampler_is_shown_where_it_is_not_the_default() -> None:
    recipe = Recipe.of(seed=1, eta=0.5, ngms_all="On")
    shown = form.telling(recipe.values())
    assert {name for name in form.DETAILS if name in shown} == {"eta", "ngms_all"}
    assert set(recipe.values()) - set(shown) == set(form.DETAILS) - {"eta", "ngms_all"}


def test_numbers_that_no_slider_meets_are_typed() -> None:
    kinds = {name: type(form.component(name, PARAMS[name].default)).__name__ for name in ("sigma_max", "eta", "ensd")}
    assert kinds == {"sigma_max": "Number", "eta": "Slider", "ensd": "Number"}
