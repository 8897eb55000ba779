"""LoRA: equal to the same matrices fused by hand, in every spelling of files, and nothing of it stays behind."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine import lora_files
from tests.engine.lora_files import apart, attention, everything, made, plain
from webui.engine import families
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.engine.lora import KEPT, _original
from webui.engine.noise import Stream
from webui.errors import BadValue, DraftError, NetworkError
from webui.recipe import Recipe

NAMES = ("sd1", "sdxl", "sd3", "flux")


def dense(weight: torch.Tensor) -> torch.Tensor:
    return weight.to_dense() if weight.is_mkldnn else weight.clone()


def small(family: str, prompt: str = "a red house", **changes: object) -> Recipe:
    return Recipe.of(
        **{"prompt": prompt, "negative_prompt": "fog", "seed": 3, "steps": 3, "width": 64, "height": 64,
           "model": family, "sampler": "Euler", "cfg_scale": 3.0, **changes}
    )  # fmt: skip


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loras")


@pytest.fixture(scope="module")
def drawn(models: Path, loras: Path) -> dict[str, DiffusionEngine]:
    """Engines that know the folder of LoRAs, with one that fits each model and is called like it."""
    found = {family: DiffusionEngine(Catalog(models, loras=loras), device="cpu") for family in NAMES}
    for family, engine in found.items():
        pipe = plain(engine, family)
        if family in ("sd1", "sdxl"):
            made(pipe, attention(pipe) + attention(pipe, "text_encoder")).diffusers(loras / f"{family}.safetensors")
        else:
            made(pipe, attention(pipe, "transformer")).diffusers(loras / f"{family}.safetensors")
    return found


def estimate(engine: DiffusionEngine, recipe: Recipe) -> torch.Tensor:
    """Ask a recipe's denoiser once, with what it uses."""
    model = engine._model(recipe.model, "")
    known = engine.checkpoints.networks
    worn = [(file, known.digest(file)) for file in known.used(recipe, model.checkpoint)]
    with torch.inference_mode():
        return model.denoiser(recipe, worn)(Stream(1, "NV", (1, 4, 8, 8)).normal(), 0.7)


def fused(engine: DiffusionEngine, recipe: Recipe, lora: lora_files.Made, te: float, unet: float) -> torch.Tensor:
    """Ask a copy of the model with the LoRA fused by hand."""
    copied = lora.fused(plain(engine, recipe.model), te, unet)
    family = families.build(copied, recipe.model)
    with torch.inference_mode():
        return family.denoiser(recipe)(Stream(1, "NV", (1, 4, 8, 8)).normal(), 0.7)


# ---- what it means ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["kohya", "diffusers", "flat", "old"])
def test_sd1_equals_the_weights_fused_by_hand(drawn, loras, spelling):
    engine = drawn["sd1"]
    pipe = plain(engine, "sd1")
    layers = attention(pipe) + attention(pipe, "text_encoder") if spelling == "old" else everything(pipe)
    lora = made(pipe, layers, alphas=spelling != "old")
    path = loras / f"sd1-{spelling}.safetensors"
    {"kohya": lora.kohya, "diffusers": lora.diffusers, "old": lora.old_diffusers,
     "flat": lambda to: lora.diffusers(to, text_model=False)}[spelling](path)  # fmt: skip
    recipe = small("sd1", f"a red house <lora:{path.stem}:0.7:0.4>")
    found, expected = estimate(engine, recipe), fused(engine, recipe, lora, 0.7, 0.4)
    assert apart(found, expected) <= 1e-5
    assert apart(found, estimate(engine, small("sd1"))) > 0.01


