"""The denoiser: a small `UNet2DConditionModel` trained to predict v on latents whose noise carries their layout.

v-prediction (Salimans & Ho 2022, arXiv:2202.00512, appendix D) on a variance-preserving path is the velocity of the
straight rotation from data to noise, so with the coupling of `webui.demo.coupling` this is flow matching on paths that
hardly cross: the first step already knows where everything stands. The promise: a run that was killed goes on bit for
bit; what step n trains on depends on the run's seed and n alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from webui.demo import captions, runs
from webui.demo.autoencoder import SPREAD, LinearEncoder
from webui.demo.coupling import GRID, write_code
from webui.demo.data import HELD_OUT, SHARD, Pool, describe, draw_picture
from webui.demo.optim import Average, Pair
from webui.demo.ranks import Ranks
from webui.demo.text import tokenize
from webui.demo.words import content_of

SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
"""Stable Diffusion's schedule but for its end: 0.012 would leave so much of the picture in the last step that nights
turn grey."""

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"block_out_channels": (32, 32), "attention": (False, True), "layers_per_block": 1},
    "small": {"block_out_channels": (64, 128, 192), "attention": (False, True, True), "layers_per_block": 1},
    "medium": {"block_out_channels": (96, 160, 192), "attention": (False, True, True), "layers_per_block": 1},
    "large": {"block_out_channels": (128, 176, 208), "attention": (True, True, True), "layers_per_block": 1},
}
"""`tiny` is for tests, `small` and `medium` for a CPU, `large` for a GPU; all stay under 40 MB in half precision."""

EMPTY_SHARE = 0.10
"""Captions left empty, for classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598)."""

FREE_SHARE = 0.25
FREE_BELOW_SIGMA = 3.0
"""Below this noise level, so many samples get noise that says nothing of the layout: fresh noise (Euler a) or a
picture that someone brings (image to image) must not confuse the denoiser where the picture can already be seen."""

TILT = 0.75
"""Time steps are drawn as 1000 u ** TILT with u even in 0 .. 1: the noisy ones, where layouts are read, more often."""

MOST_SNR = 4.0
"""Signal to noise from which a sample's weight falls: the last touches to noise nobody sees (after Hang et al. 2023,
arXiv:2303.09556)."""


def make_unet(size: str, channels: int, text_width: int, seed: int) -> UNet2DConditionModel:
    """Build an untrained UNet of one of the `SIZES`."""
    plan = dict(SIZES[size])
    attention = plan.pop("attention")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DConditionModel(
            sample_size=GRID,
            in_channels=channels,
            out_channels=channels,
            down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attention),
            up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attention)),
            cross_attention_dim=text_width,
            attention_head_dim=4,
            norm_num_groups=16,
            **plan,
        )


@dataclass(frozen=True)
class DenoiserPlan:
    """How the denoiser is trained."""

    seed: int
    steps: int
    size: str = "small"
    batch: int = 64
    lr: float = 2.5e-3
    cooldown: float = 0.25
    shards: int = 16
    first_shards: int = 16
    ramp: int = 0
    """Steps after which one more shard joins, up to `shards`; 0 takes all at once."""
    plain: float = 0.0
    """Part of the samples drawn from plain pictures only, to be lowered when the large things stand."""
    every: int = 100
    shard_size: int = SHARD
    held: int = 96
    """Held-out pictures on which checkpoints are measured."""


@dataclass(frozen=True)
class Batch:
    """What one step trains on: scaled latents, noises, time steps and texts."""

    latents: torch.Tensor
    noise: torch.Tensor
    times: torch.Tensor
    texts: list[str]


class Words:
    """The frozen text side: texts to hidden states."""

    def __init__(self, work: Path, device: torch.device) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
        self.encoder = CLIPTextModel.from_pretrained(work / "text_encoder").to(device).eval()
        self.device = device

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        return int(self.encoder.config.hidden_size)

    @torch.no_grad()
    def encode(self, texts: list[str]) -> torch.Tensor:
        """Give the hidden states of all 77 tokens."""
        return torch.as_tensor(self.encoder(tokenize(self.tokenizer, texts).to(self.device)).last_hidden_state)


def alphas(device: torch.device) -> torch.Tensor:
    """Give the schedule's cumulative alphas."""
    return torch.as_tensor(DDIMScheduler(**SCHEDULER).alphas_cumprod).to(device)


