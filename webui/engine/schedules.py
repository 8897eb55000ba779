"""Schedules: which noise levels (sigmas) the steps of a picture pass through.

The promise: n steps have n + 1 sigmas that fall to 0, computed in float64 from the model's own configuration; no
betas are written down here. Timesteps between two trained ones are fractional: the logarithm of sigma is interpolated
over the index, as k-diffusion and A1111 do (Forge rounds to the nearest).

Sigma is the noise of Karras et al. 2022 (https://arxiv.org/abs/2206.00364): x = x0 + sigma · noise. In flow models
(Liu et al. 2022, https://arxiv.org/abs/2209.03003) it is x = (1 − sigma) · x0 + sigma · noise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webui import samplers
from webui.errors import BadValue, CheckpointError

Floats = NDArray[np.float64]

RHO = 7.0
"""The exponent of Karras et al. 2022, section 3.2."""
TERMINAL = 4.8973451890853435e-08
"""ᾱ of the last level that A1111's and ComfyUI's zero terminal SNR leaves: sigma 4518.8, so that it is finite."""

AYS = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
AYS_XL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
"""Align Your Steps: Sabour et al. 2024, https://arxiv.org/abs/2404.14507, ten steps for SD 1.5 and for SDXL."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The noise levels that a model was trained on.

    ``sigmas``: (N,), rising. ``flow`` says which kind of noising they mean. ``stride``: each is the last of so many
    trained ones.
    """

    sigmas: Floats
    flow: bool = False
    stride: int = 1

    def at(self, index: float) -> float:
        """Return the sigma at an index between 0 and N − 1, which may be fractional."""
        return float(np.exp(np.interp(index, np.arange(len(self.sigmas)), np.log(self.sigmas))))

    def index(self, sigma: float) -> float:
        """Return the fractional index of a sigma, by its logarithm; the first's or the last's of one outside."""
        return float(np.interp(math.log(sigma), np.log(self.sigmas), np.arange(len(self.sigmas))))

    def thinned(self, count: int) -> "Levels":
        """Return ``count`` of the levels, evenly spaced, with the last one among them."""
        stride = max(len(self.sigmas) // count, 1)
        return replace(self, sigmas=self.sigmas[stride - 1 :: stride], stride=self.stride * stride)

    def timestep(self, sigma: float, nearest: bool = False) -> float:
        """Return the timestep that the network is told for a sigma; fractional between trained ones.

        ``nearest``: that of the nearest trained sigma by the distance of logarithms, as in Forge and ComfyUI. Flow
        models are told the sigma itself, everywhere.
        """
        if self.flow:
            return sigma * len(self.sigmas)
        index = float(np.argmin(np.abs(np.log(self.sigmas) - math.log(sigma)))) if nearest else self.index(sigma)
        return index * self.stride + self.stride - 1


@dataclass(frozen=True)
class Ends:
    """Where a schedule begins and ends, and its exponent; 0 is the model's or the schedule's own."""

    low: float = 0.0
    high: float = 0.0
    rho: float = 0.0

    def sigmas(self, levels: Levels) -> tuple[float, float]:
        """Return the lowest and the highest sigma; raise BadValue when they leave nothing between them."""
        low, high = self.low or float(levels.sigmas[0]), self.high or float(levels.sigmas[-1])
        if levels.flow and high > 1:
            raise BadValue("sigma_max", "Schedule max sigma", high, "at most 1 for flow models")
        if low >= high:
            name, label, given = ("sigma_min", "min", low) if self.low else ("sigma_max", "max", high)
            rule = f"within the model's own range, {levels.sigmas[0]:.4g} to {levels.sigmas[-1]:.4g}"
            raise BadValue(name, f"Schedule {label} sigma", given, rule)
        return low, high

    def indices(self, levels: Levels) -> tuple[float, float]:
        """Return the lowest and the highest index, which may be fractional."""
        low, high = self.sigmas(levels)
        return (levels.index(low) if self.low else 0.0), (levels.index(high) if self.high else len(levels.sigmas) - 1.0)


OWN = Ends()


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


def _zero_snr(alphas: Floats, last: float = 2.0**-24) -> Floats:
    """Rescale ᾱ to end in pure noise: Lin et al. 2023, https://arxiv.org/abs/2305.08891, algorithm 1.

    ``last`` in place of 0, so that sigma stays finite: 2^-24 as in diffusers is 4096.
    """
    root = np.sqrt(alphas)
    rescaled = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    rescaled[-1] = last
    return np.asarray(rescaled)


def zero_terminal(levels: Levels) -> Levels:
    """Return the levels rescaled to end in pure noise; those that do already stay as they are."""
    alphas = _zero_snr(1.0 / (1.0 + levels.sigmas**2), TERMINAL)
    return levels if levels.sigmas[-1] > 4000 else replace(levels, sigmas=np.sqrt((1.0 - alphas) / alphas))


def spaced(  # noqa: PLR0913
    levels: Levels,
    schedule: str,
    steps: int,
    profile: str = "A1111",
    *,
    discard: bool = False,
    xl: bool = False,
    ends: Ends = OWN,
) -> tuple[float, ...]:
    """Space ``steps`` steps over the levels: ``steps`` + 1 sigmas, falling, the last one 0.

    ``schedule``: a settled name, so not ``Automatic``. Formulas as in A1111 1.10, except that ``DDIM`` always has the
    number of steps asked for (A1111 makes 31 of 30). ``profile``: ``ComfyUI`` has a Beta of its own. ``discard``: space
    one step more and drop the last sigma but one. ``xl``: the model is SDXL, for ``Align Your Steps``. ``ends``: as in
    A1111 for those schedules that go from one sigma to another, and not for those that pick trained ones.

    Two exceptions, both as in the programs they come from: ``KL Optimal`` ends at the lowest level, not at 0; and
    ComfyUI's Beta has a step less for each two that would fall on one trained level (from 139 steps on).

    Raises BadValue for a schedule that has no meaning for flow models, and for ends that it cannot have.
    """
    if discard:
        sigmas = spaced(levels, schedule, steps + 1, profile, xl=xl, ends=ends)
        return (*sigmas[:-2], sigmas[-1])
    if levels.flow and (problem := samplers.schedule_without_flow(schedule)):
        raise problem
    if schedule == "Align Your Steps":
        return (*_resampled(AYS_XL if xl else AYS, steps), 0.0)
    if schedule == "KL Optimal":
        return tuple(_kl_optimal(levels, steps, ends))
    if schedule == "Beta" and profile == "ComfyUI":
        return (*_beta_of_index(levels, steps), 0.0)
    return (*_SPACINGS[schedule](levels, steps, ends), 0.0)


def to_the_lowest(levels: Levels, steps: int) -> tuple[float, ...]:
    """Space steps evenly in time down to the lowest level, not to 0: ``steps`` + 1 sigmas, as A1111's UniPC."""
    return tuple(_uniform(levels, steps + 1, OWN))


