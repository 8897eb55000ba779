"""The autoencoder: 256 x 256 pictures to 16 x 16 latents and back, as a diffusers `AutoencoderTiny`.

The encoder is not trained: principal components of 16 x 16 patches, found level by level, are written into its strided
convolutions, so latents can be computed as soon as some pictures are drawn, by one small matrix. The decoder is
trained to draw the picture back with sharp edges. The promise: `LinearEncoder` and the network it is written into give
the same latents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from webui.demo.optim import Average, Pair
from webui.demo.runs import Log, ease, gaussians, half_precision, load_state, numbers, save_state

LEVELS = 4
FACTOR = 2**LEVELS
KEPT = (12, 40, 64)
"""Components kept after the first three halvings; the last level keeps as many as there are latent channels."""

LATENT_CHANNELS = 32
DECODER_WIDTH = 32
DECODER_BLOCKS = (3, 3, 1, 0, 0)
SPREAD = 0.4
"""Root mean square of the latents: small, because `AutoencoderTiny` presses what it decodes softly into -3 .. 3. A
denoiser works on latents times the scaling factor, 1 / SPREAD."""

FLATTEN = 0.25
"""A channel's spread in the latent is its natural spread to this power: details stay smaller than the large forms."""


@dataclass(frozen=True)
class LinearEncoder:
    """Principal components of patches, level by level; `bases[i]` maps 2 x 2 cells of the level before to this
    level's."""

    mean: NDArray[np.float32]
    bases: tuple[NDArray[np.float32], ...]
    gains: NDArray[np.float32]

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures (n, height, width, 3) to latents (n, channels, height / 16, width / 16)."""
        values = pictures.astype(np.float32) / np.float32(255.0) - self.mean
        n, height, width, _ = values.shape
        patches = values.reshape(n, height // FACTOR, FACTOR, width // FACTOR, FACTOR, 3).transpose(0, 1, 3, 2, 4, 5)
        flat = patches.reshape(n, height // FACTOR, width // FACTOR, -1) @ self.matrix
        return np.ascontiguousarray(flat.transpose(0, 3, 1, 2))

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """Give all levels as one matrix, (16 * 16 * 3, channels)."""
        units = np.eye(FACTOR * FACTOR * 3, dtype=np.float32).reshape(-1, FACTOR, FACTOR, 3)
        for basis in self.bases:
            units = cells(units) @ basis
        return np.asarray(units.reshape(FACTOR * FACTOR * 3, -1) * self.gains)

    def save(self, path: Path) -> None:
        """Write the encoder's numbers."""
        arrays = {"mean": self.mean, "gains": self.gains, **{f"basis{i}": b for i, b in enumerate(self.bases)}}
        np.savez(path, **arrays)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> LinearEncoder:
        """Read the encoder's numbers."""
        with np.load(path) as file:
            return LinearEncoder(file["mean"], tuple(file[f"basis{i}"] for i in range(LEVELS)), file["gains"])


def cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Join 2 x 2 neighbours: (n, h, w, c) to (n, h / 2, w / 2, 4 c)."""
    n, h, w, c = values.shape
    return values.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def fit_linear(pictures: NDArray[np.uint8], channels: int = LATENT_CHANNELS) -> LinearEncoder:
    """Find the principal components of some pictures, level by level."""
    mean = pictures.mean((0, 1, 2), dtype=np.float64).astype(np.float32) / np.float32(255.0)
    bases: list[NDArray[np.float32]] = []
    spread = np.ones(channels, np.float32)
    for keep in (*KEPT, channels):
        gram, count = np.zeros((1, 1)), 0
        for part in np.array_split(pictures, max(1, len(pictures) // 50)):
            values = part.astype(np.float32) / np.float32(255.0) - mean
            for basis in bases:
                values = cells(values) @ basis
            rows = cells(values).reshape(-1, 4 * values.shape[-1])
            gram = gram + rows.T.astype(np.float64) @ rows
            count += len(rows)
        power, axes = np.linalg.eigh(gram / count)
        bases.append(axes[:, ::-1][:, :keep].astype(np.float32))
        spread = np.sqrt(np.maximum(power[::-1][:keep], 1e-12)).astype(np.float32)
    wanted = spread ** (2 * FLATTEN)
    wanted = SPREAD * wanted / np.sqrt((wanted**2).mean())
    return LinearEncoder(mean, tuple(bases), (wanted / spread).astype(np.float32))


def build(linear: LinearEncoder) -> AutoencoderTiny:
    """Build the network around a linear encoder, with an untrained decoder."""
    width = max(KEPT)
    network = AutoencoderTiny(
        encoder_block_out_channels=(width,) * (LEVELS + 1),
        decoder_block_out_channels=(DECODER_WIDTH,) * (LEVELS + 1),
        num_encoder_blocks=(0,) * (LEVELS + 1),
        num_decoder_blocks=DECODER_BLOCKS,
        latent_channels=len(linear.gains),
        scaling_factor=1.0 / SPREAD,
    )
    convolutions = [layer for layer in network.encoder.layers if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        for convolution in convolutions:
            convolution.weight.zero_()
            if convolution.bias is not None:
                convolution.bias.zero_()
        first_bias = cast(torch.Tensor, convolutions[0].bias)
        for c in range(3):
            convolutions[0].weight[c, c, 1, 1] = 1.0
            first_bias[c] = -float(linear.mean[c])
        for convolution, basis in zip(convolutions[1:-1], linear.bases, strict=True):
            inputs, outputs = basis.shape
            # A stride-2 convolution with padding 1 sees its 2 x 2 cell at kernel places 1 and 2.
            convolution.weight[:outputs, : inputs // 4, 1:, 1:] = (
                torch.from_numpy(basis.T.copy()).view(outputs, 2, 2, -1).permute(0, 3, 1, 2)
            )
        for c, gain in enumerate(linear.gains):
            convolutions[-1].weight[c, c, 1, 1] = float(gain)
    return network


def prepare_decoder(decoder: nn.Module, seed: int) -> None:
    """Start the decoder with small residual branches on Kaiming weights, and at middle grey."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in decoder.modules():
            if isinstance(module, nn.Conv2d):
                fan = module.weight[0].numel()
                noise = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(noise * math.sqrt(2.0 / fan))
                if module.bias is not None:
                    module.bias.zero_()
        for module in decoder.modules():
            if isinstance(module, AutoencoderTinyBlock):
                module.conv[-1].weight.mul_(0.1)
        last = [module for module in decoder.modules() if isinstance(module, nn.Conv2d)][-1]
        last.weight.mul_(0.3)
        cast(torch.Tensor, last.bias).fill_(0.5)


