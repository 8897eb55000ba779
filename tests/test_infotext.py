"""Infotext: what A1111 and its relatives write is read; nothing raises; nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from tests.strategies import RECIPES
from webui import infotext
from webui.infotext import Reading, parse
from webui.recipe import PARAMS, Recipe


def carried(recipe: Recipe) -> Recipe:
    """The recipe as infotext holds it: without a variation, as in A1111, the variation seed is not written."""
    return recipe if recipe.variation_strength > 0 else recipe.but(variation_seed=0)


@given(RECIPES)
def test_a_recipe_comes_back(recipe: Recipe) -> None:
    reading = parse(infotext.format(recipe, {"Version": "Reseed 1"}))
    assert Recipe.of(**reading.values) == carried(recipe)
    assert (reading.rest, reading.problems, reading.notes) == ({"Version": "Reseed 1"}, (), ())


NEAR = st.lists(
    st.sampled_from(["Negative prompt:", "Steps: 2, Sampler: Euler, Seed: 3", "Template:", "\n", " ", "x", ", "])
).map("".join)


@given(NEAR, NEAR)
def test_words_that_look_like_infotext_come_back(prompt: str, negative: str) -> None:
    recipe = Recipe.of(prompt=prompt, negative_prompt=negative, seed=1)
    assert Recipe.of(**parse(infotext.format(recipe)).values) == recipe


def test_only_words_that_the_layout_cannot_hold_are_written_twice() -> None:
    plain = Recipe.of(prompt="a lake,\nscene: night", negative_prompt="fog", seed=1)
    assert "Exact" not in infotext.format(plain)
    told = infotext.format(plain.but(prompt="a lake\nNegative prompt: x"))
    assert 'Exact prompt: "a lake\\nNegative prompt: x"' in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"variation_seed": 5}, ""),
        ({"variation_seed": 5, "variation_strength": 0.1}, "Variation seed: 5, Variation seed strength: 0.1"),
        ({"resize_width": 512, "resize_height": 640}, "Seed resize from: 512x640"),
        ({"ensd": 31337}, "ENSD: 31337"),
        ({"emphasis": "No norm"}, "Emphasis: No norm"),
        ({"variations": "12:0.1, 99:0.05"}, 'Variations: "12:0.1, 99:0.05"'),
        ({"variation_noise": "every step"}, "Variation noise: every step"),
        ({"noise_layout": "centred"}, "Noise layout: centred"),
        ({"profile": "Forge"}, "Compatibility: Forge"),
        ({"clip_skip": 2}, "Clip skip: 2"),
        ({"eta": 0.5}, "Eta: 0.5"),
        ({"eta_ddim": 1.0}, "Eta DDIM: 1"),
        ({"s_churn": 10, "s_tmin": 0.1, "s_tmax": 2}, "Sigma churn: 10, Sigma tmin: 0.1, Sigma tmax: 2"),
        ({"s_noise": 1.003}, "Sigma noise: 1.003"),
        ({"sigma_min": 0.1, "sigma_max": 10}, "Schedule max sigma: 10, Schedule min sigma: 0.1"),
        ({"rho": 5}, "Schedule rho: 5"),
        ({"discard_penultimate": "On"}, "Discard penultimate sigma: True"),
        ({"sgm_noise": "Off"}, "SGM noise multiplier: False"),
        ({"noise_schedule": "Zero Terminal SNR"}, "Noise Schedule: Zero Terminal SNR"),
        ({"ngms": 2, "ngms_all": "On"}, "NGMS: 2, NGMS all steps: True"),
        ({"skip_early_cfg": 0.2}, "Skip Early CFG: 0.2"),
    ],
)
def test_keys_are_written_only_when_they_mean_something(changes: dict[str, object], told: str) -> None:
    plain = infotext.format(Recipe.of(seed=1)).split(", ")
    more = infotext.format(Recipe.of(seed=1, **changes))
    assert told in more
    assert all(pair in more for pair in plain)
    assert len(more) == len(", ".join(plain)) + (len(told) + 2 if told else 0)


A1111 = """masterpiece, (dense forest:1.2), duckling
by the stream
Negative prompt: lowres, text,
blurry
Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1269646841, Size: 512x768, Model hash: 6ce0161689, \
Model: v1-5-pruned, Clip skip: 2, ENSD: 31337, Lora hashes: "a: 1b2c, d: 3e4f", Version: v1.6.0"""


def test_a1111() -> None:
    reading = parse(A1111)
    assert reading.values == {
        "prompt": "masterpiece, (dense forest:1.2), duckling\nby the stream",
        "negative_prompt": "lowres, text,\nblurry",
        "sampler": "DPM++ 2M", "schedule": "Karras", "steps": 30, "cfg_scale": 7.5, "seed": 1269646841,
        "width": 512, "height": 768, "model_hash": "6ce0161689", "model": "v1-5-pruned", "clip_skip": 2, "ensd": 31337,
        "lora_hashes": "a: 1b2c, d: 3e4f",
        # What it leaves out means these:
        "rng": "NV", "variation_strength": 0.0, "variations": "", "variation_noise": "start", "resize_width": 0,
        "resize_height": 0, "noise_layout": "plain", "emphasis": "Original", "profile": "A1111", "eta": 1.0,
        "eta_ddim": 0.0, "s_noise": 1.0, "s_churn": 0.0, "s_tmin": 0.0, "s_tmax": 0.0, "sigma_min": 0.0,
        "sigma_max": 0.0, "rho": 0.0, "discard_penultimate": "Automatic", "sgm_noise": "Automatic",
        "noise_schedule": "Default", "ngms": 0.0, "ngms_all": "Off", "skip_early_cfg": 0.0,
    }  # fmt: skip
    assert reading.rest == {"Version": "v1.6.0"}
    assert reading.problems == ()
    assert reading.notes == (
        "Made by A1111 1.6.0: its arithmetic is used.",
        "Noise from the graphics card: NV gives the same numbers for most sizes.",
    )
    assert reading.source == "A1111"


A1111_DETAILS = (
    "x\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Eta: 0.5, Sigma churn: 4, Sigma tmin: 0.05, "
    "Sigma tmax: 10, Sigma noise: 1.002, Schedule max sigma: 12, Schedule min sigma: 0.05, Schedule rho: 6, "
    "Discard penultimate sigma: True, SGM noise multiplier: True, Noise Schedule: Zero Terminal SNR, NGMS: 3, "
    "NGMS all steps: True, Skip Early CFG: 0.1, Version: v1.10.1"
)


def test_what_a1111_tells_a_sampler_is_read() -> None:
    reading = parse(A1111_DETAILS)
    told = {
        "eta": 0.5, "s_churn": 4.0, "s_tmin": 0.05, "s_tmax": 10.0, "s_noise": 1.002, "sigma_max": 12.0,
        "sigma_min": 0.05, "rho": 6.0, "discard_penultimate": "On", "sgm_noise": "On",
        "noise_schedule": "Zero Terminal SNR", "ngms": 3.0, "ngms_all": "On", "skip_early_cfg": 0.1,
    }  # fmt: skip
    assert {name: reading.values[name] for name in told} == told
    assert (reading.rest, reading.problems) == ({"Version": "v1.10.1"}, ())


@pytest.mark.parametrize(
    ("line", "values", "note"),
    [
        ("Steps: 30, Sampler: UniPC, Seed: 1, Version: v1.9.0", {"steps": 31}, "A1111 made 31 steps of 30 with UniPC."),
        ("Steps: 20, Sampler: UniPC, Seed: 1, Version: v1.9.0", {"steps": 20}, ""),
        ("Steps: 30, Sampler: Euler, Seed: 1, Version: v1.9.0", {"steps": 30}, ""),
        ("Steps: 30, Sampler: UniPC, Seed: 1, Version: ComfyUI", {"steps": 30}, ""),
        ("Steps: 4, Sampler: DDIM, Schedule type: Karras, Seed: 1, Version: v1.9.0", {"schedule": "Automatic"},
         "DDIM does not read the schedule type Karras there."),
        ("Steps: 4, Sampler: DDIM, Eta: 0.4, Seed: 1", {"eta_ddim": 0.4, "eta": 1.0}, ""),
        ("Steps: 4, Sampler: DDIM, Eta: 0.4, Seed: 1, Version: v1.9.0", {"eta_ddim": 0.0, "eta": 0.4}, ""),
        ("Steps: 4, Sampler: DDIM, Eta: 0.4, Seed: 1, RNG: NV", {"eta_ddim": 0.0, "eta": 0.4}, ""),
        ("Steps: 4, Sampler: Euler a, Eta: 0.4, Seed: 1", {"eta_ddim": 0.0, "eta": 0.4}, ""),
    ],
)  # fmt: skip
def test_what_means_something_else_there_is_translated(line: str, values: dict[str, object], note: str) -> None:
    reading = parse(f"x\n{line}")
    assert {name: reading.values[name] for name in values} == values
    assert reading.problems == ()
    said = [text for text in reading.notes if "does not read" in text or "steps of" in text]
    assert said == ([note] if note else [])


def test_a_picture_without_a_variation_takes_it_out_of_the_form() -> None:
    """A form that holds a variation may not keep it when another program's picture is loaded: it would be another."""
    values = parse(A1111).values
    assert Recipe.of(seed=1, variation_strength=0.5, variation_seed=3, resize_width=64, resize_height=64).but(
        **values
    ) == Recipe.of(variation_seed=3, **values)


