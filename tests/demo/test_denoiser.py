"""The denoiser's training: exact in what it promises about noise, weights, and going on after a kill."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.demo.conftest import CPU, PLAN, same
from webui.demo.autoencoder import LinearEncoder
from webui.demo.coupling import read_code
from webui.demo.data import Pool
from webui.demo.denoiser import (
    FREE_BELOW_SIGMA,
    SIZES,
    TILT,
    BatchesAhead,
    Denoiser,
    alphas,
    free_noise,
    make_batch,
    make_unet,
    noised,
    shards_at,
    thirds,
    train_denoiser,
)
from webui.demo.ranks import Ranks
from webui.demo.runs import load_state


def test_a_killed_run_goes_on_bit_for_bit(fresh_work: Path, trained_work: Path):
    killed = Denoiser(fresh_work, PLAN, CPU, Ranks())
    for _ in range(2):
        killed.train_step()
    killed.save()
    killed.train_step()  # lost with the kill: it was never saved
    del killed
    train_denoiser(fresh_work, PLAN, CPU, Ranks())
    whole, parts = load_state(trained_work / "denoiser.pt"), load_state(fresh_work / "denoiser.pt")
    assert whole and parts and whole["step"] == parts["step"] == PLAN.steps
    assert same(whole["unet"], parts["unet"]) and same(whole["average"], parts["average"])


def test_the_log_holds_every_figure(trained_work: Path):
    lines = (trained_work / "denoiser.jsonl").read_text().splitlines()
    assert len(lines) == PLAN.steps // PLAN.every
    assert all(name in lines[-1] for name in ("samples", "loss", "held_noisy", "first_step_miss"))


def test_a_batch_is_a_function_of_the_step_and_carries_the_layouts(trained_work: Path):
    linear = LinearEncoder.load(trained_work / "linear.npz")
    pool = Pool(trained_work / "shards", PLAN.seed, linear.encode, PLAN.shard_size)
    plan = replace(PLAN, batch=40)
    first, again = make_batch(pool, plan, 7, alphas(CPU)), make_batch(pool, plan, 7, alphas(CPU))
    assert torch.equal(first.noise, again.noise) and first.texts == again.texts
    codes = torch.from_numpy(pool.take(torch.arange(PLAN.shard_size).numpy())[1])
    nearest = torch.cdist(read_code(first.noise), codes).min(1).values
    noisy = first.times > 700
    assert bool((nearest[noisy] < 0.02).all())
    parts = [1000 * (k / 40) ** TILT for k in range(41)]
    spread = zip(sorted(first.times.tolist()), parts, parts[1:], strict=False)
    assert all(int(low) <= t <= high for t, low, high in spread)


def test_batches_drawn_ahead_are_the_batches_of_their_steps():
    drawn: list[int] = []

    def draw(step: int) -> int:
        drawn.append(step)
        return 10 * step

    ahead = BatchesAhead(draw, CPU)
    ahead.worker = ThreadPoolExecutor(1)
    assert [ahead.take(step) for step in (5, 6, 7, 2)] == [50, 60, 70, 20]
    assert drawn[:4] == [5, 6, 7, 8]


def test_only_clear_samples_may_lose_their_layout():
    cumulative = alphas(CPU)
    times = torch.arange(1000)
    free = free_noise(times, cumulative, torch.zeros(1000))
    sigmas = ((1 - cumulative) / cumulative).sqrt()
    assert torch.equal(free, sigmas < FREE_BELOW_SIGMA)
    assert not bool(free_noise(times, cumulative, torch.ones(1000)).any())


def test_v_gives_back_the_picture(trained_work: Path):
    linear = LinearEncoder.load(trained_work / "linear.npz")
    pool = Pool(trained_work / "shards", PLAN.seed, linear.encode, PLAN.shard_size)
    batch, cumulative = make_batch(pool, PLAN, 0, alphas(CPU)), alphas(CPU)
    inputs, v = noised(batch, cumulative)
    alpha = cumulative[batch.times].view(-1, 1, 1, 1)
    assert torch.allclose(alpha.sqrt() * inputs - (1 - alpha).sqrt() * v, batch.latents, atol=1e-4)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_every_size_stays_under_40_megabytes(size: str):
    with torch.device("meta"):
        unet = make_unet(size, 32, 128, 0)
    assert sum(p.numel() for p in unet.parameters()) * 2 < 37e6
    assert size in SIZES


def test_shards_join_one_by_one():
    plan = replace(PLAN, shards=10, first_shards=4, ramp=50)
    assert [shards_at(plan, step) for step in (0, 49, 50, 299, 300, 9000)] == [4, 4, 5, 9, 10, 10]
    assert shards_at(replace(plan, ramp=0), 0) == 10


def test_thirds_average_what_they_name():
    errors, times = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([100, 500, 900])
    assert thirds(errors, times) == [3.0, 6.0, 2.0, 1.0]
    assert thirds(errors[:1], times[:1]) == [1.0, 0.0, 0.0, 1.0]
