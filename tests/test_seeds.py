"""Seeds at the door: what is a seed stays itself, −1 draws one, everything else is a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui import seeds
from webui.errors import BadValue

EDGES = [0, 1, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
NOT_SEEDS = [
    "abc", "1.5", "-2", str(2**64), "1e3", "1_000", "0x10", "１２", "+5", "--1", "nan", "9" * 100_000, "7;8", "1 2",
]  # fmt: skip


@pytest.mark.parametrize("seed", EDGES)
def test_a_seed_stays_itself(seed: int) -> None:
    assert seeds.draw(str(seed)) == seed
    assert seeds.expand(f" {seed} ") == [seed]


@given(st.integers(0, seeds.MAXIMUM))
def test_every_seed_stays_itself(seed: int) -> None:
    assert seeds.draw(str(seed)) == seed


@pytest.mark.parametrize("text", ["-1", "", "  ", "−1", " -1 "])
def test_random_is_drawn_below_two_to_the_32(text: str) -> None:
    drawn = {seeds.draw(text) for _ in range(50)}
    assert len(drawn) > 40
    assert all(0 <= seed < 2**32 for seed in drawn)


@pytest.mark.parametrize("text", NOT_SEEDS)
def test_what_is_no_seed_is_a_sentence(text: str) -> None:
    for read in (seeds.draw, seeds.expand):
        with pytest.raises(BadValue) as caught:
            read(text)
        assert caught.value.field == "seed"
        assert str(caught.value).startswith("Seed must be a whole number from 0 to 18446744073709551615")
        assert len(str(caught.value)) < 400


def test_a_stored_seed_is_never_minus_one() -> None:
    with pytest.raises(BadValue):
        seeds.parse("-1")


@given(st.text(max_size=40))
def test_expand_is_total(text: str) -> None:
    try:
        found = seeds.expand(text)
    except BadValue:
        return
    assert found
    assert all(0 <= seed <= seeds.MAXIMUM for seed in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7, 9, 20-27", [7, 9, 20, 21, 22, 23, 24, 25, 26, 27]),
        ("5-5", [5]),
        ("3 - 5", [3, 4, 5]),
        ("3..5", [3, 4, 5]),
        ("7,7", [7, 7]),
        (f"{2**64 - 2}-{2**64 - 1}", [2**64 - 2, 2**64 - 1]),
    ],
)
def test_lists_and_ranges(text: str, expected: list[int]) -> None:
    assert seeds.expand(text) == expected


def test_each_minus_one_in_a_list_draws_its_own() -> None:
    found = seeds.expand("-1, 5, -1")
    assert found[1] == 5
    assert found[0] != found[2]


@pytest.mark.parametrize("text", ["7,,9", "7,", ",", "9-7", "1-abc", "-5--3", "1-99999999", "0-10000", "1,x,3"])
def test_bad_lists_are_sentences(text: str) -> None:
    with pytest.raises(BadValue):
        seeds.expand(text)


def test_batch_numbers() -> None:
    assert seeds.batch(5, 3) == [5, 6, 7]
    assert seeds.batch(5, 3, "same") == [5, 5, 5]
    drawn = seeds.batch(5, 50, "random")
    assert drawn[0] == 5
    assert len(set(drawn)) > 45


def test_batch_does_not_wrap() -> None:
    assert seeds.batch(seeds.MAXIMUM - 3, 4)[-1] == seeds.MAXIMUM
    with pytest.raises(BadValue, match="do not wrap"):
        seeds.batch(seeds.MAXIMUM, 2)
