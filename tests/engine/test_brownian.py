"""Brownian noise: torchsde's numbers, one path per picture, whatever is asked and in which order."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from webui.engine import schedules
from webui.engine.brownian import Brownian

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
SHAPE = (1, 4, 8, 8)
LEVELS = schedules.from_config(SD15)
SIGMAS = schedules.spaced(LEVELS, "Exponential", 20)


GOLDEN = {
    ("NV", 0): ((-6.678223, 5.065266), (-0.6800805, 0.4948844), (-9.769227e-05, 0.001095888)),
    ("NV", 2**64 - 1): ((4.399875, 5.894487), (0.878794, 1.242053), (0.0001121969, -0.0006429998)),
    ("CPU", 42): ((4.413229, 0.8364538), (1.243725, 0.02786737), (0.0007669326, 0.001214248)),
}
ENDS = ((0.03, 14.6), (1.234567, 5.0), (0.1, 0.100001))


@pytest.mark.parametrize(("rng", "seed"), GOLDEN)
def test_golden_increments(rng, seed):
    """The first two numbers that torchsde 0.2.6 gave over each interval; all of them: scripts/compare_torchsde.py."""
    path = Brownian(seed, rng, SHAPE, 0.03, 14.6)
    for ends, golden in zip(ENDS, GOLDEN[rng, seed], strict=True):
        assert path._between(*ends).flatten()[:2].numpy() == pytest.approx(golden, rel=1e-6, abs=2e-7)


def test_the_order_of_the_questions_has_no_influence():
    pairs = list(pairwise(SIGMAS[:-1]))
    path = Brownian.along(7, "NV", SHAPE, SIGMAS)
    wanted = {pair: path(*pair) for pair in pairs}
    shuffled = random.Random(3).sample(pairs * 3, 3 * len(pairs))
    again = Brownian.along(7, "NV", SHAPE, SIGMAS)
    assert all(torch.equal(again(*pair), wanted[pair]) for pair in shuffled)
    assert all(torch.equal(Brownian.along(7, "NV", SHAPE, SIGMAS)(*pair), wanted[pair]) for pair in pairs[::5])


def test_parts_make_up_the_whole():
    path = Brownian(7, "NV", SHAPE, 0.03, 14.6)
    cuts = [0.03, 0.5, 0.500002, 3.3, 9.1, 14.6]
    parts = sum(path(low, high) * math.sqrt(high - low) for low, high in pairwise(cuts))
    assert torch.allclose(parts, path(0.03, 14.6) * math.sqrt(14.57), atol=2e-3)
    assert torch.equal(path(3.3, 9.1), -path(9.1, 3.3))


def test_another_number_of_steps_is_the_same_path():
    first = [Brownian.along(7, "NV", (1, 4, 32, 32), sigmas)(*sigmas[:2]).flatten() for sigmas in (
        schedules.spaced(LEVELS, "Exponential", steps) for steps in (20, 21))]  # fmt: skip
    assert torch.corrcoef(torch.stack(first))[0, 1] > 0.95


def test_variance_is_one_and_intervals_are_independent():
    path = Brownian.along(3, "NV", (1, 4, 64, 64), SIGMAS)
    drawn = torch.stack([path(high, low).flatten() for high, low in pairwise(SIGMAS[:-1])])
    assert torch.allclose(drawn.var(1), torch.ones(len(drawn)), atol=0.05)
    correlation = torch.corrcoef(drawn) - torch.eye(len(drawn))
    assert correlation.abs().max() < 0.04


def test_seeds_and_sources_differ():
    drawn = [Brownian(seed, rng, SHAPE, 0.03, 14.6)(2, 1) for seed in (1, 2, 2**32 + 1) for rng in ("NV", "CPU")]
    for index, one in enumerate(drawn):
        assert all(not torch.equal(one, other) for other in drawn[:index])


def test_outside_and_nothing():
    path = Brownian(1, "NV", SHAPE, 0.03, 14.6)
    assert torch.equal(path(20.0, 14.6), torch.zeros(SHAPE))
    assert torch.equal(path(2.0, 2.0), torch.zeros(SHAPE))
    assert torch.isfinite(path(20.0, 0.0)).all()
    assert torch.isfinite(Brownian.along(1, "NV", SHAPE, (2.0, 0.0))(2.0, 0.0)).all()


def test_leaves_global_generators_alone():
    torch.manual_seed(1)
    before, numbers = torch.random.get_rng_state(), str(np.random.get_state())
    for rng in ("NV", "CPU"):
        Brownian(1, rng, SHAPE, 0.03, 14.6)(2, 1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert numbers == str(np.random.get_state())