@pytest.mark.parametrize("spelling", ["kohya", "diffusers"])
def test_sdxl_equals_the_weights_fused_by_hand(drawn, loras, spelling):
    """Kohya's names are those of the original UNet, which the table in the test spells out."""
    engine = drawn["sdxl"]
    pipe = plain(engine, "sdxl")
    texts = [layer for layer in everything(pipe) if layer[0].startswith("text")]
    lora = made(pipe, [*(("unet", name) for name in lora_files.ORIGINAL), *texts])
    path = loras / f"sdxl-{spelling}.safetensors"
    lora.kohya(path, original=True) if spelling == "kohya" else lora.diffusers(path)
    recipe = small("sdxl", f"a red house <lora:{path.stem}:te=0.5:unet=-0.3>")
    found, expected = estimate(engine, recipe), fused(engine, recipe, lora, 0.5, -0.3)
    assert apart(found, expected) <= 1e-5
    assert apart(found, estimate(engine, small("sdxl"))) > 0.01


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_transformers_equal_the_weights_fused_by_hand(drawn, loras, family):
    engine = drawn[family]
    pipe = plain(engine, family)
    lora = made(pipe, attention(pipe, "transformer") + attention(pipe, "text_encoder"))
    lora.diffusers(loras / f"{family}-both.safetensors")
    recipe = small(family, f"a red house <lora:{family}-both:0.6>")
    found, expected = estimate(engine, recipe), fused(engine, recipe, lora, 0.6, 0.6)
    assert apart(found, expected) <= 1e-5
    assert apart(found, estimate(engine, small(family))) > 0.001


def test_kohyas_names_for_flux_are_translated(drawn, loras):
    engine = drawn["flux"]
    lora = made(plain(engine, "flux"), [("transformer", "transformer_blocks.0.ff.net.0.proj")])
    ((down, up, alpha),) = lora.parts.values()
    full = "lora_unet_double_blocks_0_img_mlp_0"
    tensors = {f"{full}.lora_down.weight": down, f"{full}.lora_up.weight": up, f"{full}.alpha": torch.tensor(alpha)}
    lora_files.written(loras / "flux-kohya.safetensors", tensors)
    recipe = small("flux", "a red house <lora:flux-kohya>")
    assert apart(estimate(engine, recipe), fused(engine, recipe, lora, 1, 1)) <= 1e-5


def test_the_original_names_are_those_that_diffusers_reads():
    """On the real SDXL, another program's table: every layer of attention has the name that diffusers gives it."""
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

    from webui.engine.loading import CONFIGS

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(json.loads((CONFIGS / "sdxl" / "unet" / "config.json").read_text()))
    ours = {old: name for old, name in _original(unet) if ".attn" in name and name.endswith(("to_q", "to_k", "to_v"))}
    assert len(ours) == 3 * 140
    tensors = {f"lora_unet_{old}.lora_{part}.weight": torch.zeros(1) for old in ours for part in ("down", "up")}
    theirs, _ = StableDiffusionXLPipeline.lora_state_dict(tensors, unet_config=unet.config)
    named = {key.removeprefix("unet.").replace(".processor.", ".").partition("_lora.")[0] for key in theirs}
    assert named == set(ours.values())


def test_rank_stabilised_scale(drawn, loras):
    engine = drawn["sd1"]
    lora = made(plain(engine, "sd1"), attention(plain(engine, "sd1"))[:1])
    lora.diffusers(loras / "rs.safetensors", **{"unet.use_rslora": True})
    lora.parts = {place: (down, up, alpha * len(down) ** 0.5) for place, (down, up, alpha) in lora.parts.items()}
    recipe = small("sd1", "a red house <lora:rs>")
    assert apart(estimate(engine, recipe), fused(engine, recipe, lora, 1, 1)) <= 1e-5


def test_weights_of_one_lora_add_up_and_several_go_together(drawn, pixels):
    engine = drawn["sd1"]
    once, twice = (small("sd1", f"a house {tags}") for tags in ("<lora:sd1:0.75>", "<lora:sd1:0.5><lora:sd1:0.25>"))
    assert np.array_equal(pixels(engine, once), pixels(engine, twice))


