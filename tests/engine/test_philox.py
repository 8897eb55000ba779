"""Philox against published vectors, the values that torch prints on NVIDIA cards, and fixed hashes."""

import hashlib

import numpy as np
import pytest

from webui.engine.philox import block, randn


def words(*values: int) -> tuple[np.ndarray, ...]:
    return tuple(np.array([value], np.uint64) for value in values)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_random123_vectors(counter, key, expected):
    assert " ".join(f"{int(word[0]):08x}" for word in block(words(*counter), key)) == expected


def test_one_word_inside_a_picture():
    assert " ".join(f"{int(word[0]):08x}" for word in block(words(1, 0, 5, 0), (42, 0))) == (
        "98712bb9 c696c1de 5845cbee 74a6ba17"
    )


def test_equals_what_torch_prints_on_cuda():
    noise = randn(0, 0, (8, 8))
    first, last = (" ".join(f"{value:.4f}" for value in row) for row in (noise[0], noise[-1]))
    assert first == "-0.9247 -0.4253 -2.6438 0.1452 -0.1209 -0.5797 -0.6229 -0.3284"
    assert last == "-0.5499 -0.3231 -0.5469 0.9049 0.2837 0.1210 0.4730 -1.0823"
    assert [f"{value:.4f}" for value in randn(42, 0, (3,))] == ["0.1940", "2.1614", "-0.1721"]
    assert [f"{value:.4f}" for value in randn(10, 0, (3,))] == ["-0.1029", "1.6810", "-0.2708"]


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, "a4acb2fcf4d688e9"),
        (1, "40eb9170127608c9"),
        (42, "df16496e26f1a033"),
        (123456789, "60c92fe401e88b42"),
        (2**32 - 1, "13452eadcf6693ee"),
        (2**32, "3d8dbe9e6051d7ff"),
        (2**64 - 1, "d715de2cbc6f00a7"),
    ],
)
def test_hashes(seed, expected):
    assert hashlib.sha256(randn(seed, 0, (4, 64, 64)).tobytes()).hexdigest()[:16] == expected


@pytest.mark.parametrize(
    ("seed", "first", "second"),
    [
        (0, [-0.92466241, -0.42534396, -2.64384580, 0.14518388], [0.18082589, -0.55226272, 0.92381340, -0.73497033]),
        (
            12345,
            [0.57864130, -0.52475548, -0.29190373, 0.01401389],
            [2.70128512, -0.71038961, -1.37546325, -1.51998472],
        ),
    ],
)
def test_first_and_second_draw(seed, first, second):
    assert np.allclose(randn(seed, 0, (4,)), first, atol=5e-9)
    assert np.allclose(randn(seed, 1, (4,)), second, atol=5e-9)
