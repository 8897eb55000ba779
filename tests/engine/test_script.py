"""Scripts: the right words at the right model call, by every family; AND; what cannot be obeyed is said."""

import numpy as np
import pytest
import torch

from tests.engine import tiny
from webui.engine import script
from webui.engine.families import _guided
from webui.engine.noise import Stream
from webui.errors import BadValue
from webui.recipe import Recipe

SHAPE = (1, 4, 8, 8)


def small(family: str, **changes: object) -> Recipe:
    return Recipe.of(
        **{"prompt": "a red house", "negative_prompt": "fog", "seed": 3, "steps": 4, "width": 64, "height": 64,
           "model": family, "sampler": "Euler", "cfg_scale": 3.0, **changes}
    )  # fmt: skip


@pytest.fixture
def estimates(engines):
    """Ask a recipe's denoiser ``count`` times about the same latent."""
    latent = Stream(1, "NV", SHAPE).normal()

    def ask(recipe: Recipe, count: int = 1) -> list[torch.Tensor]:
        with torch.inference_mode():
            denoise = engines[recipe.model]._model(recipe.model, "").family.denoiser(recipe)
            return [denoise(latent, 0.7) for _ in range(count)]

    return ask


def said(recipe: Recipe, count: int) -> list[str]:
    read = script.read(recipe)
    return [read.at(step)[-1] for step in range(script.FIRST_STEP, script.FIRST_STEP + count)]


@pytest.mark.parametrize("begin", range(5))
def test_only_what_is_still_to_be_read_is_prepared(begin):
    prepared = []
    wanted = Recipe.of(seed=0, prompt="[a|b]", steps=6, sampler="Euler", cfg_scale=1)
    call = script.read(wanted).follow(lambda texts: prepared.append(texts[0]) or texts[0], begin)
    words = said(wanted, 6)
    assert words == ["a", "a", "b", "a", "b", "a"]
    assert [call(1.0) for _ in words[begin:]] == words[begin:]
    assert prepared == ["a", "b", "a", "b", "a"][max(0, begin - 1) :]


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a [red:blue:0.5] house", ["red", "red", "red", "blue"]),
        ("a [red:blue:1] house", ["red", "red", "blue", "blue"]),
        ("a [red:blue:0] house", ["blue"] * 4),
        ("a [red:blue:1.0] house", ["red"] * 4),
        ("a [red|blue] house", ["red", "red", "blue", "red"]),
    ],
)
def test_words_change_at_the_right_call(estimates, family, prompt, words):
    found = estimates(small(family, prompt=prompt), 4)
    alone = {word: estimates(small(family, prompt=f"a {word} house"))[0] for word in ("red", "blue")}
    assert not torch.equal(alone["red"], alone["blue"])
    assert [torch.equal(estimate, alone[word]) for estimate, word in zip(found, words, strict=True)] == [True] * 4


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_negative_prompt_changes_too(estimates, family):
    first, second, third = estimates(small(family, negative_prompt="[fog:snow:1]"), 3)
    assert torch.equal(first, estimates(small(family))[0])
    assert torch.equal(second, first)
    assert torch.equal(third, estimates(small(family, negative_prompt="snow"))[0])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_and_is_the_sum_of_its_parts(estimates, family):
    """negative + Σ w · cfg · (part − negative), from estimates of each alone; estimates are linear in predictions."""
    joined = estimates(small(family, prompt="a red house :1.2 AND a lake :-0.5 AND snow"))[0]
    negative = estimates(small(family, prompt="fog", cfg_scale=1.0))[0]
    pulls = [
        weight * 3.0 * (estimates(small(family, prompt=text, cfg_scale=1.0))[0] - negative)
        for text, weight in (("a red house", 1.2), ("a lake", -0.5), ("snow", 1.0))
    ]
    assert torch.allclose(joined, negative + sum(pulls), atol=2e-4)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_weights_that_sum_to_nothing(estimates, family):
    found = estimates(small(family, prompt="a red house AND a lake :-1"))[0]
    assert torch.isfinite(found).all()
    assert not torch.equal(found, estimates(small(family, prompt="fog", cfg_scale=1.0))[0])


@pytest.mark.parametrize("family", ["sd1", "flux"])
def test_and_with_schedules(estimates, family):
    found = estimates(small(family, prompt="a [red|blue] house AND a [lake:house:2] :0.5"), 4)
    for estimate, one, two in zip(found, ("red", "red", "blue", "red"), ("lake", "lake", "lake", "house"), strict=True):
        assert torch.equal(estimate, estimates(small(family, prompt=f"a {one} house AND a {two} :0.5"))[0])