def test_a_seed_of_64_bits_keeps_its_digits() -> None:
    assert parse("x\nSteps: 1, Seed: 9202427981074766178").values["seed"] == 9202427981074766178


def test_prose_with_colons_stays_a_prompt() -> None:
    assert parse("scene: night, mood: dark, light: soft").values["prompt"] == "scene: night, mood: dark, light: soft"


def test_two_parameters_are_parameters() -> None:
    assert parse("a cat\nSteps: 20, Sampler: Euler a").values["prompt"] == "a cat"


def test_parameters_without_a_prompt() -> None:
    reading = parse("Steps: 20, Sampler: Euler, Seed: 3")
    assert (reading.values["prompt"], reading.values["seed"]) == ("", 3)


def test_values_not_allowed_are_problems_not_defaults() -> None:
    reading = parse("x\nSteps: 9999, Sampler: Nonsense, Seed: -1, Size: 500x501, RNG: DICE")
    assert not {"steps", "sampler", "seed", "width", "height", "rng"} & reading.values.keys()
    assert sorted(problem.field for problem in reading.problems) == sorted(
        ["rng", "sampler", "width", "height", "steps", "seed"]
    )


@given(st.text(max_size=300))
def test_reading_is_total(text: str) -> None:
    assert isinstance(parse(text), Reading)


