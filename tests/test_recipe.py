"""Recipes: frozen, complete, the same after a round trip; one declaration a parameter; every bad value named."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from tests.strategies import RECIPES
from webui.errors import BadRecipe, BadValue, PictureError
from webui.recipe import PARAMS, PROMPT_LIMIT, Recipe


@given(RECIPES)
def test_json_round_trip(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


@given(RECIPES, RECIPES)
def test_digest_is_equal_if_and_only_if_the_recipes_are(one: Recipe, other: Recipe) -> None:
    assert (one.digest() == other.digest()) == (one == other)
    assert one.digest() == one.but().digest()


FIRST = (
    '{"version": 1, "prompt": "a lake", "negative_prompt": "", "steps": 8, "sampler": "Euler a", "schedule": '
    '"Automatic", "cfg_scale": 7.0, "seed": "18446744073709551615", "width": 64, "height": 64, "model": "reseed", '
    '"model_hash": "", "clip_skip": 1, "rng": "NV", "variation_seed": 0, "variation_strength": 0.0, "variations": "", '
    '"variation_noise": "start", "resize_width": 0, "resize_height": 0, "noise_layout": "plain", "ensd": 0, '
    '"emphasis": "Original", "profile": "A1111"}'
)
"""A recipe as the first snapshots wrote it."""
DIGEST = "90ca76edbafd515cbb1827a2b2c01be4b5eaf042783fd9d7d06797456f91029a"


def test_a_recipe_from_before_a_field_was_there_reads_and_keeps_its_digest() -> None:
    recipe = Recipe.from_json(FIRST)
    assert recipe.to_dict().items() >= json.loads(FIRST).items()
    assert recipe.digest() == DIGEST
    assert {name for name in PARAMS if name not in json.loads(FIRST)} >= {"eta", "s_churn", "sigma_max", "ngms"}


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_a_seed_is_decimal_text_in_json(seed: int) -> None:
    text = Recipe.of(seed=seed).to_json()
    assert json.loads(text)["seed"] == str(seed)
    assert Recipe.from_json(text).seed == seed


def test_a_recipe_is_frozen() -> None:
    recipe = Recipe.of(seed=1)
    with pytest.raises(ValidationError):
        recipe.seed = 2  # type: ignore[misc]
    assert recipe.but(seed=2).seed == 2
    assert recipe.seed == 1


def test_a_recipe_cannot_hold_minus_one() -> None:
    with pytest.raises(BadRecipe, match="Seed must be"):
        Recipe.of(seed=-1)


BAD = [
    *[("steps", value) for value in (0, -1, 1.5, 151, 10**9, math.nan, math.inf, "20", "abc", True, None, [], {})],
    *[("cfg_scale", value) for value in (math.nan, -math.inf, -1, 30.5, 1e308, 10**400, "7", None, True)],
    *[("width", value) for value in (7, 0, -64, 513, 65536, 56, None)],
    *[("seed", value) for value in (-1, -2, 2**64, 1.0, True, "1.5", "", None, [7])],
    *[("prompt", value) for value in ("x" * (PROMPT_LIMIT + 1), "a\0b", "\ud800", None, 7)],
    ("sampler", "eular"), ("schedule", "karas"), ("rng", "GPU"), ("clip_skip", 0), ("clip_skip", 13),
    ("eta", 1.1), ("s_churn", -1), ("ngms_all", "Automatic"),
    ("discard_penultimate", 1), ("discard_penultimate", "yes"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_not_allowed_is_named(name: str, value: Any) -> None:
    with pytest.raises(BadRecipe) as caught:
        Recipe.of(**{"seed": 1, name: value})
    (error,) = caught.value.errors
    assert error.field == name
    assert str(error).startswith(PARAMS[name].label)
    assert "must be" in str(error)


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(BadRecipe) as caught:
        Recipe.of(seed=-1, steps=0, width=513, sampler="eular", nonsense=1)
    assert {error.field for error in caught.value.errors} == {"seed", "steps", "width", "sampler", "nonsense"}
    assert "Nearest: 512 or 520." in str(caught.value)
    assert "Did you mean Euler" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [("cfg_scale", -0.0, 0.0), ("cfg_scale", 7, 7.0), ("steps", 20.0, 20), ("sampler", "k_euler_a", "Euler a"),
     ("schedule", "karras", "Karras"), ("prompt", "a\r\nb\rc", "a\nb\nc"), ("rng", "nv", "NV"),
     ("sgm_noise", True, "On"), ("sgm_noise", "false", "Off"), ("sgm_noise", "automatic", "Automatic"),
     ("eta", 1, 1.0)],
)  # fmt: skip
def test_values_have_one_stored_form(name: str, value: Any, stored: Any) -> None:
    kept = getattr(Recipe.of(**{"seed": 1, name: value}), name)
    assert (kept, type(kept), str(kept)) == (stored, type(stored), str(stored))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"version": 99}', '{"seed": "1"}', "[" * 100_000])
def test_what_is_no_recipe_is_a_sentence(text: str) -> None:
    with pytest.raises(PictureError):
        Recipe.from_json(text)


def test_an_unknown_key_is_refused() -> None:
    data = Recipe.of(seed=1).to_dict() | {"steeps": 4}
    with pytest.raises(BadRecipe, match="Did you mean steps"):
        Recipe.from_dict(data)


@given(RECIPES)
def test_every_value_can_be_written_as_text_and_read_back(recipe: Recipe) -> None:
    for name, value in recipe.values().items():
        assert PARAMS[name].parse(PARAMS[name].format(value)) == value


@pytest.mark.parametrize("text", ["1_0", "１２", "0x10", "1e2", "", " ", "1.0", "9" * 30])
def test_text_that_is_no_whole_number(text: str) -> None:
    with pytest.raises(BadValue, match="Steps must be a whole number from 1 to 150"):
        PARAMS["steps"].parse(text)


def test_every_parameter_explains_itself() -> None:
    assert list(PARAMS) == list(Recipe.model_fields)
    for name, param in PARAMS.items():
        assert param.name == name
        assert param.label and param.help.endswith(".") and param.rule
        assert param.required or param.check(param.default) == param.default
    assert len({param.label for param in PARAMS.values()}) == len(PARAMS)
