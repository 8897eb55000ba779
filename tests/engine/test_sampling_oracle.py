"""Samplers against an independent slow reference, written from the papers in float64, and against diffusers.

The toy model is the exact posterior mean of a Gaussian, bent by a sine so that it is not linear. Stochastic samplers
and their references get the same noise. Where a formula is in log-SNR, flow is checked by a change of variables: with
y = x / (1 − s) and sigma = s / (1 − s) a flow model is a diffusion model.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from webui import samplers
from webui.engine import sampling, schedules
from webui.engine.brownian import Brownian
from webui.engine.noise import Stream
from webui.engine.philox import randn

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
SHAPE = (1, 4, 8, 8)
BOUND = 1e-5
NAMES = samplers.sampler_names()
SLOPES = ("Euler", "Heun", "HeunPP2", "DPM2", "LMS", "IPNDM", "DEIS", "DPM2 a", "Euler a", "DPM++ 2S a")
"""Their flow forms are in sigma itself; those of the others are in log-SNR."""


def toy(x, sigma, flow, sine=torch.sin):
    """Estimate x0 of x: data of mean 0.3 and variance 0.5, and a bend."""
    alpha = 1 - sigma if flow else 1.0
    return 0.3 + 0.5 * alpha / (0.5 * alpha**2 + sigma**2) * (x - alpha * 0.3) + 0.1 * sine(x)


def sample(name: str, sigmas, flow: bool = False, seed: int = 11, options=sampling.NONE) -> torch.Tensor:
    """Run our sampler in float32."""
    stream = Stream(seed, "NV", SHAPE)
    brownian = Brownian.along(seed, "NV", SHAPE, sigmas)
    run = sampling.start(name, stream.normal(), sigmas, stream.normal, flow, brownian=brownian, options=options)
    x, sigma = next(run)
    while True:
        try:
            x, sigma = run.send(toy(x, sigma, flow))
        except StopIteration as end:
            return end.value


# --- the reference: float64, numpy, straight from the papers ---------------------------------------------------------


class World:
    """A model and its noise; ``mapped``: a flow model seen as a diffusion model; ``options`` of the sampler."""

    def __init__(self, seed, sigmas, flow, mapped, options):
        self.seed, self.flow, self.mapped = seed, flow, mapped
        self.draws = 0
        self.eta, self.eta_ddim = options.get("eta", 1.0), options.get("eta_ddim", 0.0)
        self.churn, self.low, self.high = (options.get(name, 0.0) for name in ("s_churn", "s_tmin", "s_tmax"))
        self.path = Brownian.along(seed, "NV", SHAPE, sigmas)

    def noise(self):
        self.draws += 1
        return randn(self.seed, self.draws - 1, SHAPE).astype(np.float64)

    def own(self, sigma):
        return sigma / (1 + sigma) if self.mapped else sigma

    def brown(self, sigma, target):
        return self.path(self.own(sigma), self.own(target)).numpy().astype(np.float64)

    def model(self, x, sigma):
        own = self.own(sigma)
        return toy(x * (1 - own) if self.mapped else x, own, self.flow, np.sin)

    def slope(self, x, sigma):
        return (x - self.model(x, sigma)) / sigma

    def churned(self, x, sigma, steps):
        """Karras et al. 2022, algorithm 2, lines 4 to 6; noise is drawn at every step."""
        if self.churn == 0:
            return x, sigma
        inside = self.low <= sigma and (self.high == 0 or sigma <= self.high)
        gamma = min(self.churn / steps, math.sqrt(2) - 1) if inside else 0
        hat = sigma + gamma * sigma
        return x + np.sqrt(hat**2 - sigma**2) * self.noise(), hat


def reference(name, sigmas, flow=False, seed=11, options=sampling.NONE):
    mapped = flow and name not in SLOPES
    world = World(seed, sigmas, flow, mapped, options)
    levels = [sigma / (1 - sigma) for sigma in sigmas] if mapped else list(sigmas)
    unit = name in ("DDIM", "UniPC") and not flow
    x = world.noise() * (math.sqrt(1 + levels[0] ** 2) if unit else levels[0])
    if name in ONE_STEP:
        for sigma, target in pairwise(levels):
            x, hat = world.churned(x, sigma, len(levels) - 1)
            x = ONE_STEP[name](world, x, hat, target)
        return x
    return WHOLE[name](world, x, levels)


def euler(world, x, sigma, target):
    return x + (target - sigma) * world.slope(x, sigma)


def heun(world, x, sigma, target):
    slope = world.slope(x, sigma)
    guess = x + (target - sigma) * slope
    return x + (target - sigma) * 0.5 * (slope + world.slope(guess, target)) if target > 0 else guess


def dpm_2(world, x, sigma, target):
    slope = world.slope(x, sigma)
    if target > 0:
        middle = (0.5 * sigma ** (1 / 3) + 0.5 * target ** (1 / 3)) ** 3
        slope = world.slope(x + slope * (middle - sigma), middle)
    return x + slope * (target - sigma)


def down_and_up(world, sigma, target):
    """Return (level to step down to, noise to add there after scaling by `keep`, keep)."""
    if world.flow:
        down = target * (1 + world.eta * (target / sigma - 1))
        keep = (1 - target) / (1 - down)
        return down, math.sqrt(target**2 - keep**2 * down**2), keep
    up = world.eta * math.sqrt(target**2 * (sigma**2 - target**2) / sigma**2)
    return math.sqrt(target**2 - up**2), up, 1.0


def ancestral(step):
    def walk(world, x, sigma, target):
        down, up, keep = down_and_up(world, sigma, target)
        x = step(world, x, sigma, down)
        return keep * x + up * world.noise() if target > 0 else x

    return walk


def dpmpp_2s(world, x, sigma, target):
    """Lu et al. 2022, algorithm 1: the midpoint in log-SNR, then the exact step for its estimate."""

    def alpha(level):
        return 1 - level if world.flow else 1.0

    def to(level, estimate):
        return x * level / sigma + estimate * (alpha(level) - alpha(sigma) * level / sigma)

    estimate = world.model(x, sigma)
    if target > 0:
        ratio = math.sqrt(sigma / alpha(sigma) * target / alpha(target))
        middle = ratio / (1 + ratio) if world.flow else ratio
        estimate = world.model(to(middle, estimate), middle)
    return to(target, estimate)


def ddpm(world, x, sigma, target):
    """Ho et al. 2020, equation 7, in the variance-preserving scale."""
    bar, bar_next = 1 / (1 + sigma**2), 1 / (1 + target**2)
    a = bar / bar_next
    estimate, scaled = world.model(x, sigma), x * math.sqrt(bar)
    mean = (math.sqrt(bar_next) * (1 - a) * estimate + math.sqrt(a) * (1 - bar_next) * scaled) / (1 - bar)
    spread = math.sqrt((1 - bar_next) / (1 - bar) * (1 - a))
    return (mean + spread * world.noise() if target > 0 else mean) / math.sqrt(bar_next)


def ddim(world, x, sigma, target):
    """Song et al. 2020, equations 12 and 16, in the variance-preserving scale."""
    bar, bar_next = 1 / (1 + sigma**2), 1 / (1 + target**2)
    estimate, scaled = world.model(x, sigma), x * math.sqrt(bar)
    epsilon = (scaled - math.sqrt(bar) * estimate) / math.sqrt(1 - bar)
    spread = world.eta_ddim * math.sqrt((1 - bar_next) / (1 - bar) * (1 - bar / bar_next))
    mean = math.sqrt(bar_next) * estimate + math.sqrt(1 - bar_next - spread**2) * epsilon
    return (mean + (spread * world.noise() if spread else 0)) / math.sqrt(bar_next)


def lcm(world, x, sigma, target):
    estimate = world.model(x, sigma)
    return estimate + target * world.noise() if target > 0 else estimate


def dpmpp_sde(world, x, sigma, target):
    """As k-diffusion: ancestral steps in sigma, on Brownian noise."""
    estimate = world.model(x, sigma)
    if target == 0:
        return estimate

    def to(level, estimate):
        up = world.eta * math.sqrt(level**2 * (1 - level**2 / sigma**2))
        down = math.sqrt(level**2 - up**2)
        return estimate + (x - estimate) * down / sigma + up * world.brown(sigma, level)

    middle = math.sqrt(sigma * target)
    return to(target, world.model(to(middle, estimate), middle))


def adams(order, last, integrals):
    """Return a multistep method; ``last``: the last step is the estimate. ``integrals(levels, i, count)``: weights."""

    def walk(world, x, levels):
        slopes = []
        for i, (sigma, target) in enumerate(pairwise(levels)):
            slopes = [world.slope(x, sigma), *slopes][:order]
            if target == 0 and last:
                return x - sigma * slopes[0]
            weights = integrals(levels, i, len(slopes), world.flow)
            x = x + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
        return x

    return walk


def polynomial(nodes, j):
    others = [node for k, node in enumerate(nodes) if k != j]
    return np.polynomial.Polynomial.fromroots(others) / np.prod([nodes[j] - node for node in others])


def exact_weights(levels, i, count, _flow=False):
    nodes = [levels[i - k] for k in range(count)]
    if count == 1:
        return [levels[i + 1] - levels[i]]
    whole = [polynomial(nodes, j).integ() for j in range(count)]
    return [primitive(levels[i + 1]) - primitive(levels[i]) for primitive in whole]


def fixed_weights(levels, i, count, _flow=False):
    table = {1: [1], 2: [1.5, -0.5], 3: np.array([23, -16, 5]) / 12, 4: np.array([55, -59, 37, -9]) / 24}
    return [weight * (levels[i + 1] - levels[i]) for weight in table[count]]


def deis_weights(levels, i, count, flow):
    """Integrate over time by the trapezoidal rule; sigma² + 1 = exp(beta_d t² / 2 + beta_min t)."""
    if flow or count == 1:
        return exact_weights(levels, i, count)
    low, high = math.log(0.002**2 + 1), math.log(80**2 + 1)
    beta_d = 2 * (low / 1e-3 - high) / (1e-3 - 1)
    beta_min = high - 0.5 * beta_d

    def time(sigma):
        return max(np.roots([beta_d / 2, beta_min, -math.log(sigma**2 + 1)]))

    t = np.linspace(time(levels[i]), time(levels[i + 1]), 20001)
    sigma = np.sqrt(np.exp(beta_d * t**2 / 2 + beta_min * t) - 1)
    nodes = [time(levels[i - k]) for k in range(count)]
    return [np.trapezoid(polynomial(nodes, j)(t), sigma) for j in range(count)]


def heunpp2(world, x, levels):
    for i, (sigma, target) in enumerate(pairwise(levels)):
        first = world.slope(x, sigma)
        mean = first
        if target != levels[-1]:
            look = x + (target - sigma) * first
            second = world.slope(look, target)
            if levels[i + 2] == levels[-1]:
                w2 = target / (2 * levels[0])
                mean = (1 - w2) * first + w2 * second
            else:
                third = world.slope(look + (levels[i + 2] - target) * second, levels[i + 2])
                w2, w3 = target / (3 * levels[0]), levels[i + 2] / (3 * levels[0])
                mean = (1 - w2 - w3) * first + w2 * second + w3 * third
        x = x + (target - sigma) * mean
    return x


def dpmpp_2m(world, x, levels):
    earlier = None
    for sigma, target in pairwise(levels):
        estimate = world.model(x, sigma)
        corrected = estimate
        if earlier is not None and target > 0:
            r = math.log(earlier[1] / sigma) / math.log(sigma / target)
            corrected = (1 + 1 / (2 * r)) * estimate - earlier[0] / (2 * r)
        x, earlier = x * target / sigma + corrected * (1 - target / sigma), (estimate, sigma)
    return x


def shape(nodes, j):
    """Return the Lagrange polynomial with half of its square term: so it is in the authors' own solver."""
    if len(nodes) == 1:
        return np.polynomial.Polynomial([1.0])
    whole = polynomial(nodes, j)(np.polynomial.Polynomial([nodes[0], 1.0])).coef
    whole[2:] /= 2
    return np.polynomial.Polynomial(whole)(np.polynomial.Polynomial([-nodes[0], 1.0]))


