"""What changed: words, weights and fields; the pieces hold everything, once, and no text takes long."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.growth import growth, lines
from tests.strategies import RECIPES
from webui.changes import EMPTY, Piece, Token, changes, compare, tokens
from webui.recipe import PROMPT_LIMIT, Recipe

WORDS = st.lists(st.sampled_from(["a", "house", "lake", "snow", ",", "(boat:1.2)", "[cat:dog:0.4]", "BREAK", "AND"]))
PROMPTS = WORDS.map(" ".join) | st.text(st.sampled_from("ab ,()[]:|\\.1<>AND\n"), max_size=60)
MANNERS = st.tuples(st.sampled_from(["Original", "Ignore", "None"]), st.sampled_from(["A1111", "Forge", "ComfyUI"]))
RECIPE = Recipe.of(prompt="a house by a lake", seed=7)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("a lake", "a lake", ""),
        ("a lake", "a lake, duckling", "+duckling"),
        ("a lake, snow", "a lake", "−snow"),
        ("a red house", "a blue house", "−red +blue"),
        ("a lake, three ducks, fog", "a lake", "−three ducks −fog"),
        ("(house:1.2) by a lake", "(house:1.4) by a lake", "weight 1.2→1.4 of house"),
        ("(dense forest:1.2), stream", "(dense forest:1.3), stream", "weight 1.2→1.3 of dense forest"),
        ("house", "((house))", "weight 1→1.21 of house"),
        ("a lake", "a lake, (fog:1.3)", "+(fog:1.3)"),
        ("ducks, a house by a lake", "a house by a lake, ducks", "moved ducks"),
        ("a, b c, d, e", "d, a, b c, e", "moved d"),
        ("a cat", "a [cat:dog:0.4]", "−cat +[cat:dog:0.4]"),
        ("a [cat:dog:0.4]", "a [cat:dog:0.5]", "−[cat:dog:0.4] +[cat:dog:0.5]"),
        ("a ([cat|dog]:1.2)", "a ([cat|dog]:1.3)", "weight 1.2→1.3 of [cat|dog]"),
        ("sky <lora:ink:0.6>", "<lora:ink:0.8> sky", "weight 0.6→0.8 of <lora:ink>"),
        ("sky", "sky <lora:ink>", "+<lora:ink>"),
        ("a cat AND a dog", "a cat :1.2 AND a dog", "+:1.2"),
        ("sky BREAK sea", "sky sea", "−BREAK"),
        ("a,b", "a, b", "punctuation"),
        ("a  b\n", "a, b", "punctuation"),
        ("A lake", "a lake", "−A +a"),
    ],
)
def test_a_prompts_change_in_a_line(old: str, new: str, said: str) -> None:
    assert changes(RECIPE.but(prompt=old), RECIPE.but(prompt=new)).summary() == said


def test_brackets_are_read_as_the_recipe_reads_them() -> None:
    square = RECIPE.but(prompt="[house]", emphasis="None")
    assert changes(square, square.but(prompt="house")).summary() == "−[house] +house"
    assert [one.text for one in tokens("[a:b:0.5] AND c", profile="ComfyUI")] == ["[a:b:0.5]", "AND", "c"]
    assert changes(square, square.but(emphasis="Original")).prompt.parts() == ["−[house]", "+(house:0.9091)"]


def test_only_fields_that_differ_are_named() -> None:
    found = changes(RECIPE, RECIPE.but(cfg_scale=5, seed=2**64 - 1, model_hash="ab12ab12ab"))
    assert [(one.name, one.label, one.old, one.new) for one in found.fields] == [
        ("cfg_scale", "CFG scale", "7", "5"),
        ("seed", "Seed", "7", "18446744073709551615"),
        ("model_hash", "Model hash", "", "ab12ab12ab"),
    ]
    assert found.summary() == f"CFG scale 7→5 · Seed 7→18446744073709551615 · Model hash {EMPTY}→ab12ab12ab"
    assert not found.prompt and not found.negative_prompt


def test_the_negative_prompt_is_named() -> None:
    found = changes(RECIPE, RECIPE.but(negative_prompt="dark", steps=8))
    assert found.summary() == "Negative prompt +dark · Steps 20→8"


def test_a_summary_keeps_its_limit() -> None:
    found = changes(RECIPE, RECIPE.but(prompt=" ".join(f"word{k}" for k in range(500))))
    assert len(found.summary()) == 120
    assert len(found.summary(30)) == 30 and found.summary(30).endswith("…")


def test_pieces_are_in_reading_order() -> None:
    found = compare("a red house, snow", "a blue house, (snow:1.2), ducks")
    assert [(piece.kind, piece.text) for piece in found.pieces] == [
        ("kept", "a"), ("removed", "red"), ("added", "blue"), ("kept", "house"), ("reweighted", "snow"),
        ("added", "ducks"),
    ]  # fmt: skip
    assert found.pieces[4] == Piece("reweighted", (Token("snow"),), (Token("snow", 1.2),))


def test_a_move_leaves_its_place() -> None:
    assert [(piece.kind, piece.text) for piece in compare("ducks, a house", "a house, ducks").pieces] == [
        ("left", "ducks"), ("kept", "a house"), ("moved", "ducks"),
    ]  # fmt: skip


def test_a_change_is_for_the_prompt_that_it_was_found_for() -> None:
    with pytest.raises(ValueError, match="another prompt"):
        compare("a house", "a castle").apply(tokens("a tent"))


@given(PROMPTS, PROMPTS, MANNERS, MANNERS)
def test_the_change_makes_the_new_tokens_of_the_old(
    old: str, new: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    first, second = tokens(old, *before), tokens(new, *after)
    found = compare(old, new, before, after)
    assert found.apply(first) == second
    assert bool(found) is (first != second)
    assert found.punctuation is (old != new and first == second)
    assert all(piece.old or piece.new for piece in found.pieces)


@given(PROMPTS, PROMPTS)
def test_what_is_kept_is_equal_and_what_is_reweighted_is_not(old: str, new: str) -> None:
    for piece in compare(old, new).pieces:
        pairs = list(zip(piece.old, piece.new, strict=piece.kind in ("kept", "reweighted")))
        assert all((before == after) is (piece.kind == "kept") for before, after in pairs)
        assert all(before.text == after.text for before, after in pairs)


@settings(max_examples=40)
@given(RECIPES, RECIPES)
def test_no_change_is_the_same_recipe(old: Recipe, new: Recipe) -> None:
    found = changes(old, new)
    assert bool(found) is (old != new)
    assert bool(found.summary()) is (old != new)
    assert [one.name for one in found.fields] == [
        name for name in Recipe.model_fields
        if "prompt" not in name and getattr(old, name) != getattr(new, name)
    ]  # fmt: skip
    assert not changes(old, old)


HARD = {
    "one word": ("a " * 5000, "b " + "a " * 4998),
    "words that come back": (
        " ".join(f"x a{k}" for k in range(1400)), " ".join(f"x b{k}" for k in range(1400))
    ),
    "reversed": (" ".join(map(str, range(2000))), " ".join(map(str, reversed(range(2000))))),
    "few words shuffled": (
        " ".join(str(k * k % 41) for k in range(3500)), " ".join(str(k * k * k % 43) for k in range(3500))
    ),
    "brackets": ("[a|b] (c:1.2)" * 700, "(a:1.3) [c|d]" * 700),
    "commas": ("a," * 5000, ",a" * 4999),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_no_prompt_takes_long(name: str) -> None:
    old, new = (text[:PROMPT_LIMIT] for text in HARD[name])
    assert lines(lambda: compare(old, new)) < 50 * (len(old) + len(new))
    assert compare(old, new).apply(tokens(old)) == tokens(new)


@pytest.mark.parametrize("unit", ["a, b ", "x y", "(a:1.2) ", "[a:b:0.5]", "<lora:a:1>", "(", ", "])
def test_reading_is_linear(unit: str) -> None:
    assert growth(tokens, unit) < 1.5


def test_swapping_two_words_of_many_says_only_them() -> None:
    words = [f"{a}{b}" for a, b in product("abcdefgh", repeat=2)]
    swapped = [*words[:10], words[40], *words[11:40], words[10], *words[41:]]
    parts = compare(", ".join(words), ", ".join(swapped)).parts()
    assert parts == [f"moved {words[40]}", f"moved {words[10]}"]