@pytest.mark.parametrize("family", NAMES)
def test_each_part_has_a_weight_of_its_own(drawn, pixels, family):
    tags = ["", "<lora:{}:1:0>", "<lora:{}:0:1>", "<lora:{}>"] if family in ("sd1", "sdxl") else ["", "<lora:{}>"]
    found = [pixels(drawn[family], small(family, f"a red house {tag.format(family)}")) for tag in tags]
    assert all(not np.array_equal(one, other) for at, one in enumerate(found) for other in found[:at])


# ---- nothing stays behind --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", NAMES)
def test_a_picture_without_it_is_what_it_was_before(models, loras, drawn, pixels, family):
    """Also after one that was stopped in the middle, and after one whose LoRA does not fit; a repeat is equal."""
    fresh = family == "sd1"  # nothing was ever loaded into it; loading all of them anew takes seconds
    engine = DiffusionEngine(Catalog(models, loras=loras), device="cpu") if fresh else drawn[family]
    plain, dressed = small(family), small(family, f"a red house <lora:{family}:0.8>")
    before = pixels(engine, plain)
    first = pixels(engine, dressed)
    assert not np.array_equal(before, first)
    assert np.array_equal(before, pixels(engine, plain))
    assert np.array_equal(first, pixels(engine, dressed))
    steps = engine.generate(dressed)
    next(steps), next(steps)
    steps.close()
    assert np.array_equal(before, pixels(engine, plain))
    lora_files.written(loras / "misfit.safetensors", {"unet.nowhere.lora_A.weight": torch.zeros(1, 1)})
    with pytest.raises(NetworkError):
        list(engine.generate(small(family, f"a red house <lora:{family}:0.8><lora:misfit>")))
    assert np.array_equal(before, pixels(engine, plain))
    assert np.array_equal(first, pixels(engine, dressed))


@pytest.mark.parametrize("tag", ["<lora:sd1:0>", "<lora:sd1:0.5><lora:sd1:-0.5>", "<lora:sd1:te=0:unet=0>"])
def test_weight_0_is_none_at_all(drawn, pixels, tag):
    assert np.array_equal(pixels(drawn["sd1"], small("sd1")), pixels(drawn["sd1"], small("sd1", f"a red house{tag}")))


def test_pictures_in_turns_do_not_disturb_each_other(drawn, pixels):
    """With words that change between the calls, which are read anew while the other picture's LoRA was on."""
    engine = drawn["sd1"]
    recipes = [small("sd1", f"[a|the] red house{tag}") for tag in ("<lora:sd1:0.8>", "", "<lora:sd1:0.3>")]
    alone = [pixels(engine, recipe) for recipe in recipes]
    *_, last = zip(*map(engine.generate, recipes), strict=True)
    for step, expected in zip(last, alone, strict=True):
        assert np.array_equal(np.asarray(step.image), expected)


def test_the_weights_of_the_model_are_never_touched(models, loras, drawn, pixels):
    engine = DiffusionEngine(Catalog(models, loras=loras), device="cpu")
    unet = engine._model("sd1", "").family.pipe.unet
    before = {name: dense(weight) for name, weight in unet.state_dict().items()}
    pixels(engine, small("sd1", "a house <lora:sd1:2>"))
    assert before.keys() == unet.state_dict().keys()
    assert all(torch.equal(before[name], dense(weight)) for name, weight in unet.state_dict().items())
    engine._model("sd1", "").extras.wear(())
    assert not any(module._forward_hooks for module in unet.modules())


def test_few_are_kept_in_memory(drawn, loras, pixels):
    engine = drawn["sd1"]
    pipe = plain(engine, "sd1")
    for number in range(KEPT + 3):
        made(pipe, attention(pipe)[:1], seed=number).kohya(loras / f"many{number}.safetensors")
        pixels(engine, small("sd1", f"a house <lora:many{number}>", steps=1))
    assert len(engine._model("sd1", "").extras.loras._read) == KEPT


