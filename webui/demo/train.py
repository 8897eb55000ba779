"""Trains the demo model from nothing: `python -m webui.demo.train STAGE --work DIR`.

The stages, in order: `data` draws pictures and shards of latents, `text` makes the tokenizer and the text encoder,
`autoencoder` trains the decoder, `denoiser` trains the UNet, `export` writes a folder for
`StableDiffusionPipeline.from_pretrained`, and `sheet` paints a contact sheet with it. `all` runs them one after
another; `adopt` goes on from an exported model. Every stage goes on where it was stopped.

The promise: the same command with the same seed gives the same model on the same machine; every figure goes to
DIR/*.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from webui.demo import autoencoder, data, text
from webui.demo.adopt import adopt
from webui.demo.denoiser import SIZES, DenoiserPlan, train_denoiser
from webui.demo.export import export
from webui.demo.ranks import Ranks, launch
from webui.demo.runs import Log, pick_device
from webui.demo.sheets import make_sheet

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser


def load_pictures(work: Path) -> autoencoder.Pictures:
    """Give the autoencoder's pictures and the held-out ones, without reading them all into memory."""
    return autoencoder.Pictures(np.load(work / "pictures.npy", mmap_mode="r"), np.load(work / "held.npy"))


def draw_shard(work: Path, seed: int, index: int) -> int:
    """Draw one shard in a process of its own."""
    torch.set_num_threads(1)
    data.make_shard(work / "shards", seed, index, autoencoder.LinearEncoder.load(work / "linear.npz").encode)
    return index


def data_options(parser: Parser) -> None:
    """Say how much to draw."""
    parser.add_argument("--pictures", type=int, default=4000, help="pictures to train the decoder on")
    parser.add_argument("--held", type=int, default=64, help="pictures to measure the decoder on")
    parser.add_argument("--fit", type=int, default=1000, help="pictures to find the encoder's principal components in")
    parser.add_argument("--shards", type=int, default=16, help="shards of 2048 pictures for the denoiser")
    parser.add_argument("--processes", type=int, default=2, help="processes that draw")


def run_data(args: Arguments) -> None:
    """Draw the autoencoder's pictures, fit the encoder, draw the denoiser's shards."""
    work: Path = args.work
    work.mkdir(parents=True, exist_ok=True)
    data.check_sizes()
    if not (work / "drawn").exists():
        held = range(data.HELD_OUT, data.HELD_OUT + args.held)
        np.save(work / "held.npy", data.draw_pictures(args.seed, held, args.processes))
        np.save(work / "pictures.npy", data.draw_pictures(args.seed, range(args.pictures), args.processes))
        (work / "drawn").touch()
    if not (work / "linear.npz").exists():
        pictures = load_pictures(work).train[: args.fit]
        autoencoder.fit_linear(np.asarray(pictures)).save(work / "linear.npz")
    wanted = [k for k in range(args.shards) if not data.shard_path(work / "shards", k).exists()]
    with ProcessPoolExecutor(args.processes) as pool:
        jobs = [pool.submit(draw_shard, work, args.seed, k) for k in wanted]
        for job in tqdm(jobs, desc="shards", mininterval=5):
            job.result()
    Log(work / "data.jsonl").write(pictures=args.pictures, shards=args.shards, pictures_per_shard=data.SHARD)


def text_options(parser: Parser) -> None:
    """Say how long to train."""
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--lr", type=float, default=1.5e-3)


def run_text(args: Arguments) -> None:
    """Make the tokenizer, train the text encoder."""
    text.train_text(args.work, text.TextPlan(args.seed, args.steps, lr=args.lr), pick_device(args.device))


def autoencoder_options(parser: Parser) -> None:
    """Say how long to train."""
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=8)


def run_autoencoder(args: Arguments) -> None:
    """Train the decoder."""
    linear = autoencoder.LinearEncoder.load(args.work / "linear.npz")
    plan = autoencoder.DecoderPlan(args.seed, args.steps, batch=args.batch)
    autoencoder.train_decoder(linear, load_pictures(args.work), args.work, plan, pick_device(args.device))


def denoiser_options(parser: Parser) -> None:
    """Say how long to train which size on what."""
    parser.add_argument("--steps", type=int, default=20000, help="steps in all; the learning rate falls at the end")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--cooldown", type=float, default=0.25, help="part of the steps over which the rate falls")
    parser.add_argument("--shards", type=int, default=0, help="shards to draw from; 0 takes those that are there")
    parser.add_argument("--first-shards", type=int, default=0, help="shards to begin with; 0 takes all")
    parser.add_argument("--ramp", type=int, default=0, help="steps after which one more shard joins")
    parser.add_argument("--plain", type=float, default=0.0, help="part of the samples that are flat and fair pictures")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--ranks", type=int, default=1, help="processes that train together on a CPU")


