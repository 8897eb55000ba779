"""One recipe, many pictures."""

import pytest

from webui.errors import BadRecipe
from webui.grid import Axis, batch, expand
from webui.recipe import Recipe

RECIPE = Recipe.of(prompt="a lake", seed=7)


def test_a_batch_differs_by_seed_alone() -> None:
    assert [one.but(seed=7) for one in batch(RECIPE, [7, 8, 2**64 - 1])] == [RECIPE] * 3
    assert [one.seed for one in batch(RECIPE, [7, 8, 2**64 - 1])] == [7, 8, 2**64 - 1]


def test_axes_multiply_and_the_last_runs_fastest() -> None:
    cells = expand(RECIPE, [Axis("sampler", ("Euler", "Heun")), Axis("steps", (1, 2, 3))])
    assert [(cell.sampler, cell.steps) for cell in cells] == [
        ("Euler", 1), ("Euler", 2), ("Euler", 3), ("Heun", 1), ("Heun", 2), ("Heun", 3),
    ]  # fmt: skip


def test_no_axes_give_the_recipe_itself() -> None:
    assert expand(RECIPE, []) == [RECIPE]


def test_an_impossible_value_is_named() -> None:
    with pytest.raises(BadRecipe, match="Steps must be"):
        expand(RECIPE, [Axis("steps", (1, 0))])


def test_an_axis_is_labelled_as_its_parameter() -> None:
    assert Axis("cfg_scale", (1,)).label == "CFG scale"
