"""Drafts: a picture that was stopped, written to a file and finished has the pixels it would have had, to the bit.

The default suite goes through every sampler; finishing from each single call, and in another process, is slow.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from webui import png, samplers
from webui.drafts import Drafts
from webui.engine import Engine, draft, sampling
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.engine.draft import Draft
from webui.engine.noise import Stream
from webui.errors import BadValue, DraftError
from webui.recipe import Recipe

ADAPTIVE = "DPM adaptive"
OTHERS = [name for name in samplers.sampler_names() if name != ADAPTIVE]

Draw = Callable[..., Draft]


@pytest.fixture
def kept(tmp_path) -> Drafts:
    return Drafts(tmp_path / "drafts")


@pytest.fixture
def drawn(kept) -> Draw:
    """Draw a draft, or draw one further, and return it as it comes back from its file."""

    def draw(engine: Engine, recipe: Recipe, stop: int, begun: Draft | None = None) -> Draft:
        *_, last = engine.generate(recipe, begun, stop)
        assert last.image is None
        found = kept.load(kept.save(last.draft))
        assert found is not None
        assert found.answers.dtype == np.float32
        return found

    return draw


def finished(engine: Engine, recipe: Recipe, begun: Draft | None = None) -> str:
    *_, last = engine.generate(recipe, begun)
    return png.pixels_sha256(last.image)


def through(engine: Engine, recipe: Recipe, drawn: Draw, stops: Iterable[int]) -> str:
    """Stop at each of ``stops`` in turn, then finish."""
    begun = None
    for stop in stops:
        last, begun = begun, drawn(engine, recipe, stop, begun)
        if last is not None and last.calls == begun.calls:
            break  # the sampler has ended
    return finished(engine, recipe, begun)


# Every sampler, and all that has a part in a picture's noise or prompts


@pytest.mark.parametrize("sampler", OTHERS)
def test_stopped_at_every_call(engine, recipe, drawn, sampler):
    """Words change at the third call, seeds are mixed at every step, and the stream begins anew after the start."""
    wanted = recipe.but(
        sampler=sampler, steps=3, prompt="a [lake|hill] at sunset", ensd=31337,
        variation_seed=9, variation_strength=0.3, variation_noise="every step",
    )  # fmt: skip
    assert through(engine, wanted, drawn, count(1)) == finished(engine, wanted)


def test_a_sampler_that_chooses_its_own_steps(engines, recipe, drawn):
    wanted = recipe.but(sampler=ADAPTIVE, model="sd1", cfg_scale=1.0, ensd=31337)
    assert through(engines["sd1"], wanted, drawn, [20]) == finished(engines["sd1"], wanted)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a [lake:mountain:1] at sunset", "steps": 3},
        {"negative_prompt": "[fog|rain]", "sampler": "Heun"},
        {"prompt": "a lake AND sunset :0.5 AND ducks"},
        {"variation_seed": 5, "variation_strength": 0.2, "variations": "12:0.3"},
        {"rng": "CPU", "sampler": "DPM++ SDE"},
        {"noise_layout": "centred", "sampler": "Euler a"},
        {"resize_width": 128, "resize_height": 96, "sampler": "DPM2 a"},
        {"cfg_scale": 1.0},
        {"profile": "ComfyUI", "schedule": "Beta"},
    ],
    ids=str,
)
def test_each_part_of_a_recipe(engine, recipe, drawn, changes):
    wanted = recipe.but(**{"steps": 2, **changes})
    assert through(engine, wanted, drawn, [wanted.steps - 1]) == finished(engine, wanted)


@pytest.mark.parametrize(
    ("family", "sampler"),
    [("sd2", "DPM++ 2M"), ("sdxl", "Euler a"), ("sd3", "Heun"), ("sd3", "DPM++ 2M SDE"), ("flux", "UniPC")],
)
def test_each_family(engines, recipe, drawn, family, sampler):
    wanted = recipe.but(model=family, sampler=sampler, prompt="a [red|blue] house [with:without:3] trees")
    assert through(engines[family], wanted, drawn, (1, 3)) == finished(engines[family], wanted)


@given(st.sampled_from(OTHERS), st.integers(1, 5), st.sets(st.integers(1, 10), max_size=3))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_it_is_stopped(engines, drawn, sampler, steps, stops):
    wanted = Recipe.of(
        prompt="a [red|blue] house", seed=2**40, steps=steps, sampler=sampler, width=64, height=64, model="sd1"
    )
    assert through(engines["sd1"], wanted, drawn, sorted(stops)) == finished(engines["sd1"], wanted)


def test_the_documented_way_and_another_engine(engine, tmp_path, monkeypatch):
    """The page's own lines make a draft and its picture; this engine finishes the draft as well."""
    page = (Path(__file__).parents[2] / "docs" / "drafts.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0].replace("=256", "=64").replace("steps=12", "steps=4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    with Image.open("draft.png") as preview, Image.open("picture.png") as picture:
        assert (preview.size, picture.size) == ((4, 4), (64, 64))
        made = png.pixels_sha256(picture)
    wanted, begun = names["recipe"], names["kept"].load(names["key"])
    assert begun.calls == 2
    assert made == finished(engine, wanted, begun) == finished(engine, wanted)


def test_half_precision(models, recipe, drawn):
    engine = DiffusionEngine(Catalog(models), "cpu", "bfloat16")
    wanted = recipe.but(model="sd1", sampler="DPM++ 3M SDE", steps=3)
    begun = drawn(engine, wanted, 2)
    assert begun.fingerprint.dtype == "bfloat16"
    assert finished(engine, wanted, begun) == finished(engine, wanted)


def test_drafts_of_a_batch_do_not_disturb_each_other(engines, recipe, drawn):
    batch = [recipe.but(seed=seed, sampler="Euler a", model="sd1") for seed in (1, 2, 3)]
    sheet = [drawn(engines["sd1"], one, 2) for one in batch]
    found = [finished(engines["sd1"], one, begun) for one, begun in reversed(list(zip(batch, sheet, strict=True)))]
    assert found[::-1] == [finished(engines["sd1"], one) for one in batch]
    assert len(set(found)) == 3


# What it costs, and what it shows


@pytest.mark.parametrize(("stop", "left"), [(1, 4), (3, 2), (5, 0), (99, 0)])
def test_only_the_calls_that_are_left_are_made(engines, recipe, drawn, stop, left):
    wanted = recipe.but(model="sd1", steps=3, sampler="Heun")
    begun = drawn(engines["sd1"], wanted, stop)
    assert begun.calls == 5 - left
    assert begun.answers.shape == (5 - left, 4, 8, 8)
    made = []
    hook = engines["sd1"]._model("sd1", "").family.pipe.unet.register_forward_hook(lambda *_: made.append(1))
    *steps, last = engines["sd1"].generate(wanted, begun)
    hook.remove()
    assert len(made) == left
    assert [step.index for step in steps] == list(range(5 - left, 6))
    assert {step.total for step in steps} == {last.total} == {5}
    assert last.fingerprint == begun.fingerprint


def test_a_draft_is_shown_without_the_autoencoder(engines, recipe):
    calls = []
    vae = engines["sd1"]._model("sd1", "").family.pipe.vae
    hook = vae.decoder.register_forward_hook(lambda *_: calls.append(1))
    wanted = recipe.but(model="sd1")
    *_, last = engines["sd1"].generate(wanted, stop=2)
    hook.remove()
    assert calls == []
    shown = [step.preview for step in engines["sd1"].generate(wanted)][2]
    assert last.preview == last.draft.preview == shown


def test_a_draft_that_is_long_enough_is_given_back(engines, recipe, drawn):
    wanted = recipe.but(model="sd1")
    begun = drawn(engines["sd1"], wanted, 3)
    again = drawn(engines["sd1"], wanted, 2, begun)
    assert again.key == begun.key
    assert np.array_equal(again.answers, begun.answers)


def test_an_answer_is_sent_as_it_would_come_back_from_a_file(engines):
    """Strides choose kernels, and those the last bits."""
    sent = []

    def run():
        sent.append((yield x, 2.0))
        sent.append((yield x, 1.0))
        return x

    model, x = engines["sd1"]._model("sd1", ""), Stream(1, "NV", (1, 4, 8, 6)).normal()
    started = run()
    next(started)
    denoised, _, sigma = model.advance(started, lambda x, _: x.mT, x, 2.0)
    assert sigma == 1.0
    assert model.replay(started, denoised[0].numpy()) == (x, 0.0)
    assert torch.equal(*sent)
    assert sent[0].stride() == sent[1].stride() == (192, 48, 8, 1)


@pytest.mark.parametrize(
    ("values", "share", "calls"),
    [
        ({"steps": 12}, draft.SHARE, 6),
        ({"steps": 35}, draft.SHARE, 18),
        ({"steps": 12, "sampler": "Heun"}, draft.SHARE, 12),
        ({"steps": 1}, draft.SHARE, 1),
        ({"steps": 20}, 0.25, 5),
        ({"steps": 5, "sampler": ADAPTIVE}, 0.5, sampling.ADAPTIVE_CALLS // 2),
    ],
)
def test_a_share_of_a_picture_in_calls(values, share, calls):
    assert draft.calls(Recipe.of(seed=0, **values), share) == calls


# What is refused


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 8}, "it has Seed 7."),
        ({"steps": 5, "sampler": "Euler"}, "it has Steps 4, Sampler 'DPM\\+\\+ 2M'."),
        ({"prompt": "a hill"}, "it has Prompt 'a lake at sunset'."),
        ({"ensd": 1}, "it has ENSD 0."),
    ],
)
def test_another_pictures_draft_is_refused(engine, recipe, changes, named):
    *_, last = engine.generate(recipe, stop=1)
    other = recipe.but(**changes)
    with pytest.raises(DraftError, match=rf"The draft is of another picture: {named} Make a draft of this one\."):
        list(engine.generate(other, last.draft))
    assert finished(engine, recipe, last.draft) == finished(engine, recipe), "the engine goes on"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("product", "0.0.9", "Reseed 0.0.9, here is "),
        ("torch", "1.13.1", "torch 1.13.1, here is "),
        ("diffusers", "0.1", "diffusers 0.1, here is "),
        ("model_hash", "0" * 64, "model hash 0{64}, here is "),
        ("device", "cuda", "device cuda, here is cpu"),
        ("dtype", "float16", "number type float16, here is float32"),
    ],
)
def test_a_draft_of_another_making_is_refused(engine, recipe, field, value, named):
    *_, last = engine.generate(recipe, stop=1)
    foreign = replace(last.draft, fingerprint=replace(last.draft.fingerprint, **{field: value}))
    with pytest.raises(DraftError, match=rf"was made with {named}.*finished here it would be another picture"):
        list(engine.generate(recipe, foreign))