def _uniform(levels: Levels, steps: int, ends: Ends) -> list[float]:
    return _normal(levels, steps, OWN)


def _normal(levels: Levels, steps: int, ends: Ends) -> list[float]:
    low, high = ends.indices(levels)
    return [levels.at(index) for index in np.linspace(high, low, steps)]


def _karras(levels: Levels, steps: int, ends: Ends) -> list[float]:
    """Karras et al. 2022, equation 5."""
    rho = ends.rho or RHO
    low, high = (sigma ** (1 / rho) for sigma in ends.sigmas(levels))
    return [float(root**rho) for root in np.linspace(high, low, steps)]


def _exponential(levels: Levels, steps: int, ends: Ends) -> list[float]:
    low, high = map(math.log, ends.sigmas(levels))
    return [float(sigma) for sigma in np.exp(np.linspace(high, low, steps))]


def _polyexponential(levels: Levels, steps: int, ends: Ends) -> list[float]:
    """Even steps in the root of log sigma's share of the way, as in k-diffusion; with rho 1 Exponential."""
    if ends.rho in (0, 1):
        return _exponential(levels, steps, ends)
    low, high = map(math.log, ends.sigmas(levels))
    return [float(sigma) for sigma in np.exp(low + np.linspace(1, 0, steps) ** ends.rho * (high - low))]


def _sgm_uniform(levels: Levels, steps: int, ends: Ends) -> list[float]:
    low, high = ends.indices(levels)
    return [levels.at(index) for index in np.linspace(high, low, steps + 1)[:-1]]


