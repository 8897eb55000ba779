"""Prompt grammar: A1111's emphasis by its measured examples; total, linear, finite."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from webui.prompt import SQUARE, WEIGHT_LIMIT, parse, plain


def flat(text: str) -> list[tuple[str, float]]:
    return [(span.text, pytest.approx(span.weight)) for section in parse(text) for span in section]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("plain words", [("plain words", 1)]),
        ("(x)", [("x", 1.1)]),
        ("[x]", [("x", 1 / 1.1)]),
        ("((x))", [("x", 1.21)]),
        ("[[x]]", [("x", SQUARE**2)]),
        ("(x:1.5)", [("x", 1.5)]),
        ("(x : 1.5 )", [("x ", 1.5)]),
        ("(x:.5)", [("x", 0.5)]),
        ("(x:-2)", [("x", -2)]),
        ("(x:+2)", [("x", 2)]),
        ("(a (b:2) c:1.5)", [("a ", 1.5), ("b", 3.0), (" c", 1.5)]),
        ("[x:1.5]", [("x:1.5", SQUARE)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        ("(a:1.3", [("a:1.3", 1.1)]),
        ("a) b] c", [("a) b] c", 1)]),
        (r"\(x\) \[y\] \\", [("(x) [y] \\", 1)]),
        (r"a\b", [("ab", 1)]),
        ("(a)(b)", [("ab", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:.)", [("a:.", 1.1)]),
        ("(a:nan)", [("a:nan", 1.1)]),
        ("(a:1e999)", [("a:1e999", 1.1)]),
        ("(a:９)", [("a:９", 1.1)]),
        ("(a:0)", [("a", 0.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", SQUARE)]),
        ("a:1.5) b", [("a:1.5) b", 1)]),
        ("10:30 (clock:1.2)", [("10:30 ", 1), ("clock", 1.2)]),
    ],
)
def test_emphasis(text: str, expected: list[tuple[str, float]]) -> None:
    assert flat(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a BREAK b", [["a"], ["b"]]),
        ("a\nBREAK\nb", [["a"], ["b"]]),
        ("BREAK", [[], []]),
        ("a BREAK BREAK b", [["a"], [], ["b"]]),
        ("BREAKFAST, daBREAK", [["BREAKFAST, daBREAK"]]),
        ("break", [["break"]]),
        ("(a BREAK b:1.2)", [["a"], ["b"]]),
    ],
)
def test_break(text: str, expected: list[list[str]]) -> None:
    assert [[span.text for span in section] for section in parse(text)] == expected


def test_break_inside_brackets_keeps_the_weight() -> None:
    assert [span.weight for section in parse("(a BREAK b:1.2)") for span in section] == [1.2, 1.2]


@given(st.text(st.sampled_from("ab ()[]:\\.1-BREAK"), max_size=60))
def test_parse_is_total_and_finite(text: str) -> None:
    for section in parse(text):
        for span in section:
            assert span.text
            assert math.isfinite(span.weight) and abs(span.weight) <= WEIGHT_LIMIT


@given(st.text(st.characters(exclude_characters="()[]\\:"), max_size=80).filter(lambda text: "BREAK" not in text))
def test_text_without_grammar_stays_itself(text: str) -> None:
    assert "".join(span.text for section in parse(text) for span in section) == text


@pytest.mark.parametrize(
    "unit", ["(", "(a:1.2)", "a:", "B", ":  ", ": 1", "\\", "BREAK ", "(BREAK", "()", "[", "(a", ":1", "(a:1.2"]
)
def test_a_hundred_thousand_characters_take_linear_time(unit: str) -> None:
    assert growth(parse, unit) < 25


def test_nesting_beyond_reason_stays_finite() -> None:
    ((span,),) = parse("(" * 20_000 + "a")
    assert span.weight == WEIGHT_LIMIT


def test_plain_text_has_no_weights() -> None:
    assert plain("a (red:1.3) [house] BREAK night") == "a red house night"
