"""Layouts: a composition is a smooth function of 64 numbers, and seeds differ."""

import numpy as np
import pytest

from webui.demo.layout import CODE_SIZE, code_of_seed, even, make_layout


def test_the_same_seed_gives_the_same_code_and_others_do_not():
    assert np.array_equal(code_of_seed(7), code_of_seed(7))
    assert not np.array_equal(code_of_seed(7), code_of_seed(8))


def test_even_numbers_are_even():
    values = even(np.random.default_rng(0).standard_normal(20000))
    counts, _ = np.histogram(values, bins=10, range=(0, 1))
    assert counts.min() > 1800 and counts.max() < 2200


def test_everything_stands_inside_the_picture():
    for seed in range(200):
        layout = make_layout(code_of_seed(seed))
        spots = (layout.sun, layout.birds, layout.thing, layout.ducks, *layout.others, *layout.clouds, *layout.trees)
        assert all(0.0 <= spot.x <= 1.0 and 0.0 < spot.y < 1.05 for spot in spots)
        assert 0.4 < layout.horizon < 0.65
        assert layout.horizon < layout.near.min() + 0.05


def test_layouts_vary_widely():
    layouts = [make_layout(code_of_seed(seed)) for seed in range(200)]
    assert np.std([layout.thing.x for layout in layouts]) > 0.1
    assert np.std([layout.horizon for layout in layouts]) > 0.04
    assert np.std([layout.sun.x for layout in layouts]) > 0.2
    assert {layout.thing.flip for layout in layouts} == {True, False}
    assert len({len(layout.trees) for layout in layouts}) > 2


def test_a_small_change_of_the_code_is_a_small_change_of_the_layout():
    code = code_of_seed(3)
    near = make_layout(code + 0.001 * code_of_seed(4))
    layout = make_layout(code)
    assert abs(near.horizon - layout.horizon) < 0.001
    assert np.abs(near.jagged - layout.jagged).max() < 0.01
    assert abs(near.thing.x - layout.thing.x) < 0.001


def test_a_code_of_the_wrong_size_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=f"{CODE_SIZE} numbers.*\\(3,\\)"):
        make_layout(np.zeros(3))
