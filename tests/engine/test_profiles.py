"""Profiles: the levels, sigmas and timesteps of A1111, Forge and ComfyUI, where they are not the same."""

import math

import numpy as np
import pytest
import torch

from webui.engine import profiles, schedules
from webui.engine.noise import Stream
from webui.errors import BadValue
from webui.recipe import Recipe

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
LEVELS = schedules.from_config(SD15)


def sigmas(**values: object) -> tuple[float, ...]:
    return profiles.sigmas(LEVELS, Recipe.of(**{"seed": 1, "steps": 10, **values}), xl=False)


def timesteps(recipe: Recipe) -> list[float]:
    levels = profiles.levels(LEVELS, recipe)
    found = profiles.sigmas(LEVELS, recipe, xl=False)
    return [levels.timestep(sigma, profiles.nearest(recipe)) for sigma in found if sigma > 0]


@pytest.mark.parametrize("profile", ["A1111", "Forge"])
@pytest.mark.parametrize("steps", [1, 10, 27])
def test_unipc_goes_evenly_in_time_and_stops_at_the_lowest_level(profile, steps):
    recipe = Recipe.of(seed=1, sampler="UniPC", steps=steps, profile=profile)
    found = profiles.sigmas(LEVELS, recipe, xl=False)
    assert (len(found), found[-1]) == (steps + 1, pytest.approx(LEVELS.sigmas[0], rel=1e-12))
    off = np.abs(np.array(timesteps(recipe)) - np.linspace(999, 0, steps + 1)).max()
    assert off <= (0.5 if profile == "Forge" else 0) + 1e-6
    assert sigmas(sampler="UniPC", profile=profile, schedule="Karras") == sigmas(sampler="LMS", schedule="Karras")


def test_unipc_of_comfyui_leaves_out_the_last_but_one_and_ends_next_to_nothing():
    longer = schedules.spaced(LEVELS, "Karras", 11)
    assert sigmas(sampler="UniPC", profile="ComfyUI", schedule="Karras") == (*longer[:-2], 0.001)


def test_which_samplers_leave_out_the_last_sigma_but_one():
    discarding = {profile: [name for name in ("DPM2", "DPM2 a", "DPM++ 3M SDE", "UniPC", "Euler")
                            if profiles.discards(Recipe.of(seed=1, sampler=name, profile=profile))]
                  for profile in ("A1111", "Forge", "ComfyUI")}  # fmt: skip
    assert discarding["A1111"] == discarding["Forge"] == ["DPM2", "DPM2 a", "DPM++ 3M SDE"]
    assert discarding["ComfyUI"] == ["DPM2", "DPM2 a", "UniPC"]
    plain, longer = (schedules.spaced(LEVELS, "Karras", count) for count in (10, 11))
    assert sigmas(sampler="DPM2", discard_penultimate="Off") == plain
    assert sigmas(sampler="DPM++ 2M", discard_penultimate="On") == (*longer[:-2], 0.0)


@pytest.mark.parametrize("profile", ["A1111", "Forge"])
def test_lcm_is_told_the_timesteps_it_was_distilled_on(profile):
    assert timesteps(Recipe.of(seed=1, sampler="LCM", steps=2, profile=profile)) == [999, 19]
    assert timesteps(Recipe.of(seed=1, sampler="LCM", steps=4, profile=profile)) == [999, 679, 339, 19]
    for schedule in ("Karras", "Simple", "SGM Uniform"):
        told = timesteps(Recipe.of(seed=1, sampler="LCM", steps=8, profile=profile, schedule=schedule))
        assert all(timestep % 20 == 19 for timestep in told)
    assert timesteps(Recipe.of(seed=1, sampler="LCM", steps=4, profile="ComfyUI")) == [999, 666, 333, 0]


def test_consistency_is_the_boundary_condition():
    """c_skip(0) = 1 and c_out(0) = 0; their squares, the first over sigma_data, sum to what Karras et al. have."""
    x, denoised = torch.full((1,), 2.0), torch.full((1,), 7.0)
    assert profiles.consistency(x, denoised, 0.0).item() == 2.0
    assert profiles.consistency(x, denoised, 19.0).item() == pytest.approx(7.0, abs=5e-5)
    skip, out = (profiles.consistency(*pair, 0.05).item() for pair in ((x, x * 0), (x * 0, denoised)))
    assert (skip / 2, out / 7) == pytest.approx((0.5, math.sqrt(0.5)))  # at 10 · 0.05 = sigma_data


