"""Exact areas under curves, and the measure of composition on drawn scenes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.demo.measures import Plan, auc, measure_drawn


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
    found = measure_drawn(Plan(tmp_path, tmp_path, pairs=14))
    assert found["auc"] > 0.99
    assert found["mean_same"] > 0.7
    assert abs(found["mean_other"]) < 0.15
