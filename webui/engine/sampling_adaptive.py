"""DPM fast and DPM adaptive: DPM-Solvers that choose their own levels between the ends of the schedule.

The promise is that of ``webui.engine.sampling``. Lu et al. 2022, https://arxiv.org/abs/2206.00927, in the forms of
k-diffusion with ancestral noise, for diffusion models only: they step evenly in the log-SNR, which has no
beginning in flow models. Of the schedule they use the highest and the lowest sigma; where the lowest is above
``RESIDUE`` (in most schedules it is the model's own lowest), one more step of Euler's takes what noise is left.
"""

import math
from collections.abc import Generator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from webui.engine.sampling_steps import Noise, Run, Sigmas

if TYPE_CHECKING:
    import torch

Part: TypeAlias = "Generator[tuple[torch.Tensor, float], torch.Tensor, tuple[torch.Tensor, torch.Tensor]]"

RESIDUE = 0.05
"""Noise below this is less than eight bits show."""
TOLERANCE, FLOOR = 0.05, 0.0078
"""Relative and absolute error that DPM adaptive allows itself in a step, k-diffusion's defaults."""
SAFETY, FIRST, SMALLEST = 0.81, 0.05, 1 / 1000
"""Below which factor a step is rejected; length of the first step; the smallest share of the way that a step may be."""


def dpm_fast(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver-fast: even steps in −log sigma of third order, then what remains of the calls."""
    start, end, rest = _ends(sigmas)
    calls = len(sigmas) - 1 - rest
    if calls and end > start:
        orders = [3] * (calls // 3 - 1) + [2, 1] if calls % 3 == 0 else [3] * (calls // 3) + [calls % 3]
        for (t, following), order in zip(pairwise(np.linspace(start, end, len(orders) + 1)), orders, strict=True):
            down, up = _ancestral(float(t), float(following), end, eta)
            x, _ = yield from _step(x, float(t), down, order, 1 / 2 if order == 2 else 1 / 3)
            x = x + noise() * up if up > 0 else x
    return (yield from _finish(x, end, rest))


def dpm_adaptive(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver-12/23 with steps as long as their error allows: after Lu et al. 2022, section 3.

    The length follows k-diffusion's integral controller: Hairer, Nørsett and Wanner, section II.4, with the limiter of
    Söderlind and Wang 2006. How many calls it makes depends on the picture; ``steps`` has no part in it.
    """
    start, end, rest = _ends(sigmas)
    t, h, before = start, FIRST, x
    least = (end - start) * SMALLEST
    while t < end - 1e-5:
        reached = min(end, t + h)
        down, up = _ancestral(t, reached, end, eta)
        high, low = yield from _step(x, t, down, 3, 1 / 3)
        bound = TOLERANCE * low.abs().maximum(before.abs())
        error = float(((low - high) / bound.clamp(min=FLOOR)).square().mean().sqrt())
        if not math.isfinite(error):
            return high  # whoever decodes it says so
        factor = 1.0 + math.atan((1.0 / (error + 1e-8)) ** (1 / 1.5) - 1.0)
        if factor >= SAFETY or h <= least:
            before, t = low, reached
            x = high + noise() * up if up > 0 else high
        h = max(h * factor, least)
    return (yield from _finish(x, end, rest))


def _ends(sigmas: Sigmas) -> tuple[float, float, bool]:
    """Return −log of the highest and of the lowest sigma above 0, and whether a step is left to be taken from there."""
    lowest = min(sigma for sigma in sigmas if sigma > 0)
    return -math.log(sigmas[0]), -math.log(lowest), lowest > RESIDUE or lowest == sigmas[0]


def _ancestral(t: float, following: float, end: float, eta: float) -> tuple[float, float]:
    """Split a step into the way down, not beyond ``end``, and the amount of noise up: levels are −log sigma."""
    if eta == 1:
        down = min(end, 2 * following - t)  # down = following² / sigma
    else:
        down = min(end, following - math.log1p(eta * eta * math.expm1(2 * (t - following))) / 2)
    return down, math.sqrt(max(math.exp(-2 * following) - math.exp(-2 * down), 0.0))


def _step(x: "torch.Tensor", t: float, following: float, order: int, r: float) -> Part:
    """Step from ``t`` to ``following`` (−log sigma): DPM-Solver-1, -2 and -3 of Lu et al. 2022, alpha = 1.

    ``r``: where the first look ahead is. Returns the result of ``order`` and that of the order below.
    """
    h = following - t
    sigma = math.exp(-following)
    denoised = yield x, math.exp(-t)
    eps = (x - denoised) / math.exp(-t)
    first = x - eps * (sigma * math.expm1(h))
    if order == 1:
        return first, first
    middle = math.exp(-t - r * h)
    look = x - eps * (middle * math.expm1(r * h))
    denoised = yield look, middle
    change = (look - denoised) / middle - eps
    second = first - change * (sigma / (2 * r) * math.expm1(h))
    if order == 2:
        return second, first
    q = 2 * r
    middle = math.exp(-t - q * h)
    look = x - eps * (middle * math.expm1(q * h)) - change * (middle * q / r * (math.expm1(q * h) / (q * h) - 1))
    denoised = yield look, middle
    change = (look - denoised) / middle - eps
    return first - change * (sigma / q * (math.expm1(h) / h - 1)), second


def _finish(x: "torch.Tensor", end: float, rest: bool) -> Run:
    """Take the noise that is left, if there is a step for it."""
    if rest:
        x = yield x, math.exp(-end)
    return x
