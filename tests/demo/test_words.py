"""Contents: what can be asked for, and that it survives the way to class indices and back."""

import random

import pytest

from webui.demo.words import CHOICES, WEIGHTS, Content, content_of, draw_content, labels, settle


def test_every_field_has_a_weight_for_every_choice():
    assert set(CHOICES) == set(Content.__dataclass_fields__) == set(WEIGHTS)
    assert all(len(CHOICES[name]) == len(WEIGHTS[name]) for name in CHOICES)


def test_labels_and_back_for_many_contents():
    rng = random.Random(1)
    contents = [draw_content(rng) for _ in range(300)]
    assert [content_of(labels(c)) for c in contents] == contents
    assert {c.thing for c in contents} == set(CHOICES["thing"])


@pytest.mark.parametrize(
    ("asked", "place", "season", "flowers"),
    [
        (Content(place="desert", thing="boat"), "sea", "summer", False),
        (Content(place="snow", season="autumn", flowers=True), "snow", "summer", False),
        (Content(place="hills", season="winter", flowers=True), "hills", "winter", False),
        (Content(place="lake", season="spring", flowers=True), "lake", "spring", True),
    ],
)
def test_what_cannot_be_drawn_is_settled(asked: Content, place: str, season: str, flowers: bool):
    found = settle(asked)
    assert (found.place, found.season, found.flowers) == (place, season, flowers)


def test_settling_twice_changes_nothing_more():
    rng = random.Random(2)
    for _ in range(300):
        content = draw_content(rng)
        assert settle(content) == content
