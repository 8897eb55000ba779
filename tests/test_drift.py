"""The measure of composition: what it does not see, what it does."""

import doctest
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from webui.demo.layout import code_of_seed, make_layout
from webui.demo.scenes import draw_scene
from webui.demo.words import Content
from webui.drift import GRID, KEPT, LOST, Drift, correlation, drift, likeness, structure


@pytest.fixture(scope="module")
def scenes() -> dict[str, np.ndarray]:
    here, there = (make_layout(code_of_seed(seed)) for seed in (11, 12))
    lake = Content(place="lake", thing="house")
    return {
        "base": draw_scene(here, lake),
        "night": draw_scene(here, Content(place="lake", thing="house", time="night", ducks=3)),
        "ink": draw_scene(here, Content(place="lake", thing="house", style="ink")),
        "elsewhere": draw_scene(there, lake),
    }


def test_a_picture_is_like_itself(scenes):
    assert structure(scenes["base"]).shape == (3, GRID, GRID)
    assert [likeness(picture, picture) for picture in scenes.values()] == [1.0] * 4


def test_is_symmetric_and_bounded(scenes):
    for a in scenes.values():
        for b in scenes.values():
            assert likeness(a, b) == likeness(b, a)
            assert -1.0 <= likeness(a, b) <= 1.0


def test_light_and_colour_are_not_composition(scenes):
    base = scenes["base"]
    darker = (base * 0.5 + 20).round().astype(np.uint8)
    assert likeness(base, 255 - base) > 0.9999
    assert likeness(base, base[..., ::-1]) > 0.9999
    assert likeness(base, darker) > 0.98


def test_tells_another_layout_from_other_words(scenes):
    base = scenes["base"]
    assert likeness(base, scenes["elsewhere"]) < 0.4
    assert likeness(base, scenes["night"]) > 0.6
    assert likeness(base, scenes["ink"]) > 0.6


def test_a_mirrored_picture_is_another_composition(scenes):
    assert likeness(scenes["base"], scenes["base"][:, ::-1]) < 0.4


def test_sizes_do_not_matter(scenes):
    half = scenes["base"].reshape(128, 2, 128, 2, 3).mean((1, 3)).round().astype(np.uint8)
    assert likeness(scenes["base"], half) > 0.98


def test_empty_pictures():
    grey, black = np.full((64, 64, 3), 128, np.uint8), np.zeros((64, 64, 3), np.uint8)
    assert likeness(grey, black) == 1.0
    striped = grey.copy()
    striped[:, 20:40] = 0
    assert likeness(grey, striped) == 0.0


def test_correlation_of_opposites():
    maps = np.arange(12.0).reshape(3, 2, 2)
    assert correlation(maps, -maps) == -1.0


def test_drift_is_a_number_and_a_word(scenes):
    base, night, elsewhere = (Image.fromarray(scenes[name]) for name in ("base", "night", "elsewhere"))
    assert drift(base, base) == Drift(0.0, "kept")
    assert drift(base, night).number == pytest.approx(1 - likeness(scenes["base"], scenes["night"]), abs=1e-12)
    assert drift(base, night).word == "kept"
    assert drift(base, elsewhere) == drift(elsewhere, base) != drift(base, night)


def test_strangers_are_lost():
    lake = Content(place="lake", thing="house")
    drawn = [Image.fromarray(draw_scene(make_layout(code_of_seed(seed)), lake)) for seed in range(20, 28)]
    said = [drift(first, second).word for first, second in pairwise(drawn)]
    assert "kept" not in said and said.count("lost") >= 6


def test_drift_takes_any_mode_and_size(scenes):
    base = Image.fromarray(scenes["base"])
    small = base.resize((128, 192), Image.Resampling.BOX)
    for mode in ("L", "RGBA", "P"):
        assert drift(base, base.convert(mode)).word == "kept"
    assert drift(base, small).number < 0.05


def test_words_change_at_the_thresholds():
    numbers = (0.0, KEPT, KEPT + 1e-9, LOST - 1e-9, LOST, 2.0)
    assert [Drift.of(number).word for number in numbers] == ["kept", "kept", "shifted", "shifted", "lost", "lost"]


def test_the_page_on_drift_tells_the_truth():
    page = Path(__file__).parents[1] / "docs" / "drift.md"
    done = doctest.testfile(str(page), module_relative=False)
    assert (done.failed, done.attempted) == (0, 7)
    assert f"| up to {KEPT} | kept |" in page.read_text("utf-8")
    assert f"| {LOST} and more | lost |" in page.read_text("utf-8")
