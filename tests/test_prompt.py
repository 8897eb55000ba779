"""Prompt grammar: A1111's emphasis by its measured examples; total, linear, finite."""

import doctest
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from webui.prompt import SQUARE, WEIGHT_LIMIT, Span, parse, plain


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
    assert growth(parse, unit) < 1.5


def test_nesting_beyond_reason_stays_finite() -> None:
    ((span,),) = parse("(" * 20_000 + "a")
    assert span.weight == WEIGHT_LIMIT


@pytest.mark.parametrize(
    "text", ["", "a", "(x:1.2)", "[x]", r"\(a\) \\ a\b", "a BREAK b", "(a:1.2.3)", " a ", "猫(犬)", "🦆", "((("]
)
def test_none_takes_everything_literally(text: str) -> None:
    assert parse(text, "None") == [[Span(text)] if text else []]
    assert plain(text, "None") == text.strip()


@pytest.mark.parametrize("text", ["a (b:1.2) c", "[a]", "(a BREAK b:2)", "a (b:0) (c:-1)", r"\(a\) (b)", "((a) b:3)"])
def test_ignore_reads_the_weights_and_drops_them(text: str) -> None:
    weighed, ignored = parse(text), parse(text, "Ignore")
    assert [[span.text for span in section] for section in ignored] == [
        [s.text for s in section] for section in weighed
    ]
    assert {span.weight for section in ignored for span in section} == {1.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", [("a", 1)]),
        ("(a)", [("a", 1.1)]),
        ("((a))", [("a", 1.21)]),
        ("(a:1.5)", [("a", 1.5)]),
        ("(a:0.5) b", [("a", 0.5), (" b", 1)]),
        ("(a (b:2) c:1.5)", [("a ", 1.5), ("b", 2), (" c", 1.5)]),
        ("((a:1.5))", [("a", 1.5)]),
        ("((a):1.5)", [("a", 1.65)]),
        ("[a]", [("[a]", 1)]),
        ("[a:b:0.5]", [("[a:b:0.5]", 1)]),
        ("[(a:1.2)]", [("[", 1), ("a", 1.2), ("]", 1)]),
        ("a BREAK b", [("a BREAK b", 1)]),
        ("(a BREAK b:1.2)", [("a BREAK b", 1.2)]),
        (r"\(a\)", [("(a)", 1)]),
        (r"\[a\]", [(r"\[a\]", 1)]),
        (r"a\b", [(r"a\b", 1)]),
        ("(a", [("(a", 1)]),
        ("(a (b)", [("(a ", 1), ("b", 1.1)]),
        ("a) b", [("a) b", 1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:-1)", [("a", -1)]),
        ("(a:999)", [("a", WEIGHT_LIMIT)]),
        ("(猫:1.2)🦆", [("猫", 1.2), ("🦆", 1)]),
    ],
)
def test_the_grammar_of_comfyui(text: str, expected: list[tuple[str, float]]) -> None:
    (section,) = parse(text, profile="ComfyUI")
    assert [(span.text, pytest.approx(span.weight)) for span in section] == expected


@given(st.text(st.sampled_from("ab ()[]:\\.1-BREAK"), max_size=60), st.sampled_from(["Original", "Ignore", "None"]))
def test_every_grammar_is_total(text: str, emphasis: str) -> None:
    for section in parse(text, emphasis, "ComfyUI") + parse(text, emphasis):
        assert all(span.text and abs(span.weight) <= WEIGHT_LIMIT for span in section)


def test_plain_text_has_no_weights() -> None:
    assert plain("a (red:1.3) [house] BREAK night") == "a red house night"


def test_the_page_on_prompts_tells_the_truth() -> None:
    page = Path(__file__).parents[1] / "docs" / "prompts.md"
    assert doctest.testfile(str(page), module_relative=False).failed == 0
    assert doctest.testfile(str(page), module_relative=False).attempted >= 6
