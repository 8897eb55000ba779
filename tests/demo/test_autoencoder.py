"""The autoencoder: one encoder in two forms, and a decoder that learns and goes on where it stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.demo.conftest import CPU, same
from webui.demo import autoencoder
from webui.demo.autoencoder import (
    DecoderPlan,
    LinearEncoder,
    Pictures,
    build,
    crops,
    decoder_loss,
    prepare_decoder,
    to_tensor,
    train_decoder,
)
from webui.demo.runs import load_state

PLAN = DecoderPlan(seed=5, steps=3, batch=1, crop=64, every=2)


@pytest.fixture(scope="module")
def linear(words_work: Path) -> LinearEncoder:
    return LinearEncoder.load(words_work / "linear.npz")


def test_the_network_encodes_as_the_matrix_does(linear: LinearEncoder, pictures: Pictures):
    with torch.no_grad():
        found = build(linear).encode(to_tensor(pictures.held)).latents
    assert found.shape == (4, 32, 16, 16)
    assert np.abs(found.numpy() - linear.encode(pictures.held)).max() < 1e-4


def test_latents_of_a_crop_are_the_crop_of_the_latents(linear: LinearEncoder, pictures: Pictures):
    whole = linear.encode(pictures.held)
    part = linear.encode(pictures.held[:, 32:160, 64:192])
    assert np.allclose(part, whole[:, :, 2:10, 4:12], atol=1e-5)


def test_the_latents_keep_what_matters(linear: LinearEncoder, pictures: Pictures):
    """The linear way back, whose error the components bound, already gives most of an unseen picture."""
    basis = linear.matrix / linear.gains
    values = pictures.held.astype(np.float32) / 255 - linear.mean
    patches = values.reshape(4, 16, 16, 16, 16, 3).transpose(0, 1, 3, 2, 4, 5).reshape(4, 16, 16, -1)
    error = ((patches @ basis @ basis.T - patches) ** 2).mean()
    assert -10 * np.log10(error) > 24.0


def test_latents_have_the_promised_size(linear: LinearEncoder, pictures: Pictures):
    assert 0.25 < linear.encode(pictures.held).std() < 0.6


def test_encoders_survive_a_file(linear: LinearEncoder, tmp_path: Path, pictures: Pictures):
    linear.save(tmp_path / "linear.npz")
    again = LinearEncoder.load(tmp_path / "linear.npz")
    assert np.array_equal(again.encode(pictures.held), linear.encode(pictures.held))


def test_crops_are_a_function_of_the_step(linear: LinearEncoder, pictures: Pictures):
    first, again, other = (crops(linear, pictures.train, PLAN, step) for step in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_the_loss_is_zero_for_the_same_picture_and_punishes_blur():
    stripes = torch.zeros(1, 3, 8, 8)
    stripes[..., ::2] = 1.0
    assert float(decoder_loss(stripes, stripes)) == 0.0
    flat = torch.full_like(stripes, 0.5)
    assert float(decoder_loss(flat, stripes)) > float((flat - stripes).abs().mean())


def few(pictures: Pictures) -> Pictures:
    return Pictures(pictures.train[:4], pictures.held[:1])


def killed_at_step_2(linear: LinearEncoder, pictures: np.ndarray, plan: DecoderPlan, step: int):
    if step == 2:
        raise KeyboardInterrupt
    return crops(linear, pictures, plan, step)


def test_a_killed_decoder_goes_on_bit_for_bit(
    linear: LinearEncoder, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train_decoder(linear, few(pictures), tmp_path / "whole", PLAN, CPU)
    monkeypatch.setattr(autoencoder, "crops", killed_at_step_2)
    with pytest.raises(KeyboardInterrupt):
        train_decoder(linear, few(pictures), tmp_path / "parts", PLAN, CPU)
    monkeypatch.undo()
    train_decoder(linear, few(pictures), tmp_path / "parts", PLAN, CPU)
    whole, parts = load_state(tmp_path / "whole" / "decoder.pt"), load_state(tmp_path / "parts" / "decoder.pt")
    assert whole and parts and same(whole["average"], parts["average"])


def test_preparing_the_decoder_is_a_function_of_the_seed(linear: LinearEncoder):
    networks = [build(linear) for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        prepare_decoder(network.decoder, seed)
    first, again, other = (network.decoder.state_dict() for network in networks)
    assert same(first, again) and not same(first, other)
