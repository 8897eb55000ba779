"""Schedules: which noise levels (sigmas) the steps of a picture pass through.

The promise: n steps have n + 1 sigmas that fall to 0, computed in float64 from the model's own configuration; no
betas are written down here. Timesteps between two trained ones are fractional: the logarithm of sigma is interpolated
over the index, as k-diffusion and A1111 do (Forge rounds to the nearest).

Sigma is the noise of Karras et al. 2022 (https://arxiv.org/abs/2206.00364): x = x0 + sigma · noise. In flow models
(Liu et al. 2022, https://arxiv.org/abs/2209.03003) it is x = (1 − sigma) · x0 + sigma · noise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webui.errors import CheckpointError

Floats = NDArray[np.float64]

RHO = 7.0
"""The exponent of Karras et al. 2022, section 3.2."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The noise levels that a model was trained on.

    ``sigmas``: (N,), rising. ``flow`` says which kind of noising they mean.
    """

    sigmas: Floats
    flow: bool = False

    def at(self, index: float) -> float:
        """Return the sigma at an index between 0 and N − 1, which may be fractional."""
        return float(np.exp(np.interp(index, np.arange(len(self.sigmas)), np.log(self.sigmas))))

    def timestep(self, sigma: float) -> float:
        """Return the timestep that the network is told for a sigma; fractional between trained ones."""
        if self.flow:
            return sigma * len(self.sigmas)
        return float(np.interp(math.log(sigma), np.log(self.sigmas), np.arange(len(self.sigmas))))


def from_config(config: Mapping[str, Any]) -> Levels:
    """Read the levels of a diffusion model from its diffusers scheduler's configuration.

    sigma = sqrt((1 − ᾱ) / ᾱ), Karras et al. 2022, table 1. Raises CheckpointError for noise of an unknown form.
    """
    alphas: Floats = np.cumprod(1.0 - _betas(config), dtype=np.float64)
    if config.get("rescale_betas_zero_snr"):
        alphas = _zero_snr(alphas)
    alphas = alphas.astype(np.float32).astype(np.float64)  # as checkpoints store it: moves the smallest sigma by 1e-5
    return Levels(np.sqrt((1.0 - alphas) / alphas))


def flow_levels(shift: float, count: int = 1000) -> Levels:
    """Return the levels of a flow model: even in time, shifted towards noise (Esser et al. 2024, equation 23)."""
    time = np.arange(1, count + 1, dtype=np.float64) / count
    return Levels(shift * time / (1.0 + (shift - 1.0) * time), flow=True)


def _betas(config: Mapping[str, Any]) -> Floats:
    count = int(config.get("num_train_timesteps", 1000))
    given, form = config.get("trained_betas"), config.get("beta_schedule", "linear")
    first, last = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    if given is not None:
        return np.asarray(given, np.float64)
    if form == "linear":
        return np.linspace(first, last, count)
    if form == "scaled_linear":
        return np.asarray(np.linspace(first**0.5, last**0.5, count) ** 2)
    if form == "squaredcos_cap_v2":  # Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672, equation 17
        bar = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * math.pi / 2) ** 2
        return np.asarray(np.minimum(1.0 - bar[1:] / bar[:-1], 0.999))
    if form == "sigmoid":
        return np.asarray(first + (last - first) / (1.0 + np.exp(-np.linspace(-6.0, 6.0, count))))
    raise CheckpointError(f"The model's scheduler has the noise schedule {form!r}, which this program does not know.")


def _zero_snr(alphas: Floats) -> Floats:
    """Rescale ᾱ to end in pure noise: Lin et al. 2023, https://arxiv.org/abs/2305.08891, algorithm 1."""
    root = np.sqrt(alphas)
    rescaled = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    rescaled[-1] = 2.0**-24  # as diffusers: sigma must stay finite (4096)
    return np.asarray(rescaled)


def spaced(levels: Levels, schedule: str, steps: int) -> tuple[float, ...]:
    """Space ``steps`` steps over the levels: ``steps`` + 1 sigmas, falling, the last one 0.

    ``schedule``: a settled name, so not ``Automatic``. Formulas as in A1111 1.10, except that ``DDIM`` always has the
    number of steps asked for (A1111 makes 31 of 30).
    """
    return (*_SPACINGS[schedule](levels, steps), 0.0)


def _uniform(levels: Levels, steps: int) -> list[float]:
    return [levels.at(index) for index in np.linspace(len(levels.sigmas) - 1, 0, steps)]


def _karras(levels: Levels, steps: int) -> list[float]:
    """Karras et al. 2022, equation 5."""
    low, high = (float(sigma) ** (1 / RHO) for sigma in (levels.sigmas[0], levels.sigmas[-1]))
    return [float(root**RHO) for root in np.linspace(high, low, steps)]


def _exponential(levels: Levels, steps: int) -> list[float]:
    low, high = math.log(levels.sigmas[0]), math.log(levels.sigmas[-1])
    return [float(sigma) for sigma in np.exp(np.linspace(high, low, steps))]


def _sgm_uniform(levels: Levels, steps: int) -> list[float]:
    return [levels.at(index) for index in np.linspace(len(levels.sigmas) - 1, 0, steps + 1)[:-1]]


def _simple(levels: Levels, steps: int) -> list[float]:
    stride = len(levels.sigmas) / steps
    return [float(levels.sigmas[-(1 + int(k * stride))]) for k in range(steps)]


def _ddim(levels: Levels, steps: int) -> list[float]:
    """Index 1, 1 + stride, …: the "leading" spacing with offset 1 (Lin et al. 2023, table 2)."""
    stride = max(len(levels.sigmas) // steps, 1)
    top = len(levels.sigmas) - 1
    return [float(levels.sigmas[min(1 + k * stride, top)]) for k in reversed(range(steps))]


_SPACINGS: dict[str, Callable[[Levels, int], list[float]]] = {
    "Uniform": _uniform,
    "Karras": _karras,
    "Exponential": _exponential,
    "SGM Uniform": _sgm_uniform,
    "Simple": _simple,
    "DDIM": _ddim,
}
