"""Golden sigmas of A1111 on SD 1.5's betas, and the levels of every scheduler of diffusers."""

from itertools import pairwise

import diffusers
import numpy as np
import pytest

from webui import samplers
from webui.engine import schedules
from webui.errors import BadValue, CheckpointError

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
GOLDEN = {
    "Uniform": "14.6146 7.8399 4.6092 2.9183 1.9502 1.3449 0.9324 0.6250 0.3687 0.0292 0",
    "Karras": "14.6146 9.1029 5.4784 3.1686 1.7494 0.9141 0.4469 0.2014 0.0819 0.0292 0",
    "Exponential": "14.6146 7.3249 3.6712 1.8400 0.9222 0.4622 0.2317 0.1161 0.0582 0.0292 0",
    "SGM Uniform": "14.6146 8.3072 5.0924 3.3251 2.2797 1.6156 1.1629 0.8319 0.5712 0.3437 0",
    "Simple": "14.6146 8.3028 5.0878 3.3211 2.2765 1.6129 1.1606 0.8299 0.5693 0.3417 0",
    "DDIM": "8.3907 5.1344 3.3478 2.2929 1.6237 1.1682 0.8357 0.5741 0.3462 0.0413 0",
    "KL Optimal": "14.6146 4.5650 2.6329 1.7864 1.2948 0.9616 0.7116 0.5094 0.3356 0.1783 0.0292",
    "Align Your Steps": "14.615 6.1135 3.5651 2.3939 1.6500 1.1358 0.7425 0.4450 0.1692 0.029 0",
    "Beta": "14.6146 13.9278 12.4910 10.5976 8.4424 6.2014 4.0462 2.1528 0.7160 0.0292 0",
}
GOLDEN["Polyexponential"], GOLDEN["Normal"], GOLDEN["Turbo"] = (
    GOLDEN[name] for name in ("Exponential", "Uniform", "Simple")
)  # Turbo is Simple where the number of steps divides a thousand
COMFY_BETA = "14.6146 11.5428 7.3718 4.3728 2.6152 1.6183 1.0273 0.6549 0.3955 0.1991 0"
FLOWING = [name for name in GOLDEN if name != "Align Your Steps"]


@pytest.mark.parametrize("name", [name for name in samplers.schedule_names() if name != samplers.AUTOMATIC])
def test_golden_sigmas(name):
    found = schedules.spaced(schedules.from_config(SD15), name, 10)
    assert np.abs(np.array(found) - np.array(GOLDEN[name].split(), float)).max() < 5.1e-5  # half a printed digit


def test_golden_beta_of_comfyui():
    found = schedules.spaced(schedules.from_config(SD15), "Beta", 10, profile="ComfyUI")
    assert np.abs(np.array(found) - np.array(COMFY_BETA.split(), float)).max() < 5.1e-5


@pytest.mark.parametrize("profile", ["A1111", "Forge", "ComfyUI"])
@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "Beta"])
def test_profiles_differ_in_beta_alone(name, profile):
    levels = schedules.from_config(SD15)
    assert schedules.spaced(levels, name, 13, profile) == schedules.spaced(levels, name, 13)
    assert schedules.spaced(levels, "Beta", 13, "Forge") == schedules.spaced(levels, "Beta", 13)


def test_align_your_steps_is_the_papers_table_at_eleven():
    levels = schedules.from_config(SD15)
    for xl, table in ((False, schedules.AYS), (True, schedules.AYS_XL)):
        assert schedules.spaced(levels, "Align Your Steps", 11, xl=xl) == pytest.approx((*table, 0), rel=1e-12)


def test_align_your_steps_is_not_for_flow_models():
    with pytest.raises(BadValue, match=r"Schedule type must be one that has a form for flow models.*Simple"):
        schedules.spaced(schedules.flow_levels(3.0), "Align Your Steps", 10)


def test_turbo_takes_the_timesteps_of_its_paper():
    levels = schedules.from_config(SD15)
    for steps, wanted in ((1, [999]), (2, [999, 499]), (4, [999, 749, 499, 249]), (3, [999, 666, 332])):
        found = schedules.spaced(levels, "Turbo", steps)[:-1]
        assert [round(levels.timestep(sigma)) for sigma in found] == wanted


def test_beta_quantiles():
    """Against numbers of scipy 1.17's beta.ppf(q, 0.6, 0.6), and against the integral that they invert."""
    shares = np.array([0.0, 1e-4, 0.01, 0.1, 0.25, 0.5, 0.9, 1.0])
    assert schedules.beta_quantile(shares)[3] == pytest.approx(0.03958441, abs=5e-9)
    even = np.linspace(0, 1, 301)
    found = schedules.beta_quantile(even)
    assert (np.diff(found) > 0).all()
    assert np.abs(found + found[::-1] - 1).max() < 1e-15
    root = np.linspace(0, 0.5**0.6, 400001)  # x = root^(1/0.6) takes the pole away
    area = np.concatenate([[0], np.cumsum((1 - ((root[1:] + root[:-1]) / 2) ** (1 / 0.6)) ** -0.4)])
    lower = np.interp(found[:151], root ** (1 / 0.6), area / area[-1] / 2)
    assert np.abs(lower - even[:151]).max() < 1e-9


