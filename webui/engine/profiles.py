"""Profiles: whose arithmetic a recipe asks for, where A1111, Forge and ComfyUI make another picture of equal words.

The promise: all that the recipe's ``profile`` changes in levels, sigmas and timesteps is here; what it changes in
prompts is in ``webui.engine.chunking`` and ``conditioning``. docs/compatibility.md lists both, and what is not done as
they do it.
"""

import math

import torch

from webui import samplers
from webui.engine import schedules
from webui.engine.sampling_steps import Sigmas
from webui.engine.schedules import Ends, Levels
from webui.recipe import Recipe

CONSISTENT = 50
"""Timesteps that latent consistency models are distilled on: Luo et al. 2023, https://arxiv.org/abs/2310.04378."""
SIGMA_DATA, TIME_SCALE = 0.5, 10.0
"""Of the boundary condition of that paper, section 4.1."""
NEXT_TO_NOTHING = 0.001
"""The sigma that ComfyUI's UniPC ends at."""


def nearest(recipe: Recipe) -> bool:
    """Say whether the network is told the nearest whole timestep instead of a fractional one."""
    return recipe.profile in ("Forge", "ComfyUI") or consistent(recipe)


def consistent(recipe: Recipe) -> bool:
    """Say whether the model is asked as a latent consistency model, as A1111 and Forge do with the sampler LCM."""
    return recipe.sampler == "LCM" and recipe.profile != "ComfyUI"


def levels(own: Levels, recipe: Recipe) -> Levels:
    """Return the levels that a picture is made on: the model's, or what the recipe makes of them."""
    if recipe.noise_schedule != "Default":
        own = schedules.zero_terminal(own)
    return own.thinned(CONSISTENT) if consistent(recipe) else own


def ends(recipe: Recipe) -> Ends:
    """Return where the recipe's schedule begins and ends."""
    return Ends(recipe.sigma_min, recipe.sigma_max, recipe.rho)


def discards(recipe: Recipe) -> bool:
    """Say whether the last sigma but one is left out."""
    if recipe.discard_penultimate != samplers.AUTOMATIC:
        return recipe.discard_penultimate == "On"
    return samplers.discards_penultimate(recipe.sampler, recipe.profile)


def sigmas(own: Levels, recipe: Recipe, xl: bool) -> tuple[float, ...]:
    """Return the sigmas of a picture of a diffusion model with these levels of its own."""
    here = levels(own, recipe)
    unipc = recipe.sampler == "UniPC"
    if unipc and recipe.profile != "ComfyUI" and recipe.schedule == samplers.AUTOMATIC:
        return schedules.to_the_lowest(here, recipe.steps)
    schedule = samplers.settle_schedule(recipe.sampler, recipe.schedule)
    found = schedules.spaced(
        here, schedule, recipe.steps, recipe.profile, discard=discards(recipe), xl=xl, ends=ends(recipe)
    )
    return (*found[:-1], NEXT_TO_NOTHING) if unipc and recipe.profile == "ComfyUI" and found[-1] == 0 else found


def unit(own: Levels, recipe: Recipe, path: Sigmas) -> bool:
    """Say whether the latent starts at noise · sqrt(1 + sigma²): ComfyUI does so from the highest level upwards."""
    if recipe.sgm_noise != samplers.AUTOMATIC:
        return recipe.sgm_noise == "On"
    highest = float(levels(own, recipe).sigmas[-1])
    return recipe.profile == "ComfyUI" and (path[0] > highest or math.isclose(path[0], highest, rel_tol=1e-5))


def consistency(x: torch.Tensor, denoised: torch.Tensor, timestep: float) -> torch.Tensor:
    """Mix x into the estimate as consistency models do: Luo et al. 2023, equation 9, with their numbers.

    At the timesteps that these models know, 19 and up, x has a share of less than 1e-5.
    """
    scaled = timestep * TIME_SCALE
    total = scaled * scaled + SIGMA_DATA * SIGMA_DATA
    return denoised * (scaled / math.sqrt(total)) + x * (SIGMA_DATA * SIGMA_DATA / total)
