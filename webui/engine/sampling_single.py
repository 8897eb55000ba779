"""Samplers that carry nothing from step to step and add no noise of their own: Euler, Heun, Heun++2 and DPM2.

The promise is that of ``webui.engine.sampling``. All are solvers of dx/dsigma = (x − denoised) / sigma, which is the
same equation for diffusion (Karras et al. 2022, https://arxiv.org/abs/2206.00364, equation 3) and for rectified flow,
so that ``flow`` makes no difference to them. Their single steps are shared with the samplers that add noise between
them. Euler, Heun and DPM2 can churn: add noise before a step, as in algorithm 2 of that paper.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

from webui.engine.sampling_steps import Noise, Run, Sigmas, StepOf, churned

if TYPE_CHECKING:
    import torch


def euler_step(x: "torch.Tensor", sigma: float, target: float, flow: bool = False) -> Run:
    """Take one step of Euler's method."""
    denoised = yield x, sigma
    return x + (x - denoised) / sigma * (target - sigma)


def heun_step(x: "torch.Tensor", sigma: float, target: float, flow: bool = False) -> Run:
    """Take one step of Heun's method; of Euler's to sigma 0."""
    denoised = yield x, sigma
    slope = (x - denoised) / sigma
    predicted = x + slope * (target - sigma)
    if target == 0:
        return predicted
    denoised = yield predicted, target
    return x + (slope + (predicted - denoised) / target) / 2 * (target - sigma)


def dpm_2_step(x: "torch.Tensor", sigma: float, target: float, flow: bool = False) -> Run:
    """Take one step of the midpoint method; of Euler's to sigma 0."""
    denoised = yield x, sigma
    slope = (x - denoised) / sigma
    if target > 0:
        middle = midpoint(sigma, target)
        halfway = x + slope * (middle - sigma)
        denoised = yield halfway, middle
        slope = (halfway - denoised) / middle
    return x + slope * (target - sigma)


def midpoint(sigma: float, following: float) -> float:
    """Return the sigma half-way on a Karras schedule with rho = 3.

    >>> round(midpoint(8.0, 1.0), 6)
    3.375
    """
    return float(((sigma ** (1 / 3) + following ** (1 / 3)) / 2) ** 3)


def _churning(step: StepOf, x: "torch.Tensor", sigmas: Sigmas, noise: Noise, churn: dict[str, float]) -> Run:
    for sigma, following in pairwise(sigmas):
        x, raised = churned(x, sigma, len(sigmas) - 1, noise, **churn)
        x = yield from step(x, raised, following, False)
    return x


def euler(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, **churn: float) -> Run:
    """Euler's method: Karras et al. 2022, algorithm 2 without the correction. One model call a step."""
    return _churning(euler_step, x, sigmas, noise, churn)


def heun(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, **churn: float) -> Run:
    """Heun's method: Karras et al. 2022, algorithm 2. Two model calls a step, one in the last."""
    return _churning(heun_step, x, sigmas, noise, churn)


def dpm_2(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False, **churn: float) -> Run:
    """DPM2: the midpoint method, as in k-diffusion; after DPM-Solver-2 of Lu et al. 2022, arXiv 2206.00927.

    The midpoint is half-way on a Karras schedule with rho = 3. Two model calls a step, one in the last.
    """
    return _churning(dpm_2_step, x, sigmas, noise, churn)


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