@pytest.mark.parametrize("name", GOLDEN)
def test_the_last_but_one_is_discarded(name):
    levels = schedules.from_config(SD15)
    longer = schedules.spaced(levels, name, 11)
    assert schedules.spaced(levels, name, 10, discard=True) == (*longer[:-2], longer[-1])


def test_range():
    sigmas = schedules.from_config(SD15).sigmas
    assert (sigmas[0], sigmas[-1]) == pytest.approx((0.02916753, 14.61464214), rel=2e-7)


def test_fractional_timesteps_of_a1111():
    levels = schedules.from_config(SD15)
    found = [levels.timestep(sigma) for sigma in schedules.spaced(levels, "Karras", 10)[:-1]]
    golden = [999, 916.284, 815.045, 687.153, 523.199, 327.147, 145.939, 40.857, 6.732, 0]
    assert np.abs(np.array(found) - golden).max() < 2e-3


def test_the_nearest_timesteps_of_forge():
    levels = schedules.from_config(SD15)
    found = [levels.timestep(sigma, nearest=True) for sigma in schedules.spaced(levels, "Karras", 10)[:-1]]
    assert found == [999, 916, 815, 687, 523, 327, 146, 41, 7, 0]
    assert schedules.flow_levels(3.0).timestep(0.2503, nearest=True) == pytest.approx(250.3)


@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_n_steps_fall_to_zero(name, discard):
    """KL Optimal is the exception: it ends at the lowest level."""
    levels = schedules.from_config(SD15)
    for steps in range(1, 151):
        found = schedules.spaced(levels, name, steps, discard=discard)
        assert len(found) == steps + 1
        assert found[-1] == (pytest.approx(levels.sigmas[0]) if name == "KL Optimal" else 0)
        assert all(first > second for first, second in pairwise(found))
        assert all(type(sigma) is float for sigma in found)


def test_the_beta_of_comfyui_takes_no_level_twice():
    for steps in range(1, 151):
        found = schedules.spaced(schedules.from_config(SD15), "Beta", steps, profile="ComfyUI")
        assert len(found) == steps + 1 if steps < 139 else steps - 12 < len(found) <= steps + 1
        assert all(first > second for first, second in pairwise(found))


@pytest.mark.parametrize(
    "options",
    [
        {},
        SD15,
        {**SD15, "beta_end": 0.02},
        {"beta_schedule": "squaredcos_cap_v2"},
        {**SD15, "rescale_betas_zero_snr": True},
        {"trained_betas": [0.001, 0.002, 0.004, 0.008]},
    ],
)
def test_levels_equal_those_of_diffusers(options):
    scheduler = diffusers.DDPMScheduler(**options)
    alphas = scheduler.alphas_cumprod.double().numpy()
    ours = 1 / (1 + schedules.from_config(scheduler.config).sigmas ** 2)
    if options.get("rescale_betas_zero_snr"):
        assert ours[-1] == pytest.approx(2.0**-24, rel=1e-6)  # as EulerDiscreteScheduler; DDPM has 0 there
        alphas, ours = alphas[:-1], ours[:-1]
    assert np.allclose(ours, alphas, rtol=2e-4, atol=1e-7)  # diffusers sums a thousand factors in float32


def test_sigmoid_betas_equal_those_of_diffusers():
    scheduler = diffusers.DDPMScheduler(beta_schedule="sigmoid")
    assert np.allclose(
        1 / (1 + schedules.from_config(scheduler.config).sigmas ** 2), scheduler.alphas_cumprod, rtol=2e-4
    )


def test_unknown_betas():
    with pytest.raises(CheckpointError, match="laplace"):
        schedules.from_config({"beta_schedule": "laplace"})


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_levels_equal_those_of_diffusers(shift):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    ours = schedules.flow_levels(shift)
    assert np.allclose(ours.sigmas[::-1], scheduler.sigmas, atol=1e-6)
    assert ours.timestep(0.25) == 250
    assert ours.sigmas[-1] == 1


@pytest.mark.parametrize("name", FLOWING)
def test_schedules_of_flow_models_stay_in_range(name):
    found = schedules.spaced(schedules.flow_levels(3.0), name, 12)
    assert len(found) == 13
    assert found[0] <= 1
    assert all(first > second for first, second in pairwise(found))


def test_every_row_of_the_table_has_its_spacing():
    own = {samplers.AUTOMATIC, "Align Your Steps", "KL Optimal"}
    assert set(schedules._SPACINGS) | own == set(samplers.schedule_names())