def shards_at(plan: DenoiserPlan, step: int) -> int:
    """Say how many shards a step draws from."""
    if plan.ramp <= 0:
        return plan.shards
    return min(plan.shards, plan.first_shards + step // plan.ramp)


def free_noise(times: torch.Tensor, cumulative: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Say which samples get noise without their layout, (batch) of bool."""
    alpha = cumulative[times]
    return ((1 - alpha) / alpha < FREE_BELOW_SIGMA**2) & (draws < FREE_SHARE)


def make_batch(pool: Pool, plan: DenoiserPlan, step: int, cumulative: torch.Tensor) -> Batch:
    """Draw the whole batch of a step; time steps are spread over the schedule, one in each part."""
    pool.grow(shards_at(plan, step))
    rng, wording = runs.numbers(plan.seed, "denoiser", step), runs.words(plan.seed, "denoiser", step)
    places = rng.integers(0, shards_at(plan, step) * pool.size, plan.batch)
    fair = pool.plain()
    swap = rng.random(plan.batch) < plan.plain
    if len(fair):
        places = np.where(swap, fair[places % len(fair)], places)
    latents, codes, contents = pool.take(places)
    even = rng.permutation((np.arange(plan.batch) + rng.random(plan.batch)) / plan.batch)
    times = torch.from_numpy((1000 * even**TILT).astype(np.int64))
    fresh = runs.gaussians(latents.shape, rng)
    free = free_noise(times, cumulative, torch.from_numpy(rng.random(plan.batch)))
    noise = torch.where(free[:, None, None, None], fresh, write_code(fresh, torch.from_numpy(codes)))
    texts = ["" if wording.random() < EMPTY_SHARE else _word(row, wording) for row in contents]
    return Batch(torch.from_numpy(latents / np.float32(SPREAD)), noise, times, texts)


def _word(indices: NDArray[np.uint8], wording: Any) -> str:
    """Word a caption for a row of class indices."""
    content = content_of(tuple(int(k) for k in indices))
    return captions.ornamented(captions.caption(content, wording), wording)


def noised(batch: Batch, cumulative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the noised latents and the v to be predicted."""
    alpha = cumulative[batch.times].view(-1, 1, 1, 1)
    keep, add = alpha.sqrt(), (1 - alpha).sqrt()
    return keep * batch.latents + add * batch.noise, keep * batch.noise - add * batch.latents


def channel_weights(linear: LinearEncoder) -> torch.Tensor:
    """Weigh the errors of large forms more than those of details: by the root of each channel's spread, one on
    average."""
    weights = torch.from_numpy(
        linear.gains
    ).rsqrt()  # a channel's spread in the latent is one over its gain, up to a factor
    return (weights / weights.mean()).view(1, -1, 1, 1)


class BatchesAhead:
    """Draws the next batch while a GPU works on this one; on a CPU, where that gains nothing, draws when asked."""

    def __init__(self, draw: Callable[[int], Batch], device: torch.device) -> None:
        self.draw = draw
        self.worker = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self.coming: dict[int, Future[Batch]] = {}

    def take(self, step: int) -> Batch:
        """Give the batch of a step."""
        if self.worker is None:
            return self.draw(step)
        now = self.coming.pop(step, None) or self.worker.submit(self.draw, step)
        self.coming = {step + 1: self.worker.submit(self.draw, step + 1)}
        return now.result()


class Denoiser:
    """The network in training with all that belongs to it."""

    def __init__(self, work: Path, plan: DenoiserPlan, device: torch.device, ranks: Ranks) -> None:
        self.work, self.plan, self.device, self.ranks = work, plan, device, ranks
        linear = LinearEncoder.load(work / "linear.npz")
        self.pool = Pool(work / "shards", plan.seed, linear.encode, plan.shard_size)
        self.words = Words(work, device)
        self.cumulative = alphas(torch.device("cpu"))
        self.weights = channel_weights(linear).to(device)
        unet = make_unet(plan.size, len(linear.gains), self.words.width, plan.seed)
        if device.type == "cpu":
            # The fused kernel's backward pass is slow on a CPU at these sizes.
            unet.set_attn_processor(AttnProcessor())
        self.unet = unet.to(device, memory_format=torch.channels_last)
        self.optimizer = Pair(self.unet, plan.lr, least=32, weight_decay=0.01, ranks=ranks)
        self.average = Average(self.unet, 0.998)
        self.step = 0
        self.ahead = BatchesAhead(self.make_batch, device)
        self.held = _held_out(plan.seed, linear, plan.held)

    def make_batch(self, step: int) -> Batch:
        """Draw the batch of a step."""
        return make_batch(self.pool, self.plan, step, self.cumulative)

    def load(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        state = runs.load_state(self.work / "denoiser.pt")
        if state is not None:
            self.unet.load_state_dict(state["unet"])
            if "optimizer" in state:
                self.optimizer.load_state_dict(state["optimizer"])
            self.average.weights = {k: v.to(self.device) for k, v in state["average"].items()}
            self.step = state["step"]

    def save(self) -> None:
        """Write a checkpoint."""
        state = {
            "unet": self.unet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights,
        }
        runs.save_state({**state, "step": self.step, "size": self.plan.size}, self.work / "denoiser.pt")

    def errors(self, batch: Batch, share: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Give each sample's weighted error and its weight by time, for this process's share of a batch."""
        part = Batch(batch.latents[share], batch.noise[share], batch.times[share], batch.texts[share])
        inputs, wanted = (
            x.to(self.device).contiguous(memory_format=torch.channels_last) for x in noised(part, self.cumulative)
        )
        states = self.words.encode(part.texts)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=runs.half_precision(self.device)):
            found = self.unet(inputs, part.times.to(self.device), states).sample
        errors = ((found.float() - wanted).pow(2) * self.weights).mean((1, 2, 3))
        alpha = self.cumulative[part.times]
        return errors, (MOST_SNR * (1 - alpha) / alpha).clamp(max=1.0).to(self.device)

    def train_step(self) -> list[float]:
        """Take one step; give the mean error and the errors of the noisiest, the middle and the clearest third."""
        batch = self.ahead.take(self.step)
        share = self.ranks.share(self.plan.batch)
        errors, weights = self.errors(batch, share)
        torch.autograd.backward((errors * weights).mean())
        self.ranks.average_gradients(self.unet)
        self.optimizer.step(runs.ease(self.step, self.plan.steps, 60, self.plan.cooldown))
        self.average.follow(self.unet, self.step)
        self.step += 1
        return self.ranks.average(thirds(errors.detach().cpu(), batch.times[share]))

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Measure the averaged weights on held-out pictures: errors by thirds, and how much of a picture the first
        step misses."""
        now = {k: v.clone() for k, v in self.unet.state_dict().items()}
        self.unet.load_state_dict(self.average.weights)
        names = ("held", "held_noisy", "held_middle", "held_clear")
        errors = torch.cat(
            [self.errors(self.held, slice(k, k + 32))[0] for k in range(0, len(self.held.texts), 32)]
        ).cpu()
        figures = dict(zip(names, thirds(errors, self.held.times), strict=True))
        last = Batch(self.held.latents, self.held.noise, torch.full_like(self.held.times, 999), self.held.texts)
        first = torch.cat([self.errors(last, slice(k, k + 32))[0] for k in range(0, len(last.texts), 32)]).mean()
        spread = (last.latents - last.latents.mean(0)).to(self.device).pow(2).mul(self.weights).mean()
        self.unet.load_state_dict(now)
        return {**{k: round(v, 4) for k, v in figures.items()}, "first_step_miss": round(float(first / spread), 4)}


def thirds(errors: torch.Tensor, times: torch.Tensor) -> list[float]:
    """Average errors over all time steps and over their noisiest, middle and clearest third."""
    masks = (times >= 0, times >= 667, (times >= 333) & (times < 667), times < 333)
    return [float(errors[mask].mean()) if bool(mask.any()) else 0.0 for mask in masks]


def _held_out(seed: int, linear: LinearEncoder, count: int) -> Batch:
    """Draw the pictures on which every checkpoint is measured, with their noises, time steps and captions."""
    numbers = range(HELD_OUT, HELD_OUT + count)
    codes, contents = describe(seed, numbers)
    latents = torch.from_numpy(linear.encode(np.stack([draw_picture(seed, n) for n in numbers])) / np.float32(SPREAD))
    noise = write_code(runs.gaussians(tuple(latents.shape), runs.numbers(seed, "held out", 0)), torch.from_numpy(codes))
    wording = runs.words(seed, "held out", 0)
    times = torch.linspace(0, 999, count).long()
    return Batch(latents, noise, times, [_word(row, wording) for row in contents])


def train_denoiser(work: Path, plan: DenoiserPlan, device: torch.device, ranks: Ranks) -> None:
    """Train to the plan's last step, writing a checkpoint and figures every so often."""
    denoiser, log = Denoiser(work, plan, device, ranks), runs.Log(work / "denoiser.jsonl")
    denoiser.load()
    bar = tqdm(
        range(denoiser.step, plan.steps),
        desc="denoiser",
        initial=denoiser.step,
        total=plan.steps,
        mininterval=20,
        disable=not ranks.first,
    )
    recent: list[list[float]] = []
    for _ in bar:
        recent.append(denoiser.train_step())
        step = denoiser.step
        if ranks.first and (step % plan.every == 0 or step == plan.steps):
            denoiser.save()
            names = ("loss", "noisy", "middle", "clear")
            means = {name: round(float(v), 4) for name, v in zip(names, np.mean(recent, axis=0), strict=True)}
            figures = {**means, **denoiser.measure()}
            log.write(step=step, samples=step * plan.batch, ranks=ranks.count, **figures)
            bar.set_postfix(figures)
            recent.clear()