def multistep_sde(order, heun_form=False):
    """As k-diffusion; the estimate is extrapolated in −log sigma, and integrated against the SDE's kernel."""

    def walk(world, x, levels):
        rate = 1 + world.eta
        past = []  # (−log sigma, estimate)
        for sigma, target in pairwise(levels):
            estimate = world.model(x, sigma)
            if target == 0:
                return estimate
            t, end = -math.log(sigma), -math.log(target)
            past = [(t, estimate), *past][:order]
            if order == 2 and not heun_form and len(past) == 2:
                change = (estimate - past[1][1]) / (t - past[1][0]) * (end - t)
                drift = (1 - math.exp(-rate * (end - t))) * (estimate + change / 2)
            else:
                points, measure = np.polynomial.legendre.leggauss(40)
                at, kernel = t + (points + 1) / 2 * (end - t), (end - t) / 2 * measure
                kernel = kernel * rate * np.exp(-rate * (end - at))
                nodes = [node for node, _ in past]
                shapes = [shape(nodes, j)(at) for j in range(len(nodes))]
                drift = sum((kernel * each).sum() * known for each, (_, known) in zip(shapes, past, strict=True))
            x = x * (target / sigma) ** rate + drift
            x = x + world.brown(sigma, target) * target * math.sqrt(1 - (target / sigma) ** (2 * world.eta))
        return x

    return walk


