"""Contact sheets: what the model paints, and what the drawing program drew, side by side for a person to look at.

The promise: each picture of a sheet starts from the noise of its own seed, so the row of one seed is one
composition.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from webui.demo.coupling import read_code
from webui.demo.layout import make_layout
from webui.demo.scenes import draw_scene
from webui.demo.words import Content

PROMPTS = (
    "a house by a lake",
    "a house by a lake at sunset",
    "a house by a lake at night, ducks",
    "a blue castle in the mountains",
    "a sailboat on the sea at dawn",
    "a tent in the desert",
    "a windmill in the hills, autumn, trees",
    "a lighthouse by the sea, ink drawing",
)
CONTENTS = (
    Content(place="lake", thing="house"),
    Content(place="lake", thing="house", time="sunset"),
    Content(place="lake", thing="house", time="night", ducks=3),
    Content(place="mountains", thing="castle", colour="blue"),
    Content(place="sea", thing="boat", colour="white", time="dawn"),
    Content(place="desert", thing="tent", colour="orange"),
    Content(thing="windmill", colour="orange", season="autumn", trees=True),
    Content(place="sea", thing="lighthouse", style="ink"),
)
"""What the prompts mean to the drawing program."""

SEEDS = (1, 2, 3, 4, 5, 6)
LABEL = 28


def load_pipeline(model: Path) -> StableDiffusionPipeline:
    """Load an exported model with DPM++ 2M Karras."""
    pipeline = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(
    pipeline: StableDiffusionPipeline, prompts: Sequence[str], seed: int, steps: int, cfg_scale: float
) -> NDArray[np.uint8]:
    """Paint several prompts from the noise of one seed: (prompts, height, width, 3)."""
    generators = [torch.Generator().manual_seed(seed) for _ in prompts]
    found = pipeline(
        list(prompts), num_inference_steps=steps, guidance_scale=cfg_scale, generator=generators, output_type="np"
    )
    return np.asarray(np.round(found.images * 255).astype(np.uint8))


def noise_of_seed(pipeline: StableDiffusionPipeline, seed: int) -> torch.Tensor:
    """Draw the starting noise of a seed as the pipeline does."""
    side = pipeline.unet.config.sample_size
    return torch.randn((1, pipeline.unet.config.in_channels, side, side), generator=torch.Generator().manual_seed(seed))


def drawn(noise: torch.Tensor) -> NDArray[np.uint8]:
    """Draw what the model was taught to paint from a noise: the same layout, by the drawing program."""
    layout = make_layout(read_code(noise)[0].double().numpy())
    return np.stack([draw_scene(layout, content) for content in CONTENTS])


def make_sheet(model: Path, target: Path, steps: int = 20, cfg_scale: float = 4.0, truth: bool = False) -> None:
    """Write a sheet: one row for each seed, one column for each prompt; with `truth`, a drawn row below each painted
    one."""
    pipeline = load_pipeline(model)
    rows = []
    for seed in SEEDS:
        rows.append(np.concatenate(list(paint(pipeline, PROMPTS, seed, steps, cfg_scale)), axis=1))
        if truth:
            rows.append(np.concatenate(list(drawn(noise_of_seed(pipeline, seed))), axis=1))
    body = Image.fromarray(np.concatenate(rows))
    side = body.width // len(PROMPTS)
    sheet = Image.new("RGB", (body.width, body.height + LABEL), "white")
    sheet.paste(body, (0, LABEL))
    pen = ImageDraw.Draw(sheet)
    for k, prompt in enumerate(PROMPTS):
        half = prompt.rfind(" ", 0, max(side // 6, 8))
        pen.text((k * side + 3, 1), prompt[:half] if len(prompt) * 6 > side else prompt, fill="black")
        if len(prompt) * 6 > side:
            pen.text((k * side + 3, 13), prompt[half + 1 :], fill="black")
    sheet.save(target)
