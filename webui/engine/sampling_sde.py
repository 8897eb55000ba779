"""Samplers of the diffusion SDE on Brownian noise: DPM++ SDE, 2M SDE, 2M SDE Heun and 3M SDE.

The promise is that of ``webui.engine.sampling``, and one more: the noise between two sigmas is that of one Brownian
path per picture, so that another number of steps follows the same path and keeps the composition.

All are DPM-Solver++ for the SDE, Lu et al. 2022, https://arxiv.org/abs/2211.01095, section 5, in the forms of
k-diffusion with eta 1. With alpha = 1 − sigma the same formulas hold for flow models, whose first step, from infinite
noise, leaves nothing of x but its share of fresh noise.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from webui.engine.sampling_steps import Brown, Run, Sigmas, exact, log_snr, sigma_at, signal

if TYPE_CHECKING:
    import torch


def dpmpp_sde(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False) -> Run:
    """DPM-Solver++ of the SDE, one step with a midpoint in lambda, which gets noise of its own. Two calls a step.

    A step from or to infinite lambda has no midpoint and is of first order.
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        h = log_snr(following, flow) - log_snr(sigma, flow)
        if math.isfinite(h):
            middle = sigma_at(log_snr(sigma, flow) + h / 2, flow)
            halfway = exact(x, denoised, sigma, middle, flow, eta=1.0) + brown(sigma, middle) * _fresh(middle, h / 2)
            denoised = yield halfway, middle
        x = exact(x, denoised, sigma, following, flow, eta=1.0)
        if following > 0:
            x = x + brown(sigma, following) * _fresh(following, h)
    return x


def dpmpp_2m_sde(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False) -> Run:
    """DPM-Solver++(2M) of the SDE: Lu et al. 2022, section 5, the midpoint form."""
    return _second_order(x, sigmas, brown, flow, lambda h: -math.expm1(-h) / 2)


def dpmpp_2m_sde_heun(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False) -> Run:
    """DPM-Solver++(2M) of the SDE in Heun's form, where the linear change of the estimate is integrated exactly."""
    return _second_order(x, sigmas, brown, flow, _phi2)


def _second_order(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool, weigh: Callable[[float], float]) -> Run:
    before: torch.Tensor | None = None
    reach = math.inf  # length of the step before, in lambda
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            return denoised
        h = log_snr(following, flow) - log_snr(sigma, flow)
        x = exact(x, denoised, sigma, following, flow, eta=1.0)
        if before is not None and math.isfinite(reach):
            x = x + (denoised - before) * (signal(following, flow) * weigh(2 * h) * h / reach)
        x = x + brown(sigma, following) * _fresh(following, h)
        before, reach = denoised, h
    return x


def dpmpp_3m_sde(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False) -> Run:
    """DPM-Solver++(3M) of the SDE, as in k-diffusion: the exponential integrator of third order.

    The first difference of the estimate in lambda is integrated exactly; of the second, half is, as in the authors' own
    solver and in k-diffusion.
    """
    known: list[tuple[torch.Tensor, float]] = []  # (estimate, length of the step it led), the newest first
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            return denoised
        h = log_snr(following, flow) - log_snr(sigma, flow)
        x = exact(x, denoised, sigma, following, flow, eta=1.0)
        alpha = signal(following, flow)
        if known:
            (first, near), *rest = known
            change = (denoised - first) * (h / near)
            if rest:
                second, far = rest[0]
                earlier = (first - second) * (h / far)
                bend = (change - earlier) * (h / (near + far))
                change = change + (change - earlier) * (near / (near + far))
                x = x - bend * (alpha * (_phi2(2 * h) / (2 * h) - 0.5))
            x = x + change * (alpha * _phi2(2 * h))
        x = x + brown(sigma, following) * _fresh(following, h)
        known = [(denoised, h), *known[:1]] if math.isfinite(h) else []
    return x


def _phi2(h: float) -> float:
    """Return 1 − (1 − e^−h) / h."""
    return 1.0 + math.expm1(-h) / h


def _fresh(sigma: float, h: float) -> float:
    """Return the amount of noise that a step of length ``h`` in lambda adds on its way to ``sigma``, eta 1."""
    return sigma * math.sqrt(-math.expm1(-2 * h))
