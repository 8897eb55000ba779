"""The export: a folder that stock diffusers loads and paints with, whatever the prompt."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from webui.demo.export import export
from webui.demo.sheets import CONTENTS, PROMPTS, drawn, load_pipeline, noise_of_seed, paint
from webui.demo.train import main
from webui.engine.checkpoints import describe_folder


@pytest.fixture(scope="module")
def model(trained_work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export") / "model"
    export(trained_work, target)
    return target


@pytest.fixture(scope="module")
def pipeline(model: Path) -> StableDiffusionPipeline:
    return load_pipeline(model)


def test_the_folder_is_small_and_in_half_precision(model: Path, trained_work: Path):
    from safetensors import safe_open

    for part in ("unet", "vae", "text_encoder"):
        (path,) = (model / part).glob("*.safetensors")
        with safe_open(path, "pt") as file:
            assert {file.get_tensor(name).dtype for name in file.keys()} <= {torch.float16, torch.int64}  # noqa: SIM118
    figures = export(trained_work, model)
    assert figures["bytes"] < 40e6 and figures["denoiser_step"] == 4
    assert set(figures["sha256"]) >= {"model_index.json", "unet/diffusion_pytorch_model.safetensors"}


def test_the_scheduler_says_what_was_trained(model: Path):
    config = json.loads((model / "scheduler" / "scheduler_config.json").read_text())
    assert config["prediction_type"] == "v_prediction" and config["beta_end"] == 0.02


def test_the_program_knows_what_it_is(model: Path):
    found = describe_folder("reseed", model)
    assert (found.family, found.width, found.height) == ("sd1", 256, 256)
    assert found.about and found.examples and found.defaults["steps"] == 12


@pytest.mark.parametrize("prompt", ["a castle", "", "zxqv 🦆 " * 200])
def test_it_paints_256_pixels_alike_at_each_call(pipeline: StableDiffusionPipeline, prompt: str):
    first, again = (paint(pipeline, [prompt], seed=4, steps=2, cfg_scale=3.0) for _ in range(2))
    assert first.shape == (1, 256, 256, 3)
    assert np.array_equal(first, again)


def test_seeds_and_words_reach_the_picture(pipeline: StableDiffusionPipeline):
    a = paint(pipeline, ["a castle"], 1, 2, 3.0)
    assert not np.array_equal(a, paint(pipeline, ["a castle"], 2, 2, 3.0))
    assert not np.array_equal(a, paint(pipeline, ["a house at night"], 1, 2, 3.0))


def test_the_truth_of_a_noise_can_be_drawn(pipeline: StableDiffusionPipeline):
    noise = noise_of_seed(pipeline, 5)
    pictures = drawn(noise)
    assert pictures.shape == (len(PROMPTS), 256, 256, 3) and len(CONTENTS) == len(PROMPTS)
    assert np.array_equal(pictures, drawn(noise))


def test_a_unet_in_small_files_paints_the_same(pipeline: StableDiffusionPipeline, trained_work: Path, tmp_path: Path):
    export(trained_work, tmp_path / "m", file_size="300KB")
    files = list((tmp_path / "m" / "unet").glob("*.safetensors"))
    assert len(files) > 2 and max(f.stat().st_size for f in files) < 700_000
    again = paint(load_pipeline(tmp_path / "m"), ["a castle"], 1, 2, 3.0)
    assert np.array_equal(again, paint(pipeline, ["a castle"], 1, 2, 3.0))


def test_the_command_line_exports_and_says_so(trained_work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["export", "--work", str(trained_work), "--target", str(tmp_path / "m")])
    assert "MB after 4 steps" in capsys.readouterr().out
    assert (tmp_path / "m" / "model_index.json").exists()