def unipc(world, x, levels):
    """Zhao et al. 2023: with all its conditions met, the exact step for the polynomial through the estimates."""

    def step(x, sigma, target, nodes):
        (t, newest), *rest = nodes
        end = -math.log(target) if target else math.inf
        if not rest:
            return x * target / sigma + newest * (1 - target / sigma)
        if len(rest) == 1:  # the paper's 1/2 in place of the solution
            r = (rest[0][0] - t) / (end - t)
            return x * target / sigma + newest * (1 - target / sigma) + (end - t) * 0.5 * (rest[0][1] - newest) / r
        points, measure = np.polynomial.legendre.leggauss(40)
        at, kernel = t + (points + 1) / 2 * (end - t), (end - t) / 2 * measure
        kernel = kernel * np.exp(at - end)
        places = [place for place, _ in nodes]
        drift = sum((kernel * polynomial(places, j)(at)).sum() * known for j, (_, known) in enumerate(nodes))
        return x * target / sigma + drift

    nodes, came = [], None
    for i, (sigma, target) in enumerate(pairwise(levels)):
        fresh = (-math.log(sigma), world.model(x, sigma))
        if came:
            x = step(came[0], came[1], sigma, [*nodes[: came[2]], fresh])
        nodes = [fresh, *nodes][:3]
        order = min(len(nodes), len(levels) - 1 - i)
        came = (x, sigma, order)
        x = step(x, sigma, target, nodes[:order])
    return x


