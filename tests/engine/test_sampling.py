"""What every sampler keeps: its plan, its draws, its ends, finite numbers, and no hand on global generators."""

import math

import numpy as np
import pytest
import torch

from webui import samplers
from webui.engine import sampling, sampling_adaptive, sampling_stochastic, schedules
from webui.engine.brownian import Brownian
from webui.engine.noise import Stream
from webui.errors import BadValue

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
SHAPE = (1, 4, 8, 8)
NAMES = samplers.sampler_names()
FLOWING = [name for name in NAMES if samplers.sampler(name).flow]
LEVELS = {False: schedules.from_config(SD15), True: schedules.flow_levels(3.0)}
BOTH = [(name, False) for name in NAMES] + [(name, True) for name in FLOWING]


def toy(x, sigma, flow):
    """Estimate x0 of x: data of mean 0.3 and variance 0.5, and a bend."""
    alpha = 1 - sigma if flow else 1.0
    return 0.3 + 0.5 * alpha / (0.5 * alpha**2 + sigma**2) * (x - alpha * 0.3) + 0.1 * torch.sin(x)


def sample(name: str, sigmas, flow: bool = False, seed: int = 1, model=toy):
    """Return the latent, the sigmas that were asked and the number of draws."""
    stream = Stream(seed, "NV", SHAPE)
    brownian = Brownian.along(seed, "CPU", SHAPE, sigmas)  # faster than NV
    run = sampling.start(name, stream.normal(), sigmas, stream.normal, flow, brownian=brownian)
    asked = []
    x, sigma = next(run)
    while True:
        asked.append(sigma)
        assert x.dtype == torch.float32
        try:
            x, sigma = run.send(model(x, sigma, flow))
        except StopIteration as end:
            return end.value, asked, stream.draws


def spacing(name: str, schedule: str, steps: int, flow: bool):
    return schedules.spaced(LEVELS[flow], schedule, steps, discard=samplers.sampler(name).discard_penultimate)


@pytest.mark.parametrize(("name", "flow"), [pair for pair in BOTH if pair[0] != "DPM adaptive"])
@pytest.mark.parametrize("steps", [1, 2, 3, 9, 21, 40])
def test_the_plan_is_what_happens(name, flow, steps):
    sigmas = spacing(name, "Simple", steps, flow)
    _, asked, _ = sample(name, sigmas, flow)
    assert asked == sampling.plan(name, sigmas, flow)
    assert steps <= len(asked) <= steps * samplers.sampler(name).evaluations
    assert all(sigma > 0 for sigma in asked)


@pytest.mark.parametrize("name", NAMES)
def test_draws(name):
    """Ancestral samplers draw once a step, none after the last; the others never, nor those with Brownian noise."""
    _, _, draws = sample(name, spacing(name, "Karras", 6, False))
    row = samplers.sampler(name)
    if name in ("DPM fast", "DPM adaptive"):
        assert draws > 1
    else:
        assert draws == (6 if row.stochastic and not row.brownian and name != "Restart" else 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_last_step_is_the_estimate(name):
    """A step to sigma 0 ends on the denoised estimate itself."""
    noise = Stream(1, "NV", SHAPE).normal()
    scale = math.hypot(1, 2) if name in ("DDIM", "UniPC") else 2.0
    found, asked, _ = sample(name, (2.0, 0.0))
    assert asked == [2.0]
    assert torch.allclose(found, toy(noise * scale, 2.0, False), atol=1e-6)


@pytest.mark.parametrize(("name", "flow"), BOTH)
def test_finite_and_repeatable_and_no_global_generator(name, flow):
    """On every schedule and from one step on."""
    torch.manual_seed(4)
    before, numbers = torch.random.get_rng_state(), str(np.random.get_state())
    for schedule in samplers.schedule_names():
        if schedule == samplers.AUTOMATIC or (flow and schedule == "Align Your Steps"):
            continue
        for steps in (1, 2, 3, 5, 20):
            sigmas = spacing(name, schedule, steps, flow)
            latent, asked, _ = sample(name, sigmas, flow)
            assert torch.isfinite(latent).all(), (schedule, steps)
            assert all(0 < sigma <= sigmas[0] * (1 + 1e-9) for sigma in asked), (schedule, steps)
            assert latent.abs().max() < 100, (schedule, steps)
        torch.rand(3)
        assert torch.equal(latent, sample(name, sigmas, flow)[0])
        torch.random.set_rng_state(before)
    sample(name, sigmas, flow)
    assert torch.equal(before, torch.random.get_rng_state())
    assert numbers == str(np.random.get_state())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "LCM"])  # it wants a consistency model
