"""Adopting an exported model: nothing of it is lost on the way back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.demo.conftest import CPU, PLAN, same
from webui.demo.adopt import adopt, read_linear, size_of
from webui.demo.autoencoder import LinearEncoder, Pictures, build
from webui.demo.denoiser import make_unet, train_denoiser
from webui.demo.export import export
from webui.demo.ranks import Ranks
from webui.demo.runs import load_state


@pytest.fixture(scope="module")
def model(trained_work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("adopt") / "model"
    export(trained_work, target)
    return target


def test_the_linear_encoder_is_read_back_exactly(trained_work: Path):
    linear = LinearEncoder.load(trained_work / "linear.npz")
    again = read_linear(build(linear))
    assert np.array_equal(again.mean, linear.mean) and np.array_equal(again.gains, linear.gains)
    assert all(np.array_equal(a, b) for a, b in zip(again.bases, linear.bases, strict=True))


def test_what_is_adopted_and_exported_is_what_went_in(model: Path, tmp_path: Path):
    adopt(model, tmp_path / "run")
    export(tmp_path / "run", tmp_path / "again")
    for path in model.rglob("*.safetensors"):
        assert same(load_file(path), load_file(tmp_path / "again" / path.relative_to(model))), path.name


def test_training_goes_on_from_an_adopted_model(model: Path, tmp_path: Path, pictures: Pictures):
    adopt(model, tmp_path)
    before = load_state(tmp_path / "denoiser.pt")
    train_denoiser(tmp_path, replace(PLAN, steps=1), CPU, Ranks())
    after = load_state(tmp_path / "denoiser.pt")
    assert before and after and after["step"] == 1 and not same(before["unet"], after["unet"])
    latents = LinearEncoder.load(tmp_path / "linear.npz").encode(pictures.held)
    assert latents.shape == (4, 32, 16, 16) and bool(torch.isfinite(torch.from_numpy(latents)).all())


def test_a_unet_of_no_known_size_is_refused():
    assert size_of(make_unet("tiny", 32, 128, 0)) == "tiny"
    other = make_unet("tiny", 32, 128, 0)
    other.register_to_config(block_out_channels=(8, 8))
    with pytest.raises(ValueError, match="none of the sizes"):
        size_of(other)