def solver(world, x, sigma, target, order, *, r):
    """Lu et al. 2022 (DPM-Solver), algorithms 1 and 2: results of ``order`` and of the order below."""
    h = math.log(sigma / target)
    first = world.slope(x, sigma)
    one = x - target * math.expm1(h) * first
    if order == 1:
        return one, None
    s = sigma * math.exp(-r * h)
    second = world.slope(x - s * math.expm1(r * h) * first, s)
    two = one - target / (2 * r) * math.expm1(h) * (second - first)
    if order == 2:
        return two, one
    r2 = 2 * r
    s = sigma * math.exp(-r2 * h)
    inner = x - s * math.expm1(r2 * h) * first
    inner -= s * r2 / r * (math.expm1(r2 * h) / (r2 * h) - 1) * (second - first)
    third = world.slope(inner, s)
    return one - target / r2 * (math.expm1(h) / h - 1) * (third - first), two


def split(world, sigma, target, lowest):
    down = max(math.sqrt(target**2 * (1 - world.eta**2 * (1 - (target / sigma) ** 2))), lowest)
    return down, math.sqrt(max(target**2 - down**2, 0))


def dpm_fast(world, x, levels):
    low, calls = min(level for level in levels if level > 0), len(levels) - 1
    calls -= low > 0.05
    m = calls // 3 + 1
    orders = [3] * (m - 2) + [2, 1] if calls % 3 == 0 else [3] * (m - 1) + [calls % 3]
    grid = np.exp(np.linspace(math.log(levels[0]), math.log(low), m + 1))
    for order, (sigma, target) in zip(orders, pairwise(grid), strict=True):
        down, up = split(world, sigma, target, low)
        x, _ = solver(world, x, sigma, down, order, r={1: 1, 2: 1 / 2, 3: 1 / 3}[order])
        x = x + up * world.noise() if up > 1e-9 else x
    return world.model(x, low) if low > 0.05 else x


