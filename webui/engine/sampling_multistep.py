"""Samplers that remember the estimates of earlier steps: DPM++ 2M, LMS, IPNDM, DEIS and UniPC.

The promise is that of ``webui.engine.sampling``. One model call a step; the first steps are of lower order, until there
is something to remember. LMS, IPNDM and DEIS are Adams–Bashforth methods for dx/dsigma = (x − denoised) / sigma, which
is the same equation for diffusion and for rectified flow.
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from webui.engine.sampling_steps import Floats, Noise, Run, Sigmas, adams_weights, log_snr, signal

if TYPE_CHECKING:
    import torch

_ADAMS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Adams–Bashforth weights for even steps, by order; the newest slope first."""


def dpmpp_2m(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DPM-Solver++(2M): Lu et al. 2022, algorithm 2. The first and the last step are of first order."""
    before: torch.Tensor | None = None
    reach = math.inf  # length of the step before, in lambda
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        h = log_snr(following, flow) - log_snr(sigma, flow)
        if before is None or following == 0:
            target = denoised
        else:
            ratio = h / (2 * reach)  # 0 after a step from pure noise, where lambda is −inf
            target = denoised * (1 + ratio) - before * ratio
        x = x * (following / sigma) - target * (signal(following, flow) * math.expm1(-h))
        before, reach = denoised, h
    return x


def lms(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Linear multistep of order 4: Adams–Bashforth for uneven steps, as k-diffusion's, with exact integrals.

    Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I", section III.5.
    """
    slopes: list[torch.Tensor] = []
    for index, (sigma, following) in enumerate(pairwise(sigmas)):
        denoised = yield x, sigma
        slopes = [(x - denoised) / sigma, *slopes[:3]]
        nodes = [sigmas[index - k] for k in range(len(slopes))]
        for weight, slope in zip(adams_weights(nodes, sigma, following, lambda level: level), slopes, strict=True):
            x = x + slope * weight
    return x


def ipndm(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """IPNDM of order 4: Zhang and Chen 2022, https://arxiv.org/abs/2204.13902, after Liu et al. 2022.

    The weights are those of even steps, whatever the schedule. The last step is the estimate.
    """
    slopes: list[torch.Tensor] = []
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        slopes = [(x - denoised) / sigma, *slopes[:3]]
        if following == 0:
            return denoised
        for weight, slope in zip(_ADAMS[len(slopes) - 1], slopes, strict=True):
            x = x + slope * (weight * (following - sigma))
    return x


def deis(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DEIS, the tAB form of order 3: Zhang and Chen 2022, https://arxiv.org/abs/2204.13902, section 3.

    The slope is extrapolated as a polynomial in the model's time: in flow models sigma itself; else the time of the
    variance-preserving noising that goes from sigma 0.002 to 80, as Forge and ComfyUI have it. The last step is the
    estimate.
    """
    slopes: list[torch.Tensor] = []
    for index, (sigma, following) in enumerate(pairwise(sigmas)):
        denoised = yield x, sigma
        slopes = [(x - denoised) / sigma, *slopes[:2]]
        if following == 0:
            return denoised
        nodes = [sigmas[index - k] for k in range(len(slopes))]
        warp = (lambda level: level) if flow else _vp_time
        for weight, slope in zip(adams_weights(nodes, sigma, following, warp), slopes, strict=True):
            x = x + slope * weight
    return x


def _vp_time(sigma: Floats) -> Floats:
    """Return the time t of sigma² + 1 = exp(beta_d t² / 2 + beta_min t): Karras et al. 2022, table 1, column VP.

    beta_d and beta_min are such that t = 0.001 is sigma 0.002 and t = 1 is sigma 80.
    """
    low, high = math.log1p(0.002**2), math.log1p(80.0**2)
    beta_d = 2 * (low / 0.001 - high) / (0.001 - 1)
    beta_min = high - beta_d / 2
    return np.asarray((np.sqrt(beta_min**2 + 2 * beta_d * np.log1p(sigma**2)) - beta_min) / beta_d)


def unipc(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """UniPC of order 3 with B(h) = h: Zhao et al. 2023, https://arxiv.org/abs/2302.04867, section 3.

    Predicts the picture, not the noise. Each estimate corrects the step that led to it and then predicts the next, so
    it is one model call a step. The order falls to 1 in the last step, and what was estimated at infinite noise (the
    start of flow models) is not extrapolated from.
    """
    known: list[tuple[float, torch.Tensor]] = []  # (lambda, estimate), the newest first
    came: tuple[torch.Tensor, float, int] | None = None  # x before the step, its sigma and order
    for index, (sigma, following) in enumerate(pairwise(sigmas)):
        denoised = yield x, sigma
        lam = log_snr(sigma, flow)
        if came is not None and math.isfinite(known[0][0]):
            x = _unified(came[0], came[1], sigma, known[: came[2]], flow, reached=denoised)
        known = [(lam, denoised), *known[:2]]
        finite = sum(math.isfinite(level) for level, _ in known)
        order = max(1, min(finite, len(sigmas) - 1 - index))
        came = (x, sigma, order)
        x = _unified(x, sigma, following, known[:order], flow)
    return x


def _unified(  # noqa: PLR0913
    x: "torch.Tensor",
    sigma: float,
    following: float,
    known: list[tuple[float, "torch.Tensor"]],
    flow: bool,
    *,
    reached: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Predict x at ``following`` from the estimates ``known``; with the estimate ``reached`` there, correct it.

    Zhao et al. 2023, section 3, in the form for the estimate of x0 ("data prediction"), with B(h) = −h.
    """
    (lam, newest), earlier = known[0], known[1:]
    h = log_snr(following, flow) - lam
    alpha = signal(following, flow)
    x = x * (following / sigma) - newest * (alpha * math.expm1(-h))
    ratios = [(level - lam) / h for level, _ in earlier] + ([1.0] if reached is not None else [])
    ends = [estimate for _, estimate in earlier] + ([reached] if reached is not None else [])
    if not ratios:
        return x
    for weight, ratio, end in zip(_unified_weights(ratios, h), ratios, ends, strict=True):
        x = x + (end - newest) * (alpha * h * weight / ratio)
    return x


def _unified_weights(ratios: list[float], h: float) -> list[float]:
    """Solve Σ a_m r_m^(k−1) = k! phi_(k+1)(−h) for k = 1, 2, …; a single weight is 1/2, as in the paper."""
    if len(ratios) == 1:
        return [0.5]
    phi, wanted = math.expm1(-h) / -h, []
    for k in range(1, len(ratios) + 1):
        phi = (phi - 1 / math.factorial(k)) / -h
        wanted.append(math.factorial(k) * phi)
    powers = np.array([[ratio**k for ratio in ratios] for k in range(len(ratios))])
    return [float(weight) for weight in np.linalg.solve(powers, np.array(wanted))]
