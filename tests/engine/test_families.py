"""Every family makes pictures through one adapter, equal to what the stock pipeline of diffusers makes."""

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from tests.engine import tiny
from webui.engine import families, loading, script
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.engine.noise import Stream
from webui.errors import BadRecipe
from webui.recipe import Recipe


def small(family: str, **changes: object) -> Recipe:
    return Recipe.of(
        **{"prompt": "a red house", "negative_prompt": "fog", "seed": 3, "steps": 3, "width": 64, "height": 64,
           "model": family, "sampler": "Euler", "cfg_scale": 3.0, **changes}
    )  # fmt: skip


def groups(family, recipe: Recipe):
    read = script.read(recipe)
    return family._groups(recipe, read, read.at(1))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_repeats_and_seeds_differ(engines, pixels, family):
    first = pixels(engines[family], small(family))
    assert np.array_equal(first, pixels(engines[family], small(family)))
    assert not np.array_equal(first, pixels(engines[family], small(family, seed=4)))


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("sampler", ["Euler a", "Heun", "DPM++ 2M", "DPM++ 2S a", "DDIM"])
def test_every_sampler_makes_a_picture(engines, pixels, family, sampler):
    assert pixels(engines[family], small(family, sampler=sampler)).std() > 0


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("change", [{"cfg_scale": 1.0}, {"negative_prompt": "snow"}, {"prompt": "a blue house"}])
def test_guidance_changes_the_picture(engines, pixels, family, change):
    assert not np.array_equal(pixels(engines[family], small(family)), pixels(engines[family], small(family, **change)))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_at_cfg_scale_1_the_negative_prompt_is_not_read(engines, pixels, family):
    first = pixels(engines[family], small(family, cfg_scale=1.0))
    assert np.array_equal(first, pixels(engines[family], small(family, cfg_scale=1.0, negative_prompt="snow")))


def stock(models, family: str, guidance: float) -> np.ndarray:
    """Make the picture with the stock pipeline, from the same noise."""
    absent = {"text_encoder_3": None, "tokenizer_3": None} if family == "sd3" else {}
    pipe = DiffusionPipeline.from_pretrained(models / family, local_files_only=True, **absent)
    pipe.set_progress_bar_config(disable=True)
    noise = Stream(3, "NV", (1, 4, 8, 8)).normal()
    options = {"guidance_scale": guidance}
    if family == "flux":
        noise = pipe._pack_latents(noise, 1, 4, 8, 8)
        options = {"true_cfg_scale": guidance}
    if family == "sd1":
        # The stock start is noise · sqrt(sigma² + 1) for this spacing only by config; ours is k-diffusion's.
        sigma = pipe.scheduler.sigmas.max()
        assert pipe.scheduler.init_noise_sigma == sigma
    picture = pipe(
        "a red house", negative_prompt="fog", latents=noise, num_inference_steps=3, height=64, width=64,
        output_type="np", **options,
    ).images[0]  # fmt: skip
    return (picture * 255).round().astype(np.uint8)


@pytest.mark.parametrize("family", ["sd1", "sd3", "flux"])
def test_equals_the_stock_pipeline(engines, models, pixels, family):
    """Euler, in the model's own spacing (linspace for SD 1), at the same noise: every value within 1 of 255."""
    ours = pixels(engines[family], small(family)).astype(int)
    assert np.abs(ours - stock(models, family, 3.0)).max() <= 1


def test_sdxl_embeddings_equal_the_stock_pipeline(engines, models):
    pipe = DiffusionPipeline.from_pretrained(models / "sdxl", local_files_only=True, add_watermarker=False)
    tokens, _, pooled, _ = pipe.encode_prompt("a red house", do_classifier_free_guidance=False)
    ours = engines["sdxl"]._model("sdxl", "").family.reader.read("a red house", 1)
    assert torch.allclose(ours.tokens, tokens, atol=1e-6)
    assert torch.allclose(ours.pooled, pooled, atol=1e-6)


