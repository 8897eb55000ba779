"""Sweep axes: A1111's syntax without its traps, and a sentence for what is none."""

import doctest
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import RECIPES
from webui import samplers, seeds
from webui.axes import ORDER, PRESET, SEARCH, SIZE, labels, parse_axis, sweeps
from webui.errors import BadValue
from webui.grid import sweep
from webui.presets import Preset
from webui.recipe import PARAMS, Recipe

RECIPE = Recipe.of(prompt="a house by a lake, snow", negative_prompt="fog, house", seed=7)
MODELS = ("reseed", "Dreams", "dreams-xl")
PRESETS = {
    "Pastel": Preset("Pastel", prompt="{prompt}, pastel", values={"steps": 30}),
    "Quick look": Preset("Quick look", values={"steps": 8}),
}


@pytest.mark.parametrize(
    ("label", "text", "values"),
    [
        ("Steps", "1, 2, 3", (1, 2, 3)),
        ("steps", "8", (8,)),
        ("Steps", "1-5", (1, 2, 3, 4, 5)),
        ("Steps", "1-10 (+2)", (1, 3, 5, 7, 9)),
        ("Steps", "1-10(+3)", (1, 4, 7, 10)),
        ("Steps", "1-5 (2)", (1, 3, 5)),
        ("Steps", "1-10 [5]", (1, 3, 5, 7, 10)),
        ("Steps", "1-10 [2]", (1, 10)),
        ("Steps", "5-1", (5, 4, 3, 2, 1)),
        ("Steps", "10-1 (-3)", (10, 7, 4, 1)),
        ("Steps", "10-1 (3)", (10, 7, 4, 1)),
        ("Steps", "10-1 [4]", (10, 7, 4, 1)),
        ("Steps", "4-4", (4,)),
        ("Steps", "8..10, 20–22", (8, 9, 10, 20, 21, 22)),
        ("Steps", "1\n2, 3", (1, 2, 3)),
        ("CFG scale", "0-1 [5]", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("CFG Scale", "0-1 (+0.3)", (0.0, 0.3, 0.6, 0.9)),
        ("cfg_scale", "1-0 (-0.5)", (1.0, 0.5, 0.0)),
        ("CFG scale", "3-7 (+2), 12.5", (3.0, 5.0, 7.0, 12.5)),
        ("CFG scale", ".5-1.5", (0.5, 1.5)),
        ("Var. strength", "0-1 [3]", (0.0, 0.5, 1.0)),
        ("Width", "512-768 (+128)", (512, 640, 768)),
        ("Seed", "18446744073709551613-18446744073709551615", (2**64 - 3, 2**64 - 2, 2**64 - 1)),
        ("Seed", "9007199254740993, 0", (2**53 + 1, 0)),
        ("Seed", "0-18446744073709551615 [3]", (0, 2**63 - 1, 2**64 - 1)),
        ("Sampler", "euler, k_heun, DPM++ 2M", ("Euler", "Heun", "DPM++ 2M")),
        ("Schedule type", "karras, Simple", ("Karras", "Simple")),
        ("RNG source", "cpu, nv", ("CPU", "NV")),
        ("Checkpoint name", "DREAMS, reseed", ("Dreams", "reseed")),
        ("Size", "512x768, 768×512, 64 X 64", ((512, 768), (768, 512), (64, 64))),
        ("Variations", '"1:0.5, 2:0.25", 3:1', ("1:0.5, 2:0.25", "3:1")),
        ("Prompt", '"a cat, indoors", a dog', ("a cat, indoors", "a dog")),
        ("Prompt S/R", 'house, castle, "tent, ""red""", ', ("house", "castle", 'tent, "red"', "")),
        ("prompt s/r", "fog,mist", ("fog", "mist")),
        ("Prompt order", "snow, house", (("house", "snow"), ("snow", "house"))),
    ],
)
def test_values(label: str, text: str, values: tuple[object, ...]) -> None:
    assert parse_axis(label, text, RECIPE, MODELS, PRESETS).values == values


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("Step", "1", "Axis must be one of .*; got 'Step'. Did you mean Steps"),
        ("", "1", "Axis must be one of"),
        ("Steps", "", "Steps must be a list of at least one value"),
        ("Steps", " , 1", "at least one value"),
        ("Steps", "1,,2", "There is an empty entry between two commas"),
        ("Steps", "1.5", "Steps must be a whole number from 1 to 150; got '1.5'"),
        ("Steps", "1-3 (+0.5)", "Steps must be a whole number from 1 to 150; got 1.5"),
        ("Steps", "0-3", "Steps must be .*; got 0"),
        ("Steps", "1-200", "got 151"),
        ("Steps", "1-10 (-2)", "By steps of -2 it does not lead from 1 to 10"),
        ("Steps", "10-1 (+2)", "By steps of \\+2 it does not lead"),
        ("Steps", "1-10 (0)", "By steps of 0"),
        ("Steps", "1-10 [1]", "The count must be from 2 to"),
        ("Steps", "1-3 [5]", "There are not 5 different values"),
        ("Steps", "3-3 [2]", "There are not 2 different values"),
        ("Seed", "1-2000", "a list of at most 1000 values; got '1-2000'. The range alone has 2000"),
        ("Seed", "1-600, 1-600", "at most 1000 values"),
        ("Seed", "1-9 [999999]", "The count must be from 2 to 1000"),
        ("Seed", "18446744073709551615-18446744073709551616", "Seed must be .*; got 18446744073709551616"),
        ("Seed", "-2", "Seed must be"),
        ("Seed", "abc", "Seed must be"),
        ("Width", "512-768 (+100)", "Width must be .* multiple of 8; got 612. Nearest: 608 or 616"),
        ("CFG scale", "nan", "CFG scale must be a number"),
        ("Sampler", "Eular", "Sampler must be .* Did you mean Euler"),
        ("Model", "dreamz", "Model must be one of reseed, Dreams, dreams-xl; got 'dreamz'. Did you mean"),
        ("Size", "512", "Size must be a list of sizes such as 512x768"),
        ("Size", "512x20", "Height must be"),
        ("Preset", "Pastell", "Preset must be one of Pastel, Quick look, None; got 'Pastell'. Did you mean Pastel"),
        ("Prompt S/R", "castle, tent", "must be a text that is in the prompt or the negative prompt; got 'castle'"),
        ("Prompt S/R", ", tent", "at least one value"),
        ("Prompt S/R", '"house" x, y', "Put quotes around a whole value"),
        ("Prompt order", "house", "two to six different words"),
        ("Prompt order", "house, house", "two to six different words"),
        ("Prompt order", "a, b, c, d, e, f, g", "two to six different words"),
        ("Prompt order", "house, castle", "Prompt order must be words of the prompt; got 'castle'"),
        ("Prompt order", "house, ous", "none inside another"),
        ("Steps", "1," * 1001 + "1", "at most 1000 values"),
        ("Prompt", "x" * 20_001, "at most 20000 characters. .*It has 20001"),
    ],
)  # fmt: skip
def test_what_is_no_axis_is_a_sentence(label: str, text: str, said: str) -> None:
    with pytest.raises(BadValue, match=said.replace("characters. ", "characters; ")):
        parse_axis(label, text, RECIPE, MODELS, PRESETS)


