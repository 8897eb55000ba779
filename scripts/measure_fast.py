"""Measure how far the pictures of ``--dtype fast`` are from those of ``--dtype exact``, and what a new seed costs.

    python scripts/measure_fast.py [--pictures 20] [--out DIR]

Makes the same recipes of the bundled model in both, at its own settings, the words changing with the seed. Prints the
peak signal-to-noise ratio (PSNR) of each pair in decibels, 8 bits a channel, with the largest difference of a value and
the drift of the composition; the worst and the median, also with the autoencoder alone in float32; and writes the worst
and the median pair side by side, exact on the left. Then the milliseconds that reading a prompt takes the first time
and again: a new seed does not read it anew.
"""

import argparse
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from webui.drift import drift  # noqa: E402 — run from anywhere
from webui.engine.checkpoints import Catalog  # noqa: E402
from webui.engine.diffusion import DiffusionEngine  # noqa: E402
from webui.recipe import Recipe  # noqa: E402

PROMPTS = (
    "a house by a lake", "a red castle in the mountains at sunset", "two sailboats on the sea at dawn",
    "a lighthouse by the sea at night", "a tent in the desert", "a windmill in a field in autumn, watercolour",
    "three houses in a village in winter", "a duck on a lake, ink drawing",
)  # fmt: skip


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Return 10 · log10(255² / mean squared difference), infinite for equal pictures."""
    error = float(np.mean((one.astype(float) - other) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def picture(engine: DiffusionEngine, recipe: Recipe) -> Image.Image:
    """Make a picture."""
    *_, last = engine.generate(recipe)
    assert last.image is not None
    return last.image


def with_vae(engine: DiffusionEngine, vae: Any, recipe: Recipe) -> Image.Image:
    """Make a picture with another autoencoder in the place of the model's own."""
    engine._model("reseed", "").family.pipe.vae = vae
    return picture(engine, recipe)


def beside(exact: Image.Image, fast: Image.Image) -> Image.Image:
    """Put two pictures side by side."""
    both = Image.new("RGB", (exact.width + fast.width + 8, exact.height), "white")
    both.paste(exact, (0, 0))
    both.paste(fast, (exact.width + 8, 0))
    return both


def reading(engine: DiffusionEngine) -> None:
    """Print how long a prompt takes to be read, first and again, and how often the text encoder runs for that."""
    model, runs = engine._model("reseed", ""), [0]
    model.family.pipe.text_encoder.register_forward_pre_hook(lambda *_: runs.append(runs.pop() + 1))
    recipes = [Recipe.of(prompt=f"{words}, read", seed=1, steps=1, width=256, height=256) for words in PROMPTS]
    for what, seed in (("first", 1), ("for a new seed", 2)):
        runs[0], taken = 0, []
        for recipe in recipes:
            began = time.perf_counter()
            model.denoiser(recipe.but(seed=seed))
            taken.append(1000 * (time.perf_counter() - began))
        ran = f"the text encoder ran {runs[0]} times for {len(recipes)} prompts"
        print(f"reading a prompt {what}: {statistics.median(taken):.2f} ms; {ran}")


def main() -> None:
    """Make the pairs, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("fast"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    engines = {kind: DiffusionEngine(Catalog(), "cpu", kind) for kind in ("exact", "fast")}
    suggested = Catalog().find("reseed").defaults
    vaes = [engine._model("reseed", "").family.pipe.vae for engine in engines.values()]
    pairs, decoders = [], []
    for seed in range(args.pictures):
        recipe = Recipe.of(
            **{"width": 256, "height": 256, **suggested, "prompt": PROMPTS[seed % len(PROMPTS)], "seed": seed}
        )
        exact, fast = (picture(engine, recipe) for engine in engines.values())
        one, other = np.asarray(exact), np.asarray(fast)
        most = int(np.abs(one.astype(int) - other).max())
        pairs.append((psnr(one, other), most, drift(exact, fast).number, seed, beside(exact, fast)))
        decoders.append(psnr(one, np.asarray(with_vae(engines["fast"], vaes[0], recipe))))
        engines["fast"]._model("reseed", "").family.pipe.vae = vaes[1]
        print(f"seed {seed:3}: {pairs[-1][0]:5.1f} dB, {most:3} of 255 at most, drift {pairs[-1][2]:.3f}", flush=True)
    pairs.sort(key=lambda pair: pair[0])
    middle = pairs[len(pairs) // 2]
    ratios, drifts = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
    print(f"{engines['fast']._model('reseed', '').dtype} beside float32, {len(pairs)} pictures:")
    print(f"PSNR worst {ratios[0]:.1f} dB (seed {pairs[0][3]}), median {statistics.median(ratios):.1f} dB")
    print(f"drift most {max(drifts):.3f}, median {statistics.median(drifts):.3f}")
    print(f"with the autoencoder in float32: worst {min(decoders):.1f}, median {statistics.median(decoders):.1f} dB")
    pairs[0][4].save(args.out / "worst.png")
    middle[4].save(args.out / "median.png")
    reading(engines["exact"])


if __name__ == "__main__":
    main()