def test_the_data_come_out(name):
    """With the exact posterior of a Gaussian as the model, many latents have its mean and variance."""

    def gaussian(x, sigma, flow):
        return 0.3 + 0.5 / (0.5 + sigma**2) * (x - 0.3)

    sigmas = spacing(name, "Karras", 60, False)
    found = torch.cat([sample(name, sigmas, seed=seed, model=gaussian)[0] for seed in range(8)])
    assert abs(found.mean().item() - 0.3) < 0.05
    assert abs(found.var().item() - 0.5) < 0.08


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FLOWING)))
def test_no_form_for_flow_models_is_a_sentence(name):
    with pytest.raises(BadValue, match=r"Sampler must be one that has a form for flow models; got .*Heun") as caught:
        sampling.start(name, torch.zeros(SHAPE), (1.0, 0.0), lambda: torch.zeros(SHAPE), flow=True)
    assert caught.value.field == "sampler"
    with pytest.raises(BadValue):
        sampling.plan(name, (1.0, 0.0), flow=True)


def test_every_row_of_the_table_has_its_algorithm():
    assert set(sampling._RUNS) | set(sampling._BROWNIAN) == set(NAMES)
    assert set(sampling._BROWNIAN) == {row.name for row in samplers.SAMPLERS if row.brownian}


def test_brownian_noise_cannot_be_forgotten():
    with pytest.raises(ValueError, match="Brownian"):
        sampling.start("DPM++ SDE", torch.zeros(SHAPE), (1.0, 0.0), lambda: torch.zeros(SHAPE))


@pytest.mark.parametrize("steps", range(1, 151))
def test_restarts_are_part_of_the_steps(steps):
    path = sampling_stochastic._restarts(spacing("Restart", "Karras", steps, False))
    assert len(path) == steps
    assert path[-1][1] == 0
    again = sum(start > end for (start, _), (_, end) in zip(path[1:], path[:-1], strict=True))
    assert again == (0 if steps < 20 else 1 if steps < 36 else 2)


def test_adaptive_steps_follow_the_error():
    """A straight model is done sooner than a bent one, and steps have no part in it."""

    def bent(x, sigma, flow):
        return toy(x, sigma, flow) + 0.5 * torch.sin(20 * x)

    sigmas = spacing("DPM adaptive", "Uniform", 5, False)
    calls = [len(sample("DPM adaptive", sigmas, model=model)[1]) for model in (toy, bent)]
    assert calls[0] < calls[1]
    more = sample("DPM adaptive", spacing("DPM adaptive", "Uniform", 50, False))
    assert torch.equal(more[0], sample("DPM adaptive", sigmas)[0])
    assert 0 < len(sampling.plan("DPM adaptive", sigmas)) < 200


def test_adaptive_steps_end_even_with_a_model_of_noise():
    stream = Stream(9, "NV", SHAPE)
    sigmas = spacing("DPM adaptive", "Uniform", 5, False)
    _, asked, _ = sample("DPM adaptive", sigmas, model=lambda x, sigma, flow: 100 * stream.normal())
    assert len(asked) < 7 / sampling_adaptive.SMALLEST


def test_adaptive_steps_end_when_numbers_do():
    found, asked, _ = sample("DPM adaptive", (14.6, 0.03, 0.0), model=lambda x, sigma, flow: x * math.nan)
    assert torch.isnan(found).all()
    assert len(asked) == 3