def test_another_file_of_the_name_is_another_lora(drawn, loras, pixels):
    engine = drawn["sd1"]
    pipe = plain(engine, "sd1")
    recipe = small("sd1", "a house <lora:changing>")
    made(pipe, attention(pipe), seed=8).kohya(loras / "changing.safetensors")
    first = pixels(engine, recipe)
    made(pipe, attention(pipe), seed=9).kohya(loras / "changing.safetensors")
    assert not np.array_equal(first, pixels(engine, recipe))


def test_a_draft_is_finished_with_the_loras_it_was_begun_with_or_not_at_all(drawn, loras, pixels):
    engine = drawn["sd1"]
    pipe = plain(engine, "sd1")
    recipe = small("sd1", "a [red|blue] house <lora:drafted:0.8>")
    made(pipe, attention(pipe), seed=8).kohya(loras / "drafted.safetensors")
    *_, last = engine.generate(recipe, stop=2)
    pixels(engine, small("sd1"))
    *_, end = engine.generate(recipe, last.draft)
    assert np.array_equal(np.asarray(end.image), pixels(engine, recipe))
    made(pipe, attention(pipe), seed=9).kohya(loras / "drafted.safetensors")
    with pytest.raises(DraftError, match=r"The draft was made with LoRAs drafted: .*, here is drafted: "):
        list(engine.generate(recipe, last.draft))


def test_half_precision_is_near(models, loras, drawn, pixels):
    recipe = small("sd1", "a red house <lora:sd1:0.5>")
    engine = DiffusionEngine(Catalog(models, loras=loras), "cpu", "bfloat16")
    half = pixels(engine, recipe).astype(int)
    assert np.abs(half - pixels(drawn["sd1"], recipe)).mean() < 8


# ---- what is refused -------------------------------------------------------------------------------------


MISFITS = {
    "a layer that is not there": ({"unet.nowhere.lora_A.weight": (2, 4), "unet.nowhere.lora_B.weight": (4, 2)},
                                  "changes a layer that is not in this model, unet:nowhere"),
    "half a layer": ({"unet.conv_in.lora_A.weight": (2, 4, 3, 3)}, "lacks one of two matrices"),
    "another size": ({"unet.conv_in.lora_A.weight": (2, 5, 3, 3), "unet.conv_in.lora_B.weight": (16, 2, 1, 1)},
                     "has matrices of 16 × 2 × 1 × 1 and 2 × 5 × 3 × 3 for the layer unet:conv_in"),
    "a name": ({"lora_of_something": (1,)}, "holds a tensor whose name is not known, lora_of_something"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISFITS)
def test_what_does_not_fit_is_a_sentence(drawn, loras, what):
    shapes, words = MISFITS[what]
    lora_files.written(loras / "wrong.safetensors", {name: torch.zeros(shape) for name, shape in shapes.items()})
    with pytest.raises(NetworkError) as raised:
        list(drawn["sd1"].generate(small("sd1", "a house <lora:wrong>")))
    assert f"wrong.safetensors {words}" in str(raised.value)
    assert "for other models than sd1" in str(raised.value)


def test_one_for_another_family_is_named_with_what_it_is_for(drawn):
    with pytest.raises(
        BadValue, match=r"sdxl\.safetensors is for .*64 numbers.*the model sd1 reads text of 32 numbers"
    ):
        list(drawn["sd1"].generate(small("sd1", "a house <lora:sdxl>")))
    with pytest.raises(BadValue, match=r"flux\.safetensors is for SD3 or Flux"):
        list(drawn["sd1"].generate(small("sd1", "a house <lora:flux>")))
    with pytest.raises(BadValue, match=r"the model sd3 is of the SD3 kind"):
        list(drawn["sd3"].generate(small("sd3", "a house <lora:sd1>")))


def test_a_missing_one_is_named_with_those_that_are_here(drawn):
    with pytest.raises(NetworkError, match=r"There is no LoRA 'sdl'\. Here are: .*Did you mean .*sdxl"):
        list(drawn["sd1"].generate(small("sd1", "a house <lora:sdl>")))