def test_and_at_cfg_scale_1_still_weighs_against_the_negative_prompt():
    assert script.read(small("sd1", cfg_scale=1.0)).negative is None
    assert script.read(small("sd1", cfg_scale=1.0, prompt="a AND b")).negative is not None


def test_the_negative_prompt_knows_no_and():
    assert script.read(small("sd1", negative_prompt="fog AND snow :2")).at(1)[0] == "fog AND snow :2"


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("prompt", ["[red|blue] house", "a [lake:house:0.5] AND snow", "a (lake:1.3), [fog]"])
def test_pictures_repeat(engines, pixels, family, prompt):
    first = pixels(engines[family], small(family, prompt=prompt))
    pixels(engines[family], small(family, prompt="another"))
    assert np.array_equal(first, pixels(engines[family], small(family, prompt=prompt)))


@pytest.mark.parametrize("family", ["sd1", "sdxl", "flux"])
def test_a_cancelled_picture_leaves_no_count_behind(engines, pixels, family):
    recipe = small(family, prompt="a [red:blue:0.5] house")
    first = pixels(engines[family], recipe)
    steps = engines[family].generate(recipe)
    next(steps), next(steps), next(steps)
    steps.close()
    assert np.array_equal(first, pixels(engines[family], recipe))


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(
    ("one", "other"),
    [("a [red:blue:0] house", "a blue house"), ("a [red:blue:1.0] house", "a red house"),
     ("[a red house|a red house]", "a red house"), ("a red house", "a red house[:0.5]")],
)  # fmt: skip
def test_equal_words_are_equal_pictures(engines, pixels, family, one, other):
    first, second = (pixels(engines[family], small(family, prompt=text)) for text in (one, other))
    assert np.array_equal(first, second)


def test_samplers_with_two_calls_a_step_count_calls():
    heun = small("sd1", sampler="Heun", steps=4)
    assert script.total(heun) == 8
    assert said(heun.but(prompt="[a:b:0.5]"), 8) == ["a"] * 5 + ["b"] * 3
    assert said(heun.but(prompt="[a:b:3]"), 8) == ["a"] * 4 + ["b"] * 4
    assert script.total(small("sd1", sampler="DPM++ 2M SDE Heun", steps=4)) == 4
    assert said(small("sd1", prompt="[a:b:3]"), 5) == ["a"] * 4 + ["b"]


def test_plain_prompts_keep_every_bit(engines):
    """The estimate, written out: one call with the rows (negative, positive)."""
    family = engines["sd1"]._model("sd1", "").family
    recipe, latent = small("sd1", prompt="a (red:1.3) house"), Stream(1, "NV", SHAPE).normal()
    with torch.inference_mode():
        tokens = torch.cat([family.reader.read(text, 1).tokens for text in ("fog", "a (red:1.3) house")])
        scaled = (latent / (0.7**2 + 1) ** 0.5).repeat(2, 1, 1, 1)
        time = torch.tensor(family.levels.timestep(0.7), dtype=torch.float32)
        negative, positive = family.pipe.unet(scaled, time, encoder_hidden_states=tokens)[0].chunk(2)
        expected = latent - (negative + 3.0 * (positive - negative)) * 0.7
        assert torch.equal(family.denoiser(recipe)(latent, 0.7), expected)


def test_guidance_of_two_rows_keeps_every_bit():
    rows = Stream(5, "NV", (2, 4, 8, 8)).normal()
    assert torch.equal(_guided(rows, 7.3, (1.0,)), rows[:1] + 7.3 * (rows[1:] - rows[:1]))
    assert _guided(rows[:1], 7.3, (1.0,)) is not None


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_emphasis_modes_are_pictures_of_their_own(engines, pixels, family):
    weighs = family in ("sd1", "sd2", "sdxl")
    text = "a (red:1.6) house"
    made = {
        mode: pixels(engines[family], small(family, prompt=text, emphasis=mode))
        for mode in ("Original", "No norm", "Ignore", "None")
    }
    assert np.array_equal(made["Original"], made["Ignore"]) is not weighs
    assert np.array_equal(made["Original"], made["No norm"]) is not weighs
    assert not np.array_equal(made["Ignore"], made["None"])


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(
    ("prompt", "rule"),
    [("a <lora:water colour:0.8> house", "without LoRAs that are not here"),
     ("a [<lora:x>:b:0.5]", "without LoRAs that are not here"),
     ("<smile:3>", "without extra networks that are no LoRA, such as <smile:3>")],
)  # fmt: skip
def test_extra_networks_are_refused_and_named(engines, family, prompt, rule):
    with pytest.raises(BadValue, match=f"Prompt must be {rule}") as raised:
        list(engines[family].generate(small(family, prompt=prompt)))
    assert raised.value.field == "prompt"


