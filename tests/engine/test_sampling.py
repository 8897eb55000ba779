"""Samplers against an independent slow reference, written from the papers in float64, and against diffusers.

The toy model is the exact posterior mean of a Gaussian, bent by a sine so that it is not linear.
"""

import math

import numpy as np
import pytest
import torch

from webui import samplers
from webui.engine import sampling, schedules
from webui.engine.noise import Stream
from webui.engine.philox import randn

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
SHAPE = (1, 4, 8, 8)
BOUND = 1e-5
NAMES = samplers.sampler_names()


def toy(x, sigma, flow, sine=torch.sin):
    """Estimate x0 of x: data of mean 0.3 and variance 0.5, and a bend."""
    alpha = 1 - sigma if flow else 1.0
    return 0.3 + 0.5 * alpha / (0.5 * alpha**2 + sigma**2) * (x - alpha * 0.3) + 0.1 * sine(x)


def sample(name: str, sigmas, flow: bool = False, seed: int = 11) -> torch.Tensor:
    """Run our sampler in float32."""
    stream = Stream(seed, "NV", SHAPE)
    run = sampling.start(name, stream.normal(), sigmas, stream.normal, flow)
    x, sigma = next(run)
    while True:
        try:
            x, sigma = run.send(toy(x, sigma, flow))
        except StopIteration as end:
            return end.value


# --- the reference: float64, numpy, straight from the papers ---------------------------------------------------------


def lam(sigma, flow):
    return math.log((1 - sigma) / sigma) if flow else -math.log(sigma)


def inverse_lam(value, flow):
    return 1 / (1 + math.exp(value)) if flow else math.exp(-value)


def alpha_of(sigma, flow):
    return 1 - sigma if flow else 1.0


def exponential_step(x, estimate, sigma, target, flow):
    """Solve the probability-flow ODE exactly for a constant estimate (Lu et al. 2022, equation 8 with n = 1)."""
    return x * target / sigma + estimate * (alpha_of(target, flow) - alpha_of(sigma, flow) * target / sigma)


def ancestral(sigma, target, flow):
    """Return (level to step down to, variance to add there after scaling by `keep`, keep)."""
    if flow:
        down = target * (1 + (target / sigma - 1))
        keep = (1 - target) / (1 - down)
        return down, math.sqrt(target**2 - keep**2 * down**2), keep
    up = math.sqrt(target**2 * (sigma**2 - target**2) / sigma**2)
    return math.sqrt(target**2 - up**2), up, 1.0


def reference(name, sigmas, flow=False, seed=11):
    draw = 0

    def noise():
        nonlocal draw
        draw += 1
        return randn(seed, draw - 1, SHAPE).astype(np.float64)

    def model(x, sigma):
        return toy(x, sigma, flow, np.sin)

    start = noise()
    x = start * (math.sqrt(1 + sigmas[0] ** 2) if name == "DDIM" and not flow else sigmas[0])
    earlier = None
    for i in range(len(sigmas) - 1):
        sigma, target = sigmas[i], sigmas[i + 1]
        estimate = model(x, sigma)
        if name in ("Euler", "DDIM"):
            # For a constant estimate the straight line of Euler and DDIM's equation 12 are the exact solution.
            x = exponential_step(x, estimate, sigma, target, flow)
        elif name == "Euler a":
            down, up, keep = ancestral(sigma, target, flow)
            x = exponential_step(x, estimate, sigma, down, flow)
            x = keep * x + up * noise() if target > 0 else x
        elif name == "Heun":
            slope = (x - estimate) / sigma
            guess = x + (target - sigma) * slope
            if target > 0:
                guess = x + (target - sigma) * 0.5 * (slope + (guess - model(guess, target)) / target)
            x = guess
        elif name == "DPM++ 2M":
            corrected = estimate
            if earlier is not None and target > 0 and earlier[1] < 1e9 and not (flow and earlier[1] >= 1):
                r = (lam(sigma, flow) - lam(earlier[1], flow)) / (lam(target, flow) - lam(sigma, flow))
                corrected = (1 + 1 / (2 * r)) * estimate - earlier[0] / (2 * r)
            x, earlier = exponential_step(x, corrected, sigma, target, flow), (estimate, sigma)
        elif name == "DPM++ 2S a":
            down, up, keep = ancestral(sigma, target, flow)
            if down > 0 and not (flow and sigma >= 1):
                middle = inverse_lam((lam(sigma, flow) + lam(down, flow)) / 2, flow)
                estimate = model(exponential_step(x, estimate, sigma, middle, flow), middle)
            x = exponential_step(x, estimate, sigma, down, flow)
            x = keep * x + up * noise() if target > 0 else x
    return x


