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
QUICK = [name for name in SAMPLERS if name != "DPM adaptive"]
"""That one makes some ninety calls, whatever it is asked: the slow suite has it."""


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
@pytest.mark.parametrize("sampler", QUICK)
def test_a_batch_of_each_sampler_with_its_own_schedule(sha256, small, sampler, rng):
    check_cell(sha256, small.but(sampler=sampler, rng=rng))


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


def test_the_threads_of_the_processor_are_part_of_what_made_a_picture(engine, recipe) -> None:
    """Sums are divided among the threads, so their number moves the last bits."""
    before, made = torch.get_num_threads(), {}
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            stated = engine.states(recipe)
            *_, last = engine.generate(recipe)
            assert last.fingerprint == stated
            assert last.image is not None
            made.setdefault(threads, set()).add((stated.threads, last.image.tobytes()))
    finally:
        torch.set_num_threads(before)
    assert [len(found) for found in made.values()] == [1, 1]
    ((one, pixels_one),), ((two, pixels_two),) = made[1], made[2]
    assert (one, two) == ("1", "2")
    far = np.abs(np.frombuffer(pixels_one, np.uint8).astype(int) - np.frombuffer(pixels_two, np.uint8)).max()
    assert far <= 8  # the last bits, not another picture
    print(f"1 and 2 threads: the greatest difference of a value is {far} of 255")
