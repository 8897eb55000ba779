"""Samplers as coroutines on sigmas: each yields (x, sigma) and is sent the model's denoised estimate.

The promise: a sampler is arithmetic and nothing else. It calls no model and knows no pipeline; whoever drives it owns
progress, previews and cancelling. How often it will ask is known before (``plan`` runs it on a number).

Notation of Karras et al. 2022 (https://arxiv.org/abs/2206.00364). ``flow=True`` gives the forms for rectified flow,
where x = (1 − sigma) · x0 + sigma · noise. With alpha = 1 (diffusion) or 1 − sigma (flow) and
lambda = log(alpha / sigma), the DPM-Solver++ formulas of Lu et al. 2022 (https://arxiv.org/abs/2211.01095) serve both.

``x`` is the float32 master latent, (1, C, H, W); the network may run in half precision, the sum does not.
"""

import math
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch

Run: TypeAlias = "Generator[tuple[torch.Tensor, float], torch.Tensor, torch.Tensor]"
Noise: TypeAlias = "Callable[[], torch.Tensor]"
Sigmas: TypeAlias = Sequence[float]


def euler(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Euler's method: Karras et al. 2022, algorithm 2 without churn and without the correction."""
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        x = x + (x - denoised) / sigma * (following - sigma)
    return x


def euler_ancestral(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """Euler's method down to less noise than wanted, then fresh noise up to it (ancestral sampling, eta 1)."""
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        down, keep, up = _ancestral(sigma, following, flow)
        x = x + (x - denoised) / sigma * (down - sigma)
        if following > 0:
            x = x * keep + noise() * up
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


def dpmpp_2m(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DPM-Solver++(2M): Lu et al. 2022, algorithm 2. The first and the last step are of first order."""
    before: torch.Tensor | None = None
    reach = math.inf  # length of the step before, in lambda
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        h = _log_snr(following, flow) - _log_snr(sigma, flow)
        if before is None or following == 0:
            target = denoised
        else:
            ratio = h / (2 * reach)  # 0 after a step from pure noise, where lambda is −inf
            target = denoised * (1 + ratio) - before * ratio
        x = x * (following / sigma) - target * (_alpha(following, flow) * math.expm1(-h))
        before, reach = denoised, h
    return x


def dpmpp_2s_ancestral(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DPM-Solver++(2S) with ancestral noise: Lu et al. 2022, algorithm 1 with the midpoint r = 1/2.

    A step from or to infinite lambda (pure noise in flow models, no noise) has no midpoint and is Euler's.
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        down, keep, up = _ancestral(sigma, following, flow)
        h = _log_snr(down, flow) - _log_snr(sigma, flow)
        if math.isinf(h):
            x = x + (x - denoised) / sigma * (down - sigma)
        else:
            middle = _sigma(_log_snr(sigma, flow) + h / 2, flow)
            halfway = x * (middle / sigma) - denoised * (_alpha(middle, flow) * math.expm1(-h / 2))
            denoised = yield halfway, middle
            x = x * (down / sigma) - denoised * (_alpha(down, flow) * math.expm1(-h))
        if following > 0:
            x = x * keep + noise() * up
    return x


def ddim(x: "torch.Tensor", sigmas: Sigmas, noise: Noise, flow: bool = False) -> Run:
    """DDIM with eta 0: Song et al. 2020, https://arxiv.org/abs/2010.02502, equation 12, divided by sqrt(ᾱ).

    In sigmas that is the estimate plus the same noise at the next level. The last step goes to sigma 0, so that n
    steps are n model calls (A1111 stops one call earlier, at the lowest trained level).
    """
    for sigma, following in pairwise(sigmas):
        denoised = yield x, sigma
        x = denoised + (x - denoised) * (following / sigma)
    return x


_RUNS: dict[str, Callable[["torch.Tensor", Sigmas, Noise, bool], Run]] = {
    "Euler": euler,
    "Euler a": euler_ancestral,
    "Heun": heun,
    "DPM++ 2M": dpmpp_2m,
    "DPM++ 2S a": dpmpp_2s_ancestral,
    "DDIM": ddim,
}


def start(sampler: str, noise: "torch.Tensor", sigmas: Sigmas, noises: Noise, flow: bool = False) -> Run:
    """Start a sampler by name on standard normal ``noise``; ``noises`` draws what it adds later.

    The latent starts at noise · sigma, as in k-diffusion; DDIM starts at unit variance in its own scale, which is
    noise · sqrt(1 + sigma²).
    """
    scale = math.hypot(1.0, sigmas[0]) if sampler == "DDIM" and not flow else sigmas[0]
    return _RUNS[sampler](noise * scale, sigmas, noises, flow)


def plan(sampler: str, sigmas: Sigmas, flow: bool = False) -> list[float]:
    """List the sigmas of every model call that a sampler will make, by running it on a single number."""
    import torch

    zero = torch.zeros(())
    run, asked = start(sampler, zero, sigmas, lambda: zero, flow), []
    try:
        _, sigma = next(run)
        while True:
            asked.append(sigma)
            _, sigma = run.send(zero)
    except StopIteration:
        return asked


def _alpha(sigma: float, flow: bool) -> float:
    return 1.0 - sigma if flow else 1.0


def _log_snr(sigma: float, flow: bool) -> float:
    """Return lambda = log(alpha / sigma); ±inf without noise or without signal."""
    alpha = _alpha(sigma, flow)
    if sigma <= 0:
        return math.inf
    return math.log(alpha / sigma) if alpha > 0 else -math.inf


def _sigma(log_snr: float, flow: bool) -> float:
    return 1.0 / (1.0 + math.exp(log_snr)) if flow else math.exp(-log_snr)


def _ancestral(sigma: float, following: float, flow: bool) -> tuple[float, float, float]:
    """Split a step into a way down and noise up: (sigma to step down to, factor on x, amount of noise), eta 1.

    Diffusion: k-diffusion's rule, up² = following² (sigma² − following²) / sigma², so down = following² / sigma.
    Flow: the same ``down``; then x is scaled so that its signal is 1 − following, and noise fills up the variance.
    """
    down = following * following / sigma
    keep = _alpha(following, flow) / _alpha(down, flow)
    return down, keep, math.sqrt(max(following**2 - (keep * down) ** 2, 0.0))
