"""Holding the composition: the parent's words up to a share of the steps, the new ones after it, exactly."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.growth import growth
from webui.errors import BadRecipe, BadValue
from webui.hold import Held, held, hold, hold_recipe
from webui.prompt import Span, parse
from webui.prompt_schedule import Network, Part, at, networks, parts, timeline
from webui.recipe import Recipe

SIGNS = st.text(st.sampled_from("ab ,()[]:|\\.12<>AND#猫\n"), max_size=40)
WORDS = st.lists(
    st.sampled_from(
        ["a", "house", "lake", "16:9", "a|b", "(red", "(boat:1.2)", "((x))", "[soft]", "[cat:dog:0.25]", "[day|night]",
         "[to:0.5]", "[from::3]", "[:0.75]", "BREAK", "AND", ":0.5", "<lora:ink:0.8>", "\\(", "\\", ")", "]", "[",
         ",", "http://x", "(a:b:1.2)", "[a:b:c:0.5]", "(q:1.2.3)", "[a (b:c:0.5]"]
    ),
    max_size=6,
).map(" ".join)  # fmt: skip
PROMPTS = SIGNS | WORDS
SHARES = st.integers(0, 10_000).map(lambda share: share / 10_000) | st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.75, 1.0])
STEPS = st.integers(1, 40)
MANNERS = st.tuples(st.sampled_from(["Original", "Ignore", "None"]), st.booleans())

Meaning = tuple[list[Network], list[tuple[float, list[list[Span]]]]]


def meaning(text: str, step: int, steps: int, emphasis: str, joins: bool) -> Meaning:
    """Say what a prompt means in a step: its extra networks, and the spans of each part with the part's weight."""
    words, found = networks(text) if joins else (text, [])
    pieces = parts(words) if joins else [Part(text)]
    return found, [(part.weight, parse(at(timeline(part.text, steps), step), emphasis)) for part in pieces]


@given(PROMPTS, PROMPTS, SHARES, STEPS, MANNERS)
@example("(a[\\:1.3|b]", "(c", 0.5, 10, ("Original", True))
@example("[q:[0.3:z:0.9]]", "b", 0.3, 10, ("Original", True))
@example("(a\\:1.2)", "b:1)", 0.5, 4, ("Original", True))
@example("a", "[a:b:0.25]", 0.29, 100, ("Original", True))
def test_the_first_steps_read_the_old_prompt_and_the_others_the_new(
    old: str, new: str, share: float, steps: int, manner: tuple[str, bool]
) -> None:
    emphasis, joins = manner
    try:
        text = hold(old, new, share, emphasis=emphasis, joins=joins)
    except BadValue:
        return
    for step in range(1, steps + 1):
        wanted = old if step <= int(share * steps) else new
        assert meaning(text, step, steps, emphasis, joins) == meaning(wanted, step, steps, emphasis, joins)


@given(PROMPTS, PROMPTS, PROMPTS, SHARES)
def test_holding_again_at_the_same_share_holds_the_first(first: str, second: str, third: str, share: float) -> None:
    try:
        again = hold(hold(first, second, share), third, share)
        once = hold(first, third, share)
    except BadValue:
        return
    for step in range(1, 13):
        assert meaning(again, step, 12, "Original", True) == meaning(once, step, 12, "Original", True)


@given(PROMPTS, PROMPTS, st.sampled_from([0.1, 0.3, 0.5, 0.95]), st.booleans())
def test_what_is_taken_apart_is_held_as_it_was(old: str, new: str, share: float, joins: bool) -> None:
    try:
        text = hold(old, new, share, joins=joins)
    except BadValue:
        return
    found = held(text, joins=joins)
    if found is not None:
        assert hold(found.old, found.new, found.share, joins=joins) == text
        for step in range(1, 21):
            side = found.old if step <= int(found.share * 20) else found.new
            assert meaning(text, step, 20, "Original", joins) == meaning(side, step, 20, "Original", joins)


def test_holding_again_and_again_does_not_nest() -> None:
    text = "a house by a lake"
    for word in ("castle", "tent", "boat", "windmill"):
        text = hold(text, f"a {word} by a lake", 0.3)
        assert text == f"a [house:{word}:0.3] by a lake"


PLAIN = st.lists(st.sampled_from(["a", "red", "house", "by a lake", "(boat:1.2)", "ducks", "16 9"]), min_size=1).map(
    ", ".join
)