def _simple(levels: Levels, steps: int, ends: Ends) -> list[float]:
    stride = len(levels.sigmas) / steps
    return [float(levels.sigmas[-(1 + int(k * stride))]) for k in range(steps)]


def _ddim(levels: Levels, steps: int, ends: Ends) -> list[float]:
    """Index 1, 1 + stride, …: the "leading" spacing with offset 1 (Lin et al. 2023, table 2)."""
    stride = max(len(levels.sigmas) // steps, 1)
    top = len(levels.sigmas) - 1
    return [float(levels.sigmas[min(1 + k * stride, top)]) for k in reversed(range(steps))]


def _kl_optimal(levels: Levels, steps: int, ends: Ends) -> list[float]:
    """Sabour et al. 2024, https://arxiv.org/abs/2404.14507, section 3: even in arctan sigma, n + 1 points."""
    low, high = map(math.atan, ends.sigmas(levels))
    return [math.tan(high + (low - high) * k / steps) for k in range(steps + 1)]


def _resampled(table: tuple[float, ...], steps: int) -> list[float]:
    """Interpolate the logarithm of a table's sigmas at ``steps`` even points (Sabour et al. 2024, appendix)."""
    at = np.linspace(0, len(table) - 1, steps)
    return [float(sigma) for sigma in np.exp(np.interp(at, np.arange(len(table)), np.log(table)))]


def _beta(levels: Levels, steps: int, ends: Ends) -> list[float]:
    """Map the quantiles onto sigma, as A1111 and Forge do; Lee et al. 2024, https://arxiv.org/abs/2407.12173."""
    low, high = ends.sigmas(levels)
    return [float(low + (high - low) * at) for at in beta_quantile(np.linspace(1, 0, steps))]


def _beta_of_index(levels: Levels, steps: int) -> list[float]:
    """Map the quantiles onto the trained index, as ComfyUI does and the paper; equal ones are one."""
    at = beta_quantile(1 - np.arange(steps) / steps) * (len(levels.sigmas) - 1)
    return [float(levels.sigmas[index]) for index in dict.fromkeys(np.rint(at).astype(int))]


def _turbo(levels: Levels, steps: int, ends: Ends) -> list[float]:
    """Index count · k / n − 1 for k = n, …, 1, rounded, as in Forge; for Sauer et al. 2023, arXiv 2311.17042."""
    count = len(levels.sigmas)
    at = np.rint(np.arange(steps, 0, -1) * (count / steps) - 1).astype(int)
    return [float(levels.sigmas[index]) for index in at.clip(0, count - 1)]


def beta_quantile(shares: Floats, shape: float = 0.6) -> Floats:
    """Return the quantiles of the symmetric beta distribution, ``shape`` twice.

    Inverts the regularised incomplete beta function: its power series (DLMF 8.17.7), which at 1/2 halves with each
    term, by Newton's method on x^shape, in which it is nearly straight. The upper half is the
    lower one mirrored.

    >>> [round(float(at), 6) for at in beta_quantile(np.array([0.0, 0.1, 0.5, 0.9, 1.0]))]
    [0.0, 0.039584, 0.5, 0.960416, 1.0]
    """
    order = np.arange(64)
    factors = np.cumprod(np.concatenate([[1.0], (order[1:] - shape) / order[1:]])) / (shape + order)

    def area(x: Floats) -> Floats:
        return np.asarray((x[:, None] ** order * factors).sum(1))

    half = float(area(np.array([0.5]))[0]) * 0.5**shape
    lower = np.minimum(shares, 1 - shares) * 2 * half
    power = lower * shape
    for _ in range(12):
        x = np.minimum(power ** (1 / shape), 0.5)
        power = power - (power * area(x) - lower) * shape * (1 - x) ** (1 - shape)
        power = np.clip(power, 0.0, 0.5**shape)
    x = power ** (1 / shape)
    x = np.where(shares == 0.5, 0.5, x)
    return np.asarray(np.where(shares > 0.5, 1 - x, x))


_SPACINGS: dict[str, Callable[[Levels, int, Ends], list[float]]] = {
    "Uniform": _uniform,
    "Karras": _karras,
    "Exponential": _exponential,
    "SGM Uniform": _sgm_uniform,
    "Polyexponential": _polyexponential,
    "Simple": _simple,
    "Normal": _normal,
    "DDIM": _ddim,
    "Beta": _beta,
    "Turbo": _turbo,
}