@given(st.text(st.sampled_from('Steps: Seed,"\\\n1x{}[]'), max_size=200))
def test_reading_is_total_near_the_grammar(text: str) -> None:
    assert isinstance(parse(text), Reading)


@pytest.mark.parametrize(
    "unit", ["a", "a: b, ", "a" * 60 + " ", 'Steps: "', "Steps: 1, ", ",", 'k: "\\"', " ", "a ", "a b: ", "a-/ ", ":",
     "k: [", 'k: ["', "k: {}, ", 'k: [{"', "Steps: 1, x, ", "Steps: 1, k: x, y, ", "Template: \n", "Steps: 1,\n",
     "Steps: 1, Seed: 2\nTemplate:\n", "Negative prompt:", 'k: "\\", ', "k.", "[", "Exact prompt: \"a"],
)  # fmt: skip
def test_a_hundred_thousand_characters_take_linear_time(unit: str) -> None:
    assert growth(parse, unit) < 1.5


@given(st.dictionaries(st.sampled_from(["Version", "Hires prompt", "Note"]), st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)))  # fmt: skip
def test_further_keys_survive(extras: dict[str, str]) -> None:
    assert parse(infotext.format(Recipe.of(seed=1), extras)).rest == extras


KEYS = st.text(st.sampled_from("abcXYZ /-%.湖1"), min_size=1, max_size=20).map(lambda key: f"k{key.strip()}k")


@given(st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30), max_size=6))
def test_foreign_keys_are_kept(extras: dict[str, str]) -> None:
    assert parse(infotext.format(Recipe.of(seed=1), extras)).rest == extras


FIELDS = st.sampled_from(["Seed", "Size", "Model", "RNG", "ENSD", "Variations", "Seed resize from", "Size-1", "x"])


@given(st.lists(st.tuples(FIELDS, st.text(max_size=12)).map(": ".join)).map(", ".join))
def test_nothing_wrong_becomes_a_value(line: str) -> None:
    """Whatever stands behind the keys: each value is one that a recipe holds, and a field is a value or a problem."""
    reading = parse(f"x\nSteps: 3, Sampler: Euler, {line}")
    for name, value in reading.values.items():
        assert PARAMS[name].check(value) == value
    assert not {problem.field for problem in reading.problems} & reading.values.keys()


def test_a_value_that_only_begins_with_quotes_is_kept_whole() -> None:
    line = 'Steps: 2, Seed: 3, A: "b" and c, D: "e, f" , G: {"h": [1, 2]}, I: [x, J: 5'
    assert parse(line).rest == {"A": '"b" and c', "D": "e, f", "G": '{"h": [1, 2]}', "I": "[x", "J": "5"}