@given(PLAIN, PLAIN, st.sampled_from([0.05, 0.3, 0.95]))
def test_plain_words_can_always_be_held_and_taken_apart(old: str, new: str, share: float) -> None:
    text = hold(old, new, share)
    assert held(text) == (Held(old, new, share) if old != new else None)


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        ("a house", "a house", "a house"),
        ("", "a", "[a:0.3]"),
        ("a", "", "[a::0.3]"),
        ("a house by a lake", "a house by a lake with ducks", "a house by a lake[ with ducks:0.3]"),
        ("a house by a lake with ducks", "a house by a lake", "a house by a lake[ with ducks::0.3]"),
        ("a red house", "a blue house", "a [red:blue:0.3] house"),
        ("a house, snow", "a house, ducks, snow", "a house[, ducks:0.3], snow"),
        ("a cat", "two dogs", "[a cat:two dogs:0.3]"),
        ("(red:1.2) house", "(red:1.4) house", "(red:[1.2:1.4:0.3]) house"),
        ("(red) house", "(big (blue)) house", "([red:big (blue):0.3]) house"),
        ("16:9", "4:3", r"[16\:9:4\:3:0.3]"),
        ("a|b c", "d|e", r"[a\|b c:d\|e:0.3]"),
        ("(big cat", "(big dog", "(big [cat:dog:0.3]"),
        ("(a cat:1.3", "b", r"[(a cat\:1.3:1.1):b:0.3]"),
        ("a) cat", "b] dog", r"[a\) cat:b\] dog:0.3]"),
        ("[a:b:c:0.5]", "d", r"[[a\:b\:c\:0.5]:d:0.3]"),
        ("[day|night], cat", "[day|night], dog", "[day|night], [cat:dog:0.3]"),
        ("[day|night]", "dog", "[[day|night]:dog:0.3]"),
        ("[a:b:5] c", "[a:b:5] d", "[a:b:5] [c:d:0.3]"),
        ("[a:b:5]", "c", "[[a:b:5]:c:0.3]"),
        ("[a:b:0.3]", "c", "[a:c:0.3]"),
        ("[a:b:0.5]", "c", "[a:c:0.3]"),
        ("[a:b:0.2]", "c", "[[a:b:0.2]:c:0.3]"),
        ("a", "[a:c:0.3]", "[a:c:0.3]"),
        ("a", "[b:c:0.4]", "[a:[b:c:0.4]:0.3]"),
        ("a cat AND a lake", "a dog AND a lake", "a [cat:dog:0.3] AND a lake"),
        ("a cat:1.2 AND b:-0.5", "a dog :1.2 AND c:-.5", "a [cat:dog:0.3] :1.2 AND [b:c:0.3] :-0.5"),
        ("a BREAK b", "a BREAK c", "a BREAK [b:c:0.3]"),
        ("cat <lora:ink:0.8>", "dog <lora:ink:0.8>", "[cat:dog:0.3] <lora:ink:0.8>"),
        ("猫", "犬", "[猫:犬:0.3]"),
    ],
)
def test_the_simplest_form_is_written(old: str, new: str, written: str) -> None:
    assert hold(old, new, 0.3) == written


def test_nothing_and_everything() -> None:
    assert hold("a) cat", "dog", 0) == "dog"
    assert hold("a) cat", "dog", 1) == "a) cat"
    assert hold("a", "b", 0.0001) == "[a:b:0.0001]"
    assert hold("a", "b", 0.9999) == "[a:b:0.9999]"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("a AND b", "a", "as many parts, with the same weights, as the parent's"),
        ("a AND b", "a AND b :0.5", "Change words inside the parts"),
        ("a <lora:ink:0.8>", "b <lora:ink:0.9>", r"extra networks \(<lora:ink:0.8>\) to be held; got '<lora:ink:0.9>'"),
        ("a <lora:ink:1>", "b", "got 'none'. An extra network acts in all steps"),
        ("x (a [b) c]", "y", "Close its brackets one inside the other"),
    ],
)
def test_what_cannot_be_held_is_a_sentence(old: str, new: str, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        hold(old, new, 0.3)
    assert (hold(old, new, 0), hold(old, new, 1)) == (new, old)


def test_without_emphasis_nothing_can_be_escaped() -> None:
    assert hold("a cat", "a dog", 0.3, emphasis="None") == "a [cat:dog:0.3]"
    with pytest.raises(BadValue, match="in one bracket"):
        hold("16:9", "4:3", 0.3, emphasis="None")


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), 0.12345, "0.3", True])
def test_a_share_is_from_0_to_1(share: float) -> None:
    with pytest.raises(BadValue, match="Hold the composition must be a number from 0 to 1"):
        hold("a", "b", share)


def test_negative_prompts_join_nothing() -> None:
    assert hold("a AND b <lora:x:1>", "a", 0.5, joins=False) == r"a[ AND b <lora\:x\:1>::0.5]"
    assert held("a[ AND b::0.5]", joins=False) == Held("a AND b", "a", 0.5)


@pytest.mark.parametrize(
    "text",
    ["", "a house", "[a|b]", "[a:b:5]", "[a:b:.3]", "[a:b:0.30]", "[a:b:1.0]", "[a:b:0.0]", "[a b:a c:0.3]",
     "[a:b:0.3] [c:d:0.3]", "[a:b:0.3] AND [c:d:0.4]", "[a:a:0.3]", "(a:0.3)", "[::0.3]"],
)  # fmt: skip
def test_a_prompt_that_was_not_held_is_not_taken_apart(text: str) -> None:
    assert held(text) is None


def test_parts_that_were_held_are_taken_apart() -> None:
    text = hold("a cat AND a lake :0.5", "a dog AND a sea :0.5", 0.3)
    assert held(text) == Held("a cat AND a lake :0.5", "a dog AND a sea :0.5", 0.3)


def test_a_recipe_is_held_in_both_prompts() -> None:
    parent = Recipe.of(prompt="a house", negative_prompt="dark", seed=7)
    child = parent.but(prompt="a castle", negative_prompt="dark, fog", steps=9)
    assert hold_recipe(parent, child, 0.4) == child.but(
        prompt="a [house:castle:0.4]", negative_prompt="dark[, fog:0.4]"
    )
    assert hold_recipe(parent, child, 0) == child
    with pytest.raises(BadValue, match="Compatibility must be A1111 or Forge"):
        hold_recipe(parent, child.but(profile="ComfyUI"), 0.4)
    assert hold_recipe(parent, child.but(profile="ComfyUI"), 0).prompt == "a castle"
    with pytest.raises(BadRecipe, match="at most 10000 characters"):
        hold_recipe(parent.but(prompt="x" * 6000), child.but(prompt="y" * 6000), 0.4)


@pytest.mark.parametrize("unit", ["a, b ", "[a:b:0.5] ", "[", "16:9 "])
def test_holding_is_linear(unit: str) -> None:
    assert growth(lambda text: hold(f"x {text}", f"{text} y", 0.3), unit) < 1.5
