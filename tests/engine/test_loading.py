"""Loading: single files equal folders bit for bit, without the hub; damaged and unsafe files are sentences."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers import UNet2DConditionModel as UNet
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.engine import ldm
from webui.engine import loading
from webui.engine.checkpoints import Catalog, Checkpoint
from webui.engine.chunking import chunks
from webui.engine.diffusion import DiffusionEngine
from webui.engine.noise import Stream
from webui.errors import CheckpointError
from webui.recipe import Recipe


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_single_file_equals_its_folder(tmp_path, family):
    """The same weights, written as one LDM or SGM file, give the same bits as the diffusers folder."""
    configs = ldm.small_configs(family, tmp_path / "configs")
    pipe = ldm.pipeline(family, configs)
    pipe.save_pretrained(tmp_path / "folder")
    ldm.write(pipe, tmp_path / "file.safetensors")
    folder = Checkpoint("folder", tmp_path / "folder", "folder", family, 512, 512)
    file = Checkpoint("file", tmp_path / "file.safetensors", "file", family, 512, 512)
    with loading.quiet():
        pipes = [loading._from_folder(folder, torch.float32), loading._from_file(file, torch.float32, configs)]
    recipe = Recipe.of(prompt="a (red:1.2) house, 日本", negative_prompt="fog", seed=1, width=64, height=64)
    latent = Stream(1, "NV", (1, 4, 8, 8)).normal()
    results = []
    for loaded in pipes:
        for module in loaded.components.values():
            if isinstance(module, torch.nn.Module):
                loading._settle(module, "cpu", torch.float32)
        with torch.inference_mode():
            denoised = loading.families.build(loaded, family).denoiser(recipe)(latent * 3, 3.0)
        results.append((denoised, loading.decode(loaded.vae, latent)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert results[0][0].std() > 0


def test_marks_in_a_file_set_the_prediction(tmp_path):
    configs = ldm.small_configs("sd1", tmp_path / "configs")
    ldm.write(ldm.pipeline("sd1", configs), tmp_path / "a.safetensors")
    weights = load_file(tmp_path / "a.safetensors")
    save_file({**weights, "v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}, tmp_path / "b.safetensors")
    with loading.quiet():
        a, b = (
            loading._from_file(
                Checkpoint(name, tmp_path / f"{name}.safetensors", "file", "sd1", 512, 512), torch.float32, configs
            )
            for name in "ab"
        )
    assert a.scheduler.config.prediction_type == "epsilon"
    assert (b.scheduler.config.prediction_type, b.scheduler.config.rescale_betas_zero_snr) == ("v_prediction", True)


@pytest.mark.parametrize(
    ("family", "part", "millions"),
    [
        ("sd1", "unet", 859.520964), ("sd1", "vae", 83.653863), ("sd1", "text_encoder", 123.06048),
        ("sd2", "unet", 865.910724), ("sd2", "text_encoder", 340.38784),
        ("sdxl", "unet", 2567.463684), ("sdxl", "text_encoder_2", 694.65984),
    ],
)  # fmt: skip
def test_shipped_configurations_have_the_sizes_of_the_published_models(family, part, millions):
    config = json.loads((loading.CONFIGS / family / part / "config.json").read_text())
    with torch.device("meta"):
        if part == "unet":
            network = UNet.from_config(config)
        elif part == "vae":
            network = AutoencoderKL.from_config(config)
        else:
            kind = CLIPTextModelWithProjection if part == "text_encoder_2" else CLIPTextModel
            network = kind(CLIPTextConfig(**config))
    assert sum(weight.numel() for weight in network.parameters()) == round(millions * 1e6)


def test_clip_tokenizer_gives_the_published_ids():
    tokenizer = loading.clip_tokenizer()
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (49406, 49407, 49407)
    assert loading.clip_tokenizer(pad="!").pad_token_id == 0
    assert len(tokenizer) == 49408
    (chunk,) = chunks(tokenizer, "a photo, of (a cat:1.2)")
    assert chunk.tokens == (320, 1125, 267, 539, 320, 2368)


def broken_copy(models: Path, target: Path, part: str, content: bytes | None) -> DiffusionEngine:
    shutil.copytree(models / "sd1", target / "bad")
    file = target / "bad" / part
    file.unlink() if content is None else file.write_bytes(content)
    return DiffusionEngine(Catalog(target), "cpu")


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("unet/diffusion_pytorch_model.safetensors", b"\x10\0\0\0\0\0\0\0not a header...."),
        ("unet/diffusion_pytorch_model.safetensors", None),
        ("unet/config.json", b"{"),
        ("scheduler/scheduler_config.json", None),
        ("text_encoder/model.safetensors", b""),
    ],
)
def test_damaged_folders_are_sentences(models, tmp_path, part, content):
    engine = broken_copy(models, tmp_path, part, content)
    with pytest.raises(CheckpointError, match="The model bad could not be loaded"):
        list(engine.generate(Recipe.of(seed=1, model="bad", width=64, height=64, steps=1)))


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("text_encoder/model", "encoder.layers.0.mlp.fc2.weight"),
        ("unet/diffusion_pytorch_model", "conv_out.weight"),
        ("vae/diffusion_pytorch_model", "decoder.conv_out.bias"),
    ],
)
def test_missing_weights_are_never_drawn_at_random(models, tmp_path, part, key):
    weights = load_file(models / "sd1" / f"{part}.safetensors")
    kept = {name: value for name, value in weights.items() if not name.endswith(key)}
    assert len(kept) == len(weights) - 1
    shutil.copytree(models / "sd1", tmp_path / "bad")
    save_file(kept, tmp_path / "bad" / f"{part}.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="damaged"):
        DiffusionEngine(Catalog(tmp_path), "cpu").warm("bad")


def test_a_folder_with_pickles_only_is_refused(models, tmp_path):
    engine = broken_copy(models, tmp_path, "unet/diffusion_pytorch_model.safetensors", None)
    torch.save({}, tmp_path / "bad" / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="could not be loaded"):
        engine.warm("bad")


def test_a_model_for_inpainting_is_refused(models, tmp_path):
    config = json.loads((models / "sd1" / "unet" / "config.json").read_text())
    shutil.copytree(models / "sd1", tmp_path / "paint")
    UNet.from_config({**config, "in_channels": 9}).save_pretrained(tmp_path / "paint" / "unet")
    with pytest.raises(CheckpointError, match=r"reads 9 channels.*not for text-to-image"):
        DiffusionEngine(Catalog(tmp_path), "cpu").warm("paint")


def test_a_replaced_file_is_noticed(models, tmp_path):
    shutil.copytree(models / "sd1", tmp_path / "m")
    engine = DiffusionEngine(Catalog(tmp_path), "cpu")
    first = engine._model("m", "")
    assert engine._model("m", "") is first
    shutil.rmtree(tmp_path / "m")
    shutil.copytree(models / "sd2", tmp_path / "m")
    assert engine._model("m", "").digest != first.digest
