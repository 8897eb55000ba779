"""Wildcards: drawn from the seed alone, everywhere the same; bounded, and unknown lists are errors."""

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.growth import growth
from webui.errors import BadValue
from webui.wildcards import LIMIT, check, escape, expand, names

LISTS = {
    "colour": ["red", "blue", "# remark", "", "  green  "],
    "things/animal": ["cat", "dog"],
    "nested": ["a __colour__ {cat|dog}"],
    "Upper": ["X"],
}


@pytest.mark.parametrize(
    "text",
    ["", "plain", "{prompt}", "{", "}", "|", "a | b", "}{", "{{a}}", "__", "____", "a__b", "__ a __", "_x_", "{a",
     "a|b}", "(a:1.2) [b|c]", r"\[ \( \\ \|", "日本語 🦆", "{:8}"],
)  # fmt: skip
def test_what_is_no_wildcard_stays(text: str) -> None:
    assert expand(text, 1, LISTS) == text


@pytest.mark.parametrize(
    ("template", "possible"),
    [
        ("{a|b}", {"a", "b"}),
        ("{a|b|}", {"a", "b", ""}),
        ("x{ a | b }y", {"xay", "xby"}),
        ("{a|{b|c}}", {"a", "b", "c"}),
        ("{a {x|y}|b}", {"a x", "a y", "b"}),
        ("__colour__", {"red", "blue", "green"}),
        ("__COLOUR__", {"red", "blue", "green"}),
        ("__upper__", {"X"}),
        ("__things/animal__s", {"cats", "dogs"}),
        ("{__things/animal__|bird}", {"cat", "dog", "bird"}),
        ("__nested__", {f"a {colour} {animal}" for colour in ("red", "blue", "green") for animal in ("cat", "dog")}),
        ("{2$$a|b}", {"a, b", "b, a"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{1-2$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{5$$a|b}", {"a, b", "b, a"}),
        ("{0$$a|b}", {""}),
        ("{1$$a}", {"a"}),
        ("{0::a|b}", {"b"}),
        ("{3::a|b}", {"a", "b"}),
        (r"\{a|b\}", {"{a|b}"}),
        (r"{a\|b|c}", {"a|b", "c"}),
        (r"\__colour__", {"__colour__"}),
        (r"\\{a|b}", {"\\a", "\\b"}),
        (r"\\\{a|b\\\}", {r"\{a|b\}"}),
        (r"\\__upper__", {"\\X"}),
        (r"{a\\|b\\}", {"a\\", "b\\"}),
        ("{[a:b:0.5]|(c:1.2)}", {"[a:b:0.5]", "(c:1.2)"}),
        ("{赤|青}い", {"赤い", "青い"}),
    ],
)
def test_draws(template: str, possible: set[str]) -> None:
    assert {expand(template, seed, LISTS) for seed in range(120)} == possible


def test_the_same_seed_draws_the_same_everywhere() -> None:
    """Values written down: they may change in no version and on no computer."""
    drawn = [expand("{a|b|c|d} __colour__ {2$$1|2|3}", seed, LISTS) for seed in (0, 1, 2, 2**64 - 1)]
    assert drawn == ["d blue 2, 3", "d blue 2, 3", "a blue 1, 3", "b red 2, 3"]


def test_weights_draw_more_often() -> None:
    drawn = [expand("{9::a|b}", seed, {}) for seed in range(500)]
    assert 420 < drawn.count("a") < 480


def test_draws_are_even() -> None:
    drawn = [expand("{a|b|c}", seed, {}) for seed in range(3000)]
    assert all(850 < drawn.count(option) < 1150 for option in "abc")


def test_another_salt_is_another_draw() -> None:
    template = " ".join(["{a|b}"] * 30)
    assert expand(template, 1, {}) != expand(template, 1, {}, salt="negative")
    assert expand(template, 1, {}) != expand(template, 2, {})


def test_unknown_lists_name_near_ones() -> None:
    with pytest.raises(BadValue, match=r"Wildcard must be one of .*; got 'color'\. Did you mean colour\?"):
        expand("a __color__ car", 1, LISTS)
    with pytest.raises(BadValue, match="there are none yet"):
        expand("__color__", 1, {})


def test_empty_lists_and_circles_are_errors() -> None:
    with pytest.raises(BadValue, match="at least one line"):
        expand("__x__", 1, {"x": ["", "# remark"]})
    for lines in (["__x__"], ["__x__ __x__"], ["{__x__|__x__}"]):
        with pytest.raises(BadValue, match="Do lists name each other"):
            expand("__x__", 1, {"x": lines})


def test_the_result_has_a_bound() -> None:
    with pytest.raises(BadValue, match=f"at most {LIMIT} characters"):
        expand("__x__" * 20, 1, {"x": ["y" * 1000]})


def test_an_unknown_list_is_named_before_a_seed_draws_from_it() -> None:
    check("{a|__colour__}", LISTS)
    with pytest.raises(BadValue, match="got 'nowhere'") as caught:
        check("{a|__nowhere__}", LISTS, field="negative_prompt")
    assert caught.value.field == "negative_prompt"


def test_an_error_does_not_name_thousands_of_lists() -> None:
    with pytest.raises(BadValue, match=r"list0, list1, .*, …; got 'x'") as caught:
        expand("__x__", 1, {f"list{number}": ["y"] for number in range(3000)})
    assert len(str(caught.value)) < 400


def test_names() -> None:
    assert names("a __b__ {__c/d__|x} __ e __") == ["b", "c/d"]


@given(st.text(st.sampled_from("ab {}|_$:1\\"), max_size=60), st.integers(0, 2**64 - 1))
def test_total(template: str, seed: int) -> None:
    try:
        assert expand(template, seed, {"a": ["{b|c}"], "b": ["x"]}) == expand(
            template, seed, {"a": ["{b|c}"], "b": ["x"]}
        )
    except BadValue as error:
        assert str(error)


SIGNS = st.text(st.sampled_from("ab {}|_$:1\\"), max_size=60)


@given(SIGNS | st.text(max_size=60), st.integers(0, 2**64 - 1))
@settings(deadline=None)
@example("\\\\{a|b\\}__a__b\\\\\\__c__", 3)
@example("{3$$X$$a|b|c}", 1)
@example("_____a_____", 1)
def test_an_escaped_text_draws_itself(text: str, seed: int) -> None:
    assert expand(escape(text), seed, {"a": ["x"], "b": ["{y|z}"]}) == text


@given(SIGNS, SIGNS, st.integers(0, 9))
def test_drawn_words_are_not_drawn_again(template: str, words: str, seed: int) -> None:
    lists = {"a": [escape(words) or "x"], "b": ["x"]}
    try:
        drawn = expand(template, seed, lists)
    except BadValue:
        return
    assert expand(escape(drawn), seed + 1, lists) == drawn


@pytest.mark.parametrize("text", ["plain", "{{masterpiece}}", "{prompt}", "a|b", "[a|b]", r"\(cat\) \\", "snake__case"])
def test_a_text_without_wildcards_is_escaped_as_it_is(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    "unit", ["{", "}", "{a|b}", "__", "__a__", "|", "{a|", "\\", "{1$$", "_", "__a ", "\\x", "\\{"]
)
def test_linear(unit: str) -> None:
    def read(text: str) -> None:
        escape(text)
        with contextlib.suppress(BadValue):
            expand(text, 1, {"a": ["x"]})

    assert growth(read, unit) < 1.5
