"""Golden sigmas of A1111 on SD 1.5's betas, and the levels of every scheduler of diffusers."""

from itertools import pairwise

import diffusers
import numpy as np
import pytest

from webui import samplers
from webui.engine import schedules
from webui.errors import CheckpointError

SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
GOLDEN = {
    "Uniform": "14.6146 7.8399 4.6092 2.9183 1.9502 1.3449 0.9324 0.6250 0.3687 0.0292 0",
    "Karras": "14.6146 9.1029 5.4784 3.1686 1.7494 0.9141 0.4469 0.2014 0.0819 0.0292 0",
    "Exponential": "14.6146 7.3249 3.6712 1.8400 0.9222 0.4622 0.2317 0.1161 0.0582 0.0292 0",
    "SGM Uniform": "14.6146 8.3072 5.0924 3.3251 2.2797 1.6156 1.1629 0.8319 0.5712 0.3437 0",
    "Simple": "14.6146 8.3028 5.0878 3.3211 2.2765 1.6129 1.1606 0.8299 0.5693 0.3417 0",
    "DDIM": "8.3907 5.1344 3.3478 2.2929 1.6237 1.1682 0.8357 0.5741 0.3462 0.0413 0",
}


@pytest.mark.parametrize("name", [name for name in samplers.schedule_names() if name != samplers.AUTOMATIC])
def test_golden_sigmas(name):
    found = schedules.spaced(schedules.from_config(SD15), name, 10)
    assert np.abs(np.array(found) - np.array(GOLDEN[name].split(), float)).max() < 1e-4


def test_range():
    sigmas = schedules.from_config(SD15).sigmas
    assert (sigmas[0], sigmas[-1]) == pytest.approx((0.02916753, 14.61464214), rel=2e-7)


def test_fractional_timesteps_of_a1111():
    levels = schedules.from_config(SD15)
    found = [levels.timestep(sigma) for sigma in schedules.spaced(levels, "Karras", 10)[:-1]]
    golden = [999, 916.284, 815.045, 687.153, 523.199, 327.147, 145.939, 40.857, 6.732, 0]
    assert np.abs(np.array(found) - golden).max() < 2e-3


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("steps", [1, 2, 7, 20, 30, 150])
def test_n_steps_fall_to_zero(name, steps):
    found = schedules.spaced(schedules.from_config(SD15), name, steps)
    assert len(found) == steps + 1
    assert found[-1] == 0
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


@pytest.mark.parametrize("name", GOLDEN)
def test_schedules_of_flow_models_stay_in_range(name):
    found = schedules.spaced(schedules.flow_levels(3.0), name, 12)
    assert len(found) == 13
    assert found[0] <= 1
    assert all(first > second for first, second in pairwise(found))