def test_sdxl_reads_an_empty_negative_prompt_as_zeros(engines):
    family = engines["sdxl"]._model("sdxl", "").family
    for text, anything in ((" ", False), ("fog", True)):
        ((negative, positive),) = groups(family, small("sdxl", negative_prompt=text))
        assert bool(negative.tokens.any()) is bool(negative.pooled.any()) is anything
        assert positive.tokens.any()


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_very_long_prompts_go_one_by_one_and_say_the_same(engines, monkeypatch, family):
    """Above a common length prompts are not repeated but called apart; the estimate is the same but for rounding."""
    adapter = engines[family]._model(family, "").family
    recipe = small(family, prompt="lake " * 160, negative_prompt="fog " * 80)
    latent = Stream(1, "NV", (1, 4, 8, 8)).normal()
    assert [len(group) for group in groups(adapter, recipe)] == [2]
    with torch.inference_mode():
        together = adapter.denoiser(recipe)(latent, 2.0)
        monkeypatch.setattr(families, "LONGEST", 77)
        assert [len(group) for group in groups(adapter, recipe)] == [1, 1]
        apart = adapter.denoiser(recipe)(latent, 2.0)
    assert torch.allclose(together, apart, atol=1e-5)


def test_the_longest_prompts_fit(engines, pixels):
    recipe = small("sd1", prompt="a " * 5000, negative_prompt="a " * 4950 + "BREAK fog", steps=1)
    assert pixels(engines["sd1"], recipe).std() > 0


def test_flux_wants_multiples_of_16(engines):
    with pytest.raises(BadRecipe, match=r"Width must be a multiple of 16 for this model; got 72\. Nearest: 64 or 80"):
        list(engines["flux"].generate(small("flux", width=72)))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_half_precision(models, engines, pixels, family):
    """Every family runs in the half precision that it has on an accelerator, near to what it makes in float32."""
    dtype = loading.choose_dtype(None, "cuda", family)
    assert dtype == (torch.bfloat16 if family in ("sd3", "flux") else torch.float16)
    engine = DiffusionEngine(Catalog(models), "cpu", str(dtype).removeprefix("torch."))
    half = pixels(engine, small(family)).astype(int)
    difference = np.abs(half - pixels(engines[family], small(family))).mean()
    assert difference < 6


def test_sizes_with_odd_numbers_of_cells(engines, pixels):
    assert pixels(engines["sd1"], small("sd1", width=72, height=104)).shape == (104, 72, 3)


def test_weights_lie_in_memory_of_their_own(engines):
    """Alignment of mapped memory changes the last bits of a convolution: see docs/decisions."""
    unet = engines["sd1"]._model("sd1", "").family.pipe.unet
    plain = [weight for weight in unet.parameters() if not weight.is_mkldnn]  # packed ones were written anew
    assert plain
    assert all(weight.data_ptr() % 64 == 0 for weight in plain)


def test_decode_uses_mean_and_spread_where_a_model_has_them(engines):
    vae = engines["sdxl"]._model("sdxl", "").family.pipe.vae
    latent = Stream(0, "NV", (1, 4, 8, 8)).normal()
    plain = loading.decode(vae, latent)
    vae.register_to_config(latents_mean=[0.5] * 4, latents_std=[2.0] * 4)
    shifted = loading.decode(vae, (latent / vae.config.scaling_factor - 0.5) / 2.0 * vae.config.scaling_factor)
    vae.register_to_config(latents_mean=None, latents_std=None)
    assert torch.allclose(plain, shifted, atol=1e-5)


@pytest.mark.parametrize(("profile", "told"), [("A1111", False), ("Forge", True), ("ComfyUI", True)])
def test_the_profile_chooses_the_timestep(engines, profile, told):
    """A1111 tells the network a fractional timestep, Forge and ComfyUI the nearest whole one."""
    family = engines["sd1"]._model("sd1", "").family
    recipe, latent = small("sd1", profile=profile, cfg_scale=1.0), Stream(1, "NV", (1, 4, 8, 8)).normal()
    time = family.levels.timestep(0.7, nearest=told)
    assert time.is_integer() is told
    with torch.inference_mode():
        tokens = family.reader.read("a red house", 1).tokens
        noise = family.pipe.unet(latent / (0.7**2 + 1) ** 0.5, torch.tensor(time), encoder_hidden_states=tokens)[0]
        assert torch.equal(family.denoiser(recipe)(latent, 0.7), latent - noise * 0.7)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_samplers_that_discard_a_sigma_have_their_steps(engines, family):
    adapter = engines[family]._model(family, "").family
    for sampler in ("Euler", "DPM2", "DPM++ 3M SDE"):
        sigmas = adapter.sigmas(small(family, sampler=sampler, schedule="Karras", steps=5))
        assert len(sigmas) == 6 and sigmas[-1] == 0
    assert adapter.sigmas(small(family, sampler="DPM2", schedule="Karras", steps=5))[4] > sigmas[5]
