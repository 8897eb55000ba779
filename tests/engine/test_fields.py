"""The field test: each field of a recipe changes pixels by itself; what does not is named here with its reason."""

import numpy as np
import pytest

from webui.recipe import PARAMS

VARIED = {"variation_seed": 9, "variation_strength": 0.5}
WEIGHED = {"prompt": "a (lake:1.4) at sunset"}
LARGER = {"width": 128}
CHURNED = {"sampler": "Euler", "s_churn": 2.0}
NEGATIVE = {"negative_prompt": "mountains"}

FLIPS: dict[str, tuple[dict[str, object], object]] = {
    "prompt": ({}, "a lake at night"),
    "negative_prompt": ({}, "mountains"),
    "steps": ({}, 5),
    "sampler": ({}, "Euler"),
    "schedule": ({}, "Simple"),
    "cfg_scale": ({}, 5.0),
    "seed": ({}, 8),
    "width": ({}, 80),
    "height": ({}, 80),
    "clip_skip": ({}, 2),
    "rng": ({}, "CPU"),
    "variation_seed": (VARIED, 10),
    "variation_strength": (VARIED, 0.6),
    "variations": ({}, "12:0.3"),
    "variation_noise": ({**VARIED, "sampler": "Euler a"}, "every step"),
    "resize_width": ({**LARGER, "resize_width": 64, "resize_height": 64}, 96),
    "resize_height": ({**LARGER, "resize_width": 64, "resize_height": 64}, 96),
    "noise_layout": ({}, "centred"),
    "ensd": ({"sampler": "Euler a"}, 31337),
    "emphasis": (WEIGHED, "No norm"),
    "profile": ({}, "Forge"),
    "eta": ({"sampler": "Euler a"}, 0.5),
    "eta_ddim": ({"sampler": "DDIM"}, 0.5),
    "s_noise": ({"sampler": "Euler a"}, 1.5),
    "s_churn": ({"sampler": "Euler"}, 2.0),
    "s_tmin": (CHURNED, 5.0),
    "s_tmax": (CHURNED, 5.0),
    "sigma_min": ({"schedule": "Karras"}, 0.3),
    "sigma_max": ({"schedule": "Karras"}, 10.0),
    "rho": ({"schedule": "Karras"}, 3.0),
    "discard_penultimate": ({}, "On"),
    "sgm_noise": ({"sigma_max": 2.0}, "On"),
    "noise_schedule": ({}, "Zero Terminal SNR"),
    "ngms": (NEGATIVE, 15.0),
    "ngms_all": ({**NEGATIVE, "ngms": 15.0}, "On"),
    "skip_early_cfg": (NEGATIVE, 0.5),
}
"""For each field: what the base recipe needs for it to count, and another value."""

INERT = {
    "model": "names the checkpoint; another one is another picture: test_the_model_changes_the_picture",
    "lora_hashes": "are compared with the files' and refuse others: tests/engine/test_network_files.py",
    "embedding_hashes": "are compared with the files' and refuse others: tests/engine/test_network_files.py",
    "model_hash": "is compared with the checkpoint's and refuses another; the pixels are the checkpoint's",
}

UNUSED: dict[str, dict[str, object]] = {
    "variation_seed": {"variation_seed": 9},
    "variation_noise": {"variation_noise": "every step"},
    "ensd": {"ensd": 31337},  # without noise between the steps
    "emphasis": {"emphasis": "No norm"},  # without weights
    "same size": {"resize_width": 64, "resize_height": 64},
    "eta": {"eta": 0.0},  # without noise between the steps
    "eta_ddim": {"eta_ddim": 1.0},
    "s_noise": {"s_noise": 0.5},
    "s_churn": {"s_churn": 5.0, "s_tmin": 1.0, "s_tmax": 2.0},  # of Euler, Heun and DPM2 alone
    "rho": {"rho": 7.0},  # Karras's own
    "ngms_all": {"ngms_all": "On"},  # without NGMS
    "what Automatic means": {"discard_penultimate": "Off", "sgm_noise": "Off"},
}
"""Changes that mean nothing for the base recipe and so may not change a pixel."""


def test_every_field_is_flipped_or_declared_inert():
    assert set(FLIPS) | set(INERT) == set(PARAMS)
    assert not set(FLIPS) & set(INERT)


@pytest.mark.parametrize("field", FLIPS)
def test_each_field_of_a_recipe_changes_the_picture(engine, pixels, recipe, field):
    base, value = FLIPS[field]
    before = recipe.but(**base)
    after = before.but(**{field: value})
    assert getattr(before, field) != getattr(after, field)
    first, second = pixels(engine, before), pixels(engine, after)
    assert first.shape != second.shape or not np.array_equal(first, second)


@pytest.mark.parametrize("name", UNUSED)
def test_what_does_not_count_changes_nothing(engine, pixels, recipe, name):
    assert np.array_equal(pixels(engine, recipe), pixels(engine, recipe.but(**UNUSED[name])))