def run_denoiser(args: Arguments) -> None:
    """Train the UNet, on several processes if asked."""
    shards = args.shards or len(list((args.work / "shards").glob("?????.npz")))
    plan = DenoiserPlan(
        args.seed,
        args.steps,
        size=args.size,
        batch=args.batch,
        lr=args.lr,
        cooldown=args.cooldown,
        shards=shards,
        first_shards=args.first_shards or shards,
        ramp=args.ramp,
        plain=args.plain,
        every=args.every,
    )
    launch(args.ranks, args.work, partial(train_rank, args.work, plan, args.device))


def train_rank(work: Path, plan: DenoiserPlan, device: str, ranks: Ranks) -> None:
    """Train in one of the processes."""
    train_denoiser(work, plan, pick_device(device), ranks)


def adopt_options(parser: Parser) -> None:
    """Say from where."""
    parser.add_argument("--model", type=Path, required=True, help="folder of an exported model")


def run_adopt(args: Arguments) -> None:
    """Fill the work folder from an exported model."""
    adopt(args.model, args.work)


def export_options(parser: Parser) -> None:
    """Say where to."""
    parser.add_argument("--target", type=Path, help="folder to write; DIR/model unless given")
    parser.add_argument("--file-size", default="10GB", help="largest file of the UNet, such as 15MB")


def run_export(args: Arguments) -> None:
    """Write the model's folder and the figures of what was written."""
    figures = export(args.work, args.target or args.work / "model", args.file_size)
    Log(args.work / "export.jsonl").write(**figures)
    print(f"{figures['bytes'] / 1e6:.1f} MB after {figures['denoiser_step']} steps")


def sheet_options(parser: Parser) -> None:
    """Say what to paint with and how."""
    parser.add_argument("--model", type=Path, help="folder of the model; DIR/model unless given")
    parser.add_argument("--out", type=Path, help="picture to write; DIR/sheet.png unless given")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg-scale", type=float, default=4.0)
    parser.add_argument("--truth", action="store_true", help="add what the drawing program draws for the same noises")


def run_sheet(args: Arguments) -> None:
    """Paint a contact sheet."""
    out = args.out or args.work / "sheet.png"
    make_sheet(args.model or args.work / "model", out, args.steps, args.cfg_scale, args.truth)


class Stage(NamedTuple):
    """One stage of the command line."""

    run: Callable[[Arguments], None]
    options: Callable[[Parser], None]
    about: str


STAGES = {
    "data": Stage(run_data, data_options, "draw pictures and shards of latents"),
    "text": Stage(run_text, text_options, "make the tokenizer and train the text encoder"),
    "autoencoder": Stage(run_autoencoder, autoencoder_options, "train the decoder"),
    "denoiser": Stage(run_denoiser, denoiser_options, "train the UNet"),
    "export": Stage(run_export, export_options, "write a folder for StableDiffusionPipeline"),
    "sheet": Stage(run_sheet, sheet_options, "paint a contact sheet of 6 seeds and 8 prompts"),
}


def run_all(args: Arguments) -> None:
    """Run every stage with its own defaults."""
    for stage in STAGES:
        main([stage, "--work", str(args.work), "--seed", str(args.seed), "--device", args.device])


OTHERS = {
    "adopt": Stage(run_adopt, adopt_options, "go on from an exported model where the work folder is lost"),
    "all": Stage(run_all, lambda _: None, "run every stage with its defaults"),
}


def make_parser() -> Parser:
    """Build the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m webui.demo.train", description=__doc__, formatter_class=form)
    parts = parser.add_subparsers(dest="stage", required=True)
    for name, stage in {**STAGES, **OTHERS}.items():
        part = parts.add_parser(name, help=stage.about, description=stage.about)
        part.add_argument("--work", type=Path, required=True, help="folder for everything that training makes")
        part.add_argument("--seed", type=int, default=1, help="seed of the whole run")
        part.add_argument("--device", default="auto", help="auto, cpu or cuda")
        part.set_defaults(run=stage.run)
        stage.options(part)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run one stage."""
    args = make_parser().parse_args(argv)
    torch.set_num_threads(1)
    args.run(args)


if __name__ == "__main__":
    main()
