"""Captions: they name what is drawn, in many wordings, and nothing that is not there."""

import random
import re
from dataclasses import replace

import pytest

from webui.demo import captions
from webui.demo.captions import caption, ornamented, vocabulary
from webui.demo.words import COLOURS, Content, draw_content

MANY = 400


def drawn(seed: int) -> list[tuple[Content, str]]:
    rng = random.Random(seed)
    return [(content, caption(content, rng)) for content in (draw_content(rng) for _ in range(MANY))]


def names(text: str, wordings: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{re.escape(w)}\b", text) or w.split(" ", 1)[-1] in text for w in wordings)


def test_things_places_hours_and_styles_are_named():
    for content, text in drawn(1):
        if content.thing != "nothing":
            assert names(text, captions.THING_WORDS[content.thing]), text
        if content.time != "day":
            assert names(text, captions.TIME_WORDS[content.time] + captions.TIME_TAGS[content.time]), text
        if content.style != "flat":
            assert names(text, captions.STYLE_WORDS[content.style]), text
        if content.weather != "clear":
            assert names(text, captions.WEATHER_WORDS[content.weather]), text


def test_small_company_is_named_if_and_only_if_it_is_there():
    for content, text in drawn(2):
        assert names(text, captions.COMPANY_WORDS["birds"]) == content.birds, text
        assert bool(re.search(r"\bduck(s|ling|lings)?\b", text)) == bool(content.ducks), text


def test_two_and_one_are_always_said_and_three_goes_without_a_number():
    two, nouns = r"(?:two|2|pair of|couple of)", "|".join(w for ws in captions.THING_WORDS.values() for w in ws)
    for content, text in drawn(7):
        assert bool(re.search(rf"\b{two} (yellow )?duck", text)) == (content.ducks == 2), text
        assert bool(re.search(r"\bduck\b|\bduckling\b", text)) == (content.ducks == 1), text
        assert bool(re.search(rf"\b(?:{nouns})e?s\b", text)) == (content.number > 1), text
        assert bool(re.search(rf"\b{two} (?:[a-z]+ )?(?:{nouns})e?s\b", text)) == (content.number == 2), text


def test_an_unusual_colour_is_always_named_and_another_never():
    for content, text in drawn(3):
        named = {c for c in COLOURS if re.search(rf"\b{c}\b", text.replace("white ink", "").replace("and white", ""))}
        named -= {"green"} if "green hills" in text else set()
        named -= {"blue"} if "blue sky" in text else set()
        named -= {"yellow"} if "yellow duck" in text else set()
        if content.thing == "nothing":
            assert not named, text
        elif content.colour != captions.DEFAULT_COLOUR[content.thing]:
            hidden = {"green": "green hills", "blue": "blue sky", "yellow": "yellow duck", "white": "and white"}
            assert named == {content.colour} or hidden.get(content.colour, "?") in text, text


def test_wordings_are_many_long_and_short():
    rng = random.Random(4)
    content = Content(place="lake", thing="house", time="sunset", ducks=3)
    texts = {caption(content, rng) for _ in range(200)}
    assert len(texts) > 150
    assert min(map(len, texts)) < 40
    assert max(map(len, texts)) > 55


def test_an_undescribed_scene_can_be_worded_in_two_words():
    rng = random.Random(5)
    assert "a house" in {caption(Content(thing="house"), rng) for _ in range(300)}


@pytest.mark.parametrize("seed", range(3))
def test_captions_hold_only_words_of_the_vocabulary(seed: int):
    known = vocabulary()
    for _, text in drawn(seed):
        assert set(re.findall(r"[a-z]+|[0-9]+", text)) <= known, text


def test_wording_is_a_function_of_the_generator():
    content = replace(Content(), thing="castle", weather="fog", trees=True)
    assert [caption(content, random.Random(9)) for _ in range(3)] == [caption(content, random.Random(9))] * 3


def test_ornament_adds_words_now_and_then_and_keeps_the_rest():
    rng = random.Random(6)
    texts = [ornamented("a castle, fog", rng) for _ in range(300)]
    assert 0.1 < sum(t != "a castle, fog" for t in texts) / 300 < 0.4
    assert all("castle" in t and "fog" in t for t in texts)
