"""Traps in prompts: each is named in a sentence, and ordinary prompts have none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from webui.prompt_traps import MOST, warnings


@pytest.mark.parametrize(
    "text",
    ["", "a quiet lake", "a (red:1.2) house, [fog]", "((masterpiece)), best quality", "a cat :1.2 AND a dog:0.5",
     "[a:b:0.5]", "[a:b:5]", "[to:3]", "[from::0.2]", "[a|b]", "[|x]", "sky BREAK sea", "[a BREAK b:c:0.5]",
     r"\(a\) \[b\]", "cat \\(animal\\)", "10:30 clock", "猫、(犬:1.2)", "🦆", "a, b; c", "<3", "50% grey", "it's & so",
     "(a [b) c]", r"3\:4", "C\\\\D", "(x:1.5)", "(x:-1)", "(x:.5)", "(a:b)", "a note: something",
     r"\{a|b\} \__x\__", "{a|b} __x__"],
)  # fmt: skip
def test_ordinary_prompts_have_no_warning(text: str) -> None:
    assert warnings(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ratio 3:4", "ends in ':4'"),
        ("wide, 16:9", "CFG scale by 9"),
        ("cat:0", "CFG scale by 0"),
        ("(a BREAK b:1.2)", "BREAK stands inside brackets"),
        ("[a BREAK b]", "BREAK stands inside brackets"),
        ("(a AND b:1.2)", "AND stands inside brackets"),
        ("[a AND b:c:0.5]", "AND stands inside brackets"),
        ("(a:1.2.3)", "'1.2.3' is not a number"),
        ("(a:1,5)", "'1,5' is not a number"),
        ("[x:1.5]", "is a schedule, not a weight"),
        ("[x:1.5]", "write (words:1.5)"),
        ("[x:1.0]", "never comes"),
        ("[a:b:1.5]", "never comes"),
        ("[a:b:0]", "changes at once"),
        ("[a:b:-1]", "changes at once"),
        ("[a|a]", "equal words"),
        ("[|]", "equal words"),
        ("[a:b:c:0.5]", "neither a schedule"),
        ("[a|b:0.5]", "neither a schedule"),
        ("(unbalanced", "weighs everything to the end"),
        ("[unbalanced", "weighs everything to the end"),
        ("a) b", "has no partner and is text"),
        ("a] b", "has no partner and is text"),
        ("smile :)", "has no partner and is text"),
        ("#ff0000 car", "'#ff0000' is text here"),
        ("a # remark", "is text here"),
        ("https://example.org/a", "is text here"),
        ("a /* b */", "is text here"),
        ("a <lora:x:0.8>", "names a LoRA that is not here"),
        ("a <lora:x:loud>", "LoRA weights that are not numbers"),
        ("a <smile:3>", "names an extra network that is no LoRA"),
        (r"C:\path", "backslash before 'p' is dropped"),
        ("（赤:1.2）", "half-width"),
    ],
)
def test_traps(text: str, words: str) -> None:
    assert any(words in sentence for sentence in warnings(text)), warnings(text)
    assert all(sentence.endswith((".", "sign.")) and len(sentence) < 400 for sentence in warnings(text))


def test_a_lora_that_is_here_is_no_trap() -> None:
    assert warnings("a <lora:ink:0.8>", loras=["ink", "wash"]) == []
    assert "Did you mean ink?" in warnings("a <lora:inc:0.8>", loras=["ink", "wash"])[0]


def test_negative_prompts_have_traps_of_their_own() -> None:
    assert warnings("fog, 16:9", negative=True) == []
    assert "not in the negative prompt" in warnings("<lora:x:1>", negative=True)[0]
    assert "AND is a word here" in warnings("fog AND (snow)", negative=True)[0]
    assert "schedule, not a weight" in warnings("[fog:1.5]", negative=True)[0]


def test_many_traps_of_a_kind_are_named_a_few_times() -> None:
    assert len(warnings(" ".join(f"({'a' * n}:1.2.{n})" for n in range(9)))) == MOST
    assert len(warnings("#a, " * 50)) == 1


@given(st.text(st.sampled_from("ab ()[]:|\\.,10-<>AND#/BREAK"), max_size=80))
def test_total(text: str) -> None:
    assert all(isinstance(sentence, str) and sentence for sentence in warnings(text))


@pytest.mark.parametrize(
    "unit",
    ["[", "]", "(", ")", "[a:b:0]", "[a|a]", "[a|", "[a:b:c:0.5]", "([", "(BREAK", "#", "//", "\\", ":", "(a:1.2.3)",
     "[a:b:0", "<a:", "<a:b>", "[[a|a]|b]", "1.", ":1,"],
)  # fmt: skip
def test_linear(unit: str) -> None:
    assert growth(warnings, unit) < 1.5


def test_depth_beyond_reason() -> None:
    assert warnings("[" * 20_000 + "a" + ":b:1.5]" * 20_000)
    assert len(warnings("[" * 20_000 + "a" + "|a]" * 20_000)) == 1