def dpm_adaptive(world, x, levels):
    low, sigma, h, before = min(level for level in levels if level > 0), levels[0], 0.05, x
    while math.log(sigma / low) > 1e-5:
        target = max(low, sigma * math.exp(-h))
        down, up = split(world, sigma, target, low)
        high, lower = solver(world, x, sigma, down, 3, r=1 / 3)
        scale = np.maximum(0.0078, 0.05 * np.maximum(np.abs(lower), np.abs(before)))
        error = math.sqrt((((lower - high) / scale) ** 2).mean())
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / 1.5) - 1)
        if factor >= 0.81:
            before, x, sigma = lower, high + (up * world.noise() if up > 1e-9 else 0), target
        h *= factor
    return world.model(x, low) if low > 0.05 else x


def restart(world, x, levels):
    n, low = len(levels) - 1, min(level for level in levels if level > 0)

    def karras(high, low, count):
        i = np.arange(count) / (count - 1)
        return [*(high ** (1 / 7) + i * (low ** (1 / 7) - high ** (1 / 7))) ** 7, 0.0]

    again, times = (0, 0) if n < 20 else (9, 1) if n < 36 else (n // 4, 2)
    path = karras(levels[0], low, n - again * times) if times else levels
    turn = int(np.argmin(np.abs(np.array(path) - 0.1)))
    top = int(np.argmin(np.abs(np.array(path) - 2.0)))
    for i in range(len(path) - 1):
        x = heun(world, x, path[i], path[i + 1])
        if times and i + 1 == turn:
            for _ in range(times):
                x = x + math.sqrt(path[top] ** 2 - path[turn] ** 2) * world.noise()
                for sigma, target in pairwise(karras(path[top], path[turn], again + 1)[:-1]):
                    x = heun(world, x, sigma, target)
    return x


ONE_STEP = {
    "Euler": euler, "DDIM": ddim, "Heun": heun, "DPM2": dpm_2, "DDPM": ddpm, "LCM": lcm, "DPM++ SDE": dpmpp_sde,
    "Euler a": ancestral(euler), "DPM2 a": ancestral(dpm_2), "DPM++ 2S a": ancestral(dpmpp_2s),
}  # fmt: skip
WHOLE = {
    "LMS": adams(4, False, exact_weights), "IPNDM": adams(4, True, fixed_weights), "DEIS": adams(3, True, deis_weights),
    "HeunPP2": heunpp2, "DPM++ 2M": dpmpp_2m, "DPM++ 2M SDE": multistep_sde(2),
    "DPM++ 2M SDE Heun": multistep_sde(2, heun_form=True), "DPM++ 3M SDE": multistep_sde(3), "UniPC": unipc,
    "DPM fast": dpm_fast, "DPM adaptive": dpm_adaptive, "Restart": restart,
}  # fmt: skip


def relative(ours, theirs) -> float:
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


# --- tests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4, 20, 40])
@pytest.mark.parametrize("schedule", ["Uniform", "Karras", "Simple", "DDIM", "KL Optimal"])
@pytest.mark.parametrize("name", NAMES)
def test_against_the_slow_reference(name, schedule, steps, record_property):
    discard = samplers.sampler(name).discard_penultimate
    sigmas = schedules.spaced(schedules.from_config(SD15), schedule, steps, discard=discard)
    error = relative(sample(name, sigmas), reference(name, sigmas))
    record_property("relative error", error)
    print(f"{name:18} {schedule:10} {steps:3} {error:.1e}")
    assert error <= BOUND


OPTIONS = [
    *[(name, {"eta": eta}) for name in samplers.OPTIONS["eta"] for eta in (0.0, 0.3, 0.8)],
    *[("DDIM", {"eta_ddim": eta}) for eta in (0.2, 1.0)],
    *[(name, {"s_churn": churn}) for name in samplers.OPTIONS["s_churn"] for churn in (4.0, 100.0)],
    *[(name, {"s_churn": 4.0, "s_tmin": 0.3, "s_tmax": 7.0}) for name in samplers.OPTIONS["s_churn"]],
]
"""Values that are not the defaults, for each field that only some samplers read."""


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_options_against_the_slow_reference(name, options, record_property):
    sigmas = schedules.spaced(schedules.from_config(SD15), "Karras", 20)
    ours, theirs = sample(name, sigmas, options=options), reference(name, sigmas, options=options)
    error = relative(ours, theirs)
    record_property("relative error", error)
    assert error <= BOUND
    assert relative(ours, sample(name, sigmas)) > 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [pair for pair in OPTIONS if samplers.sampler(pair[0]).flow and "s_churn" not in pair[1]],
)
def test_options_of_flow_against_the_slow_reference(name, options):
    sigmas = tuple(sigma * 0.98 for sigma in schedules.spaced(schedules.flow_levels(3.0), "Simple", 20))
    ours = sample(name, sigmas, flow=True, options=options)
    assert relative(ours, reference(name, sigmas, flow=True, options=options)) <= BOUND