def test_an_escaped_extra_network_is_text():
    assert said(small("sd1", prompt=r"a \<lora:x:1>"), 1) == [r"a \<lora:x:1>"]


def test_and_has_a_bound():
    with pytest.raises(BadValue, match="at most 32 parts joined by AND"):
        script.read(small("sd1", prompt="a AND " * 40))


def test_a_model_without_negative_prompt_cannot_join():
    with pytest.raises(BadValue, match="without AND for this model"):
        script.read(small("flux", prompt="a AND b"), guided=False)
    assert script.read(small("flux"), guided=False).negative is None


def left_out(recipe: Recipe, sigmas: list[float]) -> list[bool]:
    read = script.read(recipe)
    return [len(read.at(step, sigma)) == 1 for step, sigma in enumerate(sigmas)]


FALLING = [14.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "--------"),
        ({"ngms": 3.0}, "---x-x-x"),  # odd calls below that sigma, counted from 0
        ({"ngms": 3.0, "ngms_all": "On"}, "---xxxxx"),
        ({"ngms": 2.0, "ngms_all": "On"}, "----xxxx"),
        ({"ngms_all": "On"}, "--------"),
        ({"skip_early_cfg": 0.25}, "xxx-----"),  # call 2 of 8 is at a quarter
        ({"skip_early_cfg": 0.01}, "x-------"),
        ({"skip_early_cfg": 1.0}, "xxxxxxxx"),
        ({"skip_early_cfg": 0.01, "ngms": 0.3}, "x------x"),
        ({"skip_early_cfg": 0.25, "sampler": "Heun", "steps": 4}, "xxx-----"),
    ],
)
def test_when_the_negative_prompt_is_left_out(values, expected):
    found = left_out(small("sd1", **{"steps": 8, **values}), FALLING)
    assert "".join("x" if out else "-" for out in found) == expected


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_call_without_the_negative_prompt_is_the_positive_alone(estimates, family):
    """At sigma 0.7: every call below 0.8, and none below 0.6; at the calls between, guided as ever."""
    guided, alone = estimates(small(family))[0], estimates(small(family, cfg_scale=1.0))[0]
    cases = (
        ({"ngms": 0.8}, [False, True, False]),
        ({"ngms": 0.6}, [False] * 3),
        ({"ngms": 0.8, "ngms_all": "On"}, [True] * 3),
        ({"skip_early_cfg": 0.3}, [True, True, False]),
    )
    for values, plain in cases:
        found = estimates(small(family, **values), 3)
        wanted = [alone if skip else guided for skip in plain]
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True)), values


@pytest.mark.parametrize("family", ["sd1", "sdxl", "flux"])
def test_and_without_the_negative_prompt_weighs_against_its_first_part(estimates, family):
    joined = estimates(small(family, prompt="a red house :1.2 AND a lake :-0.5", ngms=1.0, ngms_all="On"))[0]
    first, second = (estimates(small(family, prompt=text, cfg_scale=1.0))[0] for text in ("a red house", "a lake"))
    assert torch.allclose(joined, first - 0.5 * (second - first), atol=2e-4)


def test_comfyui_knows_neither_steps_nor_and():
    recipe = small("sd1", prompt="[a:b:0.5] AND [c|d]", negative_prompt="[e|f]", profile="ComfyUI")
    assert script.read(recipe).at(1) == script.read(recipe).at(4) == ("[e|f]", "[a:b:0.5] AND [c|d]")


def test_sdxl_reads_zeros_only_where_the_negative_prompt_is_empty_at_every_step(engines):
    family = engines["sdxl"]._model("sdxl", "").family
    for text, profile, anything in (
        ("[fog::0]", "A1111", False), ("[fog:1]", "A1111", True), ("", "A1111", False), ("", "ComfyUI", True),
    ):  # fmt: skip
        recipe = small("sdxl", negative_prompt=text, profile=profile)
        read = script.read(recipe)
        ((negative, _),) = family._groups(recipe, read, read.at(1))
        assert bool(negative.tokens.any()) is anything


def test_many_variants_hold_only_the_present_one(engines, pixels):
    recipe = small("sd1", prompt="[" + "|".join(f"number {n}" for n in range(40)) + "]", steps=40, sampler="Euler a")
    assert pixels(engines["sd1"], recipe).std() > 0
    assert len(engines["sd1"]._model("sd1", "").family.reader._cache) <= 16
