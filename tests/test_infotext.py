"""Infotext: what A1111 and its relatives write is read; nothing raises; nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from tests.strategies import RECIPES
from webui import infotext
from webui.infotext import Reading, parse
from webui.recipe import Recipe


@given(RECIPES)
def test_everything_but_the_words_survives(recipe: Recipe) -> None:
    values = parse(infotext.format(recipe)).values
    for name in ("steps", "sampler", "schedule", "cfg_scale", "seed", "width", "height", "clip_skip", "rng"):
        assert values.get(name, 1) == getattr(recipe, name)


@given(RECIPES)
def test_ordinary_words_survive(recipe: Recipe) -> None:
    words = " ".join(recipe.prompt.split()).replace("Negative prompt:", "")
    recipe = recipe.but(prompt=words.strip(), negative_prompt="fog,\nrain: (heavy:1.2)")
    values = parse(infotext.format(recipe)).values
    assert values["prompt"] == recipe.prompt
    assert values["negative_prompt"] == recipe.negative_prompt


A1111 = """masterpiece, (dense forest:1.2), duckling
by the stream
Negative prompt: lowres, text,
blurry
Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1269646841, Size: 512x768, Model hash: 6ce0161689, \
Model: v1-5-pruned, Clip skip: 2, ENSD: 31337, Lora hashes: "a: 1b2c, d: 3e4f", Version: v1.6.0"""


def test_a1111() -> None:
    reading = parse(A1111)
    assert reading.values == {
        "prompt": "masterpiece, (dense forest:1.2), duckling\nby the stream",
        "negative_prompt": "lowres, text,\nblurry",
        "sampler": "DPM++ 2M", "schedule": "Karras", "steps": 30, "cfg_scale": 7.5, "seed": 1269646841,
        "width": 512, "height": 768, "model_hash": "6ce0161689", "model": "v1-5-pruned", "clip_skip": 2,
    }  # fmt: skip
    assert reading.rest == {"ENSD": "31337", "Lora hashes": "a: 1b2c, d: 3e4f", "Version": "v1.6.0"}
    assert reading.problems == ()


def test_a_seed_of_64_bits_keeps_its_digits() -> None:
    assert parse("x\nSteps: 1, Seed: 9202427981074766178").values["seed"] == 9202427981074766178


def test_prose_with_colons_stays_a_prompt() -> None:
    assert parse("scene: night, mood: dark, light: soft").values["prompt"] == "scene: night, mood: dark, light: soft"


def test_two_parameters_are_parameters() -> None:
    assert parse("a cat\nSteps: 20, Sampler: Euler a").values["prompt"] == "a cat"


def test_parameters_without_a_prompt() -> None:
    reading = parse("Steps: 20, Sampler: Euler, Seed: 3")
    assert (reading.values["prompt"], reading.values["seed"]) == ("", 3)


def test_values_not_allowed_are_problems_not_defaults() -> None:
    reading = parse("x\nSteps: 9999, Sampler: Nonsense, Seed: -1, Size: 500x501, RNG: GPU")
    assert not {"steps", "sampler", "seed", "width", "height", "rng"} & reading.values.keys()
    assert [problem.field for problem in reading.problems] == ["sampler", "width", "height", "steps", "seed", "rng"]


@given(st.text(max_size=300))
def test_reading_is_total(text: str) -> None:
    assert isinstance(parse(text), Reading)


@given(st.text(st.sampled_from('Steps: Seed,"\\\n1x{}'), max_size=200))
def test_reading_is_total_near_the_grammar(text: str) -> None:
    assert isinstance(parse(text), Reading)


@pytest.mark.parametrize(
    "unit", ["a", "a: b, ", "a" * 60 + " ", 'Steps: "', "Steps: 1, ", ",", 'k: "\\"', " ", "a ", "a b: ", "a-/ ", ":"]
)
def test_a_hundred_thousand_characters_take_linear_time(unit: str) -> None:
    assert growth(parse, unit) < 25


@given(st.dictionaries(st.sampled_from(["Version", "Lora hashes", "Note"]), st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)))  # fmt: skip
def test_further_keys_survive(extras: dict[str, str]) -> None:
    assert parse(infotext.format(Recipe.of(seed=1), extras)).rest == extras