@pytest.mark.parametrize("name", [name for name in NAMES if samplers.sampler(name).flow])
def test_flow_against_the_slow_reference(name, record_property):
    """From a little below pure noise, where log-SNR is finite; pure noise has tests of its own."""
    sigmas = tuple(sigma * 0.98 for sigma in schedules.spaced(schedules.flow_levels(3.0), "Simple", 20))
    ours, theirs = sample(name, sigmas, flow=True), reference(name, sigmas, flow=True)
    error = relative(ours, theirs)
    record_property("relative error", error)
    print(f"{name:18} {'flow':10}  20 {error:.1e}")
    assert error <= BOUND


@pytest.mark.parametrize("name", [name for name in NAMES if samplers.sampler(name).flow])
def test_pure_noise_is_the_limit_of_almost_pure_noise(name):
    pure = schedules.spaced(schedules.flow_levels(3.0), "Simple", 12)
    ours = [sample(name, (first, *pure[1:]), flow=True) for first in (1.0, 1 - 1e-7)]
    assert relative(*ours) < 3e-2  # a step from finite log-SNR may have a midpoint


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
    print(f"{name:18} {'diffusers linspace':10} {error:.1e}")
    assert error <= BOUND


@pytest.mark.parametrize("flow", [False, True])
def test_unipc_against_diffusers(flow, record_property):
    """On our sigmas, in its variance-preserving scale; without a last 0, where its bh1 is not a number."""
    import diffusers

    levels = schedules.flow_levels(3.0) if flow else schedules.from_config(SD15)
    sigmas = tuple(sigma * 0.98 for sigma in schedules.spaced(levels, "KL Optimal", 20))
    scheduler = diffusers.UniPCMultistepScheduler(**SD15, solver_order=3, solver_type="bh1", use_flow_sigmas=flow)
    scheduler.config.prediction_type = "sample"
    scheduler.register_to_config(prediction_type="sample")
    scheduler.set_timesteps(20)
    scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    x = Stream(11, "NV", SHAPE).normal().double() * (sigmas[0] if flow else 1.0)
    for i, timestep in enumerate(range(20)):
        scheduler._step_index = i
        scale = 1.0 if flow else math.hypot(1, sigmas[i])
        x = scheduler.step(toy(x * scale, sigmas[i], flow), timestep, x).prev_sample
    error = relative(sample("UniPC", sigmas, flow), x * (1.0 if flow else math.hypot(1, sigmas[-1])))
    record_property("relative error", error)
    print(f"{'UniPC':18} {'diffusers':10} {error:.1e}")
    assert error <= BOUND
