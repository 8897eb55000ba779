"""One recipe, many pictures."""

import pytest

from webui.errors import BadRecipe, BadValue
from webui.grid import MOST_CELLS, Axis, batch, expand, sweep
from webui.recipe import Recipe

RECIPE = Recipe.of(prompt="a lake", seed=7)


def test_a_batch_differs_by_seed_alone() -> None:
    assert [one.but(seed=7) for one in batch(RECIPE, [7, 8, 2**64 - 1])] == [RECIPE] * 3
    assert [one.seed for one in batch(RECIPE, [7, 8, 2**64 - 1])] == [7, 8, 2**64 - 1]


def test_axes_multiply_and_the_first_runs_fastest() -> None:
    cells = expand(RECIPE, [Axis("sampler", ("Euler", "Heun")), Axis("steps", (1, 2, 3))])
    assert [(cell.sampler, cell.steps) for cell in cells] == [
        ("Euler", 1), ("Heun", 1), ("Euler", 2), ("Heun", 2), ("Euler", 3), ("Heun", 3),
    ]  # fmt: skip


def test_no_axes_give_the_recipe_itself() -> None:
    assert expand(RECIPE, []) == [RECIPE]


def test_an_impossible_value_is_named() -> None:
    with pytest.raises(BadRecipe, match="Steps must be"):
        expand(RECIPE, [Axis("steps", (1, 0))])


def test_an_axis_is_labelled_as_its_parameter() -> None:
    assert Axis("cfg_scale", (1,)).label == "CFG scale"


def test_a_sweep_of_three_axes_runs_x_fastest_and_says_what_each_cell_has() -> None:
    axes = [Axis("sampler", ("Euler", "Heun")), Axis("steps", (8, 9)), Axis("cfg_scale", (1.0, 7.5))]
    cells = sweep(RECIPE, axes)
    assert [cell.captions for cell in cells[:3]] == [
        ("Euler", "Steps 8", "CFG scale 1"), ("Heun", "Steps 8", "CFG scale 1"), ("Euler", "Steps 9", "CFG scale 1"),
    ]  # fmt: skip
    assert [cell.recipe for cell in cells] == expand(RECIPE, axes)
    assert len(cells) == 8 and cells[-1].captions == ("Heun", "Steps 9", "CFG scale 7.5")


def test_an_impossible_cell_holds_its_error_and_the_others_are_made() -> None:
    cells = sweep(RECIPE, [Axis("rng", ("NV", "CPU")), Axis("noise_layout", ("plain", "centred"))])
    assert [cell.recipe is None for cell in cells] == [False, False, False, True]
    assert cells[3].captions == ("RNG CPU", "Noise layout centred")
    assert "plain with RNG CPU" in str(cells[3].error)
    assert all(cell.error is None for cell in cells[:3])


def test_a_sweep_has_limits() -> None:
    seeds = Axis("seed", tuple(range(MOST_CELLS)))
    assert len(sweep(RECIPE, [seeds])) == MOST_CELLS
    with pytest.raises(BadValue, match=r"Sweep must be of at most 1000 pictures; got 2000. 1000 × 2 is 2000 pictures"):
        sweep(RECIPE, [seeds, Axis("steps", (1, 2))])
    with pytest.raises(BadValue, match="Axes must be at most 3, no two of them the same"):
        sweep(RECIPE, [Axis("steps", (1,)), Axis("steps", (2,))])
    with pytest.raises(BadValue, match="at most 3"):
        sweep(RECIPE, [Axis(name, (8,)) for name in ("steps", "cfg_scale", "seed", "clip_skip")])