def test_without_models_or_presets_the_sentence_says_so() -> None:
    with pytest.raises(BadValue, match="none are there"):
        parse_axis("Model", "x", RECIPE)
    assert [one.name for one in parse_axis("Preset", "none", RECIPE).values] == ["None"]


def test_a_random_seed_is_drawn_once_for_all_cells() -> None:
    axis = parse_axis("Seed", "-1, 5, −1", RECIPE)
    assert axis.values[1] == 5 and all(0 <= seed < seeds.DRAWN_BELOW for seed in axis.values)
    cells = sweep(RECIPE, [parse_axis("Steps", "8, 9", RECIPE), axis])
    found = [cell.recipe.seed for cell in cells if cell.recipe]
    assert found == [seed for seed in axis.values for _ in range(2)]
    assert 0 <= parse_axis("Var. seed", "-1", RECIPE).values[0] < seeds.DRAWN_BELOW


def test_search_and_replace_is_in_both_prompts() -> None:
    cells = sweep(RECIPE, [parse_axis(SEARCH, "house, castle, ", RECIPE)])
    assert [cell.captions for cell in cells] == [("house",), ("castle",), ("(nothing)",)]
    assert [(cell.recipe.prompt, cell.recipe.negative_prompt) for cell in cells if cell.recipe] == [
        ("a house by a lake, snow", "fog, house"), ("a castle by a lake, snow", "fog, castle"),
        ("a  by a lake, snow", "fog, "),
    ]  # fmt: skip


def test_two_searches_meet_in_the_cell_that_lacks_the_second() -> None:
    axes = [parse_axis(SEARCH, "snow, fog", RECIPE), parse_axis(SEARCH, "lake, snow", RECIPE)]
    assert [cell.recipe.prompt for cell in sweep(RECIPE, axes) if cell.recipe] == [
        "a house by a lake, snow", "a house by a lake, fog", "a house by a snow, snow", "a house by a snow, fog",
    ]  # fmt: skip
    lacking = sweep(RECIPE, [axes[1], parse_axis(SEARCH, "a lake,, two ponds", RECIPE)])
    assert [cell.error is None for cell in lacking] == [True, False] * 3
    assert "Prompt S/R must be a text that is in the prompt" in str(lacking[1].error)


