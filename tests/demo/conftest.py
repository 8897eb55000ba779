"""A tiny run of every training stage, made once: pictures, encoder, words, a decoder and a denoiser of a few steps."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from webui.demo import autoencoder, text
from webui.demo.data import HELD_OUT, draw_pictures
from webui.demo.denoiser import DenoiserPlan, train_denoiser
from webui.demo.ranks import Ranks

CPU = torch.device("cpu")
PLAN = DenoiserPlan(seed=3, steps=4, size="tiny", batch=4, shards=1, first_shards=1, every=2, shard_size=32, held=4)


@pytest.fixture(scope="session")
def pictures() -> autoencoder.Pictures:
    """A few pictures to train on and to measure on."""
    return autoencoder.Pictures(draw_pictures(3, range(24), 1), draw_pictures(3, range(HELD_OUT, HELD_OUT + 4), 1))


@pytest.fixture(scope="session")
def words_work(tmp_path_factory: pytest.TempPathFactory, pictures: autoencoder.Pictures) -> Path:
    """A work folder with the linear encoder, the tokenizer and a text encoder of two steps."""
    work = tmp_path_factory.mktemp("run")
    autoencoder.fit_linear(pictures.train).save(work / "linear.npz")
    text.train_text(work, text.TextPlan(seed=3, steps=2, batch=4), CPU)
    return work


@pytest.fixture(scope="session")
def trained_work(tmp_path_factory: pytest.TempPathFactory, words_work: Path, pictures: autoencoder.Pictures) -> Path:
    """A work folder in which every stage has run for a few steps."""
    work = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(words_work, work)
    linear = autoencoder.LinearEncoder.load(work / "linear.npz")
    plan = autoencoder.DecoderPlan(seed=3, steps=2, batch=1, crop=64, every=2)
    autoencoder.train_decoder(linear, pictures, work, plan, CPU)
    train_denoiser(work, PLAN, CPU, Ranks())
    return work


@pytest.fixture
def fresh_work(tmp_path: Path, words_work: Path) -> Path:
    """A work folder in which the denoiser has not begun."""
    work = tmp_path / "run"
    shutil.copytree(words_work, work)
    return work


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Say whether two sets of weights are equal bit for bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[k].numpy(), b[k].numpy()) for k in a)
