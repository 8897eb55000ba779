"""The arithmetic that samplers share: signal, noise, log-SNR, ancestral splits and multistep weights.

The promise: plain numbers in float64, no tensor is made here, and every formula holds for both kinds of noising:
diffusion, x = x0 + sigma · noise (alpha = 1), and rectified flow, x = (1 − sigma) · x0 + sigma · noise.
"""

import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Run: TypeAlias = "Generator[tuple[torch.Tensor, float], torch.Tensor, torch.Tensor]"
Noise: TypeAlias = "Callable[[], torch.Tensor]"
Brown: TypeAlias = "Callable[[float, float], torch.Tensor]"
"""Brownian noise between two sigmas, of unit variance: see ``webui.engine.brownian``."""
Sigmas: TypeAlias = Sequence[float]
StepOf: TypeAlias = "Callable[[torch.Tensor, float, float, bool], Run]"
"""One step of a method, from a sigma to a target, in flow or not."""
Floats: TypeAlias = NDArray[np.float64]


def signal(sigma: float, flow: bool) -> float:
    """Return alpha, the share of the picture in x."""
    return 1.0 - sigma if flow else 1.0


def log_snr(sigma: float, flow: bool) -> float:
    """Return lambda = log(alpha / sigma); ±inf without noise or without signal."""
    alpha = signal(sigma, flow)
    if sigma <= 0:
        return math.inf
    return math.log(alpha / sigma) if alpha > 0 else -math.inf


def sigma_at(lam: float, flow: bool) -> float:
    """Return the sigma of a log-SNR: the inverse of ``log_snr``."""
    return 1.0 / (1.0 + math.exp(lam)) if flow else math.exp(-lam)


def ancestral(sigma: float, following: float, flow: bool, eta: float = 1.0) -> tuple[float, float, float]:
    """Split a step into a way down and noise up: (sigma to step down to, factor on x, amount of noise).

    Diffusion: k-diffusion's rule, up² = eta² following² (sigma² − following²) / sigma², so with eta 1
    down = following² / sigma. Flow: ``down`` goes evenly with eta from ``following`` to the same; then x is scaled so
    that its signal is 1 − following, and noise fills up the variance.
    """
    ratio = following / sigma
    if eta == 1:
        down = following * following / sigma
    elif flow:
        down = following * (1.0 + (ratio - 1.0) * eta)
    else:
        down = following * math.sqrt(1.0 - eta * eta * (1.0 - ratio * ratio))
    keep = signal(following, flow) / signal(down, flow)
    return down, keep, math.sqrt(max(following**2 - (keep * down) ** 2, 0.0))


def churned(  # noqa: PLR0913
    x: "torch.Tensor",
    sigma: float,
    steps: int,
    noise: Noise,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = 0.0,
) -> tuple["torch.Tensor", float]:
    """Add noise before a step: Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2; return x and sigma.

    ``s_tmax`` 0 is no limit. As in k-diffusion, noise is drawn at every step, also where sigma is outside of the range
    and it is not used: later draws depend on it.
    """
    if not s_churn:
        return x, sigma
    fresh = noise()
    if sigma < s_tmin or sigma > (s_tmax or math.inf):
        return x, sigma
    raised = sigma * (1.0 + min(s_churn / steps, math.sqrt(2.0) - 1.0))
    return x + fresh * math.sqrt(raised * raised - sigma * sigma), raised


def exact(  # noqa: PLR0913
    x: "torch.Tensor", denoised: "torch.Tensor", sigma: float, following: float, flow: bool, *, eta: float = 0.0
) -> "torch.Tensor":
    """Step from ``sigma`` to ``following`` as if the estimate were constant: exact for the ODE, and for the SDE's mean.

    Lu et al. 2022, https://arxiv.org/abs/2211.01095, sections 4 (eta 0) and 5 (eta 1, here without the noise); between
    them as in k-diffusion.
    """
    h = log_snr(following, flow) - log_snr(sigma, flow)
    shrink = math.exp(-eta * h) if eta else 1.0
    return x * (following / sigma * shrink) - denoised * (signal(following, flow) * math.expm1(-h * (1 + eta)))


def adams_weights(nodes: Sequence[float], low: float, high: float, warp: Callable[[Floats], Floats]) -> list[float]:
    """Integrate over sigma, from ``low`` to ``high``, the Lagrange polynomials of ``nodes`` in the time warp(sigma).

    These are the weights of an Adams–Bashforth step. Gauss–Legendre with 32 points: exact to float64 where ``warp`` is
    the identity.
    """
    points, measure = np.polynomial.legendre.leggauss(32)
    half = (high - low) / 2
    times = warp((low + high) / 2 + half * points)
    known = warp(np.asarray(nodes, np.float64))
    weights = []
    for j, node in enumerate(known):
        basis = np.ones_like(times)
        for k, other in enumerate(known):
            if k != j:
                basis = basis * (times - other) / (node - other)
        weights.append(float(half * (measure * basis).sum()))
    return weights
