"""Every sampler with every schedule and every source of noise: repeated, in a batch, and after every generator moved.

The whole grid is slow and runs in CI behind its marker; a line through it (each sampler with its own schedule, each
schedule with Euler) runs always.
"""

import hashlib
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from webui import grid, samplers
from webui.recipe import Recipe

SAMPLERS, SCHEDULES, SOURCES = samplers.sampler_names(), samplers.schedule_names(), ("NV", "CPU")


@pytest.fixture(scope="module")
def sha256(engine):
    def pixels_sha256(recipe: Recipe) -> str:
        *_, last = engine.generate(recipe)
        return hashlib.sha256(np.asarray(last.image).tobytes()).hexdigest()

    return pixels_sha256


def disturb() -> None:
    """Move every global generator that a library might read."""
    torch.manual_seed(random.randrange(2**31))
    torch.rand(3)
    np.random.seed(random.randrange(2**31))
    random.seed()


def check_cell(sha256, recipe: Recipe, again: Sequence[int] = (3, 1, 0, 2)) -> None:
    """Assert that four seeds give four pictures, each the same alone, in any order and whatever came between."""
    batch = grid.batch(recipe, range(recipe.seed, recipe.seed + 4))
    together = [sha256(one) for one in batch]
    assert len(set(together)) == 4, recipe
    disturb()
    for k in again:
        assert sha256(batch[k]) == together[k], (recipe.sampler, recipe.schedule, recipe.rng, k)


@pytest.fixture
def small(recipe) -> Recipe:
    return recipe.but(steps=3)


@pytest.mark.parametrize("rng", SOURCES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_of_each_sampler_with_its_own_schedule(sha256, small, sampler, rng):
    scale = 1.0 if sampler == "DPM adaptive" else small.cfg_scale  # it makes some ninety calls, whatever it is asked
    check_cell(sha256, small.but(sampler=sampler, rng=rng, cfg_scale=scale))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_schedule(sha256, small, schedule):
    check_cell(sha256, small.but(sampler="Euler a", schedule=schedule))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rng", SOURCES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_whole_grid(sha256, small, sampler, rng):
    for schedule in SCHEDULES:
        check_cell(sha256, small.but(sampler=sampler, schedule=schedule, rng=rng, steps=2), again=(2, 0))
