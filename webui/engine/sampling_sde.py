"""Samplers of the diffusion SDE on Brownian noise: DPM++ SDE, 2M SDE, 2M SDE Heun and 3M SDE.

The promise is that of ``webui.engine.sampling``, and one more: the noise between two sigmas is that of one Brownian
path per picture, so that another number of steps follows the same path and keeps the composition.

All are DPM-Solver++ for the SDE, Lu et al. 2022, https://arxiv.org/abs/2211.01095, section 5, in the forms of
k-diffusion. With alpha = 1 − sigma the same formulas hold for flow models, whose first step, from infinite
noise, leaves nothing of x but its share of fresh noise.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from webui.engine.sampling_steps import Brown, Run, Sigmas, exact, log_snr, sigma_at, signal

if TYPE_CHECKING:
    import torch

Known: TypeAlias = "list[tuple[torch.Tensor, float]]"
"""Earlier estimates and the length in lambda of the step that each led, the newest first."""
Terms: TypeAlias = "list[tuple[torch.Tensor, float]]"
Corrections: TypeAlias = "Callable[[torch.Tensor, Known, float, float], Terms]"
"""From the estimate, the known ones, h and h · (1 + eta) to terms, each with its weight."""


def dpmpp_sde(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver++ of the SDE, one step with a midpoint in lambda, which gets noise of its own. Two calls a step.

    A step from or to infinite lambda has no midpoint and is of first order. ``eta`` is the ancestral one here, as in
    k-diffusion.
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        h = log_snr(following, flow) - log_snr(sigma, flow)
        if math.isfinite(h):
            middle = sigma_at(log_snr(sigma, flow) + h / 2, flow)
            share = _of_ancestral(eta, h / 2)
            halfway = exact(x, denoised, sigma, middle, flow, eta=share)
            denoised = yield halfway + brown(sigma, middle) * _fresh(middle, h / 2, share), middle
        share = _of_ancestral(eta, h)
        x = exact(x, denoised, sigma, following, flow, eta=share)
        if following > 0:
            x = x + brown(sigma, following) * _fresh(following, h, share)
    return x


def dpmpp_2m_sde(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver++(2M) of the SDE: Lu et al. 2022, section 5, the midpoint form."""
    return _multistep(x, sigmas, brown, _second_order(lambda h: -math.expm1(-h) / 2), flow=flow, eta=eta)


def dpmpp_2m_sde_heun(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver++(2M) of the SDE in Heun's form, where the linear change of the estimate is integrated exactly."""
    return _multistep(x, sigmas, brown, _second_order(_phi2), flow=flow, eta=eta)


def dpmpp_3m_sde(x: "torch.Tensor", sigmas: Sigmas, brown: Brown, flow: bool = False, *, eta: float = 1.0) -> Run:
    """DPM-Solver++(3M) of the SDE, as in k-diffusion: the exponential integrator of third order.

    The first difference of the estimate in lambda is integrated exactly; of the second, half is, as in the authors' own
    solver and in k-diffusion.
    """
    return _multistep(x, sigmas, brown, _third_order, flow=flow, eta=eta)


def _multistep(  # noqa: PLR0913
    x: "torch.Tensor", sigmas: Sigmas, brown: Brown, corrections: Corrections, *, flow: bool, eta: float
) -> Run:
    """Step as if the estimate were constant, then add what its earlier values say of its change. One call a step."""
    known: Known = []
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        if following == 0:
            return denoised
        h = log_snr(following, flow) - log_snr(sigma, flow)
        x = exact(x, denoised, sigma, following, flow, eta=eta)
        for change, weight in corrections(denoised, known, h, h * (1.0 + eta)):
            x = x + change * (signal(following, flow) * weight)
        x = x + brown(sigma, following) * _fresh(following, h, eta)
        known = [(denoised, h), *known[:1]] if math.isfinite(h) else []  # nothing is known of a change from pure noise
    return x


def _second_order(weigh: Callable[[float], float]) -> Corrections:
    def corrections(denoised: "torch.Tensor", known: Known, h: float, span: float) -> Terms:
        if not known:
            return []
        before, reach = known[0]
        return [(denoised - before, weigh(span) * h / reach)]

    return corrections


def _third_order(denoised: "torch.Tensor", known: Known, h: float, span: float) -> Terms:
    if not known:
        return []
    (first, near), *rest = known
    change = (denoised - first) * (h / near)
    if not rest:
        return [(change, _phi2(span))]
    second, far = rest[0]
    earlier = (first - second) * (h / far)
    bend = (change - earlier) * (h / (near + far))
    change = change + (change - earlier) * (near / (near + far))
    return [(bend, 0.5 - _phi2(span) / span), (change, _phi2(span))]


def _phi2(h: float) -> float:
    """Return 1 − (1 − e^−h) / h."""
    return 1.0 + math.expm1(-h) / h


def _fresh(sigma: float, h: float, eta: float) -> float:
    """Return the amount of noise that a step of length ``h`` in lambda adds on its way to ``sigma``."""
    return sigma * math.sqrt(-math.expm1(-2 * eta * h)) if eta else 0.0


def _of_ancestral(eta: float, h: float) -> float:
    """Return the eta of the SDE that adds as much noise over ``h`` as the ancestral rule with this eta."""
    return eta if eta in (0, 1) or math.isinf(h) else -math.log1p(eta * eta * math.expm1(-2 * h)) / (2 * h)
