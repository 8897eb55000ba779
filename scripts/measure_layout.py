"""Measure how much of a picture's middle stays when the size changes: plain layout of noise against centred.

    python scripts/measure_layout.py OUT [--seeds 12] [--small 256x256 --large 384x256]

Prints the correlation of the shared middle (grey, over pixels), the mean over the seeds with the lowest and highest,
and writes OUT/layout.png: for the first seed small and large in the plain layout, then in the centred one.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.recipe import Recipe

PROMPT = "a house by a lake, mountains"


def size(text: str) -> tuple[int, int]:
    """Read a size such as 384x256."""
    width, height = text.split("x")
    return int(width), int(height)


def picture(engine: DiffusionEngine, **values: object) -> Image.Image:
    """Make one picture."""
    *_, last = engine.generate(Recipe.of(prompt=PROMPT, steps=12, cfg_scale=3, **values))
    assert last.image is not None
    return last.image


def middle(image: Image.Image, width: int, height: int) -> np.ndarray:
    """Cut the middle out, in grey."""
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.convert("L").crop((left, top, left + width, top + height)), np.float64)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--small", type=size, default=(256, 256))
    parser.add_argument("--large", type=size, default=(384, 256))
    args = parser.parse_args()
    engine = DiffusionEngine(Catalog(), device="cpu")
    shared = min(args.small[0], args.large[0]), min(args.small[1], args.large[1])
    found: dict[str, list[float]] = {"plain": [], "centred": []}
    shown: list[Image.Image] = []
    for seed in tqdm(range(args.seeds)):
        for layout, values in found.items():
            small, large = (
                picture(engine, seed=seed, noise_layout=layout, width=width, height=height)
                for width, height in (args.small, args.large)
            )
            values.append(float(np.corrcoef(middle(small, *shared).ravel(), middle(large, *shared).ravel())[0, 1]))
            if seed == 0:
                shown += [small, large]
    for layout, values in found.items():
        print(f"{layout}: mean {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}, {len(values)} seeds")
    args.out.mkdir(parents=True, exist_ok=True)
    sheet = Image.new("RGB", (sum(one.width for one in shown) + 8 * (len(shown) - 1), shown[1].height), "white")
    left = 0
    for one in shown:
        sheet.paste(one, (left, 0))
        left += one.width + 8
    sheet.save(args.out / "layout.png")


if __name__ == "__main__":
    main()
