"""Render speeds: names for steps and a sampler that stand in the form."""

import doctest
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui import samplers, speeds
from webui.engine.checkpoints import Catalog
from webui.recipe import PARAMS, Recipe

SUGGESTED = {"steps": 12, "sampler": "DPM++ 2M"}


@given(st.integers(1, 150), st.sampled_from(samplers.sampler_names()), st.sampled_from(speeds.NAMES))
def test_a_speed_gives_a_recipe_and_is_named_by_it(steps: int, sampler: str, name: str) -> None:
    suggested = {"steps": steps, "sampler": sampler}
    found = speeds.settings(name, suggested)
    assert Recipe.of(seed=1, **found).sampler == (sampler if found else Recipe.of(seed=1).sampler)
    if found and found != speeds.settings("Default", suggested):
        assert speeds.name_of(found, suggested) == name
    assert speeds.name_of(suggested, suggested) == "Default"


def test_steps_stay_within_their_bounds() -> None:
    assert speeds.settings("Quality", {**SUGGESTED, "steps": 150})["steps"] == PARAMS["steps"].maximum  # type: ignore[attr-defined]
    assert speeds.settings("Turbo", {**SUGGESTED, "steps": 1})["steps"] == 1


@pytest.mark.parametrize("values", [{"steps": 13}, {"sampler": "Euler"}, {"steps": None}, {"sampler": ""}])
def test_whatever_is_none_of_them_is_custom(values: dict[str, object]) -> None:
    assert speeds.name_of({**SUGGESTED, **values}, SUGGESTED) == speeds.CUSTOM
    assert speeds.settings(speeds.CUSTOM, SUGGESTED) == {}


def test_every_speed_says_what_it_does_and_how_many_steps_it_takes() -> None:
    assert [label for label, _ in speeds.labels(SUGGESTED)] == ["Turbo · 6", "Default · 12", "Quality · 24", "Custom"]
    assert all(about.endswith(".") for about in speeds.ABOUT.values())


def test_no_model_suggests_a_sampler_that_would_break_the_promise() -> None:
    from webui.engine import checkpoints

    suggested = [Catalog().find("reseed").defaults, *checkpoints._SUGGESTED.values()]
    names = {one.get("sampler", Recipe.of(seed=1).sampler) for one in suggested}
    assert names == {"DPM++ 2M", "Euler"}
    assert not any(samplers.sampler(name).stochastic for name in names)


def test_the_page_on_speeds_tells_the_truth_and_the_radio_its_figures() -> None:
    page = Path(__file__).parents[1] / "docs" / "speeds.md"
    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(failed=0, attempted=9)
    for name in ("Turbo", "Quality"):
        drift = re.search(rf"\| {name} \| ([0-9.]+) \|", page.read_text(encoding="utf-8"))
        said = re.search(r"drift ([0-9.]+)", speeds.ABOUT[name])
        assert drift and said and drift[1] == said[1]