def test_a_recipe_may_name_the_models_hash_later(engine, recipe):
    *_, last = engine.generate(recipe, stop=2)
    pinned = recipe.but(model_hash=last.draft.fingerprint.model_hash[:10])
    assert finished(engine, pinned, last.draft) == finished(engine, recipe)
    *_, again = engine.generate(pinned, stop=2)
    assert again.draft.key == last.draft.key


@pytest.mark.parametrize("stop", [0, -1])
def test_a_draft_has_at_least_one_call(engine, recipe, stop):
    with pytest.raises(BadValue, match=f"Draft after must be at least 1 model call; got {stop}"):
        list(engine.generate(recipe, stop=stop))


# The whole matrix


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sampler", samplers.sampler_names())
def test_finished_from_each_call(engine, recipe, drawn, sampler):
    wanted = recipe.but(sampler=sampler, steps=5, prompt="a [lake|hill] [at sunset::3] AND fog :0.2")
    expected = finished(engine, wanted)
    *_, last = engine.generate(wanted)
    positions = range(1, last.total + 1, 20 if sampler == ADAPTIVE else 1)
    assert [finished(engine, wanted, drawn(engine, wanted, stop)) for stop in positions] == [expected] * len(positions)


@pytest.mark.slow
def test_another_process_finishes_it(engine, recipe, drawn, kept):
    wanted = recipe.but(sampler="DPM++ SDE", prompt="a [lake|hill]")
    key = drawn(engine, wanted, 4).key
    code = f"""
from pathlib import Path
from webui import png
from webui.drafts import Drafts
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
draft = Drafts(Path({str(kept.folder)!r})).load({key!r})
*_, last = DiffusionEngine(Catalog(), device="cpu").generate(draft.recipe, draft)
print(png.pixels_sha256(last.image))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [finished(engine, wanted)]