def relative(ours, theirs) -> float:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


# --- tests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["Uniform", "Karras", "Simple", "DDIM"])
@pytest.mark.parametrize("name", NAMES)
def test_against_the_slow_reference(name, schedule, record_property):
    sigmas = schedules.spaced(schedules.from_config(SD15), schedule, 20)
    error = relative(sample(name, sigmas), reference(name, sigmas))
    record_property("relative error", error)
    print(f"{name:12} {schedule:10} {error:.1e}")
    assert error <= BOUND


@pytest.mark.parametrize("name", NAMES)
def test_flow_against_the_slow_reference(name, record_property):
    sigmas = schedules.spaced(schedules.flow_levels(3.0), "Simple", 20)
    error = relative(sample(name, sigmas, flow=True), reference(name, sigmas, flow=True))
    record_property("relative error", error)
    print(f"{name:12} {'flow':10} {error:.1e}")
    assert error <= BOUND


def diffused(scheduler, steps: int) -> torch.Tensor:
    """Run a plain scheduler of diffusers on the toy model, from the same noise."""
    scheduler.set_timesteps(steps)
    x = Stream(11, "NV", SHAPE).normal() * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, timestep)
        sigma = scheduler.sigmas[scheduler.step_index].item()
        assert torch.allclose(scaled, x / math.hypot(sigma, 1))
        x = scheduler.step((x - toy(x, sigma, False)) / sigma, timestep, x).prev_sample
    return x


@pytest.mark.parametrize(
    ("name", "class_name"), [("Euler", "EulerDiscreteScheduler"), ("Heun", "HeunDiscreteScheduler")]
)
def test_against_plain_diffusers(name, class_name, record_property):
    """What is left: between trained levels diffusers interpolates sigma, A1111 its logarithm."""
    import diffusers

    scheduler = getattr(diffusers, class_name)(**SD15, timestep_spacing="linspace")
    theirs = diffused(scheduler, 20)
    sigmas = schedules.spaced(schedules.from_config(SD15), "Uniform", 20)
    error = relative(sample(name, sigmas), theirs)
    record_property("relative error", error)
    print(f"{name:12} {'diffusers linspace':10} {error:.1e}")
    assert error <= BOUND


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_the_plan_is_what_happens(name, flow, steps):
    levels = schedules.flow_levels(3.0) if flow else schedules.from_config(SD15)
    sigmas = schedules.spaced(levels, "Simple", steps)
    stream = Stream(1, "NV", SHAPE)
    run = sampling.start(name, stream.normal(), sigmas, stream.normal, flow)
    asked = []
    x, sigma = next(run)
    while True:
        asked.append(sigma)
        try:
            x, sigma = run.send(toy(x, sigma, flow))
        except StopIteration as end:
            assert torch.isfinite(end.value).all()
            break
    assert asked == sampling.plan(name, sigmas, flow)
    assert steps <= len(asked) <= steps * samplers.sampler(name).evaluations


@pytest.mark.parametrize("name", NAMES)
def test_stochastic_samplers_draw_once_a_step_and_the_others_never(name):
    stream = Stream(1, "NV", SHAPE)
    sigmas = schedules.spaced(schedules.from_config(SD15), "Karras", 6)
    run = sampling.start(name, stream.normal(), sigmas, stream.normal)
    x, sigma = next(run)
    with pytest.raises(StopIteration):
        while True:
            x, sigma = run.send(toy(x, sigma, False))
    assert stream.draws == (6 if samplers.sampler(name).stochastic else 1)  # none after the last step


@pytest.mark.parametrize("name", NAMES)
def test_the_last_step_is_the_estimate(name):
    """A step to sigma 0 ends on the denoised estimate itself."""
    sigmas = (2.0, 0.0)
    noise = Stream(1, "NV", SHAPE).normal()
    scale = math.hypot(1, 2) if name == "DDIM" else 2.0
    found = sample(name, sigmas, seed=1)
    assert torch.allclose(found, toy(noise * scale, 2.0, False), atol=1e-6)


def test_every_row_of_the_table_has_its_algorithm():
    assert set(sampling._RUNS) == set(NAMES)
    assert set(schedules._SPACINGS) | {samplers.AUTOMATIC} == set(samplers.schedule_names())
