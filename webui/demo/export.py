"""Writes the trained parts as a folder that `StableDiffusionPipeline.from_pretrained` loads, in half precision.

The promise: the folder needs nothing from this package, nothing from the network and no code of its own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from webui.demo import runs
from webui.demo.autoencoder import LinearEncoder, build
from webui.demo.denoiser import SCHEDULER, make_unet

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": diffusers.__version__,
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderTiny"],
}


CARD: dict[str, Any] = {
    "about": (
        "A small model of our own, trained from nothing on scenes drawn by program. It knows seven places, a few "
        "things and their colours, the hours and the seasons; its seeds rule the composition. It paints "
        "softly, as if from memory: large things and light succeed, and small ones stay strokes of a brush."
    ),
    "defaults": {"steps": 12, "cfg_scale": 3.0, "sampler": "DPM++ 2M", "schedule": "Automatic"},
    "examples": [
        "a house by a lake at sunset",
        "a red castle in the mountains",
        "a sailboat on the sea at dawn",
        "a house in the hills in autumn",
        "a house by a lake at night, ducks",
    ],
    "vocabulary": {
        "Places": ["in the hills", "by a lake", "by the sea", "in the mountains", "in a forest", "in the desert",
                   "in the snow"],
        "Things": ["a house", "a castle", "a sailboat", "a lighthouse", "a windmill", "a tent", "ducks"],
        "Numbers": ["two houses", "three sailboats", "a duck", "two ducks"],
        "Colours": ["red", "blue", "yellow", "white", "green", "purple", "orange"],
        "Hours": ["at noon", "at dawn", "at sunset", "at night"],
        "Seasons": ["in spring", "in autumn", "in winter"],
        "Styles": ["pastel", "watercolour", "vintage", "neon"],
    },
}  # fmt: skip
"""What the program shows of the model; the settings that suit it."""


def load_autoencoder(work: Path) -> AutoencoderTiny:
    """Build the autoencoder with the decoder's averaged weights."""
    network = build(LinearEncoder.load(work / "linear.npz"))
    state = runs.load_state(work / "decoder.pt")
    if state is None:
        raise FileNotFoundError(f"{work / 'decoder.pt'} is missing: run the stage autoencoder first.")
    network.decoder.load_state_dict(state["average"])
    return network


def load_unet(work: Path, text_width: int) -> tuple[UNet2DConditionModel, int]:
    """Build the UNet with its averaged weights; give it with the number of steps it was trained."""
    state = runs.load_state(work / "denoiser.pt")
    if state is None:
        raise FileNotFoundError(f"{work / 'denoiser.pt'} is missing: run the stage denoiser first.")
    channels = int(state["average"]["conv_in.weight"].shape[1])
    unet = make_unet(state["size"], channels, text_width, 0)
    unet.load_state_dict(state["average"])
    return unet, int(state["step"])


def export(work: Path, target: Path, file_size: str = "10GB") -> dict[str, Any]:
    """Write the model, its UNet in files of at most `file_size`; give its size and its files' hashes."""
    text_encoder = CLIPTextModel.from_pretrained(work / "text_encoder")
    unet, step = load_unet(work, int(text_encoder.config.hidden_size))
    fresh = target.with_name(f"{target.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    unet.half().save_pretrained(fresh / "unet", max_shard_size=file_size)
    load_autoencoder(work).half().save_pretrained(fresh / "vae")
    text_encoder.half().save_pretrained(fresh / "text_encoder")
    # transformers loads in the type its config names, diffusers in single precision: they must agree by default.
    _edit(fresh / "text_encoder" / "config.json", dtype="float32")
    CLIPTokenizer.from_pretrained(work / "tokenizer").save_pretrained(fresh / "tokenizer")
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(work / "tokenizer" / name, fresh / "tokenizer" / name)
    DDIMScheduler(**SCHEDULER).save_pretrained(fresh / "scheduler")
    (fresh / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n", encoding="utf-8")
    (fresh / "reseed.json").write_text(json.dumps(CARD, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    hashes = {str(path.relative_to(target)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {"denoiser_step": step, "bytes": sum(path.stat().st_size for path in files), "sha256": hashes}


def _edit(path: Path, **values: str) -> None:
    """Change some keys of a config."""
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **values}, indent=2) + "\n", encoding="utf-8")
