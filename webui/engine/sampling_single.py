"""Samplers that carry nothing from step to step and add no noise: Euler, Heun, Heun++2, DPM2 and DDIM.

The promise is that of ``webui.engine.sampling``. All but DDIM are solvers of dx/dsigma = (x − denoised) / sigma, which
is the same equation for diffusion (Karras et al. 2022, https://arxiv.org/abs/2206.00364, equation 3) and for rectified
flow, so that ``flow`` makes no difference to them.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from webui.engine.sampling_steps import Noise, Run, Sigmas

if TYPE_CHECKING:
    import torch


def euler(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Euler's method: Karras et al. 2022, algorithm 2 without churn and without the correction."""
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        x = x + (x - denoised) / sigma * (following - sigma)
    return x


def heun(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Heun's method: Karras et al. 2022, algorithm 2 without churn. Two model calls a step, one in the last."""
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        slope = (x - denoised) / sigma
        predicted = x + slope * (following - sigma)
        if following == 0:
            return predicted
        denoised = yield predicted, following
        x = x + (slope + (predicted - denoised) / following) / 2 * (following - sigma)
    return x


def heunpp2(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Heun++ with two looks ahead: slopes at this and the next two levels, weighted by the levels.

    The rule of the sampler's authors (Carzit, sd-webui-samplers-scheduler), from which Forge has it: over ``m`` slopes
    the k-th later one weighs sigma_k / (m · sigmas[0]) and the first one the rest. Three model calls a step, two in
    the last but one, one in the last.
    """
    for index, (sigma, following) in enumerate(pairwise(sigmas)):
        ahead = [level for level in sigmas[index + 1 : index + 3] if level > sigmas[-1]]
        denoised = yield x, sigma
        first = mean = slope = (x - denoised) / sigma
        there, at = x, sigma
        for level in ahead:
            there = there + slope * (level - at)
            denoised = yield there, level
            slope, at = (there - denoised) / level, level
            mean = mean + (slope - first) * (level / ((len(ahead) + 1) * sigmas[0]))
        x = x + mean * (following - sigma)
    return x


def dpm_2(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DPM2: the midpoint method, as in k-diffusion; after DPM-Solver-2 of Lu et al. 2022, arXiv 2206.00927.

    The midpoint is half-way on a Karras schedule with rho = 3. Two model calls a step, one in the last.
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        slope = (x - denoised) / sigma
        if following > 0:
            middle = midpoint(sigma, following)
            halfway = x + slope * (middle - sigma)
            denoised = yield halfway, middle
            slope = (halfway - denoised) / middle
        x = x + slope * (following - sigma)
    return x


def midpoint(sigma: float, following: float) -> float:
    """Return the sigma half-way on a Karras schedule with rho = 3.

    >>> round(midpoint(8.0, 1.0), 6)
    3.375
    """
    return float(((sigma ** (1 / 3) + following ** (1 / 3)) / 2) ** 3)


def ddim(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DDIM with eta 0: Song et al. 2020, https://arxiv.org/abs/2010.02502, equation 12, divided by sqrt(ᾱ).

    In sigmas that is the estimate plus the same noise at the next level. The last step goes to sigma 0, so that n
    steps are n model calls (A1111 stops one call earlier, at the lowest trained level).
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        x = denoised + (x - denoised) * (following / sigma)
    return x
