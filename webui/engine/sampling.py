"""Samplers as coroutines on sigmas: each yields (x, sigma) and is sent the model's denoised estimate.

The promise: a sampler is arithmetic and nothing else. It calls no model and knows no pipeline; whoever drives it owns
progress, previews and cancelling. How often it will ask is known before (``plan`` runs it on a number).

Notation of Karras et al. 2022 (https://arxiv.org/abs/2206.00364). ``flow=True`` gives the forms for rectified flow,
where x = (1 − sigma) · x0 + sigma · noise. With alpha = 1 (diffusion) or 1 − sigma (flow) and
lambda = log(alpha / sigma), the DPM-Solver++ formulas of Lu et al. 2022 (https://arxiv.org/abs/2211.01095) serve both.

``x`` is the float32 master latent, (1, C, H, W); the network may run in half precision, the sum does not. The
algorithms are in ``sampling_single``, ``sampling_multistep``, ``sampling_stochastic``, ``sampling_sde`` and
``sampling_adaptive``; here is the table of them and how they are started.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from webui import samplers
from webui.engine import sampling_adaptive as adaptive
from webui.engine import sampling_multistep as multistep
from webui.engine import sampling_sde as sde
from webui.engine import sampling_single as single
from webui.engine import sampling_stochastic as stochastic
from webui.engine.sampling_steps import Brown, Noise, Run, Sigmas
from webui.errors import BadValue

if TYPE_CHECKING:
    import torch

__all__ = ["Brown", "Noise", "Run", "Sigmas", "plan", "start"]

_RUNS: dict[str, Callable[..., Run]] = {
    "Euler": single.euler,
    "Euler a": stochastic.euler_ancestral,
    "Heun": single.heun,
    "DPM++ 2M": multistep.dpmpp_2m,
    "DPM++ 2S a": stochastic.dpmpp_2s_ancestral,
    "LMS": multistep.lms,
    "DPM2": single.dpm_2,
    "DPM2 a": stochastic.dpm_2_ancestral,
    "DPM fast": adaptive.dpm_fast,
    "DPM adaptive": adaptive.dpm_adaptive,
    "Restart": stochastic.restart,
    "HeunPP2": single.heunpp2,
    "IPNDM": multistep.ipndm,
    "DEIS": multistep.deis,
    "DDIM": stochastic.ddim,
    "UniPC": multistep.unipc,
    "DDPM": stochastic.ddpm,
    "LCM": stochastic.lcm,
}
_BROWNIAN: dict[str, Callable[..., Run]] = {
    "DPM++ SDE": sde.dpmpp_sde,
    "DPM++ 2M SDE": sde.dpmpp_2m_sde,
    "DPM++ 2M SDE Heun": sde.dpmpp_2m_sde_heun,
    "DPM++ 3M SDE": sde.dpmpp_3m_sde,
}
_UNIT = ("DDIM", "UniPC")
"""These start at unit variance in their own scale, wherever they are."""
NONE: Final[Mapping[str, float]] = MappingProxyType({})
ADAPTIVE_CALLS = 60
"""What DPM adaptive is expected to ask for; how much it does depends on the picture."""


def start(  # noqa: PLR0913
    sampler: str,
    noise: "torch.Tensor",
    sigmas: Sigmas,
    noises: Noise,
    flow: bool = False,
    *,
    brownian: "Brown | None" = None,
    unit: bool = False,
    options: Mapping[str, float] = NONE,
) -> Run:
    """Start a sampler by name on standard normal ``noise``; ``noises`` draws what it adds later.

    ``brownian`` gives the noise between two sigmas to the samplers whose row says ``brownian``. The latent starts at
    noise · sigma, as in k-diffusion; with ``unit``, and for DDIM and UniPC always, at unit variance in the scale in
    which models are trained, which is noise · sqrt(1 + sigma²). ``options``: values of the fields that
    ``samplers.options`` names, such as eta.

    Raises BadValue for a sampler, or a churn, that has no form for flow models.
    """
    if flow and (problem := samplers.without_flow(sampler)):
        raise problem
    if flow and options.get("s_churn"):
        raise BadValue("s_churn", "Sigma churn", options["s_churn"], "0 for flow models")
    x = noise * (math.hypot(1.0, sigmas[0]) if (unit or sampler in _UNIT) and not flow else sigmas[0])
    if sampler not in _BROWNIAN:
        return _RUNS[sampler](x, sigmas, noises, flow, **options)
    if brownian is None:
        raise ValueError(f"{sampler} needs Brownian noise")
    return _BROWNIAN[sampler](x, sigmas, brownian, flow, **options)


def plan(sampler: str, sigmas: Sigmas, flow: bool = False, options: Mapping[str, float] = NONE) -> list[float]:
    """List the sigmas of every model call that a sampler will make, by running it on a single number.

    DPM adaptive decides on the way: for it this is a guess, and whoever drives it goes on until it ends.
    """
    import torch

    if sampler == "DPM adaptive" and not flow:
        low = min(sigma for sigma in sigmas if sigma > 0)
        return [sigmas[0] * (low / sigmas[0]) ** (k / ADAPTIVE_CALLS) for k in range(ADAPTIVE_CALLS)]
    zero = torch.zeros(())
    asked: list[float] = []
    run = start(sampler, zero, sigmas, lambda: zero, flow, brownian=lambda _, __: zero, options=options)
    try:
        _, sigma = next(run)
        while True:
            asked.append(sigma)
            _, sigma = run.send(zero)
    except StopIteration:
        return asked