def to_tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Turn bytes (n, h, w, 3) into a tensor (n, 3, h, w) in -1 .. 1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def psnr(decoder: nn.Module, latents: torch.Tensor, targets: torch.Tensor) -> float:
    """Measure the decoder on whole pictures, in dB."""
    total = 0.0
    with torch.no_grad():
        for k in range(0, len(latents), 8):
            drawn = decoder(latents[k : k + 8]).float().clamp(-1.0, 1.0)
            total += float(((drawn - targets[k : k + 8]) / 2).pow(2).mean(dim=(1, 2, 3)).sum())
    return -10.0 * math.log10(total / len(latents))


def decoder_loss(drawn: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Absolute error of colours, of their differences to the right and downwards, and squared error of colours.

    The second keeps edges sharp; the third is what decibels count: without it, the few pictures in ink are left behind.
    """
    error = drawn - target
    slopes = (error[:, :, 1:] - error[:, :, :-1]).abs().mean() + (error[:, :, :, 1:] - error[:, :, :, :-1]).abs().mean()
    return error.abs().mean() + 0.5 * slopes + 4.0 * error.square().mean()


class Pictures(NamedTuple):
    """Pictures to train on and pictures to measure on, (n, 256, 256, 3) bytes each."""

    train: NDArray[np.uint8]
    held: NDArray[np.uint8]


@dataclass(frozen=True)
class DecoderPlan:
    """How the decoder is trained."""

    seed: int
    steps: int
    batch: int = 8
    crop: int = 128
    lr: float = 2.5e-3
    every: int = 100
    jitter: float = 0.016
    """Noise on the latents, so that the decoder forgives a denoiser's small errors."""


def train_decoder(
    linear: LinearEncoder, pictures: Pictures, work: Path, plan: DecoderPlan, device: torch.device
) -> AutoencoderTiny:
    """Train the decoder, from its last checkpoint if there is one, and give the network with the averaged weights."""
    network = build(linear)
    prepare_decoder(network.decoder, plan.seed)
    decoder = network.decoder.to(device, memory_format=torch.channels_last)
    optimizer, average, log = Pair(decoder, plan.lr, least=16), Average(decoder, 0.995), Log(work / "decoder.jsonl")
    first = 0
    if (state := load_state(work / "decoder.pt")) is not None:
        decoder.load_state_dict(state["decoder"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        average.weights = {k: v.to(device) for k, v in state["average"].items()}
        first = state["step"]
    held_latents, held_targets = torch.from_numpy(linear.encode(pictures.held)), to_tensor(pictures.held)
    held_latents, held_targets = held_latents.to(device), held_targets.to(device)
    bar = tqdm(range(first, plan.steps), desc="decoder", initial=first, total=plan.steps, mininterval=10)
    for step in bar:
        latents, targets = crops(linear, pictures.train, plan, step)
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision(device)):
            drawn = decoder(latents.to(device).contiguous(memory_format=torch.channels_last))
        loss = decoder_loss(drawn.float(), targets.to(device))
        torch.autograd.backward(loss)
        optimizer.step(ease(step, plan.steps, 30, 0.5))
        average.follow(decoder, step)
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            state = {
                "decoder": decoder.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.weights,
                "step": step + 1,
            }
            save_state(state, work / "decoder.pt")
            now = {k: v.clone() for k, v in decoder.state_dict().items()}
            decoder.load_state_dict(average.weights)
            figure = psnr(decoder, held_latents, held_targets)
            decoder.load_state_dict(now)
            log.write(step=step + 1, loss=round(loss.item(), 5), psnr=round(figure, 3))
            bar.set_postfix(loss=f"{loss.item():.4f}", psnr=f"{figure:.2f}")
    decoder.load_state_dict(average.weights)
    return network.float().cpu()


def crops(
    linear: LinearEncoder, pictures: NDArray[np.uint8], plan: DecoderPlan, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut the latents and pictures of one training step; crops lie on the latent grid."""
    rng = numbers(plan.seed, "decoder", step)
    grid = (pictures.shape[1] - plan.crop) // FACTOR + 1
    picks = rng.integers(0, (len(pictures), grid, grid), (plan.batch, 3))
    cut = np.stack(
        [pictures[i, FACTOR * y : FACTOR * y + plan.crop, FACTOR * x : FACTOR * x + plan.crop] for i, y, x in picks]
    )
    latents = torch.from_numpy(linear.encode(cut))
    return latents + plan.jitter * gaussians(tuple(latents.shape), rng), to_tensor(cut)
