"""Samplers that add noise between the steps, from the picture's own stream; DDIM, which adds none with eta 0.

The promise is that of ``webui.engine.sampling``: one call of ``noise`` for each addition and none after the last step.
``eta`` is how much of the noise is added; at 0 what is left is a deterministic step. Those with Brownian noise are in
``webui.engine.sampling_sde``.
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from webui.engine.sampling_single import dpm_2_step, euler_step, heun_step
from webui.engine.sampling_steps import Noise, Run, Sigmas, StepOf, ancestral, log_snr, sigma_at, signal

if TYPE_CHECKING:
    import torch


def _ancestral(  # noqa: PLR0913
    step: StepOf, x: "torch.Tensor", sigmas: Sigmas, noise: Noise, *, flow: bool, eta: float
) -> Run:
    """Step down to less noise than wanted, then add fresh noise up to it, as in k-diffusion."""
    for sigma, following in pairwise(sigmas):
        down, keep, up = ancestral(sigma, following, flow, eta)
        x = yield from step(x, sigma, down, flow)
        if following > 0:
            x = x * keep + noise() * up
    return x


def euler_ancestral(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, *, eta: float = 1.0) -> Run:
    """Euler's method with ancestral noise."""
    return _ancestral(euler_step, x, sigmas, noise, flow=flow, eta=eta)


def dpm_2_ancestral(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM2 with ancestral noise, as in k-diffusion: the midpoint method down, then fresh noise up.

    After DPM-Solver-2 of Lu et al. 2022, https://arxiv.org/abs/2206.00927.
    """
    return _ancestral(dpm_2_step, x, sigmas, noise, flow=flow, eta=eta)


def dpmpp_2s_ancestral(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver++(2S) with ancestral noise: Lu et al. 2022, algorithm 1 with the midpoint r = 1/2."""
    return _ancestral(_dpmpp_2s_step, x, sigmas, noise, flow=flow, eta=eta)


def _dpmpp_2s_step(x: "torch.Tensor", sigma: float, target: float, flow: bool = False) -> Run:
    """Take one step; one from or to infinite lambda (pure noise in flow models, no noise) has no midpoint: Euler's."""
    h = log_snr(target, flow) - log_snr(sigma, flow)
    if math.isinf(h):
        return (yield from euler_step(x, sigma, target))
    denoised = yield x, sigma
    middle = sigma_at(log_snr(sigma, flow) + h / 2, flow)
    halfway = x * (middle / sigma) - denoised * (signal(middle, flow) * math.expm1(-h / 2))
    denoised = yield halfway, middle
    return x * (target / sigma) - denoised * (signal(target, flow) * math.expm1(-h))


def lcm(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Multistep consistency sampling: Song et al. 2023, https://arxiv.org/abs/2303.01469, algorithm 1.

    For latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378) and LoRAs: the estimate is the
    picture, and fresh noise takes it to the next level.
    """
    for sigma, following in pairwise(sigmas):
        x = yield x, sigma
        if following > 0:
            x = x * signal(following, flow) + noise() * following
    return x


def ddpm(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DDPM: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 7, divided by sqrt(ᾱ).

    That is DDIM with eta 1. For diffusion it is, in exact numbers, Euler a.
    """
    return ddim(x, sigmas, noise, flow, eta_ddim=1.0)


def ddim(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, *, eta_ddim: float = 0.0) -> Run:
    """DDIM: Song et al. 2020, https://arxiv.org/abs/2010.02502, equations 12 and 16, for any alpha and sigma.

    Without noise that is the estimate plus the same noise at the next level. The last step goes to sigma 0, so that n
    steps are n model calls (A1111 stops one call earlier, at the lowest trained level).
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            return denoised
        if not eta_ddim:
            x = denoised + (x - denoised) * (following / sigma)
            continue
        old, new = signal(sigma, flow), signal(following, flow)
        fresh = eta_ddim * following * math.sqrt(max(1.0 - (old / new * following / sigma) ** 2, 0.0))
        kept = math.sqrt(max(following**2 - fresh**2, 0.0))
        x = denoised * new + (x - denoised * old) * (kept / sigma) + noise() * fresh
    return x


def restart(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Restart: Xu et al. 2023, https://arxiv.org/abs/2306.14878, section 3, with A1111's numbers.

    Heun's steps; from 20 steps on, noise takes the picture back from sigma 0.1 to 2 and 9 of the steps are walked
    again; from 36 on twice, each with a quarter of the steps. Steps that are walked again are of a Karras schedule
    (so are then all the others, within the ends of the one chosen), and their number is part of ``steps``.
    """
    at = math.inf
    for sigma, following in _restarts(sigmas):
        if sigma > at:
            x = x + noise() * math.sqrt(sigma**2 - at**2)
        x = yield from heun_step(x, sigma, following)
        at = following
    return x


def _restarts(sigmas: Sigmas) -> list[tuple[float, float]]:
    """List the steps (from, to); one that begins higher than the step before ended is a restart."""
    count, lowest = len(sigmas) - 1, min(sigma for sigma in sigmas if sigma > 0)
    if count < 20:
        return list(pairwise(sigmas))
    again, times = (count // 4, 2) if count >= 36 else (9, 1)
    levels = _karras(sigmas[0], lowest, count - again * times)
    low, high = (min(levels, key=lambda level: abs(level - wanted)) for wanted in (0.1, 2.0))
    turn = levels.index(low)
    back = list(pairwise(_karras(high, low, again + 1)[:-1])) if high > low else []
    steps = list(pairwise(levels))
    return steps[:turn] + back * times + steps[turn:]


def _karras(high: float, low: float, count: int) -> list[float]:
    """Return ``count`` sigmas and 0: Karras et al. 2022, equation 5 with rho = 7."""
    return [*(float(root**7) for root in np.linspace(high ** (1 / 7), low ** (1 / 7), count)), 0.0]
