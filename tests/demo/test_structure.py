"""The measure of composition: what it does not see, what it does, and exact areas under curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.demo.layout import code_of_seed, make_layout
from webui.demo.scenes import draw_scene
from webui.demo.structure import GRID, auc, correlation, likeness, structure
from webui.demo.words import Content


@pytest.fixture(scope="module")
def scenes() -> dict[str, np.ndarray]:
    here, there = (make_layout(code_of_seed(seed)) for seed in (11, 12))
    lake = Content(place="lake", thing="house")
    return {
        "base": draw_scene(here, lake),
        "night": draw_scene(here, Content(place="lake", thing="house", time="night", ducks=True)),
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


@pytest.mark.parametrize(
    ("same", "other", "wanted"),
    [
        ([2.0], [1.0], 1.0),
        ([1.0], [2.0], 0.0),
        ([1.0, 1.0], [1.0], 0.5),
        ([3.0, 1.0], [2.0], 0.5),
        ([0.9, 0.8, 0.3], [0.1, 0.8], (2 + 1.5 + 1) / 6),
    ],
)
def test_auc_by_hand(same, other, wanted):
    assert auc(same, other) == pytest.approx(wanted, abs=1e-15)


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
)
def test_auc_is_the_share_of_pairs(same, other):
    wins = sum((a > b) + 0.5 * (a == b) for a in same for b in other)
    assert auc(same, other) == pytest.approx(wins / (len(same) * len(other)), abs=1e-12)
    assert auc(same, other) + auc(other, same) == pytest.approx(1.0, abs=1e-12)


def test_auc_needs_both_sides():
    with pytest.raises(ValueError, match="at least one"):
        auc([], [1.0])


def test_calibration_on_drawn_scenes(tmp_path):
    from webui.demo.measures import Plan, measure_drawn

    found = measure_drawn(Plan(tmp_path, tmp_path, pairs=14))
    assert found["auc"] > 0.99
    assert found["mean_same"] > 0.7
    assert abs(found["mean_other"]) < 0.15