def test_the_sampler_lcm_asks_as_a_consistency_model(engines):
    family = engines["sd1"]._model("sd1", "").family
    latent = Stream(1, "NV", (1, 4, 8, 8)).normal()
    asked = {}
    with torch.inference_mode():
        for profile in ("A1111", "ComfyUI"):
            recipe = Recipe.of(prompt="a house", seed=1, width=64, height=64, sampler="LCM", profile=profile)
            asked[profile] = family.denoiser(recipe)(latent, LEVELS.at(339.0))
        euler = family.denoiser(recipe.but(sampler="Euler", profile="Forge"))(latent, LEVELS.at(339.0))
    mixed = profiles.consistency(latent, euler, 339.0)
    assert torch.equal(asked["A1111"], mixed)
    assert torch.equal(asked["ComfyUI"], euler)


def test_zero_terminal_snr_ends_in_pure_noise():
    rescaled = profiles.levels(LEVELS, Recipe.of(seed=1, noise_schedule="Zero Terminal SNR"))
    assert rescaled.sigmas[-1] == pytest.approx(4518.8, abs=0.1)
    assert rescaled.sigmas[0] == pytest.approx(LEVELS.sigmas[0], rel=1e-6)
    assert (np.diff(rescaled.sigmas) > 0).all()
    assert schedules.zero_terminal(rescaled) is rescaled
    assert sigmas(noise_schedule="Zero Terminal SNR")[0] == pytest.approx(rescaled.sigmas[-1], rel=1e-12)


@pytest.mark.parametrize(
    ("values", "first", "wide"),
    [
        ({}, None, False),
        ({"sgm_noise": "On"}, None, True),
        ({"profile": "ComfyUI"}, None, True),
        ({"profile": "ComfyUI", "sgm_noise": "Off"}, None, False),
        ({"profile": "ComfyUI", "sigma_max": 20.0}, 20.0, True),
        ({"profile": "ComfyUI", "sigma_max": 14.614642}, 14.614642, True),
        ({"profile": "ComfyUI", "sigma_max": 10.0}, 10.0, False),
        ({"profile": "ComfyUI", "schedule": "DDIM"}, None, False),
    ],
)
def test_which_start_has_unit_variance(values, first, wide):
    recipe = Recipe.of(seed=1, **values)
    path = profiles.sigmas(LEVELS, recipe, xl=False)
    assert first is None or path[0] == pytest.approx(first)
    assert profiles.unit(LEVELS, recipe, path) is wide


ENDED = ("Karras", "Exponential", "Polyexponential", "SGM Uniform", "Normal", "KL Optimal", "Beta")


@pytest.mark.parametrize("schedule", ENDED)
def test_ends_of_a_schedule(schedule):
    found = sigmas(schedule=schedule, sigma_min=0.1, sigma_max=10.0)
    lowest = found[-2 if found[-1] == 0 else -1]
    assert found[0] == pytest.approx(10.0, rel=1e-9)
    assert lowest > 0.2 if schedule == "SGM Uniform" else lowest == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize("schedule", ["Uniform", "Simple", "DDIM", "Turbo", "Align Your Steps"])
def test_schedules_of_trained_levels_have_no_other_ends(schedule):
    assert sigmas(schedule=schedule, sigma_min=0.1, sigma_max=10.0) == sigmas(schedule=schedule)


def test_rho():
    """Karras et al. 2022, equation 5; and k-diffusion's polyexponential, by hand."""
    low, high = LEVELS.sigmas[0], LEVELS.sigmas[-1]
    share = np.arange(10) / 9
    karras = (high ** (1 / 3) + share * (low ** (1 / 3) - high ** (1 / 3))) ** 3
    assert sigmas(schedule="Karras", rho=3)[:-1] == pytest.approx(karras, rel=1e-9)
    poly = np.exp((1 - share) ** 2 * math.log(high / low)) * low
    assert sigmas(schedule="Polyexponential", rho=2)[:-1] == pytest.approx(poly, rel=1e-9)
    assert sigmas(schedule="Exponential", rho=2) == sigmas(schedule="Exponential")


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"sigma_min": 20.0}, "sigma_min", r"Schedule min sigma must be within .* 0.02917 to 14.61; got 20"),
        ({"sigma_min": 5.0, "sigma_max": 2.0}, "sigma_min", r"Schedule min sigma must be within"),
        ({"sigma_max": 0.01}, "sigma_max", r"Schedule max sigma must be within .* got 0.01"),
    ],
)
def test_ends_that_leave_nothing_between_them(values, field, words):
    with pytest.raises(BadValue, match=words) as caught:
        sigmas(schedule="Karras", **values)
    assert caught.value.field == field


def test_flow_models_begin_at_one():
    levels = schedules.flow_levels(3.0)
    assert schedules.spaced(levels, "Karras", 4, ends=schedules.Ends(high=0.9))[0] == pytest.approx(0.9)
    with pytest.raises(BadValue, match=r"Schedule max sigma must be at most 1 for flow models; got 14"):
        schedules.spaced(levels, "Karras", 4, ends=schedules.Ends(high=14.0))