def test_words_stand_in_every_order() -> None:
    axis = parse_axis(ORDER, "lake, house, snow", RECIPE)
    prompts = [cell.recipe.prompt for cell in sweep(RECIPE, [axis]) if cell.recipe]
    assert prompts[0] == RECIPE.prompt and len(set(prompts)) == 6
    assert prompts[-1] == "a snow by a lake, house"
    assert sweep(RECIPE, [axis])[-1].captions == ("snow, lake, house",)


def test_sizes_presets_and_models_change_more_than_one_field() -> None:
    hashed = RECIPE.but(model_hash="ab12ab12ab", model="Dreams")
    (size,) = sweep(RECIPE, [parse_axis(SIZE, "640x512", RECIPE)])
    assert size.captions == ("640×512",) and size.recipe == RECIPE.but(width=640, height=512)
    pastel, none = sweep(RECIPE, [parse_axis(PRESET, "pastel, NONE", RECIPE, presets=PRESETS)])
    assert pastel.recipe == RECIPE.but(prompt="a house by a lake, snow, pastel", steps=30)
    assert (none.captions, none.recipe) == (("None",), RECIPE)
    (model,) = sweep(hashed, [parse_axis("Model", "reseed", hashed, MODELS)])
    assert model.captions == ("reseed",) and model.recipe == RECIPE.but(model="reseed")


def test_a_too_long_replacement_is_its_cells_error() -> None:
    cells = sweep(RECIPE, [parse_axis(SEARCH, f"house, {'x' * 9990}, tent", RECIPE)])
    assert [cell.error is None for cell in cells] == [True, False, True]
    assert "Prompt must be text of at most 10000 characters" in str(cells[1].error)


@given(st.integers(0, 2**64 - 1), st.integers(0, 300), st.integers(1, 9), st.booleans())
def test_ranges_of_seeds_are_exact(first: int, length: int, step: int, down: bool) -> None:
    last = min(first + length * step, 2**64 - 1)
    found = parse_axis("Seed", f"{last}-{first} (-{step})" if down else f"{first}-{last} (+{step})", RECIPE).values
    assert found == (tuple(range(last, first - 1, -step)) if down else tuple(range(first, last + 1, step)))


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(2, 50))
def test_counts_hold_both_ends_and_are_even(first: int, last: int, count: int) -> None:
    low, high = first / 100, last / 100
    if first == last:
        return
    found = parse_axis("CFG scale", f"{low}-{high} [{count}]", RECIPE).values
    assert (len(found), found[0], found[-1]) == (count, low, high)
    exact = [Fraction(first, 100) + Fraction(last - first, 100) * k / (count - 1) for k in range(count)]
    assert list(found) == [float(value) for value in exact]


@given(st.text(st.sampled_from('0123456789-+.,()[] x"\n−'), max_size=30), st.sampled_from(labels()))
def test_any_text_is_an_axis_or_a_sentence(text: str, label: str) -> None:
    try:
        axis = parse_axis(label, text, RECIPE, MODELS, PRESETS)
    except BadValue as error:
        assert str(error)
    else:
        assert axis.values and all(axis.caption(value) for value in axis.values)


def test_every_parameter_is_an_axis() -> None:
    full = RECIPE.but(variations="1:0.5, 2:0.25", model_hash="ab12ab12ab")
    for name, param in PARAMS.items():
        value = getattr(full, name)
        if value != "":
            axes = [parse_axis(label, f'"{param.format(value)}"', full, MODELS) for label in (param.label, name)]
            assert [(axis.name, axis.label, axis.values) for axis in axes] == [(name, param.label, (value,))] * 2
    assert set(labels()) >= {param.label for param in PARAMS.values()}


@settings(max_examples=20)
@given(RECIPES)
def test_sweeps_for_one_click_are_all_possible(recipe: Recipe) -> None:
    plain = recipe.but(variation_seed=recipe.seed)
    for one in sweeps(plain):
        base = plain.but(**one.changes)
        cells = sweep(base, [parse_axis(label, text, base) for label, text in one.axes])
        assert len({cell.recipe for cell in cells}) == len(cells) and all(cell.error is None for cell in cells)


def test_sweeps_for_one_click() -> None:
    found = {one.name: one for one in sweeps(RECIPE)}
    values = {name: parse_axis(*one.axes[0], RECIPE).values for name, one in found.items()}
    assert values["10 seeds"] == tuple(range(7, 17))
    assert values["CFG 3–12"] == tuple(map(float, range(3, 13)))
    assert values["All samplers"] == samplers.sampler_names()
    assert values["Variation ladder"] == tuple(k / 10 for k in range(11))
    assert values["Render speeds"] == (8, 20, 40)
    last = sweeps(RECIPE.but(seed=2**64 - 1))[0].axes[0]
    assert parse_axis(*last, RECIPE).values[-1] == 2**64 - 1


def test_the_page_on_sweeps_tells_the_truth() -> None:
    page = Path(__file__).parents[1] / "docs" / "sweeps.md"
    done = doctest.testfile(str(page), module_relative=False)
    assert (done.failed, done.attempted) == (0, 7)
