"""Seed traps: what does not keep a composition is said, what keeps it is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui import samplers
from webui.recipe import Recipe
from webui.seed_traps import FIELDS, LATE, adds_noise, warnings

PARENT = Recipe.of(seed=7, steps=12, sampler="DPM++ 2M", cfg_scale=3, width=256, height=256)
ANCESTRAL = PARENT.but(sampler="Euler a")


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"steps": 6}, {"steps": 24}, {"steps": 5}, {"sampler": "Euler"}, {"sampler": "Heun", "steps": 20},
        {"sampler": "Euler a", "eta": 0}, {"sampler": "DPM++ 2M SDE", "s_noise": 0}, {"eta": 0.3}, {"ensd": 31337},
        {"cfg_scale": 6}, {"cfg_scale": 1}, {"schedule": "Karras"}, {"width": None, "steps": None},
        {"width": 384, "resize_width": 256, "resize_height": 256}, {"profile": "ComfyUI"}, {"sampler": "Restart"},
    ],
)  # fmt: skip
def test_what_keeps_the_composition_is_not_said(changes: dict[str, Any]) -> None:
    assert warnings(PARENT, changes) == []


@pytest.mark.parametrize(
    ("parent", "changes", "said"),
    [
        (PARENT, {"model": "dreams"}, "Another model than reseed"),
        (PARENT, {"width": 384}, "Size 384×256 instead of 256×256 puts the noise elsewhere"),
        (PARENT, {"height": 512, "resize_width": 512, "resize_height": 512}, "Size 256×512"),
        (PARENT, {"rng": "CPU"}, "RNG CPU draws other noise"),
        (PARENT, {"noise_layout": "centred"}, "Noise layout centred lays the noise out otherwise"),
        (PARENT, {"sampler": "Euler a"}, "Sampler Euler a adds noise between the steps and DPM++ 2M does not"),
        (PARENT, {"sampler": "DPM++ 2M SDE"}, "Sampler DPM++ 2M SDE adds noise between the steps"),
        (PARENT, {"sampler": "DDIM", "eta_ddim": 1}, "Sampler DDIM adds noise"),
        (PARENT, {"sampler": "Euler", "s_churn": 10}, "Sampler Euler adds noise"),
        (PARENT, {"steps": 4}, "Steps 4 instead of 12"),
        (PARENT, {"sampler": "LCM", "steps": 4}, "Sampler LCM adds noise"),
        (PARENT, {"cfg_scale": 20}, "CFG scale 20 is far from 3"),
        (PARENT.but(cfg_scale=12), {"cfg_scale": 3}, "CFG scale 3 is far from 12"),
        (ANCESTRAL, {"sampler": "DPM++ 2M"}, "The picture was made with noise between the steps (Euler a)"),
        (ANCESTRAL, {"sampler": "DPM2 a"}, "Sampler DPM2 a adds other noise between the steps than Euler a"),
        (
            ANCESTRAL,
            {"steps": 24},
            "Euler a adds noise between the steps: with 24 instead of 12 the composition may be",
        ),
        (ANCESTRAL, {"ensd": 31337}, "Another ENSD than the picture's is other noise"),
        (ANCESTRAL, {"eta": 0.5, "s_noise": 0.9}, "Another Eta and Sigma noise than the picture's"),
    ],
)
def test_what_does_not_is_a_sentence(parent: Recipe, changes: dict[str, Any], said: str) -> None:
    found = warnings(parent, changes)
    assert len(found) == 1
    assert found[0].startswith(said)
    assert found[0].endswith(".")


@pytest.mark.parametrize("changes", [{"steps": 13}, {"steps": 16}, {"eta_ddim": 0.5}, {"s_churn": 5}])
def test_noise_between_the_steps_allows_a_few_steps_more_and_what_the_sampler_is_not_told(
    changes: dict[str, Any],
) -> None:
    assert warnings(ANCESTRAL, changes) == []


def test_what_does_not_count_for_a_sampler_is_not_said() -> None:
    assert warnings(PARENT.but(sampler="DPM adaptive"), {"steps": 100}) == []
    assert warnings(PARENT.but(sampler="DPM adaptive", eta=0), {"steps": 1}) == []
    assert warnings(PARENT.but(sampler="DPM++ SDE"), {"ensd": 31337}) == []
    assert len(warnings(PARENT.but(sampler="DPM++ SDE"), {"steps": 24})) == 1


def test_pictures_laid_out_from_the_centre_share_their_middle() -> None:
    centred = PARENT.but(noise_layout="centred")
    assert warnings(centred, {"width": 512, "height": 384}) == []
    assert len(warnings(centred, {"width": 512, "noise_layout": "plain"})) == 2


def test_several_are_all_said() -> None:
    assert len(warnings(PARENT, {"model": "x", "width": 512, "sampler": "Euler a", "rng": "CPU", "cfg_scale": 30})) == 5


@given(st.sampled_from(samplers.sampler_names()), st.integers(1, 150), st.sampled_from(samplers.schedule_names()))
def test_a_form_that_holds_the_picture_s_own_values_is_never_warned_of(name: str, steps: int, schedule: str) -> None:
    recipe = PARENT.but(sampler=name, steps=steps, schedule=schedule)
    assert warnings(recipe, {field: getattr(recipe, field) for field in FIELDS}) == []


def test_what_adds_noise_is_what_the_table_of_samplers_says() -> None:
    assert {row.name for row in samplers.SAMPLERS if adds_noise(PARENT.but(sampler=row.name).values())} == {
        row.name for row in samplers.SAMPLERS if row.stochastic and row.name not in LATE
    }
